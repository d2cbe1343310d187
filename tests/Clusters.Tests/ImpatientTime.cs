namespace CiSteps.Clusters.Tests;

/// <summary>
/// The real clock, with every pause a hundred times shorter: retries and graces pass at once, and nothing has to be advanced by
/// hand.
/// </summary>
internal sealed class ImpatientTime : TimeProvider
{
    private const int Factor = 100;
    private readonly long start = System.GetTimestamp();

    public override long GetTimestamp() => start + (System.GetTimestamp() - start) * Factor;

    public override long TimestampFrequency => System.TimestampFrequency;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, Shorter(dueTime), Shorter(period));

    private static TimeSpan Shorter(TimeSpan time) =>
        time <= TimeSpan.Zero ? time : TimeSpan.FromTicks(Math.Max(TimeSpan.TicksPerMillisecond, time.Ticks / Factor));
}
