using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>A certificate with its private key, in PEM.</summary>
internal sealed record IssuedCertificate(string CertificatePem, string KeyPem);

/// <summary>The cluster's own certificate authority. Its key lives in memory only.</summary>
internal sealed class Authority : IDisposable
{
    private static readonly TimeSpan Life = TimeSpan.FromDays(365);

    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 certificate;
    private readonly TimeProvider time;

    public Authority(string clusterName, TimeProvider time)
    {
        this.time = time;
        var request = new CertificateRequest($"CN={clusterName}-ca", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(
            X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign | X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        certificate = request.CreateSelfSigned(NotBefore, NotAfter);
        CertificatePem = certificate.ExportCertificatePem();
    }

    public string CertificatePem { get; }

    private DateTimeOffset NotBefore => time.GetUtcNow().AddMinutes(-5);

    private DateTimeOffset NotAfter => time.GetUtcNow() + Life;

    /// <summary>A certificate for the API's own endpoint.</summary>
    public X509Certificate2 IssueServer(IEnumerable<string> names, IEnumerable<IPAddress> addresses)
    {
        using var serverKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=kube-apiserver", serverKey, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
            alternatives.AddDnsName(name);
        foreach (var address in addresses)
            alternatives.AddIpAddress(address);
        request.CertificateExtensions.Add(alternatives.Build());
        AddUsage(request, "1.3.6.1.5.5.7.3.1");
        using var issued = Issue(request);
        using var withKey = issued.CopyWithPrivateKey(serverKey);
        // Through PKCS#12: a key that was never stored cannot serve TLS on every system.
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>A certificate for a client: the common name is the user, the organisations are the groups.</summary>
    public IssuedCertificate IssueClient(string user, params IReadOnlyList<string> groups)
    {
        using var clientKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName(user);
        foreach (var group in groups)
            subject.AddOrganizationName(group);
        var request = new CertificateRequest(subject.Build(), clientKey, HashAlgorithmName.SHA256);
        AddUsage(request, "1.3.6.1.5.5.7.3.2");
        using var issued = Issue(request);
        return new IssuedCertificate(issued.ExportCertificatePem(), clientKey.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>Whether this authority issued a certificate that is valid now.</summary>
    public bool Issued(X509Certificate2 client)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(certificate);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = time.GetUtcNow().UtcDateTime;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.2"));
        return chain.Build(client);
    }

    public void Dispose()
    {
        certificate.Dispose();
        key.Dispose();
    }

    private static void AddUsage(CertificateRequest request, string purpose)
    {
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
    }

    private X509Certificate2 Issue(CertificateRequest request)
    {
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(certificate, true, false));
        return request.Create(
            certificate.SubjectName,
            X509SignatureGenerator.CreateForECDsa(key),
            NotBefore,
            NotAfter,
            RandomNumberGenerator.GetBytes(12));
    }
}
