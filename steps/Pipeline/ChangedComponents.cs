using CiSteps.Hosting;

namespace CiSteps.Pipeline;

/// <summary>Whether a change touches a component.</summary>
/// <param name="Component">By the pipeline file that was asked.</param>
/// <param name="Changed">Whether it counts as changed.</param>
/// <param name="Reason">Why, in a few words for people.</param>
public sealed record ComponentChange(ComponentDefinition Component, bool Changed, string Reason);

/// <summary>
/// Which components a change touches: those whose paths it touches, or what the pipeline file names for them, those that depend
/// on one of
/// them, and all when the pipeline file itself changed.
/// </summary>
public static class ChangedComponents
{
    /// <summary>Decides for one list of changed paths.</summary>
    /// <param name="definition">The change's own pipeline file.</param>
    /// <param name="changedPaths">Paths relative to the repository's root.</param>
    /// <param name="configuration">The pipeline file's path; a change of it touches all components.</param>
    /// <returns>All components in the file's order.</returns>
    public static IReadOnlyList<ComponentChange> Decide(
        PipelineDefinition definition, IReadOnlyCollection<string> changedPaths, string configuration = "ci-steps.yaml") =>
        Decide(definition, _ => changedPaths, configuration);

    /// <summary>
    /// Decides where each component is compared with a commit of its own (on the default branch: with its last certified one).
    /// </summary>
    /// <param name="definition">The pipeline file.</param>
    /// <param name="changedPathsOf">Paths changed since the component's commit; null when there is no such commit, which counts
    /// as changed.</param>
    /// <param name="configuration">The pipeline file's path; a change of it touches the component.</param>
    public static IReadOnlyList<ComponentChange> Decide(PipelineDefinition definition,
        Func<ComponentDefinition, IReadOnlyCollection<string>?> changedPathsOf, string configuration = "ci-steps.yaml")
    {
        var touched = definition.Components.ToDictionary(component => component.Name, component =>
            Touch(component, definition, changedPathsOf(component), configuration), StringComparer.Ordinal);
        return [.. definition.Components.Select(component =>
        {
            if (touched[component.Name] is { } own) return new ComponentChange(component, true, own);
            var through = FirstTouched(component, definition, touched);
            return through is null
                ? new ComponentChange(component, false, "nothing of it changed")
                : new ComponentChange(component, true, $"depends on \"{through}\", which changed");
        })];
    }

    /// <summary>A component and all that it depends on, directly or through others.</summary>
    public static IReadOnlySet<string> WithDependencies(PipelineDefinition definition, string component)
    {
        var byName = definition.Components.ToDictionary(one => one.Name, StringComparer.Ordinal);
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>([component]);
        while (open.TryPop(out var name))
            if (found.Add(name) && byName.TryGetValue(name, out var next))
                foreach (var dependency in next.DependsOn)
                    open.Push(dependency);
        return found;
    }

    private static string? Touch(ComponentDefinition component, PipelineDefinition definition,
        IReadOnlyCollection<string>? changed,
        string configuration)
    {
        if (changed is null) return "there is no earlier commit to compare with";
        if (changed.Contains(configuration)) return $"{configuration} changed";
        var globs = PathGlobs.Parse(component.Paths);
        var named = NamedPaths.Of(component);
        var others = definition.Components.Where(one => one.Name != component.Name).Select(one =>
            PathGlobs.Parse(one.Paths)).ToList();
        var matching = changed.Where(path => globs.Matches(path) || AttributesApply(path, globs, named)
            || named.Matches(path, own => others.Exists(other => other.Matches(own)))).ToList();
        return matching.Count switch
        {
            0 => null,
            1 => $"{matching[0]} changed",
            var count => $"{matching[0]} and {count - 1} more changed",
        };
    }

    // How files are checked out and merged is part of them: line ends, filters.
    private static bool AttributesApply(string path, PathGlobs globs, NamedPaths named)
    {
        if (path == ".gitattributes") return true;
        if (!path.EndsWith("/.gitattributes", StringComparison.Ordinal)) return false;
        var folder = path[..^"/.gitattributes".Length];
        return globs.MayBeBelow(folder) || named.LieBelow(folder);
    }

    private static string? FirstTouched(
        ComponentDefinition component, PipelineDefinition definition, Dictionary<string, string?> touched) =>
        WithDependencies(definition, component.Name).Order(StringComparer.Ordinal)
            .FirstOrDefault(name => name != component.Name && touched.GetValueOrDefault(name) is not null);
}
