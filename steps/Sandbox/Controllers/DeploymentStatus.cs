using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>What a deployment's status says: counters, Available, Progressing and ReplicaFailure.</summary>
internal static class DeploymentStatus
{
    // Kubernetes' "no deadline".
    private const int NoDeadline = int.MaxValue;

    public static bool HasDeadline(JsonNode deployment) => Deadline(deployment) != NoDeadline;

    public static JsonObject Compute(
        JsonObject deployment, JsonObject draft, JsonObject? newest, List<JsonObject> owned, DateTimeOffset now)
    {
        var status = draft.Copy();
        var available = owned.Sum(s => s.Int(0, "status", "availableReplicas"));
        status["observedGeneration"] = deployment.Generation();
        ReplicaSetController.SetCount(status, "replicas", owned.Sum(s => s.Int(0, "status", "replicas")));
        ReplicaSetController.SetCount(status, "updatedReplicas", newest?.Int(0, "status", "replicas") ?? 0);
        ReplicaSetController.SetCount(status, "readyReplicas", owned.Sum(s => s.Int(0, "status", "readyReplicas")));
        ReplicaSetController.SetCount(status, "availableReplicas", available);
        ReplicaSetController.SetCount(
            status, "unavailableReplicas", Math.Max(0, owned.Sum(s => s.Int(1, "spec", "replicas")) - available));
        var (_, unavailable) = DeploymentRollout.Limits(deployment);
        if (available >= deployment.Int(1, "spec", "replicas") - unavailable)
            status.SetCondition(
                "Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.", now, "lastUpdateTime");
        else
            status.SetCondition(
                "Available",
                false,
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
                now,
                "lastUpdateTime");
        return status;
    }

    public static bool IsComplete(JsonNode deployment, JsonNode? status)
    {
        var replicas = deployment.Int(1, "spec", "replicas");
        return status.Int(0, "updatedReplicas") == replicas && status.Int(0, "replicas") == replicas
            && status.Int(0, "availableReplicas") == replicas
                && (status.Num("observedGeneration") ?? 0) >= deployment.Generation();
    }

    /// <summary>Sets Progressing by comparing the counters with those of before, and ReplicaFailure from the sets.</summary>
    public static void NoteProgress(
        JsonObject deployment,
        JsonObject? before,
        JsonObject status,
        JsonObject? newest,
        List<JsonObject> owned,
        DateTimeOffset now)
    {
        var subject = newest is null ? $"Deployment \"{deployment.Name()}\"" : $"ReplicaSet \"{newest.Name()}\"";
        if (!HasDeadline(deployment))
            status.RemoveCondition("Progressing");
        var current = status.Condition("Progressing");
        var settled = status.Int(0, "replicas") == status.Int(0, "updatedReplicas")
            && current.Str("reason") == "NewReplicaSetAvailable";
        if (HasDeadline(deployment) && !settled)
        {
            if (IsComplete(deployment, status))
                status.SetCondition(
                    "Progressing",
                    true,
                    "NewReplicaSetAvailable",
                    $"{subject} has successfully progressed.",
                    now,
                    "lastUpdateTime");
            else if (HasProgressed(before, status))
            {
                // Same words again must still move the update time: the deadline counts from it.
                var since = current.Str("status") == "True" ? current.Str("lastTransitionTime") : null;
                status.RemoveCondition("Progressing");
                status.SetCondition(
                    "Progressing", true, "ReplicaSetUpdated", $"{subject} is progressing.", now, "lastUpdateTime");
                if (since is not null)
                    status.Condition("Progressing")!["lastTransitionTime"] = since;
            }
            else if (HasTimedOut(deployment, status, now))
                status.SetCondition(
                    "Progressing",
                    false,
                    "ProgressDeadlineExceeded",
                    $"{subject} has timed out progressing.",
                    now,
                    "lastUpdateTime");
        }

        var failure = (newest is null ? owned : [newest, .. owned])
            .Select(s => s.Obj("status").Condition("ReplicaFailure"))
            .FirstOrDefault(c => c is not null);
        if (failure is not null)
            status.SetCondition(
                "ReplicaFailure",
                failure.Str("status") == "True",
                failure.Str("reason"),
                failure.Str("message"),
                now,
                "lastUpdateTime");
        else
            status.RemoveCondition("ReplicaFailure");
    }

    /// <summary>When the progress deadline has to be looked at again; null when it has no meaning now.</summary>
    public static TimeSpan? DeadlineIn(JsonObject deployment, JsonObject status, DateTimeOffset now)
    {
        var current = status.Condition("Progressing");
        if (!HasDeadline(deployment)
            || current is null
            || IsComplete(deployment, status)
            || current.Str("reason") is "ProgressDeadlineExceeded" or "NewReplicaSetAvailable")
            return null;
        var left = (current.Time("lastUpdateTime") ?? now) + TimeSpan.FromSeconds(Deadline(deployment)) - now;
        // Times are whole seconds: a second more is never too early.
        return (left > TimeSpan.Zero ? left : TimeSpan.Zero) + TimeSpan.FromSeconds(1);
    }

    private static bool HasProgressed(JsonObject? before, JsonObject status)
    {
        static int Old(JsonObject? s) => s.Int(0, "replicas") - s.Int(0, "updatedReplicas");
        return status.Int(0, "updatedReplicas") > before.Int(0, "updatedReplicas")
            || Old(status) < Old(before)
            || status.Int(0, "readyReplicas") > before.Int(0, "readyReplicas")
            || status.Int(0, "availableReplicas") > before.Int(0, "availableReplicas");
    }

    private static bool HasTimedOut(JsonObject deployment, JsonObject status, DateTimeOffset now)
    {
        var current = status.Condition("Progressing");
        if (current is null || current.Str("reason") == "NewReplicaSetAvailable")
            return false;
        return current.Str("reason") == "ProgressDeadlineExceeded"
            || (current.Time("lastUpdateTime") ?? now) + TimeSpan.FromSeconds(Deadline(deployment)) < now;
    }

    private static int Deadline(JsonNode deployment) => deployment.Int(600, "spec", "progressDeadlineSeconds");
}
