using System.Runtime.CompilerServices;
using CiSteps.Images;

namespace CiSteps.Sandbox.Pods;

/// <summary>The sandbox's container runtime over this machine's engine.</summary>
internal sealed class EngineRuntime(ContainerEngine engine) : IContainerRuntime
{
    public Task<string> CreateAsync(ContainerPlan plan, CancellationToken ct) =>
        RefusingAsync(() => engine.CreateContainerAsync(new(plan.Image)
        {
            Name = plan.Name,
            Entrypoint = plan.Entrypoint,
            Command = plan.Arguments,
            Environment = [.. plan.Environment.Select(e => $"{e.Key}={e.Value}")],
            Labels = plan.Labels,
            WorkingDirectory = plan.WorkingDirectory,
            User = plan.User,
            Groups = plan.SupplementalGroups,
            Hostname = plan.Hostname,
            NetworkMode = plan.Network,
            Ipv4Address = plan.Address,
            Binds = [.. plan.Mounts.Select(m => $"{m.HostPath}:{m.ContainerPath}{(m.ReadOnly ? ":ro" : "")}")],
            MemoryBytes = plan.MemoryBytes > 0 ? plan.MemoryBytes : null,
            NanoCpus = plan.MilliCpus > 0 ? plan.MilliCpus * 1_000_000 : null,
            ReadOnly = plan.ReadOnlyRoot,
            Privileged = plan.Privileged,
            AddCapabilities = plan.AddCapabilities,
            DropCapabilities = plan.DropCapabilities,
            SecurityOptions = plan.NoNewPrivileges ? ["no-new-privileges"] : [],
            OpenStdin = plan.Stdin,
            StdinOnce = plan.StdinOnce,
            Tty = plan.Tty,
        }, ct));

    public Task StartAsync(string id, CancellationToken ct) => RefusingAsync(() => engine.StartContainerAsync(id, ct));

    public Task StopAsync(string id, TimeSpan grace, CancellationToken ct) => RefusingAsync(async () =>
    {
        // The engine takes no grace at all for its own ten seconds.
        if (grace < TimeSpan.FromSeconds(1))
        {
            await engine.KillContainerAsync(id, cancel: ct).ConfigureAwait(false);
            await engine.WaitContainerAsync(id, ct).ConfigureAwait(false);
        }
        else
            await engine.StopContainerAsync(id, grace, ct).ConfigureAwait(false);
    });

    public Task RemoveAsync(string id, CancellationToken ct) =>
        RefusingAsync(() => engine.RemoveContainerAsync(id, force: true, volumes: true, ct));

    public async Task<ContainerFacts?> InspectAsync(string id, CancellationToken ct)
    {
        var state = await engine.InspectContainerAsync(id, ct).ConfigureAwait(false);
        return state is null
            ? null
            : new(state.Id, state.Running, state.Pid, state.ExitCode, state.OomKilled, state.Error,
                state.StartedAt ?? DateTimeOffset.UnixEpoch, state.FinishedAt ?? DateTimeOffset.UnixEpoch, state.Addresses);
    }

    public async Task<IReadOnlyList<ContainerEntry>> ListAsync(string label, CancellationToken ct) =>
        [.. (await engine.ListContainersAsync(Labels(label), all: true, ct).ConfigureAwait(false)).Select(
            c => new ContainerEntry(c.Id, c.Name, c.Labels))];

    public async IAsyncEnumerable<ContainerEvent> WatchAsync(
        string label, DateTimeOffset since, [EnumeratorCancellation] CancellationToken ct)
    {
        await foreach (var happened in engine.EventsAsync(label, since, ct).ConfigureAwait(false))
        {
            if (happened.Type == "container")
                yield return new(happened.Id, happened.Action, happened.Attributes);
        }
    }

    public async Task<ImageFacts?> FindImageAsync(string reference, CancellationToken ct)
    {
        var image = await engine.InspectImageAsync(reference, ct).ConfigureAwait(false);
        return image is null ? null : new(image.Id, image.Digests, image.User);
    }

    public async Task PullAsync(string reference, RegistryLogin? login, CancellationToken ct)
    {
        try
        {
            await engine.PullAsync(
                reference,
                login is null ? null : new(login.Username, login.Password, login.IdentityToken),
                cancel: ct).ConfigureAwait(false);
        }
        catch (ImagePullException e)
        {
            var refusal = e.Kind switch
            {
                ImagePullFailure.NotFound => PullRefusal.NotFound,
                ImagePullFailure.Unauthorized => PullRefusal.Unauthorized,
                ImagePullFailure.Unreachable or ImagePullFailure.PlainHttp => PullRefusal.Unreachable,
                _ => PullRefusal.Other,
            };
            throw new ImagePullRefusedException(refusal, e.EngineText, e);
        }
    }

