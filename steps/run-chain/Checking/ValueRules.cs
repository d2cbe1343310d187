using CiSteps.RunChain.Parameters;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>Values: options, filters, parameters and their references, secrets.</summary>
internal static class ValueRules
{
    private static readonly string[] Booleans = ["true", "false"];
    private static readonly string[] Verdicts = ["MAKE_FAILED_TO_START", "CANCEL", "RUN", "RUN_ADD_PROBLEM", "true", "false"];

    // Null: any value. Names and values as servers write them.
    private static readonly Dictionary<string, string[]?> BuildOptions = new(StringComparer.Ordinal)
    {
        ["artifactRules"] = null, ["buildNumberPattern"] = null, ["buildConfigurationType"] = ["REGULAR", "COMPOSITE", "DEPLOYMENT"], ["executionTimeoutMin"] = null,
        ["shouldFailBuildOnBadExitCode"] = Booleans, ["shouldFailBuildIfTestsFailed"] = Booleans, ["shouldFailBuildOnAnyErrorMessage"] = Booleans,
        ["shouldFailBuildOnOOMEOrCrash"] = Booleans, ["supportTestRetry"] = Booleans, ["publishArtifactCondition"] = null, ["maximumNumberOfBuilds"] = null,
        ["allowPersonalBuildTriggering"] = Booleans, ["allowExternalStatus"] = Booleans, ["enableHangingBuildsDetection"] = Booleans,
        ["checkoutMode"] = ["AUTO", "ON_AGENT", "ON_SERVER", "MANUAL"], ["checkoutDirectory"] = null, ["cleanBuild"] = Booleans, ["branchFilter"] = null,
        ["buildDefaultBranch"] = Booleans, ["excludeDefaultBranchChanges"] = Booleans, ["showDependenciesChanges"] = Booleans, ["buildNumberCounter"] = null,
    };

    private static readonly Dictionary<string, string[]?> DependencyOptions = new(StringComparer.Ordinal)
    {
        ["run-build-if-dependency-failed"] = Verdicts, ["run-build-if-dependency-failed-to-start"] = Verdicts, ["take-started-build-with-same-revisions"] = Booleans,
        ["take-successful-builds-only"] = Booleans, ["run-build-on-the-same-agent"] = Booleans, ["sync-revisions"] = Booleans,
    };

    public static IEnumerable<Finding> Check(SettingsTree tree)
    {
        foreach (var build in tree.Builds.Values)
        {
            foreach (var option in build.Options)
                foreach (var finding in Option(option, BuildOptions, $"build option of \"{build.Id}\"")) yield return finding;
            foreach (var option in build.SnapshotDependencies.SelectMany(dependency => dependency.Options))
                foreach (var finding in Option(option, DependencyOptions, $"snapshot dependency option of \"{build.Id}\"")) yield return finding;
            if (build.Options.LastOrDefault(option => option.Name == "branchFilter") is { } filter)
                foreach (var finding in Filter(filter.Value, filter.At)) yield return finding;
            foreach (var parameters in build.Triggers.Select(trigger => trigger.Parameters).Concat(build.Extensions.Where(extension => extension.Type != "pullRequests").Select(extension => extension.Parameters)))
                if (parameters.Find("branchFilter") is { } parameter)
                    foreach (var finding in Filter(parameter.Value, parameter.At)) yield return finding;
            if (build is { IsComposite: true, IsTemplate: false } && build.Runners.Count > 0) yield return new(build.Runners[0].At, "composite", Severity.Error, $"\"{build.Id}\" is composite and has steps, which never run");
            if (build is { IsComposite: true, IsTemplate: false } && build.Requirements.Count > 0) yield return new(build.Requirements[0].At, "composite", Severity.Warning, $"\"{build.Id}\" is composite and takes no agent, so its requirements mean nothing");
            foreach (var parameter in build.Parameters.All.Where(parameter => parameter.Name.StartsWith("reverse.dep.", StringComparison.Ordinal)))
                yield return new(parameter.At, "reverse-dep", Severity.Warning, $"\"{parameter.Name}\" makes the builds before this one customised: they are never reused");
            foreach (var parameter in AllParameters(build))
                foreach (var finding in Secret(parameter)) yield return finding;
        }
        foreach (var parameter in tree.Projects.Values.SelectMany(project => project.Parameters.All.Concat(project.Extensions.SelectMany(extension => extension.Parameters.All)))
            .Concat(tree.VcsRoots.Values.SelectMany(root => root.Parameters.All)).Concat(tree.Recipes.Values.SelectMany(recipe => recipe.Parameters.All)))
            foreach (var finding in Secret(parameter)) yield return finding;
        foreach (var root in tree.VcsRoots.Values)
            if (root.Parameters.Find("teamcity:branchSpec") is { } spec)
                foreach (var finding in BranchSpec(spec)) yield return finding;
        foreach (var finding in ReferencesOf(tree)) yield return finding;
    }

