using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Claims;

/// <summary>
/// One cluster without a pool, shared by turns: a coordination Lease in that very cluster says whose turn it is. Same hand-over
/// as with a pool,
/// but nobody revokes credentials (they are the cluster's own) and nobody cleans but the step itself.
/// </summary>
public sealed class ClusterLock : ITestbeds
{
    /// <summary>Name of the Lease, in the namespace <c>cisteps-leases</c>.</summary>
    public const string LeaseName = "cisteps-testbed";

    private const string WhoAnnotation = PoolKinds.Group + "/who";
    private const string ClaimsAnnotation = PoolKinds.Group + "/claims";
    private const string ProcessAnnotation = PoolKinds.Group + "/process";

    // Holder and waiter may have different clocks.
    private static readonly TimeSpan ClockMargin = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(8);

    private readonly Cluster cluster;
    private readonly string kubeconfig;
    private readonly LeaseTimes times;
    private readonly bool owned;
    private readonly string identity = $"{Environment.MachineName}/{Environment.ProcessId}/{Guid.NewGuid():N}";

    /// <summary>Opens the lock.</summary>
    /// <param name="cluster">The cluster, with rights on its Leases.</param>
    /// <param name="kubeconfig">The cluster's kubeconfig as text, handed on to who picks up.</param>
    /// <param name="times">The lease's clocks; null for <see cref="LeaseTimes.Standard"/>.</param>
    /// <param name="owned">Whether the connection is closed with this.</param>
    public ClusterLock(Cluster cluster, string kubeconfig, LeaseTimes? times = null, bool owned = false)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        (this.cluster, this.kubeconfig, this.times, this.owned) = (cluster, kubeconfig, times ?? LeaseTimes.Standard, owned);
    }

    private static string PathOfLease => Kinds.Lease.Path(PoolKinds.LeaseNamespace, LeaseName);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<HeldTestbed>> ClaimAsync(ClaimRequest request, TimeSpan wait, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(request);
        await Providers.LeaseAccounts.PrepareAsync(cluster, cancel).ConfigureAwait(false);
        var chain = ClaimNames.ChainOf(request.Run);
        var deadline = cluster.Time.GetUtcNow() + wait;
        var told = cluster.Time.GetUtcNow();
        while (true)
        {
            var lease = await ReadAsync(cancel).ConfigureAwait(false);
            var now = cluster.Time.GetUtcNow();
            if (IsOpenTo(chain, lease, now))
            {
                var taken = Taken(lease, chain, request, now);
                var written = lease is null
                    ? await cluster.TryCreateAsync(Kinds.Lease, PoolKinds.LeaseNamespace, taken, cancel).ConfigureAwait(false)
                    : await cluster.TryReplaceAsync(Kinds.Lease, PoolKinds.LeaseNamespace, taken, cancel).ConfigureAwait(false);
                if (written is null) continue;
                var names = request.Wishes
                    .Select(wish => ClaimNames.Of(request.Run, wish.Suite))
                    .ToHashSet(StringComparer.Ordinal);
                return [.. Holds(written).Where(held => names.Contains(held.Claim))];
            }
            if (now >= deadline)
                throw new UnavailableException("no-testbed-free",
                    $"the cluster \"{cluster.Context}\" was not free within {Durations.Show(wait)}; " +
                    $"it is held by {Who(lease!)} until {Ends(lease!).ToLocalTime():HH:mm:ss} unless renewed; " +
                    "wait longer with --wait, or run the step again");
            if (now - told >= ProgressInterval)
            {
                cluster.Log.Progress(
                    $"waiting for the cluster \"{cluster.Context}\": held by {Who(lease!)} until " +
                    $"{Ends(lease!).ToLocalTime():HH:mm:ss} unless renewed");
                told = now;
            }
            await ChangeAsync(
                lease!,
                Earlier(Earlier(deadline, now + ProgressInterval), Ends(lease!) + ClockMargin),
                cancel).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<HeldTestbed>> FindAsync(RunIdentity run, CancellationToken cancel) =>
        await ReadAsync(cancel).ConfigureAwait(false) is { } lease
            && IsHeldBy(ClaimNames.ChainOf(run), lease, cluster.Time.GetUtcNow())
            ? Holds(lease)
            : [];

    /// <inheritdoc/>
    public async Task<IReadOnlySet<string>> ChainsAsync(CancellationToken cancel) =>
        await ReadAsync(cancel).ConfigureAwait(false) is { } lease
            && lease.Text("spec", "holderIdentity") is { Length: > 0 } chain && Ends(lease) > cluster.Time.GetUtcNow()
                ? new HashSet<string>(StringComparer.Ordinal) { chain }
                : new HashSet<string>();

    /// <inheritdoc/>
    public async Task<LeasedTestbed?> TryPickUpAsync(HeldTestbed held, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(held);
        while (true)
        {
            var now = cluster.Time.GetUtcNow();
            if (await ReadAsync(cancel).ConfigureAwait(false) is not { } lease
                || Find(lease, held.Claim) is not { } mine
                || Ends(lease) <= now)
                return null;
            if (await cluster.TryReplaceAsync(
                Kinds.Lease, PoolKinds.LeaseNamespace, Renewed(lease, now), cancel).ConfigureAwait(false) is null)
                continue;
            return new LeasedTestbed(
                mine, kubeconfig, null, times.LeaseDuration, token => RenewAsync(mine, token), cluster.Time, cluster.Log);
        }
    }

    /// <inheritdoc/>
    public Task<bool> ReleaseAsync(string claim, CancellationToken cancel) => RemoveAsync(held => held.Claim == claim, cancel);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> ReleaseAllAsync(RunIdentity run, CancellationToken cancel)
    {
        var held = await FindAsync(run, cancel).ConfigureAwait(false);
        var names = held.Select(one => one.Claim).ToHashSet(StringComparer.Ordinal);
        return names.Count > 0 && await RemoveAsync(one => names.Contains(one.Claim), cancel).ConfigureAwait(false)
            ? [.. names]
            : [];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (owned) cluster.Dispose();
    }

    private async Task<string?> RenewAsync(HeldTestbed mine, CancellationToken cancel)
    {
        while (true)
        {
            if (await ReadAsync(cancel).ConfigureAwait(false) is not { } lease || Find(lease, mine.Claim) is not { } still)
                return "the lock was released";
            if (still.Lease != mine.Lease) return $"the lock expired and was taken anew under number {still.Lease}";
            if (lease.Text("metadata", "annotations", ProcessAnnotation) is { } process && process != identity)
                return $"{process} has taken it over";
            if (await cluster.TryReplaceAsync(
                Kinds.Lease,
                PoolKinds.LeaseNamespace,
                Renewed(lease, cluster.Time.GetUtcNow()),
                cancel).ConfigureAwait(false) is not null)
                return null;
        }
    }

    private async Task<bool> RemoveAsync(Func<HeldTestbed, bool> which, CancellationToken cancel)
    {
        while (true)
        {
            if (await ReadAsync(cancel).ConfigureAwait(false) is not { } lease) return false;
            var held = Holds(lease);
            var left = held.Where(one => !which(one)).ToList();
            if (left.Count == held.Count) return false;
            var json = (JsonObject)lease.DeepClone();
            if (left.Count == 0) json.Ensure("spec")["holderIdentity"] = "";
            Annotate(json, ClaimsAnnotation, Written(left));
            if (await cluster.TryReplaceAsync(Kinds.Lease, PoolKinds.LeaseNamespace, json, cancel).ConfigureAwait(false) is null)
                continue;
            if (left.Count == 0) cluster.Log.Info($"the cluster \"{cluster.Context}\" is free for the next");
            return true;
        }
    }

    private Task<JsonObject?> ReadAsync(CancellationToken cancel) => cluster.FindAsync(PathOfLease, cancel);

    private static bool IsHeldBy(string chain, JsonObject lease, DateTimeOffset now) =>
        lease.Text("spec", "holderIdentity") == chain && Ends(lease) > now;

    private static bool IsOpenTo(string chain, JsonObject? lease, DateTimeOffset now) =>
        lease is null
            || lease.Text("spec", "holderIdentity") is null or ""
            || lease.Text("spec", "holderIdentity") == chain
            || Ends(lease) + ClockMargin <= now;

    private JsonObject Taken(JsonObject? lease, string chain, ClaimRequest request, DateTimeOffset now)
    {
        var keeps = lease is not null && IsHeldBy(chain, lease, now);
        var number = (lease?.Number("spec", "leaseTransitions") ?? 0) + (keeps ? 0 : 1);
        var json = (JsonObject?)lease?.DeepClone() ?? new JsonObject
        {
            ["apiVersion"] = Kinds.Lease.ApiVersion,
            ["kind"] = Kinds.Lease.Name,
            ["metadata"] = new JsonObject { ["name"] = LeaseName, ["namespace"] = PoolKinds.LeaseNamespace },
        };
        var spec = json.Ensure("spec");
        spec["holderIdentity"] = chain;
        spec["renewTime"] = now.AsText();
        spec["leaseTransitions"] = number;
        if (!keeps)
            (spec["acquireTime"], spec["leaseDurationSeconds"]) = (
                now.AsText(), (int)Math.Ceiling((request.Times ?? times).HandOverGrace.TotalSeconds));
        var asked = request.Wishes
            .Select(
                wish => new HeldTestbed(wish.Suite, wish.Class, ClaimNames.Of(request.Run, wish.Suite), cluster.Context, number))
            .ToList();
        var kept = keeps ? Holds(lease!).Where(held => asked.All(one => one.Claim != held.Claim)) : [];
        Annotate(json, WhoAnnotation, request.Who);
        Annotate(json, ClaimsAnnotation, Written([.. kept, .. asked]));
        if (!keeps) (json["metadata"]?["annotations"] as JsonObject)?.Remove(ProcessAnnotation);
        return json;
    }

    private JsonObject Renewed(JsonObject lease, DateTimeOffset now)
    {
        var json = (JsonObject)lease.DeepClone();
        var spec = json.Ensure("spec");
        spec["renewTime"] = now.AsText();
        spec["leaseDurationSeconds"] = (int)Math.Ceiling(times.LeaseDuration.TotalSeconds);
        Annotate(json, ProcessAnnotation, identity);
        return json;
    }

    private async Task ChangeAsync(JsonObject known, DateTimeOffset until, CancellationToken cancel)
    {
        var left = until - cluster.Time.GetUtcNow();
        using var limit = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1), cluster.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            await foreach (var change in cluster.WatchAsync(
                Kinds.Lease.Collection(PoolKinds.LeaseNamespace),
                null,
                "metadata.name=" + LeaseName,
                either.Token).ConfigureAwait(false))
                if (change.Kind is ChangeKind.Gone || change.Kind is ChangeKind.Present && change.Item.Name() == LeaseName
                    && change.Item.Text("metadata", "resourceVersion") != known.Text("metadata", "resourceVersion")) return;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            // Time to look again.
        }
    }

    private static DateTimeOffset Ends(JsonObject lease) =>
        (lease.Time("spec", "renewTime") ?? lease.Time("spec", "acquireTime") ?? default)
            + (lease.Seconds("spec", "leaseDurationSeconds") ?? TimeSpan.Zero);

    private static string Who(JsonObject lease) =>
        lease.Text("metadata", "annotations", WhoAnnotation) ?? lease.Text("spec", "holderIdentity") ?? "somebody";

    private static HeldTestbed? Find(JsonObject lease, string claim) => Holds(lease).FirstOrDefault(held => held.Claim == claim);

    private static List<HeldTestbed> Holds(JsonObject lease)
    {
        var held = new List<HeldTestbed>();
        if (lease.Text("metadata", "annotations", ClaimsAnnotation) is not { Length: > 0 } text) return held;
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            if (line.Split('\t') is [var suite, var its, var claim, var testbed, var number]
                && long.TryParse(number, CultureInfo.InvariantCulture, out var lease0))
                held.Add(new(suite, its, claim, testbed, lease0));
        return held;
    }

    private static string Written(IEnumerable<HeldTestbed> held) =>
        string.Join(
            '\n',
            held.Select(
                one => string.Join(
                    '\t', one.Suite, one.Class, one.Claim, one.Testbed, one.Lease.ToString(CultureInfo.InvariantCulture))));

    private static void Annotate(JsonObject json, string name, string value) =>
        json.Ensure("metadata").Ensure("annotations")[name] = value;

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;
}
