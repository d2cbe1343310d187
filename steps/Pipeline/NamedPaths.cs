using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Pipeline;

/// <summary>
/// Files and folders that the pipeline file names for a component (what its commands, <c>unit-tests</c> and <c>pre-build</c>,
/// have in their words, its Dockerfile, build context and manifests) or for a suite (its manifests and tests). They decide about
/// it, so a change there is one of it even where no paths cover them.
/// </summary>
public sealed partial class NamedPaths
{
    private readonly IReadOnlyList<string> words;
    private readonly string? context;

    private NamedPaths(IEnumerable<string> words, string? context = null) =>
        (this.words, this.context) = ([.. words.Distinct(StringComparer.Ordinal)], context);

    /// <summary>What is named for a component.</summary>
    public static NamedPaths Of(ComponentDefinition component)
    {
        ArgumentNullException.ThrowIfNull(component);
        var named = component.UnitTests.Select(run => run.Command).Append(component.PreBuild).OfType<CommandDefinition>()
            .SelectMany(Words).Concat(Folders(component.Workload?.Manifests ?? []));
        if (component.Image is not { } image) return new NamedPaths(named);
        var context = Inside(image.Context, ".");
        return new NamedPaths(named.Concat(Folders([image.Dockerfile, image.Dockerfile + ".dockerignore",
            $"{image.Context}/.dockerignore"])), context);
    }

    /// <summary>What is named for a suite.</summary>
    public static NamedPaths Of(SuiteDefinition suite)
    {
        ArgumentNullException.ThrowIfNull(suite);
        var files = suite.Manifests.Concat(suite.Dependents.SelectMany(dependent => dependent.Workload.Manifests))
            .Concat(suite.Tests.Job is { } job ? [job] : []);
        return new NamedPaths(Folders(files).Concat(suite.Tests.Command is { } command ? Words(command) : []));
    }

    /// <summary>Whether a path relative to the repository's root is named, or lies in a folder that is. What lies in the build
    /// context counts unless the context is the whole repository, which is what paths are for.</summary>
    /// <param name="path">From the root of the repository, with /.</param>
    /// <param name="isOthers">Whether a path is covered by another component's paths: what that has in a build context that both
    /// share is its own.</param>
    public bool Matches(string path, Func<string, bool>? isOthers = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        return words.Any(word => Lies(path, word))
            || context is not null && Lies(path, context) && isOthers?.Invoke(path) != true;
    }

    /// <summary>Whether anything that is named lies in a folder.</summary>
    internal bool LieBelow(string folder) =>
        words.Any(word => Lies(word, folder)) || context is not null && Lies(context, folder);

    /// <summary>What is named for components, is there, and no component's paths cover: one path for each name.</summary>
    /// <param name="definition">The pipeline file.</param>
    /// <param name="files">The repository's files, relative to its root.</param>
    /// <returns>Component and path.</returns>
    public static IEnumerable<(string Component, string Path)> Uncovered(PipelineDefinition definition, IEnumerable<string> files)
    {
        ArgumentNullException.ThrowIfNull(definition);
        ArgumentNullException.ThrowIfNull(files);
        var covered = definition.Components.Select(component => PathGlobs.Parse(component.Paths)).ToList();
        var bare = files.Where(file => !covered.Any(globs => globs.Matches(file))).ToList();
        foreach (var component in definition.Components)
        {
            var named = Of(component);
            foreach (var word in named.words.Concat(named.context is null ? [] : [named.context]))
                if (bare.Find(file => Lies(file, word)) is { } found)
                    yield return (component.Name, found);
        }
    }

    private static bool Lies(string path, string word) =>
        path == word || path.StartsWith(word + "/", StringComparison.Ordinal);

    private static IEnumerable<string> Folders(IEnumerable<string> paths) =>
        paths.Select(path => Inside(".", path)).OfType<string>();

    private static IEnumerable<string> Words(CommandDefinition command)
    {
        // A script may change its folder on the way: what it names may lie in either.
        var folders = command.Run.SelectMany(argument => ChangesFolder().Matches(argument))
            .Select(match => Inside(command.Folder, match.Groups[1].Value.Trim('"', '\'')))
            .OfType<string>().Prepend(command.Folder).ToList();
        return command.Run.SelectMany(argument => Separators().Split(argument).Prepend(argument))
            .SelectMany(word => folders.Select(folder => Inside(folder, word))).OfType<string>();
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
