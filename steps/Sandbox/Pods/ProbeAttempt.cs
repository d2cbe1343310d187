using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>One look at a container: by HTTP, TCP or a command inside it.</summary>
internal sealed class ProbeAttempt(IContainerRuntime runtime, JsonObject container, string podAddress)
{
    private const int TextLimit = 10 * 1024;

    // A probe asks whether the pod answers, not who it is; Kubernetes checks no certificates here either.
#pragma warning disable CA5359
    // Redirects count as success.
    private static readonly HttpClient Http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        PooledConnectionLifetime = TimeSpan.Zero,
        UseProxy = false,
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true },
    })
    { Timeout = Timeout.InfiniteTimeSpan };
#pragma warning restore CA5359

    /// <summary>Null when all is well, else what is wrong, in the kubelet's words.</summary>
    public async Task<string?> RunAsync(JsonObject probe, string containerId, TimeSpan limit, CancellationToken ct)
    {
        using var timed = CancellationTokenSource.CreateLinkedTokenSource(ct);
        timed.CancelAfter(limit);
        try
        {
            if (probe.Obj("httpGet") is { } http)
                return await HttpAsync(http, timed.Token).ConfigureAwait(false);
            if (probe.Obj("tcpSocket") is { } tcp)
                return await TcpAsync(tcp, timed.Token).ConfigureAwait(false);
            if (probe.Obj("exec") is { } exec)
                return await ExecAsync(exec, containerId, timed.Token).ConfigureAwait(false);
            return probe.Obj("grpc") is not null
                ? "gRPC probes are not served by the sandbox; use httpGet, tcpSocket or exec"
                : null;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return probe.Obj("exec") is not null
                ? $"command \"{string.Join(' ', probe.Strs("exec", "command"))}\" timed out"
                : probe.Obj("httpGet") is { } http
                    ? $"Get \"{Address(http)}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                    : $"dial tcp {podAddress}:{Port(probe.At("tcpSocket", "port"))}: i/o timeout";
        }
        catch (Exception e) when (e is not (OperationCanceledException or OutOfMemoryException))
        {
            // An address that is none, an engine that is away: whatever keeps a look from being made is a failed look.
            return e.Message;
        }
    }

    private async Task<string?> HttpAsync(JsonObject http, CancellationToken ct)
    {
        var address = Address(http);
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.TryAddWithoutValidation("User-Agent", "kube-probe/1.32");
        request.Headers.TryAddWithoutValidation("Accept", "*/*");
        request.Headers.ConnectionClose = true;
        foreach (var header in http.Objs("httpHeaders"))
        {
            if (string.Equals(header.Str("name"), "Host", StringComparison.OrdinalIgnoreCase))
                request.Headers.Host = header.Str("value");
            else
                request.Headers.TryAddWithoutValidation(header.Str("name") ?? "", header.Str("value"));
        }

        try
        {
            using var response = await Http.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, ct).ConfigureAwait(false);
            var code = (int)response.StatusCode;
            return code is >= 200 and < 400 ? null : $"HTTP probe failed with statuscode: {code}";
        }
        catch (HttpRequestException e)
        {
            return $"Get \"{address}\": {Cause(e, http["port"])}";
        }
    }

    private string Address(JsonObject http)
    {
        var scheme = (http.Str("scheme") ?? "HTTP").ToLowerInvariant();
        var path = http.Str("path") ?? "/";
        return $"{scheme}://{(http.Str("host") is { Length: > 0 } host
            ? host
            : podAddress)}:{Port(http["port"])}{(path.StartsWith('/') ? "" : "/")}{path}";
    }

    private async Task<string?> TcpAsync(JsonObject tcp, CancellationToken ct)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(podAddress), Port(tcp["port"]), ct).ConfigureAwait(false);
            return null;
        }
        catch (SocketException e)
        {
            return Cause(e, tcp["port"]);
        }
    }

    private async Task<string?> ExecAsync(JsonObject exec, string containerId, CancellationToken ct)
    {
        using var output = new MemoryStream();
        var code = await runtime.ExecAsync(
            containerId, new([.. exec.Strs("command")], null, output, output, Tty: false, null), ct).ConfigureAwait(false);
        return code == 0 ? null : Encoding.UTF8.GetString(output.GetBuffer(), 0, (int)Math.Min(output.Length, TextLimit));
    }

    private string Cause(Exception e, JsonNode? port)
    {
        var socket = e as SocketException ?? e.InnerException as SocketException;
        return socket?.SocketErrorCode switch
        {
            SocketError.ConnectionRefused => $"dial tcp {podAddress}:{Port(port)}: connect: connection refused",
            SocketError.HostUnreachable => $"dial tcp {podAddress}:{Port(port)}: connect: no route to host",
            SocketError.ConnectionReset => $"read tcp {podAddress}:{Port(port)}: read: connection reset by peer",
            _ => e is HttpRequestException { InnerException: IOException } ? "EOF" : e.Message,
        };
    }

    private int Port(JsonNode? port)
    {
        if (port.Num() is { } number)
            return (int)number;
        var name = port.Str() ?? "";
        return int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed)
            ? parsed
            : container.Objs("ports").FirstOrDefault(p => p.Str("name") == name).Int(0, "containerPort");
    }
}
