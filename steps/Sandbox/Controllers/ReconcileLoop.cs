using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>One controller's worker: takes keys and brings each object's world in line with it, one at a time.</summary>
/// <param name="name">Names the controller where an unforeseen failure is reported.</param>
/// <param name="time">The clock of delays.</param>
/// <param name="report">Takes one line per unforeseen failure; a controller never stops for one bad object.</param>
/// <param name="reconcile">The work; returns when to look again although nothing changed, or null.</param>
internal sealed class ReconcileLoop(string name, TimeProvider time, Action<string> report, Func<ObjectKey, TimeSpan?> reconcile)
    : IDisposable
{
    /// <summary>What a reconcile returns when it could not finish: try again with growing delays.</summary>
    public static readonly TimeSpan BackOff = Timeout.InfiniteTimeSpan;

    private const int TellAfter = 6;

    private readonly WorkQueue queue = new(time);

    public void Add(ObjectKey key) => queue.Add(key);

    public void AddAfter(ObjectKey key, TimeSpan delay) => queue.AddAfter(key, delay);

    public void Dispose() => queue.Dispose();

    public async Task RunAsync(CancellationToken ct)
    {
        await foreach (var key in queue.Ready.ReadAllAsync(ct).ConfigureAwait(false))
        {
            queue.Begin(key);
            try
            {
                var again = reconcile(key);
                if (again == BackOff)
                {
                    queue.Retry(key);
                    continue;
                }

                queue.Succeeded(key);
                if (again is { } delay)
                    queue.AddAfter(key, delay);
            }
            catch (ApiException e)
            {
                // Somebody was faster, or the object is gone: look again with fresh eyes. What stays refused is told once.
                if (queue.Retry(key) == TellAfter)
                    report($"{name}: '{key}' stays refused: {e.Message}");
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                report($"{name}: cannot reconcile '{key}', trying again: {e}");
                queue.Retry(key);
            }
        }
    }
}
