using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting.Display;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Displays;

/// <summary>A chain's builds as its report.</summary>
internal static class BuildReport
{
    /// <summary>The report of a chain.</summary>
    /// <param name="chain">Its record; links to logs are relative to its folder.</param>
    /// <param name="builds">Its builds, in order.</param>
    public static ChainReport Of(ChainRecord chain, IReadOnlyList<BuildRun> builds)
    {
        var failed = builds.FirstOrDefault(build => build.State is not BuildState.Succeeded);
        var summary = failed is null
            ? $"{Count.Of(builds.Count, "build is", "builds are")} done"
            : $"{failed.Build.Name}: {failed.Summary}";
        var rows = builds.Select(build => Row(build, chain.Folder));
        return new($"{chain.Branch.Name} at {chain.ShortCommit}", chain.Succeeded(builds), summary, [.. rows])
        {
            Facts =
            [
                ("branch", chain.Branch.Name),
                ("commit", chain.Revisions.Values.FirstOrDefault() ?? ""),
                ("run", chain.Id),
                ("repository", chain.Repository),
                ("started", chain.StartedAt.ToString("u")),
            ],
        };
    }

    private static ReportRow Row(BuildRun build, string reportFolder)
    {
        var (from, to) = build.State == BuildState.FailedToStart ? (null, null) : (build.StartedAt, build.FinishedAt);
        var text = HandOvers.Evidence(build.ArtifactsFolder, build.Build.Name)?.Text ?? build.Summary;
        var number = build.Number.Length > 0 ? "#" + build.Number : "";
        return new(build.Build.Name, ClosingTable.Outcome(build.State), from, to, text)
        {
            IsProblem = build.State == BuildState.Failed && !build.Closes,
            HandedOver = HandOvers.Of(build.ArtifactsFolder, build.Build.Name),
            Problems = build.Problems,
            Tests = (build.PassedTests, build.FailedTests.Count, build.IgnoredTests),
            FailedTests = build.FailedTests,
            Log = File.Exists(build.LogFile) ? Address(Path.GetRelativePath(reportFolder, build.LogFile)) : null,
            Detail = string.Join(", ", new[] { build.Build.Id, number, build.Agent }.Where(part => part.Length > 0)),
        };
    }

    // A folder's name may have what means something in an address: a number sign, a percent sign.
    private static string Address(string path) => string.Join('/', path.Split('/', '\\').Select(Uri.EscapeDataString));
}
