using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>Runs test commands as child processes, or in containers of the local engine.</summary>
internal sealed class TestCommands(StepContext context, ChainRun run) : ITestCommands, IDisposable
{
    private readonly SemaphoreSlim connecting = new(1);
    private ContainerEngine? engine;

    public async Task<int> RunAsync(CommandDefinition command, IReadOnlyDictionary<string, string> environment, Action<string, bool> onLine, Action onOutput, CancellationToken cancel)
    {
        if (command.Image is { } image) return await InContainerAsync(command, image, environment, onLine, onOutput, cancel);
        var variables = new Dictionary<string, string?>(StringComparer.Ordinal);
        // The chain's own settings and secrets are none of the tests' business, and a runner that believes itself on a
        // build server would write service messages, which are not passed on.
        foreach (var name in context.Settings.Environment.Keys)
            if (name.StartsWith("CISTEPS_", StringComparison.Ordinal) || name is "TEAMCITY_VERSION" or "TEAMCITY_BUILD_PROPERTIES_FILE")
                variables[name] = null;
        foreach (var (name, value) in environment.Concat(command.Environment)) variables[name] = value;
        return await ChildProcess.RunAsync(command.Run[0], [.. command.Run.Skip(1)], Path.GetFullPath(Path.Combine(context.WorkTree, command.Folder)), onLine, variables, onOutput,
            left => context.Log.Info($"ended what {command.Run[0]} left running: {string.Join(", ", left)}"), cancel: cancel);
    }

    public void Dispose()
    {
        connecting.Dispose();
        engine?.Dispose();
    }

    private async Task<int> InContainerAsync(CommandDefinition command, string image, IReadOnlyDictionary<string, string> environment, Action<string, bool> onLine, Action onOutput, CancellationToken cancel)
    {
        var variables = environment.ToDictionary(StringComparer.Ordinal);
        foreach (var (name, value) in command.Environment) variables[name] = value;
        var container = new CommandContainer(await EngineAsync(cancel),
            RegistryCredentials.Of(context, run.Policy.Registry.Push, run.Policy.Registry.Pull), context.Log);
        var result = await container.RunAsync(new ContainerCommand(image, command.Run, context.WorkTree)
        {
            Folder = command.Folder,
            Environment = variables,
            Labels = EngineLabels.Of(context),
        }, onLine, onOutput, cancel);
        if (result.OutOfMemory) onLine("the container was ended by the kernel: out of memory", true);
        return result.Exit;
    }

    // One connection for all components; what a killed run left on the engine goes first.
    private async Task<ContainerEngine> EngineAsync(CancellationToken cancel)
    {
        await connecting.WaitAsync(cancel);
        try
        {
            if (engine is not null) return engine;
            var connected = await ContainerEngine.ConnectAsync(context, cancel);
            engine = connected;
            await EngineLabels.SweepAsync(connected, context.Log, cancel);
            return connected;
        }
        finally
        {
            connecting.Release();
        }
    }
}
