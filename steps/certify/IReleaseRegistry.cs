using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Certify;

/// <summary>What the step asks of the registry. Nothing here reads or writes a layer.</summary>
internal interface IReleaseRegistry : IDisposable
{
    /// <summary>What a tag or digest is; null when it is absent.</summary>
    Task<TaggedImage?> FindAsync(ImageReference reference, CancellationToken cancel);

    /// <summary>Gives an image a tag that is written once; reads it back.</summary>
    /// <returns>The digest behind the tag afterwards.</returns>
    /// <exception cref="RegistryRefusalException">The registry does not take it.</exception>
    Task<string> TagAsync(ImageReference image, string tag, CancellationToken cancel);

    /// <summary>Moves a tag to an image when it still points to what was expected; reads it back.</summary>
    /// <exception cref="RegistryRefusalException">It points elsewhere by now, or the registry does not take it.</exception>
    Task MoveAsync(ImageReference image, string tag, string? expected, CancellationToken cancel);

    /// <summary>The provenance that is attached to an image.</summary>
    Task<IReadOnlyList<Attestation>> ProvenanceAsync(ImageReference image, CancellationToken cancel);

    /// <summary>Attaches a statement to an image, signed when there is a key.</summary>
    Task AttachAsync(ImageReference image, string predicateType, byte[] statement, CancellationToken cancel);
}

/// <summary>The real registry.</summary>
internal sealed class ReleaseRegistry(StepContext context, RegistryDefinition definition) : IReleaseRegistry
{
    private readonly RegistryClient client = RegistryClient.Open(context, definition.PlainHttp, definition.Push, definition.Pull);

    public Task<TaggedImage?> FindAsync(ImageReference reference, CancellationToken cancel) =>
        TaggedImage.FindAsync(client, reference, cancel);

    public async Task<string> TagAsync(ImageReference image, string tag, CancellationToken cancel)
    {
        await client.PutManifestAsync(image.WithTag(tag), await ReadAsync(image, cancel), cancel);
        return await client.FindDigestAsync(image.WithTag(tag), cancel)
            ?? throw new UnavailableException("registry-protocol",
                $"the registry \"{image.Host}\" accepted \"{image.WithTag(tag)}\" and says now that it is not there");
    }

    public async Task MoveAsync(ImageReference image, string tag, string? expected, CancellationToken cancel) =>
        await client.MoveTagAsync(image.WithTag(tag), await ReadAsync(image, cancel), expected, cancel);

    public Task AttachAsync(ImageReference image, string predicateType, byte[] statement, CancellationToken cancel) =>
        Attestation.AttachAsync(client, context, image, predicateType, statement, cancel);

    public Task<IReadOnlyList<Attestation>> ProvenanceAsync(ImageReference image, CancellationToken cancel) =>
        Attestation.ReadAsync(client, context, image, PredicateTypes.Provenance, cancel);

    public void Dispose() => client.Dispose();

    private async Task<RegistryManifest> ReadAsync(ImageReference image, CancellationToken cancel) =>
        await client.FindManifestAsync(image, cancel)
            ?? throw new UnavailableException("registry-protocol",
                $"\"{image}\" was in the registry a moment ago and is not now; is a clean-up running there?");
}
