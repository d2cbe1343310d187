using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>Trust: what a private branch's code can reach.</summary>
internal static class TrustRules
{
    private const string GitToken = "env.CISTEPS_GIT_TOKEN";

    // A private branch whose name nobody chose.
    private const string AnyBranch = "ci/some-branch";

    private static readonly string[] ReleaseSecrets = ["env.CISTEPS_SIGNING_KEY", "env.CISTEPS_PRODUCTION_"];

    public static IEnumerable<Finding> Check(EffectiveTree tree)
    {
        var released = tree.Builds.Values.Where(build => !BuildsBranches(tree, build))
            .Select(build => build.Id)
            .ToHashSet(StringComparer.Ordinal);
        var releasing = new List<BuildConfiguration>();
        var onBranches = new List<BuildConfiguration>();
        foreach (var build in tree.Builds.Values)
        {
            var steps = StepCalls.Of(tree.Tree, build).Select(call => call.Step).Distinct().ToList();
            if (steps.Any(IsRelease)) releasing.Add(build);
            if (!BuildsBranches(tree, build)) continue;
            if (steps.Count > 0) onBranches.Add(build);
            foreach (var finding in OnBranch(tree, build, steps, released)) yield return finding;
        }
        if (releasing.Count == 0) yield break;
        foreach (var finding in SharedSecrets(tree, onBranches, releasing)) yield return finding;
        foreach (var extension in tree.Tree.Projects.Values
            .SelectMany(project => project.Extensions)
            .Where(extension => extension.Type == "versionedSettings"))
            if (extension.Parameters["enabled"] == "true" && extension.Parameters["buildSettings"] != "ALWAYS_USE_CURRENT")
                yield return new(extension.At, "settings-from-branch", Severity.Error,
                    "builds may take their settings from the branch that they build (buildSettings); " +
                    "with release secrets on this server it must be ALWAYS_USE_CURRENT");
    }

    private static IEnumerable<Finding> OnBranch(
        EffectiveTree tree, BuildConfiguration build, List<string> steps, HashSet<string> released)
    {
        foreach (var step in steps.Where(IsRelease))
            yield return new(build.At, "release-on-branch", Severity.Error,
                $"\"{build.Id}\" runs {step} and builds private branches; its branchFilter must be +:<default>");
        if (steps.Count == 0) yield break;
        foreach (var parameter in tree.ParametersAbove(build).Concat(build.Parameters.All))
        {
            if (ReleaseSecrets.Any(secret => parameter.Name.StartsWith(secret, StringComparison.Ordinal)))
                yield return new(parameter.At, "release-secret", Severity.Error,
                    $"\"{build.Id}\" builds private branches and can read \"{parameter.Name}\"; " +
                    "such secrets belong to the release side only");
            if (parameter.Name == GitToken && !steps.Contains("merge"))
                yield return new(parameter.At, "release-secret", Severity.Error,
                    $"\"{build.Id}\" can read \"{GitToken}\", the right to push the target branch; " +
                    "only the configuration that runs merge may");
        }
        foreach (var (sourceId, at) in build.SnapshotDependencies
            .Select(dependency => (dependency.SourceId, dependency.At))
            .Concat(build.ArtifactDependencies.Select(dependency => (dependency.SourceId, dependency.At))))
            if (released.Contains(sourceId))
                yield return new(at, "release-on-branch", Severity.Error,
                    $"\"{build.Id}\" builds private branches and depends on \"{sourceId}\" of the release side");
    }

    // A secret of a project is every configuration's below it.
    private static IEnumerable<Finding> SharedSecrets(
        EffectiveTree tree, List<BuildConfiguration> onBranches, List<BuildConfiguration> releasing)
    {
        var reached = releasing.SelectMany(tree.ParametersAbove).Where(parameter => parameter.IsPassword).ToHashSet();
        foreach (var build in onBranches)
            foreach (var parameter in tree.ParametersAbove(build).Where(reached.Contains))
                yield return new(parameter.At, "shared-secret", Severity.Warning,
                    $"both what builds private branches and what releases can read \"{parameter.Name}\"; " +
                    "give each side a secret of its own, in its own project");
    }

    private static bool IsRelease(string step) => step is "certify" or "promote";

    private static bool BuildsBranches(EffectiveTree tree, BuildConfiguration build) =>
        ChainPlanner.FilterOf(tree.Tree, build).Takes(AnyBranch, isDefault: false);
}