    private static IEnumerable<Parameter> AllParameters(BuildConfiguration build) => build.Parameters.All
        .Concat(build.Runners.SelectMany(runner => runner.Parameters.All)).Concat(build.Triggers.SelectMany(trigger => trigger.Parameters.All)).Concat(build.Extensions.SelectMany(extension => extension.Parameters.All));

    private static IEnumerable<Finding> Option(Option option, Dictionary<string, string[]?> known, string what)
    {
        if (!known.TryGetValue(option.Name, out var values)) yield return new(option.At, "option", Severity.Warning, $"\"{option.Name}\" is not known as {what}");
        else if (values is not null && !values.Contains(option.Value) && !option.Value.Contains('%', StringComparison.Ordinal))
            yield return new(option.At, "option", Severity.Error, $"\"{option.Value}\" is no value of {option.Name}; it is one of {string.Join(", ", values)}");
    }

    private static IEnumerable<Finding> Filter(string text, Place at)
    {
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;
            var bare = line.StartsWith("+:", StringComparison.Ordinal) || line.StartsWith("-:", StringComparison.Ordinal) ? line[2..] : line;
            if (bare.Length == 0) yield return new(at, "branch-filter", Severity.Error, $"\"{line}\" names no branch");
            else if (bare == line && line[0] is '+' or '-') yield return new(at, "branch-filter", Severity.Error, $"\"{line}\" is no rule: write +:branch or -:branch");
            else if (bare.StartsWith("refs/heads/", StringComparison.Ordinal))
                yield return new(at, "branch-filter", Severity.Warning, $"\"{line}\" is a full name; filters compare logical names");
        }
    }

    private static IEnumerable<Finding> BranchSpec(Parameter spec)
    {
        foreach (var line in spec.Value.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;
            var signed = line.StartsWith("+:", StringComparison.Ordinal) || line.StartsWith("-:", StringComparison.Ordinal);
            if (!signed && line[0] is '+' or '-') yield return new(spec.At, "branch-spec", Severity.Error, $"\"{line}\" is no rule: write +:refs/heads/name or -:refs/heads/name");
            if (line.Count(unit => unit == '*') > 1) yield return new(spec.At, "branch-spec", Severity.Error, $"\"{line}\" has more than one star");
            if (line.Count(unit => unit == '(') != line.Count(unit => unit == ')') || line.Count(unit => unit == '(') > 1)
                yield return new(spec.At, "branch-spec", Severity.Error, $"the brackets in \"{line}\" do not go together");
        }
    }

    private static IEnumerable<Finding> Secret(Parameter parameter)
    {
        var isSecret = parameter.IsPassword || parameter.Name.StartsWith("secure:", StringComparison.Ordinal);
        if (!isSecret || parameter.Value.Length == 0) yield break;
        var isHidden = parameter.Value.StartsWith("credentialsJSON:", StringComparison.Ordinal) || parameter.Value.StartsWith("zxx", StringComparison.Ordinal)
            || References.In(parameter.Value).Count > 0 || parameter.Value == "*****";
        if (!isHidden) yield return new(parameter.At, "clear-secret", Severity.Error, $"the secret \"{parameter.Name}\" stands there in clear text; give it to the server, which writes credentialsJSON: in its place");
    }

    private static IEnumerable<Finding> ReferencesOf(SettingsTree tree)
    {
        foreach (var own in tree.Builds.Values.Where(build => !build.IsTemplate))
        {
            var build = Inheritance.Tolerant(tree, own);
            var upstream = ReferenceRules.Upstream(tree, build);
            var used = build.Parameters.All.Concat(build.Runners.SelectMany(runner => runner.Parameters.All)).Select(parameter => (parameter.Value, parameter.At))
                .Concat(build.Options.Select(option => (option.Value, option.At)));
            foreach (var (value, at) in used)
            {
                foreach (var name in References.In(value).Distinct())
                {
                    if (!name.StartsWith("dep.", StringComparison.Ordinal)) continue;
                    var rest = name["dep.".Length..];
                    var source = rest[..Math.Max(0, rest.IndexOf('.', StringComparison.Ordinal))];
                    if (source.Length > 0 && !upstream.Contains(source) && build.ArtifactDependencies.All(dependency => dependency.SourceId != source))
                        yield return new(at, "dep-reference", Severity.Error, $"\"%{name}%\" in \"{own.Id}\": it does not depend on \"{source}\"");
                }
            }
            foreach (var parameter in build.Parameters.All)
                foreach (var name in References.In(parameter.Value).Where(name => name == parameter.Name))
                    yield return new(parameter.At, "parameter-circle", Severity.Warning, $"the parameter \"{name}\" refers to itself");
        }
    }
}
