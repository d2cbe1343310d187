namespace CiSteps.Clusters;

/// <summary>What is to be rolled out, and when it counts as done.</summary>
/// <param name="Kind"><c>Deployment</c>, <c>StatefulSet</c> or <c>DaemonSet</c>.</param>
/// <param name="Namespace">Namespace.</param>
/// <param name="Name">Name.</param>
/// <param name="Container">Container whose image is proved; null: no proof asked.</param>
/// <param name="Digests">Digests that the running image may show: the index's, the platform manifest's, the config's. Empty: no
/// proof asked.</param>
/// <param name="TimeLimit">For the whole roll-out.</param>
public sealed record RolloutTarget(
    string Kind,
    string Namespace,
    string Name,
    string? Container,
    IReadOnlyCollection<string> Digests,
    TimeSpan TimeLimit)
{
    /// <summary>How often a container may crash before the roll-out counts as failed.</summary>
    public int MostRestarts { get; init; } = 2;

    /// <summary>
    /// How long what may mend itself (an unreachable registry, a missing volume, a full cluster) is waited for; never longer than
    /// the time limit.
    /// </summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Kind and name, for people.</summary>
    public string Title => $"{Kind} \"{Namespace}/{Name}\"";
}

/// <summary>How a roll-out ended.</summary>
/// <param name="Failure">Why it failed; null when only new pods serve.</param>
/// <param name="Pods">Names of the new revision's pods.</param>
/// <param name="RunningDigest">The digest that the pods show for the container; null when unknown.</param>
public sealed record RolloutResult(StepFailure? Failure, IReadOnlyList<string> Pods, string? RunningDigest);
