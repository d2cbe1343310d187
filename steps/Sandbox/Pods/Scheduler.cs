using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>Places pods on nodes.</summary>
internal sealed class Scheduler(TimeProvider time, Action<string> report) : IClusterComponent
{
    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var events = new EventRecorder(api, "default-scheduler", time);
        using var loop = new ReconcileLoop("scheduler", time, report, key => Place(api, events, key));
        var waiting = new HashSet<ObjectKey>();
        var feed = new ClusterFeed(api, time);
        feed.On(Kinds.Pods, (pod, gone) =>
        {
            lock (waiting)
            {
                if (!gone && pod.Str("spec", "nodeName") is not { Length: > 0 } && !PodReading.IsFinished(pod))
                {
                    // Its own status changes come back here too; only a new pod is worth a look.
                    if (waiting.Add(pod.Key()))
                        loop.Add(pod.Key());
                    return;
                }

                // One that has just got its node may be what another one waits to be near to.
                if (!waiting.Remove(pod.Key()) && !gone && !PodReading.IsFinished(pod))
                    return;
            }

            // Room may have become free.
            Retry();
        });
        feed.On(Kinds.Nodes, (_, _) => Retry());
        feed.On(Kinds.PersistentVolumeClaims, (_, _) => Retry());
        try
        {
            await Task.WhenAll(feed.RunAsync(cancel), loop.RunAsync(cancel)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The cluster stops.
        }

        void Retry()
        {
            lock (waiting)
            {
                foreach (var key in waiting)
                    loop.Add(key);
            }
        }
    }

    private TimeSpan? Place(ClusterApi api, EventRecorder events, ObjectKey key)
    {
        if (api.Get(Kinds.Pods, key.Namespace, key.Name) is not { } pod
            || pod.Str("spec", "nodeName") is { Length: > 0 }
            || pod.IsBeingDeleted()
            || pod["spec"] is not JsonObject spec || spec["schedulingGates"] is JsonArray { Count: > 0 }
            || (pod.Str("spec", "schedulerName") ?? "default-scheduler") != "default-scheduler")
        {
            return null;
        }

        var nodes = api.List(Kinds.Nodes).Items;
        var placed = api.List(Kinds.Pods).Items
            .Where(p => p.Str("spec", "nodeName") is { Length: > 0 } && !PodReading.IsFinished(p))
            .ToList();
        var (node, why) = MissingClaim(api, pod) is { } claim
            ? (null,
                $"0/{nodes.Count} nodes are available: persistentvolumeclaim \"{claim}\" not found. preemption: " +
                $"0/{nodes.Count} nodes are available: {nodes.Count} Preemption is not helpful for scheduling.")
            : Fit.Choose(pod, nodes, placed, api.List(Kinds.Namespaces).Items);
        if (node is null)
        {
            pod.Ensure("status").SetCondition("PodScheduled", false, "Unschedulable", why, time.GetUtcNow(), "lastProbeTime");
            pod.Obj("status").Condition("PodScheduled")!["lastProbeTime"] = null;
            api.UpdateStatus(Kinds.Pods, pod);
            events.Warning(pod, "FailedScheduling", why);
            return null;
        }

        // The condition first: from the moment of the binding on the status is the kubelet's.
        pod.Ensure("status").SetCondition("PodScheduled", true, null, null, time.GetUtcNow(), "lastProbeTime");
        pod.Obj("status").Condition("PodScheduled")!["lastProbeTime"] = null;
        var bound = api.UpdateStatus(Kinds.Pods, pod);
        bound.Ensure("spec")["nodeName"] = node;
        bound = api.Update(Kinds.Pods, bound);
        events.Normal(bound, "Scheduled", $"Successfully assigned {key.Namespace}/{key.Name} to {node}");
        return null;
    }

    private static string? MissingClaim(ClusterApi api, JsonObject pod) =>
        pod.Objs("spec", "volumes").Select(v => v.Str("persistentVolumeClaim", "claimName"))
            .FirstOrDefault(c => c is not null && api.Get(Kinds.PersistentVolumeClaims, pod.Namespace(), c) is null);
}
