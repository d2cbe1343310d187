using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api.Admission;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>Removes the objects of custom kinds whose definition is being deleted, then the definition.</summary>
internal sealed class CustomResourceLifecycle : IClusterComponent
{
    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var work = Channel.CreateUnbounded<string>(new() { SingleReader = true });
        void OnCommit(string storageKey, StoreEvent change)
        {
            if (storageKey == Kinds.CustomResourceDefinitions.StorageKey
                && change.Object.IsDeleting
                && change.Type != WatchEventType.Deleted)
                work.Writer.TryWrite(change.Object.Name);
            else if (change.Type == WatchEventType.Deleted
                && storageKey.Contains('.')
                && api.Types.FindStored(storageKey) is { IsCustom: true })
                work.Writer.TryWrite(storageKey);
        }
        lock (api.Store.Gate)
            api.Store.Committed += OnCommit;
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
        List<StoredObject> objects;
        lock (api.Store.Gate)
        {
            if (api.Store.Find(Kinds.CustomResourceDefinitions.StorageKey, null, name) is not { IsDeleting: true })
                return;
            objects = api.Store.List(name, null);
        }
        if (api.Types.FindStored(name) is { } type)
        {
            foreach (var obj in objects.Where(o => !o.IsDeleting))
            {
                try
                {
                    api.Delete(type, obj.Namespace, obj.Name);
                }
                catch (ApiException e) when (e.Code == 404)
                {
                    // Already gone.
                }
            }
        }
        lock (api.Store.Gate)
        {
            if (api.Store.Count(name) > 0
                || api.Store.Find(Kinds.CustomResourceDefinitions.StorageKey, null, name) is not { IsDeleting: true } current)
                return;
            var definition = current.Copy();
            if (definition.At("metadata", "finalizers") is JsonArray finalizers)
            {
                for (var i = finalizers.Count - 1; i >= 0; i--)
                {
                    if (finalizers[i].Str() == DefinitionRules.CleanupFinalizer)
                        finalizers.RemoveAt(i);
                }
                if (finalizers.Count == 0)
                    definition.Ensure("metadata").Remove("finalizers");
            }
            if (Deletion.IsComplete(Kinds.CustomResourceDefinitions, definition))
                api.Store.Remove(Kinds.CustomResourceDefinitions.StorageKey, definition);
            else if (!JsonNode.DeepEquals(definition, current.Copy()))
                api.Store.Put(Kinds.CustomResourceDefinitions.StorageKey, definition);
        }
    }
}
