using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>
/// The <c>proxy</c> subresource of services: a request goes on to one ready endpoint, its answer comes back as it is.
/// </summary>
internal sealed class ServiceProxy(ClusterApi api)
{
    // Of one connection to the next, not of the exchange: hop-by-hop, and what the client's own library sets.
    private static readonly HashSet<string> Own = new(StringComparer.OrdinalIgnoreCase)
    {
        "Authorization", "Connection", "Host", "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "Content-Length",
    };

    // Endpoints come and go with their pods: connections are not kept.
    private static readonly HttpClient Http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        PooledConnectionLifetime = TimeSpan.Zero,
        ConnectTimeout = TimeSpan.FromSeconds(5),
    })
    { Timeout = TimeSpan.FromSeconds(60) };

    /// <summary>Answers <c>…/services/[scheme:]name[:port]/proxy/…</c>.</summary>
    public async Task HandleAsync(HttpContext context, ApiRequest request)
    {
        var (scheme, name, port) = Split(request.Name!);
        var address = Endpoint(request.Namespace!, name, port)
            ?? throw new ApiException(503, "ServiceUnavailable", $"no endpoints available for service \"{name}\"");
        var path = context.Request.Path.Value!;
        var before = $"/services/{request.Name}/proxy";
        var marker = path.IndexOf(before, StringComparison.Ordinal) + before.Length;
        var rest = marker < path.Length ? path[marker..] : "/";
        using var forwarded = new HttpRequestMessage(
            new HttpMethod(context.Request.Method),
            $"{scheme}://{address}{Uri
                .EscapeDataString(rest)
                .Replace("%2F", "/", StringComparison.Ordinal)}{context.Request.QueryString}");
        if (context.Request.ContentLength > 0) forwarded.Content = new StreamContent(context.Request.Body);
        foreach (var (header, values) in context.Request.Headers)
        {
            if (Own.Contains(header)) continue;
            if (!forwarded.Headers.TryAddWithoutValidation(header, values.ToArray()))
                forwarded.Content?.Headers.TryAddWithoutValidation(header, values.ToArray());
        }
        try
        {
            using var answer = await Http.SendAsync(
                forwarded, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted).ConfigureAwait(false);
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (header, values) in answer.Headers.Concat(answer.Content.Headers))
                if (!Own.Contains(header)) context.Response.Headers[header] = values.ToArray();
            await answer.Content.CopyToAsync(context.Response.Body, context.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception error)
            when (!context.Response.HasStarted
                && (error is HttpRequestException
                    || error is OperationCanceledException && !context.RequestAborted.IsCancellationRequested))
        {
            throw new ApiException(503, "ServiceUnavailable", $"error trying to reach service: {error.Message}");
        }
    }

    private static (string Scheme, string Name, string? Port) Split(string text) => text.Split(':') switch
    {
        [var name] => ("http", name, null),
        [var name, var port] => ("http", name, port.Length > 0 ? port : null),
        [var scheme, var name, var port] when scheme is "http" or "https" or "" =>
            (scheme.Length > 0 ? scheme : "http", name, port.Length > 0 ? port : null),
        _ => throw ApiException.BadRequest($"invalid service request \"{text}\""),
    };

    private string? Endpoint(string ns, string name, string? port)
    {
        var service = api.Get(Kinds.Services, ns, name) ?? throw ApiException.NotFound(Kinds.Services, name);
        var ports = Items(service["spec"]?["ports"]).ToList();
        var wanted = port is null
            ? ports is [var only] ? only : null
            : ports.FirstOrDefault(each => each.Str("name") == port || each["port"]?.ToString() == port);
        if (wanted is null)
            throw new ApiException(503, "ServiceUnavailable", $"no service port \"{port}\" found for service \"{name}\"");
        var portName = wanted.Str("name") ?? "";
        foreach (var slice in api
            .List(Kinds.EndpointSlices, ns).Items
            .Where(slice => slice.Str("metadata", "labels", "kubernetes.io/service-name") == name))
        {
            var target = Items(slice["ports"]).FirstOrDefault(each => (each.Str("name") ?? "") == portName)?["port"]?.ToString();
            if (target is null) continue;
            foreach (var endpoint in Items(slice["endpoints"]))
                if ((bool?)endpoint["conditions"]?["ready"] != false
                    && (string?)(endpoint["addresses"] as JsonArray)?.FirstOrDefault() is { } address)
                    return $"{address}:{target}";
        }
        return null;
    }

    private static IEnumerable<JsonObject> Items(JsonNode? node) => (node as JsonArray ?? []).OfType<JsonObject>();
}
