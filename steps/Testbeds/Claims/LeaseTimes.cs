namespace CiSteps.Testbeds.Claims;

/// <summary>The clocks of a lease.</summary>
/// <param name="HandOverGrace">From binding until the deploying step picks the testbed up.</param>
/// <param name="Heartbeat">Silence of the holder after which the lease ends; the holder renews three times as often.</param>
/// <param name="TimeToLive">From binding to the end, however lively the holder is.</param>
public sealed record LeaseTimes(TimeSpan HandOverGrace, TimeSpan Heartbeat, TimeSpan TimeToLive)
{
    /// <summary>10 minutes, 90 seconds, 2 hours.</summary>
    public static LeaseTimes Standard { get; } = new(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(90), TimeSpan.FromHours(2));
}
