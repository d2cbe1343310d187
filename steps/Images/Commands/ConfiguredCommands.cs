using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>One run of a command of ci-steps.yaml: what the step adds to it.</summary>
/// <param name="OnLine">Gets each line of output and whether it came from the error stream; called from two threads at
/// once.</param>
public sealed record CommandRun(Action<string, bool> OnLine)
{
    /// <summary>Told of any output, also of a line that has not ended yet.</summary>
    public Action? OnOutput { get; init; }

    /// <summary>Variables that the step sets where the command does not set them itself.</summary>
    public IReadOnlyDictionary<string, string> Defaults { get; init; } = new Dictionary<string, string>();

    /// <summary>Variables that the step sets whatever the command says.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether a command on the agent ends when the step is killed (SIGKILL); a container's is removed by the next step
    /// in any case.</summary>
    public bool EndsWithThis { get; init; }

    /// <summary>For a container: further binds, <c>host:container[:ro]</c>.</summary>
    public IReadOnlyList<string> Binds { get; init; } = [];

    /// <summary>For a container: a network's name, <c>host</c> or <c>none</c>; null: the engine's default.</summary>
    public string? Network { get; init; }
}

/// <summary>The one way to run a command of ci-steps.yaml: as a child process without what belongs to the chain, or in a
/// container of the local engine,
/// which is looked for only then. What a command leaves running ends with it.</summary>
/// <param name="context">The step that asks: its options, log, clock and environment.</param>
/// <param name="log">Where it is said what was ended.</param>
/// <param name="credentials">For the images that commands run in.</param>
/// <param name="connect">The step's own connection to the engine, which stays the step's; null: one is made when it is
/// needed.</param>
public sealed class ConfiguredCommands(
    StepContext context,
    BuildLog log,
    RegistryCredentials credentials,
    Func<CancellationToken, Task<ContainerEngine>>? connect = null)
        : IDisposable
{
    private readonly SemaphoreSlim connecting = new(1);
    private ContainerEngine? engine;

    /// <summary>Runs a command to its end.</summary>
    /// <param name="command">The command as ci-steps.yaml has it.</param>
    /// <param name="run">What the step adds.</param>
    /// <param name="cancel">Ends it with all that it started, then throws.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="UsageException">The command cannot be started, its folder is missing, or its image cannot be
    /// had.</exception>
    /// <exception cref="UnavailableException">The engine or the image's registry does not answer.</exception>
    public Task<int> RunAsync(CommandDefinition command, CommandRun run, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(command);
        ArgumentNullException.ThrowIfNull(run);
        var variables = new Dictionary<string, string>(run.Defaults, StringComparer.Ordinal);
        foreach (var (name, value) in command.Environment.Concat(run.Environment)) variables[name] = value;
        return command.Image is { } image
            ? InContainerAsync(image, command, variables, run, cancel)
            : OnAgentAsync(command, variables, run, cancel);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        connecting.Dispose();
        engine?.Dispose();
    }

    private Task<int> OnAgentAsync(
        CommandDefinition command, Dictionary<string, string> variables, CommandRun run, CancellationToken cancel)
    {
        var environment = ChildEnvironment.Removals(context.Options.Environment);
        foreach (var (name, value) in variables) environment[name] = value;
        return ChildProcess.RunAsync(
            new(command.Run[0], [.. command.Run.Skip(1)], Path.GetFullPath(Path.Combine(context.WorkTree, command.Folder)))
            {
                Environment = environment,
                OnLine = run.OnLine,
                OnOutput = run.OnOutput,
                OnLeft = left => log.Info($"ended what {command.Run[0]} left running: {string.Join(", ", left)}"),
                EndsWithThis = run.EndsWithThis,
            }, cancel);
    }

    private async Task<int> InContainerAsync(
        string image, CommandDefinition command, Dictionary<string, string> variables, CommandRun run, CancellationToken cancel)
    {
        var container = new CommandContainer(await EngineAsync(cancel).ConfigureAwait(false), credentials, log);
        var result = await container.RunAsync(new ContainerCommand(image, command.Run, context.WorkTree)
        {
            Folder = command.Folder,
            Environment = variables,
            Labels = EngineLabels.Of(context),
            Binds = run.Binds,
            Network = run.Network,
        }, run.OnLine, run.OnOutput, cancel).ConfigureAwait(false);
        if (result.OutOfMemory) run.OnLine("the container was ended by the kernel: out of memory", true);
        return result.Exit;
    }

    // One connection for commands that run at the same time; what a killed run left on the engine goes first.
    private async Task<ContainerEngine> EngineAsync(CancellationToken cancel)
    {
        if (connect is not null) return await connect(cancel).ConfigureAwait(false);
        await connecting.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (engine is not null) return engine;
            var connected = await ContainerEngine.ConnectAsync(context, cancel).ConfigureAwait(false);
            engine = connected;
            await EngineLabels.SweepAsync(connected, log, cancel).ConfigureAwait(false);
            return connected;
        }
        finally
        {
            connecting.Release();
        }
    }
}
