using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>A replica set as the rolling update counts it.</summary>
/// <param name="Name">metadata.name.</param>
/// <param name="Wanted">spec.replicas.</param>
/// <param name="Present">status.replicas.</param>
/// <param name="Available">status.availableReplicas.</param>
internal sealed record ReplicaCount(string Name, int Wanted, int Present, int Available);

/// <summary>The arithmetic of a rolling update: pure, as Kubernetes' deployment controller does it.</summary>
internal static class DeploymentRollout
{
    /// <summary>maxSurge (rounded up) and maxUnavailable (rounded down); never both zero, or nothing could move.</summary>
    public static (int Surge, int Unavailable) Limits(JsonNode deployment)
    {
        if (deployment.Str("spec", "strategy", "type") == "Recreate")
            return (0, 0);
        var replicas = deployment.Int(1, "spec", "replicas");
        var quarterUp = (replicas + 3) / 4;
        var surge = Fields.IntOrPercent(
            deployment.At("spec", "strategy", "rollingUpdate", "maxSurge"), replicas, quarterUp, roundUp: true);
        var unavailable = Fields.IntOrPercent(
            deployment.At("spec", "strategy", "rollingUpdate", "maxUnavailable"), replicas, replicas / 4, roundUp: false);
        return surge == 0 && unavailable == 0 ? (0, 1) : (surge, unavailable);
    }

    /// <summary>How many replicas the newest set should have now.</summary>
    public static int NewSize(bool recreate, int replicas, int surge, ReplicaCount newest, IReadOnlyList<ReplicaCount> all)
    {
        if (recreate || newest.Wanted > replicas)
            return replicas;
        var room = replicas + surge - all.Sum(s => s.Wanted);
        return room <= 0 ? newest.Wanted : newest.Wanted + Math.Min(room, replicas - newest.Wanted);
    }

    /// <summary>
    /// New sizes of the old sets, oldest first in <paramref name="old"/>: unhealthy replicas go first, then as many as
    /// availability allows.
    /// </summary>
    public static IReadOnlyDictionary<string, int> OldSizes(
        int replicas, int unavailable, ReplicaCount? newest, IReadOnlyList<ReplicaCount> old)
    {
        var sizes = new Dictionary<string, int>();
        var minimum = replicas - unavailable;
        var newUnavailable = newest is null ? 0 : newest.Wanted - newest.Available;
        var spare = old.Sum(s => s.Wanted) + (newest?.Wanted ?? 0) - minimum - newUnavailable;
        if (spare <= 0)
            return sizes;

        var cleaned = 0;
        foreach (var set in old.Where(s => s.Wanted > 0 && s.Wanted > s.Available))
        {
            var take = Math.Min(spare - cleaned, set.Wanted - set.Available);
            if (take <= 0)
                break;
            sizes[set.Name] = set.Wanted - take;
            cleaned += take;
        }

        var available = old.Sum(s => s.Available) + (newest?.Available ?? 0);
        var removable = available - minimum;
        foreach (var set in old)
        {
            if (removable <= 0)
                break;
            var size = sizes.GetValueOrDefault(set.Name, set.Wanted);
            var take = Math.Min(size, removable);
            if (take <= 0)
                continue;
            sizes[set.Name] = size - take;
            removable -= take;
        }

        return sizes;
    }

    /// <summary>
    /// Spreads a changed total over all sets in proportion to their sizes, for a deployment scaled while it rolls or is paused.
    /// </summary>
    public static IReadOnlyDictionary<string, int> Proportional(int target, IReadOnlyList<ReplicaCount> newestFirst)
    {
        var sizes = newestFirst.ToDictionary(s => s.Name, s => s.Wanted);
        var total = newestFirst.Sum(s => s.Wanted);
        var left = target - total;
        if (left == 0 || total == 0)
            return sizes;
        // Larger sets first; of equal ones the newer when growing, the older when shrinking.
        var order = left > 0
            ? newestFirst.OrderByDescending(s => s.Wanted)
            : newestFirst.Reverse().OrderByDescending(s => s.Wanted);
        var ordered = order.ToList();
        foreach (var set in ordered)
        {
            var share = (int)Math.Round((decimal)set.Wanted * target / total, MidpointRounding.AwayFromZero) - set.Wanted;
            share = left > 0 ? Math.Clamp(share, 0, left) : Math.Clamp(share, left, 0);
            sizes[set.Name] += share;
            left -= share;
        }

        sizes[ordered[0].Name] = Math.Max(0, sizes[ordered[0].Name] + left);
        return sizes;
    }
}
