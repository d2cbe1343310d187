using System.ComponentModel;
using System.Diagnostics;

namespace CiSteps.Images;

/// <summary>A short-lived program that is asked on its standard input. Its output may be a secret: nothing is logged.</summary>
internal static class HelperProcess
{
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromMinutes(1);

    /// <exception cref="HelperFailureException">It is not installed, cannot be started, or does not end.</exception>
    public static async Task<(int Exit, string Output, string Error)> RunAsync(string program, IReadOnlyList<string> arguments, string input,
        IReadOnlyDictionary<string, string> environment, CancellationToken cancel)
    {
        var path = Locate(program, environment);
        // A name alone would be looked for along this process's own path.
        if (!File.Exists(path)) throw new HelperFailureException("is not installed (no folder of PATH has it)");
        var start = new ProcessStartInfo(path, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment.Clear();
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = new Process { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception error)
        {
            throw new HelperFailureException($"cannot be started ({error.Message})", error);
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(LongestAnswer);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            try
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token).ConfigureAwait(false);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It did not wait for the question; its exit code tells.
            }
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            return (process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            process.Kill(entireProcessTree: true);
            throw new HelperFailureException($"gave no answer within {LongestAnswer.TotalSeconds:0} s (does it wait for "
                + "somebody to type?)");
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    // The search path that counts is the one of the given environment, not this process's.
    internal static string Locate(string program, IReadOnlyDictionary<string, string> environment)
    {
        foreach (var folder in (environment.GetValueOrDefault("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            foreach (var name in OperatingSystem.IsWindows() ? new[] { program + ".exe", program } : [program])
                if (Path.Combine(folder, name) is var path && File.Exists(path)) return path;
        return program;
    }
}

/// <summary>Such a program did not answer. The message goes on from its name: "is not installed".</summary>
internal sealed class HelperFailureException(string message, Exception? inner = null) : Exception(message, inner);
