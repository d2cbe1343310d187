using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace CiSteps.Images.Tests;

/// <summary>HTTPS with an authority of one's own.</summary>
public sealed class RegistryTlsTests
{
    private TestFolder folder = null!;
    private X509Certificate2 authority = null!;

    [SetUp]
    public void Open()
    {
        folder = new TestFolder();
        authority = Authority("CN=authority of the test");
        folder.Write("ca.pem", "a comment before it\n" + authority.ExportCertificatePem() + "\n");
    }

    [TearDown]
    public void Close()
    {
        authority.Dispose();
        folder.Dispose();
    }

    [Test]
    public async Task Trusts_the_authority_that_is_named_and_nobody_else()
    {
        await using var server = await StartAsync(authority, "localhost");
        var reference = ImageReference.Parse($"localhost:{new Uri(server.Urls.First()).Port}/a:1");
        using var client = RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("ca.pem"));
        Assert.That(await client.FindDigestAsync(reference), Is.Null);
        using var stranger = RegistryClient.Open(RegistryCredentials.None);
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => stranger.FindDigestAsync(reference)))!.Message, Does.Contain("certificate").And.Contain("CISTEPS_REGISTRY_CA"));
        using var other = Authority("CN=another one");
        folder.Write("other.pem", other.ExportCertificatePem());
        using var wrong = RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("other.pem"));
        await Assert.ThrowsAsync<UsageException>(() => wrong.FindDigestAsync(reference));
    }

    [Test]
    public async Task A_certificate_for_another_name_stays_refused()
    {
        await using var server = await StartAsync(authority, "somewhere.example");
        using var client = RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("ca.pem"));
        await Assert.ThrowsAsync<UsageException>(() => client.FindDigestAsync(ImageReference.Parse($"localhost:{new Uri(server.Urls.First()).Port}/a:1")));
    }

    [Test]
    public async Task Speaks_to_an_engine_elsewhere_with_the_certificates_that_dockers_own_client_uses()
    {
        await using var server = await StartAsync(authority, "localhost", demandsCertificate: true);
        var environment = new Dictionary<string, string> { ["DOCKER_HOST"] = $"tcp://localhost:{new Uri(server.Urls.First()).Port}", ["DOCKER_CERT_PATH"] = folder.Path, ["DOCKER_TLS_VERIFY"] = "1" };
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => ContainerEngine.ConnectToAsync(environment)))!.Message, Does.Contain("DOCKER_CERT_PATH"));
        using (var client = Signed("client")) WriteKey(client);
        using var engine = await ContainerEngine.ConnectToAsync(environment);
        Assert.That(await engine.InspectContainerAsync("none"), Is.Null);
        // An engine that somebody else signed is not spoken to, whatever it answers.
        using var other = Authority("CN=another one");
        folder.Write("ca.pem", other.ExportCertificatePem());
        await Assert.ThrowsAsync<UnavailableException>(() => ContainerEngine.ConnectToAsync(environment));
    }

    [Test]
    public void Says_when_the_authoritys_file_is_none()
    {
        Assert.That(Assert.Throws<UsageException>(() => RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("none.pem")))!.Message, Does.Contain("none.pem"));
        folder.Write("empty.pem", "nothing here\n");
        Assert.Throws<UsageException>(() => RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("empty.pem")));
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    private void WriteKey(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        folder.Write("cert.pem", certificate.ExportCertificatePem());
        folder.Write("key.pem", key.ExportPkcs8PrivateKeyPem());
    }

    private X509Certificate2 Signed(string name) => Sign(authority, name);

    private static X509Certificate2 Sign(X509Certificate2 authority, string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var signed = request.Create(authority, now.AddHours(-1), now.AddHours(1), [1, 2, 3]);
        return signed.CopyWithPrivateKey(key);
    }

    private static async Task<WebApplication> StartAsync(X509Certificate2 authority, string name, bool demandsCertificate = false)
    {
        var certificate = Sign(authority, name);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(https =>
        {
            https.ServerCertificate = certificate;
            https.ClientCertificateMode = demandsCertificate ? ClientCertificateMode.RequireCertificate : ClientCertificateMode.NoCertificate;
            https.ClientCertificateValidation = (presented, _, _) => presented.Subject == "CN=client";
        })));
        var application = builder.Build();
        application.Run(context => context.Request.Path.Value!.EndsWith("/_ping", StringComparison.Ordinal) ? ScriptedRegistry.AnswerAsync(context, 200, "OK")
            : ScriptedRegistry.AnswerAsync(context, 404, "{\"message\":\"none\",\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}"));
        await application.StartAsync();
        return application;
    }
}
