using System.Threading.Channels;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;

namespace CiSteps.Clusters;

/// <summary>
/// Follows the roll-out of one workload by watching it, its replica sets, pods, events and endpoints: done means that only new
/// pods serve, failed is said within seconds of the event that decides it.
/// </summary>
public static partial class Rollout
{
    // Nobody looks at a silent log for longer.
    private static readonly TimeSpan News = TimeSpan.FromSeconds(8);

    /// <summary>Waits for a roll-out to be done or to have failed.</summary>
    /// <param name="cluster">Cluster that the workload was applied to.</param>
    /// <param name="target">What is rolled out.</param>
    /// <param name="log">Progress, at least every ten seconds.</param>
    /// <param name="cancel">Stops waiting.</param>
    /// <exception cref="UnavailableException">The API server stays away.</exception>
    public static async Task<RolloutResult> WatchAsync(
        Cluster cluster, RolloutTarget target, BuildLog log, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(log);
        return await OnWatchesAsync(cluster, target, (view, changes) =>
            FollowAsync(cluster.Time, view, target, log, changes, cancel), cancel).ConfigureAwait(false);
    }

    private static async Task<T> OnWatchesAsync<T>(Cluster cluster, RolloutTarget target,
        Func<RolloutView, ChannelReader<(string Topic, Change? Change, Exception? Error)>, Task<T>> follow,
        CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var changes = Channel.CreateUnbounded<(string Topic, Change? Change, Exception? Error)>(new UnboundedChannelOptions
        {
            SingleReader = true
        });
        var view = new RolloutView();
        var pumps = TopicsOf(target, view).Select(topic =>
            PumpAsync(cluster, topic.Name, topic.Path, topic.Field, changes.Writer, stop.Token)).ToList();
        try
        {
            return await follow(view, changes.Reader).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(pumps).ConfigureAwait(false);
        }
    }

    // What a roll-out is judged by; what its kind does not have is marked absent.
    private static List<(string Name, string Path, string? Field)> TopicsOf(RolloutTarget target, RolloutView view)
    {
        var kind = Kinds.Workload(target.Kind);
        var topics = new List<(string Topic, Kind Kind, string? Field)>
        {
            ("workload", kind, "metadata.name=" + target.Name), ("pods", Kinds.Pod, null), ("events", Kinds.Event, null),
            ("services", Kinds.Service, null), ("endpointslices", Kinds.EndpointSlice, null), ("nodes", Kinds.Node, null),
        };
        if (target.Kind == "Deployment") topics.Add(("replicasets", Kinds.ReplicaSet, null));
        else view.SetAbsent("replicasets");
        if (target.Kind == "DaemonSet") topics.Add(("controllerrevisions", Kinds.ControllerRevision, null));
        else view.SetAbsent("controllerrevisions");
        return [.. topics.Select(topic =>
            (topic.Topic, topic.Kind.Collection(topic.Kind.Namespaced ? target.Namespace : null), topic.Field))];
    }

    private static async Task PumpAsync(
        Cluster cluster,
        string topic,
        string path,
        string? fields,
        ChannelWriter<(string, Change?, Exception?)> into,
        CancellationToken stop)
    {
        try
        {
            await foreach (var change in cluster.WatchAsync(path, null, fields, stop).ConfigureAwait(false))
                into.TryWrite((topic, change, null));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Nobody reads any more.
        }
        catch (Exception error)
            when (error is ClusterApiException or UnavailableException or OperationCanceledException or ObjectDisposedException)
        {
            into.TryWrite((topic, null, error));
        }
    }

