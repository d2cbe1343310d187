using System.Net;
using System.Security.Authentication;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Discovery;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Serves one cluster's API over HTTPS on the loopback interface.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly WebApplication app;
    private readonly Router router;

    private ApiServer(
        ClusterApi api, Authority authority, int port, IReadOnlyDictionary<string, UserInfo> staticTokens, Action<string>? log)
    {
        router = new Router(api, staticTokens, log, stop.Token);
        var certificate = authority.IssueServer(
            [
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "host.docker.internal"
            ],
            [
                IPAddress.Loopback,
                IPAddress.IPv6Loopback,
                IPAddress.Parse(api.ServiceIpPrefix + (api.ServiceIpPrefix.Count(c => c == '.') == 2 ? "0.1" : "1"))
            ]);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        // The sandbox stops when its owner says so, not when the terminal does.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 8 << 20;
            kestrel.Limits.Http2.MaxStreamsPerConnection = 2000;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.UseHttps(https =>
            {
                https.ServerCertificate = certificate;
                https.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
                https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                https.ClientCertificateValidation = (client, _, _) => authority.Issued(client);
            }));
        });
        app = builder.Build();
        app.UseWebSockets();
        app.Run(router.HandleAsync);
    }

    /// <summary>Where the API is, without a slash at the end.</summary>
    public string Url { get; private set; } = "";

    /// <summary>Starts to listen. Throws <see cref="IOException"/> when the port is taken.</summary>
    public static async Task<ApiServer> StartAsync(
        ClusterApi api,
        Authority authority,
        int port,
        IReadOnlyDictionary<string, UserInfo> staticTokens,
        Action<string>? log,
        CancellationToken cancel)
    {
        var server = new ApiServer(api, authority, port, staticTokens, log);
        try
        {
            await server.app.StartAsync(cancel).ConfigureAwait(false);
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        var address = server.app.Services
            .GetRequiredService<IServer>().Features
            .Get<IServerAddressesFeature>()!.Addresses.First();
        server.Url = address.TrimEnd('/');
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        // Watches have no end of their own; they go first, or stopping would wait for them.
        await stop.CancelAsync().ConfigureAwait(false);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            await app.StopAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Whoever still holds a connection loses it.
        }
        await app.DisposeAsync().ConfigureAwait(false);
        stop.Dispose();
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
