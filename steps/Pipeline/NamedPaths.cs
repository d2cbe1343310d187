using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Pipeline;

/// <summary>
/// Files and folders that a component's commands (<c>unit-tests</c>, <c>pre-build</c>) name in their words: what runs them decides about the component, so a
/// change there is one of it even where its paths leave it out.
/// </summary>
public sealed partial class NamedPaths
{
    private readonly IReadOnlyList<string> words;

    private NamedPaths(IReadOnlyList<string> words) => this.words = words;

    /// <summary>What a component's commands name.</summary>
    public static NamedPaths Of(ComponentDefinition component)
    {
        ArgumentNullException.ThrowIfNull(component);
        return new NamedPaths([.. component.UnitTests.Select(run => run.Command).Append(component.PreBuild).OfType<CommandDefinition>().SelectMany(Words).Distinct(StringComparer.Ordinal)]);
    }

    /// <summary>Whether a path relative to the repository's root is named, or lies in a folder that is.</summary>
    public bool Matches(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return words.Any(word => path == word || path.StartsWith(word + "/", StringComparison.Ordinal));
    }

    /// <summary>What the commands name, is there, and no component's paths cover.</summary>
    /// <param name="definition">The pipeline file.</param>
    /// <param name="workTree">Absolute path of the work tree.</param>
    /// <returns>Component and path relative to the root.</returns>
    public static IEnumerable<(string Component, string Path)> Uncovered(PipelineDefinition definition, string workTree)
    {
        ArgumentNullException.ThrowIfNull(definition);
        var covered = definition.Components.Select(component => PathGlobs.Parse(component.Paths)).ToList();
        foreach (var component in definition.Components)
            foreach (var word in Of(component).words.Where(word => File.Exists(Path.Combine(workTree, word)) && !covered.Any(globs => globs.Matches(word))))
                yield return (component.Name, word);
    }

    private static IEnumerable<string> Words(CommandDefinition command)
    {
        // A script may change its folder on the way: what it names may lie in either.
        var folders = command.Run.SelectMany(argument => ChangesFolder().Matches(argument)).Select(match => Inside(command.Folder, match.Groups[1].Value.Trim('"', '\'')))
            .OfType<string>().Prepend(command.Folder).ToList();
        return command.Run.SelectMany(argument => Separators().Split(argument).Prepend(argument)).SelectMany(word => folders.Select(folder => Inside(folder, word))).OfType<string>();
    }

    // Relative to the root as git writes it; null for what lies outside, for the root itself and for what cannot be a path.
    private static string? Inside(string folder, string word)
    {
        if (word.Length == 0 || word[0] is '-' or '/' or '~' or '$' || word.Contains(':', StringComparison.Ordinal)) return null;
        var parts = new List<string>();
        foreach (var part in $"{folder}/{word}".Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".") continue;
            if (part != "..") parts.Add(part);
            else if (parts.Count == 0) return null;
            else parts.RemoveAt(parts.Count - 1);
        }
        return parts.Count == 0 ? null : string.Join('/', parts);
    }

    [GeneratedRegex(@"(?:^|[\s;&|(])cd\s+([^\s;&|<>()]+)")]
    private static partial Regex ChangesFolder();

    // Between a shell's words, and between an option and its value.
    [GeneratedRegex(@"[\s;|&<>()'""`=,]+")]
    private static partial Regex Separators();
}
