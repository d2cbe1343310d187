using System.Text;
using System.Text.Json.Nodes;

namespace CiSteps.Images;

/// <content>Taking tags away.</content>
public sealed partial class RegistryClient
{
    /// <summary>
    /// Takes a tag away and leaves the image and its other tags. A registry deletes by digest only, with all tags that point
    /// there: so the tag first gets an empty index of its own, which is then deleted. Broken off in between, the same call
    /// finishes it.
    /// </summary>
    /// <param name="tag">Repository and tag.</param>
    /// <param name="expected">The digest that it points to.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>Whether the tag is gone; false when it points to something else by now.</returns>
    /// <exception cref="RegistryRefusalException">The registry lets nobody delete; the tag points to what it did
    /// before.</exception>
    public async Task<bool> RemoveTagAsync(ImageReference tag, string expected, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(tag);
        var nothing = EmptyIndex(tag, expected);
        var now = await FindDigestAsync(tag, cancel).ConfigureAwait(false);
        if (now is null) return true;
        if (now != expected && now != nothing.Digest) return false;
        if (now == expected) await MoveTagAsync(tag, nothing, expected, cancel).ConfigureAwait(false);
        try
        {
            await DeleteManifestAsync(tag.WithDigest(nothing.Digest), cancel).ConfigureAwait(false);
        }
        catch (RegistryRefusalException)
        {
            if (await FindManifestAsync(tag.WithDigest(expected), cancel).ConfigureAwait(false) is { } image)
                await MoveTagAsync(tag, image, nothing.Digest, cancel).ConfigureAwait(false);
            throw;
        }
        return await FindDigestAsync(tag, cancel).ConfigureAwait(false) is null;
    }

    // The same for the same tag and image, so that it is recognised; another for any other, so that nothing else goes with it.
    private static RegistryManifest EmptyIndex(ImageReference tag, string expected) =>
        RegistryManifest.Read(Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciIndex,
            ["manifests"] = new JsonArray(),
            ["annotations"] = new JsonObject { ["dev.cisteps.removed-tag"] = tag.Tag, ["dev.cisteps.removed-digest"] = expected },
        }.ToJsonString()), MediaTypes.OciIndex);
}
