using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Testbeds.Providers;

namespace CiSteps.Testbeds.Pool;

/// <summary>
/// Runs a pool: watches classes, testbeds and claims, decides (<see cref="PoolPlan"/>), and acts. All that it knows is in the
/// management cluster, so it may be stopped and started at any moment. A second one beside it stands by.
/// </summary>
public sealed class PoolController : IAsyncDisposable
{
    private readonly Cluster management;
    private readonly PoolOptions options;
    private readonly BuildLog log;
    private readonly SemaphoreSlim signal = new(0, 1);
    private readonly KindCache classes;
    private readonly KindCache testbeds;
    private readonly KindCache claims;
    private readonly HolderWatch holders;
    // Most objects are the same from one decision to the next and are read once.
    private readonly ConditionalWeakTable<JsonObject, TestbedClaim> knownClaims = [];
    private readonly ConditionalWeakTable<JsonObject, Testbed> knownTestbeds = [];
    private readonly StaticProvider statics;
    private readonly NamespaceProvider namespaces;
    private readonly TestbedWork work;

    private PoolController(Cluster management, PoolOptions options)
    {
        (this.management, this.options, log) = (management, options, management.Log);
        classes = new KindCache(Wake);
        testbeds = new KindCache(Wake);
        claims = new KindCache(Wake);
        holders = new HolderWatch(management.Time);
        statics = new StaticProvider(management, options);
        namespaces = new NamespaceProvider(management, options);
        var providers = new Dictionary<string, ITestbedProvider>(StringComparer.Ordinal)
        {
            ["static"] = statics,
            ["namespace"] = namespaces
        };
        work = new TestbedWork(management, options, providers, testbeds, claims, Wake);
    }

    /// <summary>Runs a pool until it is stopped. Leases, queue and testbeds stay as they are.</summary>
    /// <param name="management">The management cluster.</param>
    /// <param name="options">How the pool is run.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException">The management cluster cannot be used at the start; later it is waited
    /// for.</exception>
    public static async Task RunAsync(Cluster management, PoolOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(management);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Install) await PoolInstallation.ApplyAsync(management, options, cancel).ConfigureAwait(false);
        try
        {
            await new Leadership(management, options.PrivateNamespace, Leadership.Usual).RunAsync(async turn =>
            {
                await using var controller = new PoolController(management, options);
                await controller.ServeAsync(turn).ConfigureAwait(false);
            }, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException none) when (none.Code == 404)
        {
            throw PoolInstallation.NotInstalled(management, none);
        }
    }

    /// <summary>Stops all work on testbeds.</summary>
    public async ValueTask DisposeAsync()
    {
        await work.DisposeAsync().ConfigureAwait(false);
        statics.Dispose();
        namespaces.Dispose();
        signal.Dispose();
    }

