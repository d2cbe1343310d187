namespace CiSteps.Merge;

/// <summary>How long to wait after a race for the target that others won.</summary>
internal static class RacePause
{
    // At 32 attempts' length a hundred racers are about six at a time, of which one lands.
    private const int MostDoublings = 5;

    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    /// <param name="lost">How many races were lost, this one included.</param>
    /// <param name="attempt">How long the last attempt took.</param>
    /// <param name="chance">From 0 to 1: those who lost together do not come back together.</param>
    public static TimeSpan For(int lost, TimeSpan attempt, double chance)
    {
        var unit = attempt < Shortest ? Shortest : attempt > Longest ? Longest : attempt;
        return unit * (chance * (1 << Math.Min(lost, MostDoublings)));
    }
}
