using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>Whatever names something else: does that exist?</summary>
internal static class ReferenceRules
{
    public static IEnumerable<Finding> Check(EffectiveTree effective)
    {
        var tree = effective.Tree;
        foreach (var project in tree.Projects.Values)
            foreach (var finding in ProjectRefers(tree, project)) yield return finding;
        foreach (var circle in Circles(effective)) yield return circle;
        foreach (var doubled in Uuids(tree)) yield return doubled;
        foreach (var build in tree.Builds.Values)
        {
            foreach (var template in build.Templates)
            {
                if (!tree.Builds.TryGetValue(template, out var found))
                    yield return Missing(tree, build.At, "template", "template", template);
                else if (!found.IsTemplate)
                    yield return new(build.At, "template", Severity.Error,
                        $"\"{template}\" is a build configuration, not a template");
            }
            foreach (var entry in build.VcsEntries.Where(entry => !tree.VcsRoots.ContainsKey(entry.RootId)))
                yield return Missing(tree, entry.At, "vcs-root", "VCS root", entry.RootId);
            foreach (var (sourceId, at) in build.SnapshotDependencies
                .Select(dependency => (dependency.SourceId, dependency.At))
                .Concat(build.ArtifactDependencies.Select(dependency => (dependency.SourceId, dependency.At))))
            {
                if (!tree.Builds.TryGetValue(sourceId, out var source))
                    yield return Missing(tree, at, "dependency", "build configuration", sourceId);
                else if (source.IsTemplate)
                    yield return new(at, "dependency", Severity.Error, $"\"{sourceId}\" is a template and never has builds");
            }
            foreach (var trigger in build.Triggers)
                foreach (var name in new[] { "dependsOn", "revisionRuleDependsOn" })
                    if (trigger.Parameters.Find(name) is { Value: { Length: > 0 } id } parameter
                        && !id.Contains('%', StringComparison.Ordinal)
                        && !tree.Builds.ContainsKey(id))
                        yield return Missing(tree, parameter.At, "trigger", "build configuration", id);
            foreach (var extension in build.Extensions)
                foreach (var finding in RootsOf(tree, extension.Parameters)) yield return finding;
            foreach (var runner in build.Runners)
                if (RecipeOf(tree, build, runner) is { } finding) yield return finding;
            foreach (var finding in Disabled(tree, build)) yield return finding;
        }
    }

    private static IEnumerable<Finding> ProjectRefers(SettingsTree tree, Project project)
    {
        if (project.ParentId is { } parent && !tree.Projects.ContainsKey(parent))
            yield return Missing(tree, project.At, "parent-id", "project", parent);
        if (tree.Ancestry(project.Id).LastOrDefault()?.ParentId is { } last && tree.Projects.ContainsKey(last))
            yield return new(project.At, "parent-id", Severity.Error, $"the projects above \"{project.Id}\" go in a circle");
        if (project.DefaultTemplate is { } template)
        {
            if (!tree.Builds.TryGetValue(template, out var found))
                yield return Missing(tree, project.At, "template", "template", template);
            else if (!found.IsTemplate)
                yield return new(project.At, "template", Severity.Error,
                    $"\"{template}\" is a build configuration, not a template");
        }
        foreach (var extension in project.Extensions)
            foreach (var finding in RootsOf(tree, extension.Parameters)) yield return finding;
        foreach (var id in project.BuildsOrder.Where(id => !tree.Builds.ContainsKey(id)))
            yield return new(project.At, "order", Severity.Warning,
                $"the order of build configurations names \"{id}\", which is not in this tree");
        foreach (var id in project.SubprojectsOrder.Where(id => !tree.Projects.ContainsKey(id)))
            yield return new(project.At, "order", Severity.Warning,
                $"the order of subprojects names \"{id}\", which is not in this tree");
    }

    // Most runner types are plugins'. One that bears the name of a project in this tree is a recipe, or was one.
    private static Finding? RecipeOf(SettingsTree tree, BuildConfiguration build, Runner runner)
    {
        if (tree.FindRecipe(runner.Type, build.ProjectId) is not null) return null;
        if (tree.Recipes.TryGetValue(runner.Type, out var elsewhere))
            return tree.Ancestry(build.ProjectId).LastOrDefault() is { Id: "_Root" } or { ParentId: null }
                ? new(runner.At, "recipe", Severity.Error,
                    $"the recipe \"{runner.Type}\" stands in \"{elsewhere.ProjectId}\" and is not visible in " +
                    $"\"{build.ProjectId}\"; a recipe serves its project and those below")
                    : null;
        return runner.Type.Contains('_', StringComparison.Ordinal)
            && tree.Projects.Keys.Any(project => runner.Type.StartsWith(project + "_", StringComparison.Ordinal))
            ? new(runner.At, "recipe", Severity.Error, $"there is no recipe \"{runner.Type}\"") : null;
    }

