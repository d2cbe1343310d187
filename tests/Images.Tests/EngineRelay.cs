using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace CiSteps.Images.Tests;

/// <summary>A port, plain and with TLS, before an engine's socket; either direction ends alone, as with an engine that listens
/// there itself.</summary>
internal sealed class EngineRelay : IAsyncDisposable
{
    private readonly TcpListener plain = new(IPAddress.Loopback, 0);
    private readonly TcpListener secure = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource ending = new();
    private readonly Task serving;
    private readonly string socket;
    private readonly X509Certificate2 certificate;

    public EngineRelay(string socket, X509Certificate2 certificate)
    {
        (this.socket, this.certificate) = (socket, certificate);
        plain.Start();
        secure.Start();
        serving = Task.WhenAll(ServeAsync(plain, isTls: false), ServeAsync(secure, isTls: true));
    }

    public int PlainPort => ((IPEndPoint)plain.LocalEndpoint).Port;

    public int TlsPort => ((IPEndPoint)secure.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        await ((Task)serving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        plain.Dispose();
        secure.Dispose();
        ending.Dispose();
    }

    private async Task ServeAsync(TcpListener listener, bool isTls)
    {
        List<Task> running = [];
        try
        {
            while (true) running.Add(RelayAsync(await listener.AcceptSocketAsync(ending.Token), isTls));
        }
        finally
        {
            await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RelayAsync(Socket near, bool isTls)
    {
        using var far = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await far.ConnectAsync(new UnixDomainSocketEndPoint(socket), ending.Token);
        await using var there = new NetworkStream(far);
        await using Stream here = isTls ? new SslStream(new NetworkStream(near, ownsSocket: true))
            : new NetworkStream(near, ownsSocket: true);
        if (here is SslStream secured) await secured.AuthenticateAsServerAsync(certificate);
        await Task.WhenAll(OneWayAsync(here, there, () => Shutdown(far)),
            OneWayAsync(there, here, () => here is SslStream tls ? tls.ShutdownAsync() : Shutdown(near)));
    }

    private async Task OneWayAsync(Stream from, Stream to, Func<Task> end)
    {
        try
        {
            await from.CopyToAsync(to, ending.Token);
            await end();
        }
        catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException)
        {
            // One side went away.
        }
    }

    private static Task Shutdown(Socket socket)
    {
        socket.Shutdown(SocketShutdown.Send);
        return Task.CompletedTask;
    }
}

/// <summary>A port that answers whatever is not TLS with Go's 400 and hands TLS on to another port; without another port it
/// answers nonsense to everything.</summary>
internal sealed class PlainRefuser : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource ending = new();
    private readonly Task serving;

    public PlainRefuser(int behind)
    {
        listener.Start();
        serving = ServeAsync(behind);
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        await serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        listener.Dispose();
        ending.Dispose();
    }

    private async Task ServeAsync(int behind)
    {
        const int handshake = 0x16;
        while (true)
        {
            using var client = await listener.AcceptTcpClientAsync(ending.Token);
            var stream = client.GetStream();
            var first = new byte[4096];
            var count = await stream.ReadAsync(first, ending.Token);
            if (behind == 0)
            {
                await stream.WriteAsync("hello, who is there?\r\n"u8.ToArray(), ending.Token);
            }
            else if (first[0] != handshake)
            {
                await stream.WriteAsync(
                    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"u8.ToArray(),
                    ending.Token);
            }
            else
            {
                using var other = new TcpClient();
                await other.ConnectAsync(IPAddress.Loopback, behind, ending.Token);
                await other.GetStream().WriteAsync(first.AsMemory(0, count), ending.Token);
                await Task.WhenAny(stream.CopyToAsync(other.GetStream(), ending.Token),
                    other.GetStream().CopyToAsync(stream, ending.Token));
            }
        }
    }
}
