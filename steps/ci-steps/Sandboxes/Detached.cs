using System.Runtime.InteropServices;

namespace CiSteps.Cli.Sandboxes;

/// <summary>Leaves the terminal that started this process, so that neither its end nor its Ctrl+C is this process's.</summary>
internal static class Detached
{
    private const int ReadWrite = 2;

    /// <summary>Begins a session of its own. Before this the process is still stopped with the one that started it.</summary>
    public static void LeaveSession()
    {
        if (!OperatingSystem.IsWindows()) _ = SetSession();
    }

    /// <summary>Closes what it was given to read and write, so that a pipe's other end sees its end.</summary>
    public static void LeaveStreams()
    {
        if (OperatingSystem.IsWindows()) return;
        var nothing = Open("/dev/null", ReadWrite);
        if (nothing < 0) return;
        for (var stream = 0; stream <= 2; stream++) _ = Duplicate(nothing, stream);
    }

#pragma warning disable SYSLIB1054 // the generated form needs unsafe code for integers
    [DllImport("libc", EntryPoint = "setsid", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetSession();

    [DllImport(
        "libc",
        EntryPoint = "open",
        SetLastError = true,
        CharSet = CharSet.Ansi,
        BestFitMapping = false,
        ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "dup2", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Duplicate(int from, int to);
#pragma warning restore SYSLIB1054
}
