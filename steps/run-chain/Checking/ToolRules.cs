using CiSteps.Hosting;
using CiSteps.RunChain.Agents;
using CiSteps.RunChain.Parameters;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>The agent tool: is it really asked for, and do its executables know what they are told?</summary>
internal static class ToolRules
{
    private const string Prefix = "teamcity.tool.";

    /// <summary>Commands of ours whose path no tool reference leads to: an agent would not download it.</summary>
    public static IEnumerable<Finding> Check(EffectiveTree tree)
    {
        foreach (var build in tree.Builds.Values)
            foreach (var call in StepCalls.Of(tree.Tree, build).Where(call => !Reaches(tree, build, call, call.Command.Value, [])))
                yield return new(call.Command.At, "tool", Severity.Warning, $"\"{build.Id}\" runs {call.Step} without a reference to {Prefix}…: agents do not download the tool for it");
    }

    /// <summary>Asks the executables for their options and finds those that they do not know.</summary>
    /// <param name="tree">The settings.</param>
    /// <param name="toolsFolder">Where the executables are.</param>
    /// <param name="cancel">Stops the asking.</param>
    /// <returns>Findings, and the executables that are not there and so were not asked.</returns>
    public static async Task<(IReadOnlyList<Finding> Findings, IReadOnlyCollection<string> NotAsked)> CheckOptionsAsync(SettingsTree tree, string toolsFolder, CancellationToken cancel)
    {
        var found = new List<Finding>();
        var notAsked = new SortedSet<string>(StringComparer.Ordinal);
        var helps = new Dictionary<string, IReadOnlySet<string>>(StringComparer.Ordinal);
        foreach (var call in tree.Builds.Values.SelectMany(build => build.Runners).Concat(tree.Recipes.Values.SelectMany(recipe => recipe.Runners)).SelectMany(runner => StepCalls.Of(runner, ParameterSet.Empty)))
        {
            if (call.Arguments is not { } given) continue;
            var path = Path.Combine(toolsFolder, OperatingSystem.IsWindows() ? call.Step + ".exe" : call.Step);
            if (!File.Exists(path))
            {
                notAsked.Add(call.Step);
                continue;
            }
            var words = CommandLine.Split(given.Value);
            var commands = words.TakeWhile(word => !word.StartsWith('-') && References.In(word).Count == 0).ToList();
            var key = string.Join(' ', [call.Step, .. commands]);
            if (!helps.TryGetValue(key, out var known))
            {
                var (exit, output, error) = await ChildProcess.CaptureAsync(path, [.. commands, "--help"], toolsFolder, null, cancel).ConfigureAwait(false);
                helps[key] = known = exit == 0 ? Options(output) : new HashSet<string>();
                if (exit != 0) found.Add(new(given.At, "step-option", Severity.Error, $"{key} does not exist: {error.Trim().ReplaceLineEndings(" ")}"));
            }
            if (known.Count == 0) continue;
            foreach (var option in words.Where(word => word.StartsWith("--", StringComparison.Ordinal)).Select(word => word.Split('=', ':')[0]).Where(option => !known.Contains(option)))
                found.Add(new(given.At, "step-option", Severity.Error, $"{key} does not know the option {option}"));
        }
        return (found, notAsked);
    }

    // The first column of the lines that begin with one; what a description mentions is no option of this command.
    private static HashSet<string> Options(string help) =>
        [.. help.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith('-')).SelectMany(line => line.Split("  ")[0].Split(' ', ',')).Where(word => word.StartsWith("--", StringComparison.Ordinal))];

    private static bool Reaches(EffectiveTree tree, BuildConfiguration build, StepCall call, string value, HashSet<string> seen)
    {
        foreach (var name in References.In(value))
        {
            if (name.StartsWith(Prefix, StringComparison.Ordinal)) return true;
            if (!seen.Add(name)) continue;
            var parameter = call.Given.Find(name) ?? build.Parameters.Find(name) ?? tree.ParametersAbove(build).FirstOrDefault(found => found.Name == name);
            if (parameter is not null && Reaches(tree, build, call, parameter.Value, seen)) return true;
        }
        return false;
    }
}
