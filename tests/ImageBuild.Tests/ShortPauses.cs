namespace CiSteps.ImageBuild.Tests;

/// <summary>The real clock, with pauses before another attempt a hundred times shorter; limits stay as they are.</summary>
internal sealed class ShortPauses : TimeProvider
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(8);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, dueTime > TimeSpan.Zero && dueTime <= Longest ? dueTime / 100 : dueTime, period);
}
