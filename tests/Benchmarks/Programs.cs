using CiSteps.Hosting;

namespace CiSteps.Benchmarks;

/// <summary>Runs programs to their end; a failure stops the benchmark, for a fast failure is not a result.</summary>
internal static class Programs
{
    /// <summary>The folder that the solution stands in.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Path of a published executable: the linked ones where <c>build.ps1</c> made them, else those for the runtime, which scripts/test.sh and scripts/demo.sh publish.</summary>
    public static string Published(string name) =>
        new[] { Environment.GetEnvironmentVariable("CISTEPS_TOOL"), Path.Combine(Root, "artifacts", "native", "linux-x64"), Path.Combine(Root, "artifacts", "tool", "linux-x64") }
            .OfType<string>().Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException($"no published executable \"{name}\": run scripts/test.sh Layout or build.ps1 pack first, or name their folder in CISTEPS_TOOL");

    public static async Task RunAsync(string program, params string[] arguments) => await RunInAsync(Root, program, arguments);

    /// <returns>What it prints.</returns>
    public static async Task<string> RunInAsync(string folder, string program, params string[] arguments)
    {
        var (exit, output, error) = await ChildProcess.CaptureAsync(new(program, arguments, folder));
        return exit == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {exit}: {error}{output}");
    }

    private static string FindRoot()
    {
        var at = new DirectoryInfo(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "CiSteps.sln"))) at = at.Parent;
        return at?.FullName ?? throw new InvalidOperationException($"{AppContext.BaseDirectory} is in no work tree of this repository");
    }
}
