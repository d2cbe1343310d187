using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
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
        $"run {chain.Id}: {chain.Branch.Name} at {chain.ShortCommit}: {(succeeded ? "done" : "failed")}",
        .. Lines(builds),
        $"  report: {report}",
    ];

    private static IEnumerable<string> Lines(IReadOnlyList<BuildRun> builds) =>
        Table.Lines([Heading, .. builds.Select(Row)], numbers: 2).Select(line => "  " + line);

    private static string[] Row(BuildRun build)
    {
        var handed = build.State == BuildState.Succeeded
            ? string.Join("; ", HandOvers.Of(build.ArtifactsFolder, build.Build.Name))
            : "";
        var ran = build.State != BuildState.FailedToStart;
        var took = build is { StartedAt: { } from, FinishedAt: { } to } && ran ? Durations.Show(to - from) : "";
        return [build.Build.Name, Outcome(build.State), took, handed.Length > 0 ? handed : build.Summary];
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
