using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>What happens to each object on its way in. Every member is used under the store's gate.</summary>
internal sealed class ObjectRules(ClusterApi api)
{
    private const string NameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

    public void PrepareCreate(ResourceType type, string? ns, JsonObject obj, WriteOptions options)
    {
        obj["apiVersion"] = type.ApiVersion;
        obj["kind"] = type.Kind;
        var metadata = obj.Ensure("metadata");
        if (type.Namespaced)
        {
            var given = metadata.Str("namespace");
            if (ns is not null && given is { Length: > 0 } && given != ns)
                throw ApiException.BadRequest($"the namespace of the provided object does not match the namespace sent on the request");
            metadata["namespace"] = ns ?? (given is { Length: > 0 } ? given : "default");
        }
        else
        {
            metadata.Remove("namespace");
        }
        if (metadata.Str("name") is not { Length: > 0 } && metadata.Str("generateName") is { Length: > 0 } prefix)
            metadata["name"] = prefix[..Math.Min(prefix.Length, 58)] + RandomNumberGenerator.GetString(NameAlphabet, 5);
        foreach (var system in new[] { "resourceVersion", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink" })
            metadata.Remove(system);
        metadata["uid"] = Guid.NewGuid().ToString();
        metadata["creationTimestamp"] = JsonAccess.Stamp(api.Time.GetUtcNow());
        if (type.HasGeneration)
            metadata["generation"] = 1;
        CheckNamespace(type, metadata);
        if (type == Kinds.Namespaces)
        {
            obj.Ensure("spec").Default("finalizers", new JsonArray("kubernetes"));
            obj["status"] = new JsonObject { ["phase"] = "Active" };
            metadata.Ensure("labels")["kubernetes.io/metadata.name"] = metadata.Str("name");
        }
    }

    public static void PrepareUpdate(ResourceType type, JsonObject old, JsonObject obj, string? subresource, WriteOptions options)
    {
        obj["apiVersion"] = type.ApiVersion;
        obj["kind"] = type.Kind;
        if (subresource == "status")
        {
            var status = obj["status"]?.DeepClone();
            obj.Clear();
            foreach (var (name, value) in old)
            {
                if (name != "status")
                    obj[name] = value?.DeepClone();
            }
            obj["status"] = status;
            return;
        }
        var before = old.Ensure("metadata");
        var after = obj.Ensure("metadata");
        foreach (var system in new[] { "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace", "name" })
        {
            if (before[system] is { } value)
                after[system] = value.DeepClone();
            else
                after.Remove(system);
        }
        if (type.HasStatus)
        {
            if (old["status"] is { } status)
                obj["status"] = status.DeepClone();
            else
                obj.Remove("status");
        }
        if (type.HasGeneration && SpecChanged(old, obj))
            after["generation"] = (before.Num("generation") ?? 1) + 1;
    }

    private static bool SpecChanged(JsonObject old, JsonObject obj)
    {
        foreach (var name in old.Select(p => p.Key).Union(obj.Select(p => p.Key)))
        {
            if (name is not ("metadata" or "status" or "apiVersion" or "kind") && !JsonNode.DeepEquals(old[name], obj[name]))
                return true;
        }
        return false;
    }

    private void CheckNamespace(ResourceType type, JsonObject metadata)
    {
        if (metadata.Str("namespace") is not { } ns)
            return;
        var stored = api.Store.Find(Kinds.Namespaces.StorageKey, null, ns) ?? throw ApiException.NotFound(Kinds.Namespaces, ns);
        if (stored.Copy().Str("metadata", "deletionTimestamp") is null)
            return;
        var why = $"unable to create new content in namespace {ns} because it is being terminated";
        throw ApiException.Forbidden(type, metadata.Str("name") ?? "", why,
            new StatusCause("NamespaceTerminating", $"namespace {ns} is being terminated", "metadata.namespace"));
    }
}
