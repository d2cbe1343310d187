using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>Runs a test command, on the agent or in a container as its definition says.</summary>
internal interface ITestCommands
{
    /// <summary>Runs it to its end, or until it is cancelled; then all that it started is ended too.</summary>
    /// <param name="command">What to run and where.</param>
    /// <param name="environment">Variables besides the definition's own.</param>
    /// <param name="onLine">Gets each line of output and whether it came from the error stream; called from several
    /// threads.</param>
    /// <param name="onOutput">Told of any output, also of a line that has not ended yet; called from several threads.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>The exit code.</returns>
    Task<int> RunAsync(
        CommandDefinition command,
        IReadOnlyDictionary<string, string> environment,
        Action<string, bool> onLine,
        Action onOutput,
        CancellationToken cancel);
}
