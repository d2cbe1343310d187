using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>Runs test commands as child processes, or in containers of the local engine.</summary>
internal sealed class TestCommands(StepContext context, ChainRun run) : ITestCommands, IDisposable
{
    private readonly ConfiguredCommands commands =
        new(context, context.Log, RegistryCredentials.Of(context, run.Change.Registry.Push, run.Change.Registry.Pull));

    public Task<int> RunAsync(
        CommandDefinition command,
        IReadOnlyDictionary<string, string> environment,
        Action<string, bool> onLine,
        Action onOutput,
        CancellationToken cancel) =>
        commands.RunAsync(command, new(onLine) { OnOutput = onOutput, Defaults = environment }, cancel);

    public void Dispose() => commands.Dispose();
}
