using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>One pod's life: brings its containers in line with its specification after each change, end of a container, probe result or elapsed delay. One task, so nothing here races.</summary>
internal sealed class PodWorker : IDisposable
{
    // Timers end at 49 days; a pod that wakes early is looked at and sleeps on.
    private static readonly TimeSpan LongestDelay = TimeSpan.FromDays(1);

    private readonly KubeletContext _context;
    private readonly string _folder;
    private readonly string _memoryFolder;
    private readonly string _node;
    private readonly PodNetwork _network;
    private readonly PodVolumes _volumes;
    private readonly ContainerLauncher _launcher;
    private readonly List<ContainerRun> _runs = [];
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ConcurrentQueue<string> _ended = new();
    private readonly CancellationTokenSource _interrupt = new();
    private readonly TimeProvider _time;
    private volatile JsonObject _pod;
    private volatile bool _gone;
    private (string Reason, string Message)? _forced;
    private bool _released;

    public PodWorker(KubeletContext context, JsonObject pod)
    {
        _context = context;
        _pod = pod;
        _time = context.Time;
        _node = pod.Str("spec", "nodeName") ?? "";
        _folder = Path.Combine(context.Folder, "pods", pod.Uid());
        _memoryFolder = Path.Combine(context.MemoryFolder, pod.Uid());
        _network = new(context, pod, _folder);
        _volumes = new(context.Api, pod, _folder, _memoryFolder, Path.Combine(context.Folder, "claims"), context.Tokens, context.Time);
        _launcher = new(context, pod, _network, _volumes, _folder, Wake);
        var inits = pod.Objs("spec", "initContainers").ToList();
        foreach (var init in inits)
            _runs.Add(new(init, init.Str("restartPolicy") == "Always" ? ContainerRole.Sidecar : ContainerRole.Init, "PodInitializing"));
        foreach (var container in pod.Objs("spec", "containers"))
            _runs.Add(new(container, ContainerRole.App, inits.Count > 0 ? "PodInitializing" : "ContainerCreating"));
    }

    /// <summary>The containers, for logs and commands.</summary>
    public IReadOnlyList<ContainerRun> Runs => _runs;

    public PodNetwork Network => _network;

    public string Uid => _pod.Uid();

    public string Namespace => _pod.Namespace();

    public void Update(JsonObject pod)
    {
        _pod = pod;
        if (pod.IsBeingDeleted())
            _interrupt.Cancel();
        Wake();
    }

    /// <summary>The object is gone without having waited for us.</summary>
    public void Vanish()
    {
        _gone = true;
        _interrupt.Cancel();
        Wake();
    }

    public void Ended(string containerId)
    {
        _ended.Enqueue(containerId);
        Wake();
    }

    /// <summary>Events may have been missed: look at every container that is believed to run.</summary>
    public void LookAgain()
    {
        foreach (var run in _runs.Where(r => r.State == RunState.Running && r.Id is not null))
            _ended.Enqueue(run.Id!);
        Wake();
    }

    public void Dispose() => _interrupt.Dispose();

    public void Wake() => _wake.Writer.TryWrite(true);

    public async Task RunAsync(CancellationToken ct)
    {
        ITimer? later = null;
        string? told = null;
        using var interruptible = CancellationTokenSource.CreateLinkedTokenSource(ct, _interrupt.Token);
        Wake();
        try
        {
            await foreach (var _ in _wake.Reader.ReadAllAsync(ct).ConfigureAwait(false))
            {
                TimeSpan? again;
                try
                {
                    if (_gone || _pod.IsBeingDeleted())
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
                        _context.Report($"pod {_pod.Key()}: {(e is RuntimeRefusalException or Hosting.UnavailableException or IOException ? e.Message : e)}");
                    told = e.Message;
                    again = TimeSpan.FromSeconds(1);
                }

                if (again is { } delay)
                {
                    if (later is not null)
                        await later.DisposeAsync().ConfigureAwait(false);
                    later = _time.CreateTimer(_ => Wake(), null, TimeSpan.FromTicks(Math.Clamp(delay.Ticks, 0, LongestDelay.Ticks)), Timeout.InfiniteTimeSpan);
                }
            }
        }
        finally
        {
            if (later is not null)
                await later.DisposeAsync().ConfigureAwait(false);
            foreach (var run in _runs)
                await StopProbesAsync(run).ConfigureAwait(false);
        }
    }

