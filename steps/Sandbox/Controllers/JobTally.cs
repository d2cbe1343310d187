using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>What became of a job's pods, each counted once however often it is seen and even after it is gone.</summary>
internal sealed class JobTally
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, bool> counted = [];
    private readonly HashSet<string> dismissed = [];
    private readonly SortedSet<int> indexes = [];

    private int succeeded;
    private int failed;
    private int failedInRow;
    private DateTimeOffset lastFailure = DateTimeOffset.MinValue;

    public int Succeeded => Read(ref succeeded);

    public int Failed => Read(ref failed);

    /// <summary>Failures since the last success, the exponent of the back-off.</summary>
    public int FailedInRow => Read(ref failedInRow);

    public DateTimeOffset LastFailure => Read(ref lastFailure);

    /// <summary>The indexes that have succeeded until now.</summary>
    public IReadOnlySet<int> Indexes
    {
        get
        {
            lock (gate)
                return indexes.ToHashSet();
        }
    }

    public void Note(JsonNode pod, bool gone)
    {
        lock (gate)
        {
            var phase = PodReading.Phase(pod);
            if (phase is not ("Succeeded" or "Failed"))
            {
                if (!gone || dismissed.Contains(pod.Uid()))
                    return;
                phase = "Failed";
            }

            if (!counted.TryAdd(pod.Uid(), phase == "Succeeded"))
                return;
            if (phase == "Succeeded")
            {
                succeeded++;
                failedInRow = 0;
                if (JobPods.IndexOf(pod) is { } index)
                    indexes.Add(index);
            }
            else if (!dismissed.Contains(pod.Uid()))
            {
                failed++;
                failedInRow++;
                lastFailure = pod.Objs("status", "containerStatuses")
                    .Select(c => c.Time("state", "terminated", "finishedAt"))
                    .Max()
                    ?? pod.Created();
            }
        }
    }

    /// <summary>The job gave up while this pod was at work, which counts as its failure.</summary>
    public void Fail(JsonNode pod)
    {
        lock (gate)
        {
            if (counted.TryAdd(pod.Uid(), false))
                failed++;
        }
    }

    /// <summary>The controller itself removes this pod: its end is nobody's failure.</summary>
    public void Dismiss(JsonNode pod)
    {
        lock (gate)
            dismissed.Add(pod.Uid());
    }

    /// <summary>Such as "0,2-4".</summary>
    public string CompletedIndexes()
    {
        lock (gate)
        {
            var runs = new List<string>();
            int? from = null, last = null;
            foreach (var index in indexes)
            {
                if (last is not null && index == last + 1)
                {
                    last = index;
                    continue;
                }

                Close();
                from = last = index;
            }

            Close();
            return string.Join(',', runs);

            void Close()
            {
                if (from is not null)
                    runs.Add(from == last ? $"{from}" : $"{from}-{last}");
            }
        }
    }

    private T Read<T>(ref T field)
    {
        lock (gate)
            return field;
    }
}

/// <summary>
/// The tallies of the jobs that there are. Made for a job that is looked at, so that pods which outlive their job leave none.
/// </summary>
internal sealed class JobTallies
{
    private readonly Dictionary<ObjectKey, (string Uid, JobTally Tally)> tallies = [];

    /// <summary>How many jobs have one.</summary>
    public int Count
    {
        get
        {
            lock (tallies)
                return tallies.Count;
        }
    }

    /// <summary>The job's tally, made when there is none; one of a former job of that name goes.</summary>
    public JobTally Of(JsonNode job)
    {
        lock (tallies)
        {
            if (!tallies.TryGetValue(job.Key(), out var known) || known.Uid != job.Uid())
                tallies[job.Key()] = known = (job.Uid(), new());
            return known.Tally;
        }
    }

    /// <summary>Null when the job is gone or was not looked at yet.</summary>
    public JobTally? Find(ObjectKey job, string uid)
    {
        lock (tallies)
            return tallies.TryGetValue(job, out var known) && known.Uid == uid ? known.Tally : null;
    }

    public void Forget(ObjectKey job)
    {
        lock (tallies)
            tallies.Remove(job);
    }
}
