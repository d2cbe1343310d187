using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>Runs test commands as child processes, or in containers of the local engine.</summary>
internal sealed class TestCommands(StepContext context, ChainRun run) : ITestCommands, IDisposable
{
    public async Task<int> RunAsync(CommandDefinition command, IReadOnlyDictionary<string, string> environment, Action<string, bool> onLine, CancellationToken cancel)
    {
        if (command.Image is not null) throw new UsageException($"the image \"{command.Image}\" cannot be used yet; {run.Identity.Chain}");
        var variables = new Dictionary<string, string?>(StringComparer.Ordinal);
        // The chain's own settings and secrets are none of the tests' business, and a runner that believes itself on a
        // build server would write service messages, which are not passed on.
        foreach (var name in context.Settings.Environment.Keys)
            if (name.StartsWith("CISTEPS_", StringComparison.Ordinal) || name is "TEAMCITY_VERSION" or "TEAMCITY_BUILD_PROPERTIES_FILE")
                variables[name] = null;
        foreach (var (name, value) in environment) variables[name] = value;
        foreach (var (name, value) in command.Environment) variables[name] = value;
        return await ChildProcess.RunAsync(command.Run[0], [.. command.Run.Skip(1)], Path.Combine(context.WorkTree, command.Folder), onLine, variables, cancel);
    }

    public void Dispose()
    {
    }
}
