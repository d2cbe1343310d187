using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace CiSteps.Pipeline.Reading;

/// <summary>
/// Registries as the file writes them, <c>host[:port][/prefix]</c>. These are the rules by which images' names are read (the
/// grammar of the distribution project), so that what is accepted here means the same host and the same path to every step and
/// every engine, and what is not is refused in the same words.
/// </summary>
internal static partial class RegistryReading
{
    private const int LongestPath = 255;

    /// <summary>What is wrong with a registry, and what to write instead; null when it is right.</summary>
    public static string? Mistake(string registry)
    {
        if (registry.Contains("://", StringComparison.Ordinal)) return "it has a scheme; write host[:port][/prefix]";
        if (Habit(registry) is { } habit) return habit;
        var (host, path) = Parts(registry);
        if (!IsHost(host))
            return $"to engines this is a name on Docker Hub, not a host: write docker.io/{registry}, or the host with its port";
        if (WrongHost(host) is { } wrong) return wrong;
        if (path.Length + "/x".Length > LongestPath)
            return $"its name is longer than {LongestPath} characters, the host left out";
        return host == registry || ValueReading.IsRepositoryPath(path) ? null
            : $"\"{path}\" is not the beginning of a repository's name (small letters and digits, with single \".\", \"_\" "
                + "and \"-\" inside, and \"/\" between its parts)";
    }

    // What people write by mistake, each by its own name.
    private static string? Habit(string registry)
    {
        if (registry.Contains("@sha", StringComparison.Ordinal)) return "it has a digest; take \"@sha…\" away";
        if (registry.Contains('@', StringComparison.Ordinal))
            return "it has credentials in it; take them out, and run docker login or set the registry's variables";
        if (registry.EndsWith('/')) return "it ends with a slash; take it away";
        var (host, path) = Parts(registry);
        if (path.Contains(':', StringComparison.Ordinal)) return "it has a tag; take it away with its colon";
        if (path.Any(char.IsAsciiLetterUpper))
            return $"the path \"{path}\" has capital letters; repositories have small ones only";
        var colon = host.LastIndexOf(':');
        var name = colon < 0 || host.EndsWith(']') ? host : host[..colon];
        if (name.Contains('_', StringComparison.Ordinal) && (path.Length > 0 || colon >= 0))
            return $"the host \"{name}\" has an underscore, which the name of a host cannot have";
        return name.Length < host.Length && host[(colon + 1)..] is var port && port.Length > 0 && port.All(char.IsAsciiDigit)
            && (port.Length > 5 || int.Parse(port, CultureInfo.InvariantCulture) is 0 or > ushort.MaxValue)
            ? $"the port {port} is not from 1 to {ushort.MaxValue}" : null;
    }

    private static bool IsHost(string host) =>
        host == "localhost" || host.AsSpan().IndexOfAny('.', ':') >= 0 || host.Any(char.IsUpper);

    private static string? WrongHost(string host)
    {
        if (HostForm().Match(host) is not { Success: true } found) return $"\"{host}\" is not a host name";
        return found.Groups["address"] is { Success: true } six
            && !(IPAddress.TryParse(six.Value, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6)
            ? $"\"{six.Value}\" is not an IPv6 address" : null;
    }

    private static (string Host, string Path) Parts(string registry) =>
        registry.IndexOf('/', StringComparison.Ordinal) is var slash and >= 0
            ? (registry[..slash], registry[(slash + 1)..]) : (registry, "");

    [GeneratedRegex(
        @"^(?:\[(?<address>[0-9a-fA-F:]+)\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
        + @"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::[0-9]+)?\z")]
    private static partial Regex HostForm();
}
