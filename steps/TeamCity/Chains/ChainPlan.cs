using CiSteps.Hosting;
using CiSteps.TeamCity.Branches;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Chains;

/// <summary>A branch as the settings see it.</summary>
/// <param name="Name">Logical name; the default branch's where no rule names it is <c>&lt;default&gt;</c>.</param>
/// <param name="FullName">Such as <c>refs/heads/ci/x</c>.</param>
/// <param name="IsDefault">Whether it is the VCS root's default branch.</param>
public sealed record ChainBranch(string Name, string FullName, bool IsDefault);

/// <summary>What would be queued: builds in dependency order.</summary>
/// <param name="Branch">The branch that is built.</param>
/// <param name="Tops">Configurations that were asked for; the others are there because these depend on them.</param>
/// <param name="Builds">All of them, each after what it depends on.</param>
public sealed record ChainPlan(ChainBranch Branch, IReadOnlyList<string> Tops, IReadOnlyList<BuildConfiguration> Builds)
{
    /// <summary>
    /// What is missing in the tree: templates and builds that are elsewhere on the server. Such a chain can be shown, but not
    /// run.
    /// </summary>
    public IReadOnlyList<string> Gaps { get; init; } = [];

    /// <summary>
    /// Configurations whose triggers take the branch too, but under another name or as another repository's default branch: a run
    /// of their own.
    /// </summary>
    public IReadOnlyList<string> Others { get; init; } = [];

    /// <summary>The plan, if nothing of it is missing.</summary>
    /// <exception cref="UsageException">Something is; the message names it.</exception>
    public ChainPlan Complete() => Gaps.Count == 0 ? this : throw new UsageException(string.Join("; ", Gaps));

    /// <summary>Rounds of builds that can run at the same time, if there are agents enough.</summary>
    public IReadOnlyList<IReadOnlyList<BuildConfiguration>> Rounds()
    {
        var depth = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var build in Builds)
            depth[build.Id] = build.SnapshotDependencies.Where(dependency => depth.ContainsKey(dependency.SourceId))
                .Select(dependency => depth[dependency.SourceId] + 1)
                .DefaultIfEmpty(0)
                .Max();
        return [.. Builds.GroupBy(build => depth[build.Id])
            .OrderBy(round => round.Key)
            .Select(round => (IReadOnlyList<BuildConfiguration>)[.. round])];
    }
}

/// <summary>What a member of a chain builds: the branch that has the chain's logical name in its own VCS root.</summary>
/// <param name="FullName">That branch; null when no root of its admits one.</param>
/// <param name="FallsBack">Whether it builds its default branch where there is none; a root can forbid that.</param>
public sealed record MemberBranch(string? FullName, bool FallsBack);

/// <summary>Works out what a server would queue.</summary>
public static class ChainPlanner
{

    /// <summary>What the triggers queue when the branch has moved.</summary>
    /// <param name="tree">All projects, configurations, templates and recipes, as they were read.</param>
    /// <param name="branch">Its logical name, such as <c>ci/greeting</c>.</param>
    /// <param name="project">Only triggers of this project and those below it; null for all.</param>
    /// <exception cref="UsageException">No trigger takes the branch; the message names the filters.</exception>
    public static ChainPlan Triggered(SettingsTree tree, string branch, string? project = null)
    {
        if (project is not null && !tree.Projects.ContainsKey(project))
            throw new UsageException(
                $"there is no project \"{project}\" in {tree.Folder}; there are " +
                $"{Some([.. tree.Projects.Keys.Order(StringComparer.Ordinal)])}");
        var looked = new List<string>();
        var taken = new List<(BuildConfiguration Build, ChainBranch Branch)>();
        foreach (var id in tree.Builds.Keys.Order(StringComparer.Ordinal))
        {
            if (tree.Builds[id].IsTemplate || tree.Builds[id].IsPaused || IsArchived(tree, tree.Builds[id])) continue;
            if (project is not null && tree.Ancestry(tree.Builds[id].ProjectId).All(above => above.Id != project)) continue;
            var build = Inheritance.Tolerant(tree, tree.Builds[id]);
            foreach (var trigger in build.Triggers.Where(trigger => trigger.Type == "vcsTrigger"))
            {
                var filter = new BranchFilter(Resolve(tree, build, trigger.Parameters["branchFilter"]));
                var watched = Watched(tree, build, trigger);
                if (watched.Count == 0 && IsWhole(tree, build))
                {
                    looked.Add($"{id} (its trigger watches no VCS root)");
                    continue;
                }
                if (Find(tree, build with { VcsEntries = watched }, branch) is not { } found)
                {
                    looked.Add($"{id} (its VCS root's branch specification does not admit it)");
                    continue;
                }
                var own = FilterOf(tree, build);
                if (!own.Takes(found.Name, found.IsDefault)) looked.Add($"{id} (builds {own.Shown})");
                else if (filter.Takes(found.Name, found.IsDefault)) taken.Add((build, found));
                else looked.Add($"{id} (trigger takes {filter.Shown})");
            }
        }
        if (taken.Count == 0)
            throw new UsageException($"no trigger takes the branch \"{branch}\": " +
                (looked.Count == 0 ? "no configuration has a VCS trigger" : Some(looked)) +
                    "; push to a branch that one takes, or change its filter");
        // One run is one branch; triggers of other logical names (two roots that name it differently) keep to the first.
        var first = taken[0].Branch;
        return Queue(tree, first, [.. taken.Where(entry => entry.Branch == first).Select(entry => entry.Build.Id).Distinct()])
            with
        { Others = [.. taken.Where(entry => entry.Branch != first).Select(entry => entry.Build.Id).Distinct()] };
    }

