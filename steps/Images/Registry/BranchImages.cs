using System.Collections.Concurrent;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>One image of private branches in a registry.</summary>
/// <param name="Image">The image, by digest; by tag when not even its digest can be read.</param>
/// <param name="Tags">Its tags, sorted.</param>
/// <param name="Created">When it was made; null when it does not say.</param>
public sealed record BranchImage(ImageReference Image, IReadOnlyList<string> Tags, DateTimeOffset? Created)
{
    /// <summary>Repository that it was built from; null when its label is missing.</summary>
    public string? Source { get; init; }

    /// <summary>Commit that it was built from; null when its label is missing.</summary>
    public string? Revision { get; init; }

    /// <summary>Manifests that it is made of, when it is an index: platforms and attestations, by digest.</summary>
    public IReadOnlyList<string> Parts { get; init; } = [];

    /// <summary>All digests under which an engine or a node may know it.</summary>
    public IReadOnlySet<string> KnownAs { get; init; } = new HashSet<string>();

    /// <summary>Whether its release repository has the very same image.</summary>
    public bool IsReleased { get; init; }

    /// <summary>Why the registry, which answers otherwise, does not give it as an image; null when it was read.</summary>
    public string? Unreadable { get; init; }
}

/// <summary>
/// The images of private branches in a registry: reading them and removing them. What goes and what stays is decided elsewhere.
/// </summary>
public static class BranchImages
{
    /// <summary>Code of a refusal: a tag points elsewhere since the image was listed.</summary>
    public const string Moved = "MOVED";

    /// <summary>Code of a refusal: the image is gone, and something that belonged to it is not.</summary>
    public const string Remains = "REMAINS";

    private const int AtOnce = 8;

