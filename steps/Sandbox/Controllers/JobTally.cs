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

    public int Succeeded { get; private set; }

    public int Failed { get; private set; }

    /// <summary>Failures since the last success, the exponent of the back-off.</summary>
    public int FailedInRow { get; private set; }

    public DateTimeOffset LastFailure { get; private set; } = DateTimeOffset.MinValue;

    public IReadOnlyCollection<int> Indexes => _indexes;

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
                Succeeded++;
                FailedInRow = 0;
                if (JobController.IndexOf(pod) is { } index)
                    _indexes.Add(index);
            }
            else if (!_dismissed.Contains(pod.Uid()))
            {
                Failed++;
                FailedInRow++;
                LastFailure = pod.Objs("status", "containerStatuses").Select(c => c.Time("state", "terminated", "finishedAt")).Max() ?? pod.Created();
            }
        }
    }

    /// <summary>The job gave up while this pod was at work, which counts as its failure.</summary>
    public void Fail(JsonNode pod)
    {
        lock (_gate)
        {
            if (_counted.TryAdd(pod.Uid(), false))
                Failed++;
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
}
