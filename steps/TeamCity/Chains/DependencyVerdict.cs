using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Chains;

/// <summary>Where a build stands.</summary>
public enum BuildState
{
    /// <summary>Waits for others, or for an agent.</summary>
    Queued,

    /// <summary>On an agent.</summary>
    Running,

    /// <summary>Finished without a problem.</summary>
    Succeeded,

    /// <summary>Finished with a problem.</summary>
    Failed,

    /// <summary>Never ran, as something before it failed or no agent fits.</summary>
    FailedToStart,

    /// <summary>Stopped, or never started as the chain was stopped.</summary>
    Cancelled,
}

/// <summary>What a build does about the end of those that it depends on.</summary>
public enum DependencyVerdict
{
    /// <summary>It runs.</summary>
    Run,

    /// <summary>It runs, and has a problem from the start.</summary>
    RunWithProblem,

    /// <summary>It is cancelled.</summary>
    Cancel,

    /// <summary>It fails to start.</summary>
    FailToStart,
}

/// <summary>Applies the dependency-failure options.</summary>
public static class DependencyVerdicts
{
    private const string Failed = "run-build-if-dependency-failed";
    private const string NotStarted = "run-build-if-dependency-failed-to-start";

    /// <summary>What one dependency's end means.</summary>
    public static DependencyVerdict Of(SnapshotDependency dependency, BuildState state) => state switch
    {
        BuildState.Succeeded => DependencyVerdict.Run,
        BuildState.Failed => Read(dependency[Failed]),
        _ => Read(dependency[NotStarted]),
    };

    /// <summary>What all of them mean together: the hardest wins.</summary>
    public static DependencyVerdict Of(IEnumerable<(SnapshotDependency Dependency, BuildState State)> all) =>
        all.Select(entry => Of(entry.Dependency, entry.State)).DefaultIfEmpty(DependencyVerdict.Run).Max();

    /// <summary>Whether the build runs however its dependencies end: a chain's terminal configuration.</summary>
    public static bool RunsWhatever(BuildConfiguration build) =>
        build.SnapshotDependencies.Count > 0 && build.SnapshotDependencies.All(dependency =>
            Read(dependency[Failed]) <= DependencyVerdict.RunWithProblem
                && Read(dependency[NotStarted]) <= DependencyVerdict.RunWithProblem);

    // Servers before 9.0 wrote true and false.
    private static DependencyVerdict Read(string? option) => option switch
    {
        "RUN" or "true" => DependencyVerdict.Run,
        "RUN_ADD_PROBLEM" => DependencyVerdict.RunWithProblem,
        "CANCEL" => DependencyVerdict.Cancel,
        _ => DependencyVerdict.FailToStart,
    };
}
