using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Providers;

/// <summary>Where testbeds come from. Every call may be repeated; a failure is an exception with the reason for people.</summary>
internal interface ITestbedProvider
{
    /// <summary>Names of the testbeds that a class should have.</summary>
    IReadOnlyList<string> Members(TestbedClass its);

    /// <summary>Makes the testbed reachable and records what it looks like when clean.</summary>
    /// <returns>How many objects the baseline has.</returns>
    Task<int> ProvisionAsync(TestbedClass its, Testbed testbed, CancellationToken cancel);

    /// <summary>Probes the testbed and makes credentials for one lease.</summary>
    Task<LeaseCredentials> IssueAsync(
        TestbedClass its, Testbed testbed, TestbedLease lease, TimeSpan validFor, CancellationToken cancel);

    /// <summary>Makes the credentials of all leases worthless, and comes back only when the given one is refused.</summary>
    /// <param name="its">Class whose provider and limits count.</param>
    /// <param name="testbed">The testbed as the pool's cluster has it.</param>
    /// <param name="kubeconfig">The ending lease's credentials; null when none were issued.</param>
    /// <param name="cancel">Stops it.</param>
    Task RevokeAsync(TestbedClass its, Testbed testbed, string? kubeconfig, CancellationToken cancel);

    /// <summary>Removes what the lease left behind and compares with the baseline.</summary>
    /// <returns>What was removed, in a few words.</returns>
    Task<string> CleanAsync(TestbedClass its, Testbed testbed, CancellationToken cancel);

    /// <summary>Takes down what the provider made, when the class no longer wants the testbed.</summary>
    Task RemoveAsync(TestbedClass? its, Testbed testbed, CancellationToken cancel);
}

/// <summary>What a lease gives.</summary>
/// <param name="Kubeconfig">With the lease's own token.</param>
/// <param name="Namespace">The one namespace that it is good for; null for the whole cluster.</param>
internal sealed record LeaseCredentials(string Kubeconfig, string? Namespace);

/// <summary>A testbed does not do what a testbed must; counts towards quarantine.</summary>
internal sealed class TestbedBrokenException(string message, Exception? inner = null) : Exception(message, inner);
