using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.RunChain.Chains;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Commands;

/// <summary><c>run-chain plan</c>: what a server would queue, for any settings tree.</summary>
internal static class PlanCommand
{
    private static readonly Setting<string> Build = Setting.Text("build", "configuration to run by hand; default: what the triggers queue");
    private static readonly Setting<string> Branch = Setting.Text("branch", "branch that is built", "<default>");

    public static ProgramCommand Create() => new("plan", "Prints what a server would queue for a branch or a configuration: order, parallelism, reuse, who stops whom.",
        [Build, Branch], Run)
    {
        Argument = ("folder", "folder of the settings; default: teamcity-settings or this folder"),
    };

    private static async Task<int> Run(ProgramContext context, CancellationToken cancel)
    {
        var tree = SettingsTree.Load(RunSession.FindSettings(context.Argument));
        var branch = context.Settings.Get(Branch);
        var plan = context.Settings.Find(Build) is { } build ? ChainPlanner.ByHand(tree, build, branch) : ChainPlanner.Triggered(tree, branch);
        await context.Output.WriteLineAsync($"branch {plan.Branch.Name}{(plan.Branch.IsDefault ? " (default)" : "")}; {plan.Builds.Count} builds, asked for: {string.Join(", ", plan.Tops)}").ConfigureAwait(false);
        var round = 0;
        foreach (var builds in plan.Rounds())
        {
            round++;
            foreach (var planned in builds)
            {
                await context.Output.WriteLineAsync($"{round,3}. {planned.Id}{(planned.IsComposite ? " (composite, no agent)" : "")}").ConfigureAwait(false);
                foreach (var dependency in planned.SnapshotDependencies)
                    await context.Output.WriteLineAsync($"       after {dependency.SourceId}: {Show(dependency)}").ConfigureAwait(false);
            }
        }
        return ExitCode.Done;
    }

    private static string Show(SnapshotDependency dependency)
    {
        var failed = Meaning(DependencyVerdicts.Of(dependency, BuildState.Failed));
        var notStarted = Meaning(DependencyVerdicts.Of(dependency, BuildState.FailedToStart));
        var reuse = dependency["take-started-build-with-same-revisions"] == "true" ? "; may reuse a suitable build" : "; always builds it anew";
        return (failed == notStarted ? $"if that fails or does not start: {failed}" : $"if that fails: {failed}; if it does not start: {notStarted}") + reuse;
    }

    private static string Meaning(DependencyVerdict verdict) => verdict switch
    {
        DependencyVerdict.Run => "runs all the same",
        DependencyVerdict.RunWithProblem => "runs, with a problem",
        DependencyVerdict.Cancel => "is cancelled",
        _ => "fails to start",
    };
}
