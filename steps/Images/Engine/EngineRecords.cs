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
public sealed record EngineDescription(
    string Endpoint,
    bool IsLocal,
    string Version,
    string ApiVersion,
    string OperatingSystem,
    string Architecture,
    int Cpus,
    long MemoryBytes,
    IReadOnlyList<string> SecurityOptions)
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

/// <summary>Something that happened on the engine.</summary>
/// <param name="Type"><c>container</c>, <c>network</c>, <c>image</c> …</param>
/// <param name="Action"><c>create</c>, <c>start</c>, <c>die</c>, <c>oom</c>, <c>destroy</c> …</param>
/// <param name="Id">Of what it happened to.</param>
/// <param name="Attributes">Labels and details; <c>exitCode</c> with <c>die</c>.</param>
/// <param name="Time">When.</param>
public sealed record EngineEvent(
    string Type,
    string Action,
    string Id,
    IReadOnlyDictionary<string, string> Attributes,
    DateTimeOffset Time);
