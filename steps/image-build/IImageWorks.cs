using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>An image to be built.</summary>
/// <param name="Component">Component whose image it becomes.</param>
/// <param name="Name">Repository and tag.</param>
/// <param name="Labels">Labels that the image gets, name to value.</param>
/// <param name="CacheFrom">Images in the registry whose layers may be used again, when the engine has none of this
/// component.</param>
internal sealed record ImageOrder(
    ComponentDefinition Component,
    ImageReference Name,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlyList<ImageReference> CacheFrom);

/// <summary>An outside image that another was built on.</summary>
/// <param name="Reference">As the Dockerfile names it.</param>
/// <param name="Digest">What that was at build time; the local id for an image that is in no registry.</param>
internal sealed record BaseImage(string Reference, string Digest)
{
    /// <summary>Several as an image's label has them: JSON from reference to digest.</summary>
    public static string Write(IReadOnlyList<BaseImage> bases)
    {
        var json = new JsonObject();
        foreach (var one in bases.OrderBy(one => one.Reference, StringComparer.Ordinal)) json[one.Reference] = one.Digest;
        return json.ToJsonString();
    }

    /// <summary>Reads an image's label; null when it says nothing that can be read.</summary>
    public static IReadOnlyList<BaseImage>? Read(string? label)
    {
        try
        {
            return label is null ? null : [.. OutsideJson.ReadObject(label, "the label").Select(pair =>
                new BaseImage(pair.Key, pair.Value.Text() ?? throw new OutsideJsonException("the label", pair.Key,
                    JsonFault.WrongType, $"{pair.Key} is null")))];
        }
        catch (OutsideJsonException)
        {
            return null;
        }
    }
}

/// <summary>An image that was built and is on the engine.</summary>
/// <param name="Id">Its local id.</param>
/// <param name="Bases">What it was built on.</param>
/// <param name="Cached">How many instructions came from the cache.</param>
/// <param name="Instructions">How many there are.</param>
internal sealed record LocalBuild(string Id, IReadOnlyList<BaseImage> Bases, int Cached, int Instructions);

/// <summary>What the step asks of engine and registry.</summary>
internal interface IImageWorks : IAsyncDisposable
{
    /// <summary>What a tag points to; null when it is absent.</summary>
    Task<TaggedImage?> FindAsync(ImageReference reference, CancellationToken cancel);

    /// <summary>The outside images that a component's Dockerfile names.</summary>
    /// <exception cref="UsageException">There is no such Dockerfile, or it cannot be read.</exception>
    Task<IReadOnlyList<DockerfileSource>> ReadSourcesAsync(ComponentDefinition component, CancellationToken cancel);

    /// <summary>
    /// Looks for all that can be refused before anything is built: syntax that the builder does not know, a secret that is
    /// missing.
    /// </summary>
    /// <exception cref="UsageException">It is refused; the message says what to do.</exception>
    Task CheckAsync(ComponentDefinition component, CancellationToken cancel);

    /// <summary>Runs a component's pre-build command; the result is its exit code.</summary>
    Task<int> PrepareAsync(ComponentDefinition component, CommandDefinition command, CancellationToken cancel);

    /// <summary>Builds an image on the engine.</summary>
    /// <exception cref="ImageBuildException">The build failed.</exception>
    Task<LocalBuild> BuildAsync(ImageOrder order, CancellationToken cancel);

    /// <summary>Pushes a built image under its name and reads the name back from the registry.</summary>
    /// <returns>The digest that the registry has for the name now, and whether it is the built image.</returns>
    Task<(string Digest, bool IsOurs)> PublishAsync(ImageReference name, string id, CancellationToken cancel);

    /// <summary>Gives an image that is in the registry one more name.</summary>
    /// <returns>False when the registry cannot share content between the two repositories.</returns>
    Task<bool> ShareAsync(ImageReference image, ImageReference name, CancellationToken cancel);

    /// <summary>
    /// Whether an image in the registry has its provenance; where there is a key, only signed provenance counts.
    /// </summary>
    Task<bool> HasProvenanceAsync(ImageReference image, CancellationToken cancel);

    /// <summary>Attaches a statement to an image in the registry, signed when there is a key.</summary>
    Task AttachAsync(ImageReference image, byte[] statement, CancellationToken cancel);
}
