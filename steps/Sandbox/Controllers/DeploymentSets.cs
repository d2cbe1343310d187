using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>A deployment's replica sets: finding, making, sizing, numbering and forgetting them.</summary>
internal sealed class DeploymentSets(ClusterApi api, EventRecorder events)
{
    public const string RevisionAnnotation = "deployment.kubernetes.io/revision";
    private const string HistoryAnnotation = "deployment.kubernetes.io/revision-history";
    private const string DesiredAnnotation = "deployment.kubernetes.io/desired-replicas";
    private const string MaxAnnotation = "deployment.kubernetes.io/max-replicas";
    private const string HashLabel = "pod-template-hash";

    private static readonly HashSet<string> OwnAnnotations =
        [
            "kubectl.kubernetes.io/last-applied-configuration",
            RevisionAnnotation,
            HistoryAnnotation,
            DesiredAnnotation,
            MaxAnnotation,
            "deprecated.deployment.rollback.to"
        ];

    public static ReplicaCount Count(JsonObject set) =>
        new(
            set.Name(),
            set.Int(1, "spec", "replicas"),
            set.Int(0, "status", "replicas"),
            set.Int(0, "status", "availableReplicas"));

    /// <summary>The oldest set with the deployment's template, or null.</summary>
    public static JsonObject? Newest(JsonObject deployment, List<JsonObject> owned)
    {
        var template = deployment.Obj("spec", "template");
        return owned.FirstOrDefault(s => PodTemplates.Same(s.Obj("spec", "template"), template));
    }

    /// <summary>Whether spec.replicas changed since the sets were sized.</summary>
    public static bool IsRescaled(JsonObject deployment, List<JsonObject> owned)
    {
        var replicas = deployment.Int(1, "spec", "replicas");
        return owned.Any(s => s.Int(1, "spec", "replicas") > 0
            && int.TryParse(s.Annotation(DesiredAnnotation), NumberStyles.None, CultureInfo.InvariantCulture, out var desired)
                && desired != replicas);
    }

    public JsonObject? Create(JsonObject deployment, long revision, List<JsonObject> owned, JsonObject status)
    {
        var template = deployment.Obj("spec", "template")?.Copy() ?? new JsonObject();
        var hash = PodTemplates.Hash(template, status.Int(0, "collisionCount"));
        template.Ensure("metadata").Ensure("labels")[HashLabel] = hash;
        var selector = deployment.Obj("spec", "selector")?.Copy() ?? new JsonObject();
        selector.Ensure("matchLabels")[HashLabel] = hash;
        var replicas = deployment.Int(1, "spec", "replicas");
        var (surge, _) = DeploymentRollout.Limits(deployment);
        var recreate = deployment.Str("spec", "strategy", "type") == "Recreate";
        var size = DeploymentRollout.NewSize(recreate, replicas, surge, new("", 0, 0, 0), [.. owned.Select(Count)]);
        var annotations = Fields.MapOf(deployment.Map("metadata", "annotations").Where(a => !OwnAnnotations.Contains(a.Key)));
        annotations[RevisionAnnotation] = revision.ToString(CultureInfo.InvariantCulture);
        annotations[DesiredAnnotation] = replicas.ToString(CultureInfo.InvariantCulture);
        annotations[MaxAnnotation] = (replicas + surge).ToString(CultureInfo.InvariantCulture);
        var set = new JsonObject
        {
            ["apiVersion"] = Kinds.ReplicaSets.ApiVersion,
            ["kind"] = Kinds.ReplicaSets.Kind,
            ["metadata"] = new JsonObject
            {
                ["name"] = $"{deployment.Name()}-{hash}",
                ["namespace"] = deployment.Namespace(),
                ["labels"] = template.Obj("metadata", "labels")!.Copy(),
                ["annotations"] = annotations,
                ["ownerReferences"] = Fields.ListOf([Ownership.Reference(deployment, Kinds.Deployments)]),
            },
            ["spec"] = new JsonObject { ["replicas"] = size, ["selector"] = selector, ["template"] = template },
        };
        if (deployment.Num("spec", "minReadySeconds") is { } minReady)
            set.Obj("spec")!["minReadySeconds"] = minReady;
        try
        {
            var made = api.Create(Kinds.ReplicaSets, deployment.Namespace(), set);
            owned.Add(made);
            if (size > 0)
                events.Normal(deployment, "ScalingReplicaSet", $"Scaled up replica set {made.Name()} from 0 to {size}");
            return made;
        }
        catch (ApiException e) when (e.Code == 409)
        {
            // Another set has the name: a hash collision, or our own that a fresh list will show.
            if (api.Get(Kinds.ReplicaSets, deployment.Namespace(), set.Name()) is { } present
                && Ownership.ControllerOf(present).Str("uid") != deployment.Uid())
            {
                status["collisionCount"] = status.Int(0, "collisionCount") + 1;
            }

            throw;
        }
    }

