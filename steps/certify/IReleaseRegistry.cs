using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Certify;

/// <summary>What the step asks of the registry. Nothing here reads or writes a layer.</summary>
internal interface IReleaseRegistry : IDisposable
{
    /// <summary>The digest behind a tag, in one call; null when it is absent.</summary>
    Task<string?> FindDigestAsync(ImageReference tag, CancellationToken cancel);

    /// <summary>
    /// What an image says about itself, of all its platforms: two calls for each of them. Null when it is absent.
    /// </summary>
    Task<TaggedImage?> FindAsync(ImageReference image, CancellationToken cancel);

    /// <summary>What certify wrote beside an image before; nothing where the registry takes no artifacts.</summary>
    Task<IReadOnlyList<Certificate>> CertificatesAsync(ImageReference image, CancellationToken cancel);

    /// <summary>
    /// Gives an image a tag when that still points to what was expected, null for absent; looks just before and after.
    /// </summary>
    /// <exception cref="RegistryRefusalException">Code <see cref="BranchImages.Moved"/>: it points elsewhere by now. Another
    /// code: the registry does not take it.</exception>
    Task MoveAsync(ImageReference image, string tag, string? expected, CancellationToken cancel);

    /// <summary>The provenance that is attached to an image.</summary>
    Task<IReadOnlyList<Attestation>> ProvenanceAsync(ImageReference image, CancellationToken cancel);

    /// <summary>Attaches the summary to an image, signed when there is a key.</summary>
    Task AttachAsync(ImageReference image, Certificate certificate, byte[] statement, CancellationToken cancel);
}

/// <summary>The real registry.</summary>
internal sealed class ReleaseRegistry(StepContext context, RegistryDefinition definition) : IReleaseRegistry
{
    private readonly RegistryClient client = RegistryClient.Open(context, definition.PlainHttp, definition.Push, definition.Pull);
    private readonly Dictionary<string, RegistryManifest> manifests = [];

    public async Task<string?> FindDigestAsync(ImageReference tag, CancellationToken cancel)
    {
        // In full: a HEAD that finds nothing is asked again, and what is found here is what is written under the other tags.
        if (await client.FindManifestAsync(tag, cancel) is not { } manifest) return null;
        manifests[tag.WithDigest(manifest.Digest).ToString()] = manifest;
        return manifest.Digest;
    }

    public Task<TaggedImage?> FindAsync(ImageReference image, CancellationToken cancel) =>
        TaggedImage.FindAsync(client, image, cancel);

    public async Task<IReadOnlyList<Certificate>> CertificatesAsync(ImageReference image, CancellationToken cancel) =>
        [.. (await client.ListReferrersAsync(image, cancel: cancel))
            .Select(entry => Certificate.Read(entry.Annotations))
            .OfType<Certificate>()];

    public async Task MoveAsync(ImageReference image, string tag, string? expected, CancellationToken cancel)
    {
        if (!manifests.TryGetValue(image.ToString(), out var manifest))
            manifest = await client.FindManifestAsync(image, cancel)
                ?? throw new UnavailableException("registry-protocol",
                    $"\"{image}\" was in the registry a moment ago and is not now; is a clean-up running there?");
        await client.MoveTagAsync(image.WithTag(tag), manifest, expected, cancel);
    }

    public Task AttachAsync(ImageReference image, Certificate certificate, byte[] statement, CancellationToken cancel) =>
        Attestation.AttachAsync(
            client,
            context,
            image,
            PredicateTypes.VerificationSummary,
            statement,
            certificate.ToAnnotations(),
            cancel);

    public Task<IReadOnlyList<Attestation>> ProvenanceAsync(ImageReference image, CancellationToken cancel) =>
        Attestation.ReadAsync(client, context, image, PredicateTypes.Provenance, cancel);

    public void Dispose() => client.Dispose();
}
