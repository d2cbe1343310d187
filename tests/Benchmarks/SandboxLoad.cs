using System.Collections.Concurrent;
using System.Globalization;
using CiSteps.Fixtures;

namespace CiSteps.Benchmarks;

/// <summary>
/// 1,000 objects of 20 kinds and 200 watchers while objects come, change and go; against the same calls on the same cluster when
/// nobody watches and nothing is stored.
/// </summary>
internal static class SandboxLoad
{
    private const int Watchers = 200, PerKind = 50, Reads = 400;

    // A cluster keeps 4,096 changes of each kind for watches to resume over: by then that is full.
    private const int Filling = 45, Cycles = 45;

    public static async Task RunAsync(Table table)
    {
        await using var sandbox = await SandboxFixture.StartAsync("benchmark");
        using var objects = new ManyObjects(sandbox.Kubeconfig);
        using var stop = new CancellationTokenSource();
        await objects.MakeNamespaceAsync(stop.Token);
        await objects.CreateAsync(0, 0, stop.Token);
        await ReadsAsync(objects);
        var alone = await ReadsAsync(objects);
        await objects.DeleteAsync(0, 0, stop.Token);

        var seen = new ConcurrentDictionary<string, Countdown>();
        var watching = await Task.WhenAll(Enumerable
            .Range(0, Watchers)
            .Select(
                async number => FollowAsync(await objects.WatchAsync(number % ManyObjects.Kinds, stop.Token), seen, stop.Token)));
        var creating = await Table.TimeAsync(() => ManyObjects.ForAllAsync(PerKind, objects.CreateAsync, stop.Token));
        using var enough = new CancellationTokenSource();
        var busy = BusyAsync(objects, enough.Token);
        var loaded = await ReadsAsync(objects);
        var lists = new List<TimeSpan>();
        for (var i = 0; i < 100; i++)
            lists.Add(await Table.TimeAsync(() => objects.ListAsync(i % ManyObjects.Kinds, stop.Token)));
        await enough.CancelAsync();
        await busy;
        var told = new List<TimeSpan>();
        for (var i = 0; i < 100; i++)
        {
            var value = $"told-{i}";
            var all = seen[value] = new Countdown(Watchers / ManyObjects.Kinds);
            told.Add(await Table.TimeAsync(async () =>
            {
                await objects.ChangeAsync(i % ManyObjects.Kinds, 1, value, stop.Token);
                await all.Done;
            }));
        }
        await ManyObjects.ForAllAsync(PerKind, objects.DeleteAsync, stop.Token);
        var heap = new List<long>();
        for (var cycle = 1; cycle <= Filling + Cycles; cycle++)
        {
            await ManyObjects.ForAllAsync(PerKind, objects.CreateAsync, stop.Token);
            await ManyObjects.ForAllAsync(PerKind, objects.DeleteAsync, stop.Token);
            if (cycle is Filling or Filling + Cycles) heap.Add(GC.GetTotalMemory(forceFullCollection: true));
        }
        await stop.CancelAsync();
        await Task.WhenAll(watching);

        foreach (var percent in new[] { 50, 99 })
            table.Add(
                $"reading an object, {Watchers} watchers, 1,000 objects, a writer: p{percent}",
                Table.Show(Table.Percentile(loaded, percent)),
                "nobody else",
                Table.Show(Table.Percentile(alone, percent)),
                Table.Percentile(loaded, percent) / Table.Percentile(alone, percent));
        table.Add($"listing {PerKind} objects under the same load: p99", Table.Show(Table.Percentile(lists, 99)));
        table.Add(
            $"a change until each of {Watchers / ManyObjects.Kinds} watchers of {Watchers} has it: " +
            $"p99 (median {Table.Show(Table.Median(told))})",
            Table.Show(Table.Percentile(told, 99)));
        table.Add("creating 1,000 objects, 8 at a time, while 200 watch", Table.Show(creating));
        table.Add(
            $"heap after {Filling + Cycles} cycles of creating and deleting 1,000 objects",
            Megabytes(heap[1]),
            $"after {Filling}, when the history is full",
            Megabytes(heap[0]),
            (double)heap[1] / heap[0]);
    }

    private static async Task<List<TimeSpan>> ReadsAsync(ManyObjects objects)
    {
        var times = new List<TimeSpan>();
        for (var i = 0; i < Reads; i++) times.Add(await Table.TimeAsync(() => objects.GetAsync(0, 0, CancellationToken.None)));
        return times;
    }

    private static async Task BusyAsync(ManyObjects objects, CancellationToken enough)
    {
        for (var i = 0; !enough.IsCancellationRequested; i++)
            await objects.ChangeAsync(i % ManyObjects.Kinds, 2, i.ToString(CultureInfo.InvariantCulture), CancellationToken.None);
    }

    private static async Task FollowAsync(
        IAsyncEnumerable<WatchedChange> changes, ConcurrentDictionary<string, Countdown> seen, CancellationToken stop)
    {
        try
        {
            await foreach (var change in changes)
                if (change.Label is { } value && seen.TryGetValue(value, out var all)) all.Signal();
        }
        catch (Exception e)
            when (stop.IsCancellationRequested && e is OperationCanceledException or IOException or HttpRequestException)
        {
            // Enough is seen.
        }
    }

    private static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MB");

    private sealed class Countdown(int left)
    {
        private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => done.Task;

        public void Signal()
        {
            if (Interlocked.Decrement(ref left) == 0) done.SetResult();
        }
    }
}
