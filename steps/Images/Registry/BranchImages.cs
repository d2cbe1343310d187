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

/// <summary>The images of private branches in a registry: reading them and removing them. What goes and what stays is decided elsewhere.</summary>
public static class BranchImages
{
    /// <summary>Code of a refusal: a tag points elsewhere since the image was listed.</summary>
    public const string Moved = "MOVED";

    /// <summary>Code of a refusal: the image is gone, and something that belonged to it is not.</summary>
    public const string Remains = "REMAINS";

    private const int AtOnce = 8;

    /// <summary>All images of a repository of private branches, by their first tag, those that cannot be read too.</summary>
    /// <param name="registry">The client.</param>
    /// <param name="repository">The repository.</param>
    /// <param name="release">The repository of the same service's releases.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="UsageException">Both are the same, so that nothing could be told apart.</exception>
    /// <exception cref="UnavailableException">"registry": it does not answer at all.</exception>
    public static async Task<IReadOnlyList<BranchImage>> ListAsync(RegistryClient registry, ImageReference repository, ImageReference release, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(release);
        if (release.Repository == repository.Repository)
            throw new UsageException($"\"{repository.Repository}\" is a release repository; only images of private branches are removed: give registry.branch-prefix in ci-steps.yaml");
        // The tag that stands for an image's referrers goes with the image.
        var tags = (await registry.ListTagsAsync(repository, cancel).ConfigureAwait(false)).Where(tag => !IsReferrersTag(tag)).ToList();
        var digests = new string?[tags.Count];
        var images = new ConcurrentBag<BranchImage>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel };
        await Parallel.ForAsync(0, tags.Count, options, async (at, token) =>
        {
            try
            {
                digests[at] = await registry.FindDigestAsync(repository.WithTag(tags[at]), token).ConfigureAwait(false);
            }
            catch (UnavailableException failure)
            {
                await RequireAnswerAsync(registry, repository, token).ConfigureAwait(false);
                images.Add(new BranchImage(repository.WithTag(tags[at]), [tags[at]], null) { Unreadable = failure.Message });
            }
        }).ConfigureAwait(false);
        var byDigest = tags.Zip(digests).Where(pair => pair.Second is not null).GroupBy(pair => pair.Second!, pair => pair.First, StringComparer.Ordinal);
        await Parallel.ForEachAsync(byDigest, options, async (pair, token) =>
        {
            if (await ReadAsync(registry, new BranchImage(repository.WithDigest(pair.Key), [.. pair.Order(StringComparer.Ordinal)], null), release, token).ConfigureAwait(false) is { } image) images.Add(image);
        }).ConfigureAwait(false);
        return [.. images.OrderBy(image => image.Tags[0], StringComparer.Ordinal)];
    }

    /// <summary>Removes an image with its tags, what is attached to it, and the manifests that it alone is made of.</summary>
    /// <param name="registry">The client.</param>
    /// <param name="image">The image, as it was listed.</param>
    /// <param name="needed">Digests that stay, because other images are made of them.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="RegistryRefusalException">Code <see cref="Moved"/>: a tag has changed since. Code <see cref="Remains"/>: the image is gone, and not all that belongs to it. Else nothing of it was removed; status 405: deletion is switched off, another: the registry does not allow it.</exception>
    public static async Task RemoveAsync(RegistryClient registry, BranchImage image, IReadOnlySet<string> needed, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(needed);
        // A tag that moved away from this digest since the image was listed changes what removing it means.
        foreach (var tag in image.Tags)
            if (await registry.FindDigestAsync(image.Image.WithTag(tag), cancel).ConfigureAwait(false) is { } now && now != image.Image.Digest)
                throw new RegistryRefusalException(409, Moved, $"\"{image.Image.WithTag(tag)}\" points to {now} by now: plan again");
        var attached = await registry.ListReferrersAsync(image.Image, cancel: cancel).ConfigureAwait(false);
        var list = await registry.FindDigestAsync(image.Image.WithTag(image.Image.Digest!.Replace(':', '-')), cancel).ConfigureAwait(false);
        // The image first: one that the registry does not let go keeps its provenance, and an index without its parts would be an image that nobody can pull.
        await registry.DeleteManifestAsync(image.Image, cancel).ConfigureAwait(false);
        try
        {
            foreach (var digest in attached.Select(entry => entry.Content.Digest).Append(list).OfType<string>().Concat(image.Parts.Where(part => !needed.Contains(part))))
                await registry.DeleteManifestAsync(image.Image.WithDigest(digest), cancel).ConfigureAwait(false);
        }
        catch (RegistryRefusalException refusal)
        {
            throw new RegistryRefusalException(refusal.Status, Remains, $"\"{image.Image}\" is gone, and not all that belonged to it: {refusal.Message}");
        }
    }

    private static async Task<BranchImage?> ReadAsync(RegistryClient registry, BranchImage image, ImageReference release, CancellationToken cancel)
    {
        try
        {
            if (await registry.FindManifestAsync(image.Image, cancel).ConfigureAwait(false) is not { } manifest) return null;
            // Known even when one of them is missing: the others may have tags of their own, and must stay with it.
            image = image with { Parts = [.. manifest.Entries.Select(entry => entry.Content.Digest)] };
            if (await registry.FindImageAsync(image.Image, cancel).ConfigureAwait(false) is not { } read) return null;
            return image with
            {
                Created = read.Created,
                Source = read.Label(ImageName.SourceLabel),
                Revision = read.Label(ImageName.RevisionLabel),
                KnownAs = read.KnownAs,
                IsReleased = await registry.FindDigestAsync(release.WithDigest(image.Image.Digest!), cancel).ConfigureAwait(false) is not null,
            };
        }
        catch (UnavailableException failure)
        {
            await RequireAnswerAsync(registry, image.Image, cancel).ConfigureAwait(false);
            return image with { Unreadable = failure.Message };
        }
    }

    // One image that is broken is that image's own matter; a registry that is down is not.
    private static Task RequireAnswerAsync(RegistryClient registry, ImageReference repository, CancellationToken cancel) => registry.ListTagsAsync(repository, cancel);

    private static bool IsReferrersTag(string tag) => tag.StartsWith("sha256-", StringComparison.Ordinal) && tag.Length >= 71;
}
