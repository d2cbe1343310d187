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
}

/// <summary>A workload as it is in a target.</summary>
/// <param name="Digest">Digest in its container's image; null when the image has none.</param>
/// <param name="Recorded">Digest that the last promotion wrote down; null when there was none.</param>
/// <param name="Fingerprint">Of the manifests that the last promotion applied; null when there was none.</param>
internal sealed record LiveWorkload(string? Digest, string? Recorded, string? Fingerprint);

/// <summary>One line of a target's history.</summary>
internal sealed record HistoryEntry(string Digest, string? Previous, string Commit, string Build, string Who, string When, string Result);

/// <summary>What promote asks of a production cluster.</summary>
internal interface IProduction : IDisposable
{
    /// <summary>The workload; null when it is not there yet.</summary>
    Task<LiveWorkload?> FindAsync(WorkloadDefinition workload, string ns, CancellationToken cancel);

    /// <summary>The objects of a set as they are in the cluster now, ready to be applied again; those that are not there are left out.</summary>
    Task<ManifestSet> SnapshotAsync(ManifestSet manifests, CancellationToken cancel);

    /// <summary>Applies manifests; null when they are in the cluster.</summary>
    Task<StepFailure?> ApplyAsync(ManifestSet manifests, CancellationToken cancel);

    /// <summary>Waits for a roll-out.</summary>
    Task<RolloutResult> RollOutAsync(RolloutTarget target, CancellationToken cancel);

    /// <summary>Asks a health gate once; null when it is healthy, else what came back.</summary>
    Task<string?> AskAsync(GateDefinition gate, string ns, CancellationToken cancel);

    /// <summary>What was promoted of a component into the namespace, newest first.</summary>
    Task<IReadOnlyList<HistoryEntry>> HistoryAsync(string ns, string component, CancellationToken cancel);

    /// <summary>Adds to the history.</summary>
    Task RecordAsync(string ns, string component, HistoryEntry entry, CancellationToken cancel);

    /// <summary>Collects what the namespace looks like.</summary>
    Task DiagnoseAsync(string ns, string folder, CancellationToken cancel);
}

/// <summary>How promote reaches the world; tests give their own.</summary>
internal sealed record Ports(
    Func<StepContext, PipelineDefinition, IImages> Images,
    Func<string, BuildLog, TimeProvider, CancellationToken, Task<IProduction>> Connect);
