using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>
/// The cluster's controllers: everything that a real cluster's controller manager does for the kinds that have behaviour here.
/// </summary>
/// <param name="time">The clock of deadlines and delays.</param>
/// <param name="report">Takes one line per unforeseen failure; null for nobody.</param>
/// <param name="authorityPem">The API server's certificate authority, published in each namespace as kube-root-ca.crt; null to
/// leave that out.</param>
internal sealed class ControllerSet(TimeProvider time, Action<string>? report = null, string? authorityPem = null)
    : IClusterComponent
{
    /// <inheritdoc />
    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var feed = new ClusterFeed(api, time);
        var tell = report ?? (static _ => { });
        ReconcileLoop[] loops =
        [
            new NamespaceFurnisher(api, feed, time, tell, authorityPem).Loop,
            new DeploymentController(api, feed, time, tell).Loop,
            new ReplicaSetController(api, feed, time, tell).Loop,
            new JobController(api, feed, time, tell).Loop,
            new StatefulSetController(api, feed, time, tell).Loop,
            new DaemonSetController(api, feed, time, tell).Loop,
            new EndpointController(api, feed, time, tell).Loop,
            new QuotaController(api, feed, time, tell).Loop,
            new DisruptionController(api, feed, time, tell).Loop,
            new ClaimBinder(api, feed, time, tell).Loop,
        ];
        try
        {
            await Task.WhenAll([feed.RunAsync(cancel), .. loops.Select(l => l.RunAsync(cancel))]).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The cluster stops.
        }
        finally
        {
            foreach (var loop in loops)
                loop.Dispose();
        }
    }
}
