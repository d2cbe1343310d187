using System.Text.Json.Nodes;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Clusters.Tests;

[TestFixture]
internal sealed class Connections
{
    private FakeApiServer server = null!;
    private StringWriter output = null!;
    private BuildLog log = null!;
    private ImpatientTime time = null!;

    [SetUp]
    public async Task SetUp()
    {
        server = await FakeApiServer.StartAsync();
        output = new StringWriter();
        log = new BuildLog(TextWriter.Synchronized(output), forServer: false);
        time = new ImpatientTime();
    }

    [TearDown]
    public async Task TearDown()
    {
        await output.DisposeAsync();
        await server.DisposeAsync();
    }

    [Test]
    public async Task Tells_the_servers_version_and_hides_the_token()
    {
        using var cluster = await Cluster.ConnectAsync(server.Kubeconfig, log, time);

        log.Info("the token is fake-token-of-the-test");

        Assert.Multiple(() =>
        {
            Assert.That(cluster.Version, Is.EqualTo("v1.99.0-fake"));
            Assert.That(cluster.Context, Is.EqualTo("fake"));
            Assert.That(output.ToString(), Does.Not.Contain("fake-token-of-the-test"));
        });
    }

    [Test]
    public async Task Says_that_nobody_answers_and_where()
    {
        var failure = await Assert.ThrowsAsync<UnavailableException>(
            () => Cluster.ConnectAsync(
                server.Kubeconfig.Replace(server.Url, "http://127.0.0.1:1", StringComparison.Ordinal),
                log,
                time));

        Assert.That(failure!.Reason, Is.EqualTo("cluster-unreachable"));
        Assert.That(failure.Message, Does.Contain("http://127.0.0.1:1"));
    }

    [TestCase(401, "Unauthorized", "Unauthorized", "cluster-unauthorized")]
    [TestCase(403, "Forbidden", "version is forbidden: User cannot get path", "cluster-forbidden")]
    [TestCase(418, "", "a teapot", "cluster-unreachable")]
    public async Task Classifies_a_server_that_says_no(int code, string reason, string message, string expected)
    {
        server.Answer = _ => (code, FakeApiServer.Status(code, reason, message));

        var failure = await Assert.ThrowsAsync<UnavailableException>(() => Cluster.ConnectAsync(server.Kubeconfig, log, time));

        Assert.That(failure!.Reason, Is.EqualTo(expected));
        Assert.That(failure.Message, Does.Contain(message));
    }

    [Test]
    public async Task Tries_again_when_the_server_is_busy()
    {
        var left = 2;
        server.Answer = _ => left-- > 0 ? (503, "") : null;

        using var cluster = await Cluster.ConnectAsync(server.Kubeconfig, log, time);

        Assert.That(server.Requests, Has.Count.EqualTo(3));
    }

