using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace CiSteps.Hosting;

/// <summary>A child program: arguments as a list, both streams read line by line as they come, the whole process tree ended on stop.</summary>
public static class ChildProcess
{
    // A line without an end is handed on in pieces of this many characters, so that a child cannot fill memory.
    private const int LongestLine = 65536;

    /// <summary>Runs a program to its end.</summary>
    /// <param name="program">A name without a slash is looked up on the child's PATH, a relative path in <paramref
    /// name="folder"/>; never beside this program.</param>
    /// <param name="arguments">Arguments, unquoted.</param>
    /// <param name="folder">Working directory.</param>
    /// <param name="onLine">Gets each line of output and whether it came from the error stream; called from two threads at once.</param>
    /// <param name="environment">Variables to set (null value: remove) on top of this process's.</param>
    /// <param name="onOutput">Told of any output, also of a line that has not ended yet; called from two threads at once.</param>
    /// <param name="onLeft">When given, what the process leaves running at its own end is ended too, and its names are told here;
    /// else it stays.</param>
    /// <param name="cancel">Ends the process and all that it started, then throws.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="UsageException">The program cannot be started, or the folder is not there.</exception>
    public static async Task<int> RunAsync(string program, IReadOnlyList<string> arguments, string folder, Action<string, bool> onLine,
        IReadOnlyDictionary<string, string?>? environment = null, Action? onOutput = null,
            Action<IReadOnlyList<string>>? onLeft = null, CancellationToken cancel = default)
    {
        cancel.ThrowIfCancellationRequested();
        if (!Directory.Exists(folder)) throw new UsageException($"there is no folder \"{folder}\" to run \"{program}\" in");
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            if (value is null) start.Environment.Remove(name);
            else start.Environment[name] = value;
        }
        start.FileName = Locate(program, folder, start.Environment.TryGetValue("PATH", out var path) ? path : null);
        var tree = new ProcessTree();
        tree.Mark(start);
        using var process = new Process { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception error)
        {
            throw new UsageException($"cannot start \"{program}\" in {folder}: {error.Message}", error);
        }
        process.StandardInput.Close();
        var streams = Task.WhenAll(
            ReadLinesAsync(process.StandardOutput, line => Tell(line, false), onOutput),
            ReadLinesAsync(process.StandardError, line => Tell(line, true), onOutput));

        // When nobody reads on, the child would wait for ever with a full pipe.
        void Tell(string line, bool isError)
        {
            try
            {
                onLine(line, isError);
            }
            catch
            {
                tree.End(process);
                throw;
            }
        }

        try
        {
            await process.WaitForExitAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            tree.End(process);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            await DrainAsync(streams).ConfigureAwait(false);
            throw;
        }
        if (onLeft is not null && tree.EndRest() is { Count: > 0 } left) onLeft(left);
        // A background grandchild may keep the streams open for ever: its output is read while the child lives, and a moment longer.
        await DrainAsync(streams).ConfigureAwait(false);
        return process.ExitCode;
    }

    /// <summary>Runs a program and gives back all of its output.</summary>
    /// <returns>Exit code, standard output, standard error.</returns>
    public static async Task<(int Exit, string Output, string Error)> CaptureAsync(string program, IReadOnlyList<string> arguments, string folder,
        IReadOnlyDictionary<string, string?>? environment = null, CancellationToken cancel = default)
    {
        var output = new StringBuilder();
        var error = new StringBuilder();
        var exit = await RunAsync(program, arguments, folder, (line, isError) =>
        {
            var into = isError ? error : output;
            lock (into) into.Append(line).Append('\n');
        }, environment, cancel: cancel).ConfigureAwait(false);
        lock (output)
            lock (error)
                return (exit, output.ToString(), error.ToString());
    }

    // The runtime itself would look beside this program and in its own folder first.
    private static string Locate(string program, string folder, string? path)
    {
        if (OperatingSystem.IsWindows() && program.IndexOfAny(['/', '\\']) < 0) return program;
        if (program.Contains('/', StringComparison.Ordinal)
            || OperatingSystem.IsWindows()) return Path.GetFullPath(Path.Combine(folder, program));
        foreach (var place in (path ?? "/usr/local/bin:/usr/bin:/bin").Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            // A relative entry of the PATH is the child's, too.
            var candidate = Path.GetFullPath(Path.Combine(folder, place, program));
            if (File.Exists(candidate)
                && (File.GetUnixFileMode(candidate) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0) return candidate;
        }
        throw new UsageException($"cannot start \"{program}\" in {folder}: there is no such program on the PATH");
    }

    private static async Task DrainAsync(Task streams)
    {
        try
        {
            await streams.WaitAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // See the caller: the rest belongs to a process that is none of ours any more.
        }
    }

    private static async Task ReadLinesAsync(TextReader reader, Action<string> onLine, Action? onOutput)
    {
        var buffer = new char[8192];
        var line = new StringBuilder();
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            onOutput?.Invoke();
            for (var at = 0; at < count; at++)
            {
                if (buffer[at] == '\n' || line.Length >= LongestLine)
                {
                    if (line.Length > 0 && line[^1] == '\r') line.Length--;
                    onLine(line.ToString());
                    line.Clear();
                    if (buffer[at] == '\n') continue;
                }
                line.Append(buffer[at]);
            }
        }
        if (line.Length > 0) onLine(line.ToString());
    }
}
