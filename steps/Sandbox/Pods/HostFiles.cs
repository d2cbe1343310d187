using System.Runtime.InteropServices;
using System.Text;

namespace CiSteps.Sandbox.Pods;

/// <summary>Permissions and groups of files that pods see. Pods run on Linux only; elsewhere nothing happens.</summary>
internal static class HostFiles
{
    public static int Mode(string path) => OperatingSystem.IsWindows() ? 0 : (int)File.GetUnixFileMode(path);

    public static void SetMode(string path, int mode)
    {
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, (UnixFileMode)mode);
    }

    public static void SetGroup(string path, int group)
    {
        if (OperatingSystem.IsLinux())
            _ = lchown(Encoding.UTF8.GetBytes(path + '\0'), -1, group);
    }

    /// <summary>Replaces a path by another one in one step, whatever kind they are.</summary>
    public static void Replace(string from, string to)
    {
        if (rename(Encoding.UTF8.GetBytes(from + '\0'), Encoding.UTF8.GetBytes(to + '\0')) != 0)
            throw new IOException($"cannot rename '{from}' to '{to}': {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int rename(byte[] from, byte[] to);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int lchown(byte[] path, int owner, int group);
}
