using System.IO.Pipelines;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>One stream of a SPDY connection.</summary>
internal sealed class SpdyStream(SpdyConnection connection, int id, IReadOnlyDictionary<string, string> headers)
{
    private readonly Pipe input = new(new PipeOptions(pauseWriterThreshold: 1 << 20));

    public IReadOnlyDictionary<string, string> Headers => headers;

    /// <summary>What the stream is for: <c>stdin</c>, <c>error</c>, <c>data</c> …</summary>
    public string Type => headers.GetValueOrDefault("streamtype") ?? "";

    /// <summary>What the client sends.</summary>
    public Stream Input => field ??= input.Reader.AsStream();

    /// <summary>What the client gets.</summary>
    public Stream Output => field ??= new SinkStream((bytes, cancel) => connection.SendDataAsync(id, bytes, false, cancel));

    public Task EndOutputAsync(CancellationToken cancel) => connection.SendDataAsync(id, default, true, cancel);

    public Task ResetAsync(CancellationToken cancel) => connection.ResetAsync(id, cancel);

    public async Task ReceiveAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel) =>
        await input.Writer.WriteAsync(bytes, cancel).ConfigureAwait(false);

    public void EndInput() => input.Writer.Complete();
}
