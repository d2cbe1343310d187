using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>What is wrong with the engine itself, where its text might seem to blame what it was asked for.</summary>
public enum EngineFault
{
    /// <summary>It cannot run any container: its runtime, shim or control groups are broken.</summary>
    Runtime,

    /// <summary>It cannot give a container a network: its bridge, packet filter or addresses are wanting.</summary>
    Network,

    /// <summary>Its disk is full.</summary>
    DiskFull,

    /// <summary>The front end that a Dockerfile's <c># syntax=</c> names could not be fetched.</summary>
    FrontEnd,

    /// <summary>It, or a part of it such as its builder, went away while it worked.</summary>
    Gone,
}

/// <summary>Tells from an engine's or builder's text whose fault a failure is: the platform's, or that of who wrote the
/// Dockerfile or command.</summary>
public static partial class EngineFaults
{
    // The runtime itself is missing or dies.
    private static readonly string[] Broken = ["runc did not terminate successfully", "failed to start shim", "exec: \"runc\"",
        "exec: \"crun\"", "exec: \"containerd-shim"];

    // Said of any container; what is said of one container is taken out below.
    private static readonly string[] Runtime =
    [
        "OCI runtime create failed", "OCI runtime start failed", "OCI runtime error", "failed to create shim",
        "failed to create task for container", "failed to create containerd task", "unable to start container process",
        "runc run failed", "runc create failed", "error creating overlay mount", "failed to mount overlay",
        "error setting cgroup config",
    ];

    // The command, its folder, its user or a mount: written by who asked for the container.
    private static readonly string[] Asked =
    [
        "executable file not found", "executable file `", "exec: \"", "exec format error",
        "attempted to invoke a command that was not found",
        "OCI permission denied", "chdir to cwd", "set in config.json failed", "unable to find user", "unable to find group",
        "no matching entries in passwd file",
        "not a directory: unknown: Are you trying to mount a directory onto a file", "invalid capability", "unknown capability",
    ];

    // Said of the engine's own networks. One that does not exist by the name that was asked for is another matter.
    private static readonly string[] Network =
    [
        "failed to create endpoint", "could not find bridge", "failed to set up container networking", "iptables failed",
        "failed to setup IP tables", "failed programming external connectivity", "failed to create NAT chain",
        "No chain/target/match by that name", "no available IPv4 addresses", "no available IPv6 addresses",
        "non-overlapping IPv4 address pool", "fully subnetted", "failed to add the host", "failed to add interface",
        "unable to create network sandbox", "netavark: ", "error configuring network namespace",
    ];

    private static readonly string[] Disk = ["no space left on device", "disk quota exceeded", "not enough space on the disk"];

    private static readonly string[] Gone =
    [
        "code = Unavailable", "error reading from server: EOF", "transport is closing", "Cannot connect to the Docker daemon",
        "error during connect:",
        "failed to receive status: ", "listing workers for Build: failed", "frontend grpc server closed unexpectedly",
    ];

    private static readonly string[] Fetch =
    [
        "failed to resolve source metadata", "failed to solve with frontend", "resolve image config", "failed to do request",
        "failed to copy", "failed to fetch", "failed to pull", "failed to authorize", "failed to load",
    ];

    /// <summary>The engine's fault that a failure's text tells of; null when it tells of what was asked for, or of nothing
    /// known.</summary>
    /// <param name="text">The error itself, not a command's own output.</param>
    /// <param name="frontEnd">What the Dockerfile's <c># syntax=</c> names; null: nothing.</param>
    public static EngineFault? Find(string text, string? frontEnd = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (Has(text, Disk)) return EngineFault.DiskFull;
        if (Has(text, Gone)) return EngineFault.Gone;
        if (Has(text, Network) && !MissingNetwork().IsMatch(text)) return EngineFault.Network;
        // A front end that its registry does not know is misspelt, and that is the author's.
        if (frontEnd is { Length: > 0 } && text.Contains(NameOf(frontEnd), StringComparison.Ordinal) && Has(text, Fetch))
        {
            var isMisspelt = ImagePullException.Classify(text) is ImagePullFailure.NotFound or ImagePullFailure.InvalidName;
            return isMisspelt ? null : EngineFault.FrontEnd;
        }
        return Has(text, Broken) || (Has(text, Runtime) && !Has(text, Asked)) ? EngineFault.Runtime : null;
    }

    /// <summary>The fault as a step ends with it.</summary>
    /// <param name="fault">What was found.</param>
    /// <param name="what">What was being done, such as <c>cannot build "web"</c>.</param>
    /// <param name="text">The engine's own text.</param>
    /// <param name="inner">What was caught; null where it was found without an exception.</param>
    public static UnavailableException ToStepFailure(EngineFault fault, string what, string text, Exception? inner = null) => new(
        fault == EngineFault.FrontEnd ? "registry-unreachable" : "engine",
        $"{what}: {text}; " + fault switch
        {
            EngineFault.DiskFull => "the container engine's disk is full: make room (docker system df, docker system prune)",
            EngineFault.Network => "the container engine cannot give a container a network: see its own log, and try docker run "
                + "with any image",
            EngineFault.FrontEnd =>
                "the front end that \"# syntax=\" names cannot be fetched: see whether its registry is up, or name one in a "
                + "registry of your own",
            EngineFault.Gone => "the container engine went away while it worked: see its own log",
            _ => "the container engine cannot run containers: see its own log, and try docker run with any image",
        },
        inner);

    /// <summary>A refusal to make or start a container as a step ends with it: the author's, unless the engine itself is
    /// broken.</summary>
    /// <param name="what">What was being done.</param>
    /// <param name="refusal">The engine's word.</param>
    internal static Exception ToStepFailure(string what, EngineRefusalException refusal)
    {
        // The engine answers 500 for its own failures; for a few of the author's, too, and those are known by their text.
        var fault = Find(refusal.Message) ?? (refusal.Status >= 500 && !Has(refusal.Message, Asked) ? EngineFault.Runtime : null);
        return fault is { } found ? ToStepFailure(found, what, refusal.Message, refusal)
            : new UsageException($"{what}: {refusal.Message}", refusal);
    }

    [GeneratedRegex(@"\bnetwork \S+ not found")]
    private static partial Regex MissingNetwork();

    // BuildKit writes a name in full: docker/dockerfile:1 as docker.io/docker/dockerfile:1.
    private static string NameOf(string frontEnd) => frontEnd.Split('@')[0];

    private static bool Has(string text, ReadOnlySpan<string> words)
    {
        foreach (var word in words)
            if (text.Contains(word, StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }
}
