using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Claims;

namespace CiSteps.IntegrationDeploy.Tests;

/// <summary>The whole step against a cluster whose pods run, a registry, git, and a testbed under a lock.</summary>
[TestFixture, Category("NeedsDocker")]
internal sealed class OnRealParts
{
    private PodCluster world = null!;
    private string old = "";
    private string fresh = "";
    private string broken = "";

    [OneTimeSetUp]
    public async Task OneTimeSetUp()
    {
        world = await PodCluster.StartAsync("deploy");
        await world.PushAsync("quotes", "1-production", PodCluster.WebServer("quote"));
        old = await world.PushAsync("greeter", "1-production", PodCluster.WebServer("old"));
        fresh = await world.PushAsync("ci/greeter", "1.7-new", PodCluster.WebServer("new"));
        broken = await world.PushAsync("ci/greeter", "1.7-broken", "echo no settings >&2; exit 3");
    }

    [OneTimeTearDown]
    public async Task OneTimeTearDown() => await world.DisposeAsync();

    [Test]
    public async Task Rolls_from_production_to_the_new_image_tests_it_and_leaves_nothing()
    {
        using var shop = await ReadyAsync(fresh);

        var exit = await shop.RunAsync(IntegrationDeployCommand.Create());

        Assert.That(exit, Is.EqualTo(ExitCode.Done), shop.Output);
        var result = shop.HandOver().Suites.Single();
        using var cluster = Connect();
        Assert.Multiple(async () =>
        {
            Assert.That((result.Passed, result.Failed, result.Succeeded), Is.EqualTo((2, 0, true)));
            Assert.That(result.Images.Single().Digest, Is.EqualTo(fresh));
            Assert.That(result.Dependents.Single().Source, Is.EqualTo("1-production"));
            Assert.That(
                shop.Output,
                Does.Contain($"deploying greeter as production runs it, {old}").And.Contain($"rolling greeter to {fresh}"));
            Assert.That(await cluster.FindAsync(Kinds.Namespace.Path(null, "smoke"), default), Is.Null);
            Assert.That((string?)shop.Statement()["predicate"]!["result"], Is.EqualTo("PASSED"));
        });
    }

    [Test]
    public async Task Says_quickly_why_the_new_image_does_not_come_up_and_cleans()
    {
        using var shop = await ReadyAsync(broken);

        var exit = await shop.RunAsync(IntegrationDeployCommand.Create());

        using var cluster = Connect();
        Assert.Multiple(async () =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), shop.Output);
            Assert.That(shop.Reason(), Is.EqualTo("crash-loop"));
            Assert.That(shop.Output, Does.Contain("no settings").And.Contain("exit code 3"));
            Assert.That(
                Directory.GetFiles(shop.Evidence("diagnosis/smoke")).Select(Path.GetFileName),
                Does.Contain("events.txt").And.Contain("pods.json"));
            Assert.That(await cluster.FindAsync(Kinds.Namespace.Path(null, "smoke"), default), Is.Null);
        });
    }

    [Test]
    public async Task Fails_with_the_failed_test_and_its_name()
    {
        using var shop = await ReadyAsync(
            fresh, Shop.Job("echo 1..2; echo ok 1 - answers; echo not ok 2 - greets in French; exit 1"));

        var exit = await shop.RunAsync(IntegrationDeployCommand.Create());

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), shop.Output);
            Assert.That(shop.Reason(), Is.EqualTo("tests-failed"));
            Assert.That(shop.Output, Does.Contain("greets in French"));
            Assert.That(shop.HandOver().Suites.Single().Failed, Is.EqualTo(1));
        });
    }

    [Test]
    public async Task Cleans_and_gives_back_when_it_is_stopped()
    {
        using var shop = await ReadyAsync(fresh, Shop.Job("echo ok 1 - begins; sleep 600"));
        using var stop = new CancellationTokenSource();
        using var cluster = Connect();
        var run = shop.RunAsync(IntegrationDeployCommand.Create(), stop.Token);
        await UntilAsync(
            async () => (await cluster.ListAsync(Kinds.Pod.Collection("smoke"), null, null, default)).Items.Any(
                pod => pod["metadata"]!["name"]!.ToString().StartsWith("tests-", StringComparison.Ordinal)
                    && (string?)pod["status"]?["phase"] == "Running"));

        await stop.CancelAsync();
        var exit = await run.WaitAsync(TimeSpan.FromSeconds(30));

        using var testbeds = await LockAsync();
        Assert.Multiple(async () =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), shop.Output);
            Assert.That(
                await cluster.FindAsync(Kinds.Namespace.Path(null, "smoke"), default) is not { } left
                    || left["metadata"]?["deletionTimestamp"] is not null,
                "the namespace is gone or going");
            Assert.That(await testbeds.ReleaseAsync("none", default), Is.False);
        });
        await cluster.AwaitGoneAsync(Kinds.Namespace, null, "smoke", TimeSpan.FromSeconds(30), default);
    }

    private async Task<Shop> ReadyAsync(string digest, string? job = null)
    {
        var shop = new Shop(world.Registry.Host, job: job);
        shop.Environment["CISTEPS_KUBECONFIG"] = world.Cluster.KubeconfigPath;
        await shop.BuiltAsync(shop.Image(digest));
        using var testbeds = await LockAsync();
        var run = new RunIdentity(
            "file://" + Path.GetDirectoryName(shop.Clone.Folder) + "/origin.git",
            "ci/greeting",
            false,
            shop.Clone.Head,
            Shop.Build,
            false);
        await shop.ReservedAsync(await testbeds.ClaimAsync(
            ClaimRequest.Of(run, [new TestbedWish("smoke", "small")]), TimeSpan.FromSeconds(10), default));
        return shop;
    }

    private async Task<ClusterLock> LockAsync() =>
        new(
            await Cluster.ConnectAsync(world.Cluster.Kubeconfig, BuildLog.Silent, TimeProvider.System),
            world.Cluster.Kubeconfig,
            owned: true);

    private Cluster Connect() => Cluster.Open(world.Cluster.Kubeconfig, BuildLog.Silent, TimeProvider.System);

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await holds()) await Task.Delay(100, limit.Token);
    }
}
