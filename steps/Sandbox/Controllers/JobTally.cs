using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>What became of a job's pods, each counted once however often it is seen and even after it is gone.</summary>
internal sealed class JobTally
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, bool> _counted = [];
    private readonly HashSet<string> _dismissed = [];
    private readonly SortedSet<int> _indexes = [];

    private int _succeeded;
    private int _failed;
    private int _failedInRow;
    private DateTimeOffset _lastFailure = DateTimeOffset.MinValue;

    public int Succeeded => Read(ref _succeeded);

    public int Failed => Read(ref _failed);

    /// <summary>Failures since the last success, the exponent of the back-off.</summary>
    public int FailedInRow => Read(ref _failedInRow);

    public DateTimeOffset LastFailure => Read(ref _lastFailure);

    /// <summary>The indexes that have succeeded until now.</summary>
    public IReadOnlySet<int> Indexes
    {
        get
        {
            lock (_gate)
                return _indexes.ToHashSet();
        }
    }

    public void Note(JsonNode pod, bool gone)
    {
        lock (_gate)
        {
            var phase = PodReading.Phase(pod);
            if (phase is not ("Succeeded" or "Failed"))
            {
                if (!gone || _dismissed.Contains(pod.Uid()))
                    return;
                phase = "Failed";
            }

            if (!_counted.TryAdd(pod.Uid(), phase == "Succeeded"))
                return;
            if (phase == "Succeeded")
            {
                _succeeded++;
                _failedInRow = 0;
                if (JobController.IndexOf(pod) is { } index)
                    _indexes.Add(index);
            }
            else if (!_dismissed.Contains(pod.Uid()))
            {
                _failed++;
                _failedInRow++;
                _lastFailure = pod.Objs("status", "containerStatuses").Select(c => c.Time("state", "terminated", "finishedAt")).Max() ?? pod.Created();
            }
        }
    }

    /// <summary>The job gave up while this pod was at work, which counts as its failure.</summary>
    public void Fail(JsonNode pod)
    {
        lock (_gate)
        {
            if (_counted.TryAdd(pod.Uid(), false))
                _failed++;
        }
    }

    /// <summary>The controller itself removes this pod: its end is nobody's failure.</summary>
    public void Dismiss(JsonNode pod)
    {
        lock (_gate)
            _dismissed.Add(pod.Uid());
    }

    /// <summary>Such as "0,2-4".</summary>
    public string CompletedIndexes()
    {
        lock (_gate)
        {
            var runs = new List<string>();
            int? from = null, last = null;
            foreach (var index in _indexes)
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
        lock (_gate)
            return field;
    }
}

/// <summary>The tallies of the jobs that there are. Made for a job that is looked at, so that pods which outlive their job leave none.</summary>
internal sealed class JobTallies
{
    private readonly Dictionary<ObjectKey, (string Uid, JobTally Tally)> _tallies = [];

    /// <summary>How many jobs have one.</summary>
    public int Count
    {
        get
        {
            lock (_tallies)
                return _tallies.Count;
        }
    }

    /// <summary>The job's tally, made when there is none; one of a former job of that name goes.</summary>
    public JobTally Of(JsonNode job)
    {
        lock (_tallies)
        {
            if (!_tallies.TryGetValue(job.Key(), out var known) || known.Uid != job.Uid())
                _tallies[job.Key()] = known = (job.Uid(), new());
            return known.Tally;
        }
    }

    /// <summary>Null when the job is gone or was not looked at yet.</summary>
    public JobTally? Find(ObjectKey job, string uid)
    {
        lock (_tallies)
            return _tallies.TryGetValue(job, out var known) && known.Uid == uid ? known.Tally : null;
    }

    public void Forget(ObjectKey job)
    {
        lock (_tallies)
            _tallies.Remove(job);
    }
}
