using System.Diagnostics;
using CiSteps.Fixtures;

namespace CiSteps.Chain.Tests;

/// <summary>The published executables, and programs beside them, in an environment that holds only what is said.</summary>
internal static class Executables
{
    /// <summary>Where they are.</summary>
    public static string Folder { get; } = Find();

    /// <summary>Runs a program to its end; the result is its exit code and all that it said.</summary>
    /// <param name="program">Path, or name of a program on the path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="folder">Where it runs.</param>
    /// <param name="home">Its user's home, where it keeps state.</param>
    /// <param name="environment">More of its environment.</param>
    public static async Task<(int Exit, string Output)> RunAsync(
        string program, IEnumerable<string> arguments, string folder, string home, Dictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        start.Environment.Clear();
        foreach (var name in (string[])["PATH", "DOTNET_ROOT"])
            if (Environment.GetEnvironmentVariable(name) is { Length: > 0 } value) start.Environment[name] = value;
        foreach (var (name, value) in LocalEngine.Variables) start.Environment[name] = value;
        start.Environment["HOME"] = home;
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        try
        {
            var streams = await Task
                .WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync())
                .WaitAsync(TimeSpan.FromMinutes(5));
            await process.WaitForExitAsync();
            return (process.ExitCode, string.Concat(streams));
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }

    private static string Find()
    {
        var folder = Environment.GetEnvironmentVariable("CISTEPS_TOOL") is { Length: > 0 } given
            ? given
            : Path.Combine(Demo.Root, "artifacts", "tool", "linux-x64");
        return File.Exists(Path.Combine(folder, "unit-test")) ? folder
            : throw new InvalidOperationException(
                $"{folder} holds no executables; scripts/test.sh publishes them, and so does dotnet build " +
                "steps/executables.proj");
    }
}
