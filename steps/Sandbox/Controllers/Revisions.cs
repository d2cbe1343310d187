using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>
/// The numbered templates of stateful and daemon sets, kept as ControllerRevisions so that a roll-out can be undone.
/// </summary>
internal sealed class Revisions(ClusterApi api, ResourceType ownerType)
{
    public const string HashLabel = "controller-revision-hash";

    /// <summary>All revisions of the owner, oldest first; the last one is the present template's.</summary>
    public List<JsonObject> Sync(JsonObject owner)
    {
        var selector = LabelSelector.FromObject(owner.Obj("spec", "selector"));
        var mine = api.List(Kinds.ControllerRevisions, owner.Namespace(), selector).Items
            .Where(r => Ownership.ControllerOf(r).Str("uid") == owner.Uid()).OrderBy(r => r.Num("revision")).ToList();
        var template = owner.Obj("spec", "template");
        var same = mine.FindLast(r => PodTemplates.Same(TemplateOf(r), template));
        var newest = (mine.Count == 0 ? 0 : mine[^1].Num("revision") ?? 0) + 1;
        if (same is null)
            mine.Add(Create(owner, template, newest));
        else if (!ReferenceEquals(same, mine[^1]))
        {
            // Back to an old template: it becomes the newest revision.
            mine.Remove(same);
            same["revision"] = newest;
            mine.Add(api.Update(Kinds.ControllerRevisions, same));
        }

        return mine;
    }

    public static JsonObject TemplateOf(JsonObject revision)
    {
        var template = revision.Obj("data", "spec", "template")?.Copy() ?? new JsonObject();
        template.Remove("$patch");
        return template;
    }

    /// <summary>Removes the oldest revisions beyond the limit that no pod has any more.</summary>
    public void CleanUp(JsonObject owner, List<JsonObject> revisions, IEnumerable<JsonObject> pods, params string?[] inUse)
    {
        var used = pods.Select(p => p.Label(HashLabel)).Concat(inUse).ToHashSet();
        var old = revisions.SkipLast(1).Where(r => !used.Contains(r.Name())).ToList();
        foreach (var revision in old.Take(Math.Max(0, old.Count - owner.Int(10, "spec", "revisionHistoryLimit"))))
            api.Delete(Kinds.ControllerRevisions, revision.Namespace(), revision.Name());
    }

    private JsonObject Create(JsonObject owner, JsonObject? template, long number)
    {
        var hash = PodTemplates.Hash(template);
        var data = template?.Copy() ?? new JsonObject();
        data["$patch"] = "replace";
        var labels = Fields.MapOf(template.Map("metadata", "labels"));
        labels["controller.kubernetes.io/hash"] = hash;
        return api.Create(Kinds.ControllerRevisions, owner.Namespace(), new JsonObject
        {
            ["apiVersion"] = Kinds.ControllerRevisions.ApiVersion,
            ["kind"] = Kinds.ControllerRevisions.Kind,
            ["metadata"] = new JsonObject
            {
                ["name"] = $"{owner.Name()}-{hash}",
                ["namespace"] = owner.Namespace(),
                ["labels"] = labels,
                ["ownerReferences"] = Fields.ListOf([Ownership.Reference(owner, ownerType)]),
            },
            ["data"] = new JsonObject { ["spec"] = new JsonObject { ["template"] = data } },
            ["revision"] = number,
        });
    }
}
