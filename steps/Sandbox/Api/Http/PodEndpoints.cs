using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Streaming;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Logs of pods, and ways into them.</summary>
internal sealed class PodEndpoints(ClusterApi api)
{
    private const string SpdyTunnel = "SPDY/3.1+portforward.k8s.io";
    private static readonly string[] ExecProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];
    private static readonly string[] ForwardProtocols = [SpdyTunnel, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];
    private static readonly string[] SpdyExecProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

    /// <summary>False when there is no such subresource.</summary>
    public async Task<bool> HandleAsync(HttpContext context, ApiRequest request)
    {
        JsonObject Pod() =>
            api.Get(Kinds.Pods, request.Namespace, request.Name!) ?? throw ApiException.NotFound(Kinds.Pods, request.Name!);
        switch (request.Subresource)
        {
            case "log" when request.Verb == "get":
                await LogsAsync(context, request, Pod()).ConfigureAwait(false);
                return true;
            case "exec" or "attach" when request.Verb is "get" or "create":
                await ExecAsync(context, request, Pod()).ConfigureAwait(false);
                return true;
            case "portforward" when request.Verb is "get" or "create":
                await ForwardAsync(context, request, Pod()).ConfigureAwait(false);
                return true;
            default:
                return false;
        }
    }

    // A cluster without pods has nodes without a kubelet.
    private IPodAccess Access => api.Pods ?? throw ApiException.BadRequest("no kubelet runs the pods of this cluster");

    private async Task LogsAsync(HttpContext context, ApiRequest request, JsonObject pod)
    {
        var query = context.Request.Query;
        long? Number(string name) => query[name].ToString() is { Length: > 0 } text
            ? !long.TryParse(text, out var n)
                ? throw ApiException.BadRequest($"strconv.ParseInt: parsing \"{text}\": invalid syntax")
            : n >= (name == "tailLines" ? 0 : 1) ? n : throw BelowLeast(request.Name!, name, n)
            : null;
        var log = new LogQuery
        {
            Container = Container(query["container"], pod),
            Follow = ApiRequest.IsTrue(query["follow"]),
            Previous = ApiRequest.IsTrue(query["previous"]),
            Timestamps = ApiRequest.IsTrue(query["timestamps"]),
            TailLines = Number("tailLines"),
            SinceSeconds = Number("sinceSeconds"),
            LimitBytes = Number("limitBytes"),
            SinceTime = DateTimeOffset.TryParse(query["sinceTime"], out var since) ? since : null,
        };
        if (pod.Str("spec", "nodeName") is not { Length: > 0 })
        {
            // No node has it yet: there is no log, and that is not an error.
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }
        context.Response.ContentType = "text/plain";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        // Refusals come before the first byte; so nothing is sent here until the log itself writes.
        var output = log.Follow ? new FlushingStream(context.Response.Body) : context.Response.Body;
        await Access.LogsAsync(request.Namespace!, request.Name!, log, output, context.RequestAborted).ConfigureAwait(false);
    }

    private async Task ExecAsync(HttpContext context, ApiRequest request, JsonObject pod)
    {
        var query = context.Request.Query;
        var attach = request.Subresource == "attach";
        var command = query["command"].Select(c => c ?? "").ToList();
        if (!attach && command.Count == 0)
            throw ApiException.BadRequest("you must specify at least 1 container command");
        var tty = ApiRequest.IsTrue(query["tty"]);
        DemandNode(pod);
        var exec = new ExecRequest(Container(query["container"], pod), command, ApiRequest.IsTrue(query["stdin"]), tty);
        var stdout = !query.ContainsKey("stdout") || ApiRequest.IsTrue(query["stdout"]);
        var stderr = ApiRequest.IsTrue(query["stderr"]) && !tty;
        var access = Access;
        Task<int> Run(IExecStreams streams, CancellationToken cancel) => attach
            ? access.AttachAsync(request.Namespace!, request.Name!, exec, streams, cancel)
            : access.ExecAsync(request.Namespace!, request.Name!, exec, streams, cancel);
        if (context.WebSockets.IsWebSocketRequest)
        {
            var protocol = Choose(context, ExecProtocols);
            using var socket = await context.WebSockets.AcceptWebSocketAsync(protocol).ConfigureAwait(false);
            await SocketSessions.ExecAsync(
                socket,
                protocol.Contains("base64", StringComparison.Ordinal),
                exec,
                Run,
                api.Time,
                context.RequestAborted).ConfigureAwait(false);
            return;
        }
        var offered = context.Request.Headers["X-Stream-Protocol-Version"]
            .SelectMany(v => (v ?? "").Split(','))
            .Select(v => v.Trim())
            .ToList();
        var spoken = SpdyExecProtocols.FirstOrDefault(offered.Contains)
            ?? throw new ApiException(403, "Forbidden",
                $"unable to upgrade: unable to negotiate protocol: client supports {string.Join(", ", offered)}, " +
                $"server accepts {string.Join(", ", SpdyExecProtocols)}");
        await using var transport = await UpgradeAsync(context, spoken).ConfigureAwait(false);
        await SpdySessions.ExecAsync(
            transport, exec, stdout, stderr, Run, api.Time, context.RequestAborted).ConfigureAwait(false);
    }

    private async Task ForwardAsync(HttpContext context, ApiRequest request, JsonObject pod)
    {
        DemandNode(pod);
        if (pod.Str("status", "phase") != "Running")
            throw ApiException.BadRequest($"pod {request.Name} is not running. Current status={pod.Str("status", "phase")}");
        var access = Access;
        Task<Stream> Connect(int port, CancellationToken cancel) =>
            access.ConnectAsync(request.Namespace!, request.Name!, port, cancel);
        if (!context.WebSockets.IsWebSocketRequest)
        {
            await using var raw = await UpgradeAsync(context, "portforward.k8s.io").ConfigureAwait(false);
            await SpdySessions.ForwardAsync(raw, Connect, context.RequestAborted).ConfigureAwait(false);
            return;
        }
        var protocol = Choose(context, ForwardProtocols);
        // The tunnel's name has a slash, which the framework refuses as a protocol; as a header it passes.
        context.Response.Headers.SecWebSocketProtocol = protocol;
        using var socket = await context.WebSockets.AcceptWebSocketAsync().ConfigureAwait(false);
        if (protocol == SpdyTunnel)
        {
            await using var tunnel = new SocketStream(socket);
            await SpdySessions.ForwardAsync(tunnel, Connect, context.RequestAborted).ConfigureAwait(false);
            return;
        }
        var ports = context.Request.Query["ports"]
            .SelectMany(p => (p ?? "").Split(','))
            .Select(p => int.TryParse(p, out var n) ? n : 0)
            .Where(p => p > 0)
            .ToList();
        await SocketSessions.ForwardAsync(
            socket,
            protocol.Contains("base64", StringComparison.Ordinal),
            ports,
            Connect,
            api.Time,
            context.RequestAborted).ConfigureAwait(false);
    }

    private static void DemandNode(JsonObject pod)
    {
        if (pod.Str("spec", "nodeName") is not { Length: > 0 })
            throw ApiException.BadRequest($"pod {pod.Str("metadata", "name")} does not have a host assigned");
    }

    private static ApiException BelowLeast(string pod, string field, long value)
    {
        var cause = new StatusCause(
            "FieldValueInvalid",
            $"Invalid value: {value}: must be greater than {(field == "tailLines" ? "or equal to " : "")}0",
            field);
        return new ApiException(422, "Invalid",
            $"PodLogOptions \"{pod}\" is invalid: {field}: {cause.Message}")
        {
            Name = pod,
            Subject = "PodLogOptions",
            Causes = [cause]
        };
    }

    /// <summary>The container that is meant; 400 when it is not there or not clear which one.</summary>
    private static string? Container(string? wanted, JsonObject pod)
    {
        var name = pod.Str("metadata", "name");
        var all = pod.Objs("spec", "containers").Select(c => c.Str("name") ?? "").ToList();
        if (wanted is not { Length: > 0 })
        {
            if (all.Count > 1)
                throw ApiException.BadRequest(
                    $"a container name must be specified for pod {name}, choose one of: [{string.Join(" ", all)}]");
            return all.FirstOrDefault();
        }
        all.AddRange(pod.Objs("spec", "initContainers").Select(c => c.Str("name") ?? ""));
        return all.Contains(wanted) ? wanted : throw ApiException.BadRequest($"container {wanted} is not valid for pod {name}");
    }

    private static string Choose(HttpContext context, string[] spoken) =>
        context.WebSockets.WebSocketRequestedProtocols.Count == 0 ? spoken[^2]
        : spoken.FirstOrDefault(context.WebSockets.WebSocketRequestedProtocols.Contains)
            ?? throw ApiException.BadRequest(
                "unable to negotiate protocol: client supports " +
                $"{string.Join(", ", context.WebSockets.WebSocketRequestedProtocols)}, " +
                $"server accepts {string.Join(", ", spoken)}");

    private static async Task<Stream> UpgradeAsync(HttpContext context, string protocol)
    {
        var feature = context.Features.Get<IHttpUpgradeFeature>();
        if (feature is not { IsUpgradableRequest: true }
            || !context.Request.Headers.Upgrade.ToString().StartsWith("SPDY/3.1", StringComparison.OrdinalIgnoreCase))
            throw ApiException.BadRequest("Upgrade request required");
        context.Response.Headers.Upgrade = "SPDY/3.1";
        context.Response.Headers["X-Stream-Protocol-Version"] = protocol;
        return await feature.UpgradeAsync().ConfigureAwait(false);
    }
}
