using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Cli.Agents;

/// <summary>A step's process as an agent runs it, with an environment of its own. On stop it is asked first (SIGTERM), given a grace to clean up, and then ended with all that it started.</summary>
internal static class AgentProcess
{
    private const int LongestLine = 65536;
    private const string SetSession = "/usr/bin/setsid";

    /// <summary>Runs to the end.</summary>
    /// <param name="program">Path or name.</param>
    /// <param name="arguments">Arguments, unquoted.</param>
    /// <param name="folder">Working directory.</param>
    /// <param name="environment">The whole environment; nothing is inherited.</param>
    /// <param name="onLine">Gets each line, and whether it came from the error stream; one call at a time.</param>
    /// <param name="grace">How long the process may clean up after it was asked to stop.</param>
    /// <param name="time">The clock of the grace.</param>
    /// <param name="stop">Asks it to stop.</param>
    /// <returns>The exit code, and whether it was stopped.</returns>
    /// <exception cref="UsageException">It cannot be started.</exception>
    public static async Task<(int Exit, bool Stopped)> RunAsync(string program, IReadOnlyList<string> arguments, string folder, IReadOnlyDictionary<string, string> environment,
        Action<string, bool> onLine, TimeSpan grace, TimeProvider time, CancellationToken stop)
    {
        // A session of its own: Ctrl+C at this terminal reaches the step through us, once, and what it leaves behind can be ended as a group.
        var ownSession = File.Exists(SetSession);
        var start = new ProcessStartInfo(ownSession ? SetSession : program, ownSession ? [program, .. arguments] : arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
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
            throw new UsageException($"cannot start \"{program}\": {error.Message}; is the folder of executables right (--tools)?", error);
        }
        process.StandardInput.Close();
        var gate = new Lock();
        var streams = Task.WhenAll(
            ReadAsync(process.StandardOutput, line => { lock (gate) onLine(line, false); }),
            ReadAsync(process.StandardError, line => { lock (gate) onLine(line, true); }));
        var stopped = false;
        try
        {
            await process.WaitForExitAsync(stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            stopped = true;
            await EndAsync(process, grace, time).ConfigureAwait(false);
        }
        try
        {
            // A grandchild in the background may hold the streams open; what it says later is nobody's.
            await streams.WaitAsync(TimeSpan.FromSeconds(2), time, CancellationToken.None).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
        }
        return (process.ExitCode, stopped);
    }

    /// <summary>Asks a process to stop, and ends it with all that it started when the grace is over.</summary>
    internal static async Task EndAsync(Process process, TimeSpan grace, TimeProvider time)
    {
        var family = ProcessTree.Descendants(process.Id);
        if (!OperatingSystem.IsWindows() && grace > TimeSpan.Zero && Kill(process.Id, Terminate) == 0)
        {
            using var limit = new CancellationTokenSource(grace, time);
            try
            {
                await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                family = ProcessTree.Descendants(process.Id);
            }
        }
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        // What it left behind: only processes that are still the same ones.
        foreach (var child in family.Where(ProcessTree.IsAlive)) _ = Kill(child.Id, KillNow);
        if (ProcessTree.IsGroup(process.Id)) _ = Kill(-process.Id, KillNow);
    }

    private static async Task ReadAsync(TextReader reader, Action<string> onLine)
    {
        var buffer = new char[8192];
        var line = new StringBuilder();
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
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

    internal const int Terminate = 15;
    internal const int KillNow = 9;

#pragma warning disable SYSLIB1054 // the generated form needs unsafe code for two integers
    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static extern int Kill(int pid, int signal);
#pragma warning restore SYSLIB1054
}

/// <summary>Processes below a process, told apart from later ones of the same number by their start time.</summary>
internal static class ProcessTree
{
    internal sealed record Member(int Id, string StartedAt);

    /// <summary>All descendants that live now. Empty where there is no <c>/proc</c>.</summary>
    public static IReadOnlyList<Member> Descendants(int id)
    {
        if (!Directory.Exists("/proc")) return [];
        var all = new List<(int Parent, Member Process)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var process) && Read(process) is { } read)
                all.Add((read.Parent, new(process, read.StartedAt)));
        var found = new List<Member>();
        var level = new HashSet<int> { id };
        while (level.Count > 0)
        {
            var below = all.Where(entry => level.Contains(entry.Parent)).Select(entry => entry.Process).ToList();
            found.AddRange(below);
            level = [.. below.Select(process => process.Id)];
        }
        return found;
    }

    /// <summary>Whether processes of the group that this process led still live.</summary>
    public static bool IsGroup(int leader)
    {
        if (!Directory.Exists("/proc")) return false;
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var process) && Read(process) is { State: not 'Z' } read && read.Group == leader) return true;
        return false;
    }

    /// <summary>The process's start, by which it differs from a later one of the same number; null when it does not live.</summary>
    public static string? StartOf(int id)
    {
        if (Directory.Exists("/proc")) return Read(id) is { State: not 'Z' } read ? read.StartedAt : null;
        try
        {
            using var process = Process.GetProcessById(id);
            return process.StartTime.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException or Win32Exception)
        {
            return null;
        }
    }

    public static bool IsAlive(Member process) => Read(process.Id) is { } read && read.StartedAt == process.StartedAt && read.State != 'Z';

    private static (int Parent, int Group, string StartedAt, char State)? Read(int id)
    {
        try
        {
            // "pid (name) state ppid pgrp …"; the name may hold blanks and brackets.
            var text = File.ReadAllText($"/proc/{id}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (int.Parse(fields[1], CultureInfo.InvariantCulture), int.Parse(fields[2], CultureInfo.InvariantCulture), fields[19], fields[0][0]);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException or ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            return null;
        }
    }
}
