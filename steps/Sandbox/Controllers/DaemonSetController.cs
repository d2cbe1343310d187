using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Keeps one pod of each daemon set on every node that it fits.</summary>
internal sealed class DaemonSetController
{
    private static readonly (string Key, string Effect)[] Tolerated =
    [
        ("node.kubernetes.io/not-ready", "NoExecute"), ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"), ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ];

    private readonly ClusterApi api;
    private readonly EventRecorder events;
    private readonly TimeProvider time;
    private readonly Revisions revisions;

    public DaemonSetController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        this.time = time;
        events = new(api, "daemonset-controller", time);
        revisions = new(api, Kinds.DaemonSets);
        Loop = new("daemon sets", time, report, Reconcile);
        feed.On(Kinds.DaemonSets, (set, _) => Loop.Add(set.Key()));
        feed.On(Kinds.Nodes, (_, _) =>
        {
            foreach (var set in api.List(Kinds.DaemonSets).Items)
                Loop.Add(set.Key());
        });
        feed.On(Kinds.Pods, (pod, _) =>
        {
            if (Ownership.ControllerKey(pod, Kinds.DaemonSets) is { } owner)
                Loop.Add(owner);
        });
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.DaemonSets, key.Namespace, key.Name) is not { } set || set.IsBeingDeleted())
            return null;
        var now = time.GetUtcNow();
        var revisions = this.revisions.Sync(set);
        var newest = revisions[^1].Name();
        var pods = Ownership.Claim(api, Kinds.Pods, set, Kinds.DaemonSets);
        var byNode = pods.Where(p => !p.IsBeingDeleted()).ToLookup(NodeOf);
        var failure = false;
        var surges = set.Str("spec", "updateStrategy", "type") != "OnDelete" && Amount(set, "maxSurge", 1) > 0;
        var eligible = new HashSet<string>();
        foreach (var node in api.List(Kinds.Nodes).Items)
        {
            var draft = Draft(set, newest, node.Name());
            var fits = Fit.MayRun(draft, node);
            if (fits)
                eligible.Add(node.Name());
            var there = byNode[node.Name()].OrderBy(p => p.Created()).ToList();
            foreach (var surplus in fits
                ? there.Where(PodReading.IsFinished).Concat(Surplus(set, newest, there, surges, now))
                : there)
                Remove(set, surplus);
            if (fits && !there.Exists(PodReading.IsActive) && !pods.Exists(p => p.IsBeingDeleted() && NodeOf(p) == node.Name()))
                failure |= !Create(set, draft);
        }

        if (surges)
            failure |= !Surge(set, newest, byNode, eligible, now);
        else if (set.Str("spec", "updateStrategy", "type") != "OnDelete")
            Roll(set, newest, pods, eligible, now);
        WriteStatus(set, newest, eligible, now);
        this.revisions.CleanUp(set, revisions, pods, newest);
        return failure ? ReconcileLoop.BackOff : PodReading.NextAvailable(pods, set.Int(0, "spec", "minReadySeconds"), now);
    }

    /// <summary>
    /// The pods of a node that are too many: all but the oldest, or, in a surge, but one of each side until the new one is
    /// available.
    /// </summary>
    private static List<JsonObject> Surplus(
        JsonObject set, string newest, List<JsonObject> there, bool surges, DateTimeOffset now)
    {
        var active = there.Where(PodReading.IsActive).ToList();
        if (!surges)
            return [.. active.Skip(1)];
        var fresh = active.Where(p => p.Label(Revisions.HashLabel) == newest).ToList();
        var old = active.Except(fresh);
        return [
            .. fresh.Skip(1),
            .. old.Skip(fresh.Exists(p => PodReading.IsAvailable(p, set.Int(0, "spec", "minReadySeconds"), now)) ? 0 : 1)
        ];
    }

    /// <summary>
    /// Puts new pods beside old ones, as many at a time as may be; at once where the old one is not available anyway.
    /// </summary>
    private bool Surge(
        JsonObject set, string newest, ILookup<string, JsonObject> byNode, HashSet<string> eligible, DateTimeOffset now)
    {
        var minReady = set.Int(0, "spec", "minReadySeconds");
        var left = Amount(set, "maxSurge", eligible.Count);
        var waiting = new List<string>();
        var due = new List<string>();
        foreach (var node in eligible)
        {
            var active = byNode[node].Where(PodReading.IsActive).ToList();
            var old = active.Find(p => p.Label(Revisions.HashLabel) != newest);
            if (old is null)
                continue;
            if (active.Count > 1)
                left--;
            else
                (PodReading.IsAvailable(old, minReady, now) ? waiting : due).Add(node);
        }

        return due.Concat(waiting.Take(Math.Max(0, left))).ToList().TrueForAll(node => Create(set, Draft(set, newest, node)));
    }

    private static int Amount(JsonObject set, string field, int nodes) =>
        Fields.IntOrPercent(
            set.At("spec", "updateStrategy", "rollingUpdate", field), nodes, field == "maxSurge" ? 0 : 1, roundUp: true);

    private void Roll(JsonObject set, string newest, List<JsonObject> pods, HashSet<string> eligible, DateTimeOffset now)
    {
        var minReady = set.Int(0, "spec", "minReadySeconds");
        var allowed = Math.Max(1, Amount(set, "maxUnavailable", eligible.Count));
        var active = pods.Where(p => PodReading.IsActive(p) && eligible.Contains(NodeOf(p))).ToList();
        var unavailable = eligible.Count - active.Count(p => PodReading.IsAvailable(p, minReady, now));
        var old = active.Where(p => p.Label(Revisions.HashLabel) != newest).ToList();
        foreach (var pod in old.Where(p => !PodReading.IsAvailable(p, minReady, now)))
            Remove(set, pod);
        foreach (var pod in old.Where(p => PodReading.IsAvailable(p, minReady, now)).Take(Math.Max(0, allowed - unavailable)))
            Remove(set, pod);
    }

    private static JsonObject Draft(JsonObject set, string revision, string node)
    {
        var pod = PodTemplates.Instantiate(set.Obj("spec", "template"), set, Kinds.DaemonSets);
        pod.Obj("metadata")!.Ensure("labels")[Revisions.HashLabel] = revision;
        var spec = pod.Obj("spec")!;
        var required = spec.Ensure("affinity").Ensure("nodeAffinity").Ensure("requiredDuringSchedulingIgnoredDuringExecution");
        if (required["nodeSelectorTerms"] is not JsonArray { Count: > 0 } terms)
            required["nodeSelectorTerms"] = terms = [(JsonNode)new JsonObject()];
        foreach (var term in terms.OfType<JsonObject>())
            term["matchFields"] = Fields.ListOf([new JsonObject
            {
                ["key"] = "metadata.name",
                ["operator"] = "In",
                ["values"] = Fields.ListOf([node])
            }]);
        if (spec["tolerations"] is not JsonArray tolerations)
            spec["tolerations"] = tolerations = [];
        foreach (var (key, effect) in Tolerated)
            tolerations.Add((JsonNode?)new JsonObject { ["key"] = key, ["operator"] = "Exists", ["effect"] = effect });
        return pod;
    }

    private static string NodeOf(JsonObject pod) =>
        pod.Str("spec", "nodeName")
        ?? pod.Objs("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
            .SelectMany(t => t.Objs("matchFields")).SelectMany(f => f.Strs("values")).FirstOrDefault() ?? "";

    private bool Create(JsonObject set, JsonObject draft)
    {
        try
        {
            var pod = api.Create(Kinds.Pods, set.Namespace(), draft);
            events.Normal(set, "SuccessfulCreate", $"Created pod: {pod.Name()}");
            return true;
        }
        catch (ApiException e)
        {
            events.Warning(set, "FailedCreate", $"Error creating: {e.Message}");
            return false;
        }
    }

    private void Remove(JsonObject set, JsonObject pod)
    {
        try
        {
            api.Delete(Kinds.Pods, pod.Namespace(), pod.Name(), new() { PreconditionUid = pod.Uid() });
            events.Normal(set, "SuccessfulDelete", $"Deleted pod: {pod.Name()}");
        }
        catch (ApiException e) when (e.Code == 404)
        {
            // Gone already.
        }
    }

    private void WriteStatus(JsonObject set, string newest, HashSet<string> eligible, DateTimeOffset now)
    {
        if (api.Get(Kinds.DaemonSets, set.Namespace(), set.Name()) is not { } fresh || fresh.Uid() != set.Uid())
            return;
        var minReady = set.Int(0, "spec", "minReadySeconds");
        var active = api.List(Kinds.Pods, set.Namespace()).Items
            .Where(p => Ownership.ControllerOf(p).Str("uid") == set.Uid() && PodReading.IsActive(p))
            .ToList();
        var placed = active.Where(p => eligible.Contains(NodeOf(p))).ToList();
        var available = placed.Count(p => PodReading.IsAvailable(p, minReady, now));
        var status = fresh.Obj("status")?.Copy() ?? new JsonObject();
        status["observedGeneration"] = set.Generation();
        status["currentNumberScheduled"] = placed.Count;
        status["desiredNumberScheduled"] = eligible.Count;
        status["numberMisscheduled"] = active.Count - placed.Count;
        status["numberReady"] = placed.Count(PodReading.IsReady);
        ReplicaSetController.SetCount(
            status, "updatedNumberScheduled", placed.Count(p => p.Label(Revisions.HashLabel) == newest));
        ReplicaSetController.SetCount(status, "numberAvailable", available);
        ReplicaSetController.SetCount(status, "numberUnavailable", eligible.Count - available);
        if (JsonNode.DeepEquals(status, fresh.Obj("status")))
            return;
        fresh["status"] = status;
        api.UpdateStatus(Kinds.DaemonSets, fresh);
    }
}
