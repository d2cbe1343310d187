using System.Text;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>What kubectl does over SPDY: run commands, forward ports.</summary>
internal static class SpdySessions
{
    public static async Task ExecAsync(
        Stream transport,
        ExecRequest request,
        bool stdout,
        bool stderr,
        Func<IExecStreams, CancellationToken, Task<int>> run,
        TimeProvider time,
        CancellationToken cancel)
    {
        using var connection = new SpdyConnection(transport);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var reading = ReadAsync(connection, ended);
        var expected = 1 + (request.Stdin ? 1 : 0) + (stdout ? 1 : 0) + (stderr ? 1 : 0) + (request.Tty ? 1 : 0);
        var streams = new Dictionary<string, SpdyStream>(StringComparer.Ordinal);
        while (streams.Count < expected && await connection.Opened.WaitToReadAsync(cancel).ConfigureAwait(false))
        {
            while (connection.Opened.TryRead(out var stream))
                streams[stream.Type] = stream;
        }
        if (!streams.TryGetValue("error", out var error))
            return;
        var output = streams.GetValueOrDefault("stdout")?.Output ?? Stream.Null;
        var pipes = new ExecStreams(
            request.Stdin, output, request.Tty ? output : streams.GetValueOrDefault("stderr")?.Output ?? Stream.Null).Open();
        var typing = streams.TryGetValue("stdin", out var stdin) ? TypeAsync(stdin, pipes, ended.Token) : Task.CompletedTask;
        var sizing = streams.TryGetValue("resize", out var resize) ? ResizeAsync(resize, pipes, ended.Token) : Task.CompletedTask;
        var outcome = await ExecOutcome.RunAsync(() => run(pipes, ended.Token)).ConfigureAwait(false);
        await error.Output.WriteAsync(outcome, cancel).ConfigureAwait(false);
        foreach (var stream in streams.Values)
            await stream.EndOutputAsync(cancel).ConfigureAwait(false);
        // The client closes when it has read the end; whoever does not is not waited for long.
        await Task.WhenAny(reading, Task.Delay(TimeSpan.FromSeconds(2), time, cancel)).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        pipes.Close();
        await Quiet(typing, sizing, reading).ConfigureAwait(false);
    }

    public static async Task ForwardAsync(
        Stream transport, Func<int, CancellationToken, Task<Stream>> connect, CancellationToken cancel)
    {
        using var connection = new SpdyConnection(transport);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var reading = ReadAsync(connection, ended);
        var pairs = new Dictionary<string, SpdyStream>(StringComparer.Ordinal);
        var running = new List<Task>();
        try
        {
            await foreach (var stream in connection.Opened.ReadAllAsync(ended.Token).ConfigureAwait(false))
            {
                var id = stream.Headers.GetValueOrDefault("requestid") ?? "";
                if (!pairs.Remove(id, out var other))
                {
                    pairs[id] = stream;
                    continue;
                }
                var (error, data) = stream.Type == "error" ? (stream, other) : (other, stream);
                running.RemoveAll(t => t.IsCompleted);
                running.Add(ForwardOneAsync(error, data, connect, ended.Token));
            }
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The client has gone.
        }
        await ended.CancelAsync().ConfigureAwait(false);
        await Quiet([.. running, reading]).ConfigureAwait(false);
    }

    private static async Task ForwardOneAsync(
        SpdyStream error, SpdyStream data, Func<int, CancellationToken, Task<Stream>> connect, CancellationToken cancel)
    {
        var port = int.TryParse(data.Headers.GetValueOrDefault("port"), out var p) ? p : 0;
        Stream target;
        try
        {
            target = await connect(port, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ApiException or IOException or System.Net.Sockets.SocketException)
        {
            await error.Output.WriteAsync(
                Encoding.UTF8.GetBytes($"error forwarding port {port}: {e.Message}"), cancel).ConfigureAwait(false);
            await error.EndOutputAsync(cancel).ConfigureAwait(false);
            await data.EndOutputAsync(cancel).ConfigureAwait(false);
            return;
        }
        await using (target.ConfigureAwait(false))
        {
            var up = UpAsync(data, target, cancel);
            try
            {
                await target.CopyToAsync(data.Output, cancel).ConfigureAwait(false);
            }
            catch (IOException)
            {
                // The pod has closed hard; for the client that is an end.
            }
            await data.EndOutputAsync(cancel).ConfigureAwait(false);
            await error.EndOutputAsync(cancel).ConfigureAwait(false);
            await Quiet(up).ConfigureAwait(false);
        }
    }

    private static async Task UpAsync(SpdyStream data, Stream target, CancellationToken cancel)
    {
        await data.Input.CopyToAsync(target, cancel).ConfigureAwait(false);
        if (target is System.Net.Sockets.NetworkStream network)
            network.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
    }

    private static async Task TypeAsync(SpdyStream stdin, ExecStreams pipes, CancellationToken cancel)
    {
        var buffer = new byte[16384];
        int read;
        while ((read = await stdin.Input.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
            await pipes.TypeAsync(buffer.AsMemory(0, read), cancel).ConfigureAwait(false);
        pipes.EndInput();
    }

    private static async Task ResizeAsync(SpdyStream resize, ExecStreams pipes, CancellationToken cancel)
    {
        var buffer = new byte[1024];
        int read;
        while ((read = await resize.Input.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
            pipes.Resize(buffer.AsSpan(0, read));
    }

    private static async Task ReadAsync(SpdyConnection connection, CancellationTokenSource ended)
    {
        try
        {
            await connection.RunAsync(ended.Token).ConfigureAwait(false);
        }
        finally
        {
            // Without its client a command has nobody to run for.
            await ended.CancelAsync().ConfigureAwait(false);
        }
    }

    private static async Task Quiet(params Task[] tasks)
    {
        foreach (var task in tasks)
        {
            try
            {
                await task.ConfigureAwait(false);
            }
            catch (Exception e)
                when (e is OperationCanceledException or IOException or InvalidOperationException
                    or System.Net.Sockets.SocketException)
            {
                // Ended with the session.
            }
        }
    }
}
