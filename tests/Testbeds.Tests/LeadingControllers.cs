using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class LeadingControllers
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);
    private static readonly string Path = Kinds.Lease.Path("default", "testbed-pool");

    private SandboxFixture sandbox = null!;
    private Cluster cluster = null!;

    [SetUp]
    public async Task SetUp()
    {
        sandbox = await SandboxFixture.StartAsync("management");
        cluster = Cluster.Open(sandbox.Kubeconfig, BuildLog.Silent, TimeProvider.System);
    }

    [TearDown]
    public async Task TearDown()
    {
        cluster?.Dispose();
        if (sandbox is not null) await sandbox.DisposeAsync();
    }

    [Test]
    public async Task A_leader_that_died_is_replaced_after_its_silence_whatever_its_clock_said()
    {
        await HeldByAsync("dead", "2099-01-01T00:00:00.000000Z");
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var worked = false;

        await new Leadership(cluster, "default", Silence).RunAsync(
            _ => { worked = true; return Task.CompletedTask; }, stop.Token);

        Assert.That(worked, Is.True);
    }

    [Test]
    public async Task Only_one_works_at_a_time_and_the_next_begins_as_soon_as_it_ends()
    {
        var at = 0;
        var most = 0;

        await Task.WhenAll(Enumerable
            .Range(0, 5)
            .Select(_ => new Leadership(cluster, "default", TimeSpan.FromSeconds(5)).RunAsync(async turn =>
        {
            most = Math.Max(most, Interlocked.Increment(ref at));
            await Task.Yield();
            Interlocked.Decrement(ref at);
        }, default)));

        Assert.That(most, Is.EqualTo(1));
    }

    [Test]
    public async Task A_leader_whose_turn_was_taken_stops_working()
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var stop = new CancellationTokenSource();
        var leading = new Leadership(cluster, "default", Silence).RunAsync(async turn =>
        {
            started.TrySetResult();
            using var ended = turn.Register(() => stopped.TrySetResult());
            await Task.Delay(Timeout.InfiniteTimeSpan, turn);
        }, stop.Token);
        await started.Task;

        await cluster.MergeAsync(
            Path, new() { ["spec"] = new System.Text.Json.Nodes.JsonObject { ["holderIdentity"] = "another" } }, default);

        Assert.That(async () => await stopped.Task.WaitAsync(TimeSpan.FromSeconds(20)), Throws.Nothing);
        await stop.CancelAsync();
        Assert.That(async () => await leading, Throws.InstanceOf<OperationCanceledException>());
    }

    private Task HeldByAsync(string who, string renewed) => cluster.CreateAsync(Kinds.Lease.Collection("default"), new()
    {
        ["apiVersion"] = Kinds.Lease.ApiVersion,
        ["kind"] = Kinds.Lease.Name,
        ["metadata"] = new System.Text.Json.Nodes.JsonObject { ["name"] = "testbed-pool", ["namespace"] = "default" },
        ["spec"] = new System.Text.Json.Nodes.JsonObject
        {
            ["holderIdentity"] = who,
            ["renewTime"] = renewed,
            ["leaseDurationSeconds"] = 1
        },
    }, default);
}
