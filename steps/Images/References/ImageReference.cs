using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>An image's name as Docker and Kubernetes write it: <c>[host[:port]/]path[:tag][@digest]</c>. Names without a host are Docker Hub's.</summary>
public sealed partial record ImageReference
{
    /// <summary>Host of names that give none.</summary>
    public const string DockerHub = "docker.io";

    private const int LongestName = 255;

    private ImageReference(string host, string path, string? tag, string? digest) => (Host, Path, Tag, Digest) = (host, path, tag, digest);

    /// <summary><c>host[:port]</c> of the registry.</summary>
    public string Host { get; }

    /// <summary>Path within the registry; <c>library/</c> is put before single names of Docker Hub.</summary>
    public string Path { get; }

    /// <summary>The tag, if one is given.</summary>
    public string? Tag { get; }

    /// <summary>The digest, <c>sha256:…</c>, if one is given.</summary>
    public string? Digest { get; }

    /// <summary><c>host/path</c>.</summary>
    public string Repository => $"{Host}/{Path}";

    /// <summary>What a registry is asked for: the digest, else the tag, else <c>latest</c>.</summary>
    public string Target => Digest ?? Tag ?? "latest";

    /// <summary>Reads a reference.</summary>
    /// <exception cref="UsageException">It is none.</exception>
    public static ImageReference Parse(string text) =>
        TryParse(text, out var reference, out var why) ? reference : throw new UsageException($"\"{text}\" is no image reference: {why}");

    /// <summary>Reads a reference.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="reference">The reference.</param>
    /// <param name="why">What is wrong with the text, when it is none.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out ImageReference? reference, out string why)
    {
        reference = null;
        if (string.IsNullOrEmpty(text))
        {
            why = "it is empty";
            return false;
        }
        var rest = text;
        string? digest = null, tag = null;
        if (rest.IndexOf('@', StringComparison.Ordinal) is var at and >= 0)
        {
            (rest, digest) = (rest[..at], rest[(at + 1)..]);
            if (!IsDigest(digest))
            {
                why = $"\"{digest}\" is no digest (sha256: and 64 hexadecimal digits)";
                return false;
            }
        }
        // A colon behind the last slash starts a tag; one before it belongs to the port.
        if (rest.LastIndexOf(':') is var colon and >= 0 && colon > rest.LastIndexOf('/'))
        {
            (rest, tag) = (rest[..colon], rest[(colon + 1)..]);
            if (!IsTag(tag))
            {
                why = $"\"{tag}\" is no tag (letters, digits, \"_\", \".\" and \"-\", at most 128, not starting with \".\" or \"-\")";
                return false;
            }
        }
        var (host, path) = SplitHost(rest);
        if (!HostForm().IsMatch(host))
        {
            why = $"\"{host}\" is no host name";
            return false;
        }
        if (!PathForm().IsMatch(path))
        {
            why = path.Any(char.IsAsciiLetterUpper) ? $"the repository name \"{path}\" has capital letters" : $"\"{path}\" is no repository name";
            return false;
        }
        if (host.Length + 1 + path.Length > LongestName)
        {
            why = $"its name is longer than {LongestName} characters";
            return false;
        }
        if (host == DockerHub && !path.Contains('/', StringComparison.Ordinal)) path = "library/" + path;
        reference = new ImageReference(host, path, tag, digest);
        why = "";
        return true;
    }

    /// <summary>A reference to a repository's digest or tag.</summary>
    /// <param name="repository"><c>host/path</c>.</param>
    /// <param name="target">Tag or digest.</param>
    /// <exception cref="UsageException">The parts make no reference.</exception>
    public static ImageReference Of(string repository, string target) => Parse(repository + (IsDigest(target) ? "@" : ":") + target);

    /// <summary>The same repository with another tag and no digest.</summary>
    public ImageReference WithTag(string tag) => Of(Repository, tag);

    /// <summary>The same repository by digest, without a tag.</summary>
    public ImageReference WithDigest(string digest) => Of(Repository, digest);

    /// <summary>Whether the text is <c>sha256:</c> (or another algorithm) with hexadecimal digits.</summary>
    public static bool IsDigest(string? text) => text is not null && DigestForm().IsMatch(text);

    /// <summary>Whether the text may stand as a tag.</summary>
    public static bool IsTag(string? text) => text is not null && TagForm().IsMatch(text);

    /// <inheritdoc />
    public override string ToString() => Repository + (Tag is null ? "" : ":" + Tag) + (Digest is null ? "" : "@" + Digest);

    private static (string Host, string Path) SplitHost(string name)
    {
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0)
        {
            var first = name[..slash];
            if (first == "localhost" || first.AsSpan().IndexOfAny('.', ':') >= 0)
                return (first is "index.docker.io" or "registry-1.docker.io" ? DockerHub : first, name[(slash + 1)..]);
        }
        return (DockerHub, name);
    }

    [GeneratedRegex(@"^(?:\[[0-9a-fA-F:.]+\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::[0-9]{1,5})?$")]
    private static partial Regex HostForm();

    [GeneratedRegex("^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$")]
    private static partial Regex PathForm();

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
    private static partial Regex TagForm();

    [GeneratedRegex("^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")]
    private static partial Regex DigestForm();
}
