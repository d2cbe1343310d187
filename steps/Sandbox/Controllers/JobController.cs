using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Runs jobs: pods until enough succeeded, too many failed, or the time is up.</summary>
internal sealed class JobController
{
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromMinutes(6);

    private readonly ClusterApi api;
    private readonly EventRecorder events;
    private readonly TimeProvider time;
    private readonly JobTallies tallies = new();

    public JobController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        this.time = time;
        events = new(api, "job-controller", time);
        Loop = new("jobs", time, report, Reconcile);
        feed.On(Kinds.Jobs, (job, _) => Loop.Add(job.Key()));
        feed.On(Kinds.Pods, (pod, gone) =>
        {
            if (Ownership.ControllerKey(pod, Kinds.Jobs) is not { } owner)
                return;
            // A pod that is removed after it ended still counts; one that vanished unfinished counts as failed.
            tallies.Find(owner, Ownership.ControllerOf(pod).Str("uid")!)?.Note(pod, gone);
            Loop.Add(owner);
        });
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.Jobs, key.Namespace, key.Name) is not { } job)
        {
            tallies.Forget(key);
            return null;
        }

        if (job.IsBeingDeleted())
            return null;
        var now = time.GetUtcNow();
        var status = job.Obj("status")?.Copy() ?? new JsonObject();
        if (status.IsTrue("Complete") || status.IsTrue("Failed"))
            return Expire(job, status, now);

        var tally = tallies.Of(job);
        var pods = Ownership.Claim(api, Kinds.Pods, job, Kinds.Jobs);
        foreach (var pod in pods)
            tally.Note(pod, gone: false);
        var active = pods.Where(PodReading.IsActive).ToList();
        var suspended = job.Flag("spec", "suspend");
        if (!suspended && status.Str("startTime") is null)
            status["startTime"] = JsonAccess.Stamp(now);

        TimeSpan? again = null;
        var verdict = Judge(job, status, tally, active, now);
        if (verdict is not null || suspended)
        {
            foreach (var pod in active)
            {
                // Counted here: its end may come between two looks at the job.
                if (verdict?.Type == "Failed")
                    tally.Fail(pod);
                Remove(job, pod);
            }

            if (active.Count > 0)
                active = [];
            if (suspended && verdict is null)
                NoteSuspension(job, status, now);
        }
        else
        {
            if (status.Condition("Suspended").Str("status") == "True")
            {
                status.SetCondition("Suspended", false, "JobResumed", "Job resumed", now, "lastProbeTime");
                status["startTime"] = JsonAccess.Stamp(now);
                events.Normal(job, "Resumed", "Job resumed");
            }

            again = Fill(job, tally, active, now);
            if (job.Num("spec", "activeDeadlineSeconds") is { } deadline)
            {
                var left = (status.Time("startTime") ?? now) + TimeSpan.FromSeconds(Math.Min(deadline, int.MaxValue)) - now;
                left = left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(10);
                again = again is null || left < again ? left : again;
            }
        }

        var terminating = pods.Count(p => !PodReading.IsFinished(p) && !active.Any(a => a.Uid() == p.Uid()));
        WriteCounters(job, status, tally, active, terminating);
        if (verdict is { } end)
            Finish(job, status, end, terminating, now);
        WriteStatus(job, status);
        return again;
    }

    /// <summary>The end of the job, if it has one now: condition, reason, message.</summary>
    private static (string Type, string Reason, string Message)? Judge(
        JsonObject job, JsonObject status, JobTally tally, List<JsonObject> active, DateTimeOffset now)
    {
        if (status.Condition("FailureTarget") is { } failing)
            return ("Failed", failing.Str("reason") ?? "", failing.Str("message") ?? "");
        if (status.Condition("SuccessCriteriaMet") is { } met)
            return ("Complete", met.Str("reason") ?? "", met.Str("message") ?? "");
        var limit = job.Int(6, "spec", "backoffLimit");
        var restarts = job.Str("spec", "template", "spec", "restartPolicy") == "OnFailure" ? active.Sum(PodReading.Restarts) : 0;
        if (tally.Failed > limit || (restarts > 0 && restarts >= limit))
            return ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        if (job.Num("spec", "activeDeadlineSeconds") is { } deadline
            && status.Time("startTime") is { } started
            && now - started >= TimeSpan.FromSeconds(Math.Min(deadline, int.MaxValue)))
            return ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
        var wanted = job.Num("spec", "completions");
        var enough = JobPods.IsIndexed(job) ? tally.Indexes.Count >= wanted
            : wanted is { } completions ? tally.Succeeded >= completions
            // A work queue: one success and nobody at work any more.
            : tally.Succeeded > 0 && active.Count == 0;
        return enough ? ("Complete", "CompletionsReached", "Reached expected number of succeeded pods") : null;
    }

    private TimeSpan? Fill(JsonObject job, JobTally tally, List<JsonObject> active, DateTimeOffset now)
    {
        var parallelism = job.Int(1, "spec", "parallelism");
        var completions = job.Num("spec", "completions");
        var wanted = completions is { } total
            ? (int)Math.Min(parallelism, total - (JobPods.IsIndexed(job) ? tally.Indexes.Count : tally.Succeeded))
            : tally.Succeeded > 0 ? active.Count : parallelism;
        if (active.Count > wanted)
        {
            foreach (var pod in PodReading.LeastWorthFirst(active).Take(active.Count - wanted).ToList())
            {
                Remove(job, pod);
                active.Remove(pod);
            }

            return null;
        }

        if (active.Count == wanted)
            return null;
        if (tally.FailedInRow > 0)
        {
            var pause = FirstBackOff * Math.Pow(2, Math.Min(tally.FailedInRow - 1, 10));
            var left = tally.LastFailure + (pause < LongestBackOff ? pause : LongestBackOff) - now;
            if (left > TimeSpan.Zero)
                return left;
        }

        while (active.Count < wanted)
        {
            var index = JobPods.IsIndexed(job) ? JobPods.FreeIndex(tally, active) : (int?)null;
            try
            {
                var pod = api.Create(Kinds.Pods, job.Namespace(), JobPods.Make(job, index));
                active.Add(pod);
                events.Normal(job, "SuccessfulCreate", $"Created pod: {pod.Name()}");
            }
            catch (ApiException e)
            {
                events.Warning(job, "FailedCreate", $"Error creating: {e.Message}");
                return TimeSpan.FromSeconds(1);
            }
        }

        return null;
    }

    private void Remove(JsonObject job, JsonObject pod)
    {
        try
        {
            api.Delete(Kinds.Pods, pod.Namespace(), pod.Name(), new() { PreconditionUid = pod.Uid() });
            tallies.Of(job).Dismiss(pod);
            events.Normal(job, "SuccessfulDelete", $"Deleted pod: {pod.Name()}");
        }
        catch (ApiException e) when (e.Code == 404)
        {
            // Gone already.
        }
    }

    private void NoteSuspension(JsonObject job, JsonObject status, DateTimeOffset now)
    {
        if (status.IsTrue("Suspended"))
            return;
        status.SetCondition("Suspended", true, "JobSuspended", "Job suspended", now, "lastProbeTime");
        status.Remove("startTime");
        events.Normal(job, "Suspended", "Job suspended");
    }

    private static void WriteCounters(JsonObject job, JsonObject status, JobTally tally, List<JsonObject> active, int terminating)
    {
        ReplicaSetController.SetCount(status, "active", active.Count);
        ReplicaSetController.SetCount(status, "succeeded", JobPods.IsIndexed(job) ? tally.Indexes.Count : tally.Succeeded);
        ReplicaSetController.SetCount(status, "failed", tally.Failed);
        status["ready"] = active.Count(PodReading.IsReady);
        status["terminating"] = terminating;
        status["uncountedTerminatedPods"] = new JsonObject();
        if (JobPods.IsIndexed(job))
            status["completedIndexes"] = tally.CompletedIndexes();
    }

    private void Finish(
        JsonObject job, JsonObject status, (string Type, string Reason, string Message) end, int terminating, DateTimeOffset now)
    {
        // The interim condition says the verdict, the final one that no pod is left running.
        status.SetCondition(
            end.Type == "Failed" ? "FailureTarget" : "SuccessCriteriaMet", true, end.Reason, end.Message, now, "lastProbeTime");
        if (terminating > 0)
            return;
        status.SetCondition(end.Type, true, end.Reason, end.Message, now, "lastProbeTime");
        if (end.Type == "Complete")
        {
            status["completionTime"] = JsonAccess.Stamp(now);
            events.Normal(job, "Completed", "Job completed");
        }
        else
            events.Warning(job, end.Reason, end.Message);
    }

    private void WriteStatus(JsonObject job, JsonObject status)
    {
        if (api.Get(Kinds.Jobs, job.Namespace(), job.Name()) is not { } fresh
            || fresh.Uid() != job.Uid()
            || JsonNode.DeepEquals(fresh.Obj("status"), status))
            return;
        fresh["status"] = status;
        api.UpdateStatus(Kinds.Jobs, fresh);
    }

    private TimeSpan? Expire(JsonObject job, JsonObject status, DateTimeOffset now)
    {
        if (job.Num("spec", "ttlSecondsAfterFinished") is not { } ttl)
            return null;
        var ended = (status.Condition("Complete") ?? status.Condition("Failed")).Time("lastTransitionTime") ?? now;
        var left = ended + TimeSpan.FromSeconds(Math.Min(ttl, int.MaxValue)) - now;
        if (left > TimeSpan.Zero)
            return left;
        api.Delete(
            Kinds.Jobs, job.Namespace(), job.Name(), new() { PreconditionUid = job.Uid(), Propagation = Propagation.Foreground });
        return null;
    }
}
