using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// Takes one container of a pod from waiting to running and back, with the kubelet's reasons, delays and events.
/// </summary>
internal sealed class ContainerLauncher(
    KubeletContext context,
    JsonObject pod,
    PodNetwork network,
    PodVolumes volumes,
    string folder,
    Action wake)
{
    // A failed pull is shown as such for this long before the status says that it is being waited for.
    private static readonly TimeSpan PullErrorShown = TimeSpan.FromSeconds(2);

    private readonly ImagePuller puller = new(context, pod);
    private readonly ContainerPlanner planner = new(context, pod, network, volumes, folder);
    private readonly TimeProvider time = context.Time;
    private readonly string node = pod.Str("spec", "nodeName") ?? "";
    private readonly Dictionary<ContainerRun, (DateTimeOffset At, string Message)> pullFailures = [];

    public static string FieldPath(ContainerRun run) =>
        $"spec.{(run.Role == ContainerRole.App ? "containers" : "initContainers")}{{{run.Name}}}";

    /// <summary>Starts the container unless it runs or has to wait; returns when to look again.</summary>
    public async Task<TimeSpan?> EnsureRunningAsync(ContainerRun run, CancellationToken ct)
    {
        if (run.State == RunState.Running)
            return null;
        var now = time.GetUtcNow();
        if (run.LatestEnd is { } end && run.CrashBackOff.Left(end.FinishedAt, now) is var left && left > TimeSpan.Zero)
        {
            NoteCrashLoop(run);
            return left;
        }

        var (image, pause) = await ImageAsync(run, now, ct).ConfigureAwait(false);
        if (image is null)
            return pause;
        run.Image = image;
        run.ImageId = ImagePuller.Identity(image, run.ImageText);
        try
        {
            await StartAsync(run, planner.Plan(run, image), ct).ConfigureAwait(false);
            return null;
        }
        catch (ContainerConfigException e)
        {
            // What is missing wakes us when it comes.
            context.Events.Warning(pod, "Failed", $"Error: {e.Message}", FieldPath(run), node);
            run.Wait("CreateContainerConfigError", e.Message);
            return null;
        }
        catch (RuntimeRefusalException e) when (run.State != RunState.Running)
        {
            context.Events.Warning(pod, "Failed", $"Error: {e.Message}", FieldPath(run), node);
            if (run.State == RunState.Terminated)
                return null;
            if (run.WaitingReason != "RunContainerError")
                run.Wait("CreateContainerError", e.Message);
            return run.LatestEnd is null
                ? TimeSpan.FromSeconds(5)
                : run.CrashBackOff.Left(run.LatestEnd.FinishedAt, time.GetUtcNow());
        }
    }

    /// <summary>
    /// Asks a running container to end: its preStop hook first, then SIGTERM, then after the grace period SIGKILL.
    /// </summary>
    public async Task StopAsync(ContainerRun run, TimeSpan grace, CancellationToken ct)
    {
        run.IsBeingKilled = true;
        var started = time.GetTimestamp();
        if (run.Spec.Obj("lifecycle", "preStop") is { } hook && grace > TimeSpan.Zero)
            await RunHookAsync(run, hook, "PreStop", grace, ct).ConfigureAwait(false);
        var left = grace - time.GetElapsedTime(started);
        await context.Runtime.StopAsync(
            run.Id!,
            left > TimeSpan.FromSeconds(2) ? left : grace < TimeSpan.FromSeconds(2) ? grace : TimeSpan.FromSeconds(2),
            ct).ConfigureAwait(false);
    }

    public async Task NoteEndAsync(ContainerRun run, ContainerFacts? facts, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var code = facts?.ExitCode ?? 137;
        var reason = facts is { OutOfMemory: true } ? "OOMKilled" : code == 0 ? "Completed" : "Error";
        var message = planner.TerminationMessage(run);
        if (message is null
            && code != 0
            && run.Spec.Str("terminationMessagePolicy") == "FallbackToLogsOnError"
            && facts is not null)
        {
            using var log = new MemoryStream();
            try
            {
                await context.Runtime.LogsAsync(
                    run.Id!, new(Follow: false, Tail: 80, Since: null, Timestamps: false), log, ct).ConfigureAwait(false);
                message = Encoding.UTF8.GetString(
                    log.GetBuffer(), (int)Math.Max(0, log.Length - 2048), (int)Math.Min(log.Length, 2048));
            }
            catch (RuntimeRefusalException e)
            {
                message = $"the log cannot be read: {e.Message}";
            }
        }

        run.Terminate(new(code, reason, message, facts?.StartedAt ?? run.StartedAt, facts?.FinishedAt ?? now, run.Id));
    }

    private async Task StartAsync(ContainerRun run, ContainerPlan plan, CancellationToken ct)
    {
        var again = run.HasRun;
        var id = await context.Runtime.CreateAsync(plan, ct).ConfigureAwait(false);
        context.Events.Normal(pod, "Created", $"Created container: {run.Name}", FieldPath(run), node);
        var obsolete = run.PreviousId;
        run.PreviousId = run.Id;
        run.Id = id;
        if (obsolete is not null)
            await context.Runtime.RemoveAsync(obsolete, ct).ConfigureAwait(false);
        if (run.LatestEnd is not null)
            run.CrashBackOff.Next(time.GetUtcNow());
        try
        {
            await context.Runtime.StartAsync(id, ct).ConfigureAwait(false);
        }
        catch (RuntimeRefusalException e)
        {
            var now = time.GetUtcNow();
            run.FailToStart(new(128, "StartError", e.Message, DateTimeOffset.UnixEpoch, now, id), again);
            // Where nothing is restarted, it has ended for good.
            if (pod.Str("spec", "restartPolicy") != "Never" || run.Role == ContainerRole.Sidecar)
                run.Wait("RunContainerError", e.Message);
            if (run.CrashBackOff.Delay == TimeSpan.Zero)
                run.CrashBackOff.Next(now);
            throw;
        }

        run.Run(time.GetUtcNow(), again);
        context.Events.Normal(pod, "Started", $"Started container {run.Name}", FieldPath(run), node);
        if (run.Spec.Obj("lifecycle", "postStart") is { } hook
            && !await RunHookAsync(run, hook, "PostStart", TimeSpan.FromMinutes(10), ct).ConfigureAwait(false))
        {
            context.Events.Normal(pod, "Killing", $"FailedPostStartHook", FieldPath(run), node);
            await context.Runtime.StopAsync(id, TimeSpan.FromSeconds(2), ct).ConfigureAwait(false);
        }

        Probe(run);
    }

    private void Probe(ContainerRun run)
    {
        if (run.Role == ContainerRole.Init)
        {
            run.Started = true;
            return;
        }

        run.Probes = new(run, new ProbeAttempt(context.Runtime, run.Spec, network.Address!), time,
            (kind, text) => context.Events.Warning(pod, "Unhealthy", $"{kind} probe failed: {text}", FieldPath(run), node),
            (kind, grace) => _ = KillAsync(run, kind, grace),
            wake);
    }

    private async Task KillAsync(ContainerRun run, string kind, TimeSpan? grace)
    {
        context.Events.Normal(
            pod, "Killing", $"Container {run.Name} failed {kind} probe, will be restarted", FieldPath(run), node);
        try
        {
            // The engine's event tells the worker when it has ended.
            await StopAsync(
                run,
                grace ?? TimeSpan.FromSeconds(pod.Num("spec", "terminationGracePeriodSeconds") ?? 30),
                CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is RuntimeRefusalException or Hosting.UnavailableException)
        {
            context.Report($"pod {pod.Key()}: cannot stop container '{run.Name}': {e.Message}");
        }
    }

    private async Task<bool> RunHookAsync(ContainerRun run, JsonObject hook, string kind, TimeSpan limit, CancellationToken ct)
    {
        if (hook.Num("sleep", "seconds") is { } seconds)
        {
            var length = TimeSpan.FromSeconds(seconds);
            await Task.Delay(length < limit ? length : limit, time, ct).ConfigureAwait(false);
            return true;
        }

        var attempt = new ProbeAttempt(context.Runtime, run.Spec, network.Address!);
        if (await attempt.RunAsync(hook, run.Id!, limit, ct).ConfigureAwait(false) is not { } wrong)
            return true;
        context.Events.Warning(pod, $"Failed{kind}Hook", $"{kind}Hook failed: {wrong}", FieldPath(run), node);
        return false;
    }

    private void NoteCrashLoop(ContainerRun run)
    {
        var delay = run.CrashBackOff.Delay;
        var text = FormattableString.Invariant(
            $"{(delay.TotalMinutes >= 1 ? $"{(int)delay.TotalMinutes}m" : "")}{delay.Seconds}s");
        var message = $"back-off {text} restarting failed container={run.Name} pod={pod.Name()}_{pod.Namespace()}({pod.Uid()})";
        if (run.State == RunState.Waiting && run.WaitingMessage == message)
            return;
        run.Wait("CrashLoopBackOff", message);
        context.Events.Warning(
            pod,
            "BackOff",
            $"Back-off restarting failed container {run.Name} in pod {pod.Name()}_{pod.Namespace()}({pod.Uid()})",
            FieldPath(run),
            node);
    }

    /// <summary>The image, or when to look again for it.</summary>
    private async Task<(ImageFacts? Image, TimeSpan? Again)> ImageAsync(
        ContainerRun run, DateTimeOffset now, CancellationToken ct)
    {
        if (run.Pull is null)
        {
            if (pullFailures.TryGetValue(run, out var failure)
                && run.PullBackOff.Left(failure.At, now) is var left
                && left > TimeSpan.Zero)
            {
                var shown = failure.At + PullErrorShown - now;
                if (shown > TimeSpan.Zero)
                    return (null, shown);
                if (run.WaitingReason == "ErrImagePull")
                {
                    run.Wait("ImagePullBackOff", $"Back-off pulling image \"{run.ImageText}\": ErrImagePull: {failure.Message}");
                    context.Events.Normal(pod, "BackOff", $"Back-off pulling image \"{run.ImageText}\"", FieldPath(run), node);
                    context.Events.Warning(pod, "Failed", "Error: ImagePullBackOff", FieldPath(run), node);
                }

                return (null, left);
            }

            run.Pull = puller.EnsureAsync(run, FieldPath(run), node, ct);
            if (!run.Pull.IsCompleted)
                _ = run.Pull.ContinueWith(
                    _ => wake(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        if (!run.Pull.IsCompleted)
            return (null, null);
        var pull = run.Pull;
        run.Pull = null;
        try
        {
            var image = await pull.ConfigureAwait(false);
            pullFailures.Remove(run);
            run.PullBackOff.Reset();
            return (image, null);
        }
        catch (ImageException e)
        {
            run.Wait(e.Reason, e.Message);
            run.PullBackOff.Next(now);
            pullFailures[run] = (now, e.Message);
            if (e.Reason is "InvalidImageName" or "ErrImageNeverPull")
                context.Events.Warning(pod, "Failed", $"Error: {e.Reason}", FieldPath(run), node);
            return (null, PullErrorShown);
        }
    }
}
