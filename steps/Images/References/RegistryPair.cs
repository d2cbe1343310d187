using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>A pipeline's registry under its two names: steps push to one, cluster nodes pull the same images from the
/// other.</summary>
/// <param name="Push">Where steps push to; null when the pipeline has no registry.</param>
/// <param name="Pull">Where nodes pull from; null when the pipeline has no registry.</param>
public sealed record RegistryPair(RegistryPrefix? Push, RegistryPrefix? Pull)
{
    /// <summary>Reads both names; empty ones stand for a pipeline without a registry.</summary>
    /// <exception cref="UsageException">One is not <c>host[:port][/path]</c>.</exception>
    public static RegistryPair Parse(string push, string pull)
    {
        var first = string.IsNullOrEmpty(push) ? null : RegistryPrefix.Parse(push);
        return new RegistryPair(first, string.IsNullOrEmpty(pull) ? first : RegistryPrefix.Parse(pull));
    }

    /// <summary>The name by which nodes pull an image. What was not pushed below <see cref="Push"/> keeps its name.</summary>
    /// <param name="image">The image as steps name it; tag and digest stay.</param>
    /// <exception cref="UsageException">The name would be too long there.</exception>
    public ImageReference ToPull(ImageReference image)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (Push is null || Pull is null || !Push.Holds(image)) return image;
        // Where nodes pull from a folder of the push prefix, a name that has it is theirs already.
        if (Push.Holds(Pull) && Pull.Holds(image)) return image;
        var path = Push.Path.Length == 0 ? image.Path : image.Path[(Push.Path.Length + 1)..];
        return ImageReference.Parse($"{Pull}/{path}{image.Ending}");
    }

    /// <summary>The same for a name as it is written in a manifest. A text that is not an image reference, or that stays what it
    /// is, comes back as it was.</summary>
    public string ToPull(string image) =>
        ImageReference.TryParse(image, out var reference, out _) && ToPull(reference) is var pulled && pulled != reference
            ? pulled.ToString() : image;
}
