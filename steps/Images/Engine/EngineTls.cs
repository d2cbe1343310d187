using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>TLS to an engine as docker's own client has it: ca.pem, cert.pem and key.pem of one folder.</summary>
/// <param name="Folder">Folder with ca.pem, cert.pem and key.pem.</param>
/// <param name="Verify">Whether the engine has to show a certificate that is trusted.</param>
/// <param name="Source">What named the folder, for messages.</param>
/// <param name="IsAsked">Whether a variable asks for TLS; a folder alone only says where certificates are.</param>
/// <param name="NeedsAll">Whether all three files have to be there.</param>
internal sealed record EngineTls(string Folder, bool Verify, string Source, bool IsAsked, bool NeedsAll)
{
    /// <summary>Whether all three files are there, as docker's client asks when variables name them.</summary>
    public bool IsWhole => File.Exists(FileOf("ca")) && File.Exists(FileOf("cert")) && File.Exists(FileOf("key"));

    /// <summary>Whether there is a certificate to show to the engine.</summary>
    public bool HasOwn => NeedsAll || File.Exists(FileOf("cert"));

    /// <summary>What an environment asks for; null when it does not ask for TLS.</summary>
    public static EngineTls? Of(IReadOnlyDictionary<string, string> environment)
    {
        var folder = environment.GetValueOrDefault(EngineLocation.CertificatesVariable) ?? "";
        var verify = environment.GetValueOrDefault(EngineLocation.VerifyVariable) is { Length: > 0 };
        var plain = environment.GetValueOrDefault(EngineLocation.TlsVariable) is { Length: > 0 };
        if (folder.Length == 0 && !verify && !plain) return null;
        var wish = verify ? EngineLocation.VerifyVariable : EngineLocation.TlsVariable;
        var source = folder.Length > 0 ? EngineLocation.CertificatesVariable : wish;
        if (folder.Length == 0) folder = DockerContexts.FolderOf(environment);
        // A folder without a wish is taken for one that verifies: nobody makes certificates in order not to use them.
        return new EngineTls(folder, verify || !plain, source, IsAsked: verify || plain, NeedsAll: true);
    }

    /// <summary>What a context keeps; any of the files may be missing.</summary>
    public static EngineTls OfContext(string folder, bool verify, string source) =>
        new(folder, verify, source, IsAsked: true, NeedsAll: false);

    /// <summary>Reads the files.</summary>
    /// <returns>The own certificate to show, and the authorities to trust instead of the system's; null and none where there are
    /// no such files.</returns>
    /// <exception cref="UsageException">A file is missing, or is not what it should be.</exception>
    public (X509Certificate2? Own, X509Certificate2Collection Authorities) Load()
    {
        var authorities = new X509Certificate2Collection();
        string[] wanted = NeedsAll ? ["ca", "cert", "key"] : HasOwn ? ["cert", "key"] : [];
        if (wanted.Where(name => !File.Exists(FileOf(name))).Select(FileOf).ToList() is { Count: > 0 } missing)
        {
            throw new UsageException($"cannot read the certificates for the container engine ({Source}): "
                + $"{string.Join(", ", missing.Select(file => $"\"{file}\""))} {(missing.Count == 1 ? "is" : "are")} " +
                    "missing; put "
                + "ca.pem, cert.pem and key.pem there, or mend what names the folder");
        }
        try
        {
            if (NeedsAll || File.Exists(FileOf("ca")))
            {
                authorities.ImportFromPemFile(FileOf("ca"));
                if (authorities.Count == 0) throw new CryptographicException("there is not a certificate in ca.pem");
            }
            return (HasOwn ? LoadOwn() : null, authorities);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new UsageException($"cannot read the certificates for the container engine in \"{Folder}\" ({Source}): "
                + $"{error.Message}; ca.pem, cert.pem and key.pem have to be there", error);
        }
    }

    private X509Certificate2 LoadOwn()
    {
        var own = X509Certificate2.CreateFromPemFile(FileOf("cert"), FileOf("key"));
        if (!OperatingSystem.IsWindows()) return own;
        // Windows takes no key that was never stored.
        using var unsaved = own;
        return X509CertificateLoader.LoadPkcs12(unsaved.Export(X509ContentType.Pkcs12), null);
    }

    private string FileOf(string name) => Path.Combine(Folder, name + ".pem");
}
