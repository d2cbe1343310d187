using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>A settings tree as the rules look at it: each build configuration with its templates merged in, once.</summary>
internal sealed class EffectiveTree
{
    public EffectiveTree(SettingsTree tree)
    {
        Tree = tree;
        Builds = tree.Builds.Values
            .Where(build => !build.IsTemplate)
            .ToDictionary(build => build.Id, build => Inheritance.Tolerant(tree, build), StringComparer.Ordinal);
    }

    /// <summary>The tree as written.</summary>
    public SettingsTree Tree { get; }

    /// <summary>Build configurations by id, no templates.</summary>
    public IReadOnlyDictionary<string, BuildConfiguration> Builds { get; }

    /// <summary>All that a configuration depends on, directly or through others.</summary>
    public IReadOnlySet<string> Upstream(BuildConfiguration build)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Queue<SnapshotDependency>(build.SnapshotDependencies);
        while (open.TryDequeue(out var dependency))
        {
            if (!found.Add(dependency.SourceId) || !Builds.TryGetValue(dependency.SourceId, out var source)) continue;
            foreach (var next in source.SnapshotDependencies) open.Enqueue(next);
        }
        return found;
    }

    /// <summary>
    /// Whether this tree holds all that says what a configuration depends on: its templates, and those of all before it.
    /// </summary>
    public bool IsKnownUpstream(BuildConfiguration build) => Upstream(build).Append(build.Id)
        .All(id => Builds.TryGetValue(id, out var one) && Inheritance.TemplatesOf(Tree, one).All(Tree.Builds.ContainsKey));

    /// <summary>The project's own parameters, and those of the projects above it.</summary>
    public IEnumerable<Parameter> ParametersAbove(BuildConfiguration build) =>
        Tree.Ancestry(build.ProjectId).SelectMany(project => project.Parameters.All);
}
