using CiSteps.Cli.Chains;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Displays;

/// <summary>A build as a line of a report.</summary>
internal static class BuildRow
{
    public static ReportRow Of(BuildRun build, string reportFolder) =>
        new(build.Build.Name, ClosingTable.Outcome(build.State), build.State == BuildState.FailedToStart ? null : build.StartedAt, build.State == BuildState.FailedToStart ? null : build.FinishedAt,
            HandOvers.Evidence(build.ArtifactsFolder, build.Build.Name)?.Text ?? build.Summary)
        {
            IsProblem = build.State == BuildState.Failed && !DependencyVerdicts.RunsWhatever(build.Build),
            HandedOver = HandOvers.Of(build.ArtifactsFolder, build.Build.Name),
            Problems = build.Problems,
            Tests = (build.PassedTests, build.FailedTests.Count, build.IgnoredTests),
            FailedTests = build.FailedTests,
            Log = File.Exists(build.LogFile) ? Path.GetRelativePath(reportFolder, build.LogFile).Replace('\\', '/') : null,
            Detail = string.Join(", ", new[] { build.Build.Id, build.Number.Length > 0 ? "#" + build.Number : "", build.Agent }.Where(part => part.Length > 0)),
        };
}
