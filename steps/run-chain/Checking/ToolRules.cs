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
    public static IEnumerable<Finding> Check(SettingsTree tree)
    {
        foreach (var own in tree.Builds.Values.Where(build => !build.IsTemplate))
        {
            var build = Inheritance.Tolerant(tree, own);
            foreach (var runner in build.Runners.Where(runner => ChainRules.CiStepsOf(runner) is not null))
            {
                var command = runner.Parameters.Find("command.executable")!;
                if (!Reaches(tree, build, command.Value, []))
                    yield return new(command.At, "tool", Severity.Warning, $"\"{own.Id}\" runs {command.Value} without a reference to {Prefix}…: agents do not download the tool for it");
            }
        }
    }

    /// <summary>Asks the executables for their options and finds those that they do not know.</summary>
    /// <param name="tree">The settings.</param>
    /// <param name="toolsFolder">Where the executables are; one that is not there is not asked.</param>
    /// <param name="cancel">Stops the asking.</param>
    public static async Task<IReadOnlyList<Finding>> CheckOptionsAsync(SettingsTree tree, string toolsFolder, CancellationToken cancel)
    {
        var found = new List<Finding>();
        var helps = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var runner in tree.Builds.Values.SelectMany(build => build.Runners).Concat(tree.Recipes.Values.SelectMany(recipe => recipe.Runners)))
        {
            if (ChainRules.CiStepsOf(runner) is not { } step || runner.Parameters.Find("command.parameters") is not { } given) continue;
            var path = Path.Combine(toolsFolder, OperatingSystem.IsWindows() ? step + ".exe" : step);
            if (!File.Exists(path)) continue;
            var words = CommandLine.Split(given.Value);
            var commands = words.TakeWhile(word => !word.StartsWith('-')).ToList();
            var key = string.Join(' ', [step, .. commands]);
            if (!helps.TryGetValue(key, out var help))
            {
                var (exit, output, error) = await ChildProcess.CaptureAsync(path, [.. commands, "--help"], toolsFolder, null, cancel).ConfigureAwait(false);
                helps[key] = help = exit == 0 ? output : "";
                if (exit != 0) found.Add(new(given.At, "step-option", Severity.Error, $"{key} does not exist: {error.Trim().ReplaceLineEndings(" ")}"));
            }
            if (help.Length == 0) continue;
            var known = help.Split(' ', '\n', ',', '\r').Where(word => word.StartsWith("--", StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
            foreach (var option in words.Where(word => word.StartsWith("--", StringComparison.Ordinal)).Select(word => word.Split('=', ':')[0]).Where(option => !known.Contains(option)))
                found.Add(new(given.At, "step-option", Severity.Error, $"{key} does not know the option {option}"));
        }
        return found;
    }

    private static bool Reaches(SettingsTree tree, BuildConfiguration build, string value, HashSet<string> seen)
    {
        foreach (var name in References.In(value))
        {
            if (name.StartsWith(Prefix, StringComparison.Ordinal)) return true;
            if (!seen.Add(name)) continue;
            var parameter = build.Parameters.Find(name) ?? tree.Ancestry(build.ProjectId).Select(project => project.Parameters.Find(name)).FirstOrDefault(found => found is not null);
            if (parameter is not null && Reaches(tree, build, parameter.Value, seen)) return true;
        }
        return false;
    }
}
