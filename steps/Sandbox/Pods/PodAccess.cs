using System.Net.Sockets;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Services;

namespace CiSteps.Sandbox.Pods;

/// <summary>Logs, commands and connections of running pods, as the API server asks them of a kubelet.</summary>
internal sealed class PodAccess(KubeletContext context, Kubelet kubelet) : IPodAccess
{
    public async Task LogsAsync(string ns, string pod, LogQuery query, Stream output, CancellationToken cancel)
    {
        var (found, worker) = Find(ns, pod);
        var run = Container(found, worker, query.Container);
        var id = query.Previous ? run.PreviousRunId : run.LatestRunId;
        if (id is null)
        {
            throw new ApiException(400, "BadRequest", query.Previous
                ? $"previous terminated container \"{run.Name}\" in pod \"{pod}\" not found"
                : $"container \"{run.Name}\" in pod \"{pod}\" is waiting to start: {run.WaitingMessageOrReason}");
        }

        var since = query.SinceTime
            ?? (query.SinceSeconds is { } seconds ? context.Time.GetUtcNow() - TimeSpan.FromSeconds(seconds) : null);
        var target = query.LimitBytes is { } limit ? new LimitedStream(output, limit) : output;
        try
        {
            await context.Runtime.LogsAsync(
                id,
                new(query.Follow && !query.Previous, query.TailLines, since, query.Timestamps),
                target,
                cancel).ConfigureAwait(false);
        }
        catch (LimitReachedException)
        {
            // As many bytes as were asked for.
        }
        catch (RuntimeRefusalException e)
        {
            throw new ApiException(500, "InternalError", e.Message);
        }
    }

    public async Task<int> ExecAsync(string ns, string pod, ExecRequest request, IExecStreams streams, CancellationToken cancel)
    {
        var (found, worker) = Find(ns, pod);
        var run = Running(found, worker, request.Container);
        try
        {
            return await context.Runtime.ExecAsync(
                run.Id!,
                new(request.Command, streams.Input, streams.Output, streams.Error, request.Tty, streams.Sizes),
                cancel).ConfigureAwait(false);
        }
        catch (RuntimeRefusalException e)
        {
            throw new ApiException(500, "InternalError", $"error executing command in container: {e.Message}");
        }
    }

    public async Task<int> AttachAsync(string ns, string pod, ExecRequest request, IExecStreams streams, CancellationToken cancel)
    {
        var (found, worker) = Find(ns, pod);
        var run = Running(found, worker, request.Container);
        return await context.Runtime.AttachAsync(
            run.Id!,
            new(request.Command, streams.Input, streams.Output, streams.Error, request.Tty, streams.Sizes),
            cancel).ConfigureAwait(false);
    }

    public async Task<Stream> ConnectAsync(string ns, string pod, int port, CancellationToken cancel)
    {
        var (_, worker) = Find(ns, pod);
        if (worker.Network.Address is null)
            throw new ApiException(400, "BadRequest", $"pod \"{pod}\" has no address yet");
        try
        {
            // The pod's own loopback, so that what listens there only is reached too.
            return new NetworkStream(
                await new NetworkNamespace(worker.Network.ProcessId).ConnectAsync(port, cancel).ConfigureAwait(false),
                ownsSocket: true);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            throw new ApiException(500, "InternalError",
                $"error forwarding port {port} to pod {pod}, uid {worker.Uid}: {e.Message}");
        }
    }

    private (JsonObject Pod, PodWorker Worker) Find(string ns, string name)
    {
        var pod = context.Api.Get(Kinds.Pods, ns, name) ?? throw ApiException.NotFound(Kinds.Pods, name);
        if (kubelet.Find(pod.Uid()) is { } worker)
            return (pod, worker);
        throw new ApiException(400, "BadRequest", pod.Str("spec", "nodeName") is { Length: > 0 }
            ? $"pod \"{name}\" is being started"
            : $"pod \"{name}\" does not have a host assigned");
    }

    private static ContainerRun Container(JsonObject pod, PodWorker worker, string? name)
    {
        name ??= pod.Annotation("kubectl.kubernetes.io/default-container");
        if (name is null)
        {
            var apps = worker.Runs.Where(r => r.Role == ContainerRole.App).ToList();
            if (apps.Count > 1)
                throw new ApiException(400, "BadRequest",
                    $"a container name must be specified for pod {pod.Name()}, choose one of: " +
                    $"[{string.Join(' ', worker.Runs.Where(r => r.Role == ContainerRole.App).Select(r => r.Name))}]");
            return apps[0];
        }

        return worker.Runs.FirstOrDefault(r => r.Name == name)
            ?? throw new ApiException(400, "BadRequest", $"container {name} is not valid for pod {pod.Name()}");
    }

    private static ContainerRun Running(JsonObject pod, PodWorker worker, string? name)
    {
        var run = Container(pod, worker, name);
        return run.State == RunState.Running
            ? run
            : throw new ApiException(500, "InternalError", $"unable to upgrade connection: container not found (\"{run.Name}\")");
    }

    private sealed class LimitReachedException : IOException;

    /// <summary>Passes on so many bytes and then refuses.</summary>
    private sealed class LimitedStream(Stream inner, long limit) : Stream
    {
        private long left = limit;

        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var part = buffer[..(int)Math.Min(buffer.Length, left)];
            await inner.WriteAsync(part, cancellationToken).ConfigureAwait(false);
            left -= part.Length;
            if (left == 0)
                throw new LimitReachedException();
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);
        public override void Flush() => inner.Flush();
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
