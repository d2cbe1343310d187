using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>Deletion with preconditions, grace periods, finalizers and propagation.</summary>
internal sealed class Deletion(ClusterApi api)
{
    public const string ForegroundFinalizer = "foregroundDeletion";
    public const string OrphanFinalizer = "orphan";

    /// <summary>Deletes or marks; gives the object's last state and whether it is gone.</summary>
    public (StoredObject Object, bool Gone) Delete(ResourceType type, string? ns, string name, DeleteOptions options)
    {
        lock (api.Store.Gate)
        {
            var existing = api.Require(type, ns, name);
            CheckPreconditions(type, existing, options);
            if (type == Kinds.Namespaces && name is "default" or "kube-system" or "kube-public")
                throw ApiException.Forbidden(type, name, "this namespace may not be deleted");
            var obj = existing.Copy();
            var metadata = obj.Ensure("metadata");
            AddPropagationFinalizer(type, metadata, options);
            var grace = Grace(type, obj, options);
            var marked = metadata.Str("deletionTimestamp") is not null;
            if (!marked || (metadata.Num("deletionGracePeriodSeconds") ?? 0) > grace)
            {
                metadata["deletionTimestamp"] = JsonAccess.Stamp(api.Time.GetUtcNow().AddSeconds(grace));
                metadata["deletionGracePeriodSeconds"] = grace;
                if (type.HasGeneration && !marked)
                    metadata["generation"] = (metadata.Num("generation") ?? 1) + 1;
            }
            if (type == Kinds.Namespaces)
                obj.Ensure("status")["phase"] = "Terminating";
            var gone = IsComplete(type, obj);
            if (options.DryRun)
                return (StoredObject.Freeze(obj, existing.Revision), gone);
            if (gone)
                return (api.Store.Remove(type.StorageKey, obj), true);
            return (JsonNode.DeepEquals(existing.Copy(), obj) ? existing : api.Store.Put(type.StorageKey, obj), false);
        }
    }

    /// <summary>Whether nothing keeps an object that is marked for deletion.</summary>
    public static bool IsComplete(ResourceType type, JsonObject obj) =>
        obj.Str("metadata", "deletionTimestamp") is not null
        && (obj.Num("metadata", "deletionGracePeriodSeconds") ?? 0) == 0
        && !obj.Strs("metadata", "finalizers").Any()
        && (type != Kinds.Namespaces || !obj.Strs("spec", "finalizers").Any());

    private static void CheckPreconditions(ResourceType type, StoredObject existing, DeleteOptions options)
    {
        if (options.PreconditionUid is { } uid && uid != existing.Uid)
        {
            throw Unmet(type, existing.Name,
                $"the UID in the precondition ({uid}) does not match the UID in record ({existing.Uid}). The object might have " +
                "been deleted and then recreated");
        }
        if (options.PreconditionResourceVersion is { } version && version != existing.Revision.ToString())
        {
            throw Unmet(type, existing.Name,
                $"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record " +
                $"({existing.Revision}). The object might have been modified");
        }
    }

    // Here Kubernetes names the kind where other conflicts name the plural.
    private static ApiException Unmet(ResourceType type, string name, string why) =>
        new(409, "Conflict",
            $"Operation cannot be fulfilled on {(type.Group.Length == 0 ? type.Kind : $"{type.Kind}.{type.Group}")} " +
            $"\"{name}\": {why}")
        {
            Name = name,
            Group = type.Group,
            Subject = type.Kind
        };

    private static void AddPropagationFinalizer(ResourceType type, JsonObject metadata, DeleteOptions options)
    {
        // Jobs keep their pods unless told otherwise: an old promise that Kubernetes still holds.
        var byDefault = type == Kinds.Jobs ? Propagation.Orphan : (Propagation?)null;
        var finalizers = metadata.Strs("finalizers").ToList();
        switch (options.Propagation
            ?? (finalizers.Contains(ForegroundFinalizer) || finalizers.Contains(OrphanFinalizer) ? null : byDefault))
        {
            case Propagation.Foreground:
                finalizers.Remove(OrphanFinalizer);
                if (!finalizers.Contains(ForegroundFinalizer))
                    finalizers.Add(ForegroundFinalizer);
                break;
            case Propagation.Orphan:
                finalizers.Remove(ForegroundFinalizer);
                if (!finalizers.Contains(OrphanFinalizer))
                    finalizers.Add(OrphanFinalizer);
                break;
            case Propagation.Background:
                finalizers.Remove(ForegroundFinalizer);
                finalizers.Remove(OrphanFinalizer);
                break;
            default:
                return;
        }
        if (finalizers.Count > 0)
            metadata["finalizers"] = new JsonArray([.. finalizers.Select(f => (JsonNode?)f)]);
        else
            metadata.Remove("finalizers");
    }

    private static long Grace(ResourceType type, JsonObject obj, DeleteOptions options)
    {
        if (type != Kinds.Pods)
            return 0;
        if (obj.Str("spec", "nodeName") is not { Length: > 0 } || obj.Str("status", "phase") is "Succeeded" or "Failed")
            return 0;
        var wanted = options.GracePeriodSeconds ?? obj.Num("spec", "terminationGracePeriodSeconds") ?? 30;
        var running = obj.Num("metadata", "deletionGracePeriodSeconds");
        return Math.Max(
            0, running is { } r && obj.Str("metadata", "deletionTimestamp") is not null ? Math.Min(r, wanted) : wanted);
    }
}
