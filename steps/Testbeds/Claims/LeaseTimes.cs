namespace CiSteps.Testbeds.Claims;

/// <summary>The three times of a lease, the same from the pool's class over the claim to the lock.</summary>
/// <param name="HandOverGrace">From binding until the deploying step picks the testbed up.</param>
/// <param name="LeaseDuration">How long a renewal holds: silence of the holder after which the lease ends, as
/// leaseDurationSeconds of Kubernetes' Lease. The holder renews three times as often.</param>
/// <param name="TimeToLive">The hard limit: from binding to the end, however often the holder renews.</param>
public sealed record LeaseTimes(TimeSpan HandOverGrace, TimeSpan LeaseDuration, TimeSpan TimeToLive)
{
    /// <summary>10 minutes, 90 seconds, 2 hours.</summary>
    public static LeaseTimes Standard { get; } = new(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(90), TimeSpan.FromHours(2));
}
