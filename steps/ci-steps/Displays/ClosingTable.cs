using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting.Settings;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Displays;

/// <summary>The table at a chain's end: step, outcome, time, what it handed over.</summary>
internal static class ClosingTable
{
    private static readonly string[] Heading = ["step", "outcome", "time", "handed over"];

    /// <summary>A chain's heading, its table, and where its report is.</summary>
    public static IEnumerable<string> Of(ChainRecord chain, IReadOnlyList<BuildRun> builds, bool succeeded, string report) =>
    [
        $"chain {chain.Id}: {chain.Branch.Name} at {chain.ShortCommit}: {(succeeded ? "done" : "failed")}",
        .. Lines(builds),
        $"  report: {report}",
    ];

    private static IEnumerable<string> Lines(IReadOnlyList<BuildRun> builds)
    {
        var rows = new List<string[]> { Heading };
        foreach (var build in builds)
        {
            var handed = build.State == BuildState.Succeeded ? string.Join("; ", HandOvers.Of(build.ArtifactsFolder, build.Build.Name)) : "";
            rows.Add([build.Build.Name, Outcome(build.State), build is { StartedAt: { } from, FinishedAt: { } to } && build.State != BuildState.FailedToStart ? Durations.Show(to - from) : "",
                handed.Length > 0 ? handed : build.Summary.ReplaceLineEndings(" ")]);
        }
        var widths = Enumerable.Range(0, 3).Select(column => rows.Max(row => row[column].Length)).ToArray();
        foreach (var row in rows)
            yield return $"  {row[0].PadRight(widths[0])}  {row[1].PadRight(widths[1])}  {row[2].PadLeft(widths[2])}  {row[3]}".TrimEnd();
    }

    /// <summary>The state in a word or two.</summary>
    public static string Outcome(BuildState state) => state switch
    {
        BuildState.Succeeded => "done",
        BuildState.Failed => "failed",
        BuildState.FailedToStart => "not started",
        BuildState.Cancelled => "cancelled",
        BuildState.Running => "running",
        _ => "waiting",
    };
}
