using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Pruning;

/// <summary>What must not be removed, whatever its age.</summary>
/// <param name="Repository">The repository whose branches are known.</param>
/// <param name="Tips">Tips of the origin's branches, with the branch: their chains may run, or may be run again.</param>
/// <param name="Chains">Chains that hold testbeds, as <see cref="ClaimNames.ChainOf"/> names them.</param>
/// <param name="Production">What production names: digests and <c>repository:tag</c>, with where.</param>
/// <param name="Named">What the pipeline file names, in the same form, with who names it.</param>
internal sealed record ImagesInUse(
    string Repository,
    IReadOnlyDictionary<string, string> Tips,
    IReadOnlySet<string> Chains,
    IReadOnlyDictionary<string, string> Production,
    IReadOnlyDictionary<string, string> Named);

/// <summary>The decision for one image.</summary>
/// <param name="Image">Digest with all its tags.</param>
/// <param name="KeptBecause">Why it stays; null: it goes.</param>
internal sealed record PruneDecision(BranchImage Image, string? KeptBecause)
{
    /// <summary>The same for people.</summary>
    public string Text =>
        $"{(KeptBecause is null ? "remove" : "keep")} {Image.Image.Repository}:{string.Join(", ", Image.Tags)} " +
        $"({Image.Image.Digest ?? "digest not known"}" +
        (Image.Created is { } created ? $", made {created.UtcDateTime:yyyy-MM-dd}" : "") + ")" +
        (KeptBecause is null ? "" : ": " + KeptBecause);
}

/// <summary>Which images of private branches go. A pure function of what was read.</summary>
/// <param name="Decisions">One per image.</param>
internal sealed record PrunePlan(IReadOnlyList<PruneDecision> Decisions)
{
    /// <summary>What goes.</summary>
    public IReadOnlyList<BranchImage> Removed =>
        [.. Decisions.Where(decision => decision.KeptBecause is null).Select(decision => decision.Image)];

    /// <summary>Manifests that images which stay are made of.</summary>
    public IReadOnlySet<string> Needed => Decisions.Where(decision => decision.KeptBecause is not null)
        .SelectMany(decision => decision.Image.Parts.Append(decision.Image.Image.Digest))
            .OfType<string>()
            .ToHashSet(StringComparer.Ordinal);

    /// <summary>Decides of each image whether it goes or stays, and why.</summary>
    /// <param name="images">All images of the repositories of private branches.</param>
    /// <param name="inUse">What stays.</param>
    /// <param name="madeBefore">What was made before then may go.</param>
    /// <param name="registry">The pipeline's registry: nodes may know an image by its other name.</param>
    public static PrunePlan For(IReadOnlyList<BranchImage> images, ImagesInUse inUse, DateTimeOffset madeBefore,
        RegistryPair registry)
    {
        var decisions = images.Select(image => new PruneDecision(image, Keep(image, inUse, madeBefore, registry))).ToList();
        // What an index that stays is made of stays too, although it has a tag of its own.
        while (true)
        {
            var needed = new PrunePlan(decisions).Needed;
            var at = decisions.FindIndex(
                decision => decision.KeptBecause is null && needed.Contains(decision.Image.Image.Digest!));
            if (at < 0) return new PrunePlan(decisions);
            decisions[at] = decisions[at] with { KeptBecause = "part of an image that stays" };
        }
    }

    private static string? Keep(BranchImage image, ImagesInUse inUse, DateTimeOffset madeBefore, RegistryPair registry)
    {
        if (image.Unreadable is { } why) return $"it cannot be read: {why}";
        if (image.Created is not { } created) return "its age is not known";
        if (created >= madeBefore) return "not old enough";
        if (image.IsReleased) return "released: the release repository has the very same image";
        foreach (var name in Names(image, registry))
        {
            if (inUse.Production.TryGetValue(name, out var where)) return $"production uses it ({where})";
            if (inUse.Named.TryGetValue(name, out var who)) return $"the pipeline file names it ({who})";
        }
        foreach (var tag in image.Tags)
        {
            var hash = tag[(tag.LastIndexOf('-') + 1)..];
            // The label has the whole id; a tag's few digits do where it is missing.
            foreach (var (branch, tip) in inUse.Tips)
                if (tip == image.Revision || (hash.Length >= 7 && tip.StartsWith(hash, StringComparison.OrdinalIgnoreCase)))
                    return $"built from the tip of \"{branch}\", whose chain may be open";
            if (image is { Source: { } source, Revision: { } revision } && BuildOf(tag) is { } build
                && inUse.Chains.Contains(ClaimNames.ChainOf(new RunIdentity(source, "", false, revision, build, false))))
                return $"the chain of build {build} is open: it holds testbeds";
        }
        // Branches of another repository may be at this commit, and nobody here can ask it.
        if (image.Source is { } other && other != inUse.Repository) return $"built from another repository ({other})";
        return null;
    }

    private static IEnumerable<string> Names(BranchImage image, RegistryPair registry)
    {
        foreach (var digest in image.KnownAs.Concat(image.Parts).Append(image.Image.Digest!)) yield return digest;
        foreach (var tag in image.Tags)
        {
            var name = image.Image.WithTag(tag);
            yield return name.ToString();
            yield return registry.ToPull(name).ToString();
        }
    }

    // "1.0-dev.7-abc…" is of build "0-dev.7".
    private static string? BuildOf(string tag)
    {
        var (dot, dash) = (tag.IndexOf('.', StringComparison.Ordinal), tag.LastIndexOf('-'));
        return dot > 0 && dash > dot + 1 ? tag[(dot + 1)..dash] : null;
    }
}
