using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;

namespace CiSteps.Promote;

/// <summary>
/// One coordination Lease, held: taken by a conditional write, renewed by its holder, given back at the end. Whoever dies keeps
/// it until it has not been renewed for its duration, on the waiter's own clock.
/// </summary>
internal sealed class TargetLease : IHold
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan TimeToGiveBack = TimeSpan.FromSeconds(5);

    private readonly Cluster cluster;
    private readonly string path;
    private readonly string holder;
    private readonly TimeSpan duration;
    private readonly CancellationTokenSource lost = new();
    private readonly CancellationTokenSource over = new();
    private readonly Task renewing;

    private TargetLease(Cluster cluster, string path, string holder, TimeSpan duration)
    {
        (this.cluster, this.path, this.holder, this.duration) = (cluster, path, holder, duration);
        renewing = RenewAsync(over.Token);
    }

    /// <inheritdoc/>
    public CancellationToken Lost => lost.Token;

    /// <summary>Takes the lease; waits as long as it takes to tell a dead holder from one that lives.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="ns">The lease's namespace.</param>
    /// <param name="name">Its name.</param>
    /// <param name="holder">Who takes it; another each time.</param>
    /// <param name="duration">How long it lasts after it was renewed last.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException"><c>target-held</c>: somebody else renews it.</exception>
    /// <exception cref="ClusterApiException">404: the namespace does not exist.</exception>
    public static async Task<TargetLease> TakeAsync(Cluster cluster, string ns, string name, string holder, TimeSpan duration,
        CancellationToken cancel)
    {
        var path = Kinds.Lease.Path(ns, name);
        (string Version, long Since)? seen = null;
        while (true)
        {
            var lease = await cluster.FindAsync(path, cancel);
            var other = lease.Text("spec", "holderIdentity") is { Length: > 0 } held && held != holder ? held : null;
            if (other is null)
            {
                if (await WriteAsync(cluster, ns, name, path, lease, holder, duration, cancel)) return new TargetLease(cluster,
                    path, holder, duration);
                continue;
            }
            var version = lease.Text("metadata", "resourceVersion") ?? "";
            var lasts = TimeSpan.FromSeconds(lease.Number("spec", "leaseDurationSeconds") ?? Duration.TotalSeconds);
            if (seen is null)
            {
                seen = (version, cluster.Time.GetTimestamp());
                cluster.Log.Info($"the lease \"{name}\" of namespace \"{ns}\" is {other}'s; it is taken over when it is not " +
                    $"renewed for {Durations.Show(lasts)}");
            }
            else if (version != seen.Value.Version) throw Held(ns, name, other, lease!, lasts);
            else if (cluster.Time.GetElapsedTime(seen.Value.Since) >= lasts)
            {
                cluster.Log.Warning($"{other} has not renewed the lease \"{name}\" of namespace \"{ns}\" for " +
                    $"{Durations.Show(lasts)}: it is taken over");
                if (await WriteAsync(cluster, ns, name, path, lease, holder, duration, cancel)) return new TargetLease(cluster,
                    path, holder, duration);
                continue;
            }
            await ChangeAsync(cluster, ns, name, version, lasts - cluster.Time.GetElapsedTime(seen.Value.Since), cancel);
        }
    }

    /// <summary>Gives it back.</summary>
    public async ValueTask DisposeAsync()
    {
        await over.CancelAsync();
        await renewing;
        if (!lost.IsCancellationRequested)
        {
            using var limit = new CancellationTokenSource(TimeToGiveBack, cluster.Time);
            try
            {
                if (await cluster.FindAsync(path, limit.Token) is { } lease && lease.Text("spec", "holderIdentity") == holder)
                {
                    lease["spec"]!["holderIdentity"] = "";
                    await cluster.ReplaceAsync(path, lease, limit.Token);
                }
            }
            catch (Exception broken) when (broken is UnavailableException or ClusterApiException or OperationCanceledException)
            {
                cluster.Log.Warning($"the lease {path} could not be given back ({broken.Message}); it ends by itself within " +
                    $"{Durations.Show(Duration)}");
            }
        }
        lost.Dispose();
        over.Dispose();
    }

    private async Task RenewAsync(CancellationToken end)
    {
        var renewed = cluster.Time.GetTimestamp();
        try
        {
            using var ticks = new PeriodicTimer(Renewal, cluster.Time);
            while (await ticks.WaitForNextTickAsync(end))
            {
                // What does not answer in time may have been taken by then.
                using var limit = new CancellationTokenSource(Duration - cluster.Time.GetElapsedTime(renewed) is { } left
                    && left > TimeSpan.Zero ? left : TimeSpan.Zero, cluster.Time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, end);
                try
                {
                    var now = cluster.Time.GetTimestamp();
                    if (await cluster.FindAsync(path, either.Token) is not { } lease
                        || lease.Text("spec", "holderIdentity") != holder)
                    {
                        await lost.CancelAsync();
                        return;
                    }
                    lease["spec"]!["renewTime"] = Time(cluster);
                    await cluster.ReplaceAsync(path, lease, either.Token);
                    renewed = now;
                }
                catch (Exception broken) when (broken is UnavailableException or ClusterApiException
                    || broken is OperationCanceledException && !end.IsCancellationRequested)
                {
                    if (cluster.Time.GetElapsedTime(renewed) < Duration) continue;
                    await lost.CancelAsync();
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It is given back.
        }
    }

    private static async Task<bool> WriteAsync(Cluster cluster, string ns, string name, string path, JsonObject? lease,
        string holder, TimeSpan duration, CancellationToken cancel)
    {
        var now = Time(cluster);
        var spec = new JsonObject
        {
            ["holderIdentity"] = holder,
            ["leaseDurationSeconds"] = (int)Duration.TotalSeconds,
            ["acquireTime"] = now,
            ["renewTime"] = now,
            ["leaseTransitions"] = (int)(lease.Number("spec", "leaseTransitions") ?? 0) + 1,
        };
        try
        {
            if (lease is null)
            {
                await cluster.CreateAsync(Kinds.Lease.Collection(ns), new JsonObject
                {
                    ["apiVersion"] = Kinds.Lease.ApiVersion,
                    ["kind"] = Kinds.Lease.Name,
                    ["metadata"] = new JsonObject
                    {
                        ["name"] = name,
                        ["namespace"] = ns,
                        ["labels"] = new JsonObject { [Labels.ManagedBy] = Cluster.FieldManager }
                    },
                    ["spec"] = spec,
                }, cancel);
            }
            else
            {
                lease["spec"] = spec;
                await cluster.ReplaceAsync(path, lease, cancel);
            }
            return true;
        }
        catch (ClusterApiException conflict) when (conflict.Code == 409)
        {
            // Somebody else was quicker, or the answer to our own write was lost: reading again tells.
            return false;
        }
    }

    private static UnavailableException Held(string ns, string name, string other, JsonObject lease, TimeSpan lasts)
    {
        var until = DateTimeOffset.TryParse(lease.Text("spec", "renewTime"), CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal, out var renewed)
            ? $" until {(renewed + lasts).ToUniversalTime():HH:mm:ss}Z unless it renews it" : "";
        return new UnavailableException("target-held",
            $"{other} is promoting there: it has the lease \"{name}\" of namespace \"{ns}\"{until}; " +
            "nothing was touched; run promote again when that one has ended");
    }

    private static async Task ChangeAsync(Cluster cluster, string ns, string name, string version, TimeSpan longest,
        CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(longest > TimeSpan.Zero ? longest : TimeSpan.Zero, cluster.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            await foreach (var change in cluster.WatchAsync(Kinds.Lease.Collection(ns), null, "metadata.name=" + name,
                either.Token))
                if (change.Kind == ChangeKind.Gone || change.Kind == ChangeKind.Present
                    && change.Item.Text("metadata", "resourceVersion") != version) return;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            // It did not change in that time.
        }
    }

    private static string Time(Cluster cluster) => cluster.Time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'",
        CultureInfo.InvariantCulture);
}

/// <summary>The leases of all places that a run may write to, taken together before the first write.</summary>
internal sealed class Leases : IAsyncDisposable
{
    private readonly List<IHold> held = [];
    private CancellationTokenSource? lost;

    /// <summary>Cancelled when one of them is lost.</summary>
    public CancellationToken Lost =>
        (lost ??= CancellationTokenSource.CreateLinkedTokenSource([.. held.Select(one => one.Lost)])).Token;

    /// <summary>Takes them all, or none.</summary>
    public static async Task<Leases> TakeAsync(IReadOnlyList<Destination> places, OpenTargets clusters, string holder,
        TimeSpan duration, CancellationToken cancel)
    {
        var leases = new Leases();
        try
        {
            foreach (var place in places.DistinctBy(place => (place.Target.Kubeconfig, place.Target.Namespace,
                place.Component.Workload!.Name)))
                leases.held.Add(await clusters[place.Target].HoldAsync(place, holder, duration, cancel));
            return leases;
        }
        catch
        {
            await leases.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(held.Select(one => one.DisposeAsync().AsTask()));
        lost?.Dispose();
    }
}
