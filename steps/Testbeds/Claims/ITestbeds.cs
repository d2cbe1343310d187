using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Testbeds.Claims;

/// <summary>A testbed that an integration suite needs.</summary>
/// <param name="Suite">The suite's name in ci-steps.yaml.</param>
/// <param name="Class">The testbed class.</param>
public sealed record TestbedWish(string Suite, string Class);

/// <summary>What a chain asks for at once.</summary>
/// <param name="Run">The chain; the claims' names derive from it.</param>
/// <param name="Wishes">All of these or none.</param>
/// <param name="Who">Who asks, for people: <c>build 812 of ci/greeting</c>.</param>
/// <param name="Priority">Higher is served first; equal ones by age.</param>
/// <param name="Times">Shorter lease times than the class's; null for the class's own.</param>
public sealed record ClaimRequest(
    RunIdentity Run,
    IReadOnlyList<TestbedWish> Wishes,
    string Who,
    int Priority,
    LeaseTimes? Times = null)
{
    /// <summary>The usual request of a chain: releases go before private branches, those before work trees.</summary>
    public static ClaimRequest Of(RunIdentity run, IReadOnlyList<TestbedWish> wishes)
    {
        ArgumentNullException.ThrowIfNull(run);
        return new(run, wishes, $"build {run.BuildNumber} of {run.Branch}", run.IsTargetBranch ? 100 : run.Dirty ? 10 : 50);
    }
}

/// <summary>Testbeds as a step sees them: claimed, picked up, given back. The claims outlive the step that made them.</summary>
public interface ITestbeds : IDisposable
{
    /// <summary>
    /// Claims all testbeds of a request, or none. Testbeds that the chain holds already are kept, so a second call changes
    /// nothing.
    /// </summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="wait">How long to wait; on its end, and on cancel, what this call claimed is withdrawn.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>One per wish, in its order.</returns>
    /// <exception cref="UnavailableException"><c>no-testbed-free</c>: not in time; the message names who holds what.</exception>
    /// <exception cref="UsageException">The pool has no such class, or never so many.</exception>
    Task<IReadOnlyList<HeldTestbed>> ClaimAsync(ClaimRequest request, TimeSpan wait, CancellationToken cancel);

    /// <summary>What a chain holds now.</summary>
    Task<IReadOnlyList<HeldTestbed>> FindAsync(RunIdentity run, CancellationToken cancel);

    /// <summary>All chains that hold testbeds or wait for some, as <see cref="ClaimNames.ChainOf"/> names them.</summary>
    Task<IReadOnlySet<string>> ChainsAsync(CancellationToken cancel);

    /// <summary>Fetches the lease's credentials and begins to renew it.</summary>
    /// <returns>Null when the lease has lapsed: it can be claimed anew.</returns>
    Task<LeasedTestbed?> TryPickUpAsync(HeldTestbed held, CancellationToken cancel);

    /// <summary>Gives a testbed back; the pool revokes the credentials and cleans. Safe to repeat.</summary>
    /// <returns>False when it was given back already.</returns>
    Task<bool> ReleaseAsync(string claim, CancellationToken cancel);

    /// <summary>Gives back everything that a chain holds or waits for.</summary>
    /// <returns>The released claims' names.</returns>
    Task<IReadOnlyList<string>> ReleaseAllAsync(RunIdentity run, CancellationToken cancel);
}

/// <summary>Picking up with the repair that is safe.</summary>
public static class TestbedPickUp
{
    /// <summary>Picks a testbed up; a lapsed lease is taken anew.</summary>
    /// <param name="testbeds">The pool, or the one cluster under a lock.</param>
    /// <param name="held">What reserve-testbed handed over.</param>
    /// <param name="run">The chain that the claim is of.</param>
    /// <param name="wait">How long to wait for another testbed.</param>
    /// <param name="log">Told when a lease had lapsed.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException">The lease lapsed and no other testbed is free in time.</exception>
    public static async Task<LeasedTestbed> PickUpAsync(
        this ITestbeds testbeds, HeldTestbed held, RunIdentity run, TimeSpan wait, BuildLog log, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(testbeds);
        ArgumentNullException.ThrowIfNull(held);
        ArgumentNullException.ThrowIfNull(log);
        for (var tries = 0; ; tries++)
        {
            if (await testbeds.TryPickUpAsync(held, cancel).ConfigureAwait(false) is { } leased) return leased;
            if (tries == 3)
                throw new UnavailableException("lease-lapsed",
                    $"the lease of claim \"{held.Claim}\" lapsed {tries + 1} times before it could be picked up; " +
                    "look at the pool with testbed-pool status");
            log.Info($"the lease {held.Lease} of testbed \"{held.Testbed}\" has lapsed; claiming anew");
            held = (await testbeds.ClaimAsync(
                ClaimRequest.Of(run, [new(held.Suite, held.Class)]), wait, cancel).ConfigureAwait(false))[0];
        }
    }
}
