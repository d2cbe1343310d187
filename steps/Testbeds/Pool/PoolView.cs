using System.Text.Json.Serialization;
using CiSteps.Clusters;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Pool;

/// <summary>One testbed, for people and programs.</summary>
/// <param name="Name">Name of its Testbed object.</param>
/// <param name="Class">Name of its TestbedClass.</param>
/// <param name="Phase">Provisioning, Cleaning, Free, Leased, Revoking or Quarantined.</param>
/// <param name="Since">When the phase began.</param>
/// <param name="Claim">The claim that holds it; null for none.</param>
/// <param name="Who">Who holds it; null for nobody.</param>
/// <param name="Lease">Number of the latest lease.</param>
/// <param name="Failures">Failures since it was last handed out.</param>
/// <param name="Message">What happened last.</param>
public sealed record TestbedStatus(
    string Name,
    string Class,
    string Phase,
    DateTimeOffset? Since,
    string? Claim,
    string? Who,
    long Lease,
    int Failures,
    string Message);

/// <summary>One claim, for people and programs.</summary>
/// <param name="Name">Name of its TestbedClaim object.</param>
/// <param name="Class">The class asked for.</param>
/// <param name="Suite">The suite that it is for.</param>
/// <param name="Who">Who asks.</param>
/// <param name="Phase">Pending, Bound or Expired.</param>
/// <param name="Position">Place in the queue of its class, from 1; 0 when it does not wait.</param>
/// <param name="Testbed">What it got; null for nothing yet.</param>
/// <param name="Lease">The lease's number; 0 for none.</param>
/// <param name="Priority">Higher is served first.</param>
/// <param name="Created">When it was made.</param>
/// <param name="PickedUp">Whether somebody works with the testbed.</param>
/// <param name="Until">When it ends at the latest; null while it waits.</param>
/// <param name="Message">Why it is as it is.</param>
public sealed record ClaimStatus(
    string Name,
    string Class,
    string Suite,
    string Who,
    string Phase,
    int Position,
    string? Testbed,
    long Lease,
    long Priority,
    DateTimeOffset Created,
    bool PickedUp,
    DateTimeOffset? Until,
    string Message);

/// <summary>The pool at one moment, as <c>testbed-pool status</c>, the page and the API show it.</summary>
/// <param name="At">When it was read.</param>
/// <param name="Testbeds">All testbeds, by name.</param>
/// <param name="Claims">All claims: waiting ones in the queue's order, then the others by name.</param>
public sealed record PoolView(DateTimeOffset At, IReadOnlyList<TestbedStatus> Testbeds, IReadOnlyList<ClaimStatus> Claims)
{
    /// <summary>Reads the pool.</summary>
    /// <exception cref="Hosting.UnavailableException">The management cluster does not answer, or has no pool.</exception>
    public static async Task<PoolView> ReadAsync(Cluster management, string ns, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(management);
        QueueView view;
        try
        {
            view = await QueueView.ReadAsync(management, ns, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException none) when (none.Code == 404)
        {
            throw PoolInstallation.NotInstalled(management, none);
        }
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        var queue = Queue.Of(view.Claims.Where(claim => claim.Phase == ClaimPhase.Pending && !claim.IsBeingDeleted), view.Now);
        var perClass = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var claim in queue.SelectMany(set => set.Claims))
            places[claim.Uid] = perClass[claim.Class] = perClass.GetValueOrDefault(claim.Class) + 1;
        return new PoolView(view.Now,
            [.. view.Testbeds
                .OrderBy(t => t.Name, StringComparer.Ordinal)
                .Select(t => new TestbedStatus(t.Name, t.Class, t.Phase.ToString(), t.Since, t.Lease?.Claim,
                t.Json.Text("status", "lease", "who"), t.LeaseNumber, t.Failures, t.Message))],
            [.. view.Claims.OrderBy(claim => places.GetValueOrDefault(claim.Uid, int.MaxValue))
                .ThenBy(claim => claim.Name, StringComparer.Ordinal)
                .Select(claim =>
                new ClaimStatus(
                    claim.Name,
                    claim.Class,
                    claim.Suite,
                    claim.Who,
                    claim.Phase.ToString(),
                    places.GetValueOrDefault(claim.Uid),
                    claim.Testbed,
                    claim.Lease,
                    claim.Priority,
                    claim.Created,
                    claim.Holder is not null,
                    claim.BoundAt is { } bound
                        ? bound + claim.Times(view.Classes.FirstOrDefault(c => c.Name == claim.Class)).TimeToLive
                        : null,
                    claim.Message))]);
    }
}

/// <summary>Source-generated serialisers of <see cref="PoolView"/>.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(PoolView))]
[JsonSerializable(typeof(IReadOnlyList<TestbedStatus>))]
[JsonSerializable(typeof(IReadOnlyList<ClaimStatus>))]
public sealed partial class PoolJson : JsonSerializerContext;
