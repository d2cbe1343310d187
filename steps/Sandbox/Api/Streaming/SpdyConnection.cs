using System.Buffers.Binary;
using System.Threading.Channels;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>
/// The server's side of SPDY/3.1, as far as kubectl speaks it: streams that the client opens, without flow control, as its
/// library does.
/// </summary>
internal sealed class SpdyConnection(Stream transport) : IDisposable
{
    private const int MaxFrame = 1 << 24;

    private readonly SemaphoreSlim sending = new(1, 1);
    private readonly SpdyHeaders headers = new();
    private readonly Dictionary<int, SpdyStream> streams = [];
    private readonly Channel<SpdyStream> opened = Channel.CreateUnbounded<SpdyStream>();

    /// <summary>Streams as the client opens them; ends with the connection.</summary>
    public ChannelReader<SpdyStream> Opened => opened.Reader;

    /// <summary>Reads until the client goes.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        var head = new byte[8];
        try
        {
            while (true)
            {
                await transport.ReadExactlyAsync(head, cancel).ConfigureAwait(false);
                var length = (head[5] << 16) | (head[6] << 8) | head[7];
                if (length > MaxFrame)
                    throw new InvalidDataException("a frame is too long");
                var body = new byte[length];
                await transport.ReadExactlyAsync(body, cancel).ConfigureAwait(false);
                if ((head[0] & 0x80) == 0)
                    await DataAsync(
                        BinaryPrimitives.ReadInt32BigEndian(head) & 0x7fffffff, head[4], body, cancel).ConfigureAwait(false);
                else if (!await ControlAsync(
                    BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(2)), head[4], body, cancel).ConfigureAwait(false))
                    return;
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            // The connection broke or speaks something else: both end it.
        }
        finally
        {
            opened.Writer.TryComplete();
            foreach (var stream in streams.Values)
                stream.EndInput();
        }
    }

    public async Task SendDataAsync(int id, ReadOnlyMemory<byte> content, bool last, CancellationToken cancel)
    {
        do
        {
            var part = content[..Math.Min(content.Length, 32768)];
            content = content[part.Length..];
            var frame = new byte[8 + part.Length];
            BinaryPrimitives.WriteInt32BigEndian(frame, id);
            BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(4), part.Length);
            frame[4] = (byte)(last && content.Length == 0 ? 1 : 0);
            part.CopyTo(frame.AsMemory(8));
            await SendAsync(frame, cancel).ConfigureAwait(false);
        }
        while (content.Length > 0);
    }

    public Task ResetAsync(int id, CancellationToken cancel)
    {
        var body = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(body, id);
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(4), 5);
        return SendControlAsync(3, 0, body, cancel);
    }

    public void Dispose()
    {
        sending.Dispose();
        headers.Dispose();
    }

    private async Task DataAsync(int id, byte flags, byte[] body, CancellationToken cancel)
    {
        if (!streams.TryGetValue(id, out var stream))
            return;
        if (body.Length > 0)
            await stream.ReceiveAsync(body, cancel).ConfigureAwait(false);
        if ((flags & 1) != 0)
            stream.EndInput();
    }

    private async Task<bool> ControlAsync(int type, byte flags, byte[] body, CancellationToken cancel)
    {
        switch (type)
        {
            case 1:
                await OpenAsync(flags, body, cancel).ConfigureAwait(false);
                return true;
            case 3:
                if (streams.Remove(BinaryPrimitives.ReadInt32BigEndian(body) & 0x7fffffff, out var reset))
                    reset.EndInput();
                return true;
            case 6:
                // A ping comes back as it is.
                await SendControlAsync(6, 0, body, cancel).ConfigureAwait(false);
                return true;
            case 7:
                return false;
            default:
                return true;
        }
    }

    private async Task OpenAsync(byte flags, byte[] body, CancellationToken cancel)
    {
        var id = BinaryPrimitives.ReadInt32BigEndian(body) & 0x7fffffff;
        var stream = new SpdyStream(this, id, headers.Read(body.AsSpan(10)));
        streams[id] = stream;
        if ((flags & 1) != 0)
            stream.EndInput();
        var block = headers.Write(new Dictionary<string, string>());
        var reply = new byte[4 + block.Length];
        BinaryPrimitives.WriteInt32BigEndian(reply, id);
        block.CopyTo(reply.AsSpan(4));
        await SendControlAsync(2, 0, reply, cancel).ConfigureAwait(false);
        opened.Writer.TryWrite(stream);
    }

    private Task SendControlAsync(int type, byte flags, byte[] body, CancellationToken cancel)
    {
        var frame = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(4), body.Length);
        frame[0] = 0x80;
        frame[1] = 3;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(2), (ushort)type);
        frame[4] = flags;
        body.CopyTo(frame.AsSpan(8));
        return SendAsync(frame, cancel);
    }

    private async Task SendAsync(byte[] frame, CancellationToken cancel)
    {
        await sending.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            await transport.WriteAsync(frame, cancel).ConfigureAwait(false);
            await transport.FlushAsync(cancel).ConfigureAwait(false);
        }
        finally
        {
            sending.Release();
        }
    }
}
