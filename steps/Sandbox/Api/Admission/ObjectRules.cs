using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Patching;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>
/// What happens to each object on its way in: defaults, admission, checks, system fields. Used under the store's gate.
/// </summary>
internal sealed class ObjectRules(ClusterApi api)
{
    private const string NameAlphabet = "bcdfghjklmnpqrstvwxz2456789";
    private static readonly string[] GivenByTheSystem =
        [
            "resourceVersion", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
            "selfLink"
        ];

    private static readonly string[] KeptBySystem = [
        "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace", "name"
    ];

    private static readonly HashSet<string> Workloads =
    [
        Kinds.Deployments.StorageKey, Kinds.ReplicaSets.StorageKey, Kinds.StatefulSets.StorageKey, Kinds.DaemonSets.StorageKey,
        Kinds.Jobs.StorageKey,
    ];

    private readonly PodRules pods = new(api);
    private readonly ServiceRules services = new(api);
    private readonly QuotaRules quotas = new(api);
    private readonly RbacRules rbac = new(api);

    public void PrepareCreate(ResourceType type, string? ns, JsonObject obj, WriteOptions options)
    {
        obj["apiVersion"] = type.ApiVersion;
        obj["kind"] = type.Kind;
        var metadata = obj.Ensure("metadata");
        Place(type, ns, metadata);
        if (metadata.Str("name") is not { Length: > 0 } && metadata.Str("generateName") is { Length: > 0 } prefix)
            metadata["name"] = prefix[..Math.Min(prefix.Length, 58)] + RandomNumberGenerator.GetString(NameAlphabet, 5);
        foreach (var field in GivenByTheSystem)
            metadata.Remove(field);
        metadata["uid"] = Guid.NewGuid().ToString();
        metadata["creationTimestamp"] = JsonAccess.Stamp(api.Time.GetUtcNow());
        if (type.HasGeneration)
            metadata["generation"] = 1;
        CheckNamespace(type, metadata);
        if (type.HasStatus && type != Kinds.Nodes)
            obj.Remove("status");
        var errors = new FieldErrors();
        Default(type, obj);
        if (PlainRules.FirstStatus(type) is { } status)
            obj["status"] = status;
        if (type.Custom is not null)
            CustomRules.Prepare(type, obj, errors);
        else if (type == Kinds.CustomResourceDefinitions)
            DefinitionRules.Establish(obj, null, api.Time.GetUtcNow());
        Check(type, null, obj, options, errors);
        if (type == Kinds.Pods && obj.Objs("spec", "ephemeralContainers").Any())
            errors.Forbidden("spec.ephemeralContainers", "cannot be set on create");
        if (errors.Causes.Count == 0)
        {
            // Reads of others' objects come after the cheap checks.
            if (type == Kinds.Pods)
                pods.Admit(obj);
            else if (type == Kinds.Services)
                services.Allocate(obj, errors);
        }
        errors.Throw(type, metadata.Str("name") ?? "");
        quotas.Check(type, null, obj);
        if (!options.OwnershipIsSet)
        {
            metadata.Remove("managedFields");
            ManagedFields.Record(type, type.Schema, null, obj, options.FieldManager, null, Now());
        }
    }

    public void PrepareUpdate(ResourceType type, JsonObject old, JsonObject obj, string? subresource, WriteOptions options)
    {
        obj["apiVersion"] = type.ApiVersion;
        obj["kind"] = type.Kind;
        switch (subresource)
        {
            case "status":
                KeepAllBut(old, obj, "status");
                if (type.Custom is not null)
                {
                    var statusErrors = new FieldErrors();
                    CustomRules.Prepare(type, obj, statusErrors);
                    statusErrors.Throw(type, obj.Str("metadata", "name") ?? "");
                }
                Record(type, old, obj, "status", options);
                return;
            case "finalize":
                var finalizers = obj.At("spec", "finalizers")?.DeepClone();
                KeepAllBut(old, obj, "");
                if (finalizers is JsonArray { Count: > 0 })
                    obj.Ensure("spec")["finalizers"] = finalizers;
                else
                    obj.Ensure("spec").Remove("finalizers");
                return;
        }
        var before = old.Ensure("metadata");
        var after = obj.Ensure("metadata");
        foreach (var field in KeptBySystem)
        {
            if (before[field] is { } value)
                after[field] = value.DeepClone();
            else
                after.Remove(field);
        }
        if (type.HasStatus)
        {
            if (old["status"] is { } status)
                obj["status"] = status.DeepClone();
            else
                obj.Remove("status");
        }
        if (type == Kinds.Services)
            ServiceRules.Keep(old, obj);
        if (type == Kinds.Namespaces)
            obj["spec"] = old["spec"]?.DeepClone();
        var errors = new FieldErrors();
        Default(type, obj);
        if (type.Custom is not null)
            CustomRules.Prepare(type, obj, errors);
        else if (type == Kinds.CustomResourceDefinitions)
            DefinitionRules.Establish(obj, old, api.Time.GetUtcNow());
        if (type == Kinds.Services)
            services.Allocate(obj, errors);
        Check(type, old, obj, options, errors);
        // The cluster's own scheduler writes the node without the detour over a binding.
        if (type == Kinds.Pods && subresource is null && options.User is not null)
            PodRules.CheckUpdate(old, obj, errors);
        errors.Throw(type, after.Str("name") ?? "");
        quotas.Check(type, old, obj);
        if (type.HasGeneration && SpecChanged(old, obj))
            after["generation"] = (before.Num("generation") ?? 1) + 1;
        Record(type, old, obj, null, options);
    }

