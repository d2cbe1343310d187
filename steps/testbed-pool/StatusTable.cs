using System.Globalization;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.Testbeds.Pool;

namespace CiSteps.TestbedPool;

/// <summary>The pool as two plain tables.</summary>
internal static class StatusTable
{
    private const int Gap = 3;

    private static readonly string[] TestbedHeading = ["TESTBED", "CLASS", "PHASE", "SINCE", "LEASE", "HELD BY", "LAST"];
    private static readonly string[] ClaimHeading = ["CLAIM", "CLASS", "PHASE", "TESTBED", "WHO", "AGE", "UNTIL"];

    public static string Of(PoolView view)
    {
        var testbeds = Table.Lines([TestbedHeading, .. view.Testbeds.Select(testbed => Row(testbed, view.At))], Gap);
        IReadOnlyList<string> claims = view.Claims.Count == 0 ? ["no claims"]
            : Table.Lines([ClaimHeading, .. view.Claims.Select(claim => Row(claim, view.At))], Gap);
        return string.Join('\n', [.. testbeds, "", .. claims]);
    }

    /// <summary>How long ago that was, in whole seconds; <c>-</c> when it is not known.</summary>
    public static string Ago(DateTimeOffset now, DateTimeOffset? then) =>
        then is { } moment ? Durations.ShowWhole(now - moment) : "-";

    private static string[] Row(TestbedStatus testbed, DateTimeOffset now) =>
    [
        testbed.Name, testbed.Class, testbed.Phase, Ago(now, testbed.Since),
        testbed.Lease.ToString(CultureInfo.InvariantCulture), testbed.Who ?? "-", testbed.Message,
    ];

    private static string[] Row(ClaimStatus claim, DateTimeOffset now) =>
    [
        claim.Name, claim.Class,
        claim.Position > 0 ? $"{claim.Phase} (place {claim.Position})" : claim.PickedUp ? claim.Phase + ", in use" : claim.Phase,
        claim.Testbed ?? "-", claim.Who, Ago(now, claim.Created),
        claim.Until?.ToLocalTime().ToString("HH:mm", CultureInfo.InvariantCulture) ?? "-",
    ];
}
