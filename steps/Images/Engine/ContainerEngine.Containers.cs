using System.Globalization;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace CiSteps.Images;

public sealed partial class ContainerEngine
{
    /// <summary>Makes a container; its image must be there.</summary>
    /// <returns>Its id.</returns>
    /// <exception cref="EngineRefusalException">No such image (<see cref="EngineRefusalException.IsAbsent"/>), the name is taken
    /// (<see cref="EngineRefusalException.IsConflict"/>), or the specification is wrong.</exception>
    public async Task<string> CreateContainerAsync(ContainerSpec spec, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var answer = await AttemptAsync(
            () => client.Containers.CreateContainerAsync(ToParameters(spec), cancel), cancel).ConfigureAwait(false);
        return answer.ID;
    }

    /// <summary>Starts a container; one that runs is left alone.</summary>
    /// <exception cref="EngineRefusalException">It cannot be started; the engine's text says why.</exception>
    public Task StartContainerAsync(string id, CancellationToken cancel = default) =>
        AttemptAsync(() => client.Containers.StartContainerAsync(id, new ContainerStartParameters(), cancel), cancel);

    /// <summary>
    /// Asks a container to stop and ends it when it has not after the grace; one that is gone or stopped is left alone.
    /// </summary>
    public Task StopContainerAsync(string id, TimeSpan grace, CancellationToken cancel = default) =>
        IgnoreAbsentAsync(
            () => client.Containers.StopContainerAsync(
                id, new ContainerStopParameters { WaitBeforeKillSeconds = (uint)Math.Ceiling(grace.TotalSeconds) }, cancel),
            cancel);

