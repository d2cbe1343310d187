using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Fixtures;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Promote.Tests;

/// <summary>
/// The executable, killed and stopped right after each write that an undisturbed run makes to a real registry and to a cluster's
/// API, and two at once; then promote runs again. Tags, record, leases and what runs are those of the undisturbed end, and the
/// evidence says the same.
/// </summary>
[TestFixture, Category("NeedsDocker")]
internal sealed partial class Broken_off_for_real
{
    private RealWorld world = null!;
    private WebApplication gate = null!;
    private string gateUrl = "";
    private readonly ConcurrentDictionary<string, Action<string>> listeners = [];

    [OneTimeSetUp]
    public async Task SetUp()
    {
        world = await RealWorld.StartAsync();
        world.ToCluster.Written = world.ToRegistry.Written = Tell;
        var builder = WebApplication.CreateSlimBuilder();
        gate = builder.Build();
        gate.Urls.Add("http://127.0.0.1:0");
        gate.Run(context => context.Response.WriteAsync("ok"));
        await gate.StartAsync();
        gateUrl = gate.Urls.First();
    }

    [OneTimeTearDown]
    public async Task TearDown()
    {
        await gate.DisposeAsync();
        await world.DisposeAsync();
    }

    [Test]
    public async Task Killed_after_any_write_the_next_run_ends_as_if_nothing_had_been([Values] bool secondWaveFails)
    {
        var kind = secondWaveFails ? "kf" : "kw";
        var (writes, undisturbed, exit) = await UndisturbedAsync(kind, secondWaveFails);
        await Parallel.ForEachAsync(BreaksAt(writes), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (at, cancel) =>
        {
            using var waves = await TwoWaves.BeginAsync(world, $"{kind}{at}", secondWaveFails, gateUrl);
            var what = await BreakAsync(waves, $"{kind}{at}", at, process => process.Kill());
            var again = await waves.RunAsync();
            // The dead one's lease ends by itself where the next run had nothing to write.
            Assert.That((await waves.StateAsync()).Replace(", held", ""), Is.EqualTo(undisturbed),
                $"killed after write {at}, {what}\n{waves.Output}");
            Assert.That(again, Is.EqualTo(exit), $"killed after write {at}, {what}\n{waves.Output}");
            if (waves.Production.Predicate()["handOver"] is not null && waves.Production.HandOver().Workloads.Count > 0)
                Assert.That(waves.Production.HandOver().Workloads.Select(workload => waves.Name(workload.Digest)),
                    Is.All.EqualTo(secondWaveFails ? "old" : "new"), what);
        });
    }

    [Test]
    public async Task Stopped_after_any_write_everything_is_put_back_and_the_next_run_goes_on()
    {
        var (writes, undisturbed, _) = await UndisturbedAsync("st", secondWaveFails: false);
        await Parallel.ForEachAsync(BreaksAt(writes), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (at, cancel) =>
        {
            using var waves = await TwoWaves.BeginAsync(world, $"st{at}", secondWaveFails: false, gateUrl);
            var ended = -1;
            var what = await BreakAsync(
                waves, $"st{at}", at, process => Assert.That(Signal(process.Id, 15), Is.Zero), code => ended = code);
            var state = await waves.StateAsync();
            Assert.That(ended, Is.EqualTo(ExitCode.Cancelled).Or.EqualTo(ExitCode.Done),
                $"stopped after write {at}, {what}\n{state}");
            Assert.That(state, Does.Not.Contain(ended == ExitCode.Done ? "runs old"
                : "runs new").And.Not.Contain("held").And.Not.Contain("barred"),
                $"stopped after write {at}, {what}: exit {ended}");
            if (what.Contains("deployments", StringComparison.Ordinal) && ended == ExitCode.Cancelled)
                Assert.That(state, Does.Contain("1-production=old").And.Contain("latest=old"),
                    $"stopped after write {at}, {what}");
            Assert.That(await waves.RunAsync(), Is.EqualTo(ExitCode.Done), $"stopped after write {at}, {what}\n{waves.Output}");
            Assert.That((await waves.StateAsync()).Split('\n').Select(line => line.Split(", ")[0]),
                Is.EqualTo(undisturbed.Split('\n').Select(line => line.Split(", ")[0])), what);
        });
    }

    [Test]
    public async Task Of_two_at_once_one_promotes_and_the_other_touches_nothing([Values] bool secondWaveFails)
    {
        var kind = secondWaveFails ? "df" : "dw";
        var (_, undisturbed, exit) = await UndisturbedAsync(kind, secondWaveFails);
        using var waves = await TwoWaves.BeginAsync(world, kind + "2", secondWaveFails, gateUrl);
        using var one = waves.Start();
        using var other = waves.Start();
        await Task.WhenAll(one.WaitForExitAsync(), other.WaitForExitAsync());

        Assert.That(new[] { one.ExitCode, other.ExitCode },
            Has.Some.EqualTo(exit).And.All.EqualTo(exit).Or.EquivalentTo(new[] { exit, ExitCode.Unavailable }));
        Assert.That(await waves.StateAsync(), Is.EqualTo(undisturbed));
        Assert.That(await waves.RunAsync(), Is.EqualTo(exit), waves.Output);
        Assert.That(await waves.StateAsync(), Is.EqualTo(undisturbed));
    }

