using System.Globalization;
using CiSteps.TeamCity.Branches;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>Values: options, triggers, steps, features, filters.</summary>
internal static class ValueRules
{
    private static readonly string[] Booleans = ["true", "false"];
    private static readonly string[] Numbers = ["executionTimeoutMin", "maximumNumberOfBuilds", "buildNumberCounter"];
    private static readonly string[] Modes = ["default", "execute_if_success", "execute_if_failed", "execute_always"];
    private static readonly string[] Verdicts = ["MAKE_FAILED_TO_START", "CANCEL", "RUN", "RUN_ADD_PROBLEM", "true", "false"];

    // Null: any value. Names and values as servers write them.
    private static readonly Dictionary<string, string[]?> BuildOptions = new(StringComparer.Ordinal)
    {
        ["artifactRules"] = null,
        ["buildNumberPattern"] = null,
        ["buildConfigurationType"] = ["REGULAR", "COMPOSITE", "DEPLOYMENT"],
        ["executionTimeoutMin"] = null,
        ["shouldFailBuildOnBadExitCode"] = Booleans,
        ["shouldFailBuildIfTestsFailed"] = Booleans,
        ["shouldFailBuildOnAnyErrorMessage"] = Booleans,
        ["shouldFailBuildOnOOMEOrCrash"] = Booleans,
        ["supportTestRetry"] = Booleans,
        ["publishArtifactCondition"] = null,
        ["maximumNumberOfBuilds"] = null,
        ["allowPersonalBuildTriggering"] = Booleans,
        ["allowExternalStatus"] = Booleans,
        ["enableHangingBuildsDetection"] = Booleans,
        ["checkoutMode"] = ["AUTO", "ON_AGENT", "ON_SERVER", "MANUAL"],
        ["checkoutDirectory"] = null,
        ["cleanBuild"] = Booleans,
        ["branchFilter"] = null,
        ["buildDefaultBranch"] = Booleans,
        ["excludeDefaultBranchChanges"] = Booleans,
        ["showDependenciesChanges"] = Booleans,
        ["buildNumberCounter"] = null,
    };

    private static readonly Dictionary<string, string[]?> DependencyOptions = new(StringComparer.Ordinal)
    {
        ["run-build-if-dependency-failed"] = Verdicts,
        ["run-build-if-dependency-failed-to-start"] = Verdicts,
        ["take-started-build-with-same-revisions"] = Booleans,
        ["take-successful-builds-only"] = Booleans,
        ["run-build-on-the-same-agent"] = Booleans,
        ["sync-revisions"] = Booleans,
    };

