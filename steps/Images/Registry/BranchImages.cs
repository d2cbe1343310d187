namespace CiSteps.Images;

/// <summary>One image of private branches in a registry.</summary>
/// <param name="Image">The image, by digest.</param>
/// <param name="Tags">Its tags.</param>
/// <param name="Created">When it was made; null when it does not say.</param>
/// <param name="KeptBecause">Why it stays; null: it is removed.</param>
public sealed record BranchImage(ImageReference Image, IReadOnlyList<string> Tags, DateTimeOffset? Created, string? KeptBecause);

/// <summary>What must not be removed, whatever its age.</summary>
/// <param name="ReleaseRepositories">Repositories of releases: what any tag there points to is kept.</param>
/// <param name="Commits">Commits of open chains (the tips of private branches, say), in full.</param>
/// <param name="Digests">Digests in use elsewhere, in production for one.</param>
public sealed record ImagesInUse(IReadOnlyCollection<ImageReference> ReleaseRepositories, IReadOnlyCollection<string> Commits, IReadOnlyCollection<string> Digests);

/// <summary>Retention of the images of private branches: what is older than a limit and used by nobody is removed. Layers go when the registry collects its garbage.</summary>
public static class BranchImages
{
    /// <summary>Decides about each image of a repository; removes nothing.</summary>
    /// <param name="registry">The client.</param>
    /// <param name="repository">A repository of private branches.</param>
    /// <param name="inUse">What stays.</param>
    /// <param name="olderThan">What was made before then may go.</param>
    /// <param name="cancel">Gives up.</param>
    public static async Task<IReadOnlyList<BranchImage>> PlanAsync(RegistryClient registry, ImageReference repository, ImagesInUse inUse, DateTimeOffset olderThan, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(inUse);
        if (inUse.ReleaseRepositories.Any(release => release.Repository == repository.Repository))
            throw new Hosting.UsageException($"\"{repository.Repository}\" is a release repository; only images of private branches are removed");
        var released = await ReleasedAsync(registry, inUse.ReleaseRepositories, cancel).ConfigureAwait(false);
        var byDigest = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var tag in await registry.ListTagsAsync(repository, cancel).ConfigureAwait(false))
        {
            // The tag that stands for an image's referrers goes with the image.
            if (IsReferrersTag(tag)) continue;
            if (await registry.FindDigestAsync(repository.WithTag(tag), cancel).ConfigureAwait(false) is not { } digest) continue;
            if (!byDigest.TryGetValue(digest, out var tags)) byDigest[digest] = tags = [];
            tags.Add(tag);
        }
        var images = new List<BranchImage>();
        foreach (var (digest, tags) in byDigest.OrderBy(pair => pair.Value[0], StringComparer.Ordinal))
        {
            var image = repository.WithDigest(digest);
            var created = (await registry.FindImageAsync(image, cancel).ConfigureAwait(false))?.Created;
            images.Add(new BranchImage(image, tags, created, Keep(digest, tags, created, inUse, released, olderThan)));
        }
        return images;
    }

    /// <summary>Removes an image with its tags and what is attached to it.</summary>
    /// <exception cref="RegistryRefusalException">The registry does not allow it.</exception>
    public static async Task RemoveAsync(RegistryClient registry, BranchImage image, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(image);
        if (image.KeptBecause is not null) throw new ArgumentException($"{image.Image} is kept: {image.KeptBecause}", nameof(image));
        // A tag that moved to this digest, or away from it, since the plan was made changes what removing it means.
        foreach (var tag in image.Tags)
            if (await registry.FindDigestAsync(image.Image.WithTag(tag), cancel).ConfigureAwait(false) is { } now && now != image.Image.Digest)
                throw new RegistryRefusalException(409, "MOVED", $"\"{image.Image.WithTag(tag)}\" points to {now} by now: plan again");
        foreach (var attached in await registry.ListReferrersAsync(image.Image, cancel: cancel).ConfigureAwait(false))
            await registry.DeleteManifestAsync(image.Image.WithDigest(attached.Content.Digest), cancel).ConfigureAwait(false);
        if (await registry.FindDigestAsync(image.Image.WithTag(image.Image.Digest!.Replace(':', '-')), cancel).ConfigureAwait(false) is { } list)
            await registry.DeleteManifestAsync(image.Image.WithDigest(list), cancel).ConfigureAwait(false);
        await registry.DeleteManifestAsync(image.Image, cancel).ConfigureAwait(false);
    }

    private static async Task<Dictionary<string, string>> ReleasedAsync(RegistryClient registry, IEnumerable<ImageReference> repositories, CancellationToken cancel)
    {
        var released = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var repository in repositories)
            foreach (var tag in await registry.ListTagsAsync(repository, cancel).ConfigureAwait(false))
                if (!IsReferrersTag(tag) && await registry.FindDigestAsync(repository.WithTag(tag), cancel).ConfigureAwait(false) is { } digest) released.TryAdd(digest, repository.WithTag(tag).ToString());
        return released;
    }

    private static string? Keep(string digest, List<string> tags, DateTimeOffset? created, ImagesInUse inUse, Dictionary<string, string> released, DateTimeOffset olderThan)
    {
        if (released.TryGetValue(digest, out var release)) return $"released as {release}";
        if (inUse.Digests.Contains(digest)) return "in use";
        foreach (var tag in tags)
        {
            var hash = tag[(tag.LastIndexOf('-') + 1)..];
            if (hash.Length >= 7 && inUse.Commits.FirstOrDefault(commit => commit.StartsWith(hash, StringComparison.OrdinalIgnoreCase)) is { } commit) return $"of an open chain ({commit[..Math.Min(12, commit.Length)]})";
        }
        if (created is null) return "its age is not known";
        return created >= olderThan ? "not old enough" : null;
    }

    private static bool IsReferrersTag(string tag) => tag.StartsWith("sha256-", StringComparison.Ordinal) && tag.Length >= 71;
}
