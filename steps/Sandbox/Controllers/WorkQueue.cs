using System.Threading.Channels;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Keys that wait to be reconciled: a key waits at most once, later or failed keys come back after a delay.</summary>
internal sealed class WorkQueue(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);
    // Timers end at 49 days; a key that comes early is looked at and comes back.
    private static readonly TimeSpan LongestDelay = TimeSpan.FromDays(1);

    private readonly Channel<ObjectKey> ready = Channel.CreateUnbounded<ObjectKey>(new() { SingleReader = true });
    private readonly Lock gate = new();
    private readonly HashSet<ObjectKey> waiting = [];
    private readonly Dictionary<ObjectKey, (ITimer Timer, DateTimeOffset Due)> later = [];
    private readonly Dictionary<ObjectKey, int> failures = [];
    private bool disposed;

    public ChannelReader<ObjectKey> Ready => ready.Reader;

    public void Add(ObjectKey key)
    {
        lock (gate)
        {
            if (!waiting.Add(key))
                return;
        }

        ready.Writer.TryWrite(key);
    }

    /// <summary>Adds the key after a delay, at the latest after a day; of two delays for one key the earlier counts.</summary>
    public void AddAfter(ObjectKey key, TimeSpan delay)
    {
        if (delay <= TimeSpan.Zero)
        {
            Add(key);
            return;
        }

        if (delay > LongestDelay)
            delay = LongestDelay;
        lock (gate)
        {
            if (disposed)
                return;
            var due = time.GetUtcNow() + delay;
            if (later.TryGetValue(key, out var present))
            {
                if (present.Due <= due)
                    return;
                present.Timer.Dispose();
            }

            later[key] = (time.CreateTimer(_ => Fire(key), null, delay, Timeout.InfiniteTimeSpan), due);
        }
    }

    /// <summary>
    /// Adds the key again after a failure: 5 ms, doubling up to 30 s. Returns how often it has failed in a row.
    /// </summary>
    public int Retry(ObjectKey key)
    {
        int failures;
        lock (gate)
            failures = this.failures[key] = this.failures.GetValueOrDefault(key) + 1;
        var delay = FirstRetry * Math.Pow(2, Math.Min(failures - 1, 16));
        AddAfter(key, delay < LongestRetry ? delay : LongestRetry);
        return failures;
    }

    /// <summary>The key is about to be worked on; an Add from now on queues it again.</summary>
    public void Begin(ObjectKey key)
    {
        lock (gate)
            waiting.Remove(key);
    }

    public void Succeeded(ObjectKey key)
    {
        lock (gate)
            failures.Remove(key);
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            foreach (var (timer, _) in later.Values)
                timer.Dispose();
            later.Clear();
        }

        ready.Writer.TryComplete();
    }

    private void Fire(ObjectKey key)
    {
        lock (gate)
        {
            if (later.Remove(key, out var entry))
                entry.Timer.Dispose();
        }

        Add(key);
    }
}
