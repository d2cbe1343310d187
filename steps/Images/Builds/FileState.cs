using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CiSteps.Images;

/// <summary>What a file is to the file system.</summary>
internal enum FileKind
{
    Regular,
    Folder,
    SymbolicLink,
    NamedPipe,
    Socket,
    CharacterDevice,
    BlockDevice,
}

/// <summary>
/// What the file system says of a file: two that are equal are the same file with the same content. .NET tells neither pipes
/// from files nor which names are one file, so on Linux the system is asked itself; elsewhere length and time have to do.
/// </summary>
/// <param name="Kind">What it is.</param>
/// <param name="Mode">Permissions with set-user, set-group and sticky bits.</param>
/// <param name="Size">In bytes.</param>
/// <param name="Modified">When its content was last written, as whoever wrote it would have it.</param>
/// <param name="Changed">When anything of it last changed, as the system saw it.</param>
/// <param name="Volume">The file system that it is on.</param>
/// <param name="Number">Its number there.</param>
/// <param name="Links">How many names it has.</param>
internal readonly record struct FileState(
    FileKind Kind, int Mode, long Size, FileMoment Modified, FileMoment Changed, ulong Volume, ulong Number, uint Links)
{
    private const int NothingThere = 2;
    private const int NotInAFolder = 20;
    private const int CurrentFolder = -100;
    private const int LinkItself = 0x100;
    private const int TheOpenFile = 0x1000;
    private const uint BasicFacts = 0x7FF;
    private const int WithoutWaiting = 0x800 | 0x80000;
    private const int LongestPath = 4096;
    private const int RevisionAt = 3;
    private const int RevisionTwoBytes = 20;
    private const byte RevisionTwo = 2;
    private const byte RevisionThree = 3;

    /// <summary>The state of a name, of a symbolic link itself; null when there is nothing of that name.</summary>
    /// <exception cref="IOException">The system does not say.</exception>
    public static FileState? Of(string path) => OperatingSystem.IsLinux() ? Ask(CurrentFolder, path, LinkItself) : Portable(path);

    /// <summary>The state of what a name leads to; null when it leads to nothing.</summary>
    /// <exception cref="IOException">The system does not say.</exception>
    public static FileState? OfTarget(string path)
    {
        if (OperatingSystem.IsLinux()) return Ask(CurrentFolder, path, 0);
        return Portable(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);
    }

    /// <summary>
    /// Opens a file to be read, without waiting: a named pipe that took its place would keep it waiting for ever.
    /// </summary>
    /// <returns>The file, and the state of what was opened.</returns>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public static (SafeFileHandle Handle, FileState State) Open(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            var state = Portable(path) ?? throw new FileNotFoundException(null, path);
            return (File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite), state);
        }
        var handle = new SafeFileHandle(Native.Open(Text(path), WithoutWaiting), ownsHandle: true);
        if (handle.IsInvalid) throw Failure();
        try
        {
            return (handle, Ask((int)handle.DangerousGetHandle(), "", TheOpenFile)!.Value);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>A program's capabilities (<c>setcap</c>) as docker's client sends them; null where it has none.</summary>
    /// <exception cref="IOException">The system does not say.</exception>
    public static byte[]? Capabilities(string path)
    {
        const int noSuchAttribute = 61, notSupported = 95;
        if (!OperatingSystem.IsLinux()) return null;
        var value = new byte[64];
        var length = Native.GetAttribute(Text(path), Text("security.capability"), value, (nuint)value.Length);
        if (length < 0) return Marshal.GetLastPInvokeError() is noSuchAttribute or notSupported ? null : throw Failure();
        // The third revision names the root user of one user namespace, which means nothing where the image runs.
        if (length <= RevisionTwoBytes || value[RevisionAt] != RevisionThree) return value[..(int)length];
        value[RevisionAt] = RevisionTwo;
        return value[..RevisionTwoBytes];
    }

    /// <summary>A path without symbolic links in any of its parts; as it is where that cannot be told.</summary>
    public static string RealPath(string path)
    {
        if (!OperatingSystem.IsLinux())
            return Path.GetFullPath(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);
        var resolved = new byte[LongestPath + 1];
        if (Native.RealPath(Text(path), resolved) == 0) return path;
        var text = Encoding.UTF8.GetString(resolved.AsSpan(0, resolved.AsSpan().IndexOf((byte)0)));
        return text.Contains('\uFFFD', StringComparison.Ordinal) ? path : text;
    }

    private static FileState? Ask(int from, string path, int flags)
    {
        if (Native.Statx(from, Text(path), flags, BasicFacts, out var facts) != 0)
            return Marshal.GetLastPInvokeError() is NothingThere or NotInAFolder ? null : throw Failure();
        var kind = (facts.Mode & 0xF000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Folder,
            0xA000 => FileKind.SymbolicLink,
            0x1000 => FileKind.NamedPipe,
            0xC000 => FileKind.Socket,
            0x2000 => FileKind.CharacterDevice,
            _ => FileKind.BlockDevice,
        };
        var modified = new FileMoment(facts.ModifiedSeconds, facts.ModifiedNanoseconds);
        var changed = new FileMoment(facts.ChangedSeconds, facts.ChangedNanoseconds);
        var volume = ((ulong)facts.DeviceMajor << 32) | facts.DeviceMinor;
        return new FileState(kind, facts.Mode & 0xFFF, (long)facts.Size, modified, changed, volume, facts.Number, facts.Links);
    }

    private static FileState? Portable(string path)
    {
        FileSystemInfo info = Directory.Exists(path) ? new DirectoryInfo(path) : new FileInfo(path);
        var isLink = info.LinkTarget is not null;
        if (!info.Exists && !isLink) return null;
        var kind = isLink ? FileKind.SymbolicLink : info is DirectoryInfo ? FileKind.Folder : FileKind.Regular;
        var ticks = info.LastWriteTimeUtc.Ticks - DateTime.UnixEpoch.Ticks;
        var modified = new FileMoment(ticks / TimeSpan.TicksPerSecond, (uint)(ticks % TimeSpan.TicksPerSecond * 100));
        // Windows knows no executable bit: there everything is executable, as the engine's client has it.
        var mode = OperatingSystem.IsWindows() ? 0b111_101_101 : (int)info.UnixFileMode;
        return new FileState(kind, mode, kind == FileKind.Regular ? ((FileInfo)info).Length : 0, modified, modified, 0, 0, 1);
    }

    private static byte[] Text(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    private static IOException Failure()
    {
        var text = Marshal.GetLastPInvokeErrorMessage();
        var isAbsent = Marshal.GetLastPInvokeError() is NothingThere or NotInAFolder;
        return isAbsent ? new FileNotFoundException(text) : new IOException(text);
    }

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Facts
    {
        [FieldOffset(16)]
        public uint Links;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Number;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(96)]
        public long ChangedSeconds;

        [FieldOffset(104)]
        public uint ChangedNanoseconds;

        [FieldOffset(112)]
        public long ModifiedSeconds;

        [FieldOffset(120)]
        public uint ModifiedNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }

    private static class Native
    {
#pragma warning disable SYSLIB1054 // the generated form needs unsafe code
        // The one form of stat whose layout is the same on every processor.
        [DllImport("libc", EntryPoint = "statx", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Statx(int folder, byte[] path, int flags, uint mask, out Facts facts);

        [DllImport("libc", EntryPoint = "open", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Open(byte[] path, int flags);

        [DllImport("libc", EntryPoint = "lgetxattr", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern nint GetAttribute(byte[] path, byte[] name, [Out] byte[] value, nuint size);

        [DllImport("libc", EntryPoint = "realpath", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern nint RealPath(byte[] path, [Out] byte[] resolved);
#pragma warning restore SYSLIB1054
    }
}

/// <summary>A time as the file system keeps it.</summary>
/// <param name="Seconds">Since 1970.</param>
/// <param name="Nanoseconds">Within the second.</param>
internal readonly record struct FileMoment(long Seconds, uint Nanoseconds);
