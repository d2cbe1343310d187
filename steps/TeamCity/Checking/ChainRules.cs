using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>Chains as a whole: who starts them, what they hand on, what they reuse.</summary>
internal static class ChainRules
{
    // What these do to the world is done by this build or not at all.
    private static readonly string[] SideEffects = ["reserve-testbed", "integration-deploy", "merge", "certify", "promote"];

    public static IEnumerable<Finding> Check(EffectiveTree tree)
    {
        var hasDependants = tree.Builds.Values.SelectMany(build => build.SnapshotDependencies)
            .Select(dependency => dependency.SourceId)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var build in tree.Builds.Values)
        {
            var sameChain = build.ArtifactDependencies
                .Where(dependency => dependency.RevisionRule == "sameChainOrLastFinished")
                .ToList();
            if (sameChain.Count > 0)
            {
                var upstream = tree.Upstream(build);
                foreach (var dependency in sameChain.Where(dependency => !upstream.Contains(dependency.SourceId)))
                    yield return new(dependency.At, "same-chain", Severity.Warning,
                        $"\"{build.Id}\" takes artifacts of \"{dependency.SourceId}\" from the same chain, " +
                        "but has no snapshot dependency on it: it would get those of any last finished build");
            }
            foreach (var dependency in build.SnapshotDependencies.Where(
                dependency => dependency["take-started-build-with-same-revisions"] == "true"))
                if (tree.Builds.TryGetValue(dependency.SourceId, out var source) && SideEffectOf(tree, source) is { } effect)
                    yield return new(dependency.At, "reuse", effect == "deploys" ? Severity.Warning : Severity.Error,
                        $"\"{build.Id}\" may reuse a build of \"{source.Id}\", which {effect}: what it did may be gone; " +
                        "switch take-started-build-with-same-revisions off");
            foreach (var trigger in build.Triggers.Where(
                trigger => trigger.Type == "vcsTrigger"
                    && ChainPlanner.Watched(tree.Tree, build, trigger).Count == 0
                    && tree.IsKnownUpstream(build)))
                yield return new(trigger.At, "trigger", Severity.Warning,
                    $"the VCS trigger of \"{build.Id}\" never fires: it watches no VCS root; attach one, " +
                    "or watch the changes of what is before it (watchChangesInDependencies)");
            if (build.SnapshotDependencies.Count == 0 || hasDependants.Contains(build.Id)) continue;
            foreach (var finding in Triggers(tree, build)) yield return finding;
        }
    }

    private static IEnumerable<Finding> Triggers(EffectiveTree tree, BuildConfiguration last)
    {
        var members = tree.Upstream(last).Where(tree.Builds.ContainsKey).Select(id => tree.Builds[id]).ToList();
        var inside = members
            .SelectMany(
                member => member.Triggers
                    .Where(trigger => trigger.Type == "vcsTrigger")
                    .Select(trigger => (Member: member, Trigger: trigger)))
            .ToList();
        var own = last.Triggers.Where(trigger => trigger.Type == "vcsTrigger").ToList();
        if (last.Triggers.Count == 0
            && members.All(member => member.Triggers.Count == 0)
            && !last.IsPaused
            && tree.IsKnownUpstream(last))
            yield return new(last.At, "chain-trigger", Severity.Warning,
                $"nothing starts the chain of \"{last.Id}\": neither it nor what it depends on has a trigger");
        foreach (var (member, trigger) in inside)
        {
            if (own.Count > 0)
                yield return new(trigger.At, "chain-trigger", Severity.Warning,
                    $"\"{member.Id}\" has a VCS trigger, and so has \"{last.Id}\" at the end of its chain: " +
                    "each push starts it twice; keep the last one's");
            else if (last.Triggers.Count == 0)
                yield return new(trigger.At, "chain-trigger", Severity.Warning,
                    $"the VCS trigger of \"{member.Id}\" starts only what is before it in the chain; \"{last.Id}\", the last, " +
                    "has none: put it there");
        }
        if (own.Count > 1)
            yield return new(own[^1].At, "chain-trigger", Severity.Warning,
                $"\"{last.Id}\" has {own.Count} VCS triggers: a push that more than one takes starts the chain more than once");
        var roots = members.Append(last).SelectMany(member => member.VcsEntries).Select(entry => entry.RootId).Distinct().Count();
        if (roots > 1 && own.Any(trigger => trigger.Parameters["watchChangesInDependencies"] != "true"))
            yield return new(own[0].At, "chain-trigger", Severity.Warning,
                $"the chain of \"{last.Id}\" has {roots} VCS roots; without watchChangesInDependencies a change in another " +
                "one's does not start it");
    }

    private static string? SideEffectOf(EffectiveTree tree, BuildConfiguration build)
    {
        if (StepCalls.Of(tree.Tree, build).FirstOrDefault(call => SideEffects.Contains(call.Step)) is { } call)
            return $"runs {call.Step}";
        return string.Equals(build["buildConfigurationType"], "DEPLOYMENT", StringComparison.OrdinalIgnoreCase)
            ? "deploys"
            : null;
    }
}
