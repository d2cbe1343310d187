using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.IntegrationDeploy;

/// <summary>What the step asks of registries.</summary>
internal interface IImages : IDisposable
{
    /// <summary>The digest behind a tag or digest; null when there is none.</summary>
    Task<string?> FindDigestAsync(ImageReference image, CancellationToken cancel);

    /// <summary>All digests under which a node may name this image: the index's, the platform manifests', the configs'.</summary>
    /// <param name="image">The image by its digest.</param>
    /// <param name="cancel">Gives up.</param>
    Task<IReadOnlyCollection<string>> DigestsOfAsync(ImageReference image, CancellationToken cancel);
}

/// <summary>What the step asks of the testbed pool.</summary>
internal interface IPool : IDisposable
{
    /// <summary>
    /// Verifies that the claim is really held, takes a lapsed one anew, and keeps it alive until it is given back.
    /// </summary>
    Task<ITestbed> PickUpAsync(HeldTestbed held, CancellationToken cancel);
}

/// <summary>A testbed that this step works on.</summary>
internal interface ITestbed : IAsyncDisposable
{
    /// <summary>As it is held now; a lapsed lease has another number and maybe another testbed.</summary>
    HeldTestbed Held { get; }

    /// <summary>Content of a kubeconfig with the lease's credentials.</summary>
    string Kubeconfig { get; }

    /// <summary>Whether the testbed is a whole cluster or the one namespace.</summary>
    TestbedScope Scope { get; }

    /// <summary>The testbed's namespace when it is one; null otherwise.</summary>
    string? Namespace { get; }

    /// <summary>Cancelled when the lease is lost: the testbed is somebody else's from then on.</summary>
    CancellationToken Lost { get; }

    /// <summary>Gives it back.</summary>
    Task ReleaseAsync(CancellationToken cancel);
}

/// <summary>What the step asks of a testbed's cluster.</summary>
internal interface ITestCluster : IDisposable
{
    /// <summary>Makes the namespace afresh: what an earlier run left in it is removed.</summary>
    Task PrepareAsync(
        string ns,
        TestbedScope scope,
        IReadOnlyDictionary<string, string> labels,
        DateTimeOffset expires,
        CancellationToken cancel);

    /// <summary>Applies manifests; null when they are in the cluster.</summary>
    Task<StepFailure?> ApplyAsync(ManifestSet manifests, CancellationToken cancel);

    /// <summary>Waits for a roll-out.</summary>
    Task<RolloutResult> RollOutAsync(RolloutTarget target, BuildLog log, CancellationToken cancel);

    /// <summary>Runs a test job.</summary>
    Task<TestJobResult> RunJobAsync(
        Manifest job, TimeSpan timeLimit, BuildLog log, Action<string> onLine, CancellationToken cancel);

    /// <summary>Collects what the namespace looks like.</summary>
    Task DiagnoseAsync(string ns, string folder, BuildLog log, CancellationToken cancel);

    /// <summary>Removes all that was deployed and waits for it to be gone.</summary>
    Task CleanAsync(
        string ns, TestbedScope scope, IReadOnlyDictionary<string, string> labels, TimeSpan limit, CancellationToken cancel);
}

/// <summary>How the step reaches the world; tests give their own.</summary>
/// <param name="Images">Opens the registries.</param>
/// <param name="Pool">Opens the pool.</param>
/// <param name="Connect">Connects to a testbed's cluster.</param>
internal sealed record Ports(
    Func<StepContext, PipelineDefinition, IImages> Images,
    Func<StepContext, CancellationToken, Task<IPool>> Pool,
    Func<string, BuildLog, TimeProvider, CancellationToken, Task<ITestCluster>> Connect);
