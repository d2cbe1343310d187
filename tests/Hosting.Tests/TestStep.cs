using System.Diagnostics;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting.Tests;

/// <summary>Steps run in this process, and the test program run as a process.</summary>
internal sealed class TestStep
{
    public static RunIdentity Run { get; } = new("https://example.org/shop.git", "ci/x", false, new string('a', 40), "7", false);

    public Dictionary<string, string> Environment { get; } = [];

    public string Output { get; private set; } = "";

    public string Error { get; private set; } = "";

    public Task<int> RunAsync(Func<StepContext, Outcome> body, params string[] args) =>
        RunAsync(Command((context, _) => Task.FromResult(body(context))), default, args);

    public async Task<int> RunAsync(StepCommand command, CancellationToken stop, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        try
        {
            return await StepHost.RunAsync(command, args, output, error, Environment, stop: stop);
        }
        finally
        {
            (Output, Error) = (output.ToString(), error.ToString());
        }
    }

    public static StepCommand Command(Func<StepContext, CancellationToken, Task<Outcome>> run, params StepOption[] settings) =>
        new("test-step", "Tests.", settings, run);

    /// <summary>The built test program beside this test assembly's own output.</summary>
    public static string ProgramPath
    {
        get
        {
            var configuration = new DirectoryInfo(TestContext.CurrentContext.TestDirectory);
            return Path.Combine(
                configuration.Parent!.Parent!.FullName, "CiSteps.Hosting.Tests.Program", configuration.Name, "hosting-test-step");
        }
    }

    public static Process Start(params string[] args)
    {
        var start = new ProcessStartInfo(ProgramPath, args) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in start.Environment.Keys
            .Where(
                name => name.StartsWith("TEAMCITY", StringComparison.Ordinal)
                    || name.StartsWith("CISTEPS", StringComparison.Ordinal))
            .ToList())
            start.Environment.Remove(name);
        return Process.Start(start)!;
    }
}
