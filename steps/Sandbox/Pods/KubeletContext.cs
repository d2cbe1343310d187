using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>What every pod's worker needs of its cluster.</summary>
/// <param name="Api">The cluster.</param>
/// <param name="Runtime">The engine.</param>
/// <param name="Network">The cluster's network.</param>
/// <param name="Events">Speaks as the kubelet.</param>
/// <param name="Time">The clock.</param>
/// <param name="Folder">The cluster's folder on this host.</param>
/// <param name="MemoryFolder">The cluster's folder in this host's memory.</param>
/// <param name="Labels">Labels of everything made on the engine.</param>
/// <param name="Tokens">Tokens for pods; null when the API issues none.</param>
/// <param name="Report">Takes one line per unforeseen failure.</param>
internal sealed record KubeletContext(
    ClusterApi Api,
    IContainerRuntime Runtime,
    ClusterNetwork Network,
    EventRecorder Events,
    TimeProvider Time,
    string Folder,
    string MemoryFolder,
    IReadOnlyDictionary<string, string> Labels, PodTokens? Tokens, Action<string> Report)
{
    public const string PodLabel = "io.kubernetes.pod.uid";
    public const string ContainerLabel = "io.kubernetes.container.name";
}

/// <summary>
/// A cluster's addresses: one bridge network of the engine, cut into the host's, the services' and the pods' parts.
/// </summary>
/// <param name="Name">The network's name on the engine.</param>
/// <param name="First">The first two octets.</param>
/// <param name="Third">The third octet of the /20, a multiple of 16.</param>
internal sealed record ClusterNetwork(string Name, string First, int Third)
{
    public string Subnet => $"{First}.{Third}.0/20";

    /// <summary>The host on this network; also the nodes' address.</summary>
    public string Gateway => $"{First}.{Third}.1";

    /// <summary>The container whose network namespace owns all service addresses.</summary>
    public string RouterAddress => $"{First}.{Third}.2";

    public string ServicePrefix => $"{First}.{Third + 1}.";

    public string DnsAddress => ServicePrefix + "10";

    public string PodRange => $"{First}.{Third + 8}.0/21";
}
