namespace CiSteps.Images;

/// <summary>A container engine as it describes itself.</summary>
/// <param name="Endpoint">Where it was reached.</param>
/// <param name="IsLocal">Whether that is a socket of this machine, so that its containers see this machine's files.</param>
/// <param name="Version">The engine's version.</param>
/// <param name="ApiVersion">The newest API version that it serves.</param>
/// <param name="OperatingSystem">Such as <c>linux</c>.</param>
/// <param name="Architecture">Such as <c>x86_64</c>.</param>
/// <param name="Cpus">Processors.</param>
/// <param name="MemoryBytes">Memory in bytes.</param>
/// <param name="SecurityOptions">Such as <c>name=rootless</c>.</param>
public sealed record EngineDescription(string Endpoint, bool IsLocal, string Version, string ApiVersion, string OperatingSystem, string Architecture,
    int Cpus, long MemoryBytes, IReadOnlyList<string> SecurityOptions)
{
    /// <summary>Where the engine keeps images, on its own machine; empty when it does not say.</summary>
    public string DataFolder { get; init; } = "";

    /// <summary>The platform of images built without saying which, such as <c>linux/amd64</c>.</summary>
    public string Platform => OperatingSystem + "/" + Architecture switch
    {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "arm/v7",
        var other => other,
    };
}

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
/// <param name="Status"><c>created</c>, <c>running</c>, <c>paused</c>, <c>restarting</c>, <c>removing</c>, <c>exited</c> or <c>dead</c>.</param>
/// <param name="Running">Whether it runs.</param>
/// <param name="ExitCode">Exit code, once it has ended.</param>
/// <param name="OomKilled">Whether the kernel ended it for want of memory.</param>
/// <param name="Error">The engine's text when it could not be started; empty otherwise.</param>
/// <param name="Pid">Process id on the machine; 0 when it does not run.</param>
/// <param name="Tty">Whether it has a terminal.</param>
/// <param name="StartedAt">When it was started; null before.</param>
/// <param name="FinishedAt">When it ended; null before.</param>
/// <param name="Addresses">IPv4 address per network.</param>
public sealed record ContainerState(string Id, string Name, string ImageId, string Image, IReadOnlyDictionary<string, string> Labels, string Status,
    bool Running, int ExitCode, bool OomKilled, string Error, int Pid, bool Tty, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt,
    IReadOnlyDictionary<string, string> Addresses);

/// <summary>A container in a list.</summary>
/// <param name="Id">Full id.</param>
/// <param name="Name">Name without the leading slash.</param>
/// <param name="ImageId">Id of its image.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Status">As in <see cref="ContainerState.Status"/>.</param>
public sealed record ListedContainer(string Id, string Name, string ImageId, IReadOnlyDictionary<string, string> Labels, string Status);

/// <summary>A local image.</summary>
/// <param name="Id"><c>sha256:…</c> of its configuration.</param>
/// <param name="Tags">Its <c>repository:tag</c> names.</param>
/// <param name="Digests">Its <c>repository@digest</c> names, known after a pull or push.</param>
/// <param name="Platform">Such as <c>linux/amd64</c>.</param>
/// <param name="Created">When it was made, as it says itself.</param>
/// <param name="Bytes">Size on disk.</param>
/// <param name="Labels">Labels.</param>
/// <param name="User">User that it starts as; empty: root.</param>
/// <param name="Entrypoint">Entry point.</param>
/// <param name="Command">Default arguments.</param>
/// <param name="Environment">Variables as <c>NAME=value</c>.</param>
/// <param name="WorkingDirectory">Working directory.</param>
public sealed record LocalImage(string Id, IReadOnlyList<string> Tags, IReadOnlyList<string> Digests, string Platform, DateTimeOffset? Created, long Bytes,
    IReadOnlyDictionary<string, string> Labels, string User, IReadOnlyList<string> Entrypoint, IReadOnlyList<string> Command,
    IReadOnlyList<string> Environment, string WorkingDirectory)
{
    /// <summary>Instructions that run in a build on top of it (<c>ONBUILD</c>).</summary>
    public IReadOnlyList<string> Triggers { get; init; } = [];
}

