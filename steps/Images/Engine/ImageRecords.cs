namespace CiSteps.Images;

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
public sealed record LocalImage(
    string Id,
    IReadOnlyList<string> Tags,
    IReadOnlyList<string> Digests,
    string Platform,
    DateTimeOffset? Created,
    long Bytes,
    IReadOnlyDictionary<string, string> Labels,
    string User,
    IReadOnlyList<string> Entrypoint,
    IReadOnlyList<string> Command,
    IReadOnlyList<string> Environment,
    string WorkingDirectory)
{
    /// <summary>Instructions that run in a build on top of it (<c>ONBUILD</c>).</summary>
    public IReadOnlyList<string> Triggers { get; init; } = [];
}

/// <summary>An image as it was pulled.</summary>
/// <param name="Id">Its local id.</param>
/// <param name="Digest">Digest of the manifest or index that the registry served.</param>
/// <param name="IsSaid">Whether the engine said so when it pulled. podman does not: what it has of it locally may be the digest
/// of
/// another packing, which no registry has.</param>
public sealed record PulledImage(string Id, string Digest, bool IsSaid)
{
    /// <summary>The image as the engine has it under the name that was pulled.</summary>
    public required LocalImage Local { get; init; }
}

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
public sealed class ImagePushException(ImagePullFailure kind, string reference, string text)
    : Exception($"cannot push \"{reference}\": {text}")
{
    /// <summary>The class of failure.</summary>
    public ImagePullFailure Kind { get; } = kind;

    /// <summary>What was to be pushed.</summary>
    public string Reference { get; } = reference;

    /// <summary>The engine's own text.</summary>
    public string EngineText { get; } = text;
}
