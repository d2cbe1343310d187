using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.Promote.Tests;

/// <summary>The whole step against a cluster whose pods run, a registry and git: one production with a history.</summary>
[TestFixture, Category("NeedsDocker")]
internal sealed class OnRealParts
{
    private PodCluster world = null!;
    private RegistryClient registry = null!;
    private Production production = null!;
    private Cluster cluster = null!;

    [SetUp]
    public async Task SetUp()
    {
        world = await PodCluster.StartAsync("production");
        registry = world.Registry.Connect();
        production = new Production(world.Registry.Host);
        production.Environment[Production.KubeconfigVariable] = world.Cluster.KubeconfigPath;
        cluster = Cluster.Open(world.Cluster.Kubeconfig, BuildLog.Silent, TimeProvider.System);
    }

    [TearDown]
    public async Task TearDown()
    {
        cluster.Dispose();
        production.Dispose();
        registry.Dispose();
        await world.DisposeAsync();
    }

    [Test]
    public async Task Promotes_once_then_changes_nothing_then_takes_a_bad_image_back_and_bars_it()
    {
        var one = await world.PushAsync("greeter", "1-production", PodCluster.WebServer("one"), production.Clone.Head);
        await production.CertifiedAsync("7", production.Image(one));
        var first = await production.RunAsync(PromoteCommand.Create(), "7");
        Assert.That(first, Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That((await LiveAsync()).Image, Does.EndWith(one));

        var version = (await LiveAsync()).Version;
        var again = await production.RunAsync(PromoteCommand.Create(), "7");
        Assert.Multiple(async () =>
        {
            Assert.That(again, Is.EqualTo(ExitCode.Done), production.Output);
            Assert.That(production.Text(), Is.EqualTo("production runs these images already"));
            Assert.That((await LiveAsync()).Version, Is.EqualTo(version));
        });

        // The next one never gets healthy.
        production.Clone.Commit("greeter/text", "two", "Break it");
        var two = await world.PushAsync("greeter", "1-production", "echo cannot start >&2; exit 4", production.Clone.Head);
        await production.CertifiedAsync("8", production.Image(two, previous: one));
        var failed = await production.RunAsync(PromoteCommand.Create(), "8");

        Assert.Multiple(async () =>
        {
            Assert.That(failed, Is.EqualTo(ExitCode.Refused), production.Output);
            Assert.That(production.Reason(), Is.EqualTo("rollout-failed"));
            Assert.That(production.Text(),
                Does.Contain("exit code 4").And.Contain($"rolled back to {one} and healthy").And.Contain("the digest is barred"));
            Assert.That((await LiveAsync()).Image, Does.EndWith(one));
            Assert.That(await registry.FindDigestAsync(world.Registry.Reference("greeter", "1-production")), Is.EqualTo(one));
            Assert.That(await registry.FindDigestAsync(world.Registry.Reference("greeter", ImageName.BarredTag(two))),
                Is.EqualTo(two));
            Assert.That(await HistoryAsync(), Is.EqualTo(new[] { $"rolled back {one}", $"promoted {one}" }));
        });

        var barred = await production.RunAsync(PromoteCommand.Create(), "8");
        Assert.That((barred, production.Reason()), Is.EqualTo((ExitCode.Refused, "barred")), production.Output);

        // The one after that is well again.
        production.Clone.Commit("greeter/text", "three", "Mend it");
        var three = await world.PushAsync("greeter", "1-production", PodCluster.WebServer("three"), production.Clone.Head);
        await production.CertifiedAsync("9", production.Image(three, previous: one));
        var mended = await production.RunAsync(PromoteCommand.Create(), "9");
        Assert.Multiple(async () =>
        {
            Assert.That(mended, Is.EqualTo(ExitCode.Done), production.Output);
            Assert.That(production.HandOver().Workloads.Single().PreviousDigest, Is.EqualTo(one));
            Assert.That((await LiveAsync()).Image, Does.EndWith(three));
        });
    }

    private async Task<(string Image, string Version)> LiveAsync()
    {
        var live = await cluster.GetAsync(Kinds.Deployment.Path("shop", "greeter"), default);
        return ((string)live["spec"]!["template"]!["spec"]!["containers"]![0]!["image"]!,
            (string)live["metadata"]!["generation"]!.ToString());
    }

    private async Task<IReadOnlyList<string>> HistoryAsync()
    {
        var map = await cluster.GetAsync(Kinds.ConfigMap.Path("shop", "cisteps-history"), default);
        return [.. JsonNode.Parse((string)map["data"]!["greeter"]!)!.AsArray()
            .Select(entry => $"{entry!["result"]} {entry["digest"]}")];
    }
}
