using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Checking;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary><c>ci-steps check</c>: what is wrong with a settings tree.</summary>
internal static class CheckCommand
{
    private static readonly StepOption<bool> Json = StepOption.Switch("json", "print the findings as JSON");
    private static readonly StepOption<bool> Strict = StepOption.Switch("strict",
        "warnings count as errors, and names that no server is known to write are warnings");

    public static ProgramCommand Create() =>
        new(
            "check",
            "Checks a TeamCity settings tree and prints each finding as file:line: rule: message; " +
            "exit code 1 when there are errors.",
            [Json, Strict, RunCommand.Tools],
            Run)
        {
            Argument = ("folder", "folder of the settings; default: teamcity-settings or this folder"),
        };

    private static async Task<int> Run(ProgramContext context, CancellationToken cancel)
    {
        var tree = SettingsReader.Read(RunSession.FindSettings(context.Argument));
        var tools = Path.TrimEndingDirectorySeparator(Path.GetFullPath(
            context.Options.Find(RunCommand.Tools) ?? AppContext.BaseDirectory));
        if (!Directory.Exists(tools))
            throw new UsageException($"the folder of executables \"{tools}\" does not exist; give --tools");
        var (options, notAsked) = await ToolRules.CheckOptionsAsync(tree, tools, cancel);
        List<Finding> findings = [.. SettingsCheck.Run(tree, context.Options.Get(Strict)), .. options];
        if (notAsked.Count > 0)
            await context.Error.WriteLineAsync(
                $"not asked for their options, as {tools} does not hold them (--tools): {string.Join(", ", notAsked)}");
        if (context.Options.Get(Json)) await context.Output.WriteLineAsync(AsJson(findings).ToJsonString());
        else
        {
            foreach (var finding in findings)
                await context.Output.WriteLineAsync(
                    $"{finding.At}: {(finding.Severity == Severity.Warning ? "warning: " : "")}{finding.Rule}: " +
                    $"{finding.Message}");
            var errors = findings.Count(finding => finding.Severity == Severity.Error);
            await context.Output.WriteLineAsync(
                $"{Count.Of(tree.Projects.Count, "project")}, " +
                $"{Count.Of(tree.Builds.Count, "configuration or template", "configurations and templates")}, " +
                $"{Count.Of(tree.VcsRoots.Count, "VCS root")}, {Count.Of(tree.Recipes.Count, "recipe")}: " +
                    $"{Count.Of(errors, "error")}, {Count.Of(findings.Count - errors, "warning")}");
        }
        return findings.Any(finding => finding.Severity == Severity.Error || context.Options.Get(Strict))
            ? ExitCode.Refused
            : ExitCode.Done;
    }

    private static JsonArray AsJson(IEnumerable<Finding> findings) => new([.. findings.Select(finding => (JsonNode)new JsonObject
    {
        ["file"] = finding.At.File,
        ["line"] = finding.At.Line,
        ["rule"] = finding.Rule,
        ["severity"] = finding.Severity == Severity.Error ? "error" : "warning",
        ["message"] = finding.Message,
    })]);
}
