using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;
using static CiSteps.Clusters.Reading;

namespace CiSteps.Clusters;

/// <summary>How a test job ended.</summary>
/// <param name="Lines">All lines that its container wrote.</param>
/// <param name="ExitCode">The container's exit code; null when it never ended by itself.</param>
/// <param name="Failure">Why it could not run to its end; null when it did, whatever its exit code.</param>
public sealed record TestJobResult(IReadOnlyList<string> Lines, int? ExitCode, StepFailure? Failure);

/// <summary>Runs tests as a Job in the cluster, once, and brings home what they wrote.</summary>
public static class TestJob
{
    private static readonly TimeSpan News = TimeSpan.FromSeconds(8);

    // Once the job has ended its stream closes by itself; longer, and the node has gone silent.
    private static readonly TimeSpan RestOfLog = TimeSpan.FromSeconds(10);

    // What may mend itself before the first test has begun.
    private static readonly TimeSpan StartGrace = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Makes the job run once and never again: no retries, no early disappearance, pods that are not restarted.
    /// </summary>
    /// <param name="job">A manifest of kind Job.</param>
    /// <exception cref="UsageException">It is not a Job.</exception>
    public static Manifest Once(Manifest job)
    {
        ArgumentNullException.ThrowIfNull(job);
        if (job.Kind != "Job")
            throw new UsageException(
                $"{job.Source}: tests must be a Job, not {job.Title}; give the path of a manifest with one Job")
            {
                Fault = Fault.Change
            };
        var copy = job with { Json = (JsonObject)job.Json.DeepClone() };
        if (copy.Json["spec"] is not JsonObject spec || copy.PodSpec is not { } pod)
            throw new UsageException($"{job.Source}: {job.Title} needs spec.template.spec") { Fault = Fault.Change };
        spec["backoffLimit"] = 0;
        spec["completions"] = 1;
        spec["parallelism"] = 1;
        spec.Remove("ttlSecondsAfterFinished");
        spec.Remove("suspend");
        pod["restartPolicy"] = "Never";
        return copy;
    }

    /// <summary>
    /// Runs the job: an older one of the same name is removed first; every line is handed on as it comes; ends with the
    /// container, with a reason why it cannot run, or with the time.
    /// </summary>
    /// <param name="cluster">Cluster in which the job runs.</param>
    /// <param name="job">From <see cref="Once"/>, with namespace, labels and images set.</param>
    /// <param name="timeLimit">For the whole run.</param>
    /// <param name="log">Progress while there is no output.</param>
    /// <param name="onLine">Gets each line.</param>
    /// <param name="cancel">Stops waiting; the job stays for the namespace's clean-up.</param>
    public static async Task<TestJobResult> RunAsync(
        Cluster cluster, Manifest job, TimeSpan timeLimit, BuildLog log, Action<string> onLine, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(job);
        var ns = job.Namespace ?? "default";
        var path = Kinds.Job.Path(ns, job.Name);
        // A job cannot be run twice, nor its template changed.
        if (await cluster.DeleteAsync(path, null, cancel).ConfigureAwait(false))
            await cluster.AwaitGoneAsync(Kinds.Job, ns, job.Name, TimeSpan.FromMinutes(1), cancel).ConfigureAwait(false);
        if (await cluster.ApplyAsync(ManifestSet.Of(job), dryRun: false, cancel).ConfigureAwait(false) is { } denied)
            return new TestJobResult([], null, denied);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var run = new JobRun(cluster, job, ns, timeLimit, log, onLine);
        var changes = Channel.CreateUnbounded<(string, Change?, Exception?)>(new UnboundedChannelOptions { SingleReader = true });
        Task[] pumps =
        [
            PumpAsync("workload", Kinds.Job.Collection(ns), null, "metadata.name=" + job.Name),
            PumpAsync("pods", Kinds.Pod.Collection(ns), null, null),
            PumpAsync("events", Kinds.Event.Collection(ns), null, null),
            PumpAsync("nodes", Kinds.Node.Collection(null), null, null),
        ];
        try
        {
            return await run.FollowAsync(changes.Reader, stop.Token, cancel).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(pumps).ConfigureAwait(false);
        }

        async Task PumpAsync(string topic, string collection, string? labels, string? fields)
        {
            try
            {
                await foreach (var change in cluster.WatchAsync(collection, labels, fields, stop.Token).ConfigureAwait(false))
                    changes.Writer.TryWrite((topic, change, null));
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                // Nobody reads any more.
            }
            catch (Exception error)
                when (error
                    is ClusterApiException or UnavailableException or OperationCanceledException or ObjectDisposedException)
            {
                changes.Writer.TryWrite((topic, null, error));
            }
        }
    }

