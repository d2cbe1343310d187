using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>Parameters: their names and specifications, and whether what refers to them finds something.</summary>
internal static class ParameterRules
{
    private static readonly string[] SpecAttributes =
    [
        "label", "description", "display", "readOnly", "validationMode", "regexp", "validationMessage", "orderNumber",
        "checkedValue", "uncheckedValue", "multiple", "valueSeparator",
    ];

    // Set by the server, by agents, or by what a build depends on.
    private static readonly string[] Predefined = [
        "teamcity.", "system.", "env.", "build.", "agent.", "vcsroot.", "dep.", "reverse.dep.", "conflict.", "DotNet", "maven.",
        "user.", "secure:"
    ];

    public static IEnumerable<Finding> Check(EffectiveTree tree)
    {
        foreach (var parameter in tree.Tree.Projects.Values
            .SelectMany(project => project.Parameters.All)
            .Concat(tree.Tree.Builds.Values.SelectMany(build => build.Parameters.All)))
        {
            if (!IsName(parameter.Name))
                yield return new(parameter.At, "parameter-name", Severity.Warning,
                    $"\"{parameter.Name}\" is not a parameter name: letters, digits, dots, underscores, hyphens and stars, " +
                    "a letter first");
            if (parameter.Name.StartsWith("reverse.dep.", StringComparison.Ordinal))
                yield return new(parameter.At, "reverse-dep", Severity.Warning,
                    $"\"{parameter.Name}\" makes the builds before this one customised: they are never reused");
            foreach (var finding in Spec(parameter)) yield return finding;
        }
        foreach (var parameter in tree.Tree.Recipes.Values.SelectMany(recipe => recipe.Parameters.All))
            foreach (var finding in Spec(parameter)) yield return finding;
        foreach (var build in tree.Builds.Values)
            foreach (var finding in Uses(tree, build)) yield return finding;
    }

    private static IEnumerable<Finding> Spec(Parameter parameter)
    {
        if (parameter.Spec is null) yield break;
        if (ParameterSpec.Parse(parameter.Spec) is not { } spec)
        {
            yield return new(parameter.At, "spec", Severity.Error,
                $"the specification of \"{parameter.Name}\" is not type attribute='value' …; quotes, " +
                "brackets and bars in values are escaped with a bar");
            yield break;
        }
        if (spec.Type is not ("text" or "password" or "checkbox" or "select"))
            yield return new(parameter.At, "spec", Severity.Warning,
                $"\"{spec.Type}\" is not known as a type of parameter (\"{parameter.Name}\")");
        foreach (var attribute in spec.Attributes.Keys.Where(
            name => !SpecAttributes.Contains(name)
                && !name.StartsWith("data_", StringComparison.Ordinal)
                && !name.StartsWith("label_", StringComparison.Ordinal)))
            yield return new(parameter.At, "spec", Severity.Warning,
                $"\"{attribute}\" is not known in the specification of \"{parameter.Name}\"");
        if (spec.Type == "select"
            && !spec.Attributes.ContainsKey("multiple")
            && parameter.Value.Length > 0
            && !parameter.Value.Contains('%', StringComparison.Ordinal)
            && !spec.Choices.Contains(parameter.Value))
            yield return new(parameter.At, "spec", Severity.Warning,
                $"\"{parameter.Value}\" is none of the choices of \"{parameter.Name}\": {string.Join(", ", spec.Choices)}");
    }

    private static IEnumerable<Finding> Uses(EffectiveTree tree, BuildConfiguration build)
    {
        var defined = tree.ParametersAbove(build)
            .Select(parameter => parameter.Name)
            .Concat(build.Parameters.All.Select(parameter => parameter.Name))
            .ToHashSet(StringComparer.Ordinal);
        var used = build.Parameters.All.Concat(build.Triggers.SelectMany(trigger => trigger.Parameters.All))
            .Concat(build.Extensions.SelectMany(extension => extension.Parameters.All))
            .Select(parameter => (Text: parameter.Value, parameter.At))
                .Concat(build.Options.Select(option => (Text: option.Value, option.At)))
                .Concat(build.ArtifactDependencies.Select(dependency => (Text: dependency.Paths, dependency.At)));
        foreach (var finding in used.SelectMany(use => Unresolved(tree, build, use.Text, use.At, defined))) yield return finding;
        foreach (var runner in build.Runners)
        {
            var known = defined;
            IEnumerable<Parameter> values = runner.Parameters.All;
            if (tree.Tree.FindRecipe(runner.Type, build.ProjectId) is { } recipe)
            {
                known = [.. defined, .. recipe.Parameters.All.Select(parameter => parameter.Name)];
                values = values.Concat(recipe.Runners.SelectMany(inner => inner.Parameters.All));
            }
            foreach (var finding in values.SelectMany(parameter => Unresolved(tree, build, parameter.Value, parameter.At, known)))
                yield return finding;
        }
        // An environment variable may extend the agent's own, as in PATH.
        foreach (var parameter in build.Parameters.All.Where(
            parameter => !parameter.Name.StartsWith("env.", StringComparison.Ordinal)
                && References.In(parameter.Value).Contains(parameter.Name)))
            yield return new(parameter.At, "parameter-circle", Severity.Warning,
                $"the parameter \"{parameter.Name}\" refers to itself");
    }

    private static IEnumerable<Finding> Unresolved(
        EffectiveTree tree, BuildConfiguration build, string value, SourceLocation at, HashSet<string> defined)
    {
        foreach (var name in References.In(value).Distinct())
        {
            if (defined.Contains(name)) continue;
            if (!Predefined.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
                yield return new(at, "reference", Severity.Warning,
                    $"nothing in this tree defines \"%{name}%\"; the server or each agent must, " +
                    "else no agent is compatible (a percent sign is written %%)");
            if (!name.StartsWith("dep.", StringComparison.Ordinal)) continue;
            var rest = name["dep.".Length..];
            var source = rest[..Math.Max(0, rest.IndexOf('.', StringComparison.Ordinal))];
            if (source.Length > 0
                && build.ArtifactDependencies.All(dependency => dependency.SourceId != source)
                && !tree.Upstream(build).Contains(source))
                yield return tree.IsKnownUpstream(build)
                    ? new(at, "dep-reference", Severity.Error,
                        $"\"%{name}%\" in \"{build.Id}\": it does not depend on \"{source}\"")
                    : new(at, "dep-reference", Severity.Warning,
                        $"\"%{name}%\" in \"{build.Id}\": nothing in this tree makes it depend on \"{source}\"; " +
                        "a template or build configuration elsewhere on the server must");
        }
    }

    private static bool IsName(string name) =>
        name.Length > 0
            && char.IsAsciiLetter(name[0])
            && name.All(unit => char.IsAsciiLetterOrDigit(unit) || unit is '.' or '_' or '*' or '-');
}
