using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Claims;

namespace CiSteps.TestbedPool.Tests;

[TestFixture]
internal sealed partial class PoolPrograms
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource stop = new();
    private readonly StringWriter output = new();
    private TextWriter synchronised = null!;
    private SandboxFixture management = null!;
    private SandboxFixture bed = null!;
    private Task<int> running = null!;
    private HttpClient http = null!;

    [OneTimeSetUp]
    public async Task SetUp()
    {
        management = await SandboxFixture.StartAsync("management");
        bed = await SandboxFixture.StartAsync("bed-1");
        Assert.That((await PoolAsync("install")).Exit, Is.EqualTo(ExitCode.Done));
        Assert.That(
            (await PoolAsync("add", "bed-1", "--class", "small", "--cluster-kubeconfig", bed.KubeconfigPath)).Exit,
            Is.EqualTo(ExitCode.Done));
        synchronised = TextWriter.Synchronized(output);
        running = ProgramHost.RunAsync(
            PoolProgram.Create(),
            ["run", "--listen", "127.0.0.1:0", "--pool-kubeconfig", management.KubeconfigPath],
            synchronised,
            synchronised,
            new Dictionary<string, string>(),
            stop: stop.Token);
        Assert.That(() => PageUrl().IsMatch(Said()), Is.True.After(30).Seconds.PollEvery(50).MilliSeconds, Said);
        http = new HttpClient { BaseAddress = new Uri(PageUrl().Match(Said()).Value) };
        Assert.That(
            () => Said().Contains("is clean and free", StringComparison.Ordinal),
            Is.True.After(30).Seconds.PollEvery(50).MilliSeconds,
            Said);
    }

    [OneTimeTearDown]
    public async Task TearDown()
    {
        http?.Dispose();
        await stop.CancelAsync();
        if (running is not null)
        {
            Assert.That(await running, Is.EqualTo(ExitCode.Done), "being stopped is how a server ends");
            running.Dispose();
        }
        await bed.DisposeAsync();
        await synchronised.DisposeAsync();
        await management.DisposeAsync();
        stop.Dispose();
    }

    [Test]
    public async Task The_page_the_api_and_the_status_show_who_holds_what()
    {
        using var claims = new TestbedClaims(
            Cluster.Open(management.Kubeconfig, BuildLog.Silent, TimeProvider.System), "cisteps-testbeds", owned: true);
        var run = new RunIdentity("repo", "ci/<b>", false, new string('a', 40), "812", false);
        var held = await claims.ClaimAsync(ClaimRequest.Of(run, [new TestbedWish("smoke", "small")]), Patience, default);

        var testbeds = JsonNode.Parse(await http.GetStringAsync("/api/testbeds"))!;
        var waiting = JsonNode.Parse(await http.GetStringAsync("/api/claims"))!;
        var page = await http.GetStringAsync("/");
        var status = await PoolAsync("status");
        var json = JsonNode.Parse((await PoolAsync("status", "--json")).Output)!;
        await claims.ReleaseAllAsync(run, default);

        Assert.Multiple(() =>
        {
            Assert.That((string?)testbeds[0]!["phase"], Is.EqualTo("Leased"));
            Assert.That((string?)testbeds[0]!["who"], Is.EqualTo("build 812 of ci/<b>"));
            Assert.That((string?)waiting[0]!["name"], Is.EqualTo(held[0].Claim));
            Assert.That(page, Does.Contain("build 812 of ci/&lt;b&gt;").And.Not.Contain("ci/<b>"));
            Assert.That(status.Output, Does.Match(@"bed-1\s+small\s+Leased\s").And.Contain(held[0].Claim));
            Assert.That((string?)json["testbeds"]![0]!["claim"], Is.EqualTo(held[0].Claim));
        });
    }

    [TestCase("/healthz", HttpStatusCode.OK)]
    [TestCase("/api", HttpStatusCode.NotFound)]
    [TestCase("/../etc/passwd", HttpStatusCode.NotFound)]
    public async Task It_answers_what_there_is_and_nothing_else(string path, HttpStatusCode code) =>
        Assert.That((await http.GetAsync(path)).StatusCode, Is.EqualTo(code));

    [Test]
    public async Task Nothing_can_be_changed_over_the_page() =>
        Assert.That(
            (await http.PostAsync("/api/claims", new StringContent("{}"))).StatusCode,
            Is.EqualTo(HttpStatusCode.MethodNotAllowed));

    [Test]
    public async Task A_taken_port_is_one_clear_error()
    {
        var (exit, said) = await PoolAsync("run", "--listen", $"127.0.0.1:{http.BaseAddress!.Port}");

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(said, Does.Contain("cannot listen on").And.Contain("--listen"));
        });
    }

    [TestCase("8087")]
    [TestCase("localhost:8087")]
    [TestCase("127.0.0.1")]
    public async Task A_wrong_address_is_one_clear_error(string address)
    {
        var (exit, said) = await PoolAsync("run", "--listen", address);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(said, Does.Contain($"\"{address}\" is not an address"));
        });
    }

    [Test]
    public async Task Adding_a_cluster_again_changes_nothing() =>
        Assert.That(
            (await PoolAsync("add", "bed-1", "--class", "small", "--cluster-kubeconfig", bed.KubeconfigPath)).Exit,
            Is.EqualTo(ExitCode.Done));

    [Test]
    public async Task A_kubeconfig_without_an_administrators_rights_is_refused_before_it_is_added()
    {
        using var folder = new TestFolder();
        var path = Path.Combine(folder.Path, "weak");
        await File.WriteAllTextAsync(path, bed.Cluster.CreateKubeconfig("somebody"));

        var (exit, said) = await PoolAsync("add", "bed-2", "--class", "small", "--cluster-kubeconfig", path);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(said, Does.Contain("may not create serviceaccounts"));
        });
    }

    [Test]
    public async Task Retrying_a_testbed_that_is_not_there_says_so()
    {
        var (exit, said) = await PoolAsync("retry", "bed-9");

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(said, Does.Contain("there is no testbed \"bed-9\""));
        });
    }

    [Test]
    public async Task The_manifests_can_be_printed_for_who_applies_them_otherwise()
    {
        var (exit, said) = await PoolAsync("install", "--print", "--pool-namespace", "beds");

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done));
            Assert.That(
                said, Does.Contain("testbedclaims.cisteps.dev").And.Contain("namespace: beds").And.Not.Contain("NAMESPACE}"));
        });
    }

    [Test]
    public async Task Without_a_management_cluster_the_message_says_what_to_give()
    {
        var said = new StringWriter();

        var exit = await ProgramHost.RunAsync(PoolProgram.Create(), ["status"], said, said, new Dictionary<string, string>());

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(said.ToString(), Does.Contain("CISTEPS_POOL_KUBECONFIG"));
        });
    }

    private async Task<(int Exit, string Output)> PoolAsync(params string[] arguments)
    {
        var said = new StringWriter();
        var exit = await ProgramHost.RunAsync(
            PoolProgram.Create(),
            [arguments[0], .. arguments[1..], "--pool-kubeconfig", management.KubeconfigPath],
            said,
            said,
            new Dictionary<string, string>());
        return (exit, said.ToString());
    }

    private string Said()
    {
        // The wrapper locks itself on each write.
        lock (synchronised) return output.ToString();
    }

    [GeneratedRegex("http://127.0.0.1:[0-9]+")]
    private static partial Regex PageUrl();
}
