using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Branches;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary><c>ci-steps plan</c>: what a server would queue, for any settings tree.</summary>
internal static class PlanCommand
{
    private const string Reuse = "take-started-build-with-same-revisions";
    private const string FromBehind = "reverse.dep.";

    private static readonly StepOption<string> Build = StepOption.Text("build",
        "configuration to run by hand; default: what the triggers queue");
    private static readonly StepOption<string> Branch = StepOption.Text("branch", "branch that is built", "<default>");

    public static ProgramCommand Create() =>
        new(
            "plan",
            "Prints what a server would queue for a branch or a configuration: order, parallelism, reuse, who stops whom.",
            [Build, Branch, RunCommand.Project],
            Run)
        {
            Argument = ("folder", "folder of the settings; default: teamcity-settings or this folder"),
        };

    private static async Task<int> Run(ProgramContext context, CancellationToken cancel)
    {
        // What is broken elsewhere in a big tree does not hide this chain.
        var tree = SettingsReader.Read(RunSession.FindSettings(context.Argument));
        var broken = tree.Findings.Where(finding => finding.Severity == Severity.Error)
            .Select(finding => finding.At.File)
            .Distinct()
            .Count();
        if (broken > 0)
            await context.Error.WriteLineAsync(
                $"{Count.Of(broken, "file of the settings is", "files of the settings are")} broken, see ci-steps check; " +
                "the plan is made of the others");
        var branch = context.Options.Get(Branch);
        var project = context.Options.Find(RunCommand.Project);
        if (project is not null && context.Options.Find(Build) is not null)
            throw new UsageException("--project chooses among triggers, --build names one configuration; give one of the two");
        var plan = context.Options.Find(Build) is { } build
            ? ChainPlanner.ByHand(tree, build, branch)
            : ChainPlanner.Triggered(tree, branch, project);
        foreach (var gap in plan.Gaps) await context.Error.WriteLineAsync($"{gap}; the server may have more to queue");
        if (plan.Others.Count > 0)
            await context.Error.WriteLineAsync(
                $"other repositories' triggers take a branch \"{branch}\" too and are a plan of their own (--project or " +
                $"--build): {string.Join(", ", plan.Others)}");
        await context.Output.WriteLineAsync(
            $"branch {plan.Branch.Name}{(plan.Branch.IsDefault ? " (default)" : "")}; {Count.Of(plan.Builds.Count, "build")}, " +
            $"asked for: {string.Join(", ", plan.Tops)}");
        var rebuilt = Rebuilt(tree);
        var round = 0;
        foreach (var builds in plan.Rounds())
        {
            round++;
            foreach (var planned in builds)
            {
                await context.Output.WriteLineAsync($"{round,3}. {planned.Id}{Traits(tree, planned, plan.Branch)}");
                foreach (var dependency in planned.SnapshotDependencies)
                    await context.Output.WriteLineAsync($"       after {dependency.SourceId}: {Show(dependency, rebuilt)}");
            }
        }
        return ExitCode.Done;
    }

    /// <summary>
    /// Configurations that are always built anew: one dependency on them that does not allow reuse is enough, and so is a
    /// parameter that is set from behind.
    /// </summary>
    private static HashSet<string> Rebuilt(SettingsTree tree)
    {
        var builds = tree.Builds.Values.Where(build => !build.IsTemplate)
            .Select(build => Inheritance.Tolerant(tree, build))
            .ToList();
        var rebuilt = builds.SelectMany(build => build.SnapshotDependencies)
            .Where(dependency => dependency[Reuse] != "true")
            .Select(dependency => dependency.SourceId)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in builds.SelectMany(build => build.Parameters.All)
            .Select(parameter => parameter.Name)
            .Where(name => name.StartsWith(FromBehind, StringComparison.Ordinal)))
        {
            var target = name[FromBehind.Length..].Split('.')[0];
            if (target.Contains('*', StringComparison.Ordinal))
                rebuilt.UnionWith(tree.Builds.Keys.Where(id => MatchesStar(target, id)));
            else rebuilt.Add(target);
        }
        return rebuilt;
    }

    private static bool MatchesStar(string pattern, string id) => new BranchFilter("+:" + pattern).Takes(id, isDefault: false);

    private static string Traits(SettingsTree tree, BuildConfiguration build, ChainBranch branch)
    {
        var traits = new List<string>();
        if (!branch.IsDefault && Other(ChainPlanner.MemberOf(tree, build, branch), branch) is { } other) traits.Add(other);
        if (ChainPlanner.FilterOf(tree, build) is var filter && !filter.Takes(branch.Name, branch.IsDefault))
            traits.Add($"its branch filter is {filter.Shown}");
        if (build.IsComposite) traits.Add("composite, no agent");
        if (build["maximumNumberOfBuilds"] is { } limit and not "0") traits.Add($"at most {limit} at a time");
        foreach (var resource in build.Extensions
            .Where(extension => extension.Type == "JetBrains.SharedResources")
            .SelectMany(
                extension => (extension.Parameters["locks-param"] ?? "").Split(
                    '\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)))
            traits.Add($"waits for the shared resource {resource}");
        if (build.Extensions.Any(extension => extension.Type == "approval-feature")) traits.Add("waits for an approval");
        return traits.Count == 0 ? "" : $" ({string.Join("; ", traits)})";
    }

    // Null: the chain's branch, as everybody expects.
    private static string? Other(MemberBranch member, ChainBranch branch) => member.FullName switch
    {
        null when member.FallsBack => $"builds its default branch, as its VCS root does not admit {branch.Name}",
        null => $"cannot be built: its VCS root does not admit {branch.Name} and forbids the default branch in its place",
        var name when name == branch.FullName || name == "refs/heads/" + branch.Name => null,
        var name => $"builds {name}, or {(member.FallsBack ? "its default branch" : "nothing")} where there is none",
    };

    private static string Show(SnapshotDependency dependency, HashSet<string> rebuilt)
    {
        var failed = Meaning(DependencyVerdicts.Of(dependency, BuildState.Failed));
        var notStarted = Meaning(DependencyVerdicts.Of(dependency, BuildState.FailedToStart));
        var reuse = dependency[Reuse] != "true" ? "; always builds it anew"
            : rebuilt.Contains(dependency.SourceId)
                ? "; would reuse a suitable build, but another dependency or a reverse.dep parameter has it built anew"
            : dependency["take-successful-builds-only"] == "true"
                ? "; may reuse a suitable successful build"
                : "; may reuse a suitable build";
        return (failed == notStarted
            ? $"if that fails or does not start: {failed}"
            : $"if that fails: {failed}; if it does not start: {notStarted}")
            + reuse
            + (dependency["run-build-on-the-same-agent"] == "true" ? "; on the same agent" : "")
                + (dependency["sync-revisions"] == "false" ? "; not bound to the same revisions" : "");
    }

    private static string Meaning(DependencyVerdict verdict) => verdict switch
    {
        DependencyVerdict.Run => "runs all the same",
        DependencyVerdict.RunWithProblem => "runs, with a problem",
        DependencyVerdict.Cancel => "is cancelled",
        _ => "fails to start",
    };
}
