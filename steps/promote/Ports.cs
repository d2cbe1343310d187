using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>What promote asks of registries.</summary>
internal interface IImages : IDisposable
{
    /// <summary>The digest behind a tag or digest; null when there is none.</summary>
    Task<string?> FindDigestAsync(ImageReference image, CancellationToken cancel);

    /// <summary>All digests under which a node may name this image.</summary>
    Task<IReadOnlyCollection<string>> DigestsOfAsync(ImageReference image, CancellationToken cancel);

    /// <summary>The commit that an image was built from, by its label; null when unknown.</summary>
    Task<string?> CommitOfAsync(ImageReference image, CancellationToken cancel);

    /// <summary>Points a tag to a digest, if it points to what is expected (null: to nothing) or there already.</summary>
    /// <returns>Whether it points there now.</returns>
    Task<bool> TagAsync(ImageReference tag, string digest, string? expected, CancellationToken cancel);

    /// <summary>Takes a tag away, if it points to what is expected.</summary>
    /// <returns>Null when it does not point there any more; else why it does.</returns>
    Task<string?> UntagAsync(ImageReference tag, string expected, CancellationToken cancel);
}

/// <summary>A workload as it is in a target.</summary>
/// <param name="Digest">Digest in its container's image; null when the image has none.</param>
/// <param name="Recorded">Digest that the last promotion wrote down; null when there was none.</param>
/// <param name="Fingerprint">Of the manifests that the last promotion applied; null when there was none.</param>
internal sealed record LiveWorkload(string? Digest, string? Recorded, string? Fingerprint);

/// <summary>One answer of a health gate.</summary>
/// <param name="IsHealthy">Whether it is what the gate asks for.</param>
/// <param name="Text">What came back, for people.</param>
/// <param name="IsOwn">Whether the service itself said it.</param>
internal sealed record GateAnswer(bool IsHealthy, string Text, bool IsOwn = true)
{
    public static GateAnswer Healthy { get; } = new(true, "healthy");
}

/// <summary>Another one may not write to a place as long as this is held.</summary>
internal interface IHold : IAsyncDisposable
{
    /// <summary>Cancelled when somebody else has it, or may have it.</summary>
    CancellationToken Lost { get; }
}

/// <summary>What promote asks of a production cluster. All of it ends with <see cref="UnavailableException"/> when the cluster
/// is not to be had.</summary>
internal interface IProduction : IDisposable
{
    /// <summary>Takes the lease of a workload, renews it until it is disposed of, and gives it back then.</summary>
    /// <param name="place">The namespace's own manifest may be applied where the namespace does not exist yet.</param>
    /// <param name="holder">Who takes it, for people; another each time.</param>
    /// <param name="duration">How long it lasts when its holder dies.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException">Somebody else has it; says who, and until when.</exception>
    Task<IHold> HoldAsync(Destination place, string holder, TimeSpan duration, CancellationToken cancel);

    /// <summary>Rights that are needed there and that this user does not have, for people; empty when it has all.</summary>
    Task<IReadOnlyList<string>> LackAsync(Destination place, CancellationToken cancel);

    /// <summary>The workload; null when it is not there yet.</summary>
    Task<LiveWorkload?> FindAsync(WorkloadDefinition workload, string ns, CancellationToken cancel);

    /// <summary>What is missing for a workload to be rolled out and serve; null when it does.</summary>
    Task<string?> LookAsync(RolloutTarget target, CancellationToken cancel);

    /// <summary>The objects of a set as they are in the cluster now, ready to be applied again; those that are not there are
    /// left out.</summary>
    Task<ManifestSet> SnapshotAsync(ManifestSet manifests, CancellationToken cancel);

    /// <summary>Applies manifests; null when they are in the cluster. Their Jobs come before their workloads and are waited
    /// for.</summary>
    Task<StepFailure?> ApplyAsync(ManifestSet manifests, TimeSpan jobLimit, CancellationToken cancel);

    /// <summary>Takes a workload away; what else its manifests made stays.</summary>
    Task RemoveAsync(WorkloadDefinition workload, string ns, CancellationToken cancel);

    /// <summary>Waits for a roll-out.</summary>
    Task<RolloutResult> RollOutAsync(RolloutTarget target, CancellationToken cancel);

    /// <summary>Watches the new pods until it is cancelled, or until one restarts, ends or is not ready any more.</summary>
    Task<StepFailure> GuardAsync(RolloutTarget target, CancellationToken cancel);

    /// <summary>Asks a health gate once.</summary>
    /// <exception cref="UnavailableException">There was no answer.</exception>
    Task<GateAnswer> AskAsync(GateDefinition gate, string ns, CancellationToken cancel);

    /// <summary>What was promoted of a component into the namespace, newest first.</summary>
    /// <exception cref="RefusedException">It is there and cannot be read.</exception>
    Task<IReadOnlyList<HistoryEntry>> HistoryAsync(string ns, string component, CancellationToken cancel);

    /// <summary>Adds to the history, in place of the newest entry where that says what was under way. Twice is once.</summary>
    Task RecordAsync(string ns, string component, HistoryEntry entry, CancellationToken cancel);

    /// <summary>Collects what the namespace looks like.</summary>
    Task DiagnoseAsync(string ns, string folder, CancellationToken cancel);
}

/// <summary>How promote reaches the world; tests give their own.</summary>
internal sealed record Ports(
    Func<StepContext, PipelineDefinition, IImages> Images,
    Func<string, BuildLog, TimeProvider, CancellationToken, Task<IProduction>> Connect);
