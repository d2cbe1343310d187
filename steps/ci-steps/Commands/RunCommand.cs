using System.Globalization;
using CiSteps.Cli.Chains;
using CiSteps.Cli.Displays;
using CiSteps.Cli.Records;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary><c>ci-steps run</c>: what the triggers queue for a branch, or one configuration on the evidence there is.</summary>
internal static class RunCommand
{
    internal static readonly StepOption<string> Branch = StepOption.Text("branch",
        "branch that was pushed; default: the current one of the repository in this folder");
    internal static readonly StepOption<string> Step = StepOption.Text("step",
        "run this one configuration alone (name or id), on what the branch's last chain handed over");
    internal static readonly StepOption<string> SettingsFolder = StepOption.Text("settings",
        "folder of the TeamCity settings (.teamcity, or what holds it); default: teamcity-settings, or .teamcity, " +
        "here or beside the executables");
    internal static readonly StepOption<string> Project = StepOption.Text("project",
        "only triggers of this project (id) and those below it, where the settings hold several services");
    internal static readonly StepOption<string> Repository = StepOption.Text("repository",
        "address or path of the repository, in place of the one in the settings' VCS root");
    internal static readonly StepOption<string> WorkspaceFolder = StepOption.Text("workspace",
        "folder for agents' work folders, counters and records; default: one per repository in the user's state folder");
    internal static readonly StepOption<string> Tools = StepOption.Text("tools",
        "folder of the steps' executables; default: ci-steps's own");
    internal static readonly StepOption<string> Agents = new(
        "agents",
        "how many builds run at once; default: the number of cores",
        text =>
            int.TryParse(text, CultureInfo.InvariantCulture, out var count) && count > 0
                ? text
                : throw new FormatException("give a number from 1"));
    internal static readonly StepOption<string> Parameters = StepOption.Text("parameters",
        "file of build parameters (name=value lines; \"<configuration>:\" before a name gives it to that one only)");
    internal static readonly StepOption<string> ReportFile = StepOption.Text("report",
        "also write the HTML report to this file; with --follow the second chain's goes beside it, named -2");
    internal static readonly StepOption<string> SummaryFile = StepOption.Text(
        "summary", "also write every outcome to this JSON file");
    internal static readonly StepOption<bool> Follow = StepOption.Switch("follow",
        "when the chain moved the default branch, run what its triggers queue then, too");
    internal static readonly StepOption<bool> NoSandbox = StepOption.Switch("no-sandbox",
        "never bring clusters up, even when none is given");
    internal static readonly StepOption<bool> Keep = StepOption.Switch("keep",
        "leave a sandbox that this run brought up standing");
    internal static readonly StepOption<TimeSpan> Grace = StepOption.Duration(
        "grace", "how long a step may clean up when the run is stopped", "30s");

    public static ProgramCommand Create() => new("run",
        "Runs what the triggers would queue for a branch: each build with the checkout, " +
        "the environment and the artifacts that an agent would give it.",
        [
            Branch, Step, Project, SettingsFolder, Repository, WorkspaceFolder, Tools, Agents, Parameters, ReportFile,
            SummaryFile, Follow, Keep, NoSandbox, SandboxCommands.State, Grace
        ],
        RunAsync)
    {
        // A step's own grace, then the terminal configuration's.
        Grace = TimeSpan.FromSeconds(180),
        Repeated = [("param",
            "a build parameter, name=value; \"<configuration>:\" before the name gives it to that one only; may be repeated")],
    };

    private static async Task<int> RunAsync(ProgramContext context, CancellationToken cancel)
    {
        var session = await RunSession.OpenAsync(context, cancel);
        using var workspace = session.Workspace;
        using var display = new ChainDisplay(context.Output, context.Coloured, context.Time);
        var chains = new List<(ChainRecord Chain, IReadOnlyList<BuildRun> Builds, bool Succeeded, string Report)>();
        await using var sandbox = await session.EnsureClustersAsync(context, display, cancel);
        var first = context.Options.Find(Step) is { } step
            ? await session.RunStepAsync(step, display, cancel)
            : await session.RunBranchAsync(session.BranchName, display, cancel);
        chains.Add(first);
        if (context.Options.Get(Follow)
            && first.Succeeded
            && !cancel.IsCancellationRequested
            && await session.FindMovedDefaultAsync(first.Chain, cancel) is { } moved)
        {
            display.Say($"{moved} has moved: its chain follows");
            chains.Add(await session.RunBranchAsync(moved, display, cancel));
        }
        display.Dispose();
        foreach (var (chain, builds, succeeded, report) in chains)
        {
            await context.Output.WriteLineAsync();
            foreach (var line in ClosingTable.Of(chain, builds, succeeded, report)) await context.Output.WriteLineAsync(line);
        }
        if (context.Options.Find(ReportFile) is { } file)
            for (var at = 0; at < chains.Count; at++)
                CopyReport(
                    chains[at].Report, at == 0 ? file : Path.ChangeExtension(file, null) + $"-{at + 1}{Path.GetExtension(file)}");
        if (context.Options.Find(SummaryFile) is { } summary) Summary.Write(summary, chains);
        cancel.ThrowIfCancellationRequested();
        return chains.All(chain => chain.Succeeded) ? ExitCode.Done : ExitCode.Refused;
    }

    internal static void CopyReport(string from, string to)
    {
        to = Path.GetFullPath(to);
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        File.Copy(from, to, overwrite: true);
    }
}
