using System.Globalization;
using CiSteps.Hosting;

namespace CiSteps.Benchmarks;

/// <summary>Runs programs to their end; a failure stops the benchmark, for a fast failure is not a result.</summary>
internal static class Programs
{
    /// <summary>The folder that the solution stands in.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>
    /// Path of a published executable: the linked ones where <c>build.ps1</c> made them, else those for the runtime, which
    /// scripts/test.sh and scripts/demo.sh publish.
    /// </summary>
    public static string Published(string name) =>
        new[]
        {
            Environment.GetEnvironmentVariable("CISTEPS_TOOL"),
            Path.Combine(Root, "artifacts", "native", "linux-x64"),
            Path.Combine(Root, "artifacts", "tool", "linux-x64")
        }
            .OfType<string>().Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException(
            $"no published executable \"{name}\": run scripts/test.sh Layout or build.ps1 pack first, " +
            "or name their folder in CISTEPS_TOOL");

    public static async Task RunAsync(string program, params string[] arguments) => await RunInAsync(Root, program, arguments);

    /// <returns>What it prints.</returns>
    public static Task<string> RunInAsync(string folder, string program, params string[] arguments) =>
        RunInAsync(folder, new Dictionary<string, string?>(), program, arguments);

    /// <param name="folder">Where it runs.</param>
    /// <param name="environment">Variables beside those of this process.</param>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it prints.</returns>
    public static async Task<string> RunInAsync(
        string folder, IReadOnlyDictionary<string, string?> environment, string program, params string[] arguments)
    {
        var (exit, output, error) = await ChildProcess.CaptureAsync(new(program, arguments, folder)
        {
            Environment = environment
        });
        return exit == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {exit}: {error}{output}");
    }

    /// <summary>Runs a program and looks how much memory it takes, every few milliseconds.</summary>
    /// <param name="folder">Where it runs.</param>
    /// <param name="environment">Variables beside those of this process.</param>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>The most that it held at once (VmHWM), in bytes, without what it started itself.</returns>
    public static async Task<long> MeasureAsync(
        string folder, IReadOnlyDictionary<string, string?> environment, string program, params string[] arguments)
    {
        using var process = ChildProcess.Start(new(program, arguments, folder) { Environment = environment });
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        var (most, ending) = (0L, process.WaitForExitAsync());
        while (!ending.IsCompleted)
        {
            most = Math.Max(most, MostOf(process.Id));
            await Task.WhenAny(ending, timer.WaitForNextTickAsync().AsTask());
        }
        await ending;
        return process.ExitCode == 0 ? most
            : throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {await error}{await output}");
    }

    private static long MostOf(int process)
    {
        try
        {
            const string key = "VmHWM:";
            var line = File
                .ReadLines($"/proc/{process}/status")
                .FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line[key.Length..^"kB".Length], CultureInfo.InvariantCulture) << 10;
        }
        catch (IOException)
        {
            // It has ended.
            return 0;
        }
    }

    private static string FindRoot()
    {
        var at = new DirectoryInfo(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "CiSteps.sln"))) at = at.Parent;
        return at?.FullName
            ?? throw new InvalidOperationException($"{AppContext.BaseDirectory} is in no work tree of this repository");
    }
}
