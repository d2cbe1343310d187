using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Claims;

/// <summary>
/// The pool as its users see it: claims in the management cluster. The pool's controller (<see cref="PoolController"/>) serves
/// them.
/// </summary>
public sealed class TestbedClaims : ITestbeds
{
    private static readonly TimeSpan WithdrawalLimit = TimeSpan.FromSeconds(15);

    private readonly Cluster management;
    private readonly string ns;
    private readonly bool owned;
    private readonly string identity = $"{Environment.MachineName}/{Environment.ProcessId}/{Guid.NewGuid():N}";

    /// <summary>Opens the pool.</summary>
    /// <param name="management">The management cluster, with a claimant's rights.</param>
    /// <param name="ns">The pool's namespace.</param>
    /// <param name="owned">Whether the connection is closed with this.</param>
    public TestbedClaims(Cluster management, string ns, bool owned = false)
    {
        ArgumentNullException.ThrowIfNull(management);
        (this.management, this.ns, this.owned) = (management, ns, owned);
    }

    private BuildLog Log => management.Log;

    /// <inheritdoc/>
    public async Task<IReadOnlyList<HeldTestbed>> ClaimAsync(ClaimRequest request, TimeSpan wait, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(request);
        var wanted = request.Wishes.Select(wish => (Wish: wish, Name: ClaimNames.Of(request.Run, wish.Suite))).ToList();
        var held = new Dictionary<string, HeldTestbed>(StringComparer.Ordinal);
        foreach (var (_, name) in wanted)
            if (await HeldAsync(name, cancel).ConfigureAwait(false) is { } already) held[name] = already;
        var missing = wanted.Where(pair => !held.ContainsKey(pair.Name)).ToList();
        if (missing.Count > 0)
        {
            Log.Info($"claims: {string.Join(", ", missing.Select(pair => pair.Name))}");
            try
            {
                var set = $"{ClaimNames.ChainOf(request.Run)}-{Guid.NewGuid().ToString("N")[..8]}";
                foreach (var (wish, name) in missing)
                    await CreateAsync(request, wish, name, set, missing.Count, wait, cancel).ConfigureAwait(false);
                var names = missing.Select(pair => pair.Name).ToHashSet(StringComparer.Ordinal);
                var waiting = new ClaimWait(management, ns, ClaimNames.ChainOf(request.Run), names, wait);
                foreach (var bound in await waiting.BoundAsync(cancel).ConfigureAwait(false)) held[bound.Name] = AsHeld(bound);
            }
            catch
            {
                // All or nothing, on whatever end: what stays would be held by nobody until its grace is over.
                await WithdrawAsync(wanted.Select(pair => pair.Name)).ConfigureAwait(false);
                throw;
            }
        }
        return [.. wanted.Select(pair => held[pair.Name])];
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<HeldTestbed>> FindAsync(RunIdentity run, CancellationToken cancel)
    {
        var (found, _) = await management.ListAsync(
            PoolKinds.Claim.Collection(ns),
            $"{PoolKinds.ChainHashLabel}={ClaimNames.ChainOf(run)}",
            null,
            cancel).ConfigureAwait(false);
        var held = new List<HeldTestbed>();
        foreach (var claim in found)
            if (await HeldAsync(claim.Name(), cancel).ConfigureAwait(false) is { } one) held.Add(one);
        return held;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlySet<string>> ChainsAsync(CancellationToken cancel)
    {
        var (claims, _) = await management.ListAsync(PoolKinds.Claim.Collection(ns), null, null, cancel).ConfigureAwait(false);
        return claims.Select(claim => claim.Text("metadata", "labels", PoolKinds.ChainHashLabel))
            .OfType<string>()
            .ToHashSet(StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public async Task<LeasedTestbed?> TryPickUpAsync(HeldTestbed held, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(held);
        while (true)
        {
            if (await ReadAsync(held.Claim, cancel).ConfigureAwait(false)
                is not { Phase: ClaimPhase.Bound, Secret: { } secret } claim)
                return null;
            if (claim.Holder is { } other && other != identity)
                Log.Info($"claim \"{claim.Name}\" was picked up by {other} before; taking it over");
            if (await management.TryReplaceAsync(
                PoolKinds.Claim, ns, WithHolder(claim, pickUp: true), cancel).ConfigureAwait(false) is not { } written)
                continue;
            // Absent: taken back between the two reads.
            if (await management.ReadKubeconfigAsync(ns, secret, cancel).ConfigureAwait(false) is not { } credentials)
                return null;
            var its = await management.FindAsync(PoolKinds.Class.Path(ns, claim.Class), cancel).ConfigureAwait(false);
            var mine = new TestbedClaim(written);
            return new LeasedTestbed(
                AsHeld(mine),
                credentials.Kubeconfig,
                credentials.Leased,
                mine.Times(its is null ? null : new TestbedClass(its)).LeaseDuration,
                token => RenewAsync(mine.Name, mine.Uid, mine.Lease, token),
                management.Time,
                Log);
        }
    }

    /// <inheritdoc/>
    public async Task<bool> ReleaseAsync(string claim, CancellationToken cancel)
    {
        var released = await management.DeleteAsync(PoolKinds.Claim.Path(ns, claim), null, cancel).ConfigureAwait(false);
        Log.Info(
            released
                ? $"claim \"{claim}\" is released; the pool revokes its credentials and cleans the testbed"
                : $"claim \"{claim}\" was released already");
        return released;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> ReleaseAllAsync(RunIdentity run, CancellationToken cancel)
    {
        var (found, _) = await management.ListAsync(
            PoolKinds.Claim.Collection(ns),
            $"{PoolKinds.ChainHashLabel}={ClaimNames.ChainOf(run)}",
            null,
            cancel).ConfigureAwait(false);
        var released = new List<string>();
        foreach (var claim in found)
            if (await ReleaseAsync(claim.Name(), cancel).ConfigureAwait(false)) released.Add(claim.Name());
        return released;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (owned) management.Dispose();
    }

    private async Task<string?> RenewAsync(string name, string uid, long lease, CancellationToken cancel)
    {
        while (true)
        {
            var claim = await ReadAsync(name, cancel).ConfigureAwait(false);
            if (claim is null || claim.Uid != uid) return "the claim was released";
            if (claim.Phase != ClaimPhase.Bound || claim.Lease != lease)
                return claim.Message.Length > 0 ? claim.Message : "the claim has expired";
            if (claim.Holder != identity) return $"{claim.Holder} has taken it over";
            if (await management.TryReplaceAsync(
                PoolKinds.Claim, ns, WithHolder(claim, pickUp: false), cancel).ConfigureAwait(false) is not null)
                return null;
        }
    }

    private JsonObject WithHolder(TestbedClaim claim, bool pickUp)
    {
        var json = (JsonObject)claim.Json.DeepClone();
        var now = management.Time.GetUtcNow().AsText();
        var holder = json.Ensure("spec").Ensure("holder");
        holder["identity"] = identity;
        holder["renewTime"] = now;
        if (pickUp) holder["pickedUp"] = now;
        return json;
    }

    /// <summary>The testbed that a claim really holds: by the claim and by the testbed itself.</summary>
    private async Task<HeldTestbed?> HeldAsync(string name, CancellationToken cancel)
    {
        if (await ReadAsync(name, cancel).ConfigureAwait(false) is not { Phase: ClaimPhase.Bound, Testbed: { } its } claim)
            return null;
        return await management.FindAsync(PoolKinds.Testbed.Path(ns, its), cancel).ConfigureAwait(false) is { } json
            && new Testbed(json) is { Phase: TestbedPhase.Leased, Lease: { } lease }
                && lease.ClaimUid == claim.Uid
                && lease.Number == claim.Lease
                ? AsHeld(claim)
                : null;
    }

    private async Task<TestbedClaim?> ReadAsync(string name, CancellationToken cancel) =>
        await management.FindAsync(PoolKinds.Claim.Path(ns, name), cancel).ConfigureAwait(false) is { } json
            && new TestbedClaim(json) is { IsBeingDeleted: false } claim
            ? claim
            : null;

    private async Task CreateAsync(
        ClaimRequest request, TestbedWish wish, string name, string set, int size, TimeSpan wait, CancellationToken cancel)
    {
        var claim = new JsonObject
        {
            ["apiVersion"] = PoolKinds.ApiVersion,
            ["kind"] = PoolKinds.Claim.Name,
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["namespace"] = ns,
                ["labels"] = new JsonObject { [PoolKinds.ChainHashLabel] = ClaimNames.ChainOf(request.Run) },
                ["annotations"] = new JsonObject
                {
                    [PoolKinds.Group + "/repository"] = request.Run.Repository,
                    [PoolKinds.Group + "/commit"] = request.Run.Commit
                },
            },
            ["spec"] = new JsonObject
            {
                ["class"] = wish.Class,
                ["who"] = request.Who,
                ["chain"] = request.Run.Chain,
                ["suite"] = wish.Suite,
                ["priority"] = request.Priority,
                ["waitSeconds"] = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)),
                ["set"] = new JsonObject { ["id"] = set, ["size"] = size },
            },
        };
        if (request.Times is { } times)
            claim["spec"]!["lease"] = new JsonObject
            {
                ["handOverGraceSeconds"] = Math.Max(1, (long)times.HandOverGrace.TotalSeconds),
                ["leaseDurationSeconds"] = Math.Max(1, (long)times.LeaseDuration.TotalSeconds),
                ["timeToLiveSeconds"] = Math.Max(1, (long)times.TimeToLive.TotalSeconds),
            };
        // What has this name and is not held is an expired claim, or one that a dead process waited for: its turn is over.
        while (await management.TryCreateAsync(PoolKinds.Claim, ns, claim, cancel).ConfigureAwait(false) is null)
            if (await management.FindAsync(PoolKinds.Claim.Path(ns, name), cancel).ConfigureAwait(false) is { } old)
                await management.DeleteAsync(PoolKinds.Claim.Path(ns, name), old.Uid(), cancel).ConfigureAwait(false);
    }

    private async Task WithdrawAsync(IEnumerable<string> names)
    {
        // Also when we were asked to stop: that is exactly when claims must not stay behind.
        using var limit = new CancellationTokenSource(WithdrawalLimit, management.Time);
        foreach (var name in names)
        {
            try
            {
                await management.DeleteAsync(PoolKinds.Claim.Path(ns, name), null, limit.Token).ConfigureAwait(false);
            }
            catch (Exception error) when (error is UnavailableException or ClusterApiException or OperationCanceledException)
            {
                Log.Warning(
                    $"claim \"{name}\" could not be withdrawn: {error.Message}; it ends by itself when its wait or its " +
                    "grace is over");
            }
        }
    }

    private static HeldTestbed AsHeld(TestbedClaim claim) =>
        new(claim.Suite, claim.Class, claim.Name, claim.Testbed ?? "", claim.Lease);
}