    private static IEnumerable<Finding> Disabled(SettingsTree tree, BuildConfiguration build)
    {
        // With a template that is not here nobody can know its ids.
        if (Inheritance.TemplatesOf(tree, build).Any(template => !tree.Builds.ContainsKey(template))) yield break;
        var known = Inheritance.TemplatesOf(tree, build).Select(template => tree.Builds[template]).Append(build).ToList();
        var ids = known
            .SelectMany(
                one => one.Runners.Select(runner => runner.Id)
                    .Concat(one.Triggers.Select(trigger => trigger.Id))
                    .Concat(one.Extensions.Select(extension => extension.Id))
                .Concat(one.ArtifactDependencies.Select(dependency => dependency.Id))).ToHashSet(StringComparer.Ordinal);
        // Older servers wrote requirements and artifact dependencies without ids.
        var withoutIds = known.SelectMany(one => one.ArtifactDependencies).Any(dependency => dependency.Id.Length == 0);
        foreach (var disabled in build.Disabled.Where(
            disabled => !ids.Contains(disabled.Name) && !disabled.Name.StartsWith("RQ_", StringComparison.Ordinal)
                && !(withoutIds && disabled.Name.StartsWith("ARTIFACT_DEPENDENCY_", StringComparison.Ordinal))))
            yield return new(disabled.At, "disabled-settings", Severity.Warning,
                $"\"{disabled.Name}\" is switched off, but \"{build.Id}\" has no such setting");
        foreach (var id in build.RunnerOrder.Where(id => !ids.Contains(id)))
            yield return new(build.At, "runner-order", Severity.Warning,
                $"the order of steps names \"{id}\", which \"{build.Id}\" does not have");
    }

    private static IEnumerable<Finding> RootsOf(SettingsTree tree, ParameterSet parameters)
    {
        foreach (var name in new[] { "rootId", "vcsRootId" })
            if (parameters.Find(name) is { Value: { Length: > 0 } id } parameter
                && id is not ("__ALL__" or "DslContext.settingsRoot")
                && !id.Contains('%', StringComparison.Ordinal)
                && !tree.VcsRoots.ContainsKey(id))
                yield return Missing(tree, parameter.At, "vcs-root", "VCS root", id);
    }

    private static List<Finding> Circles(EffectiveTree tree)
    {
        var state = new Dictionary<string, int>(StringComparer.Ordinal);
        var found = new List<Finding>();
        var path = new List<string>();
        foreach (var id in tree.Builds.Keys.Order(StringComparer.Ordinal)) Visit(id);
        return found;

        void Visit(string id)
        {
            if (state.GetValueOrDefault(id) == 2 || !tree.Builds.TryGetValue(id, out var build)) return;
            state[id] = 1;
            path.Add(id);
            foreach (var dependency in build.SnapshotDependencies)
            {
                if (state.GetValueOrDefault(dependency.SourceId) == 1)
                    found.Add(new(dependency.At, "circle", Severity.Error,
                        $"the snapshot dependencies go in a circle: {string.Join(" -> ", [
                            .. path[path.IndexOf(dependency.SourceId)..],
                            dependency.SourceId
                        ])}"));
                else Visit(dependency.SourceId);
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
            .SelectMany(
                group => group
                    .Skip(1)
                    .Select(
                        entry => new Finding(entry.At, "uuid", Severity.Warning,
                            $"\"{entry.Id}\" has the uuid of \"{group.First().Id}\"; a copied file needs a new one")));

    // Ids are made of the project's id and a name without underscores; a number tells equal names apart. A subproject may keep
    // its settings elsewhere.
    private static bool MayBeOfSubproject(string rest) =>
        rest.IndexOf('_', StringComparison.Ordinal) is > 0 and var end && !rest.AsSpan(end + 1).TrimEnd("0123456789").IsEmpty;

    // A tree may be one project of a larger server: what bears the name of a project in this tree must be in it, of the rest
    // nobody knows.
    private static Finding Missing(SettingsTree tree, SourceLocation at, string rule, string what, string id)
    {
        var above = tree.Projects.Keys
            .Where(project => id == project || id.StartsWith(project + "_", StringComparison.Ordinal))
            .MaxBy(project => project.Length);
        return above is not null && !MayBeOfSubproject(id[above.Length..].TrimStart('_'))
            ? new(at, rule, Severity.Error, $"there is no {what} \"{id}\"")
            : new(at, rule, Severity.Warning, $"the {what} \"{id}\" is not in this tree; on the server it must exist");
    }
}
