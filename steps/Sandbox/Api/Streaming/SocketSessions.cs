using System.Buffers.Binary;
using System.Net.WebSockets;
using System.Text;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>Commands and ports over WebSockets with channels.</summary>
internal static class SocketSessions
{
    private const byte CloseChannel = 255;

    public static async Task ExecAsync(
        WebSocket socket,
        bool base64,
        ExecRequest request,
        Func<IExecStreams, CancellationToken, Task<int>> run,
        TimeProvider time,
        CancellationToken cancel)
    {
        using var channels = new ChannelSocket(socket, base64);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var output = channels.Writer(1);
        var pipes = new ExecStreams(request.Stdin, output, request.Tty ? output : channels.Writer(2)).Open();
        var reading = ReadAsync(channels, pipes, ended);
        var outcome = await ExecOutcome.RunAsync(() => run(pipes, ended.Token)).ConfigureAwait(false);
        await channels.SendAsync(3, outcome, cancel).ConfigureAwait(false);
        await channels.CloseAsync().ConfigureAwait(false);
        await ClosedAsync(reading, time, cancel).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        pipes.Close();
        await reading.ConfigureAwait(false);
    }

    /// <summary>Two channels per port, data and error; the first message of each names the port.</summary>
    public static async Task ForwardAsync(
        WebSocket socket,
        bool base64,
        IReadOnlyList<int> ports,
        Func<int, CancellationToken, Task<Stream>> connect,
        TimeProvider time,
        CancellationToken cancel)
    {
        using var channels = new ChannelSocket(socket, base64);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var targets = new Stream?[ports.Count];
        var down = new List<Task>();
        for (var i = 0; i < ports.Count; i++)
        {
            var name = new byte[2];
            BinaryPrimitives.WriteUInt16LittleEndian(name, (ushort)ports[i]);
            await channels.SendAsync((byte)(2 * i), name, cancel).ConfigureAwait(false);
            await channels.SendAsync((byte)((2 * i) + 1), name, cancel).ConfigureAwait(false);
            try
            {
                targets[i] = await connect(ports[i], ended.Token).ConfigureAwait(false);
                down.Add(DownAsync(targets[i]!, channels, (byte)(2 * i), ended.Token));
            }
            catch (Exception e) when (e is ApiException or IOException or System.Net.Sockets.SocketException)
            {
                await channels.SendAsync(
                    (byte)((2 * i) + 1),
                    Encoding.UTF8.GetBytes($"error forwarding port {ports[i]}: {e.Message}"),
                    cancel).ConfigureAwait(false);
            }
        }
        try
        {
            await UpAsync(channels, targets, down, time, ended.Token).ConfigureAwait(false);
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            foreach (var target in targets)
            {
                if (target is not null)
                    await target.DisposeAsync().ConfigureAwait(false);
            }
            await Task.WhenAll(down).ConfigureAwait(false);
            await channels.CloseAsync().ConfigureAwait(false);
        }
    }

    private static async Task UpAsync(
        ChannelSocket channels, Stream?[] targets, List<Task> down, TimeProvider time, CancellationToken cancel)
    {
        var allDown = down.Count == 0 ? new TaskCompletionSource().Task : Task.WhenAll(down);
        while (true)
        {
            var receiving = channels.ReceiveAsync(cancel);
            if (await Task.WhenAny(receiving, allDown).ConfigureAwait(false) == allDown)
            {
                // Giving the read up would tear the connection, and with it what is still under way to the client.
                await channels.CloseAsync().ConfigureAwait(false);
                await ClosedAsync(receiving, time, cancel).ConfigureAwait(false);
                return;
            }
            if (await receiving.ConfigureAwait(false) is not { } message)
                return;
            if (message.Channel % 2 == 0 && message.Channel / 2 < targets.Length && targets[message.Channel / 2] is { } target)
                await target.WriteAsync(message.Content, cancel).ConfigureAwait(false);
        }
    }

    // A client has two seconds to take its leave.
    private static Task ClosedAsync(Task reading, TimeProvider time, CancellationToken cancel) =>
        Task.WhenAny(reading, Task.Delay(TimeSpan.FromSeconds(2), time, cancel));

    private static async Task DownAsync(Stream target, ChannelSocket channels, byte channel, CancellationToken cancel)
    {
        try
        {
            await target.CopyToAsync(channels.Writer(channel), cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Closed by one side or the other.
        }
    }

    private static async Task ReadAsync(ChannelSocket channels, ExecStreams pipes, CancellationTokenSource ended)
    {
        try
        {
            while (await channels.ReceiveAsync(ended.Token).ConfigureAwait(false) is { } message)
            {
                if (message.Channel == 0)
                    await pipes.TypeAsync(message.Content, ended.Token).ConfigureAwait(false);
                else if (message.Channel == 4)
                    pipes.Resize(message.Content.Span);
                else if (message.Channel == CloseChannel && message.Content.Length > 0 && message.Content.Span[0] == 0)
                    pipes.EndInput();
            }
        }
        catch (OperationCanceledException)
        {
            // The command has ended.
        }
        finally
        {
            // Without its client a command has nobody to run for.
            await ended.CancelAsync().ConfigureAwait(false);
        }
    }
}