/// <summary>An image as it was pulled.</summary>
/// <param name="Id">Its local id.</param>
/// <param name="Digest">Digest of the manifest or index that the registry served.</param>
/// <param name="IsSaid">Whether the engine said so when it pulled. podman does not: what it has of it locally may be the digest of
/// another packing, which no registry has.</param>
public sealed record PulledImage(string Id, string Digest, bool IsSaid = true);

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

/// <summary>A line of output.</summary>
/// <param name="Text">Without its end.</param>
/// <param name="IsError">Whether it came from the error stream.</param>
public sealed record OutputLine(string Text, bool IsError);

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

/// <summary>A network of the engine.</summary>
/// <param name="Id">Full id.</param>
/// <param name="Name">What containers join it by; engines allow several of one name.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Subnets">Its address ranges.</param>
public sealed record EngineNetwork(string Id, string Name, IReadOnlyDictionary<string, string> Labels, IReadOnlyList<string> Subnets);

/// <summary>How a network is made.</summary>
/// <param name="Name">What containers will join it by.</param>
public sealed record NetworkSpec(string Name)
{
    /// <summary>Address range as CIDR; null: the engine's choice.</summary>
    public string? Subnet { get; init; }

    /// <summary>Part of the range that the engine gives out itself; null: all of it.</summary>
    public string? IpRange { get; init; }

    /// <summary>The gateway's address; null: the engine's choice.</summary>
    public string? Gateway { get; init; }

    /// <summary>Whether it has no way out.</summary>
    public bool Internal { get; init; }

    /// <summary>Labels.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Driver options, such as <c>com.docker.network.bridge.name</c>.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}

/// <summary>Something that happened on the engine.</summary>
/// <param name="Type"><c>container</c>, <c>network</c>, <c>image</c> …</param>
/// <param name="Action"><c>create</c>, <c>start</c>, <c>die</c>, <c>oom</c>, <c>destroy</c> …</param>
/// <param name="Id">Of what it happened to.</param>
/// <param name="Attributes">Labels and details; <c>exitCode</c> with <c>die</c>.</param>
/// <param name="Time">When.</param>
public sealed record EngineEvent(string Type, string Action, string Id, IReadOnlyDictionary<string, string> Attributes, DateTimeOffset Time);

/// <summary>How the engine builds an image.</summary>
/// <param name="Dockerfile">Path within the context.</param>
public sealed record EngineBuild(string Dockerfile)
{
    /// <summary>Name to give the image; null: none.</summary>
    public ImageReference? Name { get; init; }

    /// <summary>Stage to build; null: the last.</summary>
    public string? Target { get; init; }

    /// <summary>Build arguments. They stay in the image's history: no secrets.</summary>
    public IReadOnlyDictionary<string, string> Arguments { get; init; } = new Dictionary<string, string>();

    /// <summary>Labels of the image.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Such as <c>linux/amd64</c>; null: the engine's.</summary>
    public string? Platform { get; init; }

    /// <summary>Whether labels can be written into a Dockerfile's instruction, which <see cref="ContainerEngine.LabelAsync"/>
    /// does.</summary>
    public static bool CanLabelAfterwards(IReadOnlyDictionary<string, string> labels)
    {
        ArgumentNullException.ThrowIfNull(labels);
        return labels.Count > 0 && !labels.Values.Any(value => value.Any(char.IsControl));
    }

    /// <summary>Local images whose layers may be used again; none: whatever the engine has.</summary>
    public IReadOnlyList<string> CacheFrom { get; init; } = [];
}

/// <summary>An image that was built.</summary>
/// <param name="Id">Its local id.</param>
/// <param name="Steps">Instructions that can come from the cache.</param>
/// <param name="Cached">How many of them came from the cache.</param>
public sealed record EngineBuildResult(string Id, int Steps, int Cached);

/// <summary>A push did not succeed.</summary>
/// <param name="kind">The class of failure; <see cref="ImagePullFailure.NotFound"/> does not occur.</param>
/// <param name="reference">What was to be pushed.</param>
/// <param name="text">The engine's own text.</param>
public sealed class ImagePushException(ImagePullFailure kind, string reference, string text) : Exception($"cannot push \"{reference}\": {text}")
{
    /// <summary>The class of failure.</summary>
    public ImagePullFailure Kind { get; } = kind;

    /// <summary>What was to be pushed.</summary>
    public string Reference { get; } = reference;

    /// <summary>The engine's own text.</summary>
    public string EngineText { get; } = text;
}
