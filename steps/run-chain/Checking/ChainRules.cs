using CiSteps.RunChain.Chains;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>Chains as a whole: who starts them, what they hand on, what they reuse.</summary>
internal static class ChainRules
{
    // What these do to the world is done by this build or not at all.
    private static readonly string[] SideEffects = ["reserve-testbed", "integration-deploy", "merge", "certify", "promote"];

    public static IEnumerable<Finding> Check(SettingsTree tree)
    {
        var builds = tree.Builds.Values.Where(build => !build.IsTemplate).Select(build => Inheritance.Tolerant(tree, build)).ToDictionary(build => build.Id, StringComparer.Ordinal);
        var upstream = builds.ToDictionary(pair => pair.Key, pair => ReferenceRules.Upstream(tree, pair.Value), StringComparer.Ordinal);
        var hasDependants = builds.Values.SelectMany(build => build.SnapshotDependencies).Select(dependency => dependency.SourceId).ToHashSet(StringComparer.Ordinal);
        foreach (var build in builds.Values)
        {
            foreach (var dependency in build.ArtifactDependencies.Where(dependency => dependency.RevisionRule == "sameChainOrLastFinished" && !upstream[build.Id].Contains(dependency.SourceId)))
                yield return new(dependency.At, "same-chain", Severity.Warning,
                    $"\"{build.Id}\" takes artifacts of \"{dependency.SourceId}\" from the same chain, but has no snapshot dependency on it: it would get those of any last finished build");
            foreach (var dependency in build.SnapshotDependencies.Where(dependency => dependency["take-started-build-with-same-revisions"] == "true"))
                if (builds.TryGetValue(dependency.SourceId, out var source) && SideEffectOf(source) is { } effect)
                    yield return new(dependency.At, "reuse", effect == "deploys" ? Severity.Warning : Severity.Error, $"\"{build.Id}\" may reuse a build of \"{source.Id}\", which {effect}: what it did may be gone; switch take-started-build-with-same-revisions off");
            if (upstream[build.Id].Count == 0 || hasDependants.Contains(build.Id)) continue;
            foreach (var finding in Triggers(tree, build, builds, upstream[build.Id])) yield return finding;
        }
    }

    private static IEnumerable<Finding> Triggers(SettingsTree tree, BuildConfiguration last, Dictionary<string, BuildConfiguration> builds, IReadOnlySet<string> upstream)
    {
        var members = upstream.Where(builds.ContainsKey).Select(id => builds[id]).ToList();
        var inside = members.SelectMany(member => member.Triggers.Where(trigger => trigger.Type == "vcsTrigger").Select(trigger => (Member: member, Trigger: trigger))).ToList();
        var own = last.Triggers.Where(trigger => trigger.Type == "vcsTrigger").ToList();
        if (last.Triggers.Count == 0 && inside.Count == 0 && !last.IsPaused)
            yield return new(last.At, "chain-trigger", Severity.Warning, $"nothing starts the chain of \"{last.Id}\": neither it nor what it depends on has a trigger");
        if (own.Count > 0)
            foreach (var (member, trigger) in inside)
                yield return new(trigger.At, "chain-trigger", Severity.Warning, $"\"{member.Id}\" has a VCS trigger, and so has \"{last.Id}\" at the end of its chain: each push starts it twice; keep the last one's");
        var roots = members.Append(last).SelectMany(member => member.VcsEntries).Select(entry => entry.RootId).Distinct().Count();
        if (roots > 1 && own.Any(trigger => trigger.Parameters["watchChangesInDependencies"] != "true"))
            yield return new(own[0].At, "chain-trigger", Severity.Warning, $"the chain of \"{last.Id}\" has {roots} VCS roots; without watchChangesInDependencies a change in another one's does not start it");
    }

    private static string? SideEffectOf(BuildConfiguration build)
    {
        if (string.Equals(build["buildConfigurationType"], "DEPLOYMENT", StringComparison.OrdinalIgnoreCase)) return "deploys";
        foreach (var runner in build.Runners)
            if (CiStepsOf(runner) is { } step && SideEffects.Contains(step)) return $"runs {step}";
        return null;
    }

    /// <summary>The step that a runner starts, by its command's name; null for another command.</summary>
    internal static string? CiStepsOf(Runner runner)
    {
        var command = runner.Parameters["command.executable"] ?? "";
        var name = command[(command.LastIndexOfAny(['/', '\\']) + 1)..];
        if (name.EndsWith(".exe", StringComparison.OrdinalIgnoreCase)) name = name[..^4];
        return name is "unit-test" or "image-build" or "run-chain" || SideEffects.Contains(name) ? name : null;
    }
}
