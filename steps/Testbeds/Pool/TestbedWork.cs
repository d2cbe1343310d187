using System.Collections.Concurrent;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Testbeds.Providers;

namespace CiSteps.Testbeds.Pool;

/// <summary>
/// The slow part: provisioning, issuing, revoking and cleaning, one piece of work per testbed at a time, many testbeds at once.
/// </summary>
internal sealed class TestbedWork(
    Cluster management,
    PoolOptions options,
    IReadOnlyDictionary<string, ITestbedProvider> providers,
    KindCache testbeds,
    KindCache claims,
    Action wake) : IAsyncDisposable
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, Task> running = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, DateTimeOffset> notBefore = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim slots = new(options.Workers);
    private readonly CancellationTokenSource stop = new();

    public ITestbedProvider? ProviderOf(TestbedClass its) => providers.GetValueOrDefault(its.Provider);

    /// <summary>Starts what is to be done on testbeds that nobody works on.</summary>
    /// <returns>When the earliest postponed work is due; null when none is.</returns>
    public DateTimeOffset? Start(PoolState state, DateTimeOffset now)
    {
        DateTimeOffset? next = null;
        var classes = state.Classes.ToDictionary(
            its => its.Name, its => (Class: its, Members: Members(its)), StringComparer.Ordinal);
        foreach (var testbed in state.Testbeds)
        {
            if (running.ContainsKey(testbed.Name)) continue;
            var (its, members) = classes.GetValueOrDefault(testbed.Class);
            if (WorkFor(its, testbed, members?.Contains(testbed.Member) == true) is not { } work) continue;
            if (notBefore.TryGetValue(testbed.Name, out var due) && due > now)
            {
                next = next is null || due < next ? due : next;
                continue;
            }
            // Entered before it starts, so that it cannot end before it is entered.
            var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            running[testbed.Name] = entered.Task;
            _ = RunAsync(testbed, work, entered);
        }
        return next;
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(running.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        slots.Dispose();
        stop.Dispose();
    }

    private HashSet<string>? Members(TestbedClass its) => ProviderOf(its)?.Members(its).ToHashSet(StringComparer.Ordinal);

    private Func<CancellationToken, Task>? WorkFor(TestbedClass? its, Testbed testbed, bool isWanted)
    {
        var provider = its is null ? null : ProviderOf(its);
        if (!isWanted
            && testbed.Phase is TestbedPhase.Free or TestbedPhase.Quarantined or TestbedPhase.Provisioning
            && !testbed.IsBeingDeleted)
            return cancel => RemoveAsync(its, testbed, provider, cancel);
        if (its is null || provider is null) return null;
        return testbed.Phase switch
        {
            TestbedPhase.Provisioning => cancel => ProvisionAsync(its, testbed, provider, cancel),
            TestbedPhase.Cleaning => cancel => CleanAsync(its, testbed, provider, cancel),
            TestbedPhase.Revoking => cancel => RevokeAsync(its, testbed, provider, cancel),
            TestbedPhase.Leased when testbed.Lease is { Issued: false } lease =>
                cancel => IssueAsync(its, testbed, lease, provider, cancel),
            TestbedPhase.Quarantined when testbed.IsRetryAsked => cancel => ReturnAsync(testbed, cancel),
            _ => null,
        };
    }

    private async Task RunAsync(Testbed testbed, Func<CancellationToken, Task> work, TaskCompletionSource entered)
    {
        try
        {
            await slots.WaitAsync(stop.Token).ConfigureAwait(false);
            try
            {
                await work(stop.Token).ConfigureAwait(false);
                notBefore.TryRemove(testbed.Name, out _);
            }
            finally
            {
                slots.Release();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Stopped: the phase is written down, the next controller goes on from it.
        }
        catch (Exception error)
            when (error is UnavailableException or ClusterApiException or TestbedBrokenException or UsageException)
        {
            await FailAsync(testbed, error).ConfigureAwait(false);
        }
        finally
        {
            running.TryRemove(testbed.Name, out _);
            entered.SetResult();
            wake();
        }
    }

    private async Task ProvisionAsync(TestbedClass its, Testbed testbed, ITestbedProvider provider, CancellationToken cancel)
    {
        var objects = await provider.ProvisionAsync(its, testbed, cancel).ConfigureAwait(false);
        await MoveAsync(testbed, TestbedPhase.Cleaning, $"baseline of {objects} objects taken", status =>
        {
            var baseline = status.Ensure("baseline");
            (baseline["taken"], baseline["at"], baseline["objects"]) = (true, management.Time.GetUtcNow().AsText(), objects);
            baseline["configMap"] = Cleaning.Baseline.NameOf(testbed.Name);
        }, cancel).ConfigureAwait(false);
    }

    private async Task CleanAsync(TestbedClass its, Testbed testbed, ITestbedProvider provider, CancellationToken cancel)
    {
        var what = await provider.CleanAsync(its, testbed, cancel).ConfigureAwait(false);
        await MoveAsync(testbed, TestbedPhase.Free, what, _ => { }, cancel).ConfigureAwait(false);
        management.Log.Info($"testbed \"{testbed.Name}\" is clean and free: {what}");
    }

    private async Task RevokeAsync(TestbedClass its, Testbed testbed, ITestbedProvider provider, CancellationToken cancel)
    {
        var secret = testbed.Lease is { } lease ? Testbed.SecretOf(testbed.Name, lease.Number) : null;
        var credentials = secret is null
            ? null
            : await management.ReadKubeconfigAsync(options.Namespace, secret, cancel).ConfigureAwait(false);
        await provider.RevokeAsync(its, testbed, credentials?.Kubeconfig, cancel).ConfigureAwait(false);
        if (secret is not null)
            await management.DeleteAsync(Kinds.Secret.Path(options.Namespace, secret), null, cancel).ConfigureAwait(false);
        // Broken too often while it was being handed out: cleaning it again would only hide that.
        var phase = testbed.Failures >= its.QuarantineAfter ? TestbedPhase.Quarantined : TestbedPhase.Cleaning;
        await MoveAsync(
            testbed,
            phase,
            phase == TestbedPhase.Quarantined ? testbed.Message : "credentials revoked",
            status => status.Remove("lease"),
            cancel).ConfigureAwait(false);
    }

    private async Task IssueAsync(
        TestbedClass its, Testbed testbed, TestbedLease lease, ITestbedProvider provider, CancellationToken cancel)
    {
        var claim = claims.Find(lease.Claim) is { } json ? new TestbedClaim(json) : null;
        var validFor = claim?.Times(its).TimeToLive ?? its.Lease.TimeToLive;
        var issued = await provider.IssueAsync(its, testbed, lease, validFor, cancel).ConfigureAwait(false);
        await management.PutAsync(Kinds.Secret, options.Namespace,
            PoolWrites.KubeconfigSecret(
                Testbed.SecretOf(testbed.Name, lease.Number),
                options.Namespace,
                issued.Kubeconfig,
                issued.Namespace,
                testbed.Name),
            cancel).ConfigureAwait(false);
        await MoveAsync(testbed, TestbedPhase.Leased, testbed.Message, status =>
        {
            status["lease"]!["issued"] = true;
            status["failures"] = 0;
        }, cancel).ConfigureAwait(false);
    }

    private async Task RemoveAsync(TestbedClass? its, Testbed testbed, ITestbedProvider? provider, CancellationToken cancel)
    {
        if (provider is not null) await provider.RemoveAsync(its, testbed, cancel).ConfigureAwait(false);
        // The baseline belongs to the testbed object and goes with it.
        if (!await management.DeleteAsync(
            PoolKinds.Testbed.Path(options.Namespace, testbed.Name), testbed.Uid, cancel).ConfigureAwait(false))
            return;
        testbeds.Remove(testbed.Name, testbed.Uid);
        management.Log.Info($"testbed \"{testbed.Name}\" left the pool: class \"{testbed.Class}\" does not name it any more");
    }

    /// <summary>Back from quarantine, because a person said so.</summary>
    private async Task ReturnAsync(Testbed testbed, CancellationToken cancel)
    {
        var phase = !testbed.HasBaseline
            ? TestbedPhase.Provisioning
            : testbed.Lease is null ? TestbedPhase.Cleaning : TestbedPhase.Revoking;
        if (!await MoveAsync(
            testbed, phase, "tried again, as asked", status => status["failures"] = 0, cancel).ConfigureAwait(false))
            return;
        testbeds.Put(await management.MergeAsync(PoolKinds.Testbed.Path(options.Namespace, testbed.Name), new()
        {
            ["metadata"] = new System.Text.Json.Nodes.JsonObject
            {
                ["annotations"] = new System.Text.Json.Nodes.JsonObject { [PoolKinds.RetryAnnotation] = null }
            },
        }, cancel).ConfigureAwait(false));
    }

    private async Task FailAsync(Testbed testbed, Exception error)
    {
        var failures = testbed.Failures + 1;
        var most = 3;
        var quarantined = false;
        try
        {
            var its = await management.FindAsync(
                PoolKinds.Class.Path(options.Namespace, testbed.Class), stop.Token).ConfigureAwait(false);
            if (its is not null) most = new TestbedClass(its).QuarantineAfter;
            // What was just leased goes back through revocation: some of its credentials may exist.
            var phase = testbed.Phase == TestbedPhase.Leased
                ? TestbedPhase.Revoking
                : failures >= most ? TestbedPhase.Quarantined : testbed.Phase;
            quarantined = phase == TestbedPhase.Quarantined;
            await MoveAsync(
                testbed, phase, error.Message, status => status["failures"] = failures, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
        catch (Exception second) when (second is UnavailableException or ClusterApiException)
        {
            management.Log.Warning($"the state of testbed \"{testbed.Name}\" could not be written: {second.Message}");
        }
        var pause = TimeSpan.FromSeconds(Math.Pow(2, Math.Min(failures - 1, 6)));
        notBefore[testbed.Name] = management.Time.GetUtcNow() + (pause < LongestPause ? pause : LongestPause);
        management.Log.Warning(quarantined
            ? $"testbed \"{testbed.Name}\" is quarantined after {failures} failures: {error.Message}; mend it, then: " +
                $"kubectl annotate testbed {testbed.Name} {PoolKinds.RetryAnnotation}=now -n {options.Namespace}"
            : $"testbed \"{testbed.Name}\" failed while {testbed.Phase} ({failures} of {most}): {error.Message}");
    }

    private async Task<bool> MoveAsync(
        Testbed testbed,
        TestbedPhase phase,
        string message,
        Action<System.Text.Json.Nodes.JsonObject> change,
        CancellationToken cancel)
    {
        var now = management.Time.GetUtcNow();
        var written = await management.WriteStatusAsync(
            PoolKinds.Testbed, options.Namespace, testbed.In(phase, now, message, change).Json, cancel).ConfigureAwait(false);
        if (written is not null) testbeds.Put(written);
        return written is not null;
    }
}