    public static IEnumerable<Finding> Check(EffectiveTree effective)
    {
        var tree = effective.Tree;
        foreach (var build in tree.Builds.Values)
        {
            foreach (var option in build.Options)
                foreach (var finding in Option(option, BuildOptions, $"build option of \"{build.Id}\"")) yield return finding;
            foreach (var option in build.SnapshotDependencies.SelectMany(dependency => dependency.Options))
                foreach (var finding in Option(option, DependencyOptions, $"snapshot dependency option of \"{build.Id}\""))
                    yield return finding;
            var keepsFullNames = KeepsFullNames(effective, build);
            if (build.Options.LastOrDefault(option => option.Name == "branchFilter") is { } filter)
                foreach (var finding in Filter(filter.Value, filter.At, keepsFullNames)) yield return finding;
            foreach (var parameters in build.Triggers
                .Select(trigger => trigger.Parameters)
                .Concat(build.Extensions
                    .Where(extension => extension.Type != "pullRequests")
                    .Select(extension => extension.Parameters)))
                if (parameters.Find("branchFilter") is { } parameter)
                    foreach (var finding in Filter(parameter.Value, parameter.At, keepsFullNames)) yield return finding;
            foreach (var trigger in build.Triggers)
                foreach (var finding in Trigger(trigger)) yield return finding;
            foreach (var extension in build.Extensions)
                foreach (var finding in Listed(extension.Type, extension.Parameters)) yield return finding;
            foreach (var runner in build.Runners)
                foreach (var finding in Step(runner)) yield return finding;
            foreach (var dependency in build.ArtifactDependencies)
                foreach (var finding in Revision(dependency)) yield return finding;
        }
        foreach (var runner in tree.Recipes.Values.SelectMany(recipe => recipe.Runners))
            foreach (var finding in Step(runner)) yield return finding;
        foreach (var build in effective.Builds.Values.Where(build => build.IsComposite))
        {
            if (build.Runners.Count > 0)
                yield return new(build.Runners[0].At, "composite", Severity.Error,
                    $"\"{build.Id}\" is composite and has steps, which never run");
            if (build.Requirements.Count > 0)
                yield return new(build.Requirements[0].At, "composite", Severity.Warning,
                    $"\"{build.Id}\" is composite and takes no agent, so its requirements mean nothing");
        }
        foreach (var extension in tree.Projects.Values.SelectMany(project => project.Extensions))
            foreach (var finding in Listed(extension.Type, extension.Parameters)) yield return finding;
        foreach (var root in tree.VcsRoots.Values)
        {
            foreach (var finding in Listed(root.Type, root.Parameters)) yield return finding;
            if (root.Parameters.Find("teamcity:branchSpec") is { } spec)
                foreach (var finding in BranchSpec(spec)) yield return finding;
            if (root.Type == "jetbrains.git" && root.Parameters.Find("branchSpec") is { } misnamed)
                yield return new(misnamed.At, "branch-spec", Severity.Error,
                    "the branch specification's parameter is called teamcity:branchSpec in XML");
        }
    }

    private static IEnumerable<Finding> Listed(string type, ParameterSet parameters)
    {
        foreach (var parameter in parameters.All)
            if (Vocabulary.Values.TryGetValue((type, parameter.Name), out var values)
                && !values.Contains(parameter.Value)
                && !parameter.Value.Contains('%', StringComparison.Ordinal))
                yield return new(parameter.At, "value", Severity.Warning,
                    $"\"{parameter.Value}\" is not known as a value of {parameter.Name}; " +
                    $"known are {string.Join(", ", values.Where(value => value.Length > 0))}");
    }

    private static IEnumerable<Finding> Trigger(Trigger trigger)
    {
        if (trigger.Type == "finishBuildTrigger")
            yield return new(trigger.At, "trigger", Severity.Error,
                "there is no trigger \"finishBuildTrigger\" in XML; the finish build trigger is called buildDependencyTrigger");
        if (trigger.Type == "buildDependencyTrigger" && trigger.Parameters["dependsOn"] is not { Length: > 0 })
            yield return new(trigger.At, "trigger", Severity.Warning,
                "the finish build trigger names no build configuration (dependsOn)");
        foreach (var finding in Listed(trigger.Type, trigger.Parameters)) yield return finding;
    }

    private static IEnumerable<Finding> Step(Runner runner)
    {
        foreach (var finding in Listed(runner.Type, runner.Parameters)) yield return finding;
        if (runner.Parameters.Find("teamcity.step.mode") is { Value.Length: > 0 } mode && !Modes.Contains(mode.Value))
            yield return new(mode.At, "step-mode", Severity.Warning,
                $"\"{mode.Value}\" is not known as a mode of a step; known are {string.Join(", ", Modes)}");
        if (runner.Type != "simpleRunner") yield break;
        var (script, command) = (runner.Parameters.Find("script.content"), runner.Parameters.Find("command.executable"));
        if (runner.Parameters["use.custom.script"] is "true" && script is null)
            yield return new(runner.At, "runner", Severity.Error,
                $"\"{runner.Name}\" runs a script (use.custom.script) and has none (script.content)");
        if (runner.Parameters["use.custom.script"] is not "true" && command is null && script is not null)
            yield return new(runner.At, "runner", Severity.Error,
                $"\"{runner.Name}\" has a script and is not told to run it: use.custom.script is not true");
    }

