using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox.Services;

/// <summary>
/// The cluster's name server at its usual address: answers for cluster.local from the services, asks the host's name servers for
/// all else.
/// </summary>
internal sealed class NameServer : IAsyncDisposable
{
    private static readonly TimeSpan UpstreamLimit = TimeSpan.FromSeconds(2);
    // Services may be each other's names, in a circle too.
    private const int LongestChain = 8;

    private readonly ServiceNames names;
    private readonly Socket datagrams;
    private readonly Socket streams;
    private readonly CancellationTokenSource stop;
    private readonly IReadOnlyList<IPEndPoint> upstream;
    private readonly Task work;

    private NameServer(ServiceNames names, Socket datagrams, Socket streams, TimeProvider time, CancellationToken ct)
    {
        this.names = names;
        this.datagrams = datagrams;
        this.streams = streams;
        stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        upstream = HostServers();
        work = Task.WhenAll(
            Task.Run(AnswerDatagramsAsync, CancellationToken.None),
            Task.Run(
                () => Accepting.RunAsync(this.streams.AcceptAsync, client => _ = AnswerStreamAsync(client), time, stop.Token),
                CancellationToken.None));
    }

    public static async Task<NameServer> StartAsync(
        NetworkNamespace where, ClusterNetwork network, ServiceTable table, TimeProvider time, CancellationToken ct)
    {
        var address = new IPEndPoint(IPAddress.Parse(network.DnsAddress), 53);
        var datagrams = await where.BindDatagramAsync(address).ConfigureAwait(false);
        var streams = await where.ListenAsync(address).ConfigureAwait(false);
        return new(new ServiceNames(table), datagrams, streams, time, ct);
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        datagrams.Dispose();
        streams.Dispose();
        await work.ConfigureAwait(false);
        stop.Dispose();
    }

    private async Task AnswerDatagramsAsync()
    {
        var buffer = new byte[4096];
        var anyone = new IPEndPoint(IPAddress.Any, 0);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var received = await datagrams.ReceiveFromAsync(
                    buffer, SocketFlags.None, anyone, stop.Token).ConfigureAwait(false);
                var question = buffer.AsSpan(0, received.ReceivedBytes).ToArray();
                _ = AnswerDatagramAsync(question, received.RemoteEndPoint);
            }
            catch (SocketException) when (!stop.IsCancellationRequested)
            {
                // A client that went away before its answer came; the next one is well.
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
        }
    }

    private async Task AnswerDatagramAsync(byte[] question, EndPoint client)
    {
        try
        {
            if (await AnswerAsync(question).ConfigureAwait(false) is { } answer)
                await datagrams.SendToAsync(
                    answer.AsMemory(0, Math.Min(answer.Length, 4096)),
                    SocketFlags.None,
                    client,
                    stop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client asks again or not.
        }
    }

    private async Task AnswerStreamAsync(Socket client)
    {
        try
        {
            await using var stream = new NetworkStream(client, ownsSocket: true);
            var length = new byte[2];
            while (await stream.ReadAtLeastAsync(length, 2, throwOnEndOfStream: false, stop.Token).ConfigureAwait(false) == 2)
            {
                var question = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
                await stream.ReadExactlyAsync(question, stop.Token).ConfigureAwait(false);
                if (await AnswerAsync(question).ConfigureAwait(false) is not { } answer)
                    return;
                BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)answer.Length);
                await stream.WriteAsync(length, stop.Token).ConfigureAwait(false);
                await stream.WriteAsync(answer, stop.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The client broke off.
        }
    }

    private async Task<byte[]?> AnswerAsync(byte[] message, int chain = 0)
    {
        if (NameQuestion.Parse(message) is not { } question)
            return null;
        if (chain < LongestChain && names.TargetOf(question) is { } target)
        {
            var reply = await AnswerAsync(NameQuestion.Compose(target, question.Type), chain + 1).ConfigureAwait(false);
            return question.Reply(NameQuestion.NoError, [
                new(question.Name, NameQuestion.CName, NameQuestion.Encode(target)),
                .. NameQuestion.DataOf(reply, question.Type).Select(d => new NameRecord(target, question.Type, d)),
            ]);
        }

        if (names.Answer(question) is { } own)
            return own;
        return await AskUpstreamAsync(message).ConfigureAwait(false) ?? question.Reply(NameQuestion.ServerFailure, []);
    }

    private async Task<byte[]?> AskUpstreamAsync(byte[] message)
    {
        foreach (var server in upstream)
        {
            using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
            limit.CancelAfter(UpstreamLimit);
            try
            {
                await socket.SendToAsync(message, SocketFlags.None, server, limit.Token).ConfigureAwait(false);
                var buffer = new byte[4096];
                var received = await socket.ReceiveFromAsync(
                    buffer,
                    SocketFlags.None,
                    new IPEndPoint(server.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0),
                    limit.Token).ConfigureAwait(false);
                return buffer[..received.ReceivedBytes];
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !stop.IsCancellationRequested))
            {
                // The next server may answer.
            }
        }

        return null;
    }

    private static List<IPEndPoint> HostServers()
    {
        const string path = "/etc/resolv.conf";
        var servers = new List<IPEndPoint>();
        foreach (var line in File.Exists(path) ? File.ReadAllLines(path) : [])
        {
            if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is ["nameserver", var text, ..]
                && IPAddress.TryParse(text, out var address))
                servers.Add(new(address, 53));
        }

        return servers;
    }
}
