using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Hosting.Options;
using CiSteps.Hosting;
using Docker.DotNet.Handler.Abstractions;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Client;

namespace CiSteps.Images;

/// <summary>
/// Connections to an engine: a socket of this machine, TCP, TLS on it, or ssh. They are opened here and not by the vendor's own
/// transports, so that either direction can be ended alone (a command's standard input over TLS, too), a certificate's failure
/// can be told apart, and a socket may have any name (the vendor's transport makes a host name of it). No proxy is used.
/// </summary>
internal sealed class EngineTransport : IDockerHandlerFactory<EngineTransport>, IDisposable
{
    private static readonly TimeSpan LongestHandshake = TimeSpan.FromSeconds(30);
    private readonly EngineAddress address;
    private readonly string name;
    private readonly bool verify;
    private readonly X509Certificate2? own;
    private readonly X509Certificate2Collection authorities = [];
    private readonly SshConnections? ssh;
    private readonly UnixDomainSocketEndPoint? local;

    /// <summary>Makes ready; reads the certificates.</summary>
    /// <exception cref="UsageException">They cannot be read, or a socket's path is longer than the system takes.</exception>
    public EngineTransport(EngineLocation location, IReadOnlyDictionary<string, string> environment)
    {
        (address, name, verify) = (location.Where, location.ToString(), location.Tls?.Verify ?? true);
        IsTls = location.Tls is not null || address.Scheme == "https";
        if (location.Tls is not null) (own, authorities) = location.Tls.Load();
        if (address.Scheme == "ssh") ssh = new SshConnections(address, environment);
        if (address.Scheme == "unix") local = SocketOf(location);
    }

    /// <summary>Whether TLS is spoken.</summary>
    public bool IsTls { get; }

    /// <inheritdoc />
    public ResolvedTransport CreateHandler(EngineTransport transportOptions, ResolvedClientOptions clientOptions,
        ILogger logger) =>
        CreateHandler(clientOptions, logger);

    /// <inheritdoc />
    public ResolvedTransport CreateHandler(ResolvedClientOptions clientOptions, ILogger logger) => new(
        new ManagedHandler(async (_, _, cancel) => await OpenAsync(cancel).ConfigureAwait(false), logger) { UseProxy = false },
        // What is below HTTP is opened here, so that to the library it is always plain. Sockets and ssh have no host to name.
        local is not null || ssh is not null ? new Uri("http://docker.example.com") : (address with { Scheme = "http" }).AsUri());

    /// <inheritdoc />
    public Task<WriteClosableStream> HijackStreamAsync(HttpContent content) => content is HttpConnectionResponseContent connection
        ? Task.FromResult(connection.HijackStream())
        : throw new InvalidOperationException("the answer's connection cannot be taken over");

    /// <summary>Opens one connection.</summary>
    /// <exception cref="UsageException">The engine's certificate is not to be trusted; the message says why.</exception>
    public async Task<Stream> OpenAsync(CancellationToken cancel)
    {
        if (ssh is not null) return ssh.Open();
        return await WithinAsync(async limited =>
        {
            var connection = await ConnectAsync(limited).ConfigureAwait(false);
            if (!IsTls) return connection;
            try
            {
                return await SecureAsync(connection, limited).ConfigureAwait(false);
            }
            catch
            {
                await connection.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }, cancel).ConfigureAwait(false);
    }

    /// <summary>Whether TLS is spoken where plain HTTP got nowhere, or plain HTTP where TLS did.</summary>
    public async Task<bool> SpeaksTheOtherAsync(CancellationToken cancel)
    {
        if (local is not null || ssh is not null) return false;
        var showedCertificate = false;
        try
        {
            return await WithinAsync(async limited =>
            {
                await using var connection = await ConnectAsync(limited).ConfigureAwait(false);
                if (IsTls) return await AnswersPlainAsync(connection, limited).ConfigureAwait(false);
                await using var secured = new SslStream(connection);
                await secured.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
                {
                    TargetHost = address.Host,
                    // That it shows one is all that is asked: the connection is given up.
                    RemoteCertificateValidationCallback = (_, _, _, _) => !(showedCertificate = true),
                }, limited).ConfigureAwait(false);
                return true;
            }, cancel).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or SocketException or AuthenticationException or TimeoutException)
        {
            return showedCertificate;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        ssh?.Dispose();
        own?.Dispose();
    }

    private async Task<Stream> ConnectAsync(CancellationToken cancel)
    {
        var socket = local is null ? new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }
            : new Socket(local.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (local is not null)
            {
                await socket.ConnectAsync(local, cancel).ConfigureAwait(false);
                return new SocketStream(socket);
            }
            // A build may say nothing for an hour, and what stands between forgets silent connections.
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            await socket.ConnectAsync(address.Host, address.Port, cancel).ConfigureAwait(false);
            return new SocketStream(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static UnixDomainSocketEndPoint SocketOf(EngineLocation location)
    {
        try
        {
            return new UnixDomainSocketEndPoint(location.Where.Path);
        }
        catch (ArgumentException tooLong)
        {
            throw new UsageException(
                $"the socket of the container engine at {location} has a path that is too long for this system: "
                    + $"set {EngineLocation.HostVariable} to a shorter one, such as a symbolic link to it", tooLong);
        }
    }

    private async Task<Stream> SecureAsync(Stream connection, CancellationToken cancel)
    {
        UsageException? refusal = null;
        var secured = new SslStream(connection);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = address.Host,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
            {
                if (!verify || errors == SslPolicyErrors.None) return true;
                refusal = EngineSilence.Distrust(name, address.Host, certificate as X509Certificate2, chain, errors);
                return false;
            },
        };
        if (own is not null)
        {
            options.ClientCertificates = [own];
            options.LocalCertificateSelectionCallback = (_, _, _, _, _) => own;
        }
        if (authorities.Count > 0)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }
        try
        {
            await secured.AuthenticateAsClientAsync(options, cancel).ConfigureAwait(false);
            return new TlsStream(secured);
        }
        catch (AuthenticationException) when (refusal is not null)
        {
            throw refusal;
        }
    }

    private static async Task<bool> AnswersPlainAsync(Stream connection, CancellationToken cancel)
    {
        await connection.WriteAsync("GET /_ping HTTP/1.0\r\n\r\n"u8.ToArray(), cancel).ConfigureAwait(false);
        var answer = new byte[5];
        var count = await connection.ReadAtLeastAsync(
            answer, answer.Length, throwOnEndOfStream: false, cancel).ConfigureAwait(false);
        return count == answer.Length && answer.AsSpan().SequenceEqual("HTTP/"u8);
    }

    private static async Task<T> WithinAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(LongestHandshake);
        try
        {
            return await call(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException late) when (!cancel.IsCancellationRequested)
        {
            throw new TimeoutException($"no connection within {Durations.Show(LongestHandshake)}", late);
        }
    }

    private sealed class SocketStream(Socket socket) : OneWayClosable(new NetworkStream(socket, ownsSocket: true))
    {
        public override void CloseWrite() => socket.Shutdown(SocketShutdown.Send);
    }

    private sealed class TlsStream(SslStream secured) : OneWayClosable(secured)
    {
        // TLS's own word for the end of one direction; the other goes on.
        public override void CloseWrite() => secured.ShutdownAsync().GetAwaiter().GetResult();
    }
}
