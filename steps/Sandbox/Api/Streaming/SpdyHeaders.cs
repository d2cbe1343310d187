using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>
/// SPDY/3's header blocks: name-value pairs in one compressed stream per direction. Reading primes the decompressor with
/// the protocol's dictionary as a stored block, since the framework's has no other way; writing stores without compressing.
/// </summary>
internal sealed class SpdyHeaders : IDisposable
{
    private readonly FeedStream feed = new();
    private readonly DeflateStream inflater;
    private bool primed;
    private bool begun;

    public SpdyHeaders() => inflater = new DeflateStream(feed, CompressionMode.Decompress);

    public Dictionary<string, string> Read(ReadOnlySpan<byte> block)
    {
        if (!primed)
        {
            primed = true;
            var dictionary = SpdyDictionary.Bytes;
            var stored = new byte[5 + dictionary.Length];
            BinaryPrimitives.WriteUInt16LittleEndian(stored.AsSpan(1), (ushort)dictionary.Length);
            BinaryPrimitives.WriteUInt16LittleEndian(stored.AsSpan(3), (ushort)~dictionary.Length);
            dictionary.CopyTo(stored.AsSpan(5));
            feed.Add(stored);
            inflater.ReadExactly(new byte[dictionary.Length]);
            // Two bytes of zlib header, and four that name the dictionary where the flag says so.
            block = block[((block[1] & 0x20) != 0 ? 6 : 2)..];
        }
        feed.Add(block.ToArray());
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var count = Number();
        for (var i = 0; i < count; i++)
            headers[Text()] = Text();
        return headers;
    }

    public byte[] Write(IReadOnlyDictionary<string, string> headers)
    {
        using var plain = new MemoryStream();
        void Put(int number)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteInt32BigEndian(bytes, number);
            plain.Write(bytes);
        }
        Put(headers.Count);
        foreach (var (name, value) in headers)
        {
            foreach (var text in new[] { name.ToLowerInvariant(), value })
            {
                Put(Encoding.UTF8.GetByteCount(text));
                plain.Write(Encoding.UTF8.GetBytes(text));
            }
        }
        using var block = new MemoryStream();
        if (!begun)
        {
            begun = true;
            block.Write([0x78, 0x01]);
        }
        var header = new byte[5];
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(1), (ushort)plain.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(3), (ushort)~plain.Length);
        block.Write(header);
        block.Write(plain.ToArray());
        // An empty stored block, as a flush of the stream ends.
        block.Write([0, 0, 0, 0xff, 0xff]);
        return block.ToArray();
    }

    public void Dispose()
    {
        inflater.Dispose();
        feed.Dispose();
    }

    private int Number()
    {
        Span<byte> bytes = stackalloc byte[4];
        inflater.ReadExactly(bytes);
        var number = BinaryPrimitives.ReadInt32BigEndian(bytes);
        return number is >= 0 and < 1 << 16 ? number : throw new InvalidDataException("a header block is out of bounds");
    }

    private string Text()
    {
        var bytes = new byte[Number()];
        inflater.ReadExactly(bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>Gives the decompressor one block at a time; between blocks it reads an end, from which it can go on.</summary>
    private sealed class FeedStream : Stream
    {
        private readonly Queue<byte[]> blocks = [];
        private int offset;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public void Add(byte[] block) => blocks.Enqueue(block);

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (!blocks.TryPeek(out var block))
                return 0;
            var length = Math.Min(buffer.Length, block.Length - offset);
            block.AsSpan(offset, length).CopyTo(buffer);
            offset += length;
            if (offset == block.Length)
            {
                blocks.Dequeue();
                offset = 0;
            }
            return length;
        }

        public override void Flush() => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
