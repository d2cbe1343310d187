using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Printing;
using CiSteps.Sandbox.Api.Store;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>The verbs on resources.</summary>
internal sealed class ResourceEndpoints(
    ClusterApi api,
    Authorizer authorizer,
    Reviews reviews,
    Subresources subresources,
    CancellationToken stop)
{
    // Most kinds answer a deletion with a Status; these with the object.
    private static readonly HashSet<ResourceType> ShowsWhatWent =
        [Kinds.Pods, Kinds.Services, Kinds.ServiceAccounts, Kinds.ResourceQuotas, Kinds.PersistentVolumeClaims];

    private readonly ListEndpoint lists = new(api, new Pages(api.Time));
    private readonly WatchEndpoint watches = new(api);
    private readonly PatchEndpoint patches = new(api);

    public async Task HandleAsync(HttpContext context, UserInfo user, ApiRequest request)
    {
        var question = Reviews.Find(request.Group, request.Version, request.Resource);
        var type = question ?? api.Types.Find(request.Group, request.Version, request.Resource);
        authorizer.Demand(user, AttributesOf(context, request));
        if (type is null && !TypeRegistry.IsBuiltIn(request.Group, request.Version))
        {
            await context.NotServedAsync().ConfigureAwait(false);
            return;
        }
        if (type is null || (!type.Namespaced && request.Namespace is not null))
            throw Missing();
        if (question is not null)
        {
            await AskAsync(context, user, type, request).ConfigureAwait(false);
            return;
        }
        if (type.Namespaced && request.Namespace is null && request.Verb is not ("list" or "watch" or "deletecollection"))
            throw NotAllowed();
        if (request.Subresource is not null)
        {
            await subresources.HandleAsync(context, user, type, request, this).ConfigureAwait(false);
            return;
        }
        ObjectView View() => ObjectView.For(context, type, () => type.Layout, api.Time);
        switch (request.Verb)
        {
            case "get":
                var view = View();
                StoredObject found;
                lock (api.Store.Gate)
                    found = api.Require(type, request.Namespace, request.Name!);
                await context.JsonAsync(200, view.Single(found)).ConfigureAwait(false);
                break;
            case "list":
                await lists.HandleAsync(
                    context, type, request.Namespace, View(), Labels(context), Fields(context, type, null)).ConfigureAwait(false);
                break;
            case "watch":
                await watches.HandleAsync(
                    context,
                    type,
                    request.Namespace,
                    View(),
                    Labels(context),
                    Fields(context, type, request.Name),
                    stop).ConfigureAwait(false);
                break;
            case "create" when request.Name is null:
                await CreateAsync(context, user, type, request, View()).ConfigureAwait(false);
                break;
            case "update":
                var replaced = await ReplaceAsync(context, user, type, request, null).ConfigureAwait(false);
                await context.JsonAsync(200, View().Single(replaced)).ConfigureAwait(false);
                break;
            case "patch" when request.Name is not null:
                var (patched, created) = await PatchAsync(context, user, type, request, null).ConfigureAwait(false);
                await context.JsonAsync(created ? 201 : 200, View().Single(patched)).ConfigureAwait(false);
                break;
            case "delete":
                await DeleteAsync(context, type, request, View()).ConfigureAwait(false);
                break;
            case "deletecollection":
                await DeleteAllAsync(context, type, request, View()).ConfigureAwait(false);
                break;
            default:
                throw NotAllowed();
        }
    }

    public Task<(StoredObject Object, bool Created)> PatchAsync(
        HttpContext context, UserInfo user, ResourceType type, ApiRequest request, string? subresource) =>
        patches.HandleAsync(
            context,
            type,
            request.Namespace,
            request.Name!,
            subresource,
            WriteOptionsOf(context, user),
            FieldValidation.From(context));

    /// <summary>PUT of an object or of one of its subresources of the same kind.</summary>
    public async Task<StoredObject> ReplaceAsync(
        HttpContext context, UserInfo user, ResourceType type, ApiRequest request, string? subresource)
    {
        if (request.Name is null)
            throw NotAllowed();
        var validation = FieldValidation.From(context);
        var obj = await BodyOf(context, type).ConfigureAwait(false);
        if (obj.Str("metadata", "name") is { Length: > 0 } name && name != request.Name)
            throw ApiException.BadRequest($"the name of the object ({name}) does not match the name on the URL ({request.Name})");
        if (obj.Str("metadata", "namespace") is { Length: > 0 } ns && request.Namespace is not null && ns != request.Namespace)
            throw ApiException.BadRequest(
                $"the namespace of the object ({ns}) does not match the namespace on the URL ({request.Namespace})");
        validation.Check(context, api, type, obj);
        obj.Ensure("metadata")["name"] = request.Name;
        if (request.Namespace is not null)
            obj.Ensure("metadata")["namespace"] = request.Namespace;
        lock (api.Store.Gate)
        {
            var existing = api.Require(type, request.Namespace, request.Name);
            if (obj.Str("metadata", "resourceVersion") is not { Length: > 0 } && NeedsVersion(type))
            {
                throw ApiException.Invalid(type, request.Name,
                    [new StatusCause(
                        "FieldValueInvalid", "Invalid value: 0x0: must be specified for an update", "metadata.resourceVersion")]);
            }
            return api.ReplaceStored(type, existing, obj, subresource, WriteOptionsOf(context, user));
        }
    }

    public static ApiException Missing() => new(404, "NotFound", "the server could not find the requested resource");

    public static ApiException NotAllowed() =>
        new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");

    public static WriteOptions WriteOptionsOf(HttpContext context, UserInfo user)
    {
        var query = context.Request.Query;
        var manager = query["fieldManager"].ToString();
        if (manager.Length == 0)
        {
            var agent = context.Request.Headers.UserAgent.ToString();
            var end = agent.IndexOfAny(['/', ' ']);
            manager = end > 0 ? agent[..end] : agent.Length > 0 ? agent : "unknown";
        }
        return new WriteOptions
        {
            FieldManager = manager.Length > 128 ? manager[..128] : manager,
            DryRun = DeleteRequest.DryRun(OptionsKind(context.Request.Method), query["dryRun"]),
            User = user
        };
    }

    public static async Task<JsonObject> BodyOf(HttpContext context, ResourceType type)
    {
        var obj = await BodyReader.ObjectAsync(context).ConfigureAwait(false)
            ?? throw ApiException.BadRequest("the request has no body");
        if ((obj.Str("apiVersion") is { } version && version != type.ApiVersion)
            || (obj.Str("kind") is { } kind && kind != type.Kind))
            throw ApiException.BadRequest(
                $"{obj.Str("kind")} in version \"{obj.Str("apiVersion")}\" cannot be handled as a {type.Kind}: " +
                $"the object's kind or version is not that of the URL ({type.ApiVersion}, Kind={type.Kind})");
        if (type.IsCustom && (obj.Str("apiVersion") is null || obj.Str("kind") is null))
            throw ApiException.BadRequest($"Object 'Kind' is missing in '{type.Plural}'");
        return obj;
    }

    private static string OptionsKind(string method) => method switch
    {
        "PUT" => "UpdateOptions",
        "PATCH" => "PatchOptions",
        _ => "CreateOptions",
    };

    private static bool NeedsVersion(ResourceType type) =>
        type.IsCustom || type == Kinds.Leases || type == Kinds.CustomResourceDefinitions || type == Kinds.PodDisruptionBudgets;

    private static Attributes AttributesOf(HttpContext context, ApiRequest request)
    {
        var ns = request.Namespace ?? (request is { Resource: "namespaces", Group: "" } ? request.Name : null);
        var name = request.Name;
        if (name is null
            && request.Verb is "list" or "watch" or "deletecollection"
            && context.Request.Query["fieldSelector"].ToString() is var fields
            && fields.StartsWith("metadata.name=", StringComparison.Ordinal) && !fields.Contains(','))
            name = fields["metadata.name=".Length..].TrimStart('=');
        return new Attributes(request.Verb, request.Group, request.Resource, request.Subresource, ns, name);
    }

    private static LabelSelector Labels(HttpContext context) => LabelSelector.Parse(context.Request.Query["labelSelector"]);

    private static FieldSelector Fields(HttpContext context, ResourceType type, string? name)
    {
        var fields = FieldSelector.Parse(type, context.Request.Query["fieldSelector"], type.SelectableFields);
        return name is null ? fields : fields.WithName(name);
    }

    private async Task AskAsync(HttpContext context, UserInfo user, ResourceType type, ApiRequest request)
    {
        if (request.Verb != "create" || request.Name is not null)
            throw NotAllowed();
        var question = await BodyOf(context, type).ConfigureAwait(false);
        await context.JsonAsync(201, reviews.Answer(type, user, question)).ConfigureAwait(false);
    }

    private async Task CreateAsync(HttpContext context, UserInfo user, ResourceType type, ApiRequest request, ObjectView view)
    {
        var validation = FieldValidation.From(context);
        var options = WriteOptionsOf(context, user);
        var obj = await BodyOf(context, type).ConfigureAwait(false);
        validation.Check(context, api, type, obj);
        if (obj.Str("metadata", "resourceVersion") is { Length: > 0 })
            throw new ApiException(400, "BadRequest", "resourceVersion should not be set on objects to be created");
        var created = api.CreateStored(type, request.Namespace, obj, options);
        await context.JsonAsync(201, view.Single(created)).ConfigureAwait(false);
    }

    private async Task DeleteAsync(HttpContext context, ResourceType type, ApiRequest request, ObjectView view)
    {
        var options = DeleteRequest.Read(context, await BodyReader.ObjectAsync(context).ConfigureAwait(false));
        if (type == Kinds.Jobs
            && options.Propagation is null
            && !context.Request.Headers.UserAgent.ToString().Contains("kube-controller", StringComparison.Ordinal))
            context.Warn(
                "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or " +
                "set propagationPolicy=Orphan to suppress this warning");
        var (obj, gone) = api.Deletion.Delete(type, request.Namespace, request.Name!, options);
        if (!gone || ShowsWhatWent.Contains(type))
        {
            await context.JsonAsync(200, view.Single(obj)).ConfigureAwait(false);
            return;
        }
        await context.JsonAsync(200, new JsonObject
        {
            ["kind"] = "Status",
            ["apiVersion"] = "v1",
            ["metadata"] = new JsonObject(),
            ["status"] = "Success",
            ["details"] = type.Group.Length == 0
                ? new JsonObject { ["name"] = obj.Name, ["kind"] = type.Plural, ["uid"] = obj.Uid }
                : new JsonObject { ["name"] = obj.Name, ["group"] = type.Group, ["kind"] = type.Plural, ["uid"] = obj.Uid },
        }).ConfigureAwait(false);
    }

    private async Task DeleteAllAsync(HttpContext context, ResourceType type, ApiRequest request, ObjectView view)
    {
        if (type.Namespaced && request.Namespace is null)
            throw NotAllowed();
        var options = DeleteRequest.Read(context, await BodyReader.ObjectAsync(context).ConfigureAwait(false));
        var (labels, fields) = (Labels(context), Fields(context, type, null));
        List<StoredObject> chosen;
        lock (api.Store.Gate)
            chosen = [.. api.Store
                .List(type.StorageKey, request.Namespace)
                .Where(o => labels.Matches(o.Labels) && fields.Matches(o))];
        foreach (var obj in chosen)
        {
            try
            {
                api.Deletion.Delete(type, request.Namespace, obj.Name, options with { PreconditionUid = obj.Uid });
            }
            catch (ApiException e) when (e.Code is 404 or 409)
            {
                // Gone in the meantime.
            }
        }
        await context.JsonAsync(200, view.List(chosen, api.Store.Revision, null, null)).ConfigureAwait(false);
    }
}
