using System.Diagnostics;
using System.Globalization;
using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// Connections to an engine over ssh, as docker's own client makes them: each is an ssh that runs <c>docker system dial-stdio</c>
/// on the other machine. Keys, known hosts and jump hosts are ssh's own configuration.
/// </summary>
internal sealed class SshConnections(EngineAddress address, IReadOnlyDictionary<string, string> environment) : IDisposable
{
    private readonly Lock gate = new();
    private readonly HashSet<Process> running = [];

    /// <summary>The arguments of ssh for a connection.</summary>
    public static IReadOnlyList<string> Arguments(EngineAddress address)
    {
        List<string> arguments = [];
        if (address.User.Length > 0) arguments.AddRange(["-l", address.User]);
        if (address.Port > 0) arguments.AddRange(["-p", address.Port.ToString(CultureInfo.InvariantCulture)]);
        // Nobody is there to type a pass phrase or to look at a fingerprint.
        arguments.AddRange(["-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T", "--", address.Host, "docker"]);
        // The other side gives it to a shell.
        if (address.Path.Length > 0)
            arguments.Add($"--host='unix://{address.Path.Replace("'", "'\\''", StringComparison.Ordinal)}'");
        arguments.AddRange(["system", "dial-stdio"]);
        return arguments;
    }

    /// <summary>Starts a connection; whether the other side is there shows with the first answer.</summary>
    /// <exception cref="UsageException">There is not an ssh that starts.</exception>
    public Stream Open()
    {
        Process process;
        try
        {
            process = ChildProcess.Start(new("ssh", Arguments(address), Environment.CurrentDirectory)
            {
                Environment = ChildEnvironment.Whole(environment),
                InheritsEnvironment = false,
            });
        }
        catch (UsageException failure)
        {
            throw new UsageException(
                $"the container engine at \"{address}\" is reached over ssh: {failure.Message}; install it (openssh-client)",
                failure);
        }
        lock (gate) running.Add(process);
        return new SshStream(process, this);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        List<Process> left;
        lock (gate) left = [.. running];
        foreach (var process in left) End(process);
    }

    private void End(Process process)
    {
        lock (gate)
            if (!running.Remove(process)) return;
        // It alone: a master connection that ssh's own configuration asks for is shared with others.
        process.Kill();
        process.Dispose();
    }

    private sealed class SshStream : OneWayClosable
    {
        private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(5);
        private readonly Process process;
        private readonly SshConnections owner;
        private readonly Task<string> said;
        private bool answered;

        public SshStream(Process process, SshConnections owner)
            : base(process.StandardOutput.BaseStream)
        {
            (this.process, this.owner) = (process, owner);
            said = ReadErrorsAsync(process.StandardError.BaseStream);
        }

        public override void CloseWrite() => process.StandardInput.Close();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await base.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            if (count == 0 && buffer.Length > 0 && !answered) throw await EndedAsync(null).ConfigureAwait(false);
            answered = true;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) =>
            ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                var input = process.StandardInput.BaseStream;
                await input.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
                await input.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (IOException broken) when (!answered)
            {
                throw await EndedAsync(broken).ConfigureAwait(false);
            }
        }

        public override void Write(byte[] buffer, int offset, int count) =>
            WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

        public override void Flush() => process.StandardInput.BaseStream.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) =>
            process.StandardInput.BaseStream.FlushAsync(cancellationToken);

        protected override void Dispose(bool disposing)
        {
            if (disposing) owner.End(process);
            base.Dispose(disposing);
        }

        private async Task<SshEndedException> EndedAsync(Exception? cause)
        {
            var text = await said.WaitAsync(LongestEnd).ConfigureAwait(false);
            return new SshEndedException(text, cause);
        }

        // All of it is read, so that ssh never waits; the last of it is kept, where the reason is.
        private static async Task<string> ReadErrorsAsync(Stream errors)
        {
            const int kept = 4096;
            var (text, buffer) = ("", new byte[kept]);
            try
            {
                int count;
                while ((count = await errors.ReadAsync(buffer).ConfigureAwait(false)) > 0)
                {
                    text += Encoding.UTF8.GetString(buffer, 0, count);
                    if (text.Length > kept) text = text[^kept..];
                }
            }
            catch (Exception ended) when (ended is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // The connection was given up.
            }
            return text.Trim();
        }
    }
}

/// <summary>ssh, or what it ran on the other machine, ended before the engine answered.</summary>
/// <param name="said">What it said on its error stream.</param>
/// <param name="inner">What was caught; null where it was found without an exception.</param>
internal sealed class SshEndedException(string said, Exception? inner)
    : IOException(said.Length > 0 ? said : "ssh ended without a word", inner);