    private static void KeepAllBut(JsonObject old, JsonObject obj, string changed)
    {
        var value = obj[changed]?.DeepClone();
        var managed = obj.At("metadata", "managedFields")?.DeepClone();
        obj.Clear();
        foreach (var (name, kept) in old)
        {
            if (name != changed)
                obj[name] = kept?.DeepClone();
        }
        if (value is not null)
            obj[changed] = value;
        if (managed is not null)
            obj.Ensure("metadata")["managedFields"] = managed;
    }

    private static void Place(ResourceType type, string? ns, JsonObject metadata)
    {
        if (!type.Namespaced)
        {
            metadata.Remove("namespace");
            return;
        }
        var given = metadata.Str("namespace");
        if (ns is not null && given is { Length: > 0 } && given != ns)
            throw ApiException.BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request");
        metadata["namespace"] = ns ?? (given is { Length: > 0 } ? given : "default");
    }

    private static void Default(ResourceType type, JsonObject obj)
    {
        if (type.Custom is not null)
            return;
        if (type == Kinds.Pods)
            PodSpecRules.Default(obj.Ensure("spec"), true);
        else if (Workloads.Contains(type.StorageKey))
            WorkloadRules.Default(type, obj);
        else if (type == Kinds.Services)
            ServiceRules.Default(obj);
        else if (RbacRules.Concerns(type))
            RbacRules.Default(type, obj);
        else if (type == Kinds.CustomResourceDefinitions)
            DefinitionRules.Default(obj);
        else
            PlainRules.Default(type, obj);
    }

    private void Check(ResourceType type, JsonObject? old, JsonObject obj, WriteOptions options, FieldErrors errors)
    {
        Names.CheckMetadata(type, obj.Ensure("metadata"), errors);
        if (type == Kinds.Pods)
            PodSpecRules.Check("spec", obj.Ensure("spec"), errors);
        else if (Workloads.Contains(type.StorageKey))
            WorkloadRules.Check(type, old, obj, errors);
        else if (type == Kinds.Services)
            ServiceRules.Check(old, obj, errors);
        else if (RbacRules.Concerns(type))
            rbac.Check(type, old, obj, options.User, errors);
        else if (type == Kinds.CustomResourceDefinitions)
            DefinitionRules.Check(old, obj, errors);
        else if (type.Custom is null)
            PlainRules.Check(type, old, obj, errors);
    }

    private void Record(ResourceType type, JsonObject old, JsonObject obj, string? subresource, WriteOptions options)
    {
        if (!options.OwnershipIsSet)
            ManagedFields.Record(type, type.Schema, old, obj, options.FieldManager, subresource, Now());
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
        StoredObject stored = api.Store.Find(Kinds.Namespaces.StorageKey, null, ns)
            ?? throw ApiException.NotFound(Kinds.Namespaces, ns);
        if (!stored.IsDeleting)
            return;
        throw ApiException.Forbidden(
            type,
            metadata.Str("name") ?? "",
            $"unable to create new content in namespace {ns} because it is being terminated",
            new StatusCause("NamespaceTerminating", $"namespace {ns} is being terminated", "metadata.namespace"));
    }

    private string Now() => JsonAccess.Stamp(api.Time.GetUtcNow());
}
