namespace CiSteps.Images;

/// <summary>What the registry says about a tagged image of the chain.</summary>
/// <param name="Digest"><c>sha256:…</c>.</param>
/// <param name="Revision">Commit that it was built from; null when its label is missing.</param>
/// <param name="Version">Tag that it was built as; null when its label is missing.</param>
public sealed record TaggedImage(string Digest, string? Revision, string? Version)
{
    /// <summary>Fingerprint of all that it was built from; null when its label is missing.</summary>
    public string? Inputs { get; init; }

    /// <summary>
    /// The outside images that it was built on (<see cref="ImageName.BasesLabel"/>); null when its label is missing.
    /// </summary>
    public string? Bases { get; init; }

    /// <summary>The image behind a tag; null when the tag is absent.</summary>
    /// <exception cref="Hosting.UnavailableException">The registry does not tell.</exception>
    public static async Task<TaggedImage?> FindAsync(
        RegistryClient registry, ImageReference reference, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        return await registry.FindImageAsync(reference, cancel).ConfigureAwait(false) is { } image
            ? new TaggedImage(image.Digest, image.Label(ImageName.RevisionLabel), image.Label(ImageName.VersionLabel))
            {
                Inputs = image.Label(ImageName.InputsLabel),
                Bases = image.Label(ImageName.BasesLabel),
            } : null;
    }
}