    /// <summary>All images of a repository of private branches, by their first tag, those that cannot be read too.</summary>
    /// <param name="registry">Client with the credentials for this registry.</param>
    /// <param name="repository">Repository of private branches' images.</param>
    /// <param name="release">The repository of the same service's releases.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="UsageException">Both are the same, so that nothing could be told apart.</exception>
    /// <exception cref="UnavailableException">"registry-unreachable": it does not answer at all.</exception>
    public static async Task<IReadOnlyList<BranchImage>> ListAsync(
        RegistryClient registry, ImageReference repository, ImageReference release, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(release);
        if (release.Repository == repository.Repository)
            throw new UsageException(
                $"\"{repository.Repository}\" is a release repository; only images of private branches are removed: " +
                "give registry.branch-prefix in ci-steps.yaml");
        // The tag that stands for an image's referrers goes with the image.
        var tags = (await registry.ListTagsAsync(repository, cancel).ConfigureAwait(false)).Where(tag => !IsReferrersTag(tag));
        var found = new ConcurrentDictionary<string, (RegistryManifest Manifest, ConcurrentBag<string> Tags)>();
        var images = new ConcurrentBag<BranchImage>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel };
        // A registry has thousands of these: one request a tag, and two more for each image that is not a part of another tag's.
        await Parallel.ForEachAsync(tags, options, async (tag, token) =>
        {
            try
            {
                if (await registry.FindManifestAsync(repository.WithTag(tag), token).ConfigureAwait(false) is { } manifest)
                    found.GetOrAdd(manifest.Digest, _ => (manifest, [])).Tags.Add(tag);
            }
            catch (UnavailableException failure)
            {
                // One image that is broken is that image's own matter; a registry that is down is not.
                await registry.RequireAnswerAsync(repository, token).ConfigureAwait(false);
                images.Add(new BranchImage(repository.WithTag(tag), [tag], null) { Unreadable = failure.Message });
            }
        }).ConfigureAwait(false);
        await Parallel.ForEachAsync(found, options, async (pair, token) =>
        {
            var image = new BranchImage(repository.WithDigest(pair.Key), [.. pair.Value.Tags.Order(StringComparer.Ordinal)],
                null);
            images.Add(await DescribeAsync(registry, image, pair.Value.Manifest, release, token).ConfigureAwait(false));
        }).ConfigureAwait(false);
        return [.. images.OrderBy(image => image.Tags[0], StringComparer.Ordinal)];
    }

    /// <summary>Removes images, several at once. After the first refusal no other is begun.</summary>
    /// <param name="registry">Client with the credentials for this registry.</param>
    /// <param name="images">The images, as they were listed.</param>
    /// <param name="needed">Digests that stay, because other images are made of them.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>How many were removed, and what was refused, those first of which something is left (<see
    /// cref="Remains"/>).</returns>
    public static async Task<(int Removed, IReadOnlyList<(BranchImage Image, RegistryRefusalException Refusal)> Refusals)>
        RemoveAllAsync(
            RegistryClient registry, IReadOnlyList<BranchImage> images, IReadOnlySet<string> needed,
            CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(images);
        var removed = 0;
        var refusals = new ConcurrentQueue<(BranchImage Image, RegistryRefusalException Refusal)>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel };
        await Parallel.ForEachAsync(images, options, async (image, token) =>
        {
            if (!refusals.IsEmpty) return;
            try
            {
                await RemoveAsync(registry, image, needed, token).ConfigureAwait(false);
                Interlocked.Increment(ref removed);
            }
            catch (RegistryRefusalException refusal)
            {
                refusals.Enqueue((image, refusal));
            }
        }).ConfigureAwait(false);
        return (removed, [.. refusals.OrderByDescending(refused => refused.Refusal.Code == Remains)]);
    }

    /// <summary>Removes an image with its tags, what is attached to it, and the manifests that it alone is made of.</summary>
    /// <param name="registry">Client with the credentials for this registry.</param>
    /// <param name="image">The image, as it was listed.</param>
    /// <param name="needed">Digests that stay, because other images are made of them.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="RegistryRefusalException">Code <see cref="Moved"/>: a tag has changed since. Code <see cref="Remains"/>:
    /// the image is gone, and not all that belongs to it. Else nothing of it was removed; status 405: deletion is switched off,
    /// another: the registry does not allow it.</exception>
    public static async Task RemoveAsync(
        RegistryClient registry, BranchImage image, IReadOnlySet<string> needed, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(needed);
        // A tag that moved away from this digest since the image was listed changes what removing it means.
        foreach (var tag in image.Tags)
            if (await registry.FindDigestAsync(image.Image.WithTag(tag), cancel).ConfigureAwait(false) is { } now
                && now != image.Image.Digest)
                throw new RegistryRefusalException(409, Moved,
                    $"\"{image.Image.WithTag(tag)}\" points to {now} by now: plan again");
        var attached = await registry.ListReferrersAsync(image.Image, cancel: cancel).ConfigureAwait(false);
        var listed = image.Image.WithTag(ImageName.ReferrersTag(image.Image.Digest!));
        var list = (await registry.FindManifestAsync(listed, cancel).ConfigureAwait(false))?.Digest;
        // The image first: one that the registry does not let go keeps its provenance, and an index without its parts would be an
        // image that nobody can pull.
        await registry.DeleteManifestAsync(image.Image, cancel).ConfigureAwait(false);
        try
        {
            foreach (var digest in attached.Select(entry => entry.Content.Digest)
                .Append(list)
                .OfType<string>()
                .Concat(image.Parts.Where(part => !needed.Contains(part))))
                await registry.DeleteManifestAsync(image.Image.WithDigest(digest), cancel).ConfigureAwait(false);
        }
        catch (RegistryRefusalException refusal)
        {
            throw new RegistryRefusalException(refusal.Status, Remains,
                $"\"{image.Image}\" is gone, and not all that belonged to it: {refusal.Message}");
        }
    }

    private static async Task<BranchImage> DescribeAsync(RegistryClient registry, BranchImage image, RegistryManifest manifest,
        ImageReference release, CancellationToken cancel)
    {
        // Known even when one of them is missing: the others may have tags of their own, and must stay with it.
        image = image with { Parts = [.. manifest.Entries.Select(entry => entry.Content.Digest)] };
        try
        {
            var released = release.WithDigest(manifest.Digest);
            var read = await registry.DescribeImageAsync(image.Image, manifest, cancel).ConfigureAwait(false);
            return image with
            {
                Created = read.Created,
                Source = read.Label(ImageName.SourceLabel),
                Revision = read.Label(ImageName.RevisionLabel),
                KnownAs = read.KnownAs,
                // Asked in full: only a body tells that a 404 is about this image, and most were never released.
                IsReleased = await registry.FindManifestAsync(released, cancel).ConfigureAwait(false) is not null,
            };
        }
        catch (UnavailableException failure)
        {
            await registry.RequireAnswerAsync(image.Image, cancel).ConfigureAwait(false);
            return image with { Unreadable = failure.Message };
        }
    }

    private static bool IsReferrersTag(string tag) => tag.Length >= 71 && tag[..7] is ("sha256-" or "sha384-" or "sha512-");
}
