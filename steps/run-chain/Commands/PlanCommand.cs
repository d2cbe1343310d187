using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.RunChain.Branches;
using CiSteps.RunChain.Chains;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Commands;

/// <summary><c>run-chain plan</c>: what a server would queue, for any settings tree.</summary>
internal static class PlanCommand
{
    private const string Reuse = "take-started-build-with-same-revisions";
    private const string FromBehind = "reverse.dep.";

    private static readonly Setting<string> Build = Setting.Text("build", "configuration to run by hand; default: what the triggers queue");
    private static readonly Setting<string> Branch = Setting.Text("branch", "branch that is built", "<default>");

    public static ProgramCommand Create() => new("plan", "Prints what a server would queue for a branch or a configuration: order, parallelism, reuse, who stops whom.",
        [Build, Branch], Run)
    {
        Argument = ("folder", "folder of the settings; default: teamcity-settings or this folder"),
    };

    private static async Task<int> Run(ProgramContext context, CancellationToken cancel)
    {
        // What is broken elsewhere in a big tree does not hide this chain.
        var tree = SettingsReader.Read(RunSession.FindSettings(context.Argument));
        var broken = tree.Findings.Where(finding => finding.Severity == Severity.Error).Select(finding => finding.At.File).Distinct().Count();
        if (broken > 0) await context.Error.WriteLineAsync($"{broken} files of the settings are broken, see run-chain check; the plan is made of the others").ConfigureAwait(false);
        var branch = context.Settings.Get(Branch);
        var plan = context.Settings.Find(Build) is { } build ? ChainPlanner.ByHand(tree, build, branch) : ChainPlanner.Triggered(tree, branch);
        foreach (var gap in plan.Gaps) await context.Error.WriteLineAsync($"{gap}; the server may have more to queue").ConfigureAwait(false);
        await context.Output.WriteLineAsync($"branch {plan.Branch.Name}{(plan.Branch.IsDefault ? " (default)" : "")}; {plan.Builds.Count} builds, asked for: {string.Join(", ", plan.Tops)}").ConfigureAwait(false);
        var rebuilt = Rebuilt(tree);
        var round = 0;
        foreach (var builds in plan.Rounds())
        {
            round++;
            foreach (var planned in builds)
            {
                await context.Output.WriteLineAsync($"{round,3}. {planned.Id}{Traits(planned)}").ConfigureAwait(false);
                foreach (var dependency in planned.SnapshotDependencies)
                    await context.Output.WriteLineAsync($"       after {dependency.SourceId}: {Show(dependency, rebuilt)}").ConfigureAwait(false);
            }
        }
        return ExitCode.Done;
    }

    /// <summary>Configurations that are always built anew: one dependency on them that does not allow reuse is enough, and so is a parameter that is set from behind.</summary>
    private static HashSet<string> Rebuilt(SettingsTree tree)
    {
        var builds = tree.Builds.Values.Where(build => !build.IsTemplate).Select(build => Inheritance.Tolerant(tree, build)).ToList();
        var rebuilt = builds.SelectMany(build => build.SnapshotDependencies).Where(dependency => dependency[Reuse] != "true").Select(dependency => dependency.SourceId).ToHashSet(StringComparer.Ordinal);
        foreach (var name in builds.SelectMany(build => build.Parameters.All).Select(parameter => parameter.Name).Where(name => name.StartsWith(FromBehind, StringComparison.Ordinal)))
        {
            var target = name[FromBehind.Length..].Split('.')[0];
            if (target.Contains('*', StringComparison.Ordinal)) rebuilt.UnionWith(tree.Builds.Keys.Where(id => MatchesStar(target, id)));
            else rebuilt.Add(target);
        }
        return rebuilt;
    }

    private static bool MatchesStar(string pattern, string id) => new BranchFilter("+:" + pattern).Takes(id, isDefault: false);

    private static string Traits(BuildConfiguration build)
    {
        var traits = new List<string>();
        if (build.IsComposite) traits.Add("composite, no agent");
        if (build["maximumNumberOfBuilds"] is { } limit and not "0") traits.Add($"at most {limit} at a time");
        if (build.Extensions.Any(extension => extension.Type == "approval-feature")) traits.Add("waits for an approval");
        return traits.Count == 0 ? "" : $" ({string.Join("; ", traits)})";
    }

    private static string Show(SnapshotDependency dependency, HashSet<string> rebuilt)
    {
        var failed = Meaning(DependencyVerdicts.Of(dependency, BuildState.Failed));
        var notStarted = Meaning(DependencyVerdicts.Of(dependency, BuildState.FailedToStart));
        var reuse = dependency[Reuse] != "true" ? "; always builds it anew"
            : rebuilt.Contains(dependency.SourceId) ? "; would reuse a suitable build, but another dependency or a reverse.dep parameter has it built anew" : "; may reuse a suitable build";
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
