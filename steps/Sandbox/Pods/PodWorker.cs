using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// One pod's life: brings its containers in line with its specification after each change, end of a container, probe result or
/// elapsed delay. One task, so nothing here races.
/// </summary>
internal sealed class PodWorker : IDisposable
{
    // Timers end at 49 days; a pod that wakes early is looked at and sleeps on.
    private static readonly TimeSpan LongestDelay = TimeSpan.FromDays(1);

    private readonly KubeletContext context;
    private readonly string folder;
    private readonly string memoryFolder;
    private readonly string node;
    private readonly PodNetwork network;
    private readonly PodVolumes volumes;
    private readonly ContainerLauncher launcher;
    private readonly ContainerEnds ends;
    private readonly List<ContainerRun> runs = [];
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1)
    {
        FullMode = BoundedChannelFullMode.DropWrite
    });
    private readonly ConcurrentQueue<string> ended = new();
    private readonly CancellationTokenSource interrupt = new();
    private readonly TimeProvider time;
    private volatile JsonObject pod;
    private volatile bool gone;
    private (string Reason, string Message)? forced;
    private bool released;

    public PodWorker(KubeletContext context, JsonObject pod)
    {
        this.context = context;
        this.pod = pod;
        time = context.Time;
        node = pod.Str("spec", "nodeName") ?? "";
        folder = Path.Combine(context.Folder, "pods", pod.Uid());
        memoryFolder = Path.Combine(context.MemoryFolder, pod.Uid());
        network = new(context, pod, folder);
        volumes = new(
            context.Api, pod, folder, memoryFolder, Path.Combine(context.Folder, "claims"), context.Tokens, context.Time);
        launcher = new(context, pod, network, volumes, folder, Wake);
        ends = new(context, launcher, runs, node);
        var inits = pod.Objs("spec", "initContainers").ToList();
        foreach (var init in inits)
            runs.Add(new(
                init, init.Str("restartPolicy") == "Always" ? ContainerRole.Sidecar : ContainerRole.Init, "PodInitializing"));
        foreach (var container in pod.Objs("spec", "containers"))
            runs.Add(new(container, ContainerRole.App, inits.Count > 0 ? "PodInitializing" : "ContainerCreating"));
    }

    /// <summary>The containers, for logs and commands.</summary>
    public IReadOnlyList<ContainerRun> Runs => runs;

    public PodNetwork Network => network;

    public string Uid => pod.Uid();

    public string Namespace => pod.Namespace();

    public void Update(JsonObject pod)
    {
        this.pod = pod;
        if (pod.IsBeingDeleted())
            interrupt.Cancel();
        Wake();
    }

    /// <summary>The object is gone without having waited for us.</summary>
    public void Vanish()
    {
        gone = true;
        interrupt.Cancel();
        Wake();
    }

    public void Ended(string containerId)
    {
        ended.Enqueue(containerId);
        Wake();
    }

    /// <summary>Events may have been missed: look at every container that is believed to run.</summary>
    public void LookAgain()
    {
        foreach (var run in runs.Where(r => r.State == RunState.Running && r.Id is not null))
            ended.Enqueue(run.Id!);
        Wake();
    }

    public void Dispose() => interrupt.Dispose();

    public void Wake() => wake.Writer.TryWrite(true);

    public async Task RunAsync(CancellationToken ct)
    {
        ITimer? later = null;
        string? told = null;
        using var interruptible = CancellationTokenSource.CreateLinkedTokenSource(ct, interrupt.Token);
        Wake();
        try
        {
            await foreach (var _ in wake.Reader.ReadAllAsync(ct).ConfigureAwait(false))
            {
                TimeSpan? again;
                try
                {
                    if (gone || pod.IsBeingDeleted())
                    {
                        await TerminateAsync(ct).ConfigureAwait(false);
                        return;
                    }

                    again = await SyncAsync(interruptible.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!ct.IsCancellationRequested)
                {
                    // Interrupted by the pod's deletion.
                    Wake();
                    continue;
                }
                catch (Exception e) when (e is not (OperationCanceledException or OutOfMemoryException))
                {
                    // A pod is never given up: what went wrong is told once and tried again.
                    if (e is not ApiException && e.Message != told)
                        context.Report(
                            $"pod {pod.Key()}: {(e is RuntimeRefusalException or Hosting.UnavailableException or IOException
                                ? e.Message
                                : e)}");
                    told = e.Message;
                    again = TimeSpan.FromSeconds(1);
                }

                if (again is { } delay)
                {
                    if (later is not null)
                        await later.DisposeAsync().ConfigureAwait(false);
                    later = time.CreateTimer(
                        _ => Wake(),
                        null,
                        TimeSpan.FromTicks(Math.Clamp(delay.Ticks, 0, LongestDelay.Ticks)),
                        Timeout.InfiniteTimeSpan);
                }
            }
        }
        finally
        {
            if (later is not null)
                await later.DisposeAsync().ConfigureAwait(false);
            foreach (var run in runs)
                await ContainerEnds.StopProbesAsync(run).ConfigureAwait(false);
        }
    }

    private async Task<TimeSpan?> SyncAsync(CancellationToken ct)
    {
        await TakeEndsAsync(ct).ConfigureAwait(false);
        if (released)
            return null;

        var now = time.GetUtcNow();
        TimeSpan? again = null;
        if (pod.Num("spec", "activeDeadlineSeconds") is { } seconds && pod.Time("status", "startTime") is { } started)
        {
            var left = started + TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue)) - now;
            if (left <= TimeSpan.Zero)
            {
                context.Events.Normal(
                    pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline", host: node);
                await ends.StopAllAsync(pod, Grace(), ct).ConfigureAwait(false);
                forced = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
                await ReleaseAsync(ct).ConfigureAwait(false);
                WriteStatus();
                return null;
            }

            again = left;
        }

        await ReplaceChangedAsync(ct).ConfigureAwait(false);
        try
        {
            volumes.Write(pod);
        }
        catch (VolumeException e)
        {
            context.Events.Warning(pod, "FailedMount", e.Message, host: node);
            WriteStatus();
            // The missing object's arrival wakes us.
            return again;
        }

        try
        {
            await network.EnsureAsync(ct).ConfigureAwait(false);
        }
        catch (RuntimeRefusalException e)
        {
            context.Events.Warning(pod, "FailedCreatePodSandBox", $"Failed to create pod sandbox: {e.Message}", host: node);
            await network.RemoveAsync(ct).ConfigureAwait(false);
            WriteStatus();
            return TimeSpan.FromSeconds(5);
        }

        again = Earlier(again, await StartContainersAsync(ct).ConfigureAwait(false));
        if (await FinishAsync(ct).ConfigureAwait(false))
            again = null;
        WriteStatus();
        return again;
    }

    private async Task<TimeSpan?> StartContainersAsync(CancellationToken ct)
    {
        TimeSpan? again = null;
        foreach (var run in runs.Where(r => r.Role != ContainerRole.App))
        {
            // Sidecars are kept up for as long as the pod works; plain init containers run one after another.
            if (run.Role == ContainerRole.Init && run.State == RunState.Terminated && run.End!.ExitCode == 0)
                continue;
            if (run.Role == ContainerRole.Init && run.LatestEnd is { ExitCode: not 0 } && Policy == "Never")
                return null;
            again = Earlier(again, await launcher.EnsureRunningAsync(run, ct).ConfigureAwait(false));
            if (run.Role == ContainerRole.Init || !run.Started)
                return again;
        }

        foreach (var run in runs.Where(r => r.Role == ContainerRole.App))
        {
            if (run.State == RunState.Waiting
                && run.WaitingReason == "PodInitializing"
                && runs.Exists(r => r.Role != ContainerRole.App))
                run.Wait("PodInitializing", null);
            if (run.State == RunState.Terminated && !MayRestart(run))
                continue;
            again = Earlier(again, await launcher.EnsureRunningAsync(run, ct).ConfigureAwait(false));
        }

        return again;
    }

    /// <summary>
    /// Ends the containers whose image the pod's specification no longer names; the start comes as after any end.
    /// </summary>
    private async Task ReplaceChangedAsync(CancellationToken ct)
    {
        foreach (var run in runs)
        {
            var spec = pod
                .Objs("spec", run.Role == ContainerRole.App ? "containers" : "initContainers")
                .FirstOrDefault(c => c.Str("name") == run.Name);
            if (spec is not null && spec.Str("image") != run.ImageText)
                run.Redefine(spec);
            if (!run.IsBeingReplaced || run.State != RunState.Running)
                continue;
            await ContainerEnds.StopProbesAsync(run).ConfigureAwait(false);
            context.Events.Normal(
                pod,
                "Killing",
                $"Container {run.Name} definition changed, will be restarted",
                ContainerLauncher.FieldPath(run),
                node);
            await launcher.StopAsync(run, Grace(), ct).ConfigureAwait(false);
            await ends.NoteAsync(run, ct).ConfigureAwait(false);
        }
    }

    private bool MayRestart(ContainerRun run) => run.IsBeingReplaced || Policy switch
    {
        "Always" => true,
        "OnFailure" => run.End!.ExitCode != 0,
        _ => false,
    };

    private string Policy => pod.Str("spec", "restartPolicy") ?? "Always";

    /// <summary>Gives the pod's resources back once it has succeeded or failed.</summary>
    private async Task<bool> FinishAsync(CancellationToken ct)
    {
        if (PodStatus.Phase(pod, runs) is not ("Succeeded" or "Failed"))
            return false;
        await ends.StopAllAsync(pod, Grace(), ct).ConfigureAwait(false);
        await ReleaseAsync(ct).ConfigureAwait(false);
        return true;
    }

    private async Task ReleaseAsync(CancellationToken ct)
    {
        released = true;
        await network.RemoveAsync(ct).ConfigureAwait(false);
    }

    private async Task TakeEndsAsync(CancellationToken ct)
    {
        // An end stays in the queue until it has been noted: the engine may be away just now.
        while (ended.TryPeek(out var id))
        {
            if (runs.Find(r => r.Id == id && r.State == RunState.Running) is { } run)
                await ends.NoteAsync(run, ct).ConfigureAwait(false);
            ended.TryDequeue(out _);
        }
    }

    private TimeSpan Grace() =>
        TimeSpan.FromSeconds(
            pod.Num("metadata", "deletionGracePeriodSeconds") ?? pod.Num("spec", "terminationGracePeriodSeconds") ?? 30);

    private async Task TerminateAsync(CancellationToken ct)
    {
        if (!gone)
        {
            await ends.StopAllAsync(pod, Grace(), ct).ConfigureAwait(false);
            WriteStatus();
        }

        await ends.RemoveAllAsync(ct).ConfigureAwait(false);
        await network.RemoveAsync(ct).ConfigureAwait(false);
        context.Tokens?.Forget(pod.Uid());
        foreach (var folder in (string[])[this.folder, memoryFolder])
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }

        if (gone)
            return;
        try
        {
            context.Api.Delete(
                Kinds.Pods, pod.Namespace(), pod.Name(), new() { GracePeriodSeconds = 0, PreconditionUid = pod.Uid() });
        }
        catch (ApiException e) when (e.Code is 404 or 409)
        {
            // Gone already, or a new pod of that name.
        }
    }

    private void WriteStatus()
    {
        if (gone)
            return;
        for (var attempt = 0; attempt < 5; attempt++)
        {
            if (context.Api.Get(Kinds.Pods, pod.Namespace(), pod.Name()) is not { } fresh || fresh.Uid() != pod.Uid())
                return;
            var before = fresh.Obj("status");
            var status = PodStatus.Compose(
                fresh, before, runs, network.Address, context.Network.Gateway, forced, time.GetUtcNow());
            if (JsonNode.DeepEquals(status, before))
                return;
            fresh["status"] = status;
            try
            {
                pod = context.Api.UpdateStatus(Kinds.Pods, fresh);
                return;
            }
            catch (ApiException e) when (e.Code == 409)
            {
                // Somebody wrote in between; compose on top of that.
            }
        }
    }

    private static TimeSpan? Earlier(TimeSpan? one, TimeSpan? other) =>
        one is null ? other : other is null ? one : one < other ? one : other;
}
