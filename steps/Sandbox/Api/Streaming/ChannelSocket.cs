using System.Net.WebSockets;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>A WebSocket that carries several streams: the first byte of each message says which.</summary>
internal sealed class ChannelSocket(WebSocket socket, bool base64) : IDisposable
{
    private readonly SemaphoreSlim sending = new(1, 1);

    /// <summary>The next message, or null at the end.</summary>
    public async Task<(byte Channel, ReadOnlyMemory<byte> Content)?> ReceiveAsync(CancellationToken cancel)
    {
        var buffer = new byte[32768];
        using var message = new MemoryStream();
        while (true)
        {
            ValueWebSocketReceiveResult part;
            try
            {
                part = await socket.ReceiveAsync(buffer.AsMemory(), cancel).ConfigureAwait(false);
            }
            catch (WebSocketException)
            {
                return null;
            }
            if (part.MessageType == WebSocketMessageType.Close)
                return null;
            message.Write(buffer, 0, part.Count);
            if (!part.EndOfMessage)
                continue;
            var bytes = message.ToArray();
            if (bytes.Length > 0)
            {
                return base64
                    ? ((byte)(bytes[0] - '0'), Convert.FromBase64String(System.Text.Encoding.ASCII.GetString(bytes.AsSpan(1))))
                    : (bytes[0], bytes.AsMemory(1));
            }
        }
    }

    public async Task SendAsync(byte channel, ReadOnlyMemory<byte> content, CancellationToken cancel)
    {
        byte[] message;
        if (base64)
            message = System.Text.Encoding.ASCII.GetBytes((char)('0' + channel) + Convert.ToBase64String(content.Span));
        else
        {
            message = new byte[content.Length + 1];
            message[0] = channel;
            content.CopyTo(message.AsMemory(1));
        }
        await sending.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
                await socket.SendAsync(
                    message,
                    base64 ? WebSocketMessageType.Text : WebSocketMessageType.Binary,
                    true,
                    cancel).ConfigureAwait(false);
        }
        catch (WebSocketException)
        {
            // Whoever read this has gone; the reading side notices the same.
        }
        finally
        {
            sending.Release();
        }
    }

    public async Task CloseAsync()
    {
        try
        {
            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
                await socket.CloseOutputAsync(
                    WebSocketCloseStatus.NormalClosure, "", CancellationToken.None).ConfigureAwait(false);
        }
        catch (WebSocketException)
        {
            // Gone already.
        }
    }

    /// <summary>What is written to the stream goes out on a channel.</summary>
    public Stream Writer(byte channel) => new SinkStream((bytes, cancel) => SendAsync(channel, bytes, cancel));

    public void Dispose() => sending.Dispose();
}