    /// <summary>Sets a set's size and the annotations that go with it.</summary>
    public void Scale(JsonObject deployment, JsonObject set, int size, List<JsonObject> owned)
    {
        var from = set.Int(1, "spec", "replicas");
        var (surge, _) = DeploymentRollout.Limits(deployment);
        var replicas = deployment.Int(1, "spec", "replicas");
        var draft = set.Copy();
        var annotations = draft.Ensure("metadata").Ensure("annotations");
        annotations[DesiredAnnotation] = replicas.ToString(CultureInfo.InvariantCulture);
        annotations[MaxAnnotation] = (replicas + surge).ToString(CultureInfo.InvariantCulture);
        draft.Ensure("spec")["replicas"] = size;
        if (JsonNode.DeepEquals(draft, set))
            return;
        Replace(owned, api.Update(Kinds.ReplicaSets, draft));
        if (size != from)
            events.Normal(deployment, "ScalingReplicaSet",
                $"Scaled {(size > from ? "up" : "down")} replica set {set.Name()} from {from} to {size}");
    }

    /// <summary>Follows a changed spec.replicas without rolling: the one active set, or all in proportion.</summary>
    public void ScaleInPlace(JsonObject deployment, JsonObject? newest, List<JsonObject> owned)
    {
        var replicas = deployment.Int(1, "spec", "replicas");
        var active = owned.Where(s => s.Int(1, "spec", "replicas") > 0).ToList();
        var only = active.Count switch { 0 => newest ?? owned.LastOrDefault(), 1 => active[0], _ => null };
        if (active.Count <= 1)
        {
            if (only is not null)
                Scale(deployment, only, replicas, owned);
            return;
        }

        if (deployment.Str("spec", "strategy", "type") == "Recreate")
            return;
        var (surge, _) = DeploymentRollout.Limits(deployment);
        var sizes = DeploymentRollout.Proportional(
            replicas > 0 ? replicas + surge : 0, [.. active.AsEnumerable().Reverse().Select(Count)]);
        foreach (var set in active)
            Scale(deployment, set, sizes[set.Name()], owned);
    }

    /// <summary>Gives the newest set its revision and the deployment's annotations; null when it has them already.</summary>
    public JsonObject? SetRevision(JsonObject deployment, JsonObject set, long revision, List<JsonObject> owned)
    {
        var draft = set.Copy();
        var annotations = draft.Ensure("metadata").Ensure("annotations");
        foreach (var (key, value) in deployment.Map("metadata", "annotations").Where(a => !OwnAnnotations.Contains(a.Key)))
            annotations[key] = value;
        var before = set.Annotation(RevisionAnnotation);
        var text = revision.ToString(CultureInfo.InvariantCulture);
        if (before is not null && before != text)
            annotations[HistoryAnnotation] = set.Annotation(HistoryAnnotation) is { Length: > 0 } history
                ? $"{history},{before}"
                : before;
        annotations[RevisionAnnotation] = text;
        if (deployment.Num("spec", "minReadySeconds") is { } minReady)
            draft.Ensure("spec")["minReadySeconds"] = minReady;
        if (JsonNode.DeepEquals(draft, set))
            return null;
        var updated = api.Update(Kinds.ReplicaSets, draft);
        Replace(owned, updated);
        return updated;
    }

    public void MarkRevision(JsonObject deployment, long revision)
    {
        var text = revision.ToString(CultureInfo.InvariantCulture);
        if (deployment.Annotation(RevisionAnnotation) == text
            || api.Get(Kinds.Deployments, deployment.Namespace(), deployment.Name()) is not { } fresh)
            return;
        fresh.Ensure("metadata").Ensure("annotations")[RevisionAnnotation] = text;
        api.Update(Kinds.Deployments, fresh);
    }

    /// <summary>Removes the oldest empty sets beyond revisionHistoryLimit.</summary>
    public void CleanUp(JsonObject deployment, JsonObject? newest, List<JsonObject> owned)
    {
        var old = owned.Where(s => s.Uid() != newest?.Uid() && !s.IsBeingDeleted()).ToList();
        var surplus = old.Count - deployment.Int(10, "spec", "revisionHistoryLimit");
        foreach (var set in old.OrderBy(DeploymentController.Revision).Take(Math.Max(0, surplus)))
        {
            if (set.Int(0, "status", "replicas") != 0
                || set.Int(1, "spec", "replicas") != 0
                || (set.Num("status", "observedGeneration") ?? 0) < set.Generation())
                continue;
            api.Delete(Kinds.ReplicaSets, set.Namespace(), set.Name(), new() { PreconditionUid = set.Uid() });
            owned.Remove(set);
        }
    }

    private static void Replace(List<JsonObject> owned, JsonObject updated)
    {
        var index = owned.FindIndex(s => s.Uid() == updated.Uid());
        if (index >= 0)
            owned[index] = updated;
    }
}
