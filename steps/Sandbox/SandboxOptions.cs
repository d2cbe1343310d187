using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox;

/// <summary>A node of a sandbox cluster.</summary>
/// <param name="Name">Name of the node.</param>
/// <param name="Cpus">Processors it offers.</param>
/// <param name="MemoryBytes">Memory it offers.</param>
public sealed record SandboxNode(string Name, int Cpus = 4, long MemoryBytes = 8L << 30);

/// <summary>How to bring up a sandbox cluster.</summary>
public sealed record SandboxOptions
{
    /// <summary>Name of the cluster, of its context in the kubeconfig and of its containers' label.</summary>
    public string Name { get; init; } = "sandbox";

    /// <summary>
    /// Where the kubeconfig goes (mode 0600); null for a file in a temporary folder that is removed with the cluster.
    /// </summary>
    public string? KubeconfigPath { get; init; }

    /// <summary>Loopback port of the API; 0 for a free one.</summary>
    public int Port { get; init; }

    /// <summary>The nodes.</summary>
    public IReadOnlyList<SandboxNode> Nodes { get; init; } = [new SandboxNode("node-1")];

    /// <summary>
    /// Whether pods really run, as containers of the local engine; needs Linux, root and an engine. Without, the API alone is
    /// served.
    /// </summary>
    public bool Pods { get; init; } = true;

    /// <summary>Whether controllers run although pods do not.</summary>
    public bool Controllers { get; init; }

    /// <summary>What the API hands out by itself.</summary>
    internal ClusterApiOptions Api { get; init; } = new();

    /// <summary>Receives a line for each thing worth knowing (a component that failed); null for silence.</summary>
    public Action<string>? Log { get; init; }
}
