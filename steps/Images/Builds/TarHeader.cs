using System.Buffers;
using System.Globalization;
using System.Text;

namespace CiSteps.Images;

/// <summary>
/// Headers of a tar archive: the plain form where it can say it, with the extended one (PAX) before it where not. .NET's own
/// writer takes the values of extended records for text, which capabilities are not.
/// </summary>
internal static class TarHeader
{
    public const char Regular = '0';
    public const char HardLink = '1';
    public const char SymbolicLink = '2';
    public const char Folder = '5';

    private const char Extended = 'x';
    private const int BlockSize = 512;
    private const int LongestText = 100;
    private const long LargestNumber = 0x1_FFFF_FFFF;

    /// <summary>Writes the header of an entry of user and group 0, as docker's client has it.</summary>
    /// <param name="output">Where the archive is written to.</param>
    /// <param name="kind">One of the kinds above.</param>
    /// <param name="name">Path with slashes, a folder's with one at its end.</param>
    /// <param name="mode">Permissions with set-user, set-group and sticky bits.</param>
    /// <param name="size">How many bytes follow.</param>
    /// <param name="modified">Seconds since 1970.</param>
    /// <param name="link">What a link leads to.</param>
    /// <param name="capabilities">A program's capabilities; null: none.</param>
    public static void Write(
        IBufferWriter<byte> output,
        char kind,
        string name,
        int mode,
        long size,
        long modified,
        string link = "",
        byte[]? capabilities = null)
    {
        var records = new ArrayBufferWriter<byte>(BlockSize);
        if (!IsPlain(name)) Record(records, "path", Encoding.UTF8.GetBytes(name));
        if (!IsPlain(link)) Record(records, "linkpath", Encoding.UTF8.GetBytes(link));
        if (!IsPlain(size)) Record(records, "size", Digits(size));
        if (!IsPlain(modified)) Record(records, "mtime", Digits(modified));
        if (capabilities is not null) Record(records, "SCHILY.xattr.security.capability", capabilities);
        if (records.WrittenCount > 0)
        {
            Block(output, Extended, "PaxHeaders.0/entry", 0b110_100_100, records.WrittenCount, 0, "");
            output.Write(records.WrittenSpan);
            Pad(output, records.WrittenCount);
        }
        Block(output, kind, name, mode, size, modified, link);
    }

    /// <summary>Fills up the last block of a content of this size.</summary>
    public static void Pad(IBufferWriter<byte> output, long size) => Zeros(output, (int)(-size & (BlockSize - 1)));

    /// <summary>Ends the archive.</summary>
    public static void End(IBufferWriter<byte> output) => Zeros(output, 2 * BlockSize);

    private static bool IsPlain(string text) => text.Length <= LongestText && Ascii.IsValid(text);

    private static bool IsPlain(long number) => number is >= 0 and <= LargestNumber;

    // "27 path=…\n": the number counts itself.
    private static void Record(ArrayBufferWriter<byte> records, string key, ReadOnlySpan<byte> value)
    {
        var rest = key.Length + value.Length + 3;
        var length = rest + Digits(rest).Length;
        if (rest + Digits(length).Length != length) length = rest + Digits(length).Length;
        records.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{length} {key}=")));
        records.Write(value);
        records.Write("\n"u8);
    }

    private static byte[] Digits(long number) => Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture));

    private static void Block(IBufferWriter<byte> output, char kind, string name, int mode, long size, long modified, string link)
    {
        var block = output.GetSpan(BlockSize)[..BlockSize];
        block.Clear();
        Put(block[..100], name);
        Octal(block[100..107], mode);
        Octal(block[108..115], 0);
        Octal(block[116..123], 0);
        Octal(block[124..135], IsPlain(size) ? size : 0);
        Octal(block[136..147], IsPlain(modified) ? modified : 0);
        block[156] = (byte)kind;
        Put(block[157..257], link);
        "ustar\000"u8.CopyTo(block[257..]);
        Octal(block[329..336], 0);
        Octal(block[337..344], 0);
        // The sum counts its own place as spaces.
        block[148..156].Fill((byte)' ');
        var sum = 0;
        foreach (var octet in block) sum += octet;
        Octal(block[148..154], sum);
        block[154] = 0;
        output.Advance(BlockSize);
    }

    // What does not fit here stands in an extended record.
    private static void Put(Span<byte> field, string text)
    {
        for (var at = 0; at < Math.Min(field.Length, text.Length); at++)
            field[at] = char.IsAscii(text[at]) ? (byte)text[at] : (byte)'_';
    }

    private static void Octal(Span<byte> field, long number)
    {
        for (var at = field.Length - 1; at >= 0; at--, number >>= 3) field[at] = (byte)('0' + (number & 7));
    }

    private static void Zeros(IBufferWriter<byte> output, int count)
    {
        output.GetSpan(count)[..count].Clear();
        output.Advance(count);
    }
}
