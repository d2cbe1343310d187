namespace CiSteps.Sandbox.Pods;

/// <summary>
/// What the sandbox asks of a container engine. Absent or already stopped containers are not errors where stopping or removing is
/// meant.
/// </summary>
internal interface IContainerRuntime : IAsyncDisposable
{
    /// <summary>
    /// Makes a container and gives its id. Throws <see cref="RuntimeRefusalException"/> with the engine's text.
    /// </summary>
    Task<string> CreateAsync(ContainerPlan plan, CancellationToken ct);

    /// <summary>Starts it. Throws <see cref="RuntimeRefusalException"/> with the engine's text.</summary>
    Task StartAsync(string id, CancellationToken ct);

    /// <summary>Asks it to end and kills it after the grace period; returns when it has ended.</summary>
    Task StopAsync(string id, TimeSpan grace, CancellationToken ct);

    Task RemoveAsync(string id, CancellationToken ct);

    /// <summary>Null when there is no such container.</summary>
    Task<ContainerFacts?> InspectAsync(string id, CancellationToken ct);

    /// <summary>All containers with a label (name, or name=value), running or not.</summary>
    Task<IReadOnlyList<ContainerEntry>> ListAsync(string label, CancellationToken ct);

    /// <summary>
    /// Starts and ends of containers with a label since then, and from now on. Ends or throws when the engine's connection
    /// breaks.
    /// </summary>
    IAsyncEnumerable<ContainerEvent> WatchAsync(string label, DateTimeOffset since, CancellationToken ct);

    /// <summary>Null when the image is not on this engine.</summary>
    Task<ImageFacts?> FindImageAsync(string reference, CancellationToken ct);

    /// <summary>Pulls an image. Throws <see cref="ImagePullRefusedException"/>.</summary>
    Task PullAsync(string reference, RegistryLogin? login, CancellationToken ct);

    /// <summary>Makes an image of a root file system.</summary>
    Task ImportAsync(Stream tar, string reference, string entrypoint, string label, CancellationToken ct);

    /// <summary>Removes the images with a label, except those that a container uses.</summary>
    Task RemoveImagesAsync(string label, CancellationToken ct);

    /// <summary>Copies a log, both streams in order, until its end or (following) the container's.</summary>
    Task LogsAsync(string id, LogRange range, Stream output, CancellationToken ct);

    /// <summary>Runs a command in a container and gives its exit code.</summary>
    Task<int> ExecAsync(string id, ExecPlan plan, CancellationToken ct);

    /// <summary>Joins the streams of a container's main process until it ends and gives its exit code.</summary>
    Task<int> AttachAsync(string id, ExecPlan plan, CancellationToken ct);

    /// <summary>Makes a bridge network; false when its addresses overlap with another network's.</summary>
    Task<bool> TryCreateNetworkAsync(NetworkPlan plan, CancellationToken ct);

    Task RemoveNetworkAsync(string name, CancellationToken ct);

    /// <summary>Networks with a label.</summary>
    Task<IReadOnlyList<NetworkEntry>> ListNetworksAsync(string label, CancellationToken ct);
}

/// <summary>A container to make.</summary>
internal sealed record ContainerPlan(string Name, string Image)
{
    /// <summary>Replaces the image's entry point; null keeps it.</summary>
    public IReadOnlyList<string>? Entrypoint { get; init; }
    /// <summary>Replaces the image's arguments; null keeps them.</summary>
    public IReadOnlyList<string>? Arguments { get; init; }
    public IReadOnlyList<KeyValuePair<string, string>> Environment { get; init; } = [];
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();
    public string? WorkingDirectory { get; init; }
    /// <summary>uid, or uid:gid.</summary>
    public string? User { get; init; }
    public IReadOnlyList<string> SupplementalGroups { get; init; } = [];
    public string? Hostname { get; init; }
    /// <summary>A network's name, or "container:" and another container's name.</summary>
    public string Network { get; init; } = "none";
    /// <summary>A fixed address on that network.</summary>
    public string? Address { get; init; }
    public IReadOnlyList<Mount> Mounts { get; init; } = [];
    public long MemoryBytes { get; init; }
    /// <summary>Thousandths of a processor; 0 for no limit.</summary>
    public long MilliCpus { get; init; }
    public bool ReadOnlyRoot { get; init; }
    public bool Privileged { get; init; }
    public IReadOnlyList<string> AddCapabilities { get; init; } = [];
    public IReadOnlyList<string> DropCapabilities { get; init; } = [];
    public bool NoNewPrivileges { get; init; }
    public bool Stdin { get; init; }
    public bool StdinOnce { get; init; }
    public bool Tty { get; init; }
}

/// <summary>A host folder or file in a container.</summary>
internal sealed record Mount(string HostPath, string ContainerPath, bool ReadOnly);

/// <summary>A container's state.</summary>
internal sealed record ContainerFacts(
    string Id,
    bool Running,
    int Pid,
    int ExitCode,
    bool OutOfMemory,
    string Error,
    DateTimeOffset StartedAt,
    DateTimeOffset FinishedAt,
    IReadOnlyDictionary<string, string> Addresses);

internal sealed record ContainerEntry(string Id, string Name, IReadOnlyDictionary<string, string> Labels);

/// <param name="Id">The container.</param>
/// <param name="Action">"start", "die", "oom", …</param>
/// <param name="Labels">Its labels.</param>
internal sealed record ContainerEvent(string Id, string Action, IReadOnlyDictionary<string, string> Labels);

/// <param name="Id">The image's own digest, "sha256:…".</param>
/// <param name="RepositoryDigests">"repository@sha256:…" for each repository it was pulled from or pushed to.</param>
/// <param name="User">The user that its containers run as; empty for root.</param>
internal sealed record ImageFacts(string Id, IReadOnlyList<string> RepositoryDigests, string User);

internal sealed record RegistryLogin(string Username, string Password, string? IdentityToken = null);

/// <summary>Which part of a log.</summary>
internal sealed record LogRange(bool Follow, long? Tail, DateTimeOffset? Since, bool Timestamps);

/// <summary>A command to run; on a terminal both outputs are one.</summary>
internal sealed record ExecPlan(
    IReadOnlyList<string> Command,
    Stream? Input,
    Stream Output,
    Stream Error,
    bool Tty,
    IAsyncEnumerable<(int Columns, int Rows)>? Sizes);

/// <param name="Name">Its name on the engine.</param>
/// <param name="Subnet">All of its addresses.</param>
/// <param name="PodRange">Where the engine takes addresses from by itself.</param>
/// <param name="Gateway">The host's address on it.</param>
/// <param name="Labels">Its labels.</param>
internal sealed record NetworkPlan(
    string Name,
    string Subnet,
    string PodRange,
    string Gateway,
    IReadOnlyDictionary<string, string> Labels);

internal sealed record NetworkEntry(string Id, string Name, IReadOnlyDictionary<string, string> Labels);

/// <summary>The engine said no; the message is its own text.</summary>
internal sealed class RuntimeRefusalException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Why an image could not be pulled.</summary>
internal enum PullRefusal
{
    NotFound,
    Unauthorized,
    Unreachable,
    Other,
}

/// <summary>An image could not be pulled; the message is the engine's text.</summary>
internal sealed class ImagePullRefusedException(PullRefusal refusal, string message, Exception? inner = null)
    : Exception(message, inner)
{
    public PullRefusal Refusal { get; } = refusal;
}
