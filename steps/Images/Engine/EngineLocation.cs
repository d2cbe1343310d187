using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// Which container engine is meant, and why: docker's own order (<c>DOCKER_HOST</c>, <c>DOCKER_CONTEXT</c>, the current
/// context of docker's config.json, the default socket), then sockets that docker itself does not look for and people have
/// nevertheless.
/// Decided from the environment and from files; nothing is asked over a connection.
/// </summary>
public sealed record EngineLocation
{
    /// <summary>The variable with an engine's address; it goes before any context.</summary>
    public const string HostVariable = "DOCKER_HOST";

    /// <summary>The variable with a context's name.</summary>
    public const string ContextVariable = "DOCKER_CONTEXT";

    /// <summary>docker's own default on Linux and macOS.</summary>
    public const string DefaultSocket = "/var/run/docker.sock";

    internal const string CertificatesVariable = "DOCKER_CERT_PATH";
    internal const string VerifyVariable = "DOCKER_TLS_VERIFY";
    internal const string TlsVariable = "DOCKER_TLS";
    private const string DefaultContext = "default";

    private EngineLocation(EngineAddress address, string reason, EngineTls? tls) => (Where, Reason, Tls) = (address, reason, tls);

    /// <summary>Its address with scheme: <c>unix://</c>, <c>npipe://</c>, <c>tcp://</c>, <c>http://</c>, <c>https://</c> or
    /// <c>ssh://</c>.</summary>
    public string Address => Where.ToString();

    /// <summary>Why this one, in words that stand in brackets behind the address, such as <c>context "remote" of
    /// DOCKER_CONTEXT</c>.</summary>
    public string Reason { get; }

    /// <summary>The docker context that names it; null when no context does.</summary>
    public string? Context { get; private init; }

    /// <summary>Whether it is reached by a socket of this machine, so that its containers see this machine's files. What ssh
    /// reaches is another machine.</summary>
    public bool IsLocal => Where.IsLocal;

    /// <summary>The folder with docker's configuration (config.json, contexts); empty when the environment names neither it nor a
    /// home.</summary>
    public string ConfigurationFolder { get; private init; } = "";

    /// <summary>
    /// What to change in the environment of a <c>docker</c> or <c>docker buildx</c> process so that it speaks to this engine
    /// (a null value: remove the variable). It works with another <c>DOCKER_CONFIG</c> too, but for one case: when
    /// <c>DOCKER_CONTEXT</c> is among the values, the folder <c>contexts</c> of <see cref="ConfigurationFolder"/> must be there.
    /// </summary>
    public IReadOnlyDictionary<string, string?> ClientEnvironment
    {
        get
        {
            // A context's own files may be fewer than the three that the variables ask for.
            var byName = Context is not null && Tls is { IsWhole: false };
            return new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                [HostVariable] = byName ? null : Where.ForClient(),
                [ContextVariable] = byName ? Context : null,
                [CertificatesVariable] = byName ? null : Tls?.Folder,
                [VerifyVariable] = byName || Tls is not { Verify: true } ? null : "1",
                [TlsVariable] = byName || Tls is not { Verify: false } ? null : "1",
            };
        }
    }

    /// <summary>
    /// The name for <c>docker buildx --builder</c> that means this engine's own BuildKit under <see cref="ClientEnvironment"/>,
    /// whatever builder somebody made the current one.
    /// </summary>
    public string Builder => ClientEnvironment[ContextVariable] ?? DefaultContext;

    internal EngineAddress Where { get; }

    internal EngineTls? Tls { get; }

    /// <summary>The engine that an environment means.</summary>
    /// <param name="environment">The variables, such as a step's.</param>
    /// <exception cref="UsageException">
    /// An address is not an engine's, the context does not exist, or docker's configuration cannot be read.
    /// </exception>
    public static EngineLocation Find(IReadOnlyDictionary<string, string> environment) => Find(environment, File.Exists);

    /// <summary>An engine at an address that is given, whatever the environment means.</summary>
    /// <param name="address">Such as <c>unix:///run/docker.sock</c>.</param>
    /// <param name="environment">For TLS as docker's client has it.</param>
    /// <exception cref="UsageException">The address is not an engine's.</exception>
    public static EngineLocation At(string address, IReadOnlyDictionary<string, string> environment) =>
        Of(address, "the given address", environment);

    internal static EngineLocation Find(IReadOnlyDictionary<string, string> environment, Func<string, bool> exists)
    {
        ArgumentNullException.ThrowIfNull(environment);
        var given = environment.GetValueOrDefault(ContextVariable) ?? "";
        if (environment.GetValueOrDefault(HostVariable) is { Length: > 0 } host)
        {
            var overridden = given.Length > 0 ? $", which goes before {ContextVariable} \"{given}\"" : "";
            return Of(host, HostVariable + overridden, environment);
        }
        var contexts = DockerContexts.Of(environment);
        var (name, source) = given.Length > 0 ? (given, $"context \"{given}\" of {ContextVariable}") : contexts.Current();
        if (name is not ("" or DefaultContext))
        {
            var (address, tls) = contexts.Read(name, source);
            return new EngineLocation(EngineAddress.Parse(address, source, isTls: tls is not null), source, tls)
            {
                Context = name,
                ConfigurationFolder = contexts.Folder,
            };
        }
        // docker's client takes the wish for TLS without an address for an engine on this machine's TLS port.
        if (EngineTls.Of(environment) is { IsAsked: true })
            return Of("tcp://localhost:2376", $"docker's default with {VerifyVariable} or {TlsVariable}", environment);
        var (socket, why) = Socket(environment, exists);
        return Of(socket, why, environment);
    }

    /// <summary>The address and why it is this one.</summary>
    public override string ToString() => $"{Address} ({Reason})";

    private static EngineLocation Of(string address, string source, IReadOnlyDictionary<string, string> environment)
    {
        var tls = EngineTls.Of(environment);
        var parsed = EngineAddress.Parse(address, source, tls is not null);
        return new EngineLocation(parsed, source, parsed.MayBeTls ? tls : null)
        {
            ConfigurationFolder = DockerContexts.FolderOf(environment),
        };
    }

    private static (string Address, string Why) Socket(IReadOnlyDictionary<string, string> environment, Func<string, bool> exists)
    {
        if (OperatingSystem.IsWindows()) return ("npipe:////./pipe/docker_engine", "docker's default");
        if (exists(DefaultSocket)) return ("unix://" + DefaultSocket, "docker's default");
        var runtime = environment.GetValueOrDefault("XDG_RUNTIME_DIR") ?? "";
        var home = environment.GetValueOrDefault("HOME") ?? "";
        List<(string Path, string What)> others = [];
        if (runtime.Length > 0) others.Add((Path.Combine(runtime, "docker.sock"), "a rootless engine's socket"));
        if (home.Length > 0)
            others.Add((Path.Combine(home, ".docker", "run", "docker.sock"), "the socket in docker's own folder"));
        if (runtime.Length > 0) others.Add((Path.Combine(runtime, "podman", "podman.sock"), "podman's socket of this user"));
        others.Add(("/run/podman/podman.sock", "podman's socket"));
        foreach (var (path, what) in others)
            if (exists(path)) return ("unix://" + path, $"{what}, as there is not a {DefaultSocket}");
        return ("unix://" + DefaultSocket, "docker's default");
    }
}
