using System.Text;
using System.Text.RegularExpressions;

namespace CiSteps.TestReports.Xml;

/// <summary>
/// Text of a report file on its way to the XML parser: characters that XML forbids (terminal colours, for one) become U+FFFD, and
/// it is known whether the end was reached.
/// </summary>
internal sealed partial class CleanReader(TextReader inner) : TextReader
{
    private char pendingHigh;
    private bool begun;

    /// <summary>Whether everything was handed out and more was asked for.</summary>
    public bool ReachedEnd { get; private set; }

    public override int Peek() => throw new NotSupportedException("the parser reads in blocks");

    public override int Read()
    {
        Span<char> one = stackalloc char[1];
        return Read(one) == 0 ? -1 : one[0];
    }

    public override int Read(char[] buffer, int index, int count) => Read(buffer.AsSpan(index, count));

    public override int Read(Span<char> buffer)
    {
        if (buffer.IsEmpty) return 0;
        var count = inner.Read(buffer);
        if (count == 0) ReachedEnd = true;
        else if (!begun) Begin(buffer[..count]);
        for (var at = 0; at < count; at++)
        {
            var unit = buffer[at];
            if (char.IsHighSurrogate(unit))
            {
                // Whether its partner follows may show only in the next block.
                var next = at + 1 < count ? buffer[at + 1] : (char)Math.Max(inner.Peek(), 0);
                if (char.IsLowSurrogate(next)) pendingHigh = unit;
                else buffer[at] = '\ufffd';
            }
            else if (char.IsLowSurrogate(unit))
            {
                if (pendingHigh == 0) buffer[at] = '\ufffd';
                pendingHigh = '\0';
            }
            else if (unit is (< ' ' and not ('\t' or '\n' or '\r')) or '\ufffe' or '\uffff')
            {
                buffer[at] = '\ufffd';
            }
        }
        return count;
    }

    // The parser knows XML 1.0 only. What 1.1 allows besides, control characters, is replaced anyway.
    private void Begin(Span<char> block)
    {
        begun = true;
        if (Newer().Match(new string(block[..Math.Min(block.Length, 200)])) is { Success: true } match) block[match.Index
            + match.Length - 1] = '0';
    }

    /// <summary>Opens bytes in the encoding that their mark or their XML declaration names.</summary>
    public static CleanReader Open(Stream stream)
    {
        var head = new byte[512];
        var length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        var whole = new HeadedStream(head.AsMemory(0, length), stream);
        var encoding = Unmarked(head.AsSpan(0, length)) ?? Encoding.UTF8;
        if (Declared().Match(Encoding.Latin1.GetString(head, 0, length)) is { Success: true } match)
        {
            try
            {
                // A declaration that could be read byte by byte is not UTF-16, whatever it says.
                encoding = CodePagesEncodingProvider.Instance.GetEncoding(match.Groups[1].Value)
                    ?? Encoding.GetEncoding(match.Groups[1].Value);
                if (encoding is UnicodeEncoding) encoding = Encoding.UTF8;
            }
            catch (ArgumentException)
            {
                // An encoding nobody knows: the bytes are read as UTF-8, what does not fit becomes U+FFFD.
            }
        }
        return new CleanReader(new StreamReader(whole, encoding, detectEncodingFromByteOrderMarks: true));
    }

    /// <summary>UTF-16 that shows in the first character although nothing marks it; null where it does not.</summary>
    public static Encoding? Unmarked(ReadOnlySpan<byte> head) => head switch
    {
        [(byte)'<' or (byte)'{', 0, ..] => Encoding.Unicode,
        [0, (byte)'<' or (byte)'{', ..] => Encoding.BigEndianUnicode,
        _ => null,
    };

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }

    [GeneratedRegex("""^\s*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")]
    private static partial Regex Declared();

    [GeneratedRegex("""^\s*<\?xml\s+version\s*=\s*["']1\.1""")]
    private static partial Regex Newer();

    private sealed class HeadedStream(ReadOnlyMemory<byte> head, Stream rest) : Stream
    {
        private ReadOnlyMemory<byte> head = head;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            if (head.IsEmpty) return rest.Read(buffer);
            var count = Math.Min(head.Length, buffer.Length);
            head.Span[..count].CopyTo(buffer);
            head = head[count..];
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
