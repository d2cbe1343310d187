using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>Health gates: a URL that has to become healthy in time and stay so for a while.</summary>
internal static class Gates
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);
    // One lost answer is not a reason to take production back.
    private const int MostBlips = 3;

    private static readonly TimeSpan News = TimeSpan.FromSeconds(8);

    /// <summary>Null when the gate was healthy without a break for the time asked; else why not.</summary>
    public static async Task<StepFailure?> PassAsync(IProduction cluster, GateDefinition gate, string ns, string target, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        log.Progress($"health gate of {target}: {gate.Http} for {Durations.Show(gate.For)}");
        var started = time.GetTimestamp();
        var spoke = started;
        long? healthySince = null;
        var failures = 0;
        while (true)
        {
            var answer = await cluster.AskAsync(gate, ns, cancel);
            var now = time.GetTimestamp();
            if (answer is null) (healthySince, failures) = (healthySince ?? now, 0);
            else if (healthySince is not null && ++failures < MostBlips) log.Warning($"health gate of {target}: {answer}");
            else healthySince = null;
            if (healthySince is { } good && time.GetElapsedTime(good) >= gate.For)
            {
                log.Info($"health gate of {target} passed");
                return null;
            }
            if (healthySince is null && time.GetElapsedTime(started) >= gate.TimeLimit) return Unhealthy($"is not healthy after {Durations.Show(time.GetElapsedTime(started))}: {answer}");
            if (time.GetElapsedTime(spoke) >= News)
            {
                log.Progress($"health gate of {target}: {(answer is null ? "healthy" : $"not healthy yet ({answer})")} after {Durations.Show(time.GetElapsedTime(started))}");
                spoke = now;
            }
            await Task.Delay(Between, time, cancel);
        }

        StepFailure Unhealthy(string what) => new("unhealthy", $"the health gate {gate.Http} of {target} {what}; the diagnosis shows what the pods wrote");
    }

    /// <summary>Waits, with a word every few seconds.</summary>
    public static async Task WaitAsync(TimeSpan length, string what, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        var started = time.GetTimestamp();
        await using var words = time.CreateTimer(_ => log.Progress($"waiting for {what} ({Durations.Show(time.GetElapsedTime(started))} of {Durations.Show(length)})"), null, TimeSpan.Zero, News);
        await Task.Delay(length, time, cancel);
    }
}
