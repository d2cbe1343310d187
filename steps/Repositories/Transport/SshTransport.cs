using System.Diagnostics;
using System.Text;
using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories.Transport;

/// <summary>git's smart protocol through the ssh program, started as git starts it: agent, keys, known hosts, ports and jump
/// hosts are ssh's own. The library starts it too, but keeps nothing of what it says.</summary>
internal sealed class SshTransport : SmartSubtransport
{
    private readonly Exchange exchange = Exchange.Current;
    private SshStream? stream;

    /// <inheritdoc/>
    protected override void Close()
    {
        stream?.Finish();
        stream = null;
        base.Close();
    }

    /// <inheritdoc/>
    protected override SmartSubtransportStream Action(string url, GitSmartSubtransportAction action)
    {
        var service = action is GitSmartSubtransportAction.UploadPackList or GitSmartSubtransportAction.UploadPack
            ? "git-upload-pack" : "git-receive-pack";
        if (action is GitSmartSubtransportAction.UploadPackList or GitSmartSubtransportAction.ReceivePackList)
            stream = new SshStream(this, exchange, service);
        else if (action == GitSmartSubtransportAction.ReceivePack) stream!.IsReport = true;
        return stream!;
    }
}

/// <summary>What is said to and by the program at the other end.</summary>
internal sealed class SshStream(SshTransport transport, Exchange exchange, string service) : SmartSubtransportStream(transport)
{
    private const int MostSaid = 8192;

    private readonly byte[] buffer = new byte[65536];
    private readonly StringBuilder said = new();
    private SshSession? session;
    private long received;

    /// <summary>Whether what comes now is the answer to a push.</summary>
    public bool IsReport { get; set; }

    /// <summary>Lets the other end finish: its last hooks run after its answer.</summary>
    public void Finish()
    {
        if (session is { } begun && exchange.Failure is null) exchange.Guard(() => exchange.Wait(begun.EndAsync));
    }

    /// <inheritdoc/>
    public override int Write(Stream dataStream, long length) => exchange.Guard(() =>
    {
        exchange.Report.WasSent |= IsReport;
        var bytes = new byte[length];
        dataStream.ReadExactly(bytes);
        var input = Session.Process.StandardInput.BaseStream;
        try
        {
            exchange.Wait(async token =>
            {
                await input.WriteAsync(bytes, token).ConfigureAwait(false);
                await input.FlushAsync(token).ConfigureAwait(false);
                return true;
            });
        }
        catch (IOException error)
        {
            throw Ended(error);
        }
    });

    /// <inheritdoc/>
    public override int Read(Stream dataStream, long length, out long bytesRead)
    {
        var count = 0;
        var end = exchange.Guard(() =>
        {
            var output = Session.Process.StandardOutput.BaseStream;
            var into = buffer.AsMemory(0, (int)Math.Min(length, buffer.Length));
            count = exchange.Wait(token => output.ReadAsync(into, token).AsTask());
            if (count == 0) throw Ended(null);
            received += count;
            if (IsReport) exchange.Report.Add(into.Span[..count]);
            dataStream.Write(into.Span[..count]);
        });
        bytesRead = count;
        return end;
    }

    private SshSession Session =>
        session ??= exchange.Opened(new SshSession(SshCommand.For(exchange.Remote, service), said, MostSaid));

    // Why it ended stands on its error stream, which may come after the end of the other.
    private Exception Ended(Exception? cause)
    {
        exchange.Wait(async token =>
        {
            await Session.Process.WaitForExitAsync(token).ConfigureAwait(false);
            await Session.Listening.WaitAsync(token).ConfigureAwait(false);
            return true;
        });
        string words;
        lock (said) words = string.Join("; ", said.ToString().Split('\n').Select(line => line.Trim())
            .Where(line => line.Length > 0 && line.Trim('@') != ""));
        if (words.Length == 0)
            words = $"ssh ended with {Session.Process.ExitCode} and without a word";
        return received > 0 ? exchange.Broken($"the connection broke off: {words}", cause)
            : GitFailure.OfSsh(exchange.Remote.Url, exchange.Doing, words, cause);
    }
}

/// <summary>A running ssh program whose error stream is kept.</summary>
internal sealed class SshSession : IDisposable
{
    private readonly StringBuilder said;
    private readonly int most;

    public SshSession(ChildCommand command, StringBuilder said, int most)
    {
        (this.said, this.most) = (said, most);
        Process = ChildProcess.Start(command);
        Listening = ListenAsync();
    }

    public Process Process { get; }

    /// <summary>Ends when the error stream does.</summary>
    public Task Listening { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!Process.HasExited) Process.Kill(entireProcessTree: true);
        Process.Dispose();
    }

    /// <summary>Says that nothing more comes, and waits until the other end has done what it does after its answer.</summary>
    public async Task<bool> EndAsync(CancellationToken cancel)
    {
        try
        {
            Process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended already.
        }
        await Process.StandardOutput.BaseStream.CopyToAsync(Stream.Null, cancel).ConfigureAwait(false);
        await Process.WaitForExitAsync(cancel).ConfigureAwait(false);
        return true;
    }

    private async Task ListenAsync()
    {
        var buffer = new char[1024];
        int count;
        while ((count = await Process.StandardError.ReadAsync(buffer).ConfigureAwait(false)) > 0)
            lock (said)
                if (said.Length < most) said.Append(buffer, 0, count);
    }
}