    /// <summary>
    /// The VCS roots whose changes a trigger sees: the configuration's, and those of all before it where it watches them.
    /// </summary>
    public static IReadOnlyList<VcsEntry> Watched(SettingsTree tree, BuildConfiguration build, Trigger trigger)
    {
        if (trigger.Parameters["watchChangesInDependencies"] != "true") return build.VcsEntries;
        var entries = new List<VcsEntry>(build.VcsEntries);
        var seen = new HashSet<string>(StringComparer.Ordinal) { build.Id };
        var open = new Queue<SnapshotDependency>(build.SnapshotDependencies);
        while (open.TryDequeue(out var dependency))
        {
            if (!seen.Add(dependency.SourceId) || !tree.Builds.TryGetValue(dependency.SourceId, out var own)) continue;
            var source = Inheritance.Tolerant(tree, own);
            entries.AddRange(source.VcsEntries);
            foreach (var next in source.SnapshotDependencies) open.Enqueue(next);
        }
        return [.. entries.DistinctBy(entry => entry.RootId)];
    }

    // As many as a person reads in one line.
    private static string Some(List<string> all) =>
        string.Join(", ", all.Take(8)) + (all.Count > 8 ? $" and {all.Count - 8} more" : "");

    // Templates and builds elsewhere on the server may bring VCS roots.
    private static bool IsWhole(SettingsTree tree, BuildConfiguration build) =>
        Inheritance.TemplatesOf(tree, build)
            .Concat(build.SnapshotDependencies.Select(dependency => dependency.SourceId))
            .All(tree.Builds.ContainsKey);

    /// <summary>What running one configuration by hand queues.</summary>
    /// <exception cref="UsageException">There is no such configuration, or it does not build that branch.</exception>
    public static ChainPlan ByHand(SettingsTree tree, string buildId, string branch)
    {
        if (!tree.Builds.TryGetValue(buildId, out var own))
            throw new UsageException($"there is no build configuration \"{buildId}\" in {tree.Folder}");
        var build = Inheritance.Tolerant(tree, own);
        if (build.IsTemplate) throw new UsageException($"\"{buildId}\" is a template; name a build configuration");
        var found = Find(tree, build, branch)
            ?? throw new UsageException($"the VCS root of \"{buildId}\" does not admit the branch \"{branch}\"");
        var filter = FilterOf(tree, build);
        return filter.Takes(found.Name, found.IsDefault) ? Queue(tree, found, [buildId])
            : throw new UsageException(
                $"\"{buildId}\" does not build the branch \"{branch}\": its branch filter is {filter.Shown}");
    }

    /// <summary>
    /// The branch as the configuration's VCS roots name it: the first that admits it decides; null when none does.
    /// </summary>
    /// <param name="tree">The settings. What a root elsewhere on the server admits nobody here knows: it takes the branch as it
    /// is named.</param>
    /// <param name="build">The configuration, templates merged in.</param>
    /// <param name="branch">A logical or full name, or <c>&lt;default&gt;</c>.</param>
    public static ChainBranch? Find(SettingsTree tree, BuildConfiguration build, string branch)
    {
        var specs = SpecsOf(tree, build);
        return specs.Select(spec => Find(spec, branch)).FirstOrDefault(found => found is not null)
            ?? (specs.Count == 0 || specs.Count < build.VcsEntries.Count
                ? new ChainBranch(branch, branch, branch is "<default>" or "")
                : null);
    }

