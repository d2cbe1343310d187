using System.Text.RegularExpressions;

namespace CiSteps.Sandbox.Pods;

/// <summary>An image reference as a pod writes it, with the default tag applied.</summary>
/// <param name="Registry">Host of the registry, "docker.io" when none is written.</param>
/// <param name="Repository">Registry (where written) and path, without tag and digest.</param>
/// <param name="Tag">Null when only a digest is written.</param>
/// <param name="Digest">"sha256:…", or null.</param>
internal sealed partial record ImageName(string Registry, string Repository, string? Tag, string? Digest)
{
    /// <summary>The reference to pull and to find.</summary>
    public string Full => Digest is not null ? $"{Repository}@{Digest}" : $"{Repository}:{Tag}";

    /// <summary>Null for what the reference grammar does not allow, such as capitals in the path.</summary>
    public static ImageName? Parse(string text)
    {
        var match = Grammar().Match(text);
        if (!match.Success)
            return null;
        var repository = match.Groups["repository"].Value;
        var first = repository.Split('/')[0];
        var hasHost = repository.Contains('/') && (first.Contains('.') || first.Contains(':') || first == "localhost");
        // Only a host may have capitals or a port.
        if (hasHost ? !Path().IsMatch(repository[(first.Length + 1)..]) : !Path().IsMatch(repository))
            return null;
        var digest = match.Groups["digest"] is { Success: true } d ? d.Value : null;
        var tag = match.Groups["tag"] is { Success: true } t ? t.Value : digest is null ? "latest" : null;
        return new(hasHost ? first : "docker.io", repository, tag, digest);
    }

    [GeneratedRegex(
        @"^(?<repository>[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]+(?=/))?(?:/[A-Za-z0-9._-]+)*)" +
        @"(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?<digest>[a-z0-9]+:[0-9a-f]{32,}))?$",
        RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();

    [GeneratedRegex(
        @"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$", RegexOptions.CultureInvariant)]
    private static partial Regex Path();
}
