using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Admission;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>
/// The objects of one cluster, under the rules that also hold over HTTP: defaulting, validation, admission, optimistic
/// concurrency, finalizers, generation, owner references. Safe for concurrent use. Every object handed out is the
/// caller's own copy; objects handed in are copied and never changed. Refusals are <see cref="ApiException"/>s.
/// </summary>
internal sealed class ClusterApi : IDisposable
{
    private readonly ObjectRules rules;

    /// <summary>Creates an empty cluster with the namespaces that every cluster has.</summary>
    public ClusterApi(ClusterApiOptions? options = null, TimeProvider? time = null)
    {
        Options = options ?? new ClusterApiOptions();
        Store = new ObjectStore(Options.ChangesKept);
        ServiceIpPrefix = Options.ServiceIpPrefix;
        Time = time ?? TimeProvider.System;
        rules = new ObjectRules(this);
        Deletion = new Deletion(this);
        Authorizer = new Authorizer(this);
        Tokens = new ServiceAccountTokens(this);
        Store.Committed += (key, _) =>
        {
            if (key == Kinds.CustomResourceDefinitions.StorageKey)
                Types.SetCustom(Store.List(key, null).SelectMany(d => DefinitionRules.TypesOf(d.Copy())));
        };
        foreach (var name in new[] { "default", "kube-system", "kube-public", "kube-node-lease" })
            Create(Kinds.Namespaces, null, new JsonObject { ["metadata"] = new JsonObject { ["name"] = name } });
        DefaultRoles.Create(this);
    }

    /// <summary>How pods are reached; null answers as an API without these subresources.</summary>
    public IPodAccess? Pods { get; set; }

    /// <summary>What the cluster was made with.</summary>
    public ClusterApiOptions Options { get; }

    /// <summary>The clock of timestamps and expiry.</summary>
    public TimeProvider Time { get; }

    /// <summary>
    /// What keeps the API's own promises: garbage collection, namespace life cycle, default accounts. Run these with the cluster.
    /// </summary>
    public static IReadOnlyList<IClusterComponent> CreateComponents() =>
        [new GarbageCollector(), new NamespaceLifecycle(), new CustomResourceLifecycle(), new TokenSecrets()];

    /// <summary>Certificate of the authority that signs the API's own; null before the API is served.</summary>
    public string? RootCertificatePem { get; internal set; }

    /// <summary>Where cluster IPs are taken from: as the options say, until the pods' network is there.</summary>
    internal string ServiceIpPrefix { get; set; }

    internal ObjectStore Store { get; }

    internal TypeRegistry Types { get; } = new();

    internal Deletion Deletion { get; }

    internal Authorizer Authorizer { get; }

    internal ServiceAccountTokens Tokens { get; }

    /// <summary>The object, or null when there is none.</summary>
    public JsonObject? Get(ResourceType type, string? ns, string name)
    {
        lock (Store.Gate)
            return Find(type, ns, name) is { } found ? Versions.Read(type, found) : null;
    }

    /// <summary>All objects of a kind, in one namespace or (null) all of them.</summary>
    public ObjectList List(ResourceType type, string? ns = null, LabelSelector? labels = null)
    {
        List<StoredObject> stored;
        long revision;
        lock (Store.Gate)
        {
            stored = Store.List(type.StorageKey, ns);
            revision = Store.Revision;
        }
        var selected = labels is null or { IsEmpty: true } ? stored : stored.Where(o => labels.Matches(o.Labels));
        return new ObjectList([.. selected.Select(o => Versions.Read(type, o))], revision);
    }

    /// <summary>Creates an object; <c>metadata.generateName</c> gives it a name when it has none. 409 when it exists.</summary>
    public JsonObject Create(ResourceType type, string? ns, JsonObject obj, WriteOptions? options = null) =>
        Versions.Read(type, CreateStored(type, ns, obj, options ?? new WriteOptions()));

    /// <summary>Replaces all but the status. 409 when a <c>resourceVersion</c> is given and is not the present one.</summary>
    public JsonObject Update(ResourceType type, JsonObject obj, WriteOptions? options = null) =>
        Versions.Read(type, UpdateStored(type, obj, null, options ?? new WriteOptions()));

    /// <summary>Replaces the status only. 409 when a <c>resourceVersion</c> is given and is not the present one.</summary>
    public JsonObject UpdateStatus(ResourceType type, JsonObject obj, WriteOptions? options = null) =>
        Versions.Read(type, UpdateStored(type, obj, "status", options ?? new WriteOptions()));

    /// <summary>
    /// Deletes an object, or marks it for deletion when finalizers, a grace period or dependents must come first.
    /// </summary>
    public void Delete(ResourceType type, string? ns, string name, DeleteOptions? options = null) =>
        Deletion.Delete(type, ns, name, options ?? new DeleteOptions());

