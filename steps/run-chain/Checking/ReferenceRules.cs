using CiSteps.RunChain.Chains;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>Whatever names something else: does that exist?</summary>
internal static class ReferenceRules
{
    public static IEnumerable<Finding> Check(SettingsTree tree)
    {
        foreach (var project in tree.Projects.Values)
        {
            if (project.ParentId is { } parent && !tree.Projects.ContainsKey(parent)) yield return Missing(tree, project.At, "parent-id", "project", parent);
            if (project.DefaultTemplate is { } template && !tree.Builds.ContainsKey(template)) yield return Missing(tree, project.At, "template", "template", template);
            foreach (var extension in project.Extensions)
                foreach (var finding in RootsOf(tree, extension.Parameters)) yield return finding;
        }
        foreach (var circle in Circles(tree)) yield return circle;
        foreach (var doubled in Uuids(tree)) yield return doubled;
        foreach (var build in tree.Builds.Values)
        {
            foreach (var template in build.Templates)
            {
                if (!tree.Builds.TryGetValue(template, out var found)) yield return Missing(tree, build.At, "template", "template", template);
                else if (!found.IsTemplate) yield return new(build.At, "template", Severity.Error, $"\"{template}\" is a build configuration, not a template");
            }
            foreach (var entry in build.VcsEntries.Where(entry => !tree.VcsRoots.ContainsKey(entry.RootId))) yield return Missing(tree, entry.At, "vcs-root", "VCS root", entry.RootId);
            foreach (var dependency in build.SnapshotDependencies.Where(dependency => !tree.Builds.ContainsKey(dependency.SourceId)))
                yield return Missing(tree, dependency.At, "dependency", "build configuration", dependency.SourceId);
            foreach (var dependency in build.ArtifactDependencies.Where(dependency => !tree.Builds.ContainsKey(dependency.SourceId)))
                yield return Missing(tree, dependency.At, "dependency", "build configuration", dependency.SourceId);
            foreach (var dependency in build.SnapshotDependencies.Where(dependency => tree.Builds.TryGetValue(dependency.SourceId, out var source) && source.IsTemplate))
                yield return new(dependency.At, "dependency", Severity.Error, $"\"{dependency.SourceId}\" is a template and never has builds");
            foreach (var trigger in build.Triggers)
                foreach (var name in new[] { "dependsOn", "revisionRuleDependsOn" })
                    if (trigger.Parameters.Find(name) is { Value: { Length: > 0 } id } parameter && !id.Contains('%', StringComparison.Ordinal) && !tree.Builds.ContainsKey(id))
                        yield return Missing(tree, parameter.At, "trigger", "build configuration", id);
            foreach (var extension in build.Extensions)
                foreach (var finding in RootsOf(tree, extension.Parameters)) yield return finding;
            foreach (var finding in Disabled(tree, build)) yield return finding;
        }
    }

    private static IEnumerable<Finding> Disabled(SettingsTree tree, BuildConfiguration build)
    {
        // With a template that is not here nobody can know its ids.
        if (Inheritance.TemplatesOf(tree, build).Any(template => !tree.Builds.ContainsKey(template))) yield break;
        var known = Inheritance.TemplatesOf(tree, build).Select(template => tree.Builds[template]).Append(build).ToList();
        var ids = known.SelectMany(one => one.Runners.Select(runner => runner.Id).Concat(one.Triggers.Select(trigger => trigger.Id)).Concat(one.Extensions.Select(extension => extension.Id))
            .Concat(one.ArtifactDependencies.Select(dependency => dependency.Id))).ToHashSet(StringComparer.Ordinal);
        foreach (var disabled in build.Disabled.Where(disabled => !ids.Contains(disabled.Name) && !disabled.Name.StartsWith("RQ_", StringComparison.Ordinal)))
            yield return new(disabled.At, "disabled-settings", Severity.Warning, $"\"{disabled.Name}\" is switched off, but \"{build.Id}\" has no such setting");
        foreach (var id in build.RunnerOrder.Where(id => !ids.Contains(id)))
            yield return new(build.At, "runner-order", Severity.Warning, $"the order of steps names \"{id}\", which \"{build.Id}\" does not have");
    }

    private static IEnumerable<Finding> RootsOf(SettingsTree tree, ParameterSet parameters)
    {
        foreach (var name in new[] { "rootId", "vcsRootId" })
            if (parameters.Find(name) is { Value: { Length: > 0 } id } parameter && id is not ("__ALL__" or "DslContext.settingsRoot") && !id.Contains('%', StringComparison.Ordinal) && !tree.VcsRoots.ContainsKey(id))
                yield return Missing(tree, parameter.At, "vcs-root", "VCS root", id);
    }

    private static IEnumerable<Finding> Circles(SettingsTree tree)
    {
        var state = new Dictionary<string, int>(StringComparer.Ordinal);
        var found = new List<Finding>();
        foreach (var id in tree.Builds.Keys.Order(StringComparer.Ordinal)) Visit(id, []);
        return found;

        void Visit(string id, List<string> path)
        {
            if (state.GetValueOrDefault(id) == 2 || !tree.Builds.TryGetValue(id, out var build)) return;
            state[id] = 1;
            path.Add(id);
            foreach (var dependency in build.SnapshotDependencies)
            {
                if (state.GetValueOrDefault(dependency.SourceId) == 1 && path.IndexOf(dependency.SourceId) is >= 0 and var from)
                    found.Add(new(dependency.At, "circle", Severity.Error, $"the snapshot dependencies go in a circle: {string.Join(" -> ", [.. path[from..], dependency.SourceId])}"));
                else Visit(dependency.SourceId, path);
            }
            path.RemoveAt(path.Count - 1);
            state[id] = 2;
        }
    }

    private static IEnumerable<Finding> Uuids(SettingsTree tree) =>
        tree.Projects.Values.Select(project => (Kind: "project", project.Uuid, project.Id, project.At))
            .Concat(tree.Builds.Values.Select(build => (Kind: "build", build.Uuid, build.Id, build.At)))
            .Concat(tree.VcsRoots.Values.Select(root => (Kind: "root", root.Uuid, root.Id, root.At)))
            .Where(entry => entry.Uuid is not null).GroupBy(entry => (entry.Kind, entry.Uuid)).Where(group => group.Count() > 1)
            .SelectMany(group => group.Skip(1).Select(entry => new Finding(entry.At, "uuid", Severity.Warning, $"\"{entry.Id}\" has the uuid of \"{group.First().Id}\"; a copied file needs a new one")));

    // A tree may be one project of a larger server: what bears the name of a project in this tree must be in it, of the rest nobody knows.
    private static Finding Missing(SettingsTree tree, Place at, string rule, string what, string id)
    {
        var ours = tree.Projects.Keys.Any(project => id == project || id.StartsWith(project + "_", StringComparison.Ordinal));
        return ours ? new(at, rule, Severity.Error, $"there is no {what} \"{id}\"")
            : new(at, rule, Severity.Warning, $"the {what} \"{id}\" is not in this tree; on the server it must exist");
    }

    /// <summary>All that a configuration depends on, directly or through others.</summary>
    internal static IReadOnlySet<string> Upstream(SettingsTree tree, BuildConfiguration build)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Queue<SnapshotDependency>(build.SnapshotDependencies);
        while (open.TryDequeue(out var dependency))
        {
            if (!found.Add(dependency.SourceId) || !tree.Builds.ContainsKey(dependency.SourceId)) continue;
            foreach (var next in Inheritance.Tolerant(tree, tree.Builds[dependency.SourceId]).SnapshotDependencies) open.Enqueue(next);
        }
        return found;
    }
}
