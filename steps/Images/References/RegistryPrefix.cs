using System.Diagnostics.CodeAnalysis;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Where repositories that belong together begin, <c>host[:port][/path]</c>: read once, and normalised as image
/// references are.</summary>
public sealed record RegistryPrefix
{
    private RegistryPrefix(string host, string path) => (Host, Path) = (host, path);

    /// <summary><c>host[:port]</c>; <see cref="ImageReference.DockerHub"/> for all of Docker Hub's names.</summary>
    public string Host { get; }

    /// <summary>Path that its repositories' names begin with; empty when there is none.</summary>
    public string Path { get; }

    /// <summary>Reads a prefix.</summary>
    /// <exception cref="UsageException">The text is not one.</exception>
    public static RegistryPrefix Parse(string text) =>
        TryParse(text, out var prefix, out var why)
            ? prefix
            : throw new UsageException($"\"{Shown(text)}\" is not a registry: {why}");

    /// <summary>A text that was to be a prefix, without the credentials that somebody wrote into it.</summary>
    public static string Shown(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var at = text.Contains("@sha", StringComparison.Ordinal)
            ? text.IndexOf('@', StringComparison.Ordinal)
            : text.LastIndexOf('@');
        return at >= 0
            && text[..at].Contains(':', StringComparison.Ordinal)
            && !text[..at].Contains('/', StringComparison.Ordinal)
            || at >= 0 && text.Contains("://", StringComparison.Ordinal) ? "***" + text[at..] : text;
    }

    /// <summary>Reads a prefix.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="prefix">What was read; null where the text is not one.</param>
    /// <param name="why">What is wrong with the text, when it is not one.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out RegistryPrefix? prefix, out string why)
    {
        prefix = null;
        if (string.IsNullOrEmpty(text))
        {
            why = "it is empty";
            return false;
        }
        if (Mistake(text) is { } mistake)
        {
            why = mistake;
            return false;
        }
        if (text.Contains("://", StringComparison.Ordinal))
        {
            why = "it has a scheme; write host[:port][/prefix]";
            return false;
        }
        if (!ImageReference.IsHost(text.Split('/')[0]))
        {
            why = $"to engines this is a name on Docker Hub, not a host: write {ImageReference.DockerHub}/{text}, or the host "
                + "with its port";
            return false;
        }
        var (host, path) = ImageReference.SplitHost(text + "/x");
        // What a repository below it is called decides: the same rules hold for both.
        if (!ImageReference.TryParse(text + "/x", out _, out why))
        {
            why = ImageReference.WrongHost(host) ?? (why.Contains("longer", StringComparison.Ordinal) ? why
                : $"\"{path[..^2]}\" is not the beginning of a repository's name (small letters and digits, " +
                    "with single \".\", \"_\" "
                    + "and \"-\" inside, and \"/\" between its parts)");
            return false;
        }
        prefix = new RegistryPrefix(host, path.Length > 1 ? path[..^2] : "");
        return true;
    }

    /// <summary>A repository below the prefix.</summary>
    /// <param name="path">Its name from there.</param>
    /// <exception cref="UsageException">It is not a repository's name.</exception>
    public ImageReference Repository(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var reference = ImageReference.Parse($"{this}/{path}");
        return reference.IsRepository ? reference
            : throw new UsageException($"\"{path}\" is not a repository's name: it must have no tag and no digest");
    }

    /// <summary>Whether an image's repository lies below the prefix. Hosts are compared as DNS does, without regard to
    /// case.</summary>
    public bool Holds(ImageReference image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return HasHost(image.Host) && (Path.Length == 0 || image.Path.StartsWith(Path + "/", StringComparison.Ordinal));
    }

    /// <summary>Whether another prefix is the same place or lies below this one.</summary>
    public bool Holds(RegistryPrefix other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return HasHost(other.Host) && (Path.Length == 0 || (other.Path + "/").StartsWith(Path + "/", StringComparison.Ordinal));
    }

    /// <inheritdoc />
    public override string ToString() => Path.Length == 0 ? Host : $"{Host}/{Path}";

    // What people write by mistake, each by its own name; the rest is said by the rules of references.
    private static string? Mistake(string text)
    {
        if (text.Contains("://", StringComparison.Ordinal)) return null;
        if (text.Contains("@sha", StringComparison.Ordinal)) return "it has a digest; take \"@sha…\" away";
        if (text.Contains('@', StringComparison.Ordinal))
            return "it has credentials in it; take them out, and run docker login or set the registry's variables";
        if (text.EndsWith('/')) return "it ends with a slash; take it away";
        var (host, path) = text.IndexOf('/', StringComparison.Ordinal) is var slash and >= 0
            ? (text[..slash], text[(slash + 1)..]) : (text, "");
        if (path.Contains(':', StringComparison.Ordinal)) return "it has a tag; take it away with its colon";
        if (path.Any(char.IsAsciiLetterUpper))
            return $"the path \"{path}\" has capital letters; repositories have small ones only";
        var colon = host.LastIndexOf(':');
        var name = colon < 0 || host.EndsWith(']') ? host : host[..colon];
        if (name.Contains('_', StringComparison.Ordinal) && (path.Length > 0 || colon >= 0))
            return $"the host \"{name}\" has an underscore, which the name of a host cannot have";
        return name.Length < host.Length && host[(colon + 1)..] is var port && port.Length > 0 && port.All(char.IsAsciiDigit)
            && (port.Length > 5 || int.Parse(port, System.Globalization.CultureInfo.InvariantCulture) is 0 or > 65535)
            ? $"the port {port} is not from 1 to 65535" : null;
    }

    private bool HasHost(string host) => string.Equals(Host, host, StringComparison.OrdinalIgnoreCase);
}
