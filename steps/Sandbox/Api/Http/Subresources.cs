using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Patching;
using CiSteps.Sandbox.Api.Schema;
using CiSteps.Sandbox.Api.Store;
using CiSteps.Sandbox.Controllers;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Subresources of objects.</summary>
internal sealed class Subresources(ClusterApi api, ServiceAccountTokens tokens, PodEndpoints pods)
{
    public async Task HandleAsync(
        HttpContext context, UserInfo user, ResourceType type, ApiRequest request, ResourceEndpoints resources)
    {
        switch (request.Subresource)
        {
            case "status" when type.HasStatus:
                await WholeAsync(context, user, type, request, resources, "status").ConfigureAwait(false);
                break;
            case "finalize" when type == Kinds.Namespaces && request.Verb == "update":
                await WholeAsync(context, user, type, request, resources, "finalize").ConfigureAwait(false);
                break;
            case "scale" when type.HasScale:
                await ScaleAsync(context, user, type, request).ConfigureAwait(false);
                break;
            case "token" when type == Kinds.ServiceAccounts && request.Verb == "create":
                await TokenAsync(context, request).ConfigureAwait(false);
                break;
            case "eviction" when type == Kinds.Pods && request.Verb == "create":
                await EvictAsync(context, request).ConfigureAwait(false);
                break;
            case "binding" when type == Kinds.Pods && request.Verb == "create":
                await BindAsync(context, request).ConfigureAwait(false);
                break;
            case "proxy" when type == Kinds.Services:
                await new ServiceProxy(api).HandleAsync(context, request).ConfigureAwait(false);
                break;
            default:
                if (type != Kinds.Pods || !await pods.HandleAsync(context, request).ConfigureAwait(false))
                    throw ResourceEndpoints.Missing();
                break;
        }
    }

    private static JsonObject Success(int code) => new()
    {
        ["kind"] = "Status",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject(),
        ["status"] = "Success",
        ["code"] = code,
    };

    private async Task WholeAsync(
        HttpContext context,
        UserInfo user,
        ResourceType type,
        ApiRequest request,
        ResourceEndpoints resources,
        string subresource)
    {
        var view = ObjectView.For(context, type, () => type.Layout, api.Time);
        StoredObject result;
        switch (request.Verb)
        {
            case "get":
                lock (api.Store.Gate)
                    result = api.Require(type, request.Namespace, request.Name!);
                break;
            case "update":
                result = await resources.ReplaceAsync(context, user, type, request, subresource).ConfigureAwait(false);
                break;
            case "patch":
                (result, _) = await resources.PatchAsync(context, user, type, request, subresource).ConfigureAwait(false);
                break;
            default:
                throw ResourceEndpoints.NotAllowed();
        }
        await context.JsonAsync(200, view.Single(result)).ConfigureAwait(false);
    }

    private async Task ScaleAsync(HttpContext context, UserInfo user, ResourceType type, ApiRequest request)
    {
        var scaling = Scaling.Of(type);
        JsonNode? body = null;
        var media = BodyReader.MediaType(context.Request);
        if (request.Verb is "update" or "patch")
        {
            var bytes = await BodyReader.BytesAsync(context).ConfigureAwait(false);
            body = media is "application/yaml" or "application/apply-patch+yaml"
                ? BodyReader.Yaml(bytes)
                : BodyReader.Json(bytes);
        }
        else if (request.Verb != "get")
            throw ResourceEndpoints.NotAllowed();
        JsonObject answer;
        lock (api.Store.Gate)
        {
            var existing = api.Require(type, request.Namespace, request.Name!);
            var obj = Versions.Read(type, existing);
            var scale = scaling.Read(obj);
            if (body is not null)
            {
                if (request.Verb == "update")
                    scale = body as JsonObject ?? throw ApiException.BadRequest("the body is not a Scale");
                else if (body is JsonArray operations)
                    scale = (JsonObject)JsonPatch.Apply(scale, operations)!;
                else
                    MergePatch.Apply(scale, (JsonObject)body);
                if (scale.Str("metadata", "resourceVersion") is { Length: > 0 } version
                    && version != existing.Revision.ToString())
                    throw ApiException.Conflict(type, existing.Name);
                var replicas = scale.Num("spec", "replicas") ?? 0;
                if (replicas < 0)
                {
                    throw ApiException.Invalid(Kinds.Scales, existing.Name,
                        [new StatusCause(
                            "FieldValueInvalid",
                            $"Invalid value: {replicas}: must be greater than or equal to 0",
                            "spec.replicas")]);
                }
                scaling.Write(obj, replicas);
                var options = ResourceEndpoints.WriteOptionsOf(context, user);
                obj = Versions.Read(type, api.ReplaceStored(type, existing, obj, null, options));
            }
            answer = scaling.Read(obj);
        }
        await context.JsonAsync(200, answer).ConfigureAwait(false);
    }

