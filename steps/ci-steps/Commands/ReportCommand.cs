using CiSteps.Cli.Displays;
using CiSteps.Cli.Records;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary>
/// <c>ci-steps report</c>: what a chain came to, from its record. It may be one that still runs, or that was killed.
/// </summary>
internal static class ReportCommand
{
    private static readonly StepOption<string> Number = StepOption.Text("run", "number of the run; default: the last one");
    private static readonly StepOption<string> Branch = StepOption.Text("branch", "the last run of this branch");
    private static readonly StepOption<string> Page = StepOption.Text("report", "also write the HTML report to this file");

    public static ProgramCommand Create() => new("report",
        "Shows what a chain on this machine came to and writes its report anew, from what the run recorded; runs nothing.",
        [
            Number, Branch, RunCommand.SettingsFolder, RunCommand.Repository, RunCommand.WorkspaceFolder,
            Page, RunCommand.SummaryFile,
        ], RunAsync);

    private static async Task<int> RunAsync(ProgramContext context, CancellationToken cancel)
    {
        var settings = context.Options;
        var chain = Find(settings, Path.GetFullPath(settings.Find(RunCommand.WorkspaceFolder) ?? DefaultWorkspace(settings)));
        var builds = chain.ReadBuilds();
        var (succeeded, report) = (chain.Succeeded(builds), chain.ReportFile);
        try
        {
            BuildReport.Of(chain, builds).Write(report);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"the report \"{report}\" cannot be written: {failure.Message}", failure);
        }
        foreach (var line in ClosingTable.Of(chain, builds, succeeded, report))
            await context.Output.WriteLineAsync(line);
        if (settings.Find(Page) is { } file) RunCommand.CopyReport(report, file);
        if (settings.Find(RunCommand.SummaryFile) is { } summary) Summary.Write(summary, [(chain, builds, succeeded, report)]);
        return ExitCode.Done;
    }

    private static string DefaultWorkspace(OptionValues settings)
    {
        var folder = RunSession.FindSettings(settings.Find(RunCommand.SettingsFolder));
        return RunSession.DefaultWorkspace(settings, SettingsTree.Load(folder));
    }

    private static ChainRecord Find(OptionValues settings, string workspace)
    {
        var (id, branch, chains) = (settings.Find(Number), settings.Find(Branch), Workspace.ChainsOf(workspace));
        if (id is not null && branch is not null) throw new UsageException("give --run or --branch, not both");
        if (id is not null)
        {
            return ChainRecord.Find(chains, id) ?? throw new UsageException(
                $"the workspace \"{workspace}\" does not have a run \"{id}\"; give another number, or another --workspace");
        }
        var which = branch is null ? "" : $" of \"{branch}\"";
        return ChainRecord.Last(chains, branch) ?? throw new UsageException(
            $"no chain{which} has run in the workspace \"{workspace}\"; run one first, or give another --workspace");
    }
}
