namespace CiSteps.Hosting;

/// <summary>
/// The time in which a step finishes what it has begun to write. A stop does not break that off, it shortens it: what is half
/// written serves nobody, and a verdict that is written is the step's, whenever the stop comes.
/// </summary>
public sealed class FinishingTime : IDisposable
{
    private readonly CancellationTokenSource source;
    private readonly CancellationTokenRegistration stopping;

    /// <summary>Begins.</summary>
    /// <param name="calm">How long it may take.</param>
    /// <param name="whenStopped">How long it may still take once the step is asked to stop; well below
    /// the half minute that a step has then.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="cancel">The step's own token.</param>
    public FinishingTime(TimeSpan calm, TimeSpan whenStopped, TimeProvider time, CancellationToken cancel)
    {
        source = new CancellationTokenSource(calm, time);
        stopping = cancel.Register(() => source.CancelAfter(whenStopped));
    }

    /// <summary>Cancelled when the time is over, and never before.</summary>
    public CancellationToken Token => source.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        stopping.Dispose();
        source.Dispose();
    }
}
