using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>Health gates: a URL that has to become healthy in time and stay so for a while.</summary>
internal static class Gates
{
    private static readonly TimeSpan MostBetween = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan News = TimeSpan.FromSeconds(8);

    /// <summary>
    /// Asks until every answer was healthy for the time that the gate wants. An answer that is not healthy, and a question
    /// without answer, begin that time anew; after the gate's limit an answer that is not healthy ends it.
    /// </summary>
    /// <param name="cluster">Where the gate is asked.</param>
    /// <param name="gate">The gate.</param>
    /// <param name="ns">The target's namespace.</param>
    /// <param name="target">The target, for people.</param>
    /// <param name="soaks">Whether it was healthy before: the limit counts from the last healthy answer then.</param>
    /// <param name="log">Told of it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>Null when it passed; else why not.</returns>
    /// <exception cref="UnavailableException">There was no answer when the limit was over: that is not a verdict.</exception>
    public static async Task<StepFailure?> PassAsync(IProduction cluster, GateDefinition gate, string ns, string target,
        bool soaks,
        BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        log.Progress($"health gate of {target}: {gate.Http} for {Durations.Show(gate.For)}");
        var started = time.GetTimestamp();
        var spoke = started;
        long? healthySince = null;
        var limitSince = started;
        // A gate that falls ill again and again would begin anew without end.
        var longest = gate.TimeLimit + gate.For + gate.For;
        while (true)
        {
            GateAnswer? answer = null;
            UnavailableException? silence = null;
            try
            {
                answer = await cluster.AskAsync(gate, ns, cancel);
            }
            catch (UnavailableException gone)
            {
                silence = gone;
            }
            var now = time.GetTimestamp();
            var waited = time.GetElapsedTime(started);
            if (answer is { IsHealthy: true })
            {
                healthySince ??= now;
                if (soaks) limitSince = now;
            }
            else
            {
                if (healthySince is not null) log.Warning($"health gate of {target}: {answer?.Text ?? silence!.Message}; it " +
                    "begins anew");
                healthySince = null;
            }
            if (healthySince is { } good && time.GetElapsedTime(good) >= gate.For)
            {
                log.Info($"health gate of {target} passed");
                return null;
            }
            if (waited >= longest || healthySince is null && time.GetElapsedTime(limitSince) >= gate.TimeLimit)
            {
                if (silence is not null)
                    throw new UnavailableException(silence.Reason,
                        $"the health gate {gate.Http} of {target} gives no answer after {Durations.Show(waited)}: " +
                        $"{silence.Message}", silence);
                return new StepFailure("unhealthy",
                    $"the health gate {gate.Http} of {target} is not healthy after {Durations.Show(waited)}: " +
                    $"{(answer!.IsHealthy ? "it was never healthy for long enough" : answer.Text)}; the diagnosis shows what " +
                        "the pods wrote")
                {
                    IsOwn = answer.IsOwn,
                };
            }
            if (time.GetElapsedTime(spoke) >= News)
            {
                log.Progress($"health gate of {target}: " +
                    $"{(answer is { IsHealthy: true } ? "healthy" : $"not healthy yet ({answer?.Text ?? silence!.Message})")} " +
                    $"after {Durations.Show(waited)}");
                spoke = now;
            }
            await Task.Delay(gate.For < MostBetween ? gate.For : MostBetween, time, cancel);
        }
    }

    /// <summary>Waits, with a word every few seconds.</summary>
    public static async Task WaitAsync(TimeSpan length, string what, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        var started = time.GetTimestamp();
        await using var words = time.CreateTimer(_ =>
            log.Progress($"waiting for {what} ({Durations.Show(time.GetElapsedTime(started))} of {Durations.Show(length)})"),
            null, TimeSpan.Zero, News);
        await Task.Delay(length, time, cancel);
    }
}
