namespace CiSteps.Clusters;

/// <summary>Something that keeps a roll-out or a test run from succeeding.</summary>
/// <param name="Key">Same trouble, same key: tells how long it lasts.</param>
/// <param name="IsPermanent">Whether waiting cannot help.</param>
/// <param name="Failure">What to say if it stays.</param>
internal sealed record Trouble(string Key, bool IsPermanent, StepFailure Failure);

/// <summary>What a roll-out is at, as judged from a <see cref="RolloutView"/>.</summary>
/// <param name="IsDone">Only new, healthy, proved pods serve.</param>
/// <param name="Waiting">What is missing, for people; empty when done.</param>
/// <param name="Troubles">What stands in the way.</param>
/// <param name="Pods">The new revision's pods.</param>
/// <param name="RunningDigest">What they run.</param>
internal sealed record RolloutState(
    bool IsDone,
    string Waiting,
    IReadOnlyList<Trouble> Troubles,
    IReadOnlyList<string> Pods,
    string? RunningDigest)
{
    /// <summary>Whether a new pod's containers all run and it is not ready all the same.</summary>
    public bool HasOwnUnready { get; init; }

    /// <summary>The new revision's pods, one by one; those that have ended too.</summary>
    public IReadOnlyList<PodHealth> Health { get; init; } = [];
}
