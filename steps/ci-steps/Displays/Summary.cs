using System.Text.Json.Nodes;
using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Displays;

/// <summary>A chain's outcome for programs.</summary>
internal static class Summary
{
    /// <summary>Writes <c>summary.json</c> for one or more chains.</summary>
    public static void Write(
        string path, IReadOnlyList<(ChainRecord Chain, IReadOnlyList<BuildRun> Builds, bool Succeeded, string Report)> chains) =>
        ChainRecord.WriteJson(
            Path.GetFullPath(path),
            new JsonObject
            {
                ["chains"] = new JsonArray([.. chains.Select(
                    chain => (JsonNode)Of(chain.Chain, chain.Builds, chain.Succeeded, chain.Report))])
            });

    /// <summary>One chain.</summary>
    public static JsonObject Of(ChainRecord chain, IReadOnlyList<BuildRun> builds, bool succeeded, string report) => new()
    {
        ["run"] = chain.Id,
        ["branch"] = chain.Branch.Name,
        ["commit"] = chain.Revisions.Values.FirstOrDefault() ?? "",
        ["outcome"] = succeeded ? "done" : "failed",
        ["failedStep"] = builds.FirstOrDefault(build => build.State != BuildState.Succeeded)?.Build.Name,
        ["report"] = report,
        ["folder"] = chain.Folder,
        ["steps"] = new JsonArray([.. builds.Select(build => (JsonNode)Of(build))]),
    };

    private static JsonObject Of(BuildRun build)
    {
        var evidence = HandOvers.Evidence(build.ArtifactsFolder, build.Build.Name);
        return new JsonObject
        {
            ["step"] = build.Build.Name,
            ["configuration"] = build.Build.Id,
            ["number"] = build.Number,
            ["outcome"] = ClosingTable.Outcome(build.State),
            ["seconds"] = build is { StartedAt: { } from, FinishedAt: { } to } ? Math.Round((to - from).TotalSeconds, 3) : 0,
            ["exit"] = build.Steps.LastOrDefault(step => step.Exit is not null)?.Exit,
            ["reason"] = evidence?.Reason,
            ["fault"] = evidence?.Fault.Word(),
            ["text"] = evidence?.Text ?? build.Summary,
            ["problems"] = new JsonArray([.. build.Problems.Select(
                problem => (JsonNode)new JsonObject { ["identity"] = problem.Identity, ["text"] = problem.Text })]),
            ["tests"] = new JsonObject
            {
                ["passed"] = build.PassedTests,
                ["failed"] = build.FailedTests.Count,
                ["ignored"] = build.IgnoredTests
            },
            ["handedOver"] = new JsonArray([.. (evidence is null ? [] : HandOvers.Of(evidence)).Select(text => (JsonNode)text)]),
            ["handOver"] = evidence?.HandOver?.DeepClone(),
            ["log"] = build.LogFile,
        };
    }
}
