using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>Runs the probes of one run of a container until it ends.</summary>
internal sealed class ProbeRunner : IAsyncDisposable
{
    // A real kubelet sees a new container about a second after its start. Until then failures are free here and looks are
    // frequent, so that quick starters are ready at once.
    private static readonly TimeSpan FreeTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FreePeriod = TimeSpan.FromMilliseconds(100);
    // A day: timers end at 49.
    private const int LongestSeconds = 86400;

    private readonly CancellationTokenSource stop = new();
    private readonly ContainerRun run;
    private readonly ProbeAttempt attempt;
    private readonly TimeProvider time;
    private readonly Action<string, string> unhealthy;
    private readonly Action<string, TimeSpan?> kill;
    private readonly Action changed;
    private readonly Task work;

    /// <param name="run">The container, just started.</param>
    /// <param name="attempt">How to look.</param>
    /// <param name="time">The clock of periods.</param>
    /// <param name="unhealthy">Told of each failure: kind ("Readiness") and text.</param>
    /// <param name="kill">Told once when the container has to die: which probe, and its own grace period.</param>
    /// <param name="changed">Told when the flags of the run changed.</param>
    public ProbeRunner(
        ContainerRun run,
        ProbeAttempt attempt,
        TimeProvider time,
        Action<string, string> unhealthy,
        Action<string, TimeSpan?> kill,
        Action changed)
    {
        this.run = run;
        this.attempt = attempt;
        this.time = time;
        this.unhealthy = unhealthy;
        this.kill = kill;
        this.changed = changed;
        var startup = run.Spec.Obj("startupProbe");
        run.Started = startup is null;
        run.Ready = run.Started && run.Spec.Obj("readinessProbe") is null;
        work = startup is null && run.Spec.Obj("readinessProbe") is null && run.Spec.Obj("livenessProbe") is null
            ? Task.CompletedTask
            : Task.Run(RunAsync);
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        // The end of its probes must never hide the end of a container.
        await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            if (run.Spec.Obj("startupProbe") is { } startup && !await StartAsync(startup).ConfigureAwait(false))
                return;
            var tasks = new List<Task>();
            if (run.Spec.Obj("readinessProbe") is { } readiness)
                tasks.Add(ReadinessAsync(readiness));
            if (run.Spec.Obj("livenessProbe") is { } liveness)
                tasks.Add(LivenessAsync(liveness));
            await Task.WhenAll(tasks).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The container has ended.
        }
    }

    private async Task<bool> StartAsync(JsonObject probe)
    {
        await DelayAsync(probe, "initialDelaySeconds", 0).ConfigureAwait(false);
        var failures = 0;
        while (true)
        {
            if (await LookAsync(probe).ConfigureAwait(false) is not { } wrong)
            {
                run.Started = true;
                run.Ready = run.Spec.Obj("readinessProbe") is null;
                changed();
                return true;
            }

            if (await FreeAsync(probe).ConfigureAwait(false))
                continue;
            unhealthy("Startup", wrong);
            if (++failures >= probe.Int(3, "failureThreshold"))
            {
                kill("startup", Grace(probe));
                return false;
            }

            await DelayAsync(probe, "periodSeconds", 10).ConfigureAwait(false);
        }
    }

    private async Task ReadinessAsync(JsonObject probe)
    {
        await DelayAsync(probe, "initialDelaySeconds", 0).ConfigureAwait(false);
        int successes = 0, failures = 0;
        while (true)
        {
            if (await LookAsync(probe).ConfigureAwait(false) is { } wrong)
            {
                if (await FreeAsync(probe).ConfigureAwait(false))
                    continue;
                successes = 0;
                unhealthy("Readiness", wrong);
                if (++failures >= probe.Int(3, "failureThreshold"))
                    Set(false);
            }
            else
            {
                failures = 0;
                if (++successes >= probe.Int(1, "successThreshold"))
                    Set(true);
            }

            await DelayAsync(probe, "periodSeconds", 10).ConfigureAwait(false);
        }

        void Set(bool ready)
        {
            if (run.Ready == ready)
                return;
            run.Ready = ready;
            changed();
        }
    }

    private async Task LivenessAsync(JsonObject probe)
    {
        await DelayAsync(probe, "initialDelaySeconds", 0).ConfigureAwait(false);
        var failures = 0;
        while (true)
        {
            if (await LookAsync(probe).ConfigureAwait(false) is not { } wrong)
                failures = 0;
            else
            {
                if (await FreeAsync(probe).ConfigureAwait(false))
                    continue;
                unhealthy("Liveness", wrong);
                if (++failures >= probe.Int(3, "failureThreshold"))
                {
                    kill("liveness", Grace(probe));
                    return;
                }
            }

            await DelayAsync(probe, "periodSeconds", 10).ConfigureAwait(false);
        }
    }

    private Task<string?> LookAsync(JsonObject probe) =>
        attempt.RunAsync(
            probe, run.Id!, TimeSpan.FromSeconds(Math.Clamp(probe.Int(1, "timeoutSeconds"), 1, LongestSeconds)), stop.Token);

    private async Task<bool> FreeAsync(JsonObject probe)
    {
        if (probe.Int(0, "initialDelaySeconds") > 0 || time.GetUtcNow() - run.StartedAt > FreeTime)
            return false;
        await Task.Delay(FreePeriod, time, stop.Token).ConfigureAwait(false);
        return true;
    }

    private Task DelayAsync(JsonObject probe, string field, int otherwise) =>
        probe.Int(otherwise, field) is > 0 and var seconds
            ? Task.Delay(TimeSpan.FromSeconds(Math.Min(seconds, LongestSeconds)), time, stop.Token)
            : Task.CompletedTask;

    private static TimeSpan? Grace(JsonObject probe) =>
        probe.Num("terminationGracePeriodSeconds") is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
}
