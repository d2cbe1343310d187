using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

internal enum ContainerRole
{
    /// <summary>Runs to its end before the app containers start.</summary>
    Init,
    /// <summary>An init container that stays beside the app containers.</summary>
    Sidecar,
    App,
}

internal enum RunState
{
    Waiting,
    Running,
    Terminated,
}

/// <summary>How a container's run ended.</summary>
internal sealed record Termination(
    int ExitCode,
    string Reason,
    string? Message,
    DateTimeOffset StartedAt,
    DateTimeOffset FinishedAt,
    string? ContainerId);

/// <summary>
/// One container of a pod, over all its restarts. Touched by the pod's worker only, except for the flags that probes set.
/// </summary>
internal sealed class ContainerRun(JsonObject spec, ContainerRole role, string waitingReason)
{
    public JsonObject Spec { get; private set; } = spec;

    public string Name { get; } = spec.Str("name") ?? "";

    public string ImageText => Spec.Str("image") ?? "";

    public ContainerRole Role { get; } = role;

    public RunState State { get; private set; } = RunState.Waiting;

    /// <summary>Why it waits: ContainerCreating, ErrImagePull, CrashLoopBackOff, …</summary>
    public string WaitingReason { get; private set; } = waitingReason;

    public string? WaitingMessage { get; private set; }

    /// <summary>The engine's container of the present or last run.</summary>
    public string? Id { get; set; }

    /// <summary>The engine's container of the run before, kept for its log.</summary>
    public string? PreviousId { get; set; }

    public Termination? End { get; private set; }

    public Termination? LastEnd { get; private set; }

    public DateTimeOffset StartedAt { get; private set; }

    public int Restarts { get; private set; }

    /// <summary>Whether its startup probe (if any) has passed in this run.</summary>
    public volatile bool Started;

    /// <summary>Whether its readiness probe (if any) passes.</summary>
    public volatile bool Ready;

    /// <summary>Digest text for the status; empty before the image is there.</summary>
    public string ImageId { get; set; } = "";

    public ImageFacts? Image { get; set; }

    public Task<ImageFacts>? Pull { get; set; }

    public BackOff PullBackOff { get; } = new();

    public BackOff CrashBackOff { get; } = new();

    /// <summary>Set while the running container is being killed on purpose (liveness).</summary>
    public bool IsBeingKilled { get; set; }

    /// <summary>Set while it is replaced because its image changed, which its restart policy has no say in.</summary>
    public bool IsBeingReplaced { get; private set; }

    public ProbeRunner? Probes { get; set; }

    /// <summary>Whether it has ever been started.</summary>
    public bool HasRun => State != RunState.Waiting || LastEnd is not null;

    /// <summary>The engine's container with the newest log; null before the first start.</summary>
    public string? LatestRunId => Id;

    /// <summary>The engine's container of the run before the one that <see cref="LatestRunId"/> names.</summary>
    public string? PreviousRunId =>
        State == RunState.Running ? PreviousId : PreviousId ?? (LastEnd is not null || State == RunState.Terminated ? Id : null);

    public string WaitingMessageOrReason =>
        WaitingReason is "ContainerCreating" or "PodInitializing" ? WaitingReason : WaitingMessage ?? WaitingReason;

    public Termination? LatestEnd => State == RunState.Terminated ? End : LastEnd;

    /// <summary>Takes another image from now on.</summary>
    public void Redefine(JsonObject spec)
    {
        Spec = spec;
        Pull = null;
        PullBackOff.Reset();
        IsBeingReplaced |= State == RunState.Running;
    }

    public void Wait(string reason, string? message)
    {
        if (State == RunState.Terminated)
        {
            LastEnd = End;
            End = null;
        }

        State = RunState.Waiting;
        WaitingReason = reason;
        WaitingMessage = message;
        Started = Ready = false;
    }

    public void Run(DateTimeOffset startedAt, bool again)
    {
        if (State == RunState.Terminated)
        {
            LastEnd = End;
            End = null;
        }

        if (again)
            Restarts++;
        State = RunState.Running;
        StartedAt = startedAt;
        IsBeingKilled = IsBeingReplaced = false;
    }

    public void Terminate(Termination end)
    {
        State = RunState.Terminated;
        End = end;
        Started = Ready = false;
        IsBeingKilled = false;
    }

    /// <summary>A run that could not even be started counts as one that ended at once.</summary>
    public void FailToStart(Termination end, bool again)
    {
        if (again)
            Restarts++;
        Terminate(end);
    }
}

/// <summary>A delay that doubles from 10 s to 300 s and is forgotten after ten quiet minutes, as the kubelet's.</summary>
internal sealed class BackOff
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(300);
    private DateTimeOffset last = DateTimeOffset.MinValue;

    /// <summary>The present delay; zero before the first failure.</summary>
    public TimeSpan Delay { get; private set; }

    /// <summary>Time left until the next attempt may be made, counted from the event.</summary>
    public TimeSpan Left(DateTimeOffset since, DateTimeOffset now)
    {
        if (Delay > TimeSpan.Zero && since - last > Longest * 2)
            Delay = TimeSpan.Zero;
        var left = since + Delay - now;
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>An attempt is made now; the next one has to wait longer.</summary>
    public void Next(DateTimeOffset now)
    {
        Delay = Delay == TimeSpan.Zero ? First : Delay * 2 < Longest ? Delay * 2 : Longest;
        last = now;
    }

    public void Reset() => Delay = TimeSpan.Zero;
}
