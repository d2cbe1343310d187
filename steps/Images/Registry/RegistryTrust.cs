using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// Which certificates registries may show: those of the machine's own authorities, and of one more that is named.
/// </summary>
internal sealed class RegistryTrust
{
    private static readonly string Setting =
        $"--{RegistryOptions.CertificateAuthority.Name} or {RegistryOptions.CertificateAuthority.Variable}";

    private readonly string? path;
    private readonly X509Certificate2Collection authorities = [];
    private readonly ConcurrentDictionary<string, string> faults = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads the authority.</summary>
    /// <param name="path">Its PEM file; null: there is none.</param>
    /// <exception cref="UsageException">The file cannot be read, or has no certificate.</exception>
    public RegistryTrust(string? path)
    {
        this.path = path;
        if (path is null) return;
        try
        {
            authorities.ImportFromPemFile(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new UsageException($"the file \"{path}\" of the registry's authority cannot be read ({error.Message}): "
                + $"mend {Setting}", error);
        }
        if (authorities.Count == 0)
            throw new UsageException($"there is no certificate in the file \"{path}\" of the registry's authority: "
                + $"name one in PEM form (BEGIN CERTIFICATE) by {Setting}");
    }

    /// <summary>Whether a certificate will do. Why one does not is kept.</summary>
    public bool Accepts(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None) return true;
        if (certificate is not X509Certificate2 presented) return false;
        // A name mismatch or an expired certificate stays a refusal.
        X509Chain? own = null;
        try
        {
            if (authorities.Count > 0)
            {
                own = ChainOf(chain);
                if (own.Build(presented) && errors == SslPolicyErrors.RemoteCertificateChainErrors) return true;
            }
            var host = (sender as SslStream)?.TargetHostName ?? "";
            faults[host] = CertificateFault.Describe(host, presented, own ?? chain, errors,
                (path is null ? $"give the PEM file of the one that signed it by {Setting}"
                    : $"\"{path}\" ({Setting}) has another one, put the right one there")
                + ", and see whether this is the server that is meant");
            return false;
        }
        finally
        {
            own?.Dispose();
        }
    }

    /// <summary>
    /// The refusal of a server's certificate as a step ends with it; null when a call failed by something else.
    /// </summary>
    /// <param name="server">Whose it is, such as <c>the registry "r.example"</c>.</param>
    /// <param name="address">What was called.</param>
    /// <param name="failure">The call's failure.</param>
    public UsageException? Find(string server, Uri address, HttpRequestException failure) =>
        failure is { HttpRequestError: HttpRequestError.SecureConnectionError, InnerException: AuthenticationException }
        && faults.TryGetValue(address.IdnHost, out var fault)
            ? new UsageException($"the certificate of {server} {fault}", failure) : null;

    private X509Chain ChainOf(X509Chain? shown)
    {
        var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.CustomTrustStore.AddRange(authorities);
        foreach (var element in shown?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            own.ChainPolicy.ExtraStore.Add(element.Certificate);
        return own;
    }
}
