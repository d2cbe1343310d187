namespace CiSteps.Images;

/// <summary>What a container is made from. Everything but the image is optional.</summary>
/// <param name="Image">Reference or id of a local image.</param>
public sealed record ContainerSpec(string Image)
{
    /// <summary>Its name; null: the engine invents one.</summary>
    public string? Name { get; init; }

    /// <summary>Replaces the image's entry point; null keeps it.</summary>
    public IReadOnlyList<string>? Entrypoint { get; init; }

    /// <summary>Replaces the image's arguments; null keeps them.</summary>
    public IReadOnlyList<string>? Command { get; init; }

    /// <summary>Variables as <c>NAME=value</c>.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>Working directory; null: the image's.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary><c>user[:group]</c>; null: the image's.</summary>
    public string? User { get; init; }

    /// <summary>Supplementary groups.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>Labels.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Host name; null: the engine's choice.</summary>
    public string? Hostname { get; init; }

    /// <summary>A network's name, <c>none</c>, <c>host</c> or <c>container:ID</c>; null: the engine's default.</summary>
    public string? NetworkMode { get; init; }

    /// <summary>Fixed address on a network of one's own.</summary>
    public string? Ipv4Address { get; init; }

    /// <summary>Further names on a network of one's own.</summary>
    public IReadOnlyList<string> NetworkAliases { get; init; } = [];

    /// <summary>Name servers; empty: the engine's.</summary>
    public IReadOnlyList<string> Dns { get; init; } = [];

    /// <summary>Search domains.</summary>
    public IReadOnlyList<string> DnsSearch { get; init; } = [];

    /// <summary>Resolver options, such as <c>ndots:5</c>.</summary>
    public IReadOnlyList<string> DnsOptions { get; init; } = [];

    /// <summary>Lines for the hosts file as <c>name:address</c>.</summary>
    public IReadOnlyList<string> ExtraHosts { get; init; } = [];

    /// <summary>Host folders and files, <c>host:container[:ro]</c>.</summary>
    public IReadOnlyList<string> Binds { get; init; } = [];

    /// <summary>Memory file systems: path → options.</summary>
    public IReadOnlyDictionary<string, string> Tmpfs { get; init; } = new Dictionary<string, string>();

    /// <summary>Memory limit in bytes, swap included; null: none.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>Processor limit in billionths of a processor; null: none.</summary>
    public long? NanoCpus { get; init; }

    /// <summary>Relative processor weight; null: the engine's default.</summary>
    public long? CpuShares { get; init; }

    /// <summary>Limit of processes; null: none.</summary>
    public long? PidsLimit { get; init; }

    /// <summary>Bytes of <c>/dev/shm</c>; null: the engine's default.</summary>
    public long? ShmBytes { get; init; }

    /// <summary>How soon the kernel picks it when memory is short (-1000 to 1000).</summary>
    public int? OomScoreAdjustment { get; init; }

    /// <summary>Root file system read only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>All rights on the machine.</summary>
    public bool Privileged { get; init; }

    /// <summary>Capabilities to add.</summary>
    public IReadOnlyList<string> AddCapabilities { get; init; } = [];

    /// <summary>Capabilities to drop.</summary>
    public IReadOnlyList<string> DropCapabilities { get; init; } = [];

    /// <summary>Security options, such as <c>no-new-privileges</c>.</summary>
    public IReadOnlyList<string> SecurityOptions { get; init; } = [];

    /// <summary>Kernel settings of its namespaces.</summary>
    public IReadOnlyDictionary<string, string> Sysctls { get; init; } = new Dictionary<string, string>();

    /// <summary>Process namespace, such as <c>host</c> or <c>container:ID</c>; null: its own.</summary>
    public string? PidMode { get; init; }

    /// <summary>IPC namespace, such as <c>container:ID</c>; null: its own.</summary>
    public string? IpcMode { get; init; }