    private async Task ServeAsync(CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task[] followers = [
            Follow(classes, PoolKinds.Class),
            Follow(testbeds, PoolKinds.Testbed),
            Follow(claims, PoolKinds.Claim)
        ];
        var synced = Task.WhenAll(classes.Synced, testbeds.Synced, claims.Synced);
        var loop = LoopAsync(synced, stop.Token);
        try
        {
            // A follower ends only by failing at the start or by being stopped.
            await (await Task.WhenAny([loop, .. followers]).ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll([loop, .. followers]).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        Task Follow(KindCache cache, Kind kind) => cache.FollowAsync(management, kind.Collection(options.Namespace), stop.Token);
    }

    private async Task LoopAsync(Task synced, CancellationToken cancel)
    {
        await synced.WaitAsync(cancel).ConfigureAwait(false);
        log.Info(
            $"the pool in namespace \"{options.Namespace}\" of {management.Server} is served: " +
            $"{Count.Of(classes.All().Count, "class", "classes")}, {Count.Of(testbeds.All().Count, "testbed")}, " +
            $"{Count.Of(claims.All().Count, "claim")}");
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            DateTimeOffset? deadline = null;
            try
            {
                deadline = await StepAsync(cancel).ConfigureAwait(false);
            }
            catch (Exception error) when (error is UnavailableException or ClusterApiException)
            {
                log.Warning($"the management cluster did not do its part: {error.Message}; going on in 2s");
                deadline = management.Time.GetUtcNow() + TimeSpan.FromSeconds(2);
            }
            await SleepAsync(deadline, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Decides once and does what was decided.</summary>
    /// <returns>When to decide again although nothing changed; null for never.</returns>
    private async Task<DateTimeOffset?> StepAsync(CancellationToken cancel)
    {
        var now = management.Time.GetUtcNow();
        var present = claims.All().Select(json => knownClaims.GetValue(json, item => new TestbedClaim(item))).ToList();
        var state = new PoolState(
            [.. classes.All().Select(json => new TestbedClass(json))],
            [.. testbeds.All().Select(json => knownTestbeds.GetValue(json, item => new Testbed(item)))],
            present, holders.Observe(present));
        await RegisterAsync(state, cancel).ConfigureAwait(false);
        var plan = PoolPlan.For(state, now);
        await EachAsync(plan.Expiries, (expiry, token) => ExpireAsync(expiry, now, token), cancel).ConfigureAwait(false);
        await EachAsync(plan.Reclaims, (reclaim, token) => ReclaimAsync(reclaim, now, token), cancel).ConfigureAwait(false);
        await EachAsync(plan.Bindings, (binding, token) => BindAsync(binding, now, token), cancel).ConfigureAwait(false);
        await EachAsync(
            plan.Assignments, (assignment, token) => AssignAsync(assignment, now, token), cancel).ConfigureAwait(false);
        await EachAsync(plan.Notices, NotifyAsync, cancel).ConfigureAwait(false);
        await EachAsync(plan.Forgotten, ForgetAsync, cancel).ConfigureAwait(false);
        var retry = work.Start(state, now);
        return Earliest(plan.NextDeadline, retry);
    }

    private async Task RegisterAsync(PoolState state, CancellationToken cancel)
    {
        foreach (var its in state.Classes)
        {
            if (work.ProviderOf(its) is not { } provider) continue;
            foreach (var member in provider.Members(its))
            {
                // Names are unique over classes: a member that another class has already stays with that one.
                if (testbeds.Find(member) is not null) continue;
                var made = await management.TryCreateAsync(PoolKinds.Testbed, options.Namespace, new JsonObject
                {
                    ["apiVersion"] = PoolKinds.ApiVersion,
                    ["kind"] = PoolKinds.Testbed.Name,
                    ["metadata"] = new JsonObject { ["name"] = member, ["namespace"] = options.Namespace },
                    ["spec"] = new JsonObject { ["class"] = its.Name, ["provider"] = its.Provider, ["member"] = member },
                }, cancel).ConfigureAwait(false);
                if (made is null) continue;
                log.Info($"testbed \"{member}\" of class \"{its.Name}\" is registered");
                testbeds.Put(made);
            }
        }
    }

    private async ValueTask ExpireAsync(Expiry expiry, DateTimeOffset now, CancellationToken cancel)
    {
        var written = await management.WriteStatusAsync(PoolKinds.Claim, options.Namespace,
            expiry.Claim.With(ClaimPhase.Expired, expiry.Reason, expiry.Why, status => status["endedAt"] = now.AsText()).Json,
            cancel).ConfigureAwait(false);
        if (written is null) return;
        log.Info($"claim \"{expiry.Claim.Name}\" has expired: {expiry.Why}");
        claims.Put(written);
    }

    private async ValueTask ReclaimAsync(Reclaim reclaim, DateTimeOffset now, CancellationToken cancel)
    {
        var written = await management.WriteStatusAsync(PoolKinds.Testbed, options.Namespace,
            reclaim.Testbed.In(TestbedPhase.Revoking, now, reclaim.Why).Json, cancel).ConfigureAwait(false);
        if (written is null) return;
        log.Info($"testbed \"{reclaim.Testbed.Name}\" is taken back: {reclaim.Why}");
        testbeds.Put(written);
    }

    private async ValueTask BindAsync(Binding binding, DateTimeOffset now, CancellationToken cancel)
    {
        var lease = binding.Testbed.Lease!;
        var written = await management.WriteStatusAsync(PoolKinds.Claim, options.Namespace,
            binding.Claim.With(ClaimPhase.Bound, "Bound", $"holds \"{binding.Testbed.Name}\"", status =>
            {
                status["testbed"] = binding.Testbed.Name;
                status["lease"] = lease.Number;
                status["secret"] = Testbed.SecretOf(binding.Testbed.Name, lease.Number);
                status["boundAt"] = now.AsText();
            }).Json, cancel).ConfigureAwait(false);
        if (written is null) return;
        log.Info(
            $"claim \"{binding.Claim.Name}\" of {binding.Claim.Who} holds testbed \"{binding.Testbed.Name}\" under lease " +
            $"{lease.Number}");
        claims.Put(written);
    }

    private async ValueTask AssignAsync(Assignment assignment, DateTimeOffset now, CancellationToken cancel)
    {
        var number = assignment.Testbed.LeaseNumber + 1;
        var written = await management.WriteStatusAsync(PoolKinds.Testbed, options.Namespace,
            assignment.Testbed.In(TestbedPhase.Leased, now, $"for {assignment.Claim.Who}", status =>
            {
                status["leaseNumber"] = number;
                status["lease"] = new JsonObject
                {
                    ["claim"] = assignment.Claim.Name,
                    ["claimUid"] = assignment.Claim.Uid,
                    ["number"] = number,
                    ["since"] = now.AsText(),
                    ["who"] = assignment.Claim.Who,
                    ["issued"] = false,
                };
            }).Json, cancel).ConfigureAwait(false);
        if (written is not null) testbeds.Put(written);
    }

    private async ValueTask NotifyAsync(Notice notice, CancellationToken cancel)
    {
        var written = await management.WriteStatusAsync(PoolKinds.Claim, options.Namespace,
            notice.Claim.With(ClaimPhase.Pending, notice.Reason, notice.Message).Json, cancel).ConfigureAwait(false);
        if (written is not null) claims.Put(written);
    }

    private async ValueTask ForgetAsync(TestbedClaim claim, CancellationToken cancel)
    {
        await management.DeleteAsync(
            PoolKinds.Claim.Path(options.Namespace, claim.Name), claim.Uid, cancel).ConfigureAwait(false);
        claims.Remove(claim.Name, claim.Uid);
    }

    private Task EachAsync<T>(IReadOnlyList<T> items, Func<T, CancellationToken, ValueTask> act, CancellationToken cancel) =>
        items.Count == 0 ? Task.CompletedTask
            : Parallel.ForEachAsync(
                items, new ParallelOptions { MaxDegreeOfParallelism = options.Workers, CancellationToken = cancel }, act);

    private void Wake()
    {
        try
        {
            signal.Release();
        }
        catch (SemaphoreFullException)
        {
            // One wake-up is as good as many.
        }
        catch (ObjectDisposedException)
        {
            // The last words of a follower after the end.
        }
    }

    private async Task SleepAsync(DateTimeOffset? until, CancellationToken cancel)
    {
        if (until is not { } deadline)
        {
            await signal.WaitAsync(cancel).ConfigureAwait(false);
            return;
        }
        var left = deadline - management.Time.GetUtcNow();
        if (left <= TimeSpan.Zero) left = TimeSpan.FromMilliseconds(1);
        using var alarm = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var woken = signal.WaitAsync(alarm.Token);
        await Task.WhenAny(woken, Task.Delay(left, management.Time, alarm.Token)).ConfigureAwait(false);
        await alarm.CancelAsync().ConfigureAwait(false);
        await woken.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static DateTimeOffset? Earliest(DateTimeOffset? one, DateTimeOffset? other) =>
        one is null ? other : other is null || one < other ? one : other;
}
