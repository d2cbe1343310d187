namespace CiSteps.Images;

/// <summary>A network of the engine.</summary>
/// <param name="Id">Full id.</param>
/// <param name="Name">What containers join it by; engines allow several of one name.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Subnets">Its address ranges.</param>
public sealed record EngineNetwork(
    string Id, string Name, IReadOnlyDictionary<string, string> Labels, IReadOnlyList<string> Subnets);

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
