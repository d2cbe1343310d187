using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// How the chain names images: <c>&lt;registry&gt;/[&lt;branch
/// prefix&gt;/]&lt;service&gt;:&lt;major&gt;.&lt;build&gt;-&lt;hash&gt;</c>, and the tags that certify and promote write.
/// </summary>
public static class ImageName
{
    /// <summary>Label with the commit that an image was built from.</summary>
    public const string RevisionLabel = "org.opencontainers.image.revision";

    /// <summary>Label with the tag that an image was built as.</summary>
    public const string VersionLabel = "org.opencontainers.image.version";

    /// <summary>Label with the repository that an image was built from.</summary>
    public const string SourceLabel = "org.opencontainers.image.source";

    /// <summary>Label with the commit's time.</summary>
    public const string CreatedLabel = "org.opencontainers.image.created";

    /// <summary>Label with the component's name.</summary>
    public const string TitleLabel = "org.opencontainers.image.title";

    /// <summary>Label with a fingerprint of all that an image was built from: files, parameters, base images.</summary>
    public const string InputsLabel = "dev.cisteps.inputs";

    /// <summary>
    /// Label with the outside images that an image was built on, as JSON from reference to digest; what provenance is made from
    /// when it was not attached at once.
    /// </summary>
    public const string BasesLabel = "dev.cisteps.bases";

    /// <summary>A component's repository.</summary>
    /// <param name="registry"><c>host[:port][/prefix]</c>.</param>
    /// <param name="branchPrefix">Path for images of private branches, such as <c>ci</c>.</param>
    /// <param name="service">The component's name.</param>
    /// <param name="isDefaultBranch">Whether the image is of the branch that releases come from.</param>
    /// <exception cref="UsageException">The parts make no repository name.</exception>
    public static ImageReference Repository(string registry, string branchPrefix, string service, bool isDefaultBranch)
    {
        ArgumentNullException.ThrowIfNull(registry);
        ArgumentNullException.ThrowIfNull(branchPrefix);
        var prefix = branchPrefix.Trim('/');
        var place = RegistryPrefix.Parse(registry);
        try
        {
            return place.Repository((isDefaultBranch || prefix.Length == 0 ? "" : prefix + "/") + service);
        }
        catch (UsageException wrong)
        {
            throw new UsageException($"the registry \"{registry}\" and the component \"{service}\" make no image repository: "
                + $"{wrong.Message}", wrong);
        }
    }

    /// <summary>An image's own tag, <c>&lt;major&gt;.&lt;build&gt;-&lt;hash&gt;</c>.</summary>
    /// <exception cref="UsageException">The build number does not fit into a tag.</exception>
    public static string BuildTag(int major, string buildNumber, string shortCommit) =>
        Checked($"{major}.{buildNumber}-{shortCommit}", buildNumber);

    /// <summary>A certified version's tag, <c>&lt;major&gt;.&lt;build&gt;</c>, written once.</summary>
    /// <exception cref="UsageException">The build number does not fit into a tag.</exception>
    public static string VersionTag(int major, string buildNumber) => Checked($"{major}.{buildNumber}", buildNumber);

    /// <summary>The tag that marks what is ready for production, <c>&lt;major&gt;-production</c>; it moves.</summary>
    public static string ProductionTag(int major) => $"{major}-production";

    /// <summary>
    /// The tag under which registries without the referrers API list what refers to a digest. The distribution specification cuts
    /// the algorithm to 32 characters and the digits to 64, as a tag has at most 128.
    /// </summary>
    public static string ReferrersTag(string digest)
    {
        var (algorithm, digits) = ImageReference.PartsOf(digest);
        return $"{algorithm[..Math.Min(32, algorithm.Length)]}-{digits[..Math.Min(64, digits.Length)]}";
    }

    /// <summary>The tag that marks a digest that must not be certified or promoted again; it points to that digest.</summary>
    public static string BarredTag(string digest)
    {
        var digits = ImageReference.PartsOf(digest).Digits;
        return "barred-" + digits[..Math.Min(32, digits.Length)];
    }

    private static string Checked(string tag, string buildNumber) => ImageReference.IsTag(tag)
        ? tag
        : throw new UsageException(
            $"the build number \"{buildNumber}\" makes no image tag (\"{tag}\"): use letters, digits, \".\", " +
            "\"_\" and \"-\" in the build number format, at most 128 characters in all");
}
