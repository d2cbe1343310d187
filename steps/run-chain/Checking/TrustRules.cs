using CiSteps.RunChain.Branches;
using CiSteps.RunChain.Chains;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>Trust: what a private branch's code can reach.</summary>
internal static class TrustRules
{
    private const string GitToken = "env.CISTEPS_GIT_TOKEN";

    // A private branch whose name nobody chose.
    private const string AnyBranch = "ci/some-branch";

    private static readonly string[] ReleaseSecrets = ["env.CISTEPS_SIGNING_KEY", "env.CISTEPS_PRODUCTION_"];

    public static IEnumerable<Finding> Check(SettingsTree tree)
    {
        var builds = tree.Builds.Values.Where(build => !build.IsTemplate).Select(build => Inheritance.Tolerant(tree, build)).ToList();
        var released = builds.Where(build => !BuildsBranches(build)).ToDictionary(build => build.Id, StringComparer.Ordinal);
        var hasRelease = false;
        foreach (var build in builds)
        {
            var steps = build.Runners.Select(ChainRules.CiStepsOf).OfType<string>().ToList();
            hasRelease |= steps.Any(step => step is "certify" or "promote");
            if (!BuildsBranches(build)) continue;
            foreach (var step in steps.Where(step => step is "certify" or "promote"))
                yield return new(build.At, "release-on-branch", Severity.Error, $"\"{build.Id}\" runs {step} and builds private branches; its branchFilter must be +:<default>");
            if (steps.Count == 0) continue;
            foreach (var parameter in tree.Ancestry(build.ProjectId).SelectMany(project => project.Parameters.All).Concat(build.Parameters.All))
            {
                if (ReleaseSecrets.Any(secret => parameter.Name.StartsWith(secret, StringComparison.Ordinal)))
                    yield return new(parameter.At, "release-secret", Severity.Error, $"\"{build.Id}\" builds private branches and can read \"{parameter.Name}\"; such secrets belong to the release side only");
                if (parameter.Name == GitToken && !steps.Contains("merge"))
                    yield return new(parameter.At, "release-secret", Severity.Error, $"\"{build.Id}\" can read \"{GitToken}\", the right to push the target branch; only the configuration that runs merge may");
            }
            foreach (var dependency in build.SnapshotDependencies.Where(dependency => released.ContainsKey(dependency.SourceId)))
                yield return new(dependency.At, "release-on-branch", Severity.Error, $"\"{build.Id}\" builds private branches and depends on \"{dependency.SourceId}\" of the release side");
        }
        if (!hasRelease) yield break;
        foreach (var extension in tree.Projects.Values.SelectMany(project => project.Extensions).Where(extension => extension.Type == "versionedSettings"))
            if (extension.Parameters["enabled"] == "true" && extension.Parameters["buildSettings"] != "ALWAYS_USE_CURRENT")
                yield return new(extension.At, "settings-from-branch", Severity.Error, "builds may take their settings from the branch that they build (buildSettings); with release secrets on this server it must be ALWAYS_USE_CURRENT");
    }

    private static bool BuildsBranches(BuildConfiguration build) => new BranchFilter(build["branchFilter"]).Takes(AnyBranch, isDefault: false);
}
