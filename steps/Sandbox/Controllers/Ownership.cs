using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Who controls whom: owner references, adoption and release.</summary>
internal static class Ownership
{
    public static JsonObject? ControllerOf(JsonNode obj) =>
        obj.Objs("metadata", "ownerReferences").FirstOrDefault(o => o.Flag("controller"));

    /// <summary>The key of the controller when it is of that kind.</summary>
    public static ObjectKey? ControllerKey(JsonNode obj, ResourceType type) =>
        ControllerOf(obj) is { } owner
            && owner.Str("kind") == type.Kind
            && (owner.Str("apiVersion") ?? "").StartsWith(type.Group, StringComparison.Ordinal)
            ? new(obj.Namespace(), owner.Str("name") ?? "")
            : null;

    public static JsonObject Reference(JsonNode owner, ResourceType type) => new()
    {
        ["apiVersion"] = type.ApiVersion,
        ["kind"] = type.Kind,
        ["name"] = owner.Name(),
        ["uid"] = owner.Uid(),
        ["controller"] = true,
        ["blockOwnerDeletion"] = true,
    };

    /// <summary>
    /// The objects of a kind that an owner controls: those that name it and match its selector. Matching orphans are adopted,
    /// owned ones that match no longer are released.
    /// </summary>
    public static List<JsonObject> Claim(ClusterApi api, ResourceType type, JsonObject owner, ResourceType ownerType)
    {
        var selector = LabelSelector.FromObject(owner.Obj("spec", "selector"));
        var mine = new List<JsonObject>();
        foreach (var candidate in api.List(type, owner.Namespace()).Items)
        {
            var controller = ControllerOf(candidate);
            // Without a selector an owner claims what names it and nothing else.
            var matches = !selector.IsEmpty && selector.Matches(candidate);
            if (controller.Str("uid") == owner.Uid())
            {
                if (matches || selector.IsEmpty)
                    mine.Add(candidate);
                else if (!owner.IsBeingDeleted())
                    Release(api, type, candidate, owner);
            }
            else if (controller is null && matches && !owner.IsBeingDeleted() && !candidate.IsBeingDeleted())
            {
                if (candidate.Obj("metadata")!["ownerReferences"] is not JsonArray references)
                    candidate.Obj("metadata")!["ownerReferences"] = references = [];
                references.Add((JsonNode?)Reference(owner, ownerType));
                mine.Add(api.Update(type, candidate));
            }
        }

        return mine;
    }

    private static void Release(ClusterApi api, ResourceType type, JsonObject candidate, JsonObject owner)
    {
        var references = (JsonArray)candidate.Obj("metadata")!["ownerReferences"]!;
        foreach (var reference in references.OfType<JsonObject>().Where(r => r.Str("uid") == owner.Uid()).ToList())
            references.Remove(reference);
        if (references.Count == 0)
            candidate.Obj("metadata")!.Remove("ownerReferences");
        api.Update(type, candidate);
    }
}
