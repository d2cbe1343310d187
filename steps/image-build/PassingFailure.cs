using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;

namespace CiSteps.ImageBuild;

/// <summary>
/// A pull or push that failed by what may pass by itself: a registry in trouble, an engine that is being restarted.
/// </summary>
internal static class PassingFailure
{
    /// <summary>How often a pull or push is tried.</summary>
    public const int Attempts = 3;

    /// <summary>
    /// What is said of such a failure; null for one that does not pass. The registry's own client tries again by itself.
    /// </summary>
    public static string? Reason(Exception failure) => failure switch
    {
        ImagePushException { Kind: ImagePullFailure.Unreachable } push => push.EngineText,
        ImagePullException { Kind: ImagePullFailure.Unreachable } pull => pull.EngineText,
        UnavailableException { Reason: "engine" } silence => silence.Message,
        _ => null,
    };

    /// <summary>Says so, and waits before the next attempt.</summary>
    /// <param name="context">The step.</param>
    /// <param name="what"><c>push</c> or <c>pull</c>.</param>
    /// <param name="attempt">Which attempt failed, from 1.</param>
    /// <param name="why">What is said of it.</param>
    /// <param name="cancel">Gives up.</param>
    public static Task PauseAsync(StepContext context, string what, int attempt, string why, CancellationToken cancel)
    {
        var pause = TimeSpan.FromSeconds(attempt * 2);
        context.Log.Info($"{what} {attempt} of {Attempts} failed ({why}); next in {Durations.Show(pause)}");
        return Task.Delay(pause, context.Time, cancel);
    }
}
