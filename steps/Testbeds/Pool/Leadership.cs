using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;

namespace CiSteps.Testbeds.Pool;

/// <summary>
/// One controller works, others stand by: cleaning and revoking are not conditional writes, so two at once would take each
/// other's
/// testbeds apart. A Lease in the private namespace says who works; a silent leader is replaced, measured by the waiting one's
/// own clock.
/// </summary>
internal sealed class Leadership(Cluster management, string ns, TimeSpan duration)
{
    private const string Name = "testbed-pool";

    /// <summary>Silence after which a leader is replaced.</summary>
    public static TimeSpan Usual { get; } = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan ResignationLimit = TimeSpan.FromSeconds(3);

    private readonly TimeSpan renewal = duration / 4;
    private readonly TimeSpan look = duration / 12;
    private readonly string identity = $"{Environment.MachineName}/{Environment.ProcessId}/{Guid.NewGuid():N}";

    /// <summary>Waits for its turn, works, and gives the turn back; works again when the turn was lost on the way.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> work, CancellationToken cancel)
    {
        while (true)
        {
            await AcquireAsync(cancel).ConfigureAwait(false);
            using var turn = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            var renewing = RenewAsync(turn);
            try
            {
                await work(turn.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (turn.IsCancellationRequested && !cancel.IsCancellationRequested)
            {
                management.Log.Warning("another controller may serve the pool by now; this one stands by");
                continue;
            }
            finally
            {
                await turn.CancelAsync().ConfigureAwait(false);
                await renewing.ConfigureAwait(false);
                await ResignAsync().ConfigureAwait(false);
            }
            return;
        }
    }

    private async Task AcquireAsync(CancellationToken cancel)
    {
        string? sign = null;
        var seen = management.Time.GetTimestamp();
        var told = false;
        while (true)
        {
            var lease = await management.FindAsync(Kinds.Lease.Path(ns, Name), cancel).ConfigureAwait(false);
            var holder = lease?.Text("spec", "holderIdentity");
            var current = $"{holder} {lease?.Text("spec", "renewTime")}";
            if (sign != current) (sign, seen) = (current, management.Time.GetTimestamp());
            if (string.IsNullOrEmpty(holder) || management.Time.GetElapsedTime(seen) > duration)
            {
                if (await WriteAsync(lease, identity, cancel).ConfigureAwait(false)) return;
                continue;
            }
            if (!told) management.Log.Info($"the pool is served by {holder}; standing by");
            told = true;
            await Task.Delay(look, management.Time, cancel).ConfigureAwait(false);
        }
    }

    private async Task RenewAsync(CancellationTokenSource turn)
    {
        var renewed = management.Time.GetTimestamp();
        try
        {
            while (true)
            {
                await Task.Delay(renewal, management.Time, turn.Token).ConfigureAwait(false);
                // A third of the time is kept for ending the work under way.
                if (management.Time.GetElapsedTime(renewed) > duration * 2 / 3) break;
                var sent = management.Time.GetTimestamp();
                using var limit = new CancellationTokenSource(renewal, management.Time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, turn.Token);
                try
                {
                    var lease = await management.FindAsync(Kinds.Lease.Path(ns, Name), either.Token).ConfigureAwait(false);
                    if (lease?.Text("spec", "holderIdentity") != identity) break;
                    if (await WriteAsync(lease, identity, either.Token).ConfigureAwait(false)) renewed = sent;
                }
                catch (Exception error)
                    when (error is UnavailableException or ClusterApiException
                        || error is OperationCanceledException && limit.IsCancellationRequested)
                {
                    management.Log.Info($"the controller's turn was not renewed: {error.Message}");
                }
            }
            await turn.CancelAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (turn.IsCancellationRequested)
        {
            // The work has ended.
        }
    }

    /// <summary>Lets the next one in at once instead of after the silence.</summary>
    private async Task ResignAsync()
    {
        using var limit = new CancellationTokenSource(ResignationLimit, management.Time);
        try
        {
            if (await management.FindAsync(Kinds.Lease.Path(ns, Name), limit.Token).ConfigureAwait(false) is { } lease
                && lease.Text("spec", "holderIdentity") == identity)
                await WriteAsync(lease, "", limit.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is UnavailableException or ClusterApiException or OperationCanceledException)
        {
            management.Log.Info($"the controller's turn ends by silence: {error.Message}");
        }
    }

    private async Task<bool> WriteAsync(JsonObject? lease, string holder, CancellationToken cancel)
    {
        var now = management.Time.GetUtcNow().AsText();
        var json = (JsonObject?)lease?.DeepClone() ?? new JsonObject
        {
            ["apiVersion"] = Kinds.Lease.ApiVersion,
            ["kind"] = Kinds.Lease.Name,
            ["metadata"] = new JsonObject { ["name"] = Name, ["namespace"] = ns },
        };
        var spec = json.Ensure("spec");
        if (spec.Text("holderIdentity") != holder && holder.Length > 0)
        {
            spec["acquireTime"] = now;
            spec["leaseTransitions"] = (spec.Number("leaseTransitions") ?? 0) + 1;
        }
        (
            spec["holderIdentity"],
            spec["renewTime"],
            spec["leaseDurationSeconds"]) = (holder, now, (int)Math.Ceiling(duration.TotalSeconds));
        return (lease is null
            ? await management.TryCreateAsync(Kinds.Lease, ns, json, cancel).ConfigureAwait(false)
            : await management.TryReplaceAsync(Kinds.Lease, ns, json, cancel).ConfigureAwait(false)) is not null;
    }
}
