namespace CiSteps.Sandbox.Api;

/// <summary>What a cluster's API hands out by itself.</summary>
internal sealed record ClusterApiOptions
{
    /// <summary>
    /// Cluster IPs of services are taken from these addresses: the first three octets, or two, with a dot at the end.
    /// </summary>
    public string ServiceIpPrefix { get; init; } = "10.96.";

    /// <summary>First node port.</summary>
    public int NodePortFirst { get; init; } = 30000;

    /// <summary>Last node port.</summary>
    public int NodePortLast { get; init; } = 32767;

    /// <summary>How many changes of each kind a watch can resume over; from before these it gets 410.</summary>
    public int ChangesKept { get; init; } = 4096;
}
