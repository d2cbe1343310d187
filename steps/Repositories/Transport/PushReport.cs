using System.Buffers;
using System.Globalization;
using System.Text;

namespace CiSteps.Repositories.Transport;

/// <summary>What a server answers to a push, read as it passes by: git's report-status lines, in a side band or not, and what
/// the server's hooks say to people (gitprotocol-pack, "Reference Update" and "Report Status").</summary>
internal sealed class PushReport
{
    // An answer is some lines long; what a hook prints beyond that is not kept.
    private const int Most = 1 << 20;

    private readonly ArrayBufferWriter<byte> bytes = new();

    /// <summary>Whether anything was asked of the server at all.</summary>
    public bool WasSent { get; set; }

    /// <summary>What was unpacked; null when the server did not say, "ok" when it was well.</summary>
    public string? Unpacked { get; private set; }

    /// <summary>References that the server says it has moved.</summary>
    public HashSet<string> Taken { get; } = new(StringComparer.Ordinal);

    /// <summary>References that it has not moved, and its short reason.</summary>
    public Dictionary<string, string> Refused { get; } = new(StringComparer.Ordinal);

    /// <summary>What the server said to people, without what it only counts.</summary>
    public string Words { get; private set; } = "";

    public void Add(ReadOnlySpan<byte> some)
    {
        if (bytes.WrittenCount < Most) bytes.Write(some);
    }

    /// <summary>Reads all that has come; an answer that was cut is read as far as it goes.</summary>
    public void Read()
    {
        var (lines, words) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        foreach (var packet in Packets(bytes.WrittenMemory))
        {
            if (packet.Length == 0) continue;
            switch (packet.Span[0])
            {
                case 1: lines.Write(packet.Span[1..]); break;
                case 2 or 3: words.Write(packet.Span[1..]); break;
                default: ReadLine(packet.Span); break;
            }
        }
        foreach (var packet in Packets(lines.WrittenMemory)) ReadLine(packet.Span);
        // A line that ends with a carriage return is a count that the next one overwrites.
        Words = string.Join("; ", Encoding.UTF8.GetString(words.WrittenSpan).Split('\n')
            .Select(line => line[(line.LastIndexOf('\r') + 1)..].Trim()).Where(line => line.Length > 0));
    }

    private void ReadLine(ReadOnlySpan<byte> packet)
    {
        var line = Encoding.UTF8.GetString(packet).TrimEnd('\n');
        var words = line.Split(' ', 3);
        if (words is ["unpack", ..]) Unpacked = line["unpack ".Length..];
        else if (words is ["ok", var taken, ..]) Taken.Add(taken);
        else if (words is ["ng", var refused, ..]) Refused[refused] = words.Length > 2 ? words[2] : "refused";
        else if (words is ["ERR", ..]) Unpacked = line["ERR ".Length..];
    }

    private static IEnumerable<ReadOnlyMemory<byte>> Packets(ReadOnlyMemory<byte> all)
    {
        for (var at = 0; at + 4 <= all.Length;)
        {
            var isNumber = int.TryParse(Encoding.ASCII.GetString(all.Span.Slice(at, 4)), NumberStyles.AllowHexSpecifier,
                CultureInfo.InvariantCulture, out var length);
            if (!isNumber || at + length > all.Length || length is > 0 and < 4) yield break;
            if (length > 4) yield return all.Slice(at + 4, length - 4);
            at += Math.Max(length, 4);
        }
    }
}
