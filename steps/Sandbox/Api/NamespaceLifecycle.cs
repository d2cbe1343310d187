using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>Empties namespaces that are being terminated and gives each live one its default account and root certificate.</summary>
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
                    ["annotations"] = new JsonObject { ["kubernetes.io/description"] = "Contains a CA bundle that can be used to verify the kube-apiserver." },
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
            if (api.Store.StorageKeys.Any(key => api.Store.List(key, ns).Count > 0))
                return;
            var obj = current.Copy();
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
}
