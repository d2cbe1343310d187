using CiSteps.Clusters;
using CiSteps.Hosting;

namespace CiSteps.Promote.Tests;

/// <summary>
/// Every call to the outside of an undisturbed run is broken once: by a kill, a stop, an outage that passes and one that lasts.
/// Then promote runs again, and cluster, tags and record are those of the undisturbed run. Two waves; with a second wave that is
/// well, and with one whose pods say no.
/// </summary>
[TestFixture]
internal sealed class Whatever_breaks
{
    private const string New = ScriptedWorld.New;
    private const string Old = ScriptedWorld.Old;
    private const string Gate = "http: service://greeter:80/healthz, for: 1ms, time-limit: 200ms";
    private Production production = null!;

    [SetUp]
    public async Task SetUp()
    {
        production = new Production("registry.example", Production.Wave("first", "one", ns: "one", gate: Gate, settle: "1ms")
            + Production.Wave("second", "two", ns: "two", gate: Gate, settle: "1ms"), timeLimit: "300ms");
        production.Environment[Production.KubeconfigVariable] = "kubeconfig";
        await production.CertifiedAsync("7", production.Image(New, Old));
    }

    [TearDown]
    public void TearDown() => production.Dispose();

    [Test]
    public async Task Killed_at_any_call_the_next_run_ends_as_if_nothing_had_been([Values] bool secondWaveFails,
        [Values] bool afterTheWork)
    {
        var (undisturbed, exit) = await UndisturbedAsync(secondWaveFails);
        for (var at = 1; at <= undisturbed.Calls.Count; at++)
        {
            var world = Begin(secondWaveFails);
            var what = "";
            Action<int, string> kill = (call, name) =>
            {
                if (call != at) return;
                what = $"killed {(afterTheWork ? "after" : "before")} call {at}, {name}";
                throw new KilledException();
            };
            if (afterTheWork) world.After = kill;
            else world.Before = kill;
            var ended = await RunAsync(world);
            if (what.Length == 0)
            {
                // How often is looked whether all is still well depends on the time that the run takes; this one took fewer calls.
                Assert.That((ended, world.Calls.Count < at), Is.EqualTo((exit, true)), $"call {at}: {production.Output}");
                continue;
            }
            Assert.That(ended, Is.EqualTo(ExitCode.Bug), $"call {at}: {production.Output}");
            world.Revive();

            var again = await RunAsync(world);

            Assert.That(world.State, Is.EqualTo(undisturbed.State), $"{what}\n{production.Output}");
            Assert.That(again, Is.EqualTo(exit), $"{what}\n{production.Output}");
            // Production settled before the kill, or barred by it: the answer is the same, and the evidence says what runs.
            if (production.Predicate()["handOver"] is not null && production.HandOver().Workloads.Count > 0)
                Assert.That(production.HandOver().Workloads.Select(workload => workload.Digest),
                    Is.All.EqualTo(secondWaveFails ? Old : New), what);
        }
    }

    [Test]
    public async Task Stopped_at_any_call_everything_is_put_back_and_the_next_run_goes_on()
    {
        var (undisturbed, _) = await UndisturbedAsync(secondWaveFails: false);
        var ends = new HashSet<int>();
        for (var at = 1; at <= undisturbed.Calls.Count; at++)
        {
            var world = Begin(secondWaveFails: false);
            using var stop = new CancellationTokenSource();
            world.Before = (call, _) =>
            {
                if (call == at) stop.Cancel();
            };
            var exit = await production.RunAsync(PromoteCommand.Create(world.World), "7", stop.Token);
            var what = $"stopped at call {at} after {string.Join(", ", world.Calls)}\n{production.Output}";
            ends.Add(exit);
            Assert.That(exit, Is.EqualTo(ExitCode.Cancelled).Or.EqualTo(ExitCode.Done), what);
            var expected = exit == ExitCode.Done ? New : Old;
            Assert.That(world.Live.Values.Select(live => live.Digest), Is.All.EqualTo(expected), what);
            Assert.That(world.Tags.Keys, Has.None.StartsWith("barred"), what);
            if (world.Calls.Any(call => call.StartsWith("APPLY", StringComparison.Ordinal)))
            {
                Assert.That(world.Tags.Values, Is.All.EqualTo(expected), $"tags follow the cluster: {what}");
                Assert.That(production.HandOver().Workloads.Select(workload => workload.Digest), Is.All.EqualTo(expected), what);
            }
            world.Before = (_, _) => { };

            Assert.That(await RunAsync(world), Is.EqualTo(ExitCode.Done), $"{what}\nthen\n{production.Output}");
            Assert.That((world.Live["one"].Digest, world.Live["two"].Digest, world.Tags["1-production"], world.Tags["latest"]),
                Is.EqualTo((New, New, New, New)), what);
        }
        Assert.That(ends, Is.EquivalentTo(new[] { ExitCode.Cancelled, ExitCode.Done }));
    }

