using System.Globalization;
using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting.Settings;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Displays;

/// <summary>Tells a person what the chain does: a line for each change, a live line on a terminal, and never more than some seconds of silence.</summary>
internal sealed class ChainDisplay : IDisposable
{
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly TextWriter output;
    private readonly bool coloured;
    private readonly TimeProvider time;
    private readonly long started;
    private readonly Lock gate = new();
    private readonly Dictionary<string, (BuildState State, string Doing)> shown = new(StringComparer.Ordinal);
    private readonly ITimer timer;
    private IReadOnlyList<BuildRun> builds = [];
    private int nameWidth = 8;
    private long spokenAt;
    private bool lineIsLive;

    /// <summary>A display.</summary>
    /// <param name="output">Where it writes.</param>
    /// <param name="coloured">A terminal with colours and a live line; else plain lines.</param>
    /// <param name="time">The clock.</param>
    public ChainDisplay(TextWriter output, bool coloured, TimeProvider time)
    {
        (this.output, this.coloured, this.time) = (output, coloured, time);
        started = spokenAt = time.GetTimestamp();
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
        Line("", $"chain {chain.Id}: {chain.Branch.Name} at {chain.ShortCommit} of {chain.Repository}", "\e[1m");
        Line("", string.Join(" -> ", all.Select(build => build.Build.Name)), "\e[90m");
    }

    /// <summary>A line that is not a build's.</summary>
    public void Say(string text) => Line("", text, "");

    /// <summary>A build changed.</summary>
    public void Changed(BuildRun build)
    {
        string text;
        string colour;
        lock (gate)
        {
            var known = shown.TryGetValue(build.Build.Id, out var before);
            if (known && before == (build.State, build.Doing)) return;
            shown[build.Build.Id] = (build.State, build.Doing);
            // The first thing that it does says on which agent; where it checks out or starts a step of its own name, nobody asks.
            if (known && before.State == build.State && (build.Doing == build.Build.Name || build.Doing == BuildRun.CheckingOut)) return;
        }
        (text, colour) = build.State switch
        {
            BuildState.Running => (build.Doing == BuildRun.Starting ? $"started on {build.Agent}" : build.Doing, "\e[36m"),
            BuildState.Succeeded => ($"done in {Took(build)}" + With(build.Summary), "\e[32m"),
            BuildState.Failed => ($"failed after {Took(build)}" + With(build.Summary), "\e[31m"),
            BuildState.FailedToStart => ("not started" + With(build.Summary), "\e[33m"),
            BuildState.Cancelled => ("cancelled" + With(build.Summary), "\e[33m"),
            _ => ("", ""),
        };
        if (text.Length > 0) Line(build.Build.Name, text, colour);
    }

    public void Dispose()
    {
        timer.Dispose();
        lock (gate) Wipe();
    }

    private static string With(string text) => text.Length == 0 ? "" : ": " + text;

    private static string Took(BuildRun build) =>
        build is { StartedAt: { } from, FinishedAt: { } to } ? Durations.Show(to - from) : "0s";

    private string Now() => time.GetElapsedTime(started).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture).PadLeft(6) + "s";

    private void Line(string name, string text, string colour)
    {
        lock (gate)
        {
            Wipe();
            foreach (var line in text.ReplaceLineEndings("\n").Split('\n'))
                output.WriteLine(coloured ? $"\e[90m{Now()}\e[0m {name.PadRight(nameWidth)} {colour}{line}\e[0m" : $"{Now()} {name.PadRight(nameWidth)} {line}");
            output.Flush();
            spokenAt = time.GetTimestamp();
        }
    }

    private void OnTick()
    {
        lock (gate)
        {
            var running = builds.Where(build => build.State == BuildState.Running).ToList();
            if (running.Count == 0 && builds.All(build => build.IsFinished)) return;
            if (coloured)
            {
                Wipe();
                var text = string.Join("   ", running.Select(Shown));
                if (text.Length == 0) return;
                output.Write($"\e[90m{Now()} {(text.Length > 140 ? text[..139] + "…" : text)}\e[0m");
                output.Flush();
                lineIsLive = true;
            }
            else if (time.GetElapsedTime(spokenAt) >= LongestSilence)
            {
                foreach (var build in running) output.WriteLine($"{Now()} {build.Build.Name.PadRight(nameWidth)} still: {build.Doing} ({Age(build)})");
                if (running.Count == 0)
                    output.WriteLine($"{Now()} {builds.FirstOrDefault(build => !build.IsFinished)?.Build.Name.PadRight(nameWidth)} {builds.FirstOrDefault(build => !build.IsFinished)?.Doing}");
                output.Flush();
                spokenAt = time.GetTimestamp();
            }
        }
    }

    private string Shown(BuildRun build) => $"{build.Build.Name} {Age(build)}: {build.Doing}";

    private string Age(BuildRun build) => build.StartedAt is { } from ? Durations.Show(TimeSpan.FromSeconds(Math.Floor((time.GetUtcNow() - from).TotalSeconds))) : "";

    private void Wipe()
    {
        if (!lineIsLive) return;
        output.Write("\r\e[K");
        lineIsLive = false;
    }
}
