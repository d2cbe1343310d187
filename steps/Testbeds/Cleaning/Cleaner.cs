using CiSteps.Clusters;
using CiSteps.Hosting.Display;
using CiSteps.Testbeds.Providers;

namespace CiSteps.Testbeds.Cleaning;

/// <summary>Removes from a cluster all that its baseline does not have, and proves it by looking again.</summary>
internal static class Cleaner
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    /// <summary>Cleans until nothing is left.</summary>
    /// <returns>What was removed, in a few words.</returns>
    /// <exception cref="TestbedBrokenException">Something stays, or something of the baseline is gone.</exception>
    public static async Task<string> CleanAsync(
        Cluster cluster, IReadOnlySet<string> baseline, TimeSpan limit, CancellationToken cancel)
    {
        var started = cluster.Time.GetTimestamp();
        var removed = new SortedSet<string>(StringComparer.Ordinal);
        var pause = FirstPause;
        while (true)
        {
            var plan = CleaningPlan.For(await TestbedContents.TakeAsync(cluster, cancel).ConfigureAwait(false), baseline);
            if (plan.Leftovers.Count == 0 && plan.Missing.Count > 0)
                throw new TestbedBrokenException(
                    $"{Count.Of(plan.Missing.Count, "object of the baseline is", "objects of the baseline are")} gone, " +
                    $"first \"{plan.Missing[0]}\"; put them back, then annotate the testbed with " +
                    $"{Pool.PoolKinds.RetryAnnotation}");
            if (plan.IsClean) return Summary(removed);
            if (cluster.Time.GetElapsedTime(started) > limit) throw new TestbedBrokenException(Stuck(plan, limit));
            foreach (var item in plan.Leftovers)
            {
                removed.Add(item.Title);
                if (item.IsTerminating) continue;
                await DeleteAsync(cluster, item, cancel).ConfigureAwait(false);
            }
            // Deletion is the cluster's own work and there is no one thing to watch: look again, less and less often.
            await Task.Delay(pause, cluster.Time, cancel).ConfigureAwait(false);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private static async Task DeleteAsync(Cluster cluster, TestbedObject item, CancellationToken cancel)
    {
        try
        {
            await cluster.DeleteAsync(item.Kind.Path(item.Namespace, item.Name), item.Uid, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException refused)
        {
            // A webhook or a protected object said no: the next look tells whether it matters.
            cluster.Log.Warning($"deleting {item.Title} was refused: {refused.Said}");
        }
    }

    private static string Summary(SortedSet<string> removed) => removed.Count switch
    {
        0 => "nothing was left behind",
        <= 3 => $"removed {string.Join(", ", removed)}",
        _ => $"removed {removed.Count} objects: {string.Join(", ", removed.Take(3))}, …",
    };

    private static string Stuck(CleaningPlan plan, TimeSpan limit)
    {
        var first = plan.Leftovers.FirstOrDefault(item => item.Finalizers.Count > 0) ?? plan.Leftovers[0];
        return $"{Count.Of(plan.Leftovers.Count, "leftover stays", "leftovers stay")} after " +
            $"{Hosting.Options.Durations.Show(limit)}: {string.Join(", ", plan.Leftovers.Take(3).Select(item => item.Title))}" +
            (first.Finalizers.Count > 0 ? $"; {first.Title} waits for its finalizers {string.Join(", ", first.Finalizers)}" : "");
    }
}
