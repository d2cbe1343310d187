using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Keeps as many pods as each replica set asks for.</summary>
internal sealed class ReplicaSetController
{
    private readonly ClusterApi api;
    private readonly EventRecorder events;
    private readonly TimeProvider time;

    public ReplicaSetController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        this.time = time;
        events = new(api, "replicaset-controller", time);
        Loop = new("replica sets", time, report, Reconcile);
        feed.On(Kinds.ReplicaSets, (set, _) => Loop.Add(set.Key()));
        feed.On(Kinds.Pods, (pod, _) => OnPod(pod));
    }

    public ReconcileLoop Loop { get; }

    private void OnPod(JsonObject pod)
    {
        if (Ownership.ControllerKey(pod, Kinds.ReplicaSets) is { } owner)
        {
            Loop.Add(owner);
            return;
        }

        if (Ownership.ControllerOf(pod) is not null || pod.Obj("metadata", "labels") is null)
            return;
        foreach (var set in api.List(Kinds.ReplicaSets, pod.Namespace()).Items)
        {
            if (LabelSelector.FromObject(set.Obj("spec", "selector")) is { IsEmpty: false } selector && selector.Matches(pod))
                Loop.Add(set.Key());
        }
    }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.ReplicaSets, key.Namespace, key.Name) is not { } set)
            return null;
        var pods = Ownership.Claim(api, Kinds.Pods, set, Kinds.ReplicaSets);
        var active = pods.Where(PodReading.IsActive).ToList();
        string? failure = null;
        string? failureReason = null;
        if (!set.IsBeingDeleted())
        {
            var missing = set.Int(1, "spec", "replicas") - active.Count;
            if (missing > 0)
            {
                failure = Create(set, missing, active);
                failureReason = failure is null ? null : "FailedCreate";
            }
            else if (missing < 0)
            {
                failure = Remove(set, active, -missing);
                failureReason = failure is null ? null : "FailedDelete";
            }
        }

        WriteStatus(set, active, failureReason, failure);
        return failure is not null
            ? ReconcileLoop.BackOff
            : PodReading.NextAvailable(active, set.Int(0, "spec", "minReadySeconds"), time.GetUtcNow());
    }

    private string? Create(JsonObject set, int count, List<JsonObject> active)
    {
        for (var i = 0; i < count; i++)
        {
            try
            {
                var pod = api.Create(
                    Kinds.Pods, set.Namespace(), PodTemplates.Instantiate(set.Obj("spec", "template"), set, Kinds.ReplicaSets));
                active.Add(pod);
                events.Normal(set, "SuccessfulCreate", $"Created pod: {pod.Name()}");
            }
            catch (ApiException e)
            {
                events.Warning(set, "FailedCreate", $"Error creating: {e.Message}");
                return e.Message;
            }
        }

        return null;
    }

    private string? Remove(JsonObject set, List<JsonObject> active, int count)
    {
        foreach (var pod in PodReading.LeastWorthFirst(active).Take(count).ToList())
        {
            try
            {
                api.Delete(Kinds.Pods, pod.Namespace(), pod.Name(), new() { PreconditionUid = pod.Uid() });
                active.Remove(pod);
                events.Normal(set, "SuccessfulDelete", $"Deleted pod: {pod.Name()}");
            }
            catch (ApiException e) when (e.Code != 404)
            {
                events.Warning(set, "FailedDelete", $"Error deleting: {e.Message}");
                return e.Message;
            }
        }

        return null;
    }

    private void WriteStatus(JsonObject set, List<JsonObject> active, string? failureReason, string? failure)
    {
        // Read again: creating pods took a while, and only the newest state can be written.
        if (api.Get(Kinds.ReplicaSets, set.Namespace(), set.Name()) is not { } fresh || fresh.Uid() != set.Uid())
            return;
        var now = time.GetUtcNow();
        var minReady = set.Int(0, "spec", "minReadySeconds");
        var templateLabels = set.Map("spec", "template", "metadata", "labels").ToList();
        var status = fresh.Obj("status")?.Copy() ?? new JsonObject();
        status["replicas"] = active.Count;
        SetCount(status, "fullyLabeledReplicas", active.Count(p => templateLabels.TrueForAll(l => p.Label(l.Key) == l.Value)));
        SetCount(status, "readyReplicas", active.Count(PodReading.IsReady));
        SetCount(status, "availableReplicas", active.Count(p => PodReading.IsAvailable(p, minReady, now)));
        status["observedGeneration"] = set.Generation();
        if (failureReason is not null)
            status.SetCondition("ReplicaFailure", true, failureReason, failure, now);
        else
            status.RemoveCondition("ReplicaFailure");
        if (JsonNode.DeepEquals(status, fresh.Obj("status")))
            return;
        fresh["status"] = status;
        api.UpdateStatus(Kinds.ReplicaSets, fresh);
    }

    /// <summary>Zero counters are left out, as the API does.</summary>
    internal static void SetCount(JsonObject status, string name, int count)
    {
        if (count == 0)
            status.Remove(name);
        else
            status[name] = count;
    }
}
