using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Patching;
using CiSteps.Sandbox.Api.Schema;
using CiSteps.Sandbox.Api.Store;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>The four patch formats.</summary>
internal sealed class PatchEndpoint(ClusterApi api)
{
    private const string JsonMedia = "application/json-patch+json";
    private const string MergeMedia = "application/merge-patch+json";
    private const string StrategicMedia = "application/strategic-merge-patch+json";
    private const string ApplyMedia = "application/apply-patch+yaml";

    /// <summary>Patches (or by server-side apply creates); gives the result and whether it is new.</summary>
    public async Task<(StoredObject Object, bool Created)> HandleAsync(
        HttpContext context,
        ResourceType type,
        string? ns,
        string name,
        string? subresource,
        WriteOptions options,
        FieldValidation validation)
    {
        var media = BodyReader.MediaType(context.Request);
        if (media is not (JsonMedia or MergeMedia or StrategicMedia or ApplyMedia) || (media == StrategicMedia && type.IsCustom))
            throw BodyReader.Unsupported(
                media, type.IsCustom ? [JsonMedia, MergeMedia, ApplyMedia] : [JsonMedia, MergeMedia, StrategicMedia, ApplyMedia]);
        if (media != ApplyMedia && context.Request.Query.ContainsKey("force"))
            throw ApiException.InvalidOptions("PatchOptions", "FieldValueForbidden", "force",
                "Forbidden: may not be specified for non-apply patch");
        var bytes = await BodyReader.BytesAsync(context).ConfigureAwait(false);
        var patch = media == ApplyMedia ? BodyReader.Yaml(bytes) : BodyReader.Json(bytes);
        if (media == JsonMedia ? patch is not JsonArray : patch is not JsonObject)
            throw ApiException.BadRequest("the patch is not of the form that its content type says");
        var schema = type.Schema;
        lock (api.Store.Gate)
        {
            var existing = api.Find(type, ns, name);
            if (media == ApplyMedia)
                return Apply(context, type, schema, ns, name, existing, (JsonObject)patch!, subresource, options);
            if (existing is null)
                throw ApiException.NotFound(type, name);
            var obj = Versions.Read(type, existing);
            switch (media)
            {
                case JsonMedia:
                    obj = JsonPatch.Apply(obj, (JsonArray)patch!) as JsonObject
                        ?? throw ApiException.BadRequest("the patch does not leave an object");
                    break;
                case MergeMedia:
                    MergePatch.Apply(obj, (JsonObject)patch!);
                    break;
                default:
                    StrategicMerge.Apply(schema, obj, (JsonObject)patch!);
                    break;
            }
            CheckIdentity(type, existing, obj);
            validation.Check(context, api, type, obj);
            return (api.ReplaceStored(type, existing, obj, subresource, options), false);
        }
    }

    private (StoredObject Object, bool Created) Apply(
        HttpContext context,
        ResourceType type,
        TypeSchema schema,
        string? ns,
        string name,
        StoredObject? existing,
        JsonObject config,
        string? subresource, WriteOptions options)
    {
        if (context.Request.Query["fieldManager"].ToString().Length == 0)
            throw ApiException.InvalidOptions("PatchOptions", "FieldValueRequired", "fieldManager",
                "Required value: is required for apply patch");
        if (config.Str("apiVersion") != type.ApiVersion || config.Str("kind") != type.Kind)
            throw ApiException.BadRequest(
                $"the API version in the data ({config.Str("apiVersion")}) does not match the expected API version " +
                $"({type.ApiVersion})");
        if (config.Str("metadata", "name") is { Length: > 0 } given && given != name)
            throw ApiException.BadRequest($"the name of the object ({given}) does not match the name on the URL ({name})");
        if (existing is null && config.Str("metadata", "uid") is { Length: > 0 })
            throw ApiException.Conflict(type, name,
                $"uid mismatch: the provided object specified uid {config.Str("metadata", "uid")}, " +
                "and no existing object was found");
        if (existing is null && subresource is not null)
            throw ApiException.NotFound(type, name);
        FieldValidation.CheckApplied(type, config);
        config.Ensure("metadata")["name"] = name;
        if (type.Namespaced)
            config.Ensure("metadata")["namespace"] = ns;
        var version = config.Str("metadata", "resourceVersion");
        if (existing is not null && version is { Length: > 0 } && version != existing.Revision.ToString())
            throw ApiException.Conflict(type, name);
        config.Ensure("metadata").Remove("resourceVersion");
        config.Ensure("metadata").Remove("creationTimestamp");
        var force = ApiRequest.IsTrue(context.Request.Query["force"]);
        var merged = ServerSideApply.Apply(
            type,
            schema,
            existing is null ? null : Versions.Read(type, existing),
            config,
            options.FieldManager,
            subresource,
            force,
            JsonAccess.Stamp(api.Time.GetUtcNow()));
        var write = options with { OwnershipIsSet = true };
        return existing is null
            ? (api.CreateStored(type, ns, merged, write), true)
            : (api.ReplaceStored(type, existing, merged, subresource, write), false);
    }

    private static void CheckIdentity(ResourceType type, StoredObject existing, JsonObject obj)
    {
        var metadata = obj.Ensure("metadata");
        if (metadata.Str("name") is { } name && name != existing.Name)
            throw ApiException.BadRequest(
                $"the name of the object ({name}) does not match the name on the URL ({existing.Name})");
        if (metadata.Str("namespace") is { } ns && ns != (existing.Namespace ?? ns))
            throw ApiException.BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request");
        if (metadata.Str("uid") is { Length: > 0 } uid && uid != existing.Uid)
            throw ApiException.Invalid(
                type,
                existing.Name,
                [new StatusCause("FieldValueInvalid", $"Invalid value: \"{uid}\": field is immutable", "metadata.uid")]);
        if (obj.Str("kind") is { } kind && kind != type.Kind)
            throw ApiException.BadRequest($"the kind in the data ({kind}) does not match the expected kind ({type.Kind})");
    }
}