    private async Task TokenAsync(HttpContext context, ApiRequest request)
    {
        var body = await BodyReader.ObjectAsync(context).ConfigureAwait(false) ?? [];
        var ns = request.Namespace!;
        var account = api.Get(Kinds.ServiceAccounts, ns, request.Name!)
            ?? throw ApiException.NotFound(Kinds.ServiceAccounts, request.Name!);
        var seconds = body.Num("spec", "expirationSeconds") ?? 3600;
        if (seconds < 600)
            throw InvalidToken("spec.expirationSeconds",
                $"Invalid value: {seconds}: may not specify a duration less than 10 minutes");
        var audiences = body.Strs("spec", "audiences").ToList();
        if (audiences.Count == 0)
            audiences.Add(ServiceAccountTokens.Issuer);
        BoundObject? bound = null;
        if (body.Obj("spec", "boundObjectRef") is { } reference)
        {
            var type = reference.Str("kind") switch
            {
                "Pod" => Kinds.Pods,
                "Secret" => Kinds.Secrets,
                "Node" => Kinds.Nodes,
                var other =>
                    throw ApiException.BadRequest(
                        $"cannot bind token for serviceaccount \"{request.Name}\" to object of kind {other}"),
            };
            var name = reference.Str("name") ?? "";
            var target = api.Get(type, type.Namespaced ? ns : null, name) ?? throw ApiException.NotFound(type, name);
            var uid = target.Str("metadata", "uid")!;
            if (reference.Str("uid") is { Length: > 0 } given && given != uid)
                throw ApiException.Conflict(type, name,
                    $"the UID in the bound object reference ({given}) does not match the UID in record. The object might have " +
                    "been deleted and then recreated");
            bound = new BoundObject(type.Kind, name, uid);
        }
        var (token, expires) = tokens.Issue(
            ns, request.Name!, account.Str("metadata", "uid")!, audiences, TimeSpan.FromSeconds(seconds), bound);
        body["kind"] = "TokenRequest";
        body["apiVersion"] = "authentication.k8s.io/v1";
        var spec = body.Ensure("spec");
        spec["audiences"] = new JsonArray([.. audiences.Select(a => (JsonNode?)a)]);
        spec["expirationSeconds"] = seconds;
        body["metadata"] = new JsonObject
        {
            ["name"] = request.Name,
            ["namespace"] = ns,
            ["creationTimestamp"] = JsonAccess.Stamp(api.Time.GetUtcNow())
        };
        body["status"] = new JsonObject { ["token"] = token, ["expirationTimestamp"] = JsonAccess.Stamp(expires) };
        await context.JsonAsync(201, body).ConfigureAwait(false);
    }

    private static ApiException InvalidToken(string field, string why) =>
        new(422, "Invalid",
            $"TokenRequest.authentication.k8s.io \"\" is invalid: {field}: {why}")
        {
            Causes = [new StatusCause("FieldValueInvalid", why, field)]
        };

    private async Task EvictAsync(HttpContext context, ApiRequest request)
    {
        var body = await BodyReader.ObjectAsync(context).ConfigureAwait(false) ?? [];
        lock (api.Store.Gate)
        {
            CheckBudgets(
                api.Get(Kinds.Pods, request.Namespace, request.Name!) ?? throw ApiException.NotFound(Kinds.Pods, request.Name!));
            api.Delete(Kinds.Pods, request.Namespace, request.Name!, DeleteRequest.Read(context, body.Obj("deleteOptions")));
        }
        await context.JsonAsync(201, Success(201)).ConfigureAwait(false);
    }

    private void CheckBudgets(JsonObject pod)
    {
        // A pod that serves nobody, or goes anyway, is not a disruption.
        if (PodReading.Phase(pod) != "Running" || pod.IsBeingDeleted())
            return;
        var budgets = api.List(Kinds.PodDisruptionBudgets, pod.Namespace()).Items
            .Where(b => DisruptionBudget.Selects(b, pod))
            .ToList();
        if (budgets.Count > 1)
            throw new ApiException(500, "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
        if (budgets is not [var budget])
            return;
        var now = DisruptionBudget.Of(api, budget);
        if (!PodReading.IsReady(pod)
            && (budget.Str("spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow" || now.Healthy >= now.Needed && now.Needed > 0))
            return;
        if (now.Allowed == 0)
        {
            throw new ApiException(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
            {
                Causes = [new StatusCause(
                    "DisruptionBudget",
                    $"The disruption budget {budget.Name()} needs {now.Needed} healthy pods and has {now.Healthy} currently",
                    "")],
            };
        }
    }

    private async Task BindAsync(HttpContext context, ApiRequest request)
    {
        var body = await BodyReader.ObjectAsync(context).ConfigureAwait(false) ?? [];
        var node = body.Str("target", "name") ?? throw ApiException.BadRequest("target.name is required");
        lock (api.Store.Gate)
        {
            var existing = api.Require(Kinds.Pods, request.Namespace, request.Name!);
            var pod = existing.Copy();
            if (pod.Str("spec", "nodeName") is { Length: > 0 } already)
                throw ApiException.Conflict(Kinds.Pods, existing.Name,
                    $"pod {existing.Name} is already assigned to node \"{already}\"");
            pod.Ensure("spec")["nodeName"] = node;
            api.ReplaceStored(Kinds.Pods, existing, pod, "binding", new WriteOptions { FieldManager = "kube-scheduler" });
        }
        await context.JsonAsync(201, Success(201)).ConfigureAwait(false);
    }
}