    private async Task<TimeSpan?> SyncAsync(CancellationToken ct)
    {
        await TakeEndsAsync(ct).ConfigureAwait(false);
        if (_released)
            return null;

        var now = _time.GetUtcNow();
        TimeSpan? again = null;
        if (_pod.Num("spec", "activeDeadlineSeconds") is { } seconds && _pod.Time("status", "startTime") is { } started)
        {
            var left = started + TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue)) - now;
            if (left <= TimeSpan.Zero)
            {
                _context.Events.Normal(_pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline", host: _node);
                await KillAllAsync(Grace(), ct).ConfigureAwait(false);
                _forced = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
                await ReleaseAsync(ct).ConfigureAwait(false);
                WriteStatus();
                return null;
            }

            again = left;
        }

        await ReplaceChangedAsync(ct).ConfigureAwait(false);
        try
        {
            _volumes.Write(_pod);
        }
        catch (VolumeException e)
        {
            _context.Events.Warning(_pod, "FailedMount", e.Message, host: _node);
            WriteStatus();
            // The missing object's arrival wakes us.
            return again;
        }

        try
        {
            await _network.EnsureAsync(ct).ConfigureAwait(false);
        }
        catch (RuntimeRefusalException e)
        {
            _context.Events.Warning(_pod, "FailedCreatePodSandBox", $"Failed to create pod sandbox: {e.Message}", host: _node);
            await _network.RemoveAsync(ct).ConfigureAwait(false);
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
        foreach (var run in _runs.Where(r => r.Role != ContainerRole.App))
        {
            // Sidecars are kept up for as long as the pod works; plain init containers run one after another.
            if (run.Role == ContainerRole.Init && run.State == RunState.Terminated && run.End!.ExitCode == 0)
                continue;
            if (run.Role == ContainerRole.Init && run.LatestEnd is { ExitCode: not 0 } && Policy == "Never")
                return null;
            again = Earlier(again, await _launcher.EnsureRunningAsync(run, ct).ConfigureAwait(false));
            if (run.Role == ContainerRole.Init || !run.Started)
                return again;
        }

        foreach (var run in _runs.Where(r => r.Role == ContainerRole.App))
        {
            if (run.State == RunState.Waiting && run.WaitingReason == "PodInitializing" && _runs.Exists(r => r.Role != ContainerRole.App))
                run.Wait("PodInitializing", null);
            if (run.State == RunState.Terminated && !MayRestart(run))
                continue;
            again = Earlier(again, await _launcher.EnsureRunningAsync(run, ct).ConfigureAwait(false));
        }

        return again;
    }

    /// <summary>Ends the containers whose image the pod's specification no longer names; the start comes as after any end.</summary>
    private async Task ReplaceChangedAsync(CancellationToken ct)
    {
        foreach (var run in _runs)
        {
            var spec = _pod.Objs("spec", run.Role == ContainerRole.App ? "containers" : "initContainers").FirstOrDefault(c => c.Str("name") == run.Name);
            if (spec is not null && spec.Str("image") != run.ImageText)
                run.Redefine(spec);
            if (!run.IsBeingReplaced || run.State != RunState.Running)
                continue;
            await StopProbesAsync(run).ConfigureAwait(false);
            _context.Events.Normal(_pod, "Killing", $"Container {run.Name} definition changed, will be restarted", ContainerLauncher.FieldPath(run), _node);
            await _launcher.StopAsync(run, Grace(), ct).ConfigureAwait(false);
            await NoteEndAsync(run, ct).ConfigureAwait(false);
        }
    }

    private bool MayRestart(ContainerRun run) => run.IsBeingReplaced || Policy switch
    {
        "Always" => true,
        "OnFailure" => run.End!.ExitCode != 0,
        _ => false,
    };

    private string Policy => _pod.Str("spec", "restartPolicy") ?? "Always";

    /// <summary>Gives the pod's resources back once it has succeeded or failed.</summary>
    private async Task<bool> FinishAsync(CancellationToken ct)
    {
        if (PodStatus.Phase(_pod, _runs) is not ("Succeeded" or "Failed"))
            return false;
        await KillAllAsync(Grace(), ct).ConfigureAwait(false);
        await ReleaseAsync(ct).ConfigureAwait(false);
        return true;
    }

