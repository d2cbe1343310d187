using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class RightsInThePool
{
    private RunningPool pool = null!;

    [OneTimeSetUp]
    public async Task SetUp() => pool = await RunningPool.StartAsync(beds: 1);

    [OneTimeTearDown]
    public async Task TearDown()
    {
        if (pool is not null) await pool.DisposeAsync();
    }

    [Test]
    public async Task A_claimants_account_can_borrow_and_cannot_reach_the_testbeds_own_credentials()
    {
        var kubeconfig = await TokenAsync(RunningPool.Namespace, "claimant");
        using var claims = pool.Claims(kubeconfig);
        using var claimant = pool.Connect(kubeconfig);

        var held = await pool.ClaimAsync(claims, "rights");
        await using (var leased = await claims.TryPickUpAsync(held, default))
            Assert.That(leased!.Kubeconfig, Does.Contain("token"));
        await claims.ReleaseAsync(held.Claim, default);

        Assert.Multiple(() =>
        {
            Assert.That(async () => await claimant.FindAsync(Kinds.Secret.Path("cisteps-pool", "bed-1"), default), Forbidden);
            Assert.That(
                async () => await claimant.ListAsync(Kinds.Secret.Collection(RunningPool.Namespace), null, null, default),
                Forbidden);
            Assert.That(
                async () => await claimant.MergeAsync(
                    PoolKinds.Testbed.Path(RunningPool.Namespace, "bed-1") + "/status",
                    new JsonObject { ["status"] = new JsonObject { ["phase"] = "Free" } },
                    default),
                Forbidden);
        });
    }

    [Test]
    public async Task The_pools_own_account_suffices_to_run_it()
    {
        await using var second = await RunningPool.StartAsync(beds: 1);
        await second.StopControllerAsync();
        using var account = second.Connect(await TokenAsync("cisteps-pool", "testbed-pool", second));
        using var stop = new CancellationTokenSource();
        var running = PoolController.RunAsync(account, second.Options with { Install = false }, stop.Token);
        using var claims = second.Claims();

        var held = await second.ClaimAsync(claims, "1");
        await claims.ReleaseAsync(held.Claim, default);
        await second.PhaseAsync("bed-1", TestbedPhase.Free);
        await stop.CancelAsync();

        Assert.That(async () => await running, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task Kubectl_shows_who_holds_what()
    {
        using var claims = pool.Claims();
        var held = await pool.ClaimAsync(claims, "812");

        var (exit, output, error) = await ChildProcess.CaptureAsync(new(
            "kubectl",
            ["--kubeconfig", pool.ManagementSandbox.KubeconfigPath, "get", "testbeds,testbedclaims", "-n", RunningPool.Namespace],
            "."));
        await claims.ReleaseAsync(held.Claim, default);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.Zero, error);
            Assert.That(output, Does.Match(@"NAME\s+CLASS\s+PHASE\s+CLAIM\s+HOLDER\s+LEASE\s+SINCE\s+AGE"));
            Assert.That(
                output, Does.Match($@"bed-1\s+small\s+Leased\s+{held.Claim}\s+build 812 of ci/greeting\s+{held.Lease}\s"));
        });
        TestContext.Out.WriteLine(output);
    }

    [Test]
    public async Task A_cluster_without_a_pool_says_so_and_what_to_do()
    {
        await using var empty = await SandboxFixture.StartAsync("empty");
        using var management = pool.Connect(empty.Kubeconfig);

        Assert.That(async () => await PoolController.RunAsync(management, new PoolOptions { Install = false }, default),
            Throws.TypeOf<UnavailableException>().With.Message.Contains("run testbed-pool install once"));
    }

    private static NUnit.Framework.Constraints.IResolveConstraint Forbidden =>
        Throws.TypeOf<UnavailableException>().With.Property("Reason").EqualTo("cluster-forbidden");

    private async Task<string> TokenAsync(string ns, string account, RunningPool? of = null) =>
        await Providers.LeaseAccounts.TokenAsync(
            (of ?? pool).Management,
            (of ?? pool).ManagementSandbox.Kubeconfig,
            ns,
            account,
            account,
            null,
            TimeSpan.FromHours(1),
            default);
}
