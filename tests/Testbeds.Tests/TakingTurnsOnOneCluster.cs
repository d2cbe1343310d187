using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class TakingTurnsOnOneCluster
{
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(20);

    private readonly List<IDisposable> open = [];
    private SandboxFixture sandbox = null!;

    [SetUp]
    public async Task SetUp() => sandbox = await SandboxFixture.StartAsync("shared");

    [TearDown]
    public async Task TearDown()
    {
        foreach (var one in open) one.Dispose();
        open.Clear();
        if (sandbox is not null) await sandbox.DisposeAsync();
    }

    [Test]
    public async Task Suites_of_one_chain_share_the_lock_and_another_chain_waits_for_all_of_them()
    {
        var first = Lock();
        var second = Lock();
        var held = await first.ClaimAsync(RunningPool.Request("1", "smoke", "load"), Wait, default);

        var waiting = second.ClaimAsync(RunningPool.Request("2", "smoke"), Wait, default);
        await first.ReleaseAsync(held[0].Claim, default);
        var stillWaiting = !waiting.IsCompleted;
        await first.ReleaseAsync(held[1].Claim, default);
        var next = await waiting;

        Assert.Multiple(() =>
        {
            Assert.That(held.Select(one => one.Lease), Is.All.EqualTo(1));
            Assert.That(stillWaiting, Is.True);
            Assert.That(next[0].Lease, Is.EqualTo(2));
        });
    }

    [Test]
    public async Task Not_free_in_time_names_the_holder()
    {
        await Lock().ClaimAsync(RunningPool.Request("1", "smoke"), Wait, default);

        Assert.That(
            async () => await Lock().ClaimAsync(RunningPool.Request("2", "smoke"), TimeSpan.FromMilliseconds(300), default),
            Throws.TypeOf<UnavailableException>().With
                .Property("Reason")
                .EqualTo("no-testbed-free").And.Message
                .Contains("held by build 1 of ci/greeting until"));
    }

    [Test]
    public async Task A_lock_that_nobody_picks_up_or_renews_is_taken_over_with_a_higher_number()
    {
        var held = (await Lock(new LeaseTimes(
            TimeSpan.FromSeconds(1),
            TimeSpan.FromSeconds(1),
            TimeSpan.FromMinutes(1))).ClaimAsync(RunningPool.Request("1", "smoke"), Wait, default))[0];

        var next = (await Lock().ClaimAsync(RunningPool.Request("2", "smoke"), Wait, default))[0];

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(next.Lease, Is.EqualTo(held.Lease + 1));
            Assert.That(await Lock().TryPickUpAsync(held, default), Is.Null);
        });
    }

    [Test]
    public async Task A_second_claim_of_the_same_chain_keeps_the_lock()
    {
        var first = await Lock().ClaimAsync(RunningPool.Request("1", "smoke"), Wait, default);
        var second = await Lock().ClaimAsync(RunningPool.Request("1", "smoke"), Wait, default);

        Assert.That(second, Is.EqualTo(first));
    }

    [Test]
    public async Task Who_picks_up_gets_the_clusters_kubeconfig_and_releasing_all_frees_it()
    {
        var testbeds = Lock();
        var held = (await testbeds.ClaimAsync(RunningPool.Request("1", "smoke"), Wait, default))[0];
        await using var leased = await testbeds.TryPickUpAsync(held, default);

        var released = await testbeds.ReleaseAllAsync(RunningPool.Run("1"), default);

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(leased!.Kubeconfig, Is.EqualTo(sandbox.Kubeconfig));
            Assert.That(released, Is.EqualTo(new[] { held.Claim }));
            Assert.That(await testbeds.FindAsync(RunningPool.Run("1"), default), Is.Empty);
        });
    }

    [Test]
    public async Task Of_many_who_ask_at_once_one_gets_it()
    {
        await Lock().ReleaseAllAsync(RunningPool.Run("0"), default);

        var asked = await Task.WhenAll(Enumerable.Range(1, 8).Select(async number =>
        {
            try
            {
                return (await Lock().ClaimAsync(
                    RunningPool.Request($"{number}", "smoke"), TimeSpan.FromMilliseconds(500), default)).Count;
            }
            catch (UnavailableException)
            {
                return 0;
            }
        }));

        Assert.That(asked.Sum(), Is.EqualTo(1));
    }

    private ClusterLock Lock(LeaseTimes? times = null)
    {
        var one = new ClusterLock(
            Cluster.Open(sandbox.Kubeconfig, BuildLog.Silent, TimeProvider.System), sandbox.Kubeconfig, times, owned: true);
        lock (open) open.Add(one);
        return one;
    }
}
