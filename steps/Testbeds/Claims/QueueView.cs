using System.Globalization;
using CiSteps.Clusters;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Claims;

/// <summary>The queue and the holders at one moment, in words.</summary>
internal sealed record QueueView(
    IReadOnlyList<TestbedClass> Classes, IReadOnlyList<Testbed> Testbeds, IReadOnlyList<TestbedClaim> Claims, DateTimeOffset Now)
{
    public static async Task<QueueView> ReadAsync(Cluster management, string ns, CancellationToken cancel)
    {
        var classes = management.ListAsync(PoolKinds.Class.Collection(ns), null, null, cancel);
        var testbeds = management.ListAsync(PoolKinds.Testbed.Collection(ns), null, null, cancel);
        var claims = management.ListAsync(PoolKinds.Claim.Collection(ns), null, null, cancel);
        await Task.WhenAll(classes, testbeds, claims).ConfigureAwait(false);
        return new QueueView(
            [.. (await classes.ConfigureAwait(false)).Items.Select(json => new TestbedClass(json))],
            [.. (await testbeds.ConfigureAwait(false)).Items.Select(json => new Testbed(json))],
            [.. (await claims.ConfigureAwait(false)).Items.Select(json => new TestbedClaim(json))],
            management.Time.GetUtcNow());
    }

    /// <summary>What a waiting person wants to know.</summary>
    public string Waiting(IReadOnlySet<string> names)
    {
        var wanted = ClassesOf(names);
        var waiting = Queue.Of(Claims.Where(claim => claim.Phase == ClaimPhase.Pending && !claim.IsBeingDeleted), Now)
            .Where(set => set.Claims.Any(claim => wanted.Contains(claim.Class))).ToList();
        var position = waiting.FindIndex(set => set.Claims.Any(claim => names.Contains(claim.Name))) + 1;
        return $"waiting for a testbed of class {Listed(wanted)}: place {position} of {waiting.Count} in the queue; " +
            $"{Holders(wanted)}";
    }

    /// <summary>Why nothing was to be had, and what to do.</summary>
    public string NoneFree(IReadOnlySet<string> names, string wait)
    {
        var wanted = ClassesOf(names);
        var unseen = Claims.Any(claim => names.Contains(claim.Name) && claim.Json["status"] is null);
        return $"no free testbed of class {Listed(wanted)} within {wait}; " + (unseen
            ? "nobody serves the pool: start testbed-pool run, and look at it with testbed-pool status"
            : $"{Holders(wanted)}; wait longer with --wait, or run the step again");
    }

    private string Holders(IReadOnlySet<string> wanted)
    {
        var lines = Testbeds.Where(t => wanted.Contains(t.Class))
            .OrderBy(t => t.Name, StringComparer.Ordinal)
            .Select(Holder)
            .ToList();
        return lines.Count == 0 ? "the class has no testbeds" : string.Join(", ", lines);
    }

    private string Holder(Testbed testbed) => testbed.Phase switch
    {
        TestbedPhase.Leased => Claims.FirstOrDefault(claim => claim.Uid == testbed.Lease?.ClaimUid) is { } claim
            ? $"{testbed.Name} is held by {claim.Who} until {Until(claim)} at the latest"
                : $"{testbed.Name} is held by claim {testbed.Lease?.Claim}",
        TestbedPhase.Free => $"{testbed.Name} is free",
        TestbedPhase.Quarantined => $"{testbed.Name} is quarantined ({testbed.Message})",
        var phase => $"{testbed.Name} is {phase.ToString().ToLowerInvariant()}",
    };

    private string Until(TestbedClaim claim) =>
        ((claim.BoundAt ?? Now) + claim.Times(Classes.FirstOrDefault(c => c.Name == claim.Class)).TimeToLive)
            .ToLocalTime()
            .ToString("HH:mm", CultureInfo.InvariantCulture);

    private HashSet<string> ClassesOf(IReadOnlySet<string> names) =>
        Claims.Where(claim => names.Contains(claim.Name)).Select(claim => claim.Class).ToHashSet(StringComparer.Ordinal);

    private static string Listed(IEnumerable<string> classes) =>
        string.Join(", ", classes.Order(StringComparer.Ordinal).Select(name => $"\"{name}\""));
}
