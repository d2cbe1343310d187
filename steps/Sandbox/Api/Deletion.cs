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
            throw ApiException.Conflict(type, existing.Name,
                $"Precondition failed: UID in precondition: {uid}, UID in object meta: {existing.Uid}");
        }
        if (options.PreconditionResourceVersion is { } version && version != existing.Revision.ToString())
        {
            throw ApiException.Conflict(type, existing.Name,
                $"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {existing.Revision}");
        }
    }

    private static void AddPropagationFinalizer(ResourceType type, JsonObject metadata, DeleteOptions options)
    {
        // Jobs and replication controllers keep their pods unless told otherwise: an old promise that Kubernetes still holds.
        var byDefault = type == Kinds.Jobs || type == Kinds.ReplicationControllers ? Propagation.Orphan : (Propagation?)null;
        var finalizers = metadata.Strs("finalizers").ToList();
        switch (options.Propagation ?? (finalizers.Contains(ForegroundFinalizer) || finalizers.Contains(OrphanFinalizer) ? null : byDefault))
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
        return Math.Max(0, running is { } r && obj.Str("metadata", "deletionTimestamp") is not null ? Math.Min(r, wanted) : wanted);
    }
}
