using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>Removes what has lost its owners and carries out foreground and orphan deletion.</summary>
internal sealed class GarbageCollector : IClusterComponent
{
    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var work = Channel.CreateUnbounded<(string StorageKey, StoredObject Object, bool Gone)>(new() { SingleReader = true });
        void OnCommit(string storageKey, StoreEvent change)
        {
            // An owner that is gone or going, or an object whose owner may never have existed.
            if (change.Type == WatchEventType.Deleted)
                work.Writer.TryWrite((storageKey, change.Object, true));
            else if (change.Object.OwnerUids.Count > 0 || change.Object.IsDeleting)
                work.Writer.TryWrite((storageKey, change.Object, false));
        }
        lock (api.Store.Gate)
            api.Store.Committed += OnCommit;
        try
        {
            await foreach (var (storageKey, obj, gone) in work.Reader.ReadAllAsync(cancel).ConfigureAwait(false))
                Settle(api, storageKey, obj, gone);
        }
        finally
        {
            lock (api.Store.Gate)
                api.Store.Committed -= OnCommit;
        }
    }

    private static void Settle(ClusterApi api, string storageKey, StoredObject obj, bool gone)
    {
        if (gone)
        {
            foreach (var (key, dependent) in Dependents(api, obj.Uid))
                SettleDependent(api, key, dependent);
            // The owners of what is gone may have waited for it.
            foreach (var owner in obj.OwnerUids)
                SettleOwner(api, owner);
            return;
        }
        if (obj.IsDeleting)
            SettleOwner(api, obj.Uid);
        SettleDependent(api, storageKey, obj);
    }

    private static IReadOnlyList<(string StorageKey, StoredObject Object)> Dependents(ClusterApi api, string uid)
    {
        lock (api.Store.Gate)
            return api.Store.DependentsOf(uid);
    }

    /// <summary>Deletes an object when none of its owners is left, else drops the references to those that are gone.</summary>
    private static void SettleDependent(ClusterApi api, string storageKey, StoredObject seen)
    {
        if (seen.OwnerUids.Count == 0 || api.Types.FindStored(storageKey) is not { } type)
            return;
        var delete = false;
        lock (api.Store.Gate)
        {
            if (api.Find(type, seen.Namespace, seen.Name) is not { } current
                || current.Uid != seen.Uid
                || current.OwnerUids.Count == 0)
                return;
            var left = current.OwnerUids.Where(api.Store.Exists).ToList();
            if (left.Count == current.OwnerUids.Count)
                return;
            delete = left.Count == 0;
            if (!delete)
                Rewrite(api, type, current, o => DropOwners(o, uid => !left.Contains(uid)));
        }
        if (delete)
            Delete(api, type, seen, Propagation.Background);
    }

    /// <summary>Goes on with the foreground or orphan deletion of an owner, when it is in one.</summary>
    private static void SettleOwner(ClusterApi api, string uid)
    {
        ResourceType? type;
        StoredObject? owner;
        IReadOnlyList<(string StorageKey, StoredObject Object)> dependents;
        lock (api.Store.Gate)
        {
            owner = api.Store.FindByUid(uid, out var storageKey);
            type = owner is null ? null : api.Types.FindStored(storageKey);
            if (owner is null || type is null || !owner.IsDeleting)
                return;
            dependents = api.Store.DependentsOf(uid);
        }
        var finalizers = owner.Copy().Strs("metadata", "finalizers").ToList();
        if (finalizers.Contains(Deletion.OrphanFinalizer))
        {
            foreach (var (key, dependent) in dependents)
            {
                if (api.Types.FindStored(key) is { } dependentType)
                    Rewrite(api, dependentType, dependent, o => DropOwners(o, u => u == uid));
            }
            Rewrite(api, type, owner, o => DropFinalizer(o, Deletion.OrphanFinalizer));
        }
        else if (finalizers.Contains(Deletion.ForegroundFinalizer))
        {
            var blocking = false;
            foreach (var (key, dependent) in dependents)
            {
                if (api.Types.FindStored(key) is not { } dependentType)
                    continue;
                var copy = dependent.Copy();
                blocking |= copy
                    .Objs("metadata", "ownerReferences")
                    .Any(r => r.Str("uid") == uid && r.Flag("blockOwnerDeletion"));
                if (!dependent.IsDeleting)
                    Delete(api, dependentType, dependent, Propagation.Foreground);
            }
            lock (api.Store.Gate)
                blocking = blocking
                    && api.Store
                        .DependentsOf(uid)
                        .Any(
                            d => d.Object.Copy()
                                .Objs("metadata", "ownerReferences")
                                .Any(r => r.Str("uid") == uid && r.Flag("blockOwnerDeletion")));
            if (!blocking)
                Rewrite(api, type, owner, o => DropFinalizer(o, Deletion.ForegroundFinalizer));
        }
    }

    private static void Delete(ClusterApi api, ResourceType type, StoredObject obj, Propagation propagation)
    {
        try
        {
            api.Delete(type, obj.Namespace, obj.Name, new DeleteOptions { Propagation = propagation, PreconditionUid = obj.Uid });
        }
        catch (ApiException e) when (e.Code is 404 or 409)
        {
            // Somebody else was faster.
        }
    }

    private static void Rewrite(ClusterApi api, ResourceType type, StoredObject seen, Action<JsonObject> change)
    {
        lock (api.Store.Gate)
        {
            if (api.Find(type, seen.Namespace, seen.Name) is not { } current || current.Uid != seen.Uid)
                return;
            var obj = current.Copy();
            change(obj);
            if (Deletion.IsComplete(type, obj))
                api.Store.Remove(type.StorageKey, obj);
            else if (!JsonNode.DeepEquals(obj, current.Copy()))
                api.Store.Put(type.StorageKey, obj);
        }
    }

    private static void DropOwners(JsonObject obj, Func<string, bool> drop)
    {
        if (obj.At("metadata", "ownerReferences") is not JsonArray owners)
            return;
        for (var i = owners.Count - 1; i >= 0; i--)
        {
            if (drop(owners[i].Str("uid") ?? ""))
                owners.RemoveAt(i);
        }
        if (owners.Count == 0)
            obj.Ensure("metadata").Remove("ownerReferences");
    }

    private static void DropFinalizer(JsonObject obj, string finalizer)
    {
        if (obj.At("metadata", "finalizers") is not JsonArray finalizers)
            return;
        for (var i = finalizers.Count - 1; i >= 0; i--)
        {
            if (finalizers[i].Str() == finalizer)
                finalizers.RemoveAt(i);
        }
        if (finalizers.Count == 0)
            obj.Ensure("metadata").Remove("finalizers");
    }
}