    /// <summary>User namespace, <c>host</c> where an engine remaps users; null: the engine's default.</summary>
    public string? UserNamespace { get; init; }

    /// <summary>Signal that asks it to stop; null: the image's.</summary>
    public string? StopSignal { get; init; }

    /// <summary>Terminal instead of two streams.</summary>
    public bool Tty { get; init; }

    /// <summary>Standard input stays open.</summary>
    public bool OpenStdin { get; init; }

    /// <summary>Standard input is closed when the first one who attached leaves.</summary>
    public bool StdinOnce { get; init; }

    /// <summary>A small init process that reaps orphans.</summary>
    public bool Init { get; init; }

    /// <summary>The engine removes it as soon as it ends.</summary>
    public bool AutoRemove { get; init; }

    /// <summary>Platform of the image, such as <c>linux/amd64</c>; null: the engine's.</summary>
    public string? Platform { get; init; }
}

/// <summary>A container as it is now.</summary>
/// <param name="Id">Full id.</param>
/// <param name="Name">Name without the leading slash.</param>
/// <param name="ImageId">Id of its image, <c>sha256:…</c>.</param>
/// <param name="Image">The reference that it was made from.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Status"><c>created</c>, <c>running</c>, <c>paused</c>, <c>restarting</c>, <c>removing</c>, <c>exited</c> or
/// <c>dead</c>.</param>
/// <param name="Running">Whether it runs.</param>
/// <param name="ExitCode">Exit code, once it has ended.</param>
/// <param name="OomKilled">Whether the kernel ended it for want of memory.</param>
/// <param name="Error">The engine's text when it could not be started; empty otherwise.</param>
/// <param name="Pid">Process id on the machine; 0 when it does not run.</param>
/// <param name="Tty">Whether it has a terminal.</param>
/// <param name="StartedAt">When it was started; null before.</param>
/// <param name="FinishedAt">When it ended; null before.</param>
/// <param name="Addresses">IPv4 address per network.</param>
public sealed record ContainerState(
    string Id,
    string Name,
    string ImageId,
    string Image,
    IReadOnlyDictionary<string, string> Labels,
    string Status,
    bool Running,
    int ExitCode,
    bool OomKilled,
    string Error,
    int Pid,
    bool Tty,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt,
    IReadOnlyDictionary<string, string> Addresses);

/// <summary>A container in a list.</summary>
/// <param name="Id">Full id.</param>
/// <param name="Name">Name without the leading slash.</param>
/// <param name="ImageId">Id of its image.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Status">As in <see cref="ContainerState.Status"/>.</param>
public sealed record ListedContainer(
    string Id,
    string Name,
    string ImageId,
    IReadOnlyDictionary<string, string> Labels,
    string Status);

/// <summary>What to read of a container's output.</summary>
public sealed record LogOptions
{
    /// <summary>Go on until the container ends.</summary>
    public bool Follow { get; init; }

    /// <summary>Only the last so many lines; null: all.</summary>
    public int? Tail { get; init; }

    /// <summary>Only what was written from then on.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Put the time before each line, as RFC 3339 with nanoseconds.</summary>
    public bool Timestamps { get; init; }

    /// <summary>The output stream.</summary>
    public bool Output { get; init; } = true;

    /// <summary>The error stream.</summary>
    public bool Error { get; init; } = true;
}

/// <summary>A command in a running container.</summary>
/// <param name="Command">Program and arguments.</param>
public sealed record ExecSpec(IReadOnlyList<string> Command)
{
    /// <summary>Variables as <c>NAME=value</c>.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>Terminal instead of two streams.</summary>
    public bool Tty { get; init; }

    /// <summary>Whether standard input is given; without, the command reads its end at once.</summary>
    public bool Stdin { get; init; }

    /// <summary><c>user[:group]</c>; null: the container's.</summary>
    public string? User { get; init; }

    /// <summary>Working directory; null: the container's.</summary>
    public string? WorkingDirectory { get; init; }
}
