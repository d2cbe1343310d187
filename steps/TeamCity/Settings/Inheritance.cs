using CiSteps.Hosting;

namespace CiSteps.TeamCity.Settings;

/// <summary>
/// A build configuration as the server would run it: templates merged in, disabled parts left out, recipes unfolded on demand.
/// </summary>
public static class Inheritance
{
    /// <summary>
    /// The configuration with its templates' settings. A build configuration's own settings win; of several templates the first
    /// wins.
    /// </summary>
    /// <exception cref="UsageException">It or a template is not in the tree.</exception>
    public static BuildConfiguration Effective(SettingsTree tree, string id)
    {
        if (!tree.Builds.TryGetValue(id, out var own))
            throw new UsageException($"there is no build configuration \"{id}\" in {tree.Folder}");
        return Effective(tree, own);
    }

    /// <summary>As the other, for a configuration at hand.</summary>
    public static BuildConfiguration Effective(SettingsTree tree, BuildConfiguration own)
    {
        foreach (var name in TemplatesOf(tree, own))
            if (!tree.Builds.TryGetValue(name, out var template) || !template.IsTemplate)
                throw new UsageException($"{own.At}: \"{own.Id}\" uses the template \"{name}\", which is not in {tree.Folder}");
        return Tolerant(tree, own);
    }

    /// <summary>As far as the tree goes: a template that is elsewhere on the server is left out.</summary>
    public static BuildConfiguration Tolerant(SettingsTree tree, BuildConfiguration own)
    {
        var merged = own;
        foreach (var name in TemplatesOf(tree, own))
            if (tree.Builds.TryGetValue(name, out var template) && template.IsTemplate) merged = Merge(template, merged);
        var disabled = merged.Disabled.Select(setting => setting.Name).ToHashSet(StringComparer.Ordinal);
        return disabled.Count == 0 ? merged : merged with
        {
            Runners = [.. merged.Runners.Where(runner => !disabled.Contains(runner.Id))],
            Triggers = [.. merged.Triggers.Where(trigger => !disabled.Contains(trigger.Id))],
            Extensions = [.. merged.Extensions.Where(extension => !disabled.Contains(extension.Id))],
            ArtifactDependencies = [.. merged.ArtifactDependencies.Where(dependency => !disabled.Contains(dependency.Id))],
        };
    }

    /// <summary>Ids of the templates that apply, strongest first; a project's default template is the weakest.</summary>
    public static IReadOnlyList<string> TemplatesOf(SettingsTree tree, BuildConfiguration own)
    {
        if (own.IsTemplate) return [];
        var byProject = tree.Ancestry(own.ProjectId)
            .Select(project => project.DefaultTemplate)
            .FirstOrDefault(template => template is not null);
        return byProject is not null && !own.Templates.Contains(byProject) && tree.Builds.ContainsKey(byProject)
            ? [.. own.Templates, byProject]
            : own.Templates;
    }

    private static BuildConfiguration Merge(BuildConfiguration weaker, BuildConfiguration stronger) => stronger with
    {
        Options = [.. weaker.Options.Where(option => stronger[option.Name] is null), .. stronger.Options],
        Disabled = [.. weaker.Disabled, .. stronger.Disabled],
        Parameters = weaker.Parameters.With(stronger.Parameters),
        Runners = InOrder(
            Override(weaker.Runners, stronger.Runners, runner => runner.Id),
            stronger.RunnerOrder.Count > 0 ? stronger.RunnerOrder : weaker.RunnerOrder),
        VcsEntries = Override(weaker.VcsEntries, stronger.VcsEntries, entry => entry.RootId),
        Requirements = [.. weaker.Requirements, .. stronger.Requirements],
        Triggers = Override(weaker.Triggers, stronger.Triggers, trigger => trigger.Id),
        Extensions = Override(weaker.Extensions, stronger.Extensions, extension => extension.Id),
        ArtifactDependencies = Override(weaker.ArtifactDependencies, stronger.ArtifactDependencies, dependency => dependency.Id),
        SnapshotDependencies = Override(
            weaker.SnapshotDependencies, stronger.SnapshotDependencies, dependency => dependency.SourceId),
    };

    private static List<T> Override<T>(IReadOnlyList<T> weaker, IReadOnlyList<T> stronger, Func<T, string> key)
    {
        var merged = new List<T>(weaker);
        foreach (var item in stronger)
        {
            var at = key(item).Length == 0 ? -1 : merged.FindIndex(known => key(known) == key(item));
            if (at >= 0) merged[at] = item;
            else merged.Add(item);
        }
        return merged;
    }

    // Steps that the order does not name keep their place after those that it names.
    private static List<Runner> InOrder(List<Runner> runners, IReadOnlyList<string> order) => order.Count == 0 ? runners
        : [.. runners.OrderBy(runner => order.Contains(runner.Id) ? order.ToList().IndexOf(runner.Id) : int.MaxValue)];
}