    public Task ImportAsync(Stream tar, string reference, string entrypoint, string label, CancellationToken ct) =>
        RefusingAsync(
            () => engine.ImportImageAsync(
                tar, ImageReference.Parse(reference), [$"ENTRYPOINT [\"{entrypoint}\"]", $"LABEL {label}=\"\""], ct));

    public async Task RemoveImagesAsync(string label, CancellationToken ct)
    {
        foreach (var image in await engine.ListImagesAsync(Labels(label), ct).ConfigureAwait(false))
        {
            try
            {
                await engine.RemoveImageAsync(image.Id, force: false, ct).ConfigureAwait(false);
            }
            catch (EngineRefusalException e) when (e.IsConflict)
            {
                // Another sandbox needs it; the last one removes it.
            }
        }
    }

    public Task LogsAsync(string id, LogRange range, Stream output, CancellationToken ct) =>
        RefusingAsync(() => engine.CopyLogsAsync(
            id,
            new() { Follow = range.Follow, Tail = (int?)range.Tail, Since = range.Since, Timestamps = range.Timestamps },
            output,
            output,
            ct));

    public async Task<int> ExecAsync(string id, ExecPlan plan, CancellationToken ct)
    {
        var session = await RefusingAsync(
            () => engine.OpenExecAsync(
                id, new(plan.Command) { Tty = plan.Tty, Stdin = plan.Input is not null }, ct)).ConfigureAwait(false);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var sizing = plan is { Tty: true, Sizes: { } sizes } ? ResizeAsync(session, sizes, ended.Token) : Task.CompletedTask;
        try
        {
            return await RefusingAsync(() => session.RunAsync(plan.Input, plan.Output, plan.Error, ct)).ConfigureAwait(false);
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await sizing.ConfigureAwait(false);
        }
    }

    public async Task<int> AttachAsync(string id, ExecPlan plan, CancellationToken ct)
    {
        await RefusingAsync(() => engine.AttachAsync(id, plan.Input, plan.Output, plan.Error, ct)).ConfigureAwait(false);
        return await engine.WaitContainerAsync(id, ct).ConfigureAwait(false);
    }

    public async Task<bool> TryCreateNetworkAsync(NetworkPlan plan, CancellationToken ct)
    {
        try
        {
            await engine.CreateNetworkAsync(
                new(plan.Name) { Subnet = plan.Subnet, IpRange = plan.PodRange, Gateway = plan.Gateway, Labels = plan.Labels },
                ct).ConfigureAwait(false);
            return true;
        }
        catch (EngineRefusalException e) when (e.IsAddressOverlap)
        {
            return false;
        }
        catch (EngineRefusalException e)
        {
            throw new RuntimeRefusalException(e.Message, e);
        }
    }

    public Task RemoveNetworkAsync(string name, CancellationToken ct) => RefusingAsync(() => engine.RemoveNetworkAsync(name, ct));

    public async Task<IReadOnlyList<NetworkEntry>> ListNetworksAsync(string label, CancellationToken ct) =>
        [.. (await engine.ListNetworksAsync(Labels(label), ct).ConfigureAwait(false)).Select(
            n => new NetworkEntry(n.Id, n.Name, n.Labels))];

    public ValueTask DisposeAsync()
    {
        engine.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task ResizeAsync(
        ExecSession session, IAsyncEnumerable<(int Columns, int Rows)> sizes, CancellationToken ct)
    {
        try
        {
            await foreach (var (columns, rows) in sizes.WithCancellation(ct).ConfigureAwait(false))
            {
                try
                {
                    await session.ResizeAsync(columns, rows, ct).ConfigureAwait(false);
                }
                catch (EngineRefusalException)
                {
                    // Not started yet, or ended: the next size may fit.
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The command has ended.
        }
    }

    private static Dictionary<string, string?> Labels(string label) =>
        label.Split('=', 2) is [var name, var value] ? new() { [name] = value } : new() { [label] = null };

    private static async Task RefusingAsync(Func<Task> call)
    {
        try
        {
            await call().ConfigureAwait(false);
        }
        catch (EngineRefusalException e)
        {
            throw new RuntimeRefusalException(e.Message, e);
        }
    }

    private static async Task<T> RefusingAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call().ConfigureAwait(false);
        }
        catch (EngineRefusalException e)
        {
            throw new RuntimeRefusalException(e.Message, e);
        }
    }
}
