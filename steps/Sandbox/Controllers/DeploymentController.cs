using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Rolls deployments: makes a replica set per template and moves the replicas over.</summary>
internal sealed class DeploymentController
{
    private readonly ClusterApi api;
    private readonly EventRecorder events;
    private readonly TimeProvider time;
    private readonly DeploymentSets sets;

    public DeploymentController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        this.time = time;
        events = new(api, "deployment-controller", time);
        sets = new(api, events);
        Loop = new("deployments", time, report, Reconcile);
        feed.On(Kinds.Deployments, (deployment, _) => Loop.Add(deployment.Key()));
        feed.On(Kinds.ReplicaSets, (set, _) =>
        {
            if (Ownership.ControllerKey(set, Kinds.Deployments) is { } owner)
                Loop.Add(owner);
        });
        feed.On(Kinds.Pods, (pod, gone) =>
        {
            // Recreate waits until the old pods are really gone.
            if (gone && Ownership.ControllerKey(pod, Kinds.ReplicaSets) is { } set
                && api.Get(Kinds.ReplicaSets, set.Namespace, set.Name) is { } owner
                && Ownership.ControllerKey(owner, Kinds.Deployments) is { } deployment)
            {
                Loop.Add(deployment);
            }
        });
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.Deployments, key.Namespace, key.Name) is not { } deployment)
            return null;
        var owned = Ownership.Claim(api, Kinds.ReplicaSets, deployment, Kinds.Deployments)
            .OrderBy(s => s.Created())
            .ThenBy(Revision)
            .ToList();
        var status = deployment.Obj("status")?.Copy() ?? new JsonObject();
        if (deployment.IsBeingDeleted())
            return WriteStatus(deployment, status, DeploymentSets.Newest(deployment, owned), owned, progress: false);

        NotePause(deployment, status);
        if (deployment.Flag("spec", "paused"))
        {
            var present = DeploymentSets.Newest(deployment, owned);
            sets.ScaleInPlace(deployment, present, owned);
            sets.CleanUp(deployment, present, owned);
            return WriteStatus(deployment, status, present, owned, progress: false);
        }

        var newest = DeploymentSets.Newest(deployment, owned);
        if (DeploymentSets.IsRescaled(deployment, owned))
        {
            sets.ScaleInPlace(deployment, newest, owned);
            return WriteStatus(deployment, status, newest, owned, progress: true);
        }

        return deployment.Str("spec", "strategy", "type") == "Recreate"
            ? Recreate(deployment, status, newest, owned)
            : Roll(deployment, status, newest, owned);
    }

    private TimeSpan? Roll(JsonObject deployment, JsonObject status, JsonObject? newest, List<JsonObject> owned)
    {
        newest = EnsureNewest(deployment, status, newest, owned, out var failed);
        if (newest is null)
        {
            WriteStatus(deployment, status, null, owned, progress: true);
            return failed ? ReconcileLoop.BackOff : null;
        }

        var replicas = deployment.Int(1, "spec", "replicas");
        var (surge, unavailable) = DeploymentRollout.Limits(deployment);
        var counts = owned.Select(DeploymentSets.Count).ToList();
        var mine = DeploymentSets.Count(newest);
        var size = DeploymentRollout.NewSize(recreate: false, replicas, surge, mine, counts);
        if (size != mine.Wanted)
        {
            sets.Scale(deployment, newest, size, owned);
            return WriteStatus(deployment, status, newest, owned, progress: true);
        }

        var old = counts.Where(c => c.Name != mine.Name).ToList();
        var sizes = DeploymentRollout.OldSizes(replicas, unavailable, mine, old);
        var moved = false;
        foreach (var set in owned.Where(s => s.Uid() != newest.Uid()).ToList())
        {
            if (sizes.TryGetValue(set.Name(), out var wanted) && wanted != set.Int(1, "spec", "replicas"))
            {
                sets.Scale(deployment, set, wanted, owned);
                moved = true;
            }
        }

        if (!moved && DeploymentStatus.IsComplete(deployment, status))
            sets.CleanUp(deployment, newest, owned);
        return WriteStatus(deployment, status, newest, owned, progress: true);
    }

    private TimeSpan? Recreate(JsonObject deployment, JsonObject status, JsonObject? newest, List<JsonObject> owned)
    {
        var moved = false;
        foreach (var set in owned.Where(s => s.Uid() != newest?.Uid() && s.Int(1, "spec", "replicas") > 0).ToList())
        {
            sets.Scale(deployment, set, 0, owned);
            moved = true;
        }

        if (moved || OldPodsRun(deployment, newest, owned))
            return WriteStatus(deployment, status, newest, owned, progress: true);

        newest = EnsureNewest(deployment, status, newest, owned, out var failed);
        if (newest is not null && newest.Int(1, "spec", "replicas") != deployment.Int(1, "spec", "replicas"))
            sets.Scale(deployment, newest, deployment.Int(1, "spec", "replicas"), owned);
        if (DeploymentStatus.IsComplete(deployment, status))
            sets.CleanUp(deployment, newest, owned);
        var again = WriteStatus(deployment, status, newest, owned, progress: true);
        return failed ? ReconcileLoop.BackOff : again;
    }

    private bool OldPodsRun(JsonObject deployment, JsonObject? newest, List<JsonObject> owned)
    {
        var old = owned.Where(s => s.Uid() != newest?.Uid()).Select(s => s.Uid()).ToHashSet();
        return api.List(Kinds.Pods, deployment.Namespace(), LabelSelector.FromObject(deployment.Obj("spec", "selector"))).Items
            .Any(p => !PodReading.IsFinished(p) && old.Contains(Ownership.ControllerOf(p).Str("uid") ?? ""));
    }

    private JsonObject? EnsureNewest(
        JsonObject deployment, JsonObject status, JsonObject? newest, List<JsonObject> owned, out bool failed)
    {
        failed = false;
        var now = time.GetUtcNow();
        var revision = owned.Where(s => s.Uid() != newest?.Uid()).Select(Revision).DefaultIfEmpty(0).Max() + 1;
        if (newest is not null)
        {
            newest = sets.SetRevision(deployment, newest, Math.Max(revision, Revision(newest)), owned) ?? newest;
            if (DeploymentStatus.HasDeadline(deployment) && status.Condition("Progressing") is null)
                status.SetCondition(
                    "Progressing",
                    true,
                    "FoundNewReplicaSet",
                    $"Found new replica set \"{newest.Name()}\"",
                    now,
                    "lastUpdateTime");
            sets.MarkRevision(deployment, Revision(newest));
            return newest;
        }

        try
        {
            newest = sets.Create(deployment, revision, owned, status);
            if (newest is null)
                return null;
            if (DeploymentStatus.HasDeadline(deployment))
                status.SetCondition(
                    "Progressing",
                    true,
                    "NewReplicaSetCreated",
                    $"Created new replica set \"{newest.Name()}\"",
                    now,
                    "lastUpdateTime");
            sets.MarkRevision(deployment, revision);
            return newest;
        }
        catch (ApiException e) when (e.Code is 403 or 422 or 400)
        {
            var message = $"Failed to create new replica set: {e.Message}";
            if (DeploymentStatus.HasDeadline(deployment))
                status.SetCondition("Progressing", false, "ReplicaSetCreateError", message, now, "lastUpdateTime");
            events.Warning(deployment, "ReplicaSetCreateError", message);
            failed = true;
            return null;
        }
    }

    private void NotePause(JsonObject deployment, JsonObject status)
    {
        if (!DeploymentStatus.HasDeadline(deployment))
            return;
        var condition = status.Condition("Progressing");
        if (condition.Str("reason") == "ProgressDeadlineExceeded")
            return;
        var noted = condition.Str("reason") == "DeploymentPaused";
        if (deployment.Flag("spec", "paused") && !noted)
            status.SetCondition(
                "Progressing", null, "DeploymentPaused", "Deployment is paused", time.GetUtcNow(), "lastUpdateTime");
        else if (!deployment.Flag("spec", "paused") && noted)
            status.SetCondition(
                "Progressing", null, "DeploymentResumed", "Deployment is resumed", time.GetUtcNow(), "lastUpdateTime");
    }

    private TimeSpan? WriteStatus(
        JsonObject deployment, JsonObject draft, JsonObject? newest, List<JsonObject> owned, bool progress)
    {
        if (api.Get(Kinds.Deployments, deployment.Namespace(), deployment.Name()) is not { } fresh
            || fresh.Uid() != deployment.Uid())
            return null;
        var now = time.GetUtcNow();
        var before = fresh.Obj("status");
        var status = DeploymentStatus.Compute(deployment, draft, newest, owned, now);
        if (progress)
            DeploymentStatus.NoteProgress(deployment, before, status, newest, owned, now);
        if (!JsonNode.DeepEquals(status, before))
        {
            fresh["status"] = status;
            api.UpdateStatus(Kinds.Deployments, fresh);
        }

        return progress ? DeploymentStatus.DeadlineIn(deployment, status, now) : null;
    }

    internal static long Revision(JsonObject set) =>
        long.TryParse(
            set.Annotation(DeploymentSets.RevisionAnnotation), NumberStyles.None, CultureInfo.InvariantCulture, out var revision)
            ? revision
            : 0;
}
