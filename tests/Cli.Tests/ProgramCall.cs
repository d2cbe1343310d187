using CiSteps.Cli.Commands;
using CiSteps.Hosting;

namespace CiSteps.Cli.Tests;

/// <summary>ci-steps as a person or a script calls it, in this process and with an empty environment.</summary>
internal static class ProgramCall
{
    public static async Task<(int Exit, string Output, string Error)> RunAsync(params string[] arguments)
    {
        var output = new StringWriter { NewLine = "\n" };
        var error = new StringWriter { NewLine = "\n" };
        var exit = await ProgramHost.RunAsync(
            CiStepsProgram.Create(), arguments, output, error, new Dictionary<string, string>());
        return (exit, output.ToString(), error.ToString());
    }
}
