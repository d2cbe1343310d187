using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Fixtures;

namespace CiSteps.Images.Tests;

/// <summary>An authority of the test's own and what it signs.</summary>
internal static class TestCertificates
{
    public static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-10), now.AddDays(10));
    }

    /// <summary>A certificate with its key.</summary>
    /// <param name="authority">Signs it.</param>
    /// <param name="name">Its name, as subject and for TLS.</param>
    /// <param name="ended">Whether it was valid and is not any more.</param>
    public static X509Certificate2 Sign(X509Certificate2 authority, string name, bool ended = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var signed = request.Create(authority, now.AddHours(-2), now.AddHours(ended ? -1 : 1), [1, 2, 3]);
        return signed.CopyWithPrivateKey(key);
    }

    /// <summary>Writes cert.pem and key.pem as docker's client has them.</summary>
    public static void WriteOwn(TestFolder folder, string under, X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        folder.Write(Path.Combine(under, "cert.pem"), certificate.ExportCertificatePem());
        folder.Write(Path.Combine(under, "key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
