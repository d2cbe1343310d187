using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api.Store;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Api;

/// <summary>
/// Empties namespaces that are being terminated and gives each live one its default account and root certificate.
/// </summary>
internal sealed class NamespaceLifecycle : IClusterComponent
{
    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var work = Channel.CreateUnbounded<string>(new() { SingleReader = true });
        void OnCommit(string storageKey, StoreEvent change)
        {
            if (storageKey == Kinds.Namespaces.StorageKey)
                work.Writer.TryWrite(change.Object.Name);
            else if (change.Type == WatchEventType.Deleted && change.Object.Namespace is { } ns)
                work.Writer.TryWrite(ns);
        }
        lock (api.Store.Gate)
        {
            api.Store.Committed += OnCommit;
            foreach (var ns in api.Store.List(Kinds.Namespaces.StorageKey, null))
                work.Writer.TryWrite(ns.Name);
        }
        try
        {
            await foreach (var name in work.Reader.ReadAllAsync(cancel).ConfigureAwait(false))
                Settle(api, name);
        }
        finally
        {
            lock (api.Store.Gate)
                api.Store.Committed -= OnCommit;
        }
    }

    private static void Settle(ClusterApi api, string name)
    {
        StoredObject? ns;
        lock (api.Store.Gate)
            ns = api.Store.Find(Kinds.Namespaces.StorageKey, null, name);
        if (ns is null)
            return;
        if (!ns.IsDeleting)
            Furnish(api, name);
        else
            Empty(api, name);
    }

    internal static void Furnish(ClusterApi api, string ns)
    {
        CreateMissing(api, Kinds.ServiceAccounts, ns, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "default" } });
        if (api.RootCertificatePem is { } pem)
        {
            CreateMissing(api, Kinds.ConfigMaps, ns, new JsonObject
            {
                ["metadata"] = new JsonObject
                {
                    ["name"] = "kube-root-ca.crt",
                    ["annotations"] = new JsonObject
                    {
                        ["kubernetes.io/description"] = "Contains a CA bundle that can be used to verify the kube-apiserver."
                    },
                },
                ["data"] = new JsonObject { ["ca.crt"] = pem },
            });
        }
    }

    private static void CreateMissing(ClusterApi api, ResourceType type, string ns, JsonObject obj)
    {
        try
        {
            if (api.Get(type, ns, obj.Str("metadata", "name")!) is null)
                api.Create(type, ns, obj);
        }
        catch (ApiException e) when (e.Code is 403 or 404 or 409)
        {
            // The namespace went away or somebody else was faster.
        }
    }

    private static void Empty(ClusterApi api, string ns)
    {
        List<(ResourceType Type, StoredObject Object)> content = [];
        lock (api.Store.Gate)
        {
            foreach (var key in api.Store.StorageKeys)
            {
                if (api.Types.FindStored(key) is { Namespaced: true } type)
                    content.AddRange(api.Store.List(key, ns).Select(o => (type, o)));
            }
        }
        foreach (var (type, obj) in content)
        {
            try
            {
                if (!obj.IsDeleting)
                    api.Delete(type, ns, obj.Name, new DeleteOptions { Propagation = Propagation.Background });
            }
            catch (ApiException e) when (e.Code is 404 or 409)
            {
                // Already gone.
            }
        }
        lock (api.Store.Gate)
        {
            if (api.Store.Find(Kinds.Namespaces.StorageKey, null, ns) is not { IsDeleting: true } current)
                return;
            var obj = current.Copy();
            var left = api.Store.StorageKeys.Select(api.Types.FindStored)
                .OfType<ResourceType>()
                .Where(t => t.Namespaced)
                .ToDictionary(t => t, t => api.Store.List(t.StorageKey, ns));
            Report(obj, left, api.Time.GetUtcNow());
            if (left.Values.Any(l => l.Count > 0))
            {
                if (!JsonNode.DeepEquals(obj, current.Copy()))
                    api.Store.Put(Kinds.Namespaces.StorageKey, obj);
                return;
            }
            if (obj.At("spec", "finalizers") is JsonArray finalizers)
            {
                for (var i = finalizers.Count - 1; i >= 0; i--)
                {
                    if (finalizers[i].Str() == "kubernetes")
                        finalizers.RemoveAt(i);
                }
                if (finalizers.Count == 0)
                    obj.Ensure("spec").Remove("finalizers");
            }
            if (Deletion.IsComplete(Kinds.Namespaces, obj))
                api.Store.Remove(Kinds.Namespaces.StorageKey, obj);
            else if (!JsonNode.DeepEquals(obj, current.Copy()))
                api.Store.Put(Kinds.Namespaces.StorageKey, obj);
        }
    }

    // What keeps the namespace, as Kubernetes' controller tells it.
    private static void Report(JsonObject ns, Dictionary<ResourceType, List<StoredObject>> left, DateTimeOffset now)
    {
        var status = ns.Ensure("status");
        status.SetCondition(
            "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered", now);
        status.SetCondition(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
            now);
        status.SetCondition(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
            now);
        var kinds = left.Where(l => l.Value.Count > 0)
            .Select(l => $"{l.Key.Plural}.{l.Key.Group} has {l.Value.Count} resource instances")
            .Order()
            .ToList();
        status.SetCondition(
            "NamespaceContentRemaining",
            kinds.Count > 0,
            kinds.Count > 0 ? "SomeResourcesRemain" : "ContentRemoved",
            kinds.Count > 0 ? "Some resources are remaining: " + string.Join(", ", kinds) : "All content successfully removed",
            now);
        var finalizers = left.Values.SelectMany(l => l)
            .SelectMany(o => o.Copy().Strs("metadata", "finalizers"))
            .CountBy(f => f)
            .Select(f => $"{f.Key} in {f.Value} resource instances")
            .Order()
            .ToList();
        status.SetCondition(
            "NamespaceFinalizersRemaining",
            finalizers.Count > 0,
            finalizers.Count > 0 ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
            finalizers.Count > 0
                ? "Some content in the namespace has finalizers remaining: " + string.Join(", ", finalizers)
                : "All content-preserving finalizers finished",
            now);
    }
}
