using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;

namespace CiSteps.Clusters;

/// <content>Jobs among what is deployed: they end before the workloads that need them begin.</content>
public sealed partial class Cluster
{
    private const string JobTemplate = "cisteps.dev/job-template";

    private static readonly TimeSpan TimeToReplace = TimeSpan.FromMinutes(1);

    private static readonly HashSet<string> AfterJobs = new(StringComparer.Ordinal)
    {
        "DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment", "StatefulSet", "HorizontalPodAutoscaler",
            "CronJob", "Ingress",
    };

    /// <summary>
    /// Applies manifests like <see cref="ApplyAsync"/>, their Jobs before their workloads: each Job is waited for. A Job's
    /// template cannot be changed: one that has another is replaced, one that has run with this template is not run again.
    /// </summary>
    /// <param name="manifests">With their namespaces set.</param>
    /// <param name="jobLimit">How long each Job may take.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>Null when everything is in the cluster and the Jobs have succeeded; else why not.</returns>
    /// <exception cref="UsageException">As <see cref="ApplyAsync"/>.</exception>
    public async Task<StepFailure?> ApplyAfterJobsAsync(ManifestSet manifests, TimeSpan jobLimit, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(manifests);
        var jobs = manifests.Where(item => item is { Kind: "Job", ApiVersion: "batch/v1" });
        if (jobs.Items.Count == 0) return await ApplyAsync(manifests, dryRun: false, cancel).ConfigureAwait(false);
        var later = manifests.Where(item => AfterJobs.Contains(item.Kind));
        var first = manifests.Where(item => !jobs.Items.Contains(item) && !later.Items.Contains(item));
        if (await ApplyAsync(first, dryRun: false, cancel).ConfigureAwait(false) is { } denied) return denied;
        foreach (var job in jobs.Items)
            if (await RunAsync(job, jobLimit, cancel).ConfigureAwait(false) is { } failure) return failure;
        return await ApplyAsync(later, dryRun: false, cancel).ConfigureAwait(false);
    }

    private async Task<StepFailure?> RunAsync(Manifest job, TimeSpan limit, CancellationToken cancel)
    {
        var (ns, path) = (job.Namespace ?? "default", Kinds.Job.Path(job.Namespace ?? "default", job.Name));
        var template = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(job.Json["spec"]?.ToJsonString()
            ?? "")))[..32];
        if (await FindAsync(path, cancel).ConfigureAwait(false) is { } live)
        {
            var isSame = live.Annotation(JobTemplate) == template;
            if (isSame && Conditions.Find(live, "Complete") is { Status: "True" })
            {
                Log.Info($"{job.Title} has succeeded already");
                return null;
            }
            if (!isSame || Conditions.Find(live, "Failed") is { Status: "True" })
            {
                Log.Info(isSame ? $"{job.Title} failed before: it is run anew"
                    : $"{job.Title} has another template now: the old one is replaced");
                await DeleteAsync(path, live.Uid(), cancel).ConfigureAwait(false);
                await AwaitGoneAsync(Kinds.Job, ns, job.Name, TimeToReplace, cancel).ConfigureAwait(false);
            }
        }
        var marked = job with { Json = (JsonObject)job.Json.DeepClone() };
        var metadata = (JsonObject)marked.Json["metadata"]!;
        if (metadata["annotations"] is not JsonObject annotations) metadata["annotations"] = annotations = [];
        annotations[JobTemplate] = template;
        if (await ApplyAsync(ManifestSet.Of(marked), dryRun: false, cancel).ConfigureAwait(false) is { } denied) return denied;
        Log.Progress($"waiting for {job.Title}, for {Durations.Show(limit)} at most");
        return await AwaitJobAsync(job, ns, limit, cancel).ConfigureAwait(false);
    }

    private async Task<StepFailure?> AwaitJobAsync(Manifest job, string ns, TimeSpan limit, CancellationToken cancel)
    {
        using var end = new CancellationTokenSource(limit, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(end.Token, cancel);
        try
        {
            await foreach (var change in WatchAsync(Kinds.Job.Collection(ns), null, "metadata.name=" + job.Name, either.Token)
                .ConfigureAwait(false))
            {
                if (change.Kind == ChangeKind.Gone) return new StepFailure("job-gone",
                    $"{job.Title} was taken away while it ran; somebody else works in namespace \"{ns}\"", Fault.Unknown);
                if (change.Kind != ChangeKind.Present) continue;
                if (Conditions.Find(change.Item, "Complete") is { Status: "True" })
                {
                    Log.Info($"{job.Title} has succeeded");
                    return null;
                }
                if (Conditions.Find(change.Item, "Failed") is { Status: "True" } failed)
                    // Its containers ran and said no, or it had no time to: only the first says something about them.
                    return new StepFailure("job-failed",
                        $"{job.Title} failed: {failed.Reason}, {failed.Message}; its log is in the diagnosis")
                    {
                        IsOwn =
                        failed.Reason == "BackoffLimitExceeded"
                    };
            }
            throw new InvalidOperationException("a watch ended by itself");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new StepFailure("job-timeout",
                $"{job.Title} did not end within {Durations.Show(limit)}; the diagnosis says what its pods do", Fault.Unknown);
        }
    }
}
