using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace CiSteps.Hosting;

/// <summary>Processes that run already, by number: which one it is, and how one is asked to stop.</summary>
public static class RunningProcess
{
    private const int Terminate = 15;

    /// <summary>The process's start, by which it differs from a later one of the same number; null when it does not
    /// live.</summary>
    /// <param name="id">Its process id.</param>
    public static string? StartOf(int id)
    {
        if (Directory.Exists("/proc")) return ReadStart(id);
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

    /// <summary>Asks a process to stop (SIGTERM) and waits until it has ended or the grace is over. Windows has no such
    /// question.</summary>
    /// <param name="process">A process that has been started.</param>
    /// <param name="grace">How long it may take; zero: it is not asked.</param>
    /// <param name="time">The clock of the grace.</param>
    /// <param name="cancel">Ends the waiting, then throws.</param>
    /// <returns>Whether it has ended.</returns>
    public static async Task<bool> AskAsync(
        Process process, TimeSpan grace, TimeProvider time, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(process);
        if (OperatingSystem.IsWindows() || grace <= TimeSpan.Zero || Kill(process.Id, Terminate) != 0) return process.HasExited;
        using var limit = new CancellationTokenSource(grace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            await process.WaitForExitAsync(either.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return process.HasExited;
        }
    }

    private static string? ReadStart(int id)
    {
        try
        {
            // "pid (name) state ppid pgrp …"; the name may hold blanks and brackets.
            var text = File.ReadAllText($"/proc/{id}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] == "Z" ? null : fields[19];
        }
        catch (Exception error)
            when (error is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            return null;
        }
    }

#pragma warning disable SYSLIB1054 // the generated form needs unsafe code for two integers
    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int id, int signal);
#pragma warning restore SYSLIB1054
}