    [Test]
    public async Task An_outage_that_passes_changes_nothing([Values] bool secondWaveFails)
    {
        var (undisturbed, exit) = await UndisturbedAsync(secondWaveFails);
        foreach (var at in AfterTheFirstWrite(undisturbed))
        {
            var world = Begin(secondWaveFails);
            var what = "";
            world.Before = (call, name) =>
            {
                if (call != at || what.Length > 0) return;
                what = $"away at call {at}, {name}";
                throw new UnavailableException("registry-protocol", "503");
            };

            var again = await RunAsync(world);

            Assert.That(again, Is.EqualTo(exit), $"{what}\n{production.Output}");
            Assert.That(world.State, Is.EqualTo(undisturbed.State), $"{what}\n{production.Output}");
        }
    }

    [Test]
    public async Task An_outage_that_lasts_is_unavailable_bars_nothing_and_the_next_run_finds_out()
    {
        var (undisturbed, _) = await UndisturbedAsync(secondWaveFails: false);
        foreach (var at in AfterTheFirstWrite(undisturbed))
        {
            var world = Begin(secondWaveFails: false);
            var what = "";
            world.Before = (call, name) =>
            {
                if (call < at) return;
                if (what.Length == 0) what = $"away from call {at} on, {name}";
                throw new UnavailableException("cluster-unreachable", "the API server does not answer");
            };

            var exit = await RunAsync(world);

            // The last writes of a place that is well are its history and what is read for the evidence: the verdict stands then.
            Assert.That(exit, Is.EqualTo(ExitCode.Unavailable).Or.EqualTo(ExitCode.Done), $"{what}\n{production.Output}");
            Assert.That(world.Tags.Keys, Has.None.StartsWith("barred"), what);
            Assert.That(world.Live.Values.Select(live => live.Digest), Has.None.Null);
            // What could be read before it went away is stated, the rest is unknown.
            foreach (var workload in production.HandOver().Workloads)
                Assert.That((workload.Digest, workload.State),
                    Is.EqualTo(((string?)null, "unknown")).Or.EqualTo(((string?)world.Live[workload.Target].Digest,
                    world.Histories.GetValueOrDefault(workload.Target)?[0].Result ?? "never promoted")), what);
            Assert.That(production.HandOver().Workloads.Any(workload => workload.State == "unknown"),
                Is.EqualTo(world.Calls.Count >= at), what);
            if (exit == ExitCode.Unavailable)
                Assert.That((production.Reason(), production.Text().Contains("run promote again", StringComparison.Ordinal)),
                    Is.EqualTo(("cluster-unreachable", true)), what);
            world.Before = (_, _) => { };

            Assert.That(await RunAsync(world), Is.EqualTo(ExitCode.Done), $"{what}\nthen\n{production.Output}");
            Assert.That(world.State, Is.EqualTo(undisturbed.State), $"{what}\nthen\n{production.Output}");
        }
    }

    // Before it, an outage ends the run with nothing touched.
    private static IEnumerable<int> AfterTheFirstWrite(ScriptedWorld undisturbed) =>
        Enumerable.Range(1, undisturbed.Calls.Count).SkipWhile(at => !char.IsUpper(undisturbed.Calls[at - 1][0]));

    private async Task<(ScriptedWorld World, int Exit)> UndisturbedAsync(bool secondWaveFails)
    {
        var world = Begin(secondWaveFails);
        var exit = await RunAsync(world);
        Assert.That(exit, Is.EqualTo(secondWaveFails ? ExitCode.Refused : ExitCode.Done), production.Output);
        return (world, exit);
    }

    private static ScriptedWorld Begin(bool secondWaveFails)
    {
        var world = ScriptedWorld.Running(Old, "one", "two");
        if (secondWaveFails) world.Fails = (ns, digest) => ns == "two" && digest == New
            ? new StepFailure("crash-loop", "it crashed") { IsOwn = true } : null;
        return world;
    }

    private Task<int> RunAsync(ScriptedWorld world) => production.RunAsync(PromoteCommand.Create(world.World), "7");
}
