using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Displays;

/// <summary>
/// Tells a person what the chain does: a line for each change, a live line on a terminal, and never more than some seconds of
/// silence.
/// </summary>
internal sealed class ChainDisplay : IDisposable
{
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly Terminal terminal;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly Dictionary<string, (BuildState State, string Doing)> shown = new(StringComparer.Ordinal);
    private readonly ITimer timer;
    private IReadOnlyList<BuildRun> builds = [];
    private int nameWidth = 8;
    private long spokenAt;

    /// <summary>A display.</summary>
    /// <param name="output">Where it writes.</param>
    /// <param name="coloured">A terminal with colours and a live line; else plain lines.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    public ChainDisplay(TextWriter output, bool coloured, TimeProvider time)
    {
        (terminal, this.time) = (new Terminal(output, coloured, time), time);
        spokenAt = time.GetTimestamp();
        timer = time.CreateTimer(_ => OnTick(), null, Tick, Tick);
    }

    /// <summary>Begins a chain.</summary>
    public void Start(ChainRecord chain, IReadOnlyList<BuildRun> all)
    {
        lock (gate)
        {
            builds = all;
            shown.Clear();
            nameWidth = Math.Max(8, all.Select(build => build.Build.Name.Length).DefaultIfEmpty(8).Max());
        }
        Line("", $"run {chain.Id}: {chain.Branch.Name} at {chain.ShortCommit} of {chain.Repository}", Ink.Bold);
        Line("", string.Join(" -> ", all.Select(build => build.Build.Name)), Ink.Grey);
    }

    /// <summary>A line that is not a build's.</summary>
    public void Say(string text) => Line("", text, Ink.Plain);

    /// <summary>A build changed.</summary>
    public void Changed(BuildRun build)
    {
        string text;
        Ink ink;
        lock (gate)
        {
            var known = shown.TryGetValue(build.Build.Id, out var before);
            if (known && before == (build.State, build.Doing)) return;
            shown[build.Build.Id] = (build.State, build.Doing);
            // The first thing that it does says on which agent; where it checks out or starts a step of its own name, nobody
            // asks.
            if (known && before.State == build.State && (build.Doing == build.Build.Name || build.Doing == BuildRun.CheckingOut))
                return;
        }
        (text, ink) = build.State switch
        {
            BuildState.Running => (build.Doing == BuildRun.Starting ? $"started on {build.Agent}" : build.Doing, Ink.Cyan),
            BuildState.Succeeded => ($"done in {Took(build)}" + With(build.Summary), Ink.Green),
            BuildState.Failed => ($"failed after {Took(build)}" + With(build.Summary), Ink.Red),
            BuildState.FailedToStart => ("not started" + With(build.Summary), Ink.Yellow),
            BuildState.Cancelled => ("cancelled" + With(build.Summary), Ink.Yellow),
            _ => ("", Ink.Plain),
        };
        if (text.Length > 0) Line(build.Build.Name, text, ink);
    }

    public void Dispose()
    {
        timer.Dispose();
        lock (gate) terminal.Wipe();
    }

    private static string With(string text) => text.Length == 0 ? "" : ": " + text;

    private static string Took(BuildRun build) =>
        build is { StartedAt: { } from, FinishedAt: { } to } ? Durations.Show(to - from) : "0s";

    private void Line(string name, string text, Ink ink)
    {
        lock (gate)
        {
            terminal.Write(name.PadRight(nameWidth) + " ", text, ink);
            spokenAt = time.GetTimestamp();
        }
    }

    private void OnTick()
    {
        lock (gate)
        {
            var running = builds.Where(build => build.State == BuildState.Running).ToList();
            var waiting = builds.FirstOrDefault(build => !build.IsFinished);
            if (waiting is null) return;
            if (terminal.HasLiveLine)
            {
                terminal.Show(string.Join("   ", running.Select(build => $"{build.Build.Name} {Age(build)}: {build.Doing}")));
                return;
            }
            if (time.GetElapsedTime(spokenAt) < LongestSilence) return;
            foreach (var build in running) Line(build.Build.Name, $"still: {build.Doing} ({Age(build)})", Ink.Plain);
            if (running.Count == 0) Line(waiting.Build.Name, waiting.Doing, Ink.Plain);
        }
    }

    private string Age(BuildRun build) => build.StartedAt is { } from ? Durations.ShowWhole(time.GetUtcNow() - from) : "";
}
