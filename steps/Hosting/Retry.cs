using Polly;
using Polly.Retry;

namespace CiSteps.Hosting;

/// <summary>
/// The one retry policy: for reads and idempotent writes in adapters, never around a merge, a push or a moving tag.
/// </summary>
public static class Retry
{
    /// <summary>Three more tries after the first, one second apart and doubling, with jitter.</summary>
    /// <param name="isTransient">Whether a failure may pass by itself.</param>
    /// <param name="time">The clock of the pauses.</param>
    /// <param name="log">Told of each retry.</param>
    /// <param name="delayOf">A pause that the other side asked for (Retry-After); null for the policy's own.</param>
    public static ResiliencePipeline Transient(
        Func<Exception, bool> isTransient, TimeProvider time, BuildLog log, Func<Exception, TimeSpan?>? delayOf = null) =>
        new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is { } error && isTransient(error)),
            MaxRetryAttempts = 3,
            Delay = TimeSpan.FromSeconds(1),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            DelayGenerator = arguments => ValueTask.FromResult(
                arguments.Outcome.Exception is { } error ? delayOf?.Invoke(error) : null),
            OnRetry = arguments =>
            {
                log.Info(
                    $"try {arguments.AttemptNumber + 1} of 4 failed ({arguments.Outcome.Exception?.Message}); " +
                    $"next in {Options.Durations.Show(arguments.RetryDelay)}");
                return ValueTask.CompletedTask;
            },
        }).Build();
}
