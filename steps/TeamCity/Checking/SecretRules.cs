using System.Text.RegularExpressions;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>Secrets that stand in the files as they are.</summary>
internal static partial class SecretRules
{
    public static IEnumerable<Finding> Check(EffectiveTree tree) => Parameters(tree.Tree).SelectMany(Check);

    private static IEnumerable<Finding> Check(Parameter parameter)
    {
        if (Address().IsMatch(parameter.Value))
            yield return new(parameter.At, "clear-secret", Severity.Error,
                $"\"{parameter.Name}\" holds an address with a password in clear text; " +
                "give user and password parameters of their own");
        if (parameter.Value.Length == 0
            || parameter.Value.StartsWith("credentialsJSON:", StringComparison.Ordinal)
            || parameter.Value.StartsWith("zxx", StringComparison.Ordinal)
            || References.In(parameter.Value).Count > 0 || parameter.Value == "*****") yield break;
        if (parameter.IsPassword || parameter.Name.StartsWith("secure:", StringComparison.Ordinal))
            yield return new(parameter.At, "clear-secret", Severity.Error,
                $"the secret \"{parameter.Name}\" stands there in clear text; give it to the server, " +
                "which writes credentialsJSON: in its place");
        else if (SecretName().IsMatch(parameter.Name) && !IsPlain(parameter.Value))
            yield return new(parameter.At, "clear-secret", Severity.Warning,
                $"\"{parameter.Name}\" sounds like a secret and stands there in clear text; if it is one, " +
                "make it a password parameter");
    }

    // Switches, numbers, and paths to where the secret is.
    private static bool IsPlain(string value) =>
        value is "true" or "false"
            || long.TryParse(value, out _) && value.Length < 3
            || value.Contains('/', StringComparison.Ordinal)
            || value.Contains('\\', StringComparison.Ordinal);

    private static IEnumerable<Parameter> Parameters(SettingsTree tree) =>
        tree.Projects.Values.SelectMany(
            project => project.Parameters.All.Concat(project.Extensions.SelectMany(extension => extension.Parameters.All)))
            .Concat(tree.Builds.Values.SelectMany(
                build => build.Parameters.All.Concat(build.Runners.SelectMany(runner => runner.Parameters.All))
                    .Concat(build.Triggers.SelectMany(trigger => trigger.Parameters.All))
                        .Concat(build.Extensions.SelectMany(extension => extension.Parameters.All))))
            .Concat(tree.VcsRoots.Values.SelectMany(root => root.Parameters.All))
            .Concat(tree.Recipes.Values.SelectMany(
                recipe => recipe.Parameters.All.Concat(recipe.Runners.SelectMany(runner => runner.Parameters.All))));

    [GeneratedRegex(
        @"(^|[._-])(password|passwd|secret|token|api[._-]?key|private[._-]?key|signing[._-]?key)$",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SecretName();

    [GeneratedRegex(
        @"\b[a-z][a-z0-9+.-]*://[^\s/:@%'""]+:[^\s/:@%'""*$]+@",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Address();
}
