using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Testbeds.Claims;

/// <summary>
/// A testbed in hand: its credentials, and the renewals that keep it. Disposing stops them and gives nothing back; see
/// <see cref="ITestbeds.ReleaseAsync"/>.
/// </summary>
public sealed class LeasedTestbed : IAsyncDisposable
{
    private readonly Func<CancellationToken, Task<string?>> renew;
    private readonly Func<ValueTask>? onDispose;
    private readonly TimeProvider time;
    private readonly BuildLog log;
    private readonly TimeSpan leaseDuration;
    private readonly CancellationTokenSource lost = new();
    private readonly CancellationTokenSource stop = new();
    private readonly Task renewing;
    private int disposed;

    /// <param name="held">What is held.</param>
    /// <param name="kubeconfig">Kubeconfig for as long as the lease holds, as YAML.</param>
    /// <param name="ns">The leased namespace; null for a whole cluster.</param>
    /// <param name="leaseDuration">How long a renewal holds; see <see cref="LeaseTimes.LeaseDuration"/>.</param>
    /// <param name="renew">Renews once; the result is null, or why the lease is lost. Broken connections are exceptions.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="log">Told when the lease is lost.</param>
    /// <param name="onDispose">Called at the end.</param>
    internal LeasedTestbed(
        HeldTestbed held,
        string kubeconfig,
        string? ns,
        TimeSpan leaseDuration,
        Func<CancellationToken, Task<string?>> renew,
        TimeProvider time,
        BuildLog log,
        Func<ValueTask>? onDispose = null)
    {
        (
            Held,
            Kubeconfig,
            Namespace,
            this.leaseDuration,
            this.renew,
            this.time,
            this.log,
            this.onDispose) = (held, kubeconfig, ns, leaseDuration, renew, time, log, onDispose);
        renewing = RenewUntilStoppedAsync();
    }

    /// <summary>The claim, the testbed and the lease's number.</summary>
    public HeldTestbed Held { get; }

    /// <summary>
    /// Text of a kubeconfig with the lease's own token. It ends with the lease and belongs in no file that outlives the step.
    /// </summary>
    public string Kubeconfig { get; }

    /// <summary>The one namespace that the lease is good for, with limits; null when the whole cluster is leased.</summary>
    public string? Namespace { get; }

    /// <summary>Whether the lease gives a whole cluster or one namespace.</summary>
    public TestbedScope Scope => Namespace is null ? TestbedScope.Cluster : TestbedScope.Namespace;

    /// <summary>Cancelled when the lease is lost: the testbed may belong to somebody else, so stop touching it.</summary>
    public CancellationToken Lost => lost.Token;

    /// <summary>Why the lease was lost; null while it is held.</summary>
    public string? LostBecause { get; private set; }

    /// <summary>Stops renewing.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 1) return;
        await stop.CancelAsync().ConfigureAwait(false);
        await renewing.ConfigureAwait(false);
        if (onDispose is not null) await onDispose().ConfigureAwait(false);
        stop.Dispose();
        lost.Dispose();
    }

    private async Task RenewUntilStoppedAsync()
    {
        var interval = leaseDuration / 3;
        // Counted from before the renewal was sent: our own end comes before the pool's.
        var renewed = time.GetTimestamp();
        try
        {
            while (true)
            {
                await Task.Delay(interval, time, stop.Token).ConfigureAwait(false);
                var sent = time.GetTimestamp();
                var left = leaseDuration - time.GetElapsedTime(renewed);
                if (left <= TimeSpan.Zero)
                {
                    await LoseAsync(
                        "the pool could not be reached for " +
                        $"{Hosting.Options.Durations.Show(leaseDuration)}").ConfigureAwait(false);
                    return;
                }
                using var limit = new CancellationTokenSource(left, time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop.Token);
                try
                {
                    if (await renew(either.Token).ConfigureAwait(false) is { } why)
                    {
                        await LoseAsync(why).ConfigureAwait(false);
                        return;
                    }
                    (renewed, interval) = (sent, leaseDuration / 3);
                }
                catch (Exception error)
                    when (error is UnavailableException or ClusterApiException
                        || error is OperationCanceledException && limit.IsCancellationRequested)
                {
                    log.Info($"testbed \"{Held.Testbed}\" was not renewed: {error.Message}");
                    interval = leaseDuration / 12;
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Disposed.
        }
    }

    private async Task LoseAsync(string why)
    {
        LostBecause = why;
        log.Warning($"the lease {Held.Lease} of testbed \"{Held.Testbed}\" is lost: {why}");
        await lost.CancelAsync().ConfigureAwait(false);
    }
}
