using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>A program that is asked for a credential on its standard input. Its output may be a secret: nothing is
/// logged.</summary>
internal static class CredentialProgram
{
    private const int LongestAnswer = 1 << 20;
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    /// <exception cref="CredentialProgramException">It is not installed, cannot be started, or does not end.</exception>
    public static async Task<(int Exit, string Output, string Error)> AskAsync(
        string program,
        IReadOnlyList<string> arguments,
        string question,
        IReadOnlyDictionary<string, string> environment,
        CancellationToken cancel)
    {
        var folder = Environment.CurrentDirectory;
        if (ChildProcess.Find(program, folder, environment.GetValueOrDefault("PATH") ?? "") is null)
            throw new CredentialProgramException("is not installed (no folder of PATH has it)");
        try
        {
            return await ChildProcess.CaptureAsync(new(program, arguments, folder)
            {
                Environment = ChildEnvironment.Whole(environment),
                InheritsEnvironment = false,
                Input = async (stream, stop) => await stream.WriteAsync(
                    Encoding.UTF8.GetBytes(question), stop).ConfigureAwait(false),
                TimeLimit = LongestWait,
                OutputLimit = LongestAnswer,
            }, cancel).ConfigureAwait(false);
        }
        catch (UsageException failure)
        {
            throw new CredentialProgramException($"cannot be started ({(failure.InnerException ?? failure).Message})", failure);
        }
        catch (ChildLimitException limit)
        {
            throw new CredentialProgramException($"{limit.Message} (does it wait for somebody to type?)", limit);
        }
    }
}

/// <summary>Such a program did not answer. The message goes on from its name: "is not installed".</summary>
internal sealed class CredentialProgramException(string message, Exception? inner = null) : Exception(message, inner);
