using CiSteps.Hosting;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>The agent tool: is it really asked for, and do its executables know what they are told?</summary>
public static class ToolRules
{
    private const string Prefix = "teamcity.tool.";

    /// <summary>Commands of ours whose path no tool reference leads to: an agent would not download it.</summary>
    internal static IEnumerable<Finding> Check(EffectiveTree tree)
    {
        foreach (var build in tree.Builds.Values)
            foreach (var call in StepCalls
                .Of(tree.Tree, build)
                .Where(call => !Reaches(tree, build, call, call.Command.Value, [])))
                yield return new(call.Command.At, "tool", Severity.Warning,
                    $"\"{build.Id}\" runs {call.Step} without a reference to {Prefix}…: agents do not download the tool for it");
    }

    /// <summary>Asks the executables for their options and finds those that they do not know.</summary>
    /// <param name="tree">All projects, configurations, templates and recipes, as they were read.</param>
    /// <param name="toolsFolder">Where the executables are.</param>
    /// <param name="cancel">Stops the asking.</param>
    /// <returns>Findings, and the executables that are not there and so were not asked.</returns>
    public static async Task<(IReadOnlyList<Finding> Findings, IReadOnlyCollection<string> NotAsked)> CheckOptionsAsync(
        SettingsTree tree, string toolsFolder, CancellationToken cancel)
    {
        var found = new List<Finding>();
        var notAsked = new SortedSet<string>(StringComparer.Ordinal);
        var helps = new Dictionary<string, Help?>(StringComparer.Ordinal);
        foreach (var call in tree.Builds.Values.SelectMany(build => build.Runners)
            .Concat(tree.Recipes.Values.SelectMany(recipe => recipe.Runners))
            .SelectMany(runner => StepCalls.Of(runner, ParameterSet.Empty)))
        {
            if (call.Arguments is not { } given) continue;
            var path = Path.Combine(toolsFolder, OperatingSystem.IsWindows() ? call.Step + ".exe" : call.Step);
            if (!File.Exists(path))
            {
                notAsked.Add(call.Step);
                continue;
            }
            var words = CommandLine.Split(given.Value);
            var plain = words.TakeWhile(word => !word.StartsWith('-') && References.In(word).Count == 0).ToList();
            var commands = 0;
            var help = await AskAsync(plain[..commands]).ConfigureAwait(false);
            while (help is not null && commands < plain.Count && help.Commands.Contains(plain[commands]))
                help = await AskAsync(plain[..++commands]).ConfigureAwait(false);
            if (help is null) continue;
            var key = string.Join(' ', [call.Step, .. plain[..commands]]);
            if (commands < plain.Count && !help.TakesArguments)
                found.Add(new(given.At, "step-option", Severity.Error, $"{key} does not know \"{plain[commands]}\""));
            else
                foreach (var option in words.Where(word => word.StartsWith("--", StringComparison.Ordinal))
                    .Select(word => word.Split('=', ':')[0])
                    .Where(option => !help.Options.Contains(option)))
                    found.Add(new(given.At, "step-option", Severity.Error, $"{key} does not know the option {option}"));

            async Task<Help?> AskAsync(List<string> command)
            {
                var asked = string.Join(' ', [call.Step, .. command]);
                if (helps.TryGetValue(asked, out var known)) return known;
                var (exit, output, error) = await ChildProcess.CaptureAsync(
                    new(path, [.. command, "--help"], toolsFolder), cancel).ConfigureAwait(false);
                if (exit != 0)
                    found.Add(new(given.At, "step-option", Severity.Error,
                        $"{asked} does not say which options it has (--help): {error.Trim().ReplaceLineEndings(" ")}"));
                return helps[asked] = exit == 0 ? Read(output) : null;
            }
        }
        return (found, notAsked);
    }

    /// <summary>What a command says of itself.</summary>
    private sealed record Help(HashSet<string> Options, HashSet<string> Commands, bool TakesArguments);

    // The first column of the lines that begin with one; what a description mentions is not an option of this command.
    private static Help Read(string text)
    {
        var help = new Help([], [], text.Split('\n').Any(line => line.TrimEnd() == "Arguments:"));
        var section = "";
        foreach (var line in text.Split('\n').Select(line => line.TrimEnd()).Where(line => line.Length > 0))
        {
            if (line[0] != ' ') section = line;
            else if (section == "Options:")
                help.Options.UnionWith(line.Trim().Split("  ")[0]
                    .Split(' ', ',')
                    .Where(word => word.StartsWith("--", StringComparison.Ordinal)));
            else if (section == "Commands:") help.Commands.Add(line.Trim().Split(' ')[0]);
        }
        return help;
    }

    private static bool Reaches(EffectiveTree tree, BuildConfiguration build, StepCall call, string value, HashSet<string> seen)
    {
        foreach (var name in References.In(value))
        {
            if (name.StartsWith(Prefix, StringComparison.Ordinal)) return true;
            if (!seen.Add(name)) continue;
            var parameter = call.Parameters.Find(name)
                ?? build.Parameters.Find(name)
                ?? tree.ParametersAbove(build).FirstOrDefault(found => found.Name == name);
            if (parameter is not null && Reaches(tree, build, call, parameter.Value, seen)) return true;
        }
        return false;
    }
}