    /// <summary>Sends a signal to a container's first process; one that is gone or stopped is left alone.</summary>
    public async Task KillContainerAsync(string id, string signal = "SIGKILL", CancellationToken cancel = default)
    {
        try
        {
            await IgnoreAbsentAsync(
                () => client.Containers.KillContainerAsync(id, new ContainerKillParameters { Signal = signal }, cancel),
                cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal) when (refusal.IsConflict || refusal.IsNotRunning)
        {
            // It has ended by itself: that is what was wanted.
        }
    }

    /// <summary>Removes a container, running or not, with its anonymous volumes; one that is gone is left alone.</summary>
    public async Task RemoveContainerAsync(string id, bool force = true, bool volumes = true, CancellationToken cancel = default)
    {
        try
        {
            await IgnoreAbsentAsync(
                () => client.Containers.RemoveContainerAsync(
                    id, new ContainerRemoveParameters { Force = force, RemoveVolumes = volumes }, cancel),
                cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal) when (refusal.Message.Contains("is already in progress", StringComparison.Ordinal))
        {
            // Somebody else removes it at this moment.
        }
    }

    /// <summary>A container as it is now; null when there is none of that id or name.</summary>
    public async Task<ContainerState?> InspectContainerAsync(string id, CancellationToken cancel = default)
    {
        try
        {
            return ToState(await ReadAsync(
                () => client.Containers.InspectContainerAsync(id, cancel), cancel).ConfigureAwait(false));
        }
        catch (EngineRefusalException refusal) when (refusal.IsAbsent)
        {
            return null;
        }
    }

    /// <summary>Waits until a container has ended (at once when it does not run).</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> WaitContainerAsync(string id, CancellationToken cancel = default) =>
        (int)(await CallAsync(() => client.Containers.WaitContainerAsync(id, cancel), cancel).ConfigureAwait(false)).StatusCode;

    /// <summary>The containers with all of these labels (value null: any value).</summary>
    /// <param name="labels">Labels; none: every container.</param>
    /// <param name="all">Ended and new ones too, not only running ones.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<IReadOnlyList<ListedContainer>> ListContainersAsync(
        IReadOnlyDictionary<string, string?> labels, bool all = true, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(labels);
        var found = await ReadAsync(
            () => client.Containers.ListContainersAsync(
                new ContainersListParameters { All = all, Filters = LabelFilter(labels) }, cancel),
            cancel).ConfigureAwait(false);
        return [.. found.Select(
            container => new ListedContainer(
                container.ID,
                container.Names?.FirstOrDefault()?.TrimStart('/') ?? "",
                container.ImageID ?? "",
                Copy(container.Labels),
                container.State ?? ""))];
    }

    /// <summary>Copies a container's output into two streams; with a terminal all of it into the first.</summary>
    public async Task CopyLogsAsync(
        string id, LogOptions options, Stream output, Stream error, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        using var stream = await OpenLogsAsync(id, options, cancel).ConfigureAwait(false);
        await CopyAsync(stream, output, error, cancel).ConfigureAwait(false);
    }

    /// <summary>Runs a command in a running container.</summary>
    /// <param name="id">Id or name of a container that runs.</param>
    /// <param name="spec">Command line, environment, user, streams.</param>
    /// <param name="input">Standard input, read to its end; needs <see cref="ExecSpec.Stdin"/>.</param>
    /// <param name="output">Gets the output stream (with a terminal: everything).</param>
    /// <param name="error">Gets the error stream.</param>
    /// <param name="cancel">Stops reading; the command itself goes on.</param>
    /// <returns>Its exit code.</returns>
    public async Task<int> ExecAsync(
        string id, ExecSpec spec, Stream? input, Stream output, Stream error, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var session = await OpenExecAsync(
            id, spec with { Stdin = spec.Stdin || input is not null }, cancel).ConfigureAwait(false);
        return await session.RunAsync(input, output, error, cancel).ConfigureAwait(false);
    }

    /// <summary>Prepares a command in a running container, for terminals that change their size.</summary>
    public async Task<ExecSession> OpenExecAsync(string id, ExecSpec spec, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var answer = await AttemptAsync(() => client.Exec.CreateContainerExecAsync(id, new ContainerExecCreateParameters
        {
            Cmd = [.. spec.Command],
            Env = [.. spec.Environment],
            TTY = spec.Tty,
            AttachStdin = spec.Stdin,
            AttachStdout = true,
            AttachStderr = true,
            User = spec.User!,
            WorkingDir = spec.WorkingDirectory!,
        }, cancel), cancel).ConfigureAwait(false);
        return new ExecSession(this, answer.ID, spec.Tty);
    }

    /// <summary>Joins a running container's streams until it ends or the input does.</summary>
    public async Task AttachAsync(string id, Stream? input, Stream output, Stream error, CancellationToken cancel = default)
    {
        using var stream = await AttemptAsync(() => client.Containers.AttachContainerAsync(id,
            new ContainerAttachParameters { Stream = true, Stdin = input is not null, Stdout = true, Stderr = true },
            cancel), cancel).ConfigureAwait(false);
        await PumpAsync(stream, input, output, error, cancel).ConfigureAwait(false);
    }

    /// <summary>
    /// Starts a new container and gives its output line by line until it ends; nothing is lost whatever the engine's log driver.
    /// </summary>
    internal async Task RunAttachedAsync(string id, Action<string, bool> onLine, Action? onOutput, CancellationToken cancel)
    {
        using var stream = await AttemptAsync(() => client.Containers.AttachContainerAsync(id,
            new ContainerAttachParameters { Stream = true, Stdout = true, Stderr = true }, cancel), cancel).ConfigureAwait(false);
        await StartContainerAsync(id, cancel).ConfigureAwait(false);
        var output = new LineSplitter(text => Emit(text, false));
        var error = new LineSplitter(text => Emit(text, true));
        var buffer = new byte[65536];
        try
        {
            while (true)
            {
                var read = await CallAsync(
                    () => stream.ReadOutputAsync(buffer, 0, buffer.Length, cancel), cancel).ConfigureAwait(false);
                if (read.EOF) break;
                onOutput?.Invoke();
                await (read.Target == MultiplexedStream.TargetStream.StandardError
                    ? error
                    : output).AddAsync(buffer.AsMemory(0, read.Count)).ConfigureAwait(false);
            }
        }
        finally
        {
            // Also when it is stopped: the line that was begun last may tell what it was doing.
            await output.EndAsync().ConfigureAwait(false);
            await error.EndAsync().ConfigureAwait(false);
        }

        ValueTask Emit(string text, bool isError)
        {
            onLine(text, isError);
            return ValueTask.CompletedTask;
        }
    }

    internal async Task<int> RunExecAsync(
        string exec, bool tty, Stream? input, Stream output, Stream error, CancellationToken cancel)
    {
        using (var stream = await AttemptAsync(
            () => client.Exec.StartContainerExecAsync(exec, new ContainerExecStartParameters { TTY = tty }, cancel),
            cancel).ConfigureAwait(false))
            await PumpAsync(stream, input, output, error, cancel).ConfigureAwait(false);
        var ended = await CallAsync(() => client.Exec.InspectContainerExecAsync(exec, cancel), cancel).ConfigureAwait(false);
        return (int)(ended.ExitCode ?? -1);
    }

    internal Task ResizeExecAsync(string exec, int columns, int rows, CancellationToken cancel) =>
        AttemptAsync(
            () => client.Exec.ResizeExecTtyAsync(exec, new ContainerResizeParameters { Width = columns, Height = rows }, cancel),
            cancel);

    private async Task IgnoreAbsentAsync(Func<Task> call, CancellationToken cancel)
    {
        try
        {
            await CallAsync(call, cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal) when (refusal.IsAbsent)
        {
            // Gone already.
        }
    }

    private Task<MultiplexedStream> OpenLogsAsync(string id, LogOptions options, CancellationToken cancel) =>
        CallAsync(() => client.Containers.GetContainerLogsAsync(id, new ContainerLogsParameters
        {
            ShowStdout = options.Output,
            ShowStderr = options.Error,
            Follow = options.Follow,
            Timestamps = options.Timestamps,
            Tail = options.Tail?.ToString(CultureInfo.InvariantCulture),
            Since = options.Since is { } since ? Timestamp(since) : null,
        }, cancel), cancel);

    // Output until its end; input beside it, whose end closes the other side's input only.
    private async Task PumpAsync(MultiplexedStream stream, Stream? input, Stream output, Stream error, CancellationToken cancel)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var feeding = input is null ? Task.CompletedTask : FeedAsync(stream, input, ending.Token);
        try
        {
            await CopyAsync(stream, output, error, cancel).ConfigureAwait(false);
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            // A console's read cannot be interrupted: the feeder is left to end with its own stream.
            _ = feeding.ContinueWith(
                fed => fed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private static async Task FeedAsync(MultiplexedStream stream, Stream input, CancellationToken cancel)
    {
        var buffer = new byte[65536];
        int count;
        while ((count = await input.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
            await stream.WriteAsync(buffer, 0, count, cancel).ConfigureAwait(false);
        stream.CloseWrite();
    }

    private async Task CopyAsync(MultiplexedStream stream, Stream output, Stream error, CancellationToken cancel)
    {
        var buffer = new byte[65536];
        while (true)
        {
            var read = await CallAsync(
                () => stream.ReadOutputAsync(buffer, 0, buffer.Length, cancel), cancel).ConfigureAwait(false);
            if (read.EOF) return;
            var into = read.Target == MultiplexedStream.TargetStream.StandardError ? error : output;
            await into.WriteAsync(buffer.AsMemory(0, read.Count), cancel).ConfigureAwait(false);
            await into.FlushAsync(cancel).ConfigureAwait(false);
        }
    }

    private static ContainerState ToState(ContainerInspectResponse found)
    {
        var state = found.State;
        return new ContainerState(
            found.ID,
            found.Name?.TrimStart('/') ?? "",
            found.Image ?? "",
            found.Config?.Image ?? "",
            Copy(found.Config?.Labels),
            state?.Status ?? "",
            state?.Running ?? false,
            (int)(state?.ExitCode ?? 0),
            state?.OOMKilled ?? false,
            state?.Error ?? "",
            (int)(state?.Pid ?? 0),
            found.Config?.Tty ?? false, TimeOf(state?.StartedAt), TimeOf(state?.FinishedAt),
            (found.NetworkSettings?.Networks ?? new Dictionary<string, EndpointSettings>())
                .Where(network => !string.IsNullOrEmpty(network.Value.IPAddress))
                    .ToDictionary(network => network.Key, network => network.Value.IPAddress));
    }

    // The engine writes the year 1 for "not yet".
    private static DateTimeOffset? TimeOf(string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) && time.Year > 1
            ? time
            : null;

    private static Dictionary<string, string> Copy(IDictionary<string, string>? labels) =>
        labels is null ? [] : new(labels, StringComparer.Ordinal);
}
