using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// An image's name as engines and clusters read it (the grammar of the distribution project):
/// <c>[host[:port]/]path[:tag][@digest]</c>.
/// The first part is a host when it has a dot, a colon or a capital letter, or is <c>localhost</c>; all other names are Docker
/// Hub's.
/// </summary>
public sealed partial record ImageReference
{
    /// <summary>Host of names that give none.</summary>
    public const string DockerHub = "docker.io";

    // The registry's limit on a repository's name; the host does not count.
    private const int LongestPath = 255;

    private ImageReference(string host, string path, string? tag, string? digest) =>
        (Host, Path, Tag, Digest) = (host, path, tag, digest);

    /// <summary><c>host[:port]</c> as it is written; <c>index.docker.io</c> is <see cref="DockerHub"/>.</summary>
    public string Host { get; }

    /// <summary>Path within the registry; <c>library/</c> is put before single names of Docker Hub.</summary>
    public string Path { get; }

    /// <summary>The tag, if one is given.</summary>
    public string? Tag { get; }

    /// <summary>The digest, <c>sha256:…</c> (or sha384, sha512), if one is given.</summary>
    public string? Digest { get; }

    /// <summary><c>host/path</c>.</summary>
    public string Repository => $"{Host}/{Path}";

    /// <summary>What a registry is asked for: the digest, else the tag, else <c>latest</c>.</summary>
    public string TagOrDigest => Digest ?? Tag ?? "latest";

    /// <summary>Whether it names a repository alone, without a tag and without a digest.</summary>
    public bool IsRepository => Tag is null && Digest is null;

    /// <summary>Reads a reference.</summary>
    /// <exception cref="UsageException">The text is not one.</exception>
    public static ImageReference Parse(string text) =>
        TryParse(text, out var reference, out var why) ? reference
            : throw new UsageException($"\"{text}\" is not an image reference: {why}");

    /// <summary>Reads a reference.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="reference">What was read; null where the text is not one.</param>
    /// <param name="why">What is wrong with the text, when it is not one.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out ImageReference? reference, out string why)
    {
        reference = null;
        if (string.IsNullOrEmpty(text))
        {
            why = "it is empty";
            return false;
        }
        if (IdentifierForm().IsMatch(text))
        {
            why = "64 hexadecimal digits alone are an engine's name for an image that it has, not a repository";
            return false;
        }
        var rest = text;
        string? digest = null, tag = null;
        if (rest.IndexOf('@', StringComparison.Ordinal) is var at and >= 0)
        {
            (rest, digest) = (rest[..at], rest[(at + 1)..]);
            if (!IsDigest(digest))
            {
                why = $"\"{digest}\" is not a digest (sha256: and 64 hexadecimal digits in small letters, sha384: and 96, or "
                    + "sha512: and 128)";
                return false;
            }
        }
        // A colon behind the last slash starts a tag; one before it belongs to the port.
        if (rest.LastIndexOf(':') is var colon and >= 0 && colon > rest.LastIndexOf('/'))
        {
            (rest, tag) = (rest[..colon], rest[(colon + 1)..]);
            if (!IsTag(tag))
            {
                why = $"\"{tag}\" is not a tag (letters, digits, \"_\", \".\" and \"-\", at most 128, not starting with \".\" "
                    + "or \"-\")";
                return false;
            }
        }
        var (host, path) = SplitHost(rest);
        if (WrongHost(host) is { } wrong)
        {
            why = wrong;
            return false;
        }
        if (!PathForm().IsMatch(path))
        {
            why = path.Any(char.IsAsciiLetterUpper) ? $"the repository name \"{path}\" has capital letters"
                : $"\"{path}\" is not a repository name";
            return false;
        }
        if (host == DockerHub && !path.Contains('/', StringComparison.Ordinal)) path = "library/" + path;
        if (path.Length > LongestPath)
        {
            why = $"its name is longer than {LongestPath} characters, the host left out";
            return false;
        }
        reference = new ImageReference(host, path, tag, digest);
        why = "";
        return true;
    }

    /// <summary>A reference to a repository's digest or tag.</summary>
    /// <param name="repository"><c>host/path</c>.</param>
    /// <param name="target">Tag or digest.</param>
    /// <exception cref="UsageException">The parts make no reference.</exception>
    public static ImageReference Of(string repository, string target) =>
        Parse(repository + (IsDigest(target) ? "@" : ":") + target);

    /// <summary>The same repository with another tag and no digest.</summary>
    public ImageReference WithTag(string tag) => Of(Repository, tag);

    /// <summary>The same repository by digest, without a tag.</summary>
    public ImageReference WithDigest(string digest) => Of(Repository, digest);

    /// <summary>Whether the text is an algorithm that registries know (sha256, sha384, sha512) with as many hexadecimal digits
    /// as it has.</summary>
    public static bool IsDigest(string? text) => text is not null && DigestForm().IsMatch(text);

    /// <summary>Whether the text may stand as a tag.</summary>
    public static bool IsTag(string? text) => text is not null && TagForm().IsMatch(text);

    /// <inheritdoc />
    public override string ToString() => Repository + Ending;

    internal string Ending => (Tag is null ? "" : ":" + Tag) + (Digest is null ? "" : "@" + Digest);

    // A digest's algorithm and its hexadecimal digits.
    internal static (string Algorithm, string Digits) PartsOf(string digest)
    {
        ArgumentNullException.ThrowIfNull(digest);
        var colon = digest.IndexOf(':', StringComparison.Ordinal);
        return (digest[..Math.Max(0, colon)], digest[(colon + 1)..]);
    }

    internal static bool IsHost(string first) =>
        first == "localhost" || first.AsSpan().IndexOfAny('.', ':') >= 0 || first.Any(char.IsUpper);

    internal static (string Host, string Path) SplitHost(string name)
    {
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        if (slash <= 0 || !IsHost(name[..slash])) return (DockerHub, name);
        var first = name[..slash];
        return (first == "index.docker.io" ? DockerHub : first, name[(slash + 1)..]);
    }

    // What the grammar lets through and no address can be made of is refused here: else each caller meets it in its own way.
    internal static string? WrongHost(string host)
    {
        if (HostForm().Match(host) is not { Success: true } form) return $"\"{host}\" is not a host name";
        if (form.Groups["port"] is { Success: true } port
            && !ushort.TryParse(port.Value, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            return $"\"{port.Value}\" is not a port (0 to 65535)";
        if (form.Groups["address"] is { Success: true } six
            && !(IPAddress.TryParse(six.Value, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6))
            return $"\"{six.Value}\" is not an IPv6 address";
        return null;
    }

    [GeneratedRegex(
        @"^(?:\[(?<address>[0-9a-fA-F:]+)\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
        + @"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::(?<port>[0-9]+))?\z")]
    private static partial Regex HostForm();

    [GeneratedRegex(@"^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\z")]
    private static partial Regex PathForm();

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z")]
    private static partial Regex TagForm();

    [GeneratedRegex(@"^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\z")]
    private static partial Regex DigestForm();

    [GeneratedRegex(@"^[0-9a-f]{64}\z")]
    private static partial Regex IdentifierForm();
}