    private static ChainBranch? Find(BranchSpec spec, string branch)
    {
        if (branch is "<default>" or "") return new(spec.LogicalName(spec.DefaultRef)!, spec.DefaultRef, true);
        var full = branch.StartsWith("refs/", StringComparison.Ordinal) ? branch : "refs/heads/" + branch;
        if (spec.LogicalName(full) is { } name) return new(name, full, full == spec.DefaultRef);
        // A logical name may be only the part that a star stood for.
        return spec.FullName(branch) is { } found ? new(branch, found, found == spec.DefaultRef) : null;
    }

    /// <summary>What a member builds when the chain builds a branch that is not a default one.</summary>
    public static MemberBranch MemberOf(SettingsTree tree, BuildConfiguration build, ChainBranch branch)
    {
        var specs = SpecsOf(tree, build);
        if (specs.Count == 0
            || specs.Count < build.VcsEntries.Count
            || specs.Any(spec => spec.LogicalName(branch.FullName) == branch.Name))
            return new(branch.FullName, FallsBack: true);
        return new(
            specs.Select(spec => spec.FullName(branch.Name)).FirstOrDefault(found => found is not null),
            specs.All(spec => spec.FallsBackToDefault));
    }

    /// <summary>Which branches the configuration builds at all.</summary>
    public static BranchFilter FilterOf(SettingsTree tree, BuildConfiguration build) =>
        new(Resolve(tree, build, build["branchFilter"]));

    /// <summary>The root's branch specification, as written.</summary>
    public static BranchSpec SpecOf(VcsRoot root) =>
        new(root.Parameters["branch"] ?? "refs/heads/master", root.Parameters["teamcity:branchSpec"] ?? "");

    /// <summary>
    /// The branch specifications of the configuration's roots that are in the tree; its parameters are filled in.
    /// </summary>
    public static IReadOnlyList<BranchSpec> SpecsOf(SettingsTree tree, BuildConfiguration build) =>
        [.. build.VcsEntries.Where(entry => tree.VcsRoots.ContainsKey(entry.RootId)).Select(entry => tree.VcsRoots[entry.RootId])
            .Select(
                root => new BranchSpec(
                    Resolve(tree, build, root.Parameters["branch"]) ?? "refs/heads/master",
                    Resolve(tree, build, root.Parameters["teamcity:branchSpec"]) ?? ""))];

    private static string? Resolve(SettingsTree tree, BuildConfiguration build, string? text) =>
        text is null || !text.Contains('%', StringComparison.Ordinal)
            ? text
            : new BuildParameters(tree, build, "").ResolveKnown(text);

    private static bool IsArchived(SettingsTree tree, BuildConfiguration build) =>
        tree.Ancestry(build.ProjectId).Any(project => project.IsArchived);

    private static ChainPlan Queue(SettingsTree tree, ChainBranch branch, IReadOnlyList<string> tops)
    {
        var ordered = new List<BuildConfiguration>();
        var done = new HashSet<string>(StringComparer.Ordinal);
        var path = new List<string>();
        var gaps = new List<string>();
        foreach (var top in tops) Visit(top);
        return new ChainPlan(branch, tops, ordered) { Gaps = gaps };

        void Visit(string id)
        {
            if (!done.Add(id)) return;
            var own = tree.Builds[id];
            foreach (var template in Inheritance
                .TemplatesOf(tree, own)
                .Where(template => !tree.Builds.TryGetValue(template, out var found) || !found.IsTemplate))
                gaps.Add($"{own.At}: \"{id}\" uses the template \"{template}\", which is not in {tree.Folder}");
            var build = Inheritance.Tolerant(tree, own);
            foreach (var entry in build.VcsEntries.Where(entry => !tree.VcsRoots.ContainsKey(entry.RootId)))
                gaps.Add($"{entry.At}: \"{id}\" has the VCS root \"{entry.RootId}\", which is not in {tree.Folder}");
            path.Add(id);
            foreach (var dependency in build.SnapshotDependencies)
            {
                if (!tree.Builds.ContainsKey(dependency.SourceId))
                    gaps.Add($"{dependency.At}: \"{id}\" depends on \"{dependency.SourceId}\", which is not in {tree.Folder}");
                else if (path.IndexOf(dependency.SourceId) is >= 0 and var from)
                    throw new UsageException(
                        "the snapshot dependencies go in a circle: " +
                        $"{string.Join(" -> ", [.. path[from..], dependency.SourceId])}");
                else Visit(dependency.SourceId);
            }
            path.RemoveAt(path.Count - 1);
            ordered.Add(build);
        }
    }
}