    [Test]
    public async Task Never_repeats_a_create_whose_answer_may_be_lost()
    {
        using var cluster = await Cluster.ConnectAsync(server.Kubeconfig, log, time);
        server.Answer = request => request.Method == "POST" ? (503, "") : null;

        await Assert.ThrowsAsync<UnavailableException>(
            () => cluster.CreateAsync(
                Kinds.ConfigMap.Collection("x"), new JsonObject { ["metadata"] = new JsonObject { ["name"] = "a" } }, default));

        Assert.That(server.Requests.Count(request => request.StartsWith("POST", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task Runs_no_credential_plugin_that_nobody_listed()
    {
        var kubeconfig = server.Kubeconfig.Replace(
            "token: fake-token-of-the-test",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/evil}",
            StringComparison.Ordinal);

        var failure = await Assert.ThrowsAsync<UsageException>(() => Cluster.ConnectAsync(kubeconfig, log, time));
        Assert.That(failure.Fault, Is.EqualTo(Fault.Environment));

        Assert.That(failure!.Message, Does.Contain("\"/bin/evil\"").And.Contain("CISTEPS_KUBECONFIG_PLUGINS"));
    }

    [Test]
    public async Task Knows_an_ended_client_certificate_without_asking()
    {
        using var key = ECDsa.Create();
        using var certificate = new CertificateRequest("CN=developer", key, HashAlgorithmName.SHA256).CreateSelfSigned(
            DateTimeOffset.UtcNow.AddDays(-9), DateTimeOffset.UtcNow.AddDays(-2));
        var kubeconfig = server.Kubeconfig.Replace("token: fake-token-of-the-test",
            $"client-certificate-data: {Encoded(certificate.ExportCertificatePem())}, client-key-data: " +
            $"{Encoded(key.ExportPkcs8PrivateKeyPem())}",
            StringComparison.Ordinal);

        var failure = await Assert.ThrowsAsync<UnavailableException>(() => Cluster.ConnectAsync(kubeconfig, log, time));

        Assert.That(failure!.Reason, Is.EqualTo("cluster-unauthorized"));
        Assert.That(failure.Message, Does.Contain("context \"fake\" ended on").And.Contain("fetch a fresh kubeconfig"));
        Assert.That(server.Requests, Is.Empty);

        static string Encoded(string pem) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(pem));
    }

    [Test]
    public async Task Says_that_the_servers_certificate_is_not_the_authoritys()
    {
        await using var cluster = await SandboxFixture.StartAsync();
        await using var other = await SandboxFixture.StartAsync("other");
        static string Authority(SandboxFixture of) =>
            of.Kubeconfig.Split('\n')
                .Single(line => line.Contains("certificate-authority-data", StringComparison.Ordinal))
                .Trim();

        var failure = await Assert.ThrowsAsync<UnavailableException>(
            () => Cluster.ConnectAsync(
                cluster.Kubeconfig.Replace(Authority(cluster), Authority(other), StringComparison.Ordinal), log, time));

        Assert.That(
            failure!.Message,
            Does.Contain("a certificate that the kubeconfig's authority did not sign").And.Contain(cluster.Url));
    }

    [TestCase("/no/such/kubeconfig", "cannot read the kubeconfig")]
    [TestCase("apiVersion: v1\nkind: Pod\n", "is not a kubeconfig")]
    [TestCase("kind: Config\nclusters: []\n", "current-context")]
    [TestCase("kind: Config\n  clusters: [", "is not YAML")]
    [TestCase("kind: Config\ncurrent-context: gone\nclusters: []\nusers: []\ncontexts: []\n", "cannot be used")]
    public async Task Refuses_what_is_no_usable_kubeconfig(string kubeconfig, string expected)
    {
        var failure = await Assert.ThrowsAsync<UsageException>(() => Cluster.ConnectAsync(kubeconfig, log, time));
        Assert.That(failure.Fault, Is.EqualTo(Fault.Environment));

        Assert.That(failure!.Message, Does.Contain(expected));
    }

    [Test]
    public async Task Writes_a_kubeconfig_for_another_token_that_works()
    {
        using var cluster = await Cluster.ConnectAsync(server.Kubeconfig, log, time);

        var text = cluster.KubeconfigWith("another-token", "lease-7", "tests");
        using var second = await Cluster.ConnectAsync(text, log, time);

        Assert.Multiple(() =>
        {
            Assert.That(second.Context, Is.EqualTo("lease-7"));
            Assert.That(text, Does.Contain("another-token").And.Contain("\"namespace\":\"tests\""));
        });
    }

    [Test]
    public async Task Reads_long_lists_page_by_page()
    {
        using var cluster = await Cluster.ConnectAsync(server.Kubeconfig, log, time);
        server.Answer = request => !request.Path.Value!.EndsWith("/pods", StringComparison.Ordinal) ? null
            : request.Query["continue"] == "more"
                ? (
                    200,
                    """
                    {"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"b"}}]}
                    """)
                : (
                    200,
                    """
                    {"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"more"},
                     "items":[{"metadata":{"name":"a"}}]}
                    """);

        var (items, version) = await cluster.ListAsync(Kinds.Pod.Collection("x"), null, null, default);

        Assert.Multiple(() =>
        {
            Assert.That(items.Select(item => (string?)item["metadata"]!["name"]), Is.EqualTo(new[] { "a", "b" }));
            Assert.That(items.Select(item => (string?)item["kind"]), Is.All.EqualTo("Pod"));
            Assert.That(version, Is.EqualTo("9"));
        });
    }
}
