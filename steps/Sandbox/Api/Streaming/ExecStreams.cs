using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>The ends of a command that runs for a client on the network.</summary>
internal sealed class ExecStreams(bool stdin, Stream output, Stream error) : IExecStreams
{
    private readonly Pipe input = new();
    private readonly Channel<(int Columns, int Rows)> sizes = Channel.CreateBounded<(int, int)>(new BoundedChannelOptions(8)
    {
        FullMode = BoundedChannelFullMode.DropOldest
    });

    public Stream? Input { get; private set; }

    public Stream Output { get; } = output;

    public Stream Error { get; } = error;

    public IAsyncEnumerable<(int Columns, int Rows)> Sizes => ReadSizesAsync();

    public ExecStreams Open()
    {
        if (stdin)
            Input = input.Reader.AsStream();
        return this;
    }

    public async Task TypeAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        if (!stdin)
            return;
        var flushed = await input.Writer.WriteAsync(bytes, cancel).ConfigureAwait(false);
        if (flushed.IsCompleted)
            await input.Writer.CompleteAsync().ConfigureAwait(false);
    }

    public void EndInput() => input.Writer.Complete();

    public void Resize(ReadOnlySpan<byte> json)
    {
        try
        {
            if (JsonNode.Parse(json) is JsonObject size)
                sizes.Writer.TryWrite(((int)(size.Num("Width") ?? 80), (int)(size.Num("Height") ?? 24)));
        }
        catch (JsonException)
        {
            // A size that cannot be read changes nothing.
        }
    }

    public void Close()
    {
        EndInput();
        sizes.Writer.TryComplete();
    }

    private async IAsyncEnumerable<(int Columns, int Rows)> ReadSizesAsync(
        [EnumeratorCancellation] CancellationToken cancel = default)
    {
        await foreach (var size in sizes.Reader.ReadAllAsync(cancel).ConfigureAwait(false))
            yield return size;
    }
}
