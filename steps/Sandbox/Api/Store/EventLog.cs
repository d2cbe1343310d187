namespace CiSteps.Sandbox.Api.Store;

/// <summary>The latest changes of one collection. Bounded, so a reader that falls behind starts over with a list.</summary>
internal sealed class EventLog(int capacity, long byteLimit)
{
    private readonly List<StoreEvent> events = [];
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long bytes;
    private int head;

    /// <summary>Changes up to this revision are no longer known.</summary>
    public long Forgotten { get; private set; }

    /// <summary>Completes at the next change.</summary>
    public Task Changed => changed.Task;

    public void Append(StoreEvent change)
    {
        events.Add(change);
        bytes += change.Object.Utf8.Length;
        while (events.Count - head > 1 && (events.Count - head > capacity || bytes > byteLimit))
        {
            Forgotten = events[head].Revision;
            bytes -= events[head].Object.Utf8.Length;
            events[head++] = null!;
        }
        if (head > 256 && head > events.Count / 2)
        {
            events.RemoveRange(0, head);
            head = 0;
        }
        Wake();
    }

    /// <summary>Lets every reader look again.</summary>
    public void Wake()
    {
        var waiting = changed;
        changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        waiting.SetResult();
    }

    /// <summary>Changes after a revision, or null when some of them are forgotten.</summary>
    public StoreEvent[]? After(long revision)
    {
        if (revision < Forgotten)
            return null;
        int low = head, high = events.Count;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (events[middle].Revision <= revision)
                low = middle + 1;
            else
                high = middle;
        }
        return low == events.Count ? [] : [.. events.GetRange(low, events.Count - low)];
    }
}
