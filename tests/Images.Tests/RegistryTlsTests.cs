using System.Net;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
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
        authority = TestCertificates.Authority("CN=authority of the test");
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
        Assert.That(
            (await Assert.ThrowsAsync<UsageException>(() => stranger.FindDigestAsync(reference)))!.Message,
            Does
                .StartWith($"the certificate of the registry \"{reference.Host}\" is signed by \"CN=authority of the test\"").And
                .Contain("--registry-ca or CISTEPS_REGISTRY_CA"));
        using var other = TestCertificates.Authority("CN=another one");
        folder.Write("other.pem", other.ExportCertificatePem());
        using var wrong = RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("other.pem"));
        Assert.That(
            (await Assert.ThrowsAsync<UsageException>(() => wrong.FindDigestAsync(reference)))!.Message,
            Does.Contain($"\"{folder.Of("other.pem")}\" (--registry-ca"));
    }

    [Test]
    public async Task A_certificate_for_another_name_stays_refused()
    {
        await using var server = await StartAsync(authority, "somewhere.example");
        using var client = RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("ca.pem"));
        var refusal = await Assert.ThrowsAsync<UsageException>(
            () => client.FindDigestAsync(ImageReference.Parse($"localhost:{new Uri(server.Urls.First()).Port}/a:1")));
        Assert.That(
            refusal!.Message,
            Does.Contain("is for \"somewhere.example\" and not for \"localhost\"").And.Not.Contain("CISTEPS_REGISTRY_CA"));
    }

    [Test]
    public async Task A_token_endpoints_certificate_is_refused_by_its_name_and_at_once()
    {
        await using var server = await StartAsync(authority, "localhost");
        var place = $"localhost:{new Uri(server.Urls.First()).Port}";
        await using var registry = await ScriptedRegistry.StartAsync((context, _) =>
            ScriptedRegistry.AnswerAsync(context, 401, "", ("WWW-Authenticate", $"Bearer realm=\"https://{place}/token\"")));
        using var client = RegistryClient.Open(RegistryCredentials.None);
        var refusal = await Assert.ThrowsAsync<UsageException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(
            refusal!.Message,
            Does.StartWith($"the certificate of the token endpoint {place} of the registry \"{registry.Host}\" is signed by"));
        Assert.That(registry.Requests, Has.Count.EqualTo(1));
    }

    [Test]
    public void Says_when_the_authoritys_file_is_none()
    {
        Assert.That(
            Assert.Throws<UsageException>(
                () => RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("none.pem")))!.Message,
            Does.Contain("none.pem").And.Contain("--registry-ca or CISTEPS_REGISTRY_CA"));
        folder.Write("empty.pem", "nothing here\n");
        Assert.Throws<UsageException>(
            () => RegistryClient.Open(RegistryCredentials.None, certificateAuthority: folder.Of("empty.pem")));
    }

    private static async Task<WebApplication> StartAsync(X509Certificate2 authority, string name)
    {
        var certificate = TestCertificates.Sign(authority, name);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(
            kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var application = builder.Build();
        application.Run(
            context => ScriptedRegistry.AnswerAsync(context, 404,
                "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}"));
        await application.StartAsync();
        return application;
    }
}