    private static IEnumerable<Finding> Revision(ArtifactDependency dependency)
    {
        var fits = dependency.RevisionRule switch
        {
            "lastSuccessful" or "lastPinned" or "lastFinished" or "sameChainOrLastFinished" =>
                dependency.Revision == "latest." + dependency.RevisionRule,
            "buildNumber" => dependency.Revision.Length > 0,
            "buildTag" => dependency.Revision.EndsWith(".tcbuildtag", StringComparison.Ordinal),
            _ => false,
        };
        if (!fits)
            yield return new(dependency.At, "revision-rule", Severity.Error,
                $"the revision rule \"{dependency.RevisionRule}\" does not go with the revision \"{dependency.Revision}\"; " +
                "a server writes such as lastSuccessful with latest.lastSuccessful, buildNumber with a number, " +
                "buildTag with name.tcbuildtag");
    }

    private static IEnumerable<Finding> Option(Option option, Dictionary<string, string[]?> known, string what)
    {
        if (!known.TryGetValue(option.Name, out var values))
            yield return new(option.At, "option", Severity.Warning, $"\"{option.Name}\" is not known as {what}");
        else if (Numbers.Contains(option.Name)
            && !int.TryParse(option.Value, NumberStyles.None, CultureInfo.InvariantCulture, out _)
            && !option.Value.Contains('%', StringComparison.Ordinal))
            yield return new(option.At, "option", Severity.Error,
                $"\"{option.Value}\" is not a value of {option.Name}; it is a number");
        else if (values is not null && !values.Contains(option.Value) && !option.Value.Contains('%', StringComparison.Ordinal))
            yield return new(option.At, "option", Severity.Error,
                $"\"{option.Value}\" is not a value of {option.Name}; it is one of {string.Join(", ", values)}");
    }

    private static IEnumerable<Finding> Filter(string text, SourceLocation at, bool keepsFullNames)
    {
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;
            if (BranchFilter.IsPullRequestRule(line)) continue;
            var bare = line.StartsWith("+:", StringComparison.Ordinal) || line.StartsWith("-:", StringComparison.Ordinal)
                ? line[2..]
                : line;
            if (bare.Length == 0) yield return new(at, "branch-filter", Severity.Error, $"\"{line}\" names no branch");
            else if (bare == line && line[0] is '+' or '-')
                yield return new(at, "branch-filter", Severity.Error, $"\"{line}\" is not a rule: write +:branch or -:branch");
            else if (!keepsFullNames && bare.StartsWith("refs/heads/", StringComparison.Ordinal))
                yield return new(at, "branch-filter", Severity.Warning,
                    $"\"{line}\" is a full name; filters compare logical names");
        }
    }

    // Nobody knows the names of roots that are elsewhere or whose specification is a parameter of elsewhere, or which roots a
    // template's users have.
    private static bool KeepsFullNames(EffectiveTree effective, BuildConfiguration build)
    {
        var tree = effective.Tree;
        var whole = effective.Builds.GetValueOrDefault(build.Id) ?? build;
        return build.IsTemplate
            || whole.VcsEntries.Any(
                entry => !tree.VcsRoots.TryGetValue(entry.RootId, out var root)
                    || (root.Parameters["teamcity:branchSpec"] ?? "").Contains('%', StringComparison.Ordinal))
            || ChainPlanner.SpecsOf(tree, whole).Any(spec => spec.KeepsFullNames);
    }

    private static IEnumerable<Finding> BranchSpec(Parameter spec)
    {
        foreach (var line in spec.Value.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;
            var signed = line.StartsWith("+:", StringComparison.Ordinal) || line.StartsWith("-:", StringComparison.Ordinal);
            if (!signed && line[0] is '+' or '-')
                yield return new(spec.At, "branch-spec", Severity.Error,
                    $"\"{line}\" is not a rule: write +:refs/heads/name or -:refs/heads/name");
            if (line.Count(unit => unit == '*') > 1)
                yield return new(spec.At, "branch-spec", Severity.Error, $"\"{line}\" has more than one star");
            if (line.Count(unit => unit == '(') != line.Count(unit => unit == ')') || line.Count(unit => unit == '(') > 1)
                yield return new(spec.At, "branch-spec", Severity.Error, $"the brackets in \"{line}\" do not go together");
        }
    }
}
