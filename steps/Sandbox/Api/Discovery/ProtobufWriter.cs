using System.Buffers;
using System.Text;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>Writes the few forms of the protocol buffers' wire format that are needed here.</summary>
internal sealed class ProtobufWriter
{
    private readonly ArrayBufferWriter<byte> buffer = new();

    public byte[] ToArray() => buffer.WrittenSpan.ToArray();

    public void Text(int field, string? value)
    {
        if (value is { Length: > 0 })
            Bytes(field, Encoding.UTF8.GetBytes(value));
    }

    public void Flag(int field, bool value)
    {
        if (!value)
            return;
        Varint((ulong)field << 3);
        Varint(1);
    }

    public void Number(int field, long? value)
    {
        if (value is not { } number)
            return;
        Varint((ulong)field << 3);
        Varint((ulong)number);
    }

    public void Message(int field, Action<ProtobufWriter> write)
    {
        var inner = new ProtobufWriter();
        write(inner);
        Bytes(field, inner.ToArray());
    }

    private void Bytes(int field, byte[] value)
    {
        Varint(((ulong)field << 3) | 2);
        Varint((ulong)value.Length);
        buffer.Write(value);
    }

    private void Varint(ulong value)
    {
        while (value >= 0x80)
        {
            buffer.Write([(byte)(value | 0x80)]);
            value >>= 7;
        }
        buffer.Write([(byte)value]);
    }
}
