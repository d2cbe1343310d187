using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Store;

/// <summary>
/// All objects of one cluster, with one revision counter, as etcd keeps them. Every member but <see cref="Gate"/> is used under
/// the gate.
/// </summary>
/// <param name="changesKept">Changes of each kind that a watch can resume over.</param>
internal sealed class ObjectStore(int changesKept)
{
    private const long EventBytesKept = 16 << 20;

    private readonly Dictionary<string, Collection> collections = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<(string StorageKey, string? Namespace, string Name)>> dependents =
        new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string StorageKey, string? Namespace, string Name)> byUid = new(StringComparer.Ordinal);

    public Lock Gate { get; } = new();

    public long Revision { get; private set; } = 1;

    /// <summary>Called under the gate for each change; must not block.</summary>
    public event Action<string, StoreEvent>? Committed;

    public StoredObject? Find(string storageKey, string? ns, string name) =>
        collections.TryGetValue(storageKey, out var collection)
        && collection.Spaces.TryGetValue(ns ?? "", out var space)
        && space.TryGetValue(name, out var found) ? found : null;

    public List<StoredObject> List(string storageKey, string? ns)
    {
        var result = new List<StoredObject>();
        if (!collections.TryGetValue(storageKey, out var collection))
            return result;
        if (ns is not null)
        {
            if (collection.Spaces.TryGetValue(ns, out var space))
                result.AddRange(space.Values);
        }
        else
        {
            foreach (var space in collection.Spaces.Values)
                result.AddRange(space.Values);
        }
        return result;
    }

    public int Count(string storageKey) =>
        collections.TryGetValue(storageKey, out var collection) ? collection.Spaces.Values.Sum(s => s.Count) : 0;

    public EventLog Log(string storageKey) => Open(storageKey).Log;

    public IEnumerable<string> StorageKeys => collections.Keys;

    /// <summary>Commits a new or changed object.</summary>
    public StoredObject Put(string storageKey, JsonObject obj)
    {
        var frozen = StoredObject.Freeze(obj, ++Revision);
        var collection = Open(storageKey);
        if (!collection.Spaces.TryGetValue(frozen.Namespace ?? "", out var space))
            collection.Spaces[frozen.Namespace ?? ""] = space = new(StringComparer.Ordinal);
        space.TryGetValue(frozen.Name, out var previous);
        space[frozen.Name] = frozen;
        Reindex(storageKey, previous, frozen);
        Commit(
            storageKey,
            collection,
            new StoreEvent(previous is null ? WatchEventType.Added : WatchEventType.Modified, frozen, previous));
        return frozen;
    }

    /// <summary>Commits a removal; the event shows this last state.</summary>
    public StoredObject Remove(string storageKey, JsonObject last)
    {
        var frozen = StoredObject.Freeze(last, ++Revision);
        var collection = Open(storageKey);
        StoredObject? previous = null;
        if (collection.Spaces.TryGetValue(frozen.Namespace ?? "", out var space)
            && space.Remove(frozen.Name, out previous)
            && space.Count == 0)
            collection.Spaces.Remove(frozen.Namespace ?? "");
        Reindex(storageKey, previous, null);
        Commit(storageKey, collection, new StoreEvent(WatchEventType.Deleted, frozen, previous));
        return frozen;
    }

    /// <summary>Objects that name this uid as an owner.</summary>
    public IReadOnlyList<(string StorageKey, StoredObject Object)> DependentsOf(string uid)
    {
        if (!dependents.TryGetValue(uid, out var keys))
            return [];
        var found = new List<(string, StoredObject)>(keys.Count);
        foreach (var (storageKey, ns, name) in keys)
        {
            if (Find(storageKey, ns, name) is { } obj)
                found.Add((storageKey, obj));
        }
        return found;
    }

    public bool Exists(string uid) => byUid.ContainsKey(uid);

    public StoredObject? FindByUid(string uid, out string storageKey)
    {
        (storageKey, var ns, var name) = byUid.GetValueOrDefault(uid);
        return storageKey is null ? null : Find(storageKey, ns, name);
    }

    private Collection Open(string storageKey)
    {
        if (!collections.TryGetValue(storageKey, out var collection))
            collections[storageKey] = collection = new Collection(new(changesKept, EventBytesKept));
        return collection;
    }

    private void Commit(string storageKey, Collection collection, StoreEvent change)
    {
        collection.Log.Append(change);
        Committed?.Invoke(storageKey, change);
    }

    private void Reindex(string storageKey, StoredObject? before, StoredObject? after)
    {
        if (before is not null && (after is null || after.Uid != before.Uid))
            byUid.Remove(before.Uid);
        if (after is not null)
            byUid[after.Uid] = (storageKey, after.Namespace, after.Name);
        if (before is not null)
        {
            foreach (var owner in before.OwnerUids)
            {
                if (dependents.TryGetValue(owner, out var set)
                    && set.Remove((storageKey, before.Namespace, before.Name))
                    && set.Count == 0)
                    dependents.Remove(owner);
            }
        }
        if (after is null)
            return;
        foreach (var owner in after.OwnerUids)
        {
            if (!dependents.TryGetValue(owner, out var set))
                dependents[owner] = set = [];
            set.Add((storageKey, after.Namespace, after.Name));
        }
    }

    private sealed class Collection(EventLog log)
    {
        public SortedDictionary<string, SortedDictionary<string, StoredObject>> Spaces { get; } = new(StringComparer.Ordinal);
        public EventLog Log { get; } = log;
    }
}