    [Test]
    public async Task An_api_server_that_goes_away_after_the_apply_is_an_outage_and_not_a_verdict()
    {
        using var waves = await TwoWaves.BeginAsync(world, "away", secondWaveFails: false, gateUrl);
        var away = false;
        listeners["away"] = write => away |= write.Contains("deployments/greeter", StringComparison.Ordinal);
        world.ToCluster.IsAway = request => away && request.Headers.UserAgent.ToString()
            .StartsWith("cisteps", StringComparison.Ordinal);
        int exit;
        try
        {
            exit = await waves.RunAsync();
        }
        finally
        {
            away = false;
            listeners.TryRemove("away", out _);
            world.ToCluster.IsAway = _ => false;
        }

        Assert.That((exit, waves.Production.Reason()), Is.EqualTo((ExitCode.Unavailable, "cluster-unreachable")), waves.Output);
        Assert.That(waves.Production.Text(), Does.Contain("is unknown").And.Contain("nothing barred").And.Contain(
            "run promote again"));
        Assert.That(waves.Production.HandOver().Workloads.First(workload => workload.Target == "one"), Has.Property("State")
            .EqualTo("unknown").And.Property("Digest").Null);
        Assert.That(await waves.StateAsync(), Does.Contain("one runs new").And.Contain("two runs old").And.Not.Contain("barred"));

        Assert.That(await waves.RunAsync(), Is.EqualTo(ExitCode.Done), waves.Output);
        Assert.That(await waves.StateAsync(), Does.Contain("one runs new: promoted new, promoted old").And.Contain(
            "two runs new: promoted new, promoted old"));
    }

    [Test]
    public async Task A_registry_that_answers_503_after_the_apply_neither_takes_back_nor_bars()
    {
        using var waves = await TwoWaves.BeginAsync(world, "busy", secondWaveFails: false, gateUrl);
        var away = false;
        listeners["busy"] = write => away |= write.Contains("deployments/greeter", StringComparison.Ordinal);
        world.ToRegistry.IsAway = request => away && request.Path.Value!.Contains("/busy/", StringComparison.Ordinal);
        try
        {
            Assert.That(await waves.RunAsync(), Is.EqualTo(ExitCode.Done), waves.Output);
        }
        finally
        {
            listeners.TryRemove("busy", out _);
            world.ToRegistry.IsAway = _ => false;
        }
        Assert.That(await waves.StateAsync(), Does.Contain("one runs new").And.Contain("two runs new").And.Not.Contain("barred"));
    }

    // After which of the writes a run is broken off; in the short form after the first of each kind.
    private static IEnumerable<int> BreaksAt(IReadOnlyList<string> writes) =>
        Proofs.Cases(
            Enumerable.Range(1, writes.Count), at => Method().Match(writes[at - 1]).Value + Kind().Match(writes[at - 1]).Value);

    private async Task<(IReadOnlyList<string> Writes, string State, int Exit)> UndisturbedAsync(string kind, bool secondWaveFails)
    {
        using var waves = await TwoWaves.BeginAsync(world, kind + "0", secondWaveFails, gateUrl);
        var writes = new ConcurrentQueue<string>();
        listeners[kind + "0"] = writes.Enqueue;
        var exit = await waves.RunAsync();
        listeners.TryRemove(kind + "0", out _);
        Assert.That(exit, Is.EqualTo(secondWaveFails ? ExitCode.Refused : ExitCode.Done), waves.Output);
        return ([.. writes], await waves.StateAsync(), exit);
    }

    // Runs the executable and breaks it right after its nth write.
    private async Task<string> BreakAsync(TwoWaves waves, string id, int at, Action<System.Diagnostics.Process> breaks,
        Action<int>? ended = null)
    {
        var (seen, what) = (0, "never");
        var started = new TaskCompletionSource<System.Diagnostics.Process>();
        listeners[id] = write =>
        {
            if (Interlocked.Increment(ref seen) != at) return;
            what = write.Split(" {")[0];
            breaks(started.Task.GetAwaiter().GetResult());
        };
        using var process = waves.Start();
        started.SetResult(process);
        await process.WaitForExitAsync();
        listeners.TryRemove(id, out _);
        ended?.Invoke(process.ExitCode);
        return what;
    }

    // A lease that is renewed says nothing of the run; how often it is depends on how long that takes.
    private void Tell(string write)
    {
        if (write.StartsWith("PUT", StringComparison.Ordinal) && write.Contains("/leases/", StringComparison.Ordinal)
            && !write.Contains("\"holderIdentity\":\"\"", StringComparison.Ordinal)
            && write.Contains("resourceVersion", StringComparison.Ordinal) && !IsTaken(write)) return;
        foreach (var (id, listener) in listeners)
            if (write.Contains($"-{id}/", StringComparison.Ordinal)
                || write.Contains($"/{id}/", StringComparison.Ordinal)) listener(write);
    }

    private static bool IsTaken(string write)
    {
        var spec = System.Text.Json.Nodes.JsonNode.Parse(write[write.IndexOf('{', StringComparison.Ordinal)..])!["spec"]!;
        return (string?)spec["acquireTime"] == (string?)spec["renewTime"];
    }

    [GeneratedRegex("/(?:leases|configmaps|deployments|services|jobs|manifests|blobs)(?=[/ ])")]
    private static partial Regex Kind();

    [GeneratedRegex("^[A-Z]+")]
    private static partial Regex Method();

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Signal(int process, int signal);
}
