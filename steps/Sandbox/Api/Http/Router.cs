using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Discovery;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>From a request to the part that answers it.</summary>
internal sealed class Router
{
    /// <summary>The version that the API claims; its behaviour follows that release's documentation.</summary>
    public const string GitVersion = "v1.34.0+cisteps";

    private readonly ClusterApi api;
    private readonly Action<string>? log;
    private readonly Authenticator authenticator;
    private readonly Authorizer authorizer;
    private readonly ServiceAccountTokens tokens;
    private readonly DiscoveryDocuments discovery;
    private readonly OpenApiDocuments openApi;
    private readonly ResourceEndpoints resources;

    public Router(ClusterApi api, IReadOnlyDictionary<string, UserInfo> staticTokens, Action<string>? log, CancellationToken stop)
    {
        this.api = api;
        this.log = log;
        tokens = api.Tokens;
        authenticator = new Authenticator(tokens, staticTokens);
        authorizer = api.Authorizer;
        discovery = new DiscoveryDocuments(api);
        openApi = new OpenApiDocuments(api);
        resources = new ResourceEndpoints(
            api, authorizer, new Reviews(authenticator, authorizer), new Subresources(api, tokens, new PodEndpoints(api)), stop);
    }

    public async Task HandleAsync(HttpContext context)
    {
        try
        {
            await RouteAsync(context).ConfigureAwait(false);
        }
        catch (ApiException e) when (!context.Response.HasStarted)
        {
            await context.FailAsync(e).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone.
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await context.FailAsync(new ApiException(
                e.StatusCode, e.StatusCode == 413 ? "RequestEntityTooLarge" : "BadRequest", e.Message)).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // The connection broke.
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            log?.Invoke($"sandbox API: {context.Request.Method} {context.Request.Path}: {e}");
            if (!context.Response.HasStarted)
                await context.FailAsync(new ApiException(
                    500, "InternalError", $"Internal error occurred: {e.Message}")).ConfigureAwait(false);
        }
    }

    private async Task RouteAsync(HttpContext context)
    {
        var user = Impersonation.Apply(context, authenticator.Identify(context), authorizer);
        var path = context.Request.Path.Value ?? "/";
        var trimmed = path.Length > 1 ? path.TrimEnd('/') : path;
        if (ApiRequest.Parse(context.Request) is { Resource.Length: > 0 } request)
        {
            await resources.HandleAsync(context, user, request).ConfigureAwait(false);
            return;
        }
        authorizer.Demand(
            user,
            new Attributes(
                context.Request.Method.ToLowerInvariant() is "head" ? "get" : context.Request.Method.ToLowerInvariant(),
                "",
                null,
                null,
                null,
                null,
                path));
        if (context.Request.Method is not ("GET" or "HEAD"))
            throw ResourceEndpoints.NotAllowed();
        switch (trimmed)
        {
            case "/healthz" or "/livez" or "/readyz":
                await context.TextAsync(200, "ok").ConfigureAwait(false);
                return;
            case "/version":
                await context.JsonAsync(200, Version()).ConfigureAwait(false);
                return;
            case "/.well-known/openid-configuration":
                await context.JsonAsync(200, new JsonObject
                {
                    ["issuer"] = ServiceAccountTokens.Issuer,
                    ["jwks_uri"] = $"https://{context.Request.Host}/openid/v1/jwks",
                    ["response_types_supported"] = new JsonArray("id_token"),
                    ["subject_types_supported"] = new JsonArray("public"),
                    ["id_token_signing_alg_values_supported"] = new JsonArray("ES256"),
                }).ConfigureAwait(false);
                return;
            case "/openid/v1/jwks":
                await context.JsonAsync(200, tokens.KeySet()).ConfigureAwait(false);
                return;
        }
        if (trimmed.StartsWith("/openapi/", StringComparison.Ordinal)
            && await openApi.HandleAsync(context, trimmed).ConfigureAwait(false))
            return;
        if (await DiscoverAsync(context, trimmed).ConfigureAwait(false))
            return;
        await context.NotServedAsync().ConfigureAwait(false);
    }

    private async Task<bool> DiscoverAsync(HttpContext context, string path)
    {
        var accept = context.Request.Headers.Accept.ToString();
        var aggregated = accept.Contains("as=APIGroupDiscoveryList", StringComparison.Ordinal)
            ? accept.Contains("v=v2;", StringComparison.Ordinal) || accept.Contains("v=v2,", StringComparison.Ordinal)
                ? "v2"
                : accept.Contains("v=v2beta1", StringComparison.Ordinal) ? "v2beta1" : "v2"
            : null;
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var document = parts switch
        {
            [] =>
                new JsonObject
                {
                    ["paths"] = new JsonArray(
                        "/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version")
                },
            ["api"] => aggregated is null ? DiscoveryDocuments.Legacy() : discovery.Aggregated(true, aggregated),
            ["apis"] => aggregated is null ? discovery.Groups() : discovery.Aggregated(false, aggregated),
            ["api", var version] => discovery.Resources("", version),
            ["apis", var group] => discovery.Group(group),
            ["apis", var group, var version] => discovery.Resources(group, version),
            _ => null,
        };
        if (document is null)
            return false;
        context.Response.Headers.Vary = "Accept";
        var type = aggregated is not null && parts.Length == 1
            ? $"application/json;g=apidiscovery.k8s.io;v={aggregated};as=APIGroupDiscoveryList"
            : "application/json";
        await context.JsonAsync(200, document.ToUtf8(), type).ConfigureAwait(false);
        return true;
    }

    private static JsonObject Version() => new()
    {
        ["major"] = "1",
        ["minor"] = "34",
        ["gitVersion"] = GitVersion,
        ["gitCommit"] = "",
        ["gitTreeState"] = "clean",
        ["buildDate"] = "1970-01-01T00:00:00Z",
        ["goVersion"] = "none",
        ["compiler"] = "none",
        ["platform"] = OperatingSystem.IsWindows() ? "windows/amd64" : "linux/amd64",
    };
}
