using System.Net;
using System.Net.Sockets;

namespace CiSteps.Sandbox.Services;

/// <summary>Takes connections for one port of a service and passes each on to a ready endpoint.</summary>
internal sealed class ServiceListener : IAsyncDisposable
{
    private readonly Socket socket;
    private readonly Func<IPEndPoint?, IReadOnlyList<IPEndPoint>> endpoints;
    private readonly CancellationTokenSource stop = new();
    private readonly CancellationToken end;
    private readonly Task work;

    /// <param name="socket">Listening; owned from here on.</param>
    /// <param name="endpoints">The ready endpoints in the order to be tried, for a client.</param>
    /// <param name="time">The clock of the pause after an error.</param>
    /// <param name="end">Ends connections too; disposing only ends taking new ones.</param>
    public ServiceListener(
        Socket socket, Func<IPEndPoint?, IReadOnlyList<IPEndPoint>> endpoints, TimeProvider time, CancellationToken end)
    {
        this.socket = socket;
        this.endpoints = endpoints;
        this.end = end;
        work = Task.Run(
            () => Accepting.RunAsync(
                this.socket.AcceptAsync,
                client => _ = Task.Run(() => ServeAsync(client), CancellationToken.None),
                time,
                stop.Token),
            CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        socket.Dispose();
        await work.ConfigureAwait(false);
        stop.Dispose();
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            try
            {
                client.NoDelay = true;
                using var server = await ConnectAsync(client.RemoteEndPoint as IPEndPoint).ConfigureAwait(false);
                if (server is null)
                {
                    // Nobody is ready: a reset, as a cluster without endpoints answers.
                    Reset(client);
                    return;
                }

                await Task.WhenAll(PumpAsync(client, server), PumpAsync(server, client)).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // One side broke off; so does the other.
                Reset(client);
            }
        }
    }

    private static void Reset(Socket client)
    {
        try
        {
            client.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is gone already.
        }
    }

    private async Task<Socket?> ConnectAsync(IPEndPoint? client)
    {
        foreach (var endpoint in endpoints(client))
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(end);
                limit.CancelAfter(TimeSpan.FromSeconds(3));
                await socket.ConnectAsync(endpoint, limit.Token).ConfigureAwait(false);
                return socket;
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !end.IsCancellationRequested))
            {
                // Ending just now: the next one may be well.
                socket.Dispose();
            }
        }

        return null;
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = new byte[32 * 1024];
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(buffer, end).ConfigureAwait(false);
                if (count == 0)
                    break;
                for (var sent = 0; sent < count;)
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), end).ConfigureAwait(false);
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception)
        {
            // A break on one side must not leave the other one waiting.
            from.Dispose();
            to.Dispose();
            throw;
        }
    }
}
