using System.Buffers.Binary;
using System.Text;

namespace CiSteps.Sandbox.Services;

/// <summary>A record of an answer.</summary>
/// <param name="Name">Whose record.</param>
/// <param name="Type">Its type number.</param>
/// <param name="Data">Its bytes, names in them uncompressed.</param>
internal sealed record NameRecord(string Name, ushort Type, byte[] Data);

/// <summary>One question of a DNS message, and replies to it.</summary>
internal sealed class NameQuestion
{
    public const ushort A = 1, CName = 5, Ptr = 12, Aaaa = 28, Srv = 33, Any = 255;
    public const int NoError = 0, ServerFailure = 2, NoSuchName = 3;

    private readonly byte[] message;
    private readonly int end;

    private NameQuestion(byte[] message, int end, string name, ushort type)
    {
        this.message = message;
        this.end = end;
        Name = name;
        Type = type;
    }

    /// <summary>Lower case, without the final dot.</summary>
    public string Name { get; }

    public ushort Type { get; }

    /// <summary>Null for what is not a question.</summary>
    public static NameQuestion? Parse(byte[] message)
    {
        if (message.Length < 17 || (message[2] & 0x80) != 0 || BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(4)) != 1)
            return null;
        var name = new StringBuilder();
        var at = 12;
        while (at < message.Length && message[at] != 0)
        {
            int length = message[at];
            if (length > 63 || at + 1 + length >= message.Length)
                return null;
            if (name.Length > 0)
                name.Append('.');
            name.Append(Encoding.ASCII.GetString(message, at + 1, length));
            at += length + 1;
        }

        return at + 5 > message.Length
            ? null
            : new(
                message,
                at + 5,
                name.ToString().ToLowerInvariant(),
                BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(at + 1)));
    }

    /// <summary>A message that asks for one record of a name.</summary>
    public static byte[] Compose(string name, ushort type) =>
        [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. Encode(name), (byte)(type >> 8), (byte)type, 0, 1];

    /// <summary>The data of the records of a type in a reply; what is not a reply has none.</summary>
    public static IReadOnlyList<byte[]> DataOf(ReadOnlySpan<byte> reply, ushort type)
    {
        var found = new List<byte[]>();
        if (reply.Length < 12)
            return found;
        var at = 12;
        for (var questions = BinaryPrimitives.ReadUInt16BigEndian(reply[4..]); questions > 0; questions--)
            at = AfterName(reply, at) + 4;
        for (var records = BinaryPrimitives.ReadUInt16BigEndian(reply[6..]); records > 0; records--)
        {
            at = AfterName(reply, at);
            if (at + 10 > reply.Length)
                break;
            var length = BinaryPrimitives.ReadUInt16BigEndian(reply[(at + 8)..]);
            if (at + 10 + length > reply.Length)
                break;
            if (BinaryPrimitives.ReadUInt16BigEndian(reply[at..]) == type)
                found.Add(reply.Slice(at + 10, length).ToArray());
            at += 10 + length;
        }

        return found;
    }

    private static int AfterName(ReadOnlySpan<byte> message, int at)
    {
        while (at < message.Length && message[at] is > 0 and < 0xc0)
            at += message[at] + 1;
        // A pointer takes two bytes, the end of a name one.
        return at < message.Length && message[at] >= 0xc0 ? at + 2 : at + 1;
    }

    public byte[] Reply(int code, IReadOnlyList<NameRecord> records)
    {
        using var reply = new MemoryStream();
        reply.Write(message.AsSpan(0, 12));
        reply.Write(message.AsSpan(12, end - 12));
        foreach (var record in records)
        {
            reply.Write(Encode(record.Name));
            Write16(record.Type);
            Write16(1);
            Write16(0);
            Write16(5); // seconds to live
            Write16((ushort)record.Data.Length);
            reply.Write(record.Data);
        }

        var bytes = reply.ToArray();
        bytes[2] = (byte)(0x84 | (message[2] & 0x79)); // response, authoritative
        bytes[3] = (byte)(0x80 | code); // recursion available
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(6), (ushort)records.Count);
        bytes.AsSpan(8, 4).Clear();
        return bytes;

        void Write16(ushort value)
        {
            reply.WriteByte((byte)(value >> 8));
            reply.WriteByte((byte)value);
        }
    }

    public static byte[] Encode(string name)
    {
        using var bytes = new MemoryStream();
        foreach (var label in name.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            bytes.WriteByte((byte)label.Length);
            bytes.Write(Encoding.ASCII.GetBytes(label));
        }

        bytes.WriteByte(0);
        return bytes.ToArray();
    }
}
