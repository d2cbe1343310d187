namespace CiSteps.Sandbox.Api;

/// <summary>Which part of a container's log.</summary>
internal sealed record LogQuery
{
    /// <summary>Null for the pod's only container.</summary>
    public string? Container { get; init; }
    /// <summary>Goes on until the container ends.</summary>
    public bool Follow { get; init; }
    /// <summary>The container's run before the present one.</summary>
    public bool Previous { get; init; }
    /// <summary>At most that many lines from the end.</summary>
    public long? TailLines { get; init; }
    /// <summary>Only lines of the last that many seconds.</summary>
    public long? SinceSeconds { get; init; }
    /// <summary>Only lines since then.</summary>
    public DateTimeOffset? SinceTime { get; init; }
    /// <summary>At most that many bytes.</summary>
    public long? LimitBytes { get; init; }
    /// <summary>Each line begins with its RFC 3339 time.</summary>
    public bool Timestamps { get; init; }
}

/// <summary>A command to run in a container.</summary>
/// <param name="Container">Null for the pod's only (or default) container.</param>
/// <param name="Command">Program and arguments.</param>
/// <param name="Stdin">Whether input will be sent.</param>
/// <param name="Tty">Whether it runs on a terminal.</param>
internal sealed record ExecRequest(string? Container, IReadOnlyList<string> Command, bool Stdin, bool Tty);

/// <summary>The ends of a running command.</summary>
internal interface IExecStreams
{
    /// <summary>Input from the client; null when none was asked for. Ends (reads 0) when the client closes it.</summary>
    Stream? Input { get; }
    /// <summary>Where standard output goes.</summary>
    Stream Output { get; }
    /// <summary>Where standard error goes; the same as <see cref="Output"/> on a terminal.</summary>
    Stream Error { get; }
    /// <summary>Terminal sizes as the client reports them (columns, rows).</summary>
    IAsyncEnumerable<(int Columns, int Rows)> Sizes { get; }
}

/// <summary>Reaches into running pods. Refusals are <see cref="ApiException"/>s.</summary>
internal interface IPodAccess
{
    /// <summary>Writes a log to the stream.</summary>
    Task LogsAsync(string ns, string pod, LogQuery query, Stream output, CancellationToken cancel);

    /// <summary>Runs a command and gives its exit code.</summary>
    Task<int> ExecAsync(string ns, string pod, ExecRequest request, IExecStreams streams, CancellationToken cancel);

    /// <summary>Attaches to a container's main process and gives its exit code when it ends.</summary>
    Task<int> AttachAsync(string ns, string pod, ExecRequest request, IExecStreams streams, CancellationToken cancel);

    /// <summary>Opens a TCP connection to a port of the pod.</summary>
    Task<Stream> ConnectAsync(string ns, string pod, int port, CancellationToken cancel);
}
