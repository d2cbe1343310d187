using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Claims;

/// <summary>
/// Waiting for a set of claims to be bound, with a deadline and a line about the queue at least every ten seconds.
/// </summary>
internal sealed class ClaimWait(Cluster management, string ns, string chain, IReadOnlySet<string> names, TimeSpan wait)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(8);

    public async Task<IReadOnlyList<TestbedClaim>> BoundAsync(CancellationToken cancel)
    {
        var bound = new Dictionary<string, TestbedClaim>(StringComparer.Ordinal);
        using var limit = new CancellationTokenSource(wait, management.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        var telling = TellAsync(either.Token);
        try
        {
            var path = PoolKinds.Claim.Collection(ns);
            var seen = new HashSet<string>(StringComparer.Ordinal);
            await foreach (var change in management.WatchAsync(
                path, $"{PoolKinds.ChainHashLabel}={chain}", null, either.Token).ConfigureAwait(false))
            {
                if (change.Kind is ChangeKind.Relisting) continue;
                if (change.Kind is ChangeKind.Synced)
                {
                    if (names.FirstOrDefault(name => !seen.Contains(name)) is { } absent) throw Withdrawn(absent);
                    continue;
                }
                var claim = new TestbedClaim(change.Item);
                if (!names.Contains(claim.Name)) continue;
                if (change.Kind is ChangeKind.Gone || claim.IsBeingDeleted) throw Withdrawn(claim.Name);
                seen.Add(claim.Name);
                if (claim.Phase == ClaimPhase.Pending && claim.Reason is "NoSuchClass" or "TooManyAsked")
                    throw new UsageException(
                        $"suite \"{claim.Suite}\" cannot have a testbed: {claim.Message}; " +
                        "correct the class in ci-steps.yaml or add to the pool");
                if (claim.Phase == ClaimPhase.Expired)
                    throw new UnavailableException("no-testbed-free", await NoneFreeAsync(cancel).ConfigureAwait(false));
                if (claim.Phase != ClaimPhase.Bound) continue;
                bound[claim.Name] = claim;
                if (bound.Count == names.Count) return [.. bound.Values];
            }
            throw new UnavailableException("no-testbed-free", await NoneFreeAsync(cancel).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw new UnavailableException("no-testbed-free", await NoneFreeAsync(cancel).ConfigureAwait(false));
        }
        finally
        {
            await either.CancelAsync().ConfigureAwait(false);
            await telling.ConfigureAwait(false);
        }
    }

    private static UnavailableException Withdrawn(string name) =>
        new("claim-withdrawn",
            $"claim \"{name}\" was withdrawn by somebody else while it waited; run the step again to claim anew");

    private async Task TellAsync(CancellationToken cancel)
    {
        try
        {
            using var timer = new PeriodicTimer(Interval, management.Time);
            while (await timer.WaitForNextTickAsync(cancel).ConfigureAwait(false))
            {
                try
                {
                    management.Log.Progress(
                        (await QueueView.ReadAsync(management, ns, cancel).ConfigureAwait(false)).Waiting(names));
                }
                catch (Exception error) when (error is UnavailableException or ClusterApiException)
                {
                    management.Log.Progress($"waiting for a testbed; the queue could not be read: {error.Message}");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The wait is over.
        }
    }

    private async Task<string> NoneFreeAsync(CancellationToken cancel)
    {
        var queue = await QueueView.ReadAsync(management, ns, cancel).ConfigureAwait(false);
        return queue.NoneFree(names, Durations.Show(wait));
    }
}
