using System.Buffers.Binary;
using System.Formats.Tar;
using System.Runtime.InteropServices;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// The program that holds a pod's network namespace open: a static ELF of three instructions that waits for signals and ignores
/// them, as process 1 of a namespace does by default.
/// Made here, so that no image has to be fetched for it.
/// </summary>
internal static class PauseProgram
{
    private const ulong Base = 0x400000;
    private const int HeaderBytes = 64 + 56;

    public static Stream Tar()
    {
        var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, TarEntryFormat.Ustar, leaveOpen: true))
        {
            writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, "pause")
            {
                DataStream = new MemoryStream(Elf(RuntimeInformation.OSArchitecture)),
                Mode =
                    UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
                    | UnixFileMode.OtherRead | UnixFileMode.OtherExecute,
                ModificationTime = DateTimeOffset.UnixEpoch,
            });
        }

        tar.Position = 0;
        return tar;
    }

    /// <summary>A complete executable: one loadable segment, no interpreter, no data.</summary>
    public static byte[] Elf(Architecture architecture)
    {
        var (machine, code) = architecture switch
        {
            Architecture.X64 => ((ushort)62, X64),
            Architecture.Arm64 => ((ushort)183, Arm64),
            _ => throw new PlatformNotSupportedException($"the sandbox runs pods on x86-64 and arm64, not on {architecture}"),
        };
        var elf = new byte[HeaderBytes + code.Length];
        ReadOnlySpan<byte> identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identity.CopyTo(elf);
        Write16(16, 2); // executable
        Write16(18, machine);
        Write32(20, 1);
        Write64(24, Base + HeaderBytes); // entry
        Write64(32, 64); // program headers
        Write16(52, 64);
        Write16(54, 56);
        Write16(56, 1);
        Write32(64, 1); // load
        Write32(68, 5); // read, execute
        Write64(80, Base);
        Write64(88, Base);
        Write64(96, (ulong)elf.Length);
        Write64(104, (ulong)elf.Length);
        Write64(112, 0x1000);
        code.CopyTo(elf, HeaderBytes);
        return elf;

        void Write16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(at), value);
        void Write32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(elf.AsSpan(at), value);
        void Write64(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(elf.AsSpan(at), value);
    }

    // loop: mov eax, 34 (pause); syscall; jmp loop
    private static readonly byte[] X64 = [0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7];

    // loop: mov x0..x4, 0; mov x8, 73 (ppoll: arm64 has no pause); svc 0; b loop
    private static readonly byte[] Arm64 =
    [
        0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2,
        0x04, 0x00, 0x80, 0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xf9, 0xff, 0xff, 0x17,
    ];
}
