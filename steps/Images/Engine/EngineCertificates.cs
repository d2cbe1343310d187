using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Hosting;
using Docker.DotNet.Handler.Abstractions;

namespace CiSteps.Images;

/// <summary>TLS to an engine on another machine or in another container, as docker's own client does it: ca.pem, cert.pem and key.pem of <c>DOCKER_CERT_PATH</c>.</summary>
internal sealed class EngineCertificates : IAuthProvider, IDisposable
{
    private readonly X509Certificate2 own;
    private readonly X509Certificate2Collection authorities = [];

    private EngineCertificates(string folder)
    {
        try
        {
            own = X509Certificate2.CreateFromPemFile(Path.Combine(folder, "cert.pem"), Path.Combine(folder, "key.pem"));
            if (OperatingSystem.IsWindows())
            {
                // Windows takes no key that was never stored.
                using var unsaved = own;
                own = X509CertificateLoader.LoadPkcs12(unsaved.Export(X509ContentType.Pkcs12), null);
            }
            authorities.ImportFromPemFile(Path.Combine(folder, "ca.pem"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new UsageException($"cannot read the certificates for the container engine in \"{folder}\" (DOCKER_CERT_PATH): {error.Message}", error);
        }
    }

    /// <inheritdoc />
    public bool TlsEnabled => true;

    /// <summary>The certificates for a remote engine; null when the environment asks for no TLS.</summary>
    public static EngineCertificates? Find(IReadOnlyDictionary<string, string> environment)
    {
        var folder = environment.GetValueOrDefault("DOCKER_CERT_PATH") ?? "";
        if (folder.Length == 0 && environment.GetValueOrDefault("DOCKER_TLS_VERIFY") is { Length: > 0 })
            folder = Path.Combine(environment.GetValueOrDefault(OperatingSystem.IsWindows() ? "USERPROFILE" : "HOME") ?? "", ".docker");
        return folder.Length == 0 ? null : new EngineCertificates(folder);
    }

    /// <inheritdoc />
    public HttpMessageHandler ConfigureHandler(HttpMessageHandler handler)
    {
        if (handler is SocketsHttpHandler sockets) Configure(sockets);
        return handler;
    }

    /// <summary>Shows our certificate and trusts only the given authorities.</summary>
    public void Configure(SocketsHttpHandler handler)
    {
        handler.SslOptions.ClientCertificates = [own];
        handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => own;
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
    }

    /// <inheritdoc />
    public void Dispose() => own.Dispose();
}
