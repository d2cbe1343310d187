using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>
/// Keeps stateful sets: numbered pods with stable names and volumes, made and removed in order, updated from the last to the
/// first.
/// </summary>
internal sealed class StatefulSetController
{
    private readonly ClusterApi api;
    private readonly EventRecorder events;
    private readonly TimeProvider time;
    private readonly Revisions revisions;

    public StatefulSetController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        this.time = time;
        events = new(api, "statefulset-controller", time);
        revisions = new(api, Kinds.StatefulSets);
        Loop = new("stateful sets", time, report, Reconcile);
        feed.On(Kinds.StatefulSets, (set, _) => Loop.Add(set.Key()));
        feed.On(Kinds.Pods, (pod, _) =>
        {
            if (Ownership.ControllerKey(pod, Kinds.StatefulSets) is { } owner)
                Loop.Add(owner);
        });
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.StatefulSets, key.Namespace, key.Name) is not { } set)
            return null;
        if (set.IsBeingDeleted())
            return null;
        var now = time.GetUtcNow();
        var revisions = this.revisions.Sync(set);
        var update = revisions[^1];
        var current = revisions.Find(r => r.Name() == set.Str("status", "currentRevision")) ?? update;
        var pods = Ownership.Claim(api, Kinds.Pods, set, Kinds.StatefulSets)
            .Where(p => Ordinal(set, p) is not null)
            .ToDictionary(p => Ordinal(set, p)!.Value);
        try
        {
            Step(set, pods, current, update, now);
        }
        catch (ApiException e) when (e.Code is 403 or 422 or 400)
        {
            events.Warning(set, "FailedCreate", $"create Pod in StatefulSet {set.Name()} failed error: {e.Message}");
            WriteStatus(set, pods, current, update, now);
            return ReconcileLoop.BackOff;
        }

        WriteStatus(set, pods, current, update, now);
        this.revisions.CleanUp(set, revisions, pods.Values, current.Name(), update.Name());
        return PodReading.NextAvailable(pods.Values, set.Int(0, "spec", "minReadySeconds"), now);
    }

    private void Step(JsonObject set, Dictionary<int, JsonObject> pods, JsonObject current, JsonObject update, DateTimeOffset now)
    {
        var replicas = set.Int(1, "spec", "replicas");
        var first = set.Int(0, "spec", "ordinals", "start");
        var inOrder = set.Str("spec", "podManagementPolicy") != "Parallel";
        var partition = set.Int(0, "spec", "updateStrategy", "rollingUpdate", "partition");
        var rolling = set.Str("spec", "updateStrategy", "type") != "OnDelete";
        for (var i = first; i < first + replicas; i++)
        {
            if (pods.TryGetValue(i, out var pod) && PodReading.IsFinished(pod) && !pod.IsBeingDeleted())
            {
                // An ended pod is replaced by one of the same name.
                Remove(set, pod, "RecreatingFailedPod");
                return;
            }

            if (pod is null)
            {
                pods[i] = Create(set, i, rolling && i < partition ? current : update);
                if (inOrder)
                    return;
                continue;
            }

            if (inOrder && (pod.IsBeingDeleted() || !IsHealthy(set, pod, now)))
                return;
        }

        foreach (var (_, pod) in pods.Where(p => p.Key >= first + replicas || p.Key < first)
            .OrderByDescending(p => p.Key)
            .ToList())
        {
            if (!pod.IsBeingDeleted())
                Remove(set, pod, "SuccessfulDelete");
            if (inOrder)
                return;
        }

        if (!rolling)
            return;
        for (var i = first + replicas - 1; i >= Math.Max(first, partition); i--)
        {
            if (!pods.TryGetValue(i, out var pod) || pod.IsBeingDeleted())
                return;
            if (pod.Label(Revisions.HashLabel) != update.Name())
            {
                Remove(set, pod, "SuccessfulDelete");
                return;
            }

            if (!IsHealthy(set, pod, now))
                return;
        }
    }

    private static bool IsHealthy(JsonObject set, JsonObject pod, DateTimeOffset now) =>
        PodReading.Phase(pod) == "Running" && PodReading.IsAvailable(pod, set.Int(0, "spec", "minReadySeconds"), now);

    private static int? Ordinal(JsonObject set, JsonObject pod) =>
        pod.Name().StartsWith(set.Name() + "-", StringComparison.Ordinal)
        && int.TryParse(
            pod.Name().AsSpan(set.Name().Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal)
            ? ordinal
            : null;

    private JsonObject Create(JsonObject set, int ordinal, JsonObject revision)
    {
        var name = $"{set.Name()}-{ordinal.ToString(CultureInfo.InvariantCulture)}";
        var pod = PodTemplates.Instantiate(Revisions.TemplateOf(revision), set, Kinds.StatefulSets, name);
        pod.Obj("metadata")!["generateName"] = set.Name() + "-";
        var labels = pod.Obj("metadata")!.Ensure("labels");
        labels[Revisions.HashLabel] = revision.Name();
        labels["statefulset.kubernetes.io/pod-name"] = name;
        labels["apps.kubernetes.io/pod-index"] = ordinal.ToString(CultureInfo.InvariantCulture);
        var spec = pod.Obj("spec")!;
        spec["hostname"] = name;
        spec["subdomain"] = set.Str("spec", "serviceName") ?? "";
        AddClaims(set, spec, name);
        var made = api.Create(Kinds.Pods, set.Namespace(), pod);
        events.Normal(set, "SuccessfulCreate", $"create Pod {name} in StatefulSet {set.Name()} successful");
        return made;
    }

    private void AddClaims(JsonObject set, JsonObject spec, string pod)
    {
        foreach (var template in set.Objs("spec", "volumeClaimTemplates"))
        {
            var volume = template.Name();
            var claim = $"{volume}-{pod}";
            if (api.Get(Kinds.PersistentVolumeClaims, set.Namespace(), claim) is null)
            {
                var made = template.Copy();
                made["apiVersion"] = "v1";
                made["kind"] = "PersistentVolumeClaim";
                made["metadata"] = new JsonObject
                {
                    ["name"] = claim,
                    ["namespace"] = set.Namespace(),
                    ["labels"] = Fields.MapOf(set.Map("spec", "selector", "matchLabels")),
                };
                made.Remove("status");
                api.Create(Kinds.PersistentVolumeClaims, set.Namespace(), made);
                events.Normal(set, "SuccessfulCreate", $"create Claim {claim} Pod {pod} in StatefulSet {set.Name()} success");
            }

            if (spec["volumes"] is not JsonArray volumes)
                spec["volumes"] = volumes = [];
            foreach (var shadowed in volumes.OfType<JsonObject>().Where(v => v.Str("name") == volume).ToList())
                volumes.Remove(shadowed);
            volumes.Add((JsonNode?)new JsonObject
            {
                ["name"] = volume,
                ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = claim }
            });
        }
    }

    private void Remove(JsonObject set, JsonObject pod, string reason)
    {
        try
        {
            api.Delete(Kinds.Pods, pod.Namespace(), pod.Name(), new() { PreconditionUid = pod.Uid() });
        }
        catch (ApiException e) when (e.Code == 404)
        {
            return;
        }

        if (reason == "RecreatingFailedPod")
            events.Warning(set, reason, $"StatefulSet {set.Namespace()}/{set.Name()} is recreating failed Pod {pod.Name()}");
        else
            events.Normal(set, reason, $"delete Pod {pod.Name()} in StatefulSet {set.Name()} successful");
    }

    private void WriteStatus(
        JsonObject set, Dictionary<int, JsonObject> pods, JsonObject current, JsonObject update, DateTimeOffset now)
    {
        if (api.Get(Kinds.StatefulSets, set.Namespace(), set.Name()) is not { } fresh || fresh.Uid() != set.Uid())
            return;
        var replicas = set.Int(1, "spec", "replicas");
        var active = pods.Values.Where(p => !PodReading.IsFinished(p)).ToList();
        var updated = active.Count(p => p.Label(Revisions.HashLabel) == update.Name() && !p.IsBeingDeleted());
        var ready = active.Count(p => PodReading.IsReady(p) && !p.IsBeingDeleted());
        var complete = updated == replicas && ready == replicas && active.Count == replicas;
        if (complete || (current.Name() != update.Name() && active.Count == 0))
            current = update;
        var status = fresh.Obj("status")?.Copy() ?? new JsonObject();
        status["observedGeneration"] = set.Generation();
        status["replicas"] = active.Count;
        status["availableReplicas"] = active.Count(
            p => !p.IsBeingDeleted() && PodReading.IsAvailable(p, set.Int(0, "spec", "minReadySeconds"), now));
        status["currentRevision"] = current.Name();
        status["updateRevision"] = update.Name();
        status["collisionCount"] = 0;
        ReplicaSetController.SetCount(status, "readyReplicas", ready);
        ReplicaSetController.SetCount(
            status, "currentReplicas", active.Count(p => p.Label(Revisions.HashLabel) == current.Name() && !p.IsBeingDeleted()));
        ReplicaSetController.SetCount(status, "updatedReplicas", updated);
        if (JsonNode.DeepEquals(status, fresh.Obj("status")))
            return;
        fresh["status"] = status;
        api.UpdateStatus(Kinds.StatefulSets, fresh);
    }
}