    private static async Task<RolloutResult> FollowAsync(TimeProvider time, RolloutView view, RolloutTarget target, BuildLog log,
        ChannelReader<(string Topic, Change? Change, Exception? Error)> changes, CancellationToken cancel)
    {
        var started = time.GetTimestamp();
        var spoke = started;
        var said = "";
        var since = new Dictionary<string, long>(StringComparer.Ordinal);
        var grace = target.Grace < target.TimeLimit ? target.Grace : target.TimeLimit;
        while (true)
        {
            var state = RolloutJudge.Judge(view, target);
            var waited = time.GetElapsedTime(started);
            if (state.Troubles.FirstOrDefault(trouble => trouble.IsPermanent) is { } permanent)
                return new RolloutResult(permanent.Failure, state.Pods, state.RunningDigest);
            if (state.IsDone)
            {
                log.Info(
                    $"{target.Title} is rolled out after {Durations.Show(waited)}: " +
                    $"{Count.Of(state.Pods.Count, "pod")}{(state.RunningDigest is { } digest ? $" at {digest}" : "")}");
                return new RolloutResult(null, state.Pods, state.RunningDigest);
            }
            var now = time.GetTimestamp();
            foreach (var gone in since.Keys.Except(state.Troubles.Select(trouble => trouble.Key)).ToList()) since.Remove(gone);
            foreach (var trouble in state.Troubles)
                if (since.TryAdd(trouble.Key, now))
                    log.Warning($"{trouble.Failure.Text} (waiting {Durations.Show(grace)} for it to pass)");
            var lasting = state.Troubles.FirstOrDefault(trouble => time.GetElapsedTime(since[trouble.Key]) >= grace);
            if (lasting is not null) return new RolloutResult(lasting.Failure, state.Pods, state.RunningDigest);
            if (waited >= target.TimeLimit) return new RolloutResult(Late(target, state), state.Pods, state.RunningDigest);
            if (state.Waiting != said || time.GetElapsedTime(spoke) >= News)
            {
                // A change is worth a line when the last one has been read for a moment, and silence never lasts long.
                if (said.Length == 0 && view.Knows("workload") || time.GetElapsedTime(spoke) >= TimeSpan.FromSeconds(1))
                {
                    log.Progress(
                        $"{target.Title}: waiting for {state.Waiting} ({Durations.Show(waited)} of " +
                        $"{Durations.Show(target.TimeLimit)})");
                    (said, spoke) = (state.Waiting, now);
                }
            }
            var wait = News - time.GetElapsedTime(spoke);
            foreach (var start in since.Values) wait = Min(wait, grace - time.GetElapsedTime(start));
            wait = Min(wait, target.TimeLimit - waited);
            await NextAsync(time, wait, view, changes, cancel).ConfigureAwait(false);
        }
    }

    // Takes all changes that are there, after waiting for the first one, but not longer than asked.
    private static async Task NextAsync(
        TimeProvider time,
        TimeSpan wait,
        RolloutView view,
        ChannelReader<(string Topic, Change? Change, Exception? Error)> changes,
        CancellationToken cancel)
    {
        if (wait > TimeSpan.Zero)
        {
            using var limit = new CancellationTokenSource(wait, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            try
            {
                await changes.WaitToReadAsync(either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                // Time for news, or a grace is over.
            }
        }
        while (changes.TryRead(out var next))
        {
            if (next.Change is { } change) view.Take(next.Topic, change);
            else if (MayBeAbsent(next.Topic, next.Error)) view.SetAbsent(next.Topic);
            else if (next.Error is ClusterApiException api)
                throw new UnavailableException("cluster-unreachable", $"the cluster cannot be watched: {api.Message}", api);
            else throw next.Error ?? new InvalidOperationException("a watch ended by itself");
        }
    }

    // Optional topics: a user confined to a namespace may see neither nodes nor, on odd servers, slices.
    private static bool MayBeAbsent(string topic, Exception? error) =>
        topic is "nodes" or "services" or "endpointslices" or "events"
            && error is ClusterApiException or UnavailableException { Reason: "cluster-forbidden" };

    private static StepFailure Late(RolloutTarget target, RolloutState state)
    {
        var trouble = state.Troubles.Count > 0 ? $" {state.Troubles[0].Failure.Text}" : " the diagnosis says what its pods do";
        return new StepFailure("rollout-timeout",
            $"{target.Title} was not rolled out within {Durations.Show(target.TimeLimit)}: " +
            $"still waiting for {state.Waiting};{trouble}")
        {
            IsOwn = state.Troubles.Count > 0 ? state.Troubles[0].Failure.IsOwn : state.HasOwnUnready,
        };
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
