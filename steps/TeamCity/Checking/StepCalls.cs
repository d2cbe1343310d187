using System.Text.RegularExpressions;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>A place where the settings start an executable of ours.</summary>
/// <param name="Step">The executable's name.</param>
/// <param name="Command">The parameter that names it: a command, or a script's text.</param>
/// <param name="Arguments">The parameter with its arguments; null in scripts, and where there are none.</param>
/// <param name="Parameters">What the recipe's user and the recipe itself set; empty for a plain step.</param>
internal sealed record StepCall(string Step, Parameter Command, Parameter? Arguments, ParameterSet Parameters);

/// <summary>Finds the executables of ours that settings start: as a command, in a script, or through a recipe.</summary>
internal static partial class StepCalls
{
    /// <summary>What a build configuration starts.</summary>
    public static IEnumerable<StepCall> Of(SettingsTree tree, BuildConfiguration build) => build.Runners.SelectMany(runner =>
        tree.FindRecipe(runner.Type, build.ProjectId) is { } recipe
            ? recipe.Runners.SelectMany(inner => Of(inner, recipe.Parameters.With(runner.Parameters)))
            : Of(runner, ParameterSet.Empty));

    /// <summary>What one step starts itself.</summary>
    public static IEnumerable<StepCall> Of(Runner runner, ParameterSet given)
    {
        if (runner.Parameters["use.custom.script"] == "true")
        {
            if (runner.Parameters.Find("script.content") is { } script)
                foreach (var name in InScript().Matches(script.Value).Select(match => match.Groups["name"].Value).Distinct())
                    yield return new(name, script, null, given);
        }
        else if (runner.Parameters.Find("command.executable") is { } command
            && InCommand().Match(command.Value) is { Success: true } match)
            yield return new(match.Groups["name"].Value, command, runner.Parameters.Find("command.parameters"), given);
    }

    private const string Names =
        "(?<name>unit-test|image-build|reserve-testbed|integration-deploy|merge|certify|promote|close|ci-steps|testbed-pool)" +
        @"(\.exe)?";

    [GeneratedRegex(@"(^|[/\\])" + Names + "$", RegexOptions.ExplicitCapture)]
    private static partial Regex InCommand();

    // In a script a bare word may be anything; a path that ends with the name is a call.
    [GeneratedRegex(@"[/\\]" + Names + @"(?=[\s""';|&)]|$)", RegexOptions.ExplicitCapture | RegexOptions.Multiline)]
    private static partial Regex InScript();
}
