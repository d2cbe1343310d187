using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;
using static CiSteps.Clusters.Reading;

namespace CiSteps.Clusters;

/// <summary>How one new pod is.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Restarts">How often its containers were started again.</param>
/// <param name="Ended">How a container of it ended that does not run now; null when all run.</param>
/// <param name="IsReady">Whether it counts as ready.</param>
/// <param name="IsOver">Whether the whole pod has ended; its controller makes another.</param>
internal sealed record PodHealth(string Name, int Restarts, string? Ended, bool IsReady, bool IsOver)
{
    public static PodHealth Of(JsonObject pod)
    {
        var statuses = Items(pod.Member("status", "containerStatuses")).ToList();
        var ended = statuses.Select(status => status.Member("state", "terminated")).OfType<JsonObject>().FirstOrDefault();
        return new PodHealth(pod.NameOf(), statuses.Sum(status => Number(status["restartCount"])),
            ended is null ? null : $"exit code {Number(ended["exitCode"])}", Conditions.Find(pod, "Ready") is { Status: "True" },
            Text(pod.Member("status", "phase")) is "Succeeded" or "Failed");
    }
}

/// <content>What comes after a roll-out: looking whether it still holds.</content>
public static partial class Rollout
{
    // A node that is slow for a moment, a probe that is lost: less than what a person would call down.
    private static readonly TimeSpan MostUnready = TimeSpan.FromSeconds(15);

    /// <summary>Looks once whether a workload is rolled out and serves.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="target">What should serve.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>What is missing, for people; null when only its newest pods serve and nothing is wrong with them.</returns>
    /// <exception cref="UnavailableException">The API server stays away.</exception>
    public static async Task<string?> LookAsync(Cluster cluster, RolloutTarget target, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(target);
        var view = new RolloutView();
        foreach (var (name, path, field) in TopicsOf(target, view))
        {
            try
            {
                var (items, _) = await cluster.ListAsync(path, null, field, cancel).ConfigureAwait(false);
                view.Take(name, new Change(ChangeKind.Relisting, []));
                foreach (var item in items) view.Take(name, new Change(ChangeKind.Present, item));
                view.Take(name, new Change(ChangeKind.Synced, []));
            }
            catch (Exception error) when (MayBeAbsent(name, error))
            {
                view.SetAbsent(name);
            }
            catch (ClusterApiException error)
            {
                throw new UnavailableException("cluster-unreachable", $"the cluster does not list its {name}: {error.Message}",
                    error);
            }
        }
        var state = RolloutJudge.Judge(view, target);
        return state.IsDone ? null : state.Troubles.Count > 0 ? state.Troubles[0].Failure.Text : $"it waits for {state.Waiting}";
    }

    /// <summary>
    /// Watches the new pods of a workload that is rolled out, until it is stopped: a container that ends or is started again,
    /// or a pod that is not ready for longer than a moment, is a failure of its own.
    /// </summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="target">What serves.</param>
    /// <param name="cancel">Ends it.</param>
    /// <returns>Why it does not hold; never returns while it holds.</returns>
    /// <exception cref="UnavailableException">The API server stays away.</exception>
    public static Task<StepFailure> GuardAsync(Cluster cluster, RolloutTarget target, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(target);
        return OnWatchesAsync(cluster, target, (view, changes) => FollowGuardedAsync(cluster.Time, view, target, changes, cancel),
            cancel);
    }

    private static async Task<StepFailure> FollowGuardedAsync(TimeProvider time, RolloutView view, RolloutTarget target,
        ChannelReader<(string Topic, Change? Change, Exception? Error)> changes, CancellationToken cancel)
    {
        var restarts = new Dictionary<string, int>(StringComparer.Ordinal);
        var over = new HashSet<string>(StringComparer.Ordinal);
        var unready = new Dictionary<string, long>(StringComparer.Ordinal);
        while (true)
        {
            var state = RolloutJudge.Judge(view, target);
            if (state.Troubles.FirstOrDefault(trouble => trouble.IsPermanent) is { } permanent) return permanent.Failure;
            foreach (var pod in state.Health)
            {
                // What was over, or started again, before the others served was forgiven; once more is not.
                if (pod.IsOver && (restarts.Count == 0 || over.Contains(pod.Name)))
                {
                    over.Add(pod.Name);
                    continue;
                }
                if (pod.Ended is { } how) return Broken(target, $"pod \"{pod.Name}\" ended with {how}");
                if (!restarts.TryAdd(pod.Name, pod.Restarts) && pod.Restarts > restarts[pod.Name])
                    return Broken(target, $"a container of pod \"{pod.Name}\" was started again");
                if (pod.IsReady) unready.Remove(pod.Name);
                else if (!unready.TryAdd(pod.Name, time.GetTimestamp()) && time.GetElapsedTime(unready[pod.Name]) >= MostUnready)
                    return Broken(target, $"pod \"{pod.Name}\" is not ready any more, for {Durations.Show(MostUnready)}");
            }
            var wait = unready.Values.Select(since => MostUnready - time.GetElapsedTime(since)).Append(News).Min();
            await NextAsync(time, wait, view, changes, cancel).ConfigureAwait(false);
        }
    }

    private static StepFailure Broken(RolloutTarget target, string what) =>
        new("does-not-hold", $"{target.Title} was rolled out and does not hold: {what}; its log is in the diagnosis")
        {
            IsOwn =
            true
        };
}
