using System.Diagnostics;

namespace CiSteps.Benchmarks;

/// <summary>Runs programs to their end; a failure stops the benchmark, for a fast failure is no result.</summary>
internal static class Programs
{
    /// <summary>Path of a published executable; scripts/test.sh and scripts/demo.sh publish them.</summary>
    public static string Published(string name)
    {
        var at = new DirectoryInfo(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "CiSteps.sln"))) at = at.Parent;
        var path = Path.Combine(at!.FullName, "artifacts", "tool", "linux-x64", name);
        return File.Exists(path) ? path : throw new InvalidOperationException($"\"{path}\" is missing: publish the executables first, with build.ps1 pack");
    }

    public static int Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output.Result.Length
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {error}{output.Result}");
    }
}
