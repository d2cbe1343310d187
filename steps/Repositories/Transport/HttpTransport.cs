using System.Buffers;
using LibGit2Sharp;

namespace CiSteps.Repositories.Transport;

/// <summary>git's smart protocol over http and https. The library's own neither gives a server's words on nor can be
/// stopped.</summary>
internal sealed class HttpTransport : RpcSmartSubtransport
{
    private readonly Exchange exchange = Exchange.Current;

    /// <inheritdoc/>
    protected override SmartSubtransportStream Action(string url, GitSmartSubtransportAction action) =>
        new HttpRequestStream(this, exchange, action);
}

/// <summary>One request: what is written is sent when the answer is first read.</summary>
internal sealed class HttpRequestStream(HttpTransport transport, Exchange exchange, GitSmartSubtransportAction action)
    : SmartSubtransportStream(transport)
{
    private readonly bool isPush = action == GitSmartSubtransportAction.ReceivePack;
    private readonly ArrayBufferWriter<byte> request = new();
    private readonly byte[] buffer = new byte[65536];
    private Stream? answer;

    /// <inheritdoc/>
    public override int Write(Stream dataStream, long length) => exchange.Guard(() =>
    {
        dataStream.ReadExactly(request.GetSpan((int)length)[..(int)length]);
        request.Advance((int)length);
    });

    /// <inheritdoc/>
    public override int Read(Stream dataStream, long length, out long bytesRead)
    {
        var count = 0;
        var end = exchange.Guard(() =>
        {
            if (answer is null)
            {
                exchange.Report.WasSent |= isPush;
                answer = exchange.Remote.Http.Ask(exchange, action, request.WrittenMemory);
                exchange.Opened(new Rest(exchange, answer, isPush));
            }
            var into = buffer.AsMemory(0, (int)Math.Min(length, buffer.Length));
            count = exchange.Wait(token => answer.ReadAsync(into, token).AsTask());
            if (isPush) exchange.Report.Add(into.Span[..count]);
            dataStream.Write(into.Span[..count]);
        });
        bytesRead = count;
        return end;
    }
}

/// <summary>What comes after the part of an answer that the library reads. After a push the server's last hooks still run, and
/// some end when nobody listens.</summary>
internal sealed class Rest(Exchange exchange, Stream answer, bool isPush) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        var nowhere = new byte[4096];
        var count = isPush ? 1 : 0;
        while (count > 0)
        {
            var end = exchange.Guard(() => count = exchange.Wait(token => answer.ReadAsync(nowhere, token).AsTask()));
            if (end != 0) break;
        }
        answer.Dispose();
    }
}