    /// <summary>
    /// Changes after a resourceVersion, without end. With 0, first an Added for each object that exists.
    /// Throws 410 Expired when the version is too old, also later when the reader falls behind: list again and go on from there.
    /// </summary>
    public async IAsyncEnumerable<WatchEvent> WatchAsync(
        ResourceType type, string? ns, long resourceVersion, [EnumeratorCancellation] CancellationToken ct)
    {
        var position = resourceVersion;
        if (position == 0)
        {
            var list = List(type, ns);
            position = list.ResourceVersion;
            foreach (var item in list.Items)
                yield return new WatchEvent(WatchEventType.Added, item, long.Parse(item.Str("metadata", "resourceVersion")!));
        }
        await foreach (var change in FollowAsync(type, ns, position, ct))
            yield return new WatchEvent(change.Type, Versions.Read(type, change.Object), change.Revision);
    }

    /// <inheritdoc />
    public void Dispose() => Tokens.Dispose();

    internal async IAsyncEnumerable<StoreEvent> FollowAsync(
        ResourceType type, string? ns, long position, [EnumeratorCancellation] CancellationToken ct)
    {
        while (true)
        {
            ct.ThrowIfCancellationRequested();
            StoreEvent[]? batch;
            Task changed;
            lock (Store.Gate)
            {
                var log = Store.Log(type.StorageKey);
                batch = log.After(position);
                changed = log.Changed;
            }
            if (batch is null)
                throw ApiException.Expired($"too old resource version: {position}");
            if (batch.Length == 0)
            {
                await changed.WaitAsync(ct).ConfigureAwait(false);
                continue;
            }
            foreach (var change in batch)
            {
                position = change.Revision;
                if (ns is null || change.Object.Namespace == ns)
                    yield return change;
            }
        }
    }

    /// <summary>
    /// A token for a pod of a service account, bound to the pod. Audience null means the API itself.
    /// Throws 404 when the account is gone.
    /// </summary>
    public string IssueToken(string ns, string account, string? audience, TimeSpan life, string pod, string podUid)
    {
        var found = Get(Kinds.ServiceAccounts, ns, account) ?? throw ApiException.NotFound(Kinds.ServiceAccounts, account);
        return Tokens.Issue(
            ns,
            account,
            found.Str("metadata", "uid")!,
            [audience ?? ServiceAccountTokens.Issuer],
            life,
            new BoundObject("Pod", pod, podUid)).Token;
    }

    /// <summary>A custom kind as its definition describes it, also when the caller only knows its names.</summary>
    internal ResourceType Resolve(ResourceType type) =>
        Kinds.All.Contains(type) ? type : Types.Find(type.Group, type.Version, type.Plural) ?? type;

    internal StoredObject? Find(ResourceType type, string? ns, string name) =>
        Store.Find(type.StorageKey, type.Namespaced ? ns ?? "default" : null, name);

    internal StoredObject Require(ResourceType type, string? ns, string name) =>
        Find(type, ns, name) ?? throw ApiException.NotFound(type, name);

    internal StoredObject CreateStored(ResourceType type, string? ns, JsonObject input, WriteOptions options)
    {
        type = Resolve(type);
        var obj = (JsonObject)input.DeepClone();
        lock (Store.Gate)
        {
            rules.PrepareCreate(type, ns, obj, options);
            var metadata = obj.Ensure("metadata");
            var name = metadata.Str("name")!;
            if (Find(type, metadata.Str("namespace"), name) is not null)
                throw ApiException.AlreadyExists(type, name);
            if (options.DryRun)
                return StoredObject.Freeze(obj, 0);
            var created = Store.Put(type.StorageKey, obj);
            // At once, so that whoever makes a namespace may put pods into it without waiting.
            if (type == Kinds.Namespaces)
                NamespaceLifecycle.Furnish(this, created.Name);
            return created;
        }
    }

    internal StoredObject UpdateStored(ResourceType type, JsonObject input, string? subresource, WriteOptions options)
    {
        type = Resolve(type);
        lock (Store.Gate)
        {
            var existing = Require(type, input.Str("metadata", "namespace"), input.Str("metadata", "name") ?? "");
            return ReplaceStored(type, existing, (JsonObject)input.DeepClone(), subresource, options);
        }
    }

    /// <summary>Under the gate: replaces an object by one that the caller gives away.</summary>
    internal StoredObject ReplaceStored(
        ResourceType type, StoredObject existing, JsonObject obj, string? subresource, WriteOptions options)
    {
        var version = obj.Str("metadata", "resourceVersion");
        if (version is { Length: > 0 } && version != existing.Revision.ToString())
            throw ApiException.Conflict(type, existing.Name);
        if (obj.Str("metadata", "uid") is { Length: > 0 } uid && uid != existing.Uid)
        {
            throw ApiException.Conflict(type, existing.Name,
                $"Precondition failed: UID in precondition: {uid}, UID in object meta: {existing.Uid}");
        }
        var old = existing.Copy();
        rules.PrepareUpdate(type, old, obj, subresource, options);
        obj.Ensure("metadata")["resourceVersion"] = existing.Revision.ToString();
        if (Api.Deletion.IsComplete(type, obj))
            return options.DryRun ? StoredObject.Freeze(obj, existing.Revision) : Store.Remove(type.StorageKey, obj);
        if (JsonNode.DeepEquals(old, obj))
            return existing;
        return options.DryRun ? StoredObject.Freeze(obj, existing.Revision) : Store.Put(type.StorageKey, obj);
    }
}
