using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Logs of pods, and ways into them.</summary>
internal sealed class PodEndpoints(ClusterApi api)
{
    /// <summary>False when there is no such subresource.</summary>
    public async Task<bool> HandleAsync(HttpContext context, ApiRequest request)
    {
        if (api.Pods is not { } access)
            return false;
        switch (request.Subresource)
        {
            case "log" when request.Verb == "get":
                lock (api.Store.Gate)
                    api.Require(Kinds.Pods, request.Namespace, request.Name!);
                await LogsAsync(context, access, request).ConfigureAwait(false);
                return true;
            default:
                return false;
        }
    }

    private static async Task LogsAsync(HttpContext context, IPodAccess access, ApiRequest request)
    {
        var query = context.Request.Query;
        long? Number(string name) => query[name].ToString() is { Length: > 0 } text
            ? long.TryParse(text, out var n) && n >= 0 ? n : throw ApiException.BadRequest($"invalid value for {name}: \"{text}\"")
            : null;
        var log = new LogQuery
        {
            Container = query["container"].ToString() is { Length: > 0 } container ? container : null,
            Follow = ApiRequest.IsTrue(query["follow"]), Previous = ApiRequest.IsTrue(query["previous"]), Timestamps = ApiRequest.IsTrue(query["timestamps"]),
            TailLines = Number("tailLines"), SinceSeconds = Number("sinceSeconds"), LimitBytes = Number("limitBytes"),
            SinceTime = DateTimeOffset.TryParse(query["sinceTime"], out var since) ? since : null,
        };
        context.Response.ContentType = "text/plain";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        if (log.Follow)
        {
            // Refusals come before the first byte; so nothing is sent here until the log itself writes.
            await access.LogsAsync(request.Namespace!, request.Name!, log, new FlushingStream(context.Response.Body), context.RequestAborted).ConfigureAwait(false);
            return;
        }
        await access.LogsAsync(request.Namespace!, request.Name!, log, context.Response.Body, context.RequestAborted).ConfigureAwait(false);
    }
}