    private sealed class JobRun(Cluster cluster, Manifest job, string ns, TimeSpan timeLimit, BuildLog log, Action<string> onLine)
    {
        private readonly RolloutView view = new();
        private readonly List<string> lines = [];
        private readonly Lock gate = new();
        private readonly string container = (string?)job.Containers.First(each => !each.IsInit).Container["name"] ?? "";
        private long lastLine;
        private Task? reading;
        private string readingPod = "";
        private volatile bool hasEnded;

        public async Task<TestJobResult> FollowAsync(
            ChannelReader<(string Topic, Change? Change, Exception? Error)> changes,
            CancellationToken stop,
            CancellationToken cancel)
        {
            var time = cluster.Time;
            var started = time.GetTimestamp();
            lastLine = started;
            var since = new Dictionary<string, long>(StringComparer.Ordinal);
            while (true)
            {
                var pod = Own()
                    .OrderByDescending(item => Text(item.Member("metadata", "creationTimestamp")), StringComparer.Ordinal)
                    .FirstOrDefault();
                var status = pod is null
                    ? null
                    : Items(pod.Member("status", "containerStatuses")).FirstOrDefault(each => Text(each["name"]) == container);
                var ended = status.Map("state", "terminated");
                var running = status.Member("state", "running") is not null;
                if (pod is not null && (running || ended is not null) && reading is null)
                {
                    readingPod = pod.NameOf();
                    reading = ReadAsync(readingPod, stop);
                }
                if (ended is not null)
                {
                    hasEnded = true;
                    await RestAsync(cancel).ConfigureAwait(false);
                    return Result(Number(ended["exitCode"]), Evicted(pod!));
                }
                if (JobVerdict() is { } verdict)
                {
                    hasEnded = true;
                    await RestAsync(cancel).ConfigureAwait(false);
                    return Result(null, verdict);
                }
                if (pod is not null && Text(pod.Member("status", "phase")) == "Failed")
                    return Result(
                        null,
                        Evicted(pod)
                            ?? new StepFailure("test-pod-failed",
                                $"the test pod \"{pod.NameOf()}\" failed: {Text(pod.Member("status", "message"))}"));
                if (reading is not null && pod is null && view.Knows("pods"))
                    return Result(
                        null,
                        new StepFailure(
                            "test-pod-lost",
                            $"the test pod \"{readingPod}\" disappeared while it ran; somebody deleted it, " +
                            "or its node is gone: run again",
                            Fault.Unknown));
                var waited = time.GetElapsedTime(started);
                if (waited >= timeLimit)
                    return Result(
                        null,
                        new StepFailure("tests-timeout",
                            $"{job.Title} did not end within " +
                            $"{Durations.Show(timeLimit)}{(LastWords() is { } words
                                ? $"; its last line: {words}"
                                : "; it wrote nothing")}"));
                if (!running && pod is not null && Trouble(pod, since, time) is { } trouble) return Result(null, trouble);
                if (time.GetElapsedTime(Interlocked.Read(ref lastLine)) >= News)
                {
                    log.Progress(
                        $"{job.Title}: {(running
                            ? "running"
                            : pod is null ? "waiting for its pod" : "waiting for its container to start")}, " +
                        $"{Durations.Show(waited)} of {Durations.Show(timeLimit)}");
                    Interlocked.Exchange(ref lastLine, time.GetTimestamp());
                }
                await NextAsync(
                    time,
                    Min(News - time.GetElapsedTime(Interlocked.Read(ref lastLine)), timeLimit - waited),
                    changes,
                    cancel).ConfigureAwait(false);
            }
        }

        private IEnumerable<JsonObject> Own() =>
            view.Workload is { } item ? view.Pods.Where(pod => pod.IsOwnedBy(item.Uid())) : [];

        private StepFailure? JobVerdict()
        {
            if (view.Workload is not { } item || Conditions.Find(item, "Failed") is not { Status: "True" } failed) return null;
            // The pod's own end says more when it is known; this is for jobs that never got that far.
            return failed.Reason == "BackoffLimitExceeded" && Own().Any() ? null
                : new StepFailure(failed.Reason == "DeadlineExceeded" ? "tests-timeout" : "test-job-failed",
                    $"{job.Title} failed: {failed.Reason}, {failed.Message}");
        }

        private StepFailure? Trouble(JsonObject pod, Dictionary<string, long> since, TimeProvider time)
        {
            var uid = pod.Uid();
            var events = view.Events.Where(item => Text(item.Member("involvedObject", "uid")) == uid)
                .OrderBy(RolloutJudge.When, StringComparer.Ordinal)
                .ToList();
            var troubles = PodTroubles.Of(pod, events, [.. view.Nodes], int.MaxValue).ToList();
            foreach (var trouble in troubles)
            {
                if (trouble.IsPermanent) return trouble.Failure;
                if (since.TryAdd(trouble.Key, time.GetTimestamp())) log.Warning(trouble.Failure.Text);
                else if (time.GetElapsedTime(since[trouble.Key]) >= StartGrace) return trouble.Failure;
            }
            return null;
        }

        private static StepFailure? Evicted(JsonObject pod) =>
            Text(pod.Member("status", "phase")) == "Failed" && Text(pod.Member("status", "reason")) is { Length: > 0 } reason
                ? new StepFailure("test-pod-" + reason.ToLowerInvariant(),
                    $"the test pod \"{pod.NameOf()}\" was ended by the cluster: {reason}, " +
                    $"{Text(pod.Member("status", "message"))}; give it a memory request, " +
                    "or use a testbed class with bigger nodes")
                : null;

        private async Task ReadAsync(string pod, CancellationToken stop)
        {
            try
            {
                await foreach (var line in cluster.FollowAsync(ns, pod, container, () => hasEnded, stop).ConfigureAwait(false))
                {
                    Interlocked.Exchange(ref lastLine, cluster.Time.GetTimestamp());
                    lock (gate) lines.Add(line);
                    onLine(line);
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                // The run has ended without this container.
            }
            catch (UnavailableException error)
            {
                log.Warning($"the log of {job.Title} breaks off: {error.Message}");
            }
        }

        private async Task RestAsync(CancellationToken cancel)
        {
            if (reading is null) return;
            try
            {
                await reading.WaitAsync(RestOfLog, cluster.Time, cancel).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                log.Warning(
                    $"the log of {job.Title} did not come to its end within {Durations.Show(RestOfLog)} after the container " +
                    "had ended");
            }
        }

        private async Task NextAsync(
            TimeProvider time,
            TimeSpan wait,
            ChannelReader<(string Topic, Change? Change, Exception? Error)> changes,
            CancellationToken cancel)
        {
            using var limit = new CancellationTokenSource(wait > TimeSpan.Zero ? wait : TimeSpan.FromMilliseconds(1), time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            try
            {
                await changes.WaitToReadAsync(either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                // Time for news, or over.
            }
            while (changes.TryRead(out var next))
            {
                if (next.Change is { } change) view.Take(next.Topic, change);
                else if (next.Topic is "nodes" or "events") view.SetAbsent(next.Topic);
                else if (next.Error is ClusterApiException api)
                    throw new UnavailableException("cluster-unreachable", $"the cluster cannot be watched: {api.Message}", api);
                else throw next.Error ?? new InvalidOperationException("a watch ended by itself");
            }
        }

        private string? LastWords()
        {
            lock (gate) return lines.Count > 0 ? lines[^1] : null;
        }

        private TestJobResult Result(int? exit, StepFailure? failure)
        {
            lock (gate) return new TestJobResult([.. lines], exit, failure);
        }

        private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
    }
}