    private async Task ReleaseAsync(CancellationToken ct)
    {
        _released = true;
        await _network.RemoveAsync(ct).ConfigureAwait(false);
    }

    private async Task TakeEndsAsync(CancellationToken ct)
    {
        // An end stays in the queue until it has been noted: the engine may be away just now.
        while (_ended.TryPeek(out var id))
        {
            if (_runs.Find(r => r.Id == id && r.State == RunState.Running) is { } run)
                await NoteEndAsync(run, ct).ConfigureAwait(false);
            _ended.TryDequeue(out _);
        }
    }

    private async Task NoteEndAsync(ContainerRun run, CancellationToken ct)
    {
        var facts = await _context.Runtime.InspectAsync(run.Id!, ct).ConfigureAwait(false);
        if (facts is { Running: true })
            return;
        await StopProbesAsync(run).ConfigureAwait(false);
        await _launcher.NoteEndAsync(run, facts, ct).ConfigureAwait(false);
    }

    private static async Task StopProbesAsync(ContainerRun run)
    {
        if (run.Probes is { } probes)
        {
            run.Probes = null;
            await probes.DisposeAsync().ConfigureAwait(false);
        }
    }

    private TimeSpan Grace() =>
        TimeSpan.FromSeconds(_pod.Num("metadata", "deletionGracePeriodSeconds") ?? _pod.Num("spec", "terminationGracePeriodSeconds") ?? 30);

    private async Task KillAllAsync(TimeSpan grace, CancellationToken ct)
    {
        // Sidecars outlive the containers they serve.
        foreach (var group in _runs.Where(r => r.State == RunState.Running).GroupBy(r => r.Role == ContainerRole.Sidecar).OrderBy(g => g.Key))
        {
            await Task.WhenAll(group.Select(async run =>
            {
                await StopProbesAsync(run).ConfigureAwait(false);
                _context.Events.Normal(_pod, "Killing", $"Stopping container {run.Name}", ContainerLauncher.FieldPath(run), _node);
                await _launcher.StopAsync(run, grace, ct).ConfigureAwait(false);
                await NoteEndAsync(run, ct).ConfigureAwait(false);
            })).ConfigureAwait(false);
        }
    }

    private async Task TerminateAsync(CancellationToken ct)
    {
        if (!_gone)
        {
            await KillAllAsync(Grace(), ct).ConfigureAwait(false);
            WriteStatus();
        }

        foreach (var run in _runs)
        {
            await StopProbesAsync(run).ConfigureAwait(false);
            foreach (var id in (string?[])[run.Id, run.PreviousId])
            {
                if (id is not null)
                    await _context.Runtime.RemoveAsync(id, ct).ConfigureAwait(false);
            }
        }

        await _network.RemoveAsync(ct).ConfigureAwait(false);
        _context.Tokens?.Forget(_pod.Uid());
        foreach (var folder in (string[])[_folder, _memoryFolder])
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }

        if (_gone)
            return;
        try
        {
            _context.Api.Delete(Kinds.Pods, _pod.Namespace(), _pod.Name(), new() { GracePeriodSeconds = 0, PreconditionUid = _pod.Uid() });
        }
        catch (ApiException e) when (e.Code is 404 or 409)
        {
            // Gone already, or a new pod of that name.
        }
    }

    private void WriteStatus()
    {
        if (_gone)
            return;
        for (var attempt = 0; attempt < 5; attempt++)
        {
            if (_context.Api.Get(Kinds.Pods, _pod.Namespace(), _pod.Name()) is not { } fresh || fresh.Uid() != _pod.Uid())
                return;
            var before = fresh.Obj("status");
            var status = PodStatus.Compose(fresh, before, _runs, _network.Address, _context.Network.Gateway, _forced, _time.GetUtcNow());
            if (JsonNode.DeepEquals(status, before))
                return;
            fresh["status"] = status;
            try
            {
                _pod = _context.Api.UpdateStatus(Kinds.Pods, fresh);
                return;
            }
            catch (ApiException e) when (e.Code == 409)
            {
                // Somebody wrote in between; compose on top of that.
            }
        }
    }

    private static TimeSpan? Earlier(TimeSpan? one, TimeSpan? other) => one is null ? other : other is null ? one : one < other ? one : other;
}
