using System.Globalization;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>An engine's address in parts, as docker's client reads it.</summary>
/// <param name="Scheme"><c>unix</c>, <c>npipe</c>, <c>tcp</c>, <c>http</c>, <c>https</c> or <c>ssh</c>.</param>
/// <param name="User">The user of ssh; empty: ssh's own choice.</param>
/// <param name="Host">Name or address without brackets; empty for sockets and pipes.</param>
/// <param name="Port">0: none.</param>
/// <param name="Path">A socket's path, a pipe's name, the path before the API's own, or the socket on ssh's other side.</param>
internal sealed record EngineAddress(string Scheme, string User, string Host, int Port, string Path)
{
    private const int PlainPort = 2375;
    private const int TlsPort = 2376;
    private const string PipeFolder = "./pipe/";

    /// <summary>Whether certificates may be spoken of: never on a socket, a pipe or ssh.</summary>
    public bool MayBeTls => Scheme is "tcp" or "https";

    /// <summary>Whether it is a socket of this machine.</summary>
    public bool IsLocal => Scheme is "unix" or "npipe" || (Scheme != "ssh" && AsUri().IsLoopback);

    /// <summary>Reads an address.</summary>
    /// <param name="text">With a scheme, or <c>host:port</c>.</param>
    /// <param name="source">Where it stands, for the message.</param>
    /// <param name="isTls">Whether TLS is configured, which has another usual port.</param>
    /// <exception cref="UsageException">It is not an engine's address.</exception>
    public static EngineAddress Parse(string text, string source, bool isTls)
    {
        if (text.StartsWith('/')) throw Refusal(text, source, $"write unix://{text}", isAdvised: true);
        var cut = text.IndexOf("://", StringComparison.Ordinal);
        var (scheme, rest) = cut < 0 ? ("tcp", text) : (text[..cut].ToLowerInvariant(), text[(cut + 3)..]);
        return scheme switch
        {
            "unix" when rest.Length == 0 => new("unix", "", "", 0, EngineLocation.DefaultSocket),
            "unix" when rest.StartsWith('/') => new("unix", "", "", 0, rest),
            "unix" => throw Refusal(text, source, "the path of a socket has to be absolute"),
            "npipe" when !OperatingSystem.IsWindows() => throw Refusal(text, source, "named pipes are there on Windows only"),
            "npipe" when Pipe(rest) is { Length: > 0 } pipe => new("npipe", "", "", 0, pipe),
            "ssh" => Ssh(text, source),
            "tcp" or "http" or "https" =>
                Network(scheme, rest.Length == 0 ? "localhost" : rest, text, source, isTls || scheme == "https"),
            _ => throw Refusal(text, source, $"\"{scheme}://\" cannot be connected to"),
        };
    }

    /// <summary>As docker's own client takes it in <c>DOCKER_HOST</c>; it knows <c>http</c> and <c>https</c> as <c>tcp</c>
    /// only.</summary>
    public string ForClient() => Scheme is "http" or "https" ? (this with { Scheme = "tcp" }).ToString() : ToString();

    /// <summary>As the library that speaks to the engine takes it.</summary>
    public Uri AsUri() => new(Scheme switch
    {
        "unix" => "unix://" + string.Join('/', Path.Split('/').Select(Uri.EscapeDataString)),
        "npipe" => "npipe://" + PipeFolder + Path,
        _ => ToString(),
    });

    /// <inheritdoc />
    public override string ToString()
    {
        if (Scheme == "unix") return "unix://" + Path;
        if (Scheme == "npipe") return $"npipe:////{PipeFolder}{Path}";
        var host = Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host;
        var port = Port == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $":{Port}");
        return $"{Scheme}://{(User.Length > 0 ? User + "@" : "")}{host}{port}{Path}";
    }

    // npipe:////./pipe/docker_engine is docker's way to write it, npipe://./pipe/docker_engine is met too.
    private static string Pipe(string rest)
    {
        var path = rest.TrimStart('/').Replace('\\', '/');
        return path.StartsWith(PipeFolder, StringComparison.OrdinalIgnoreCase) ? path[PipeFolder.Length..] : "";
    }

    private static EngineAddress Network(string scheme, string rest, string text, string source, bool isTls)
    {
        if (rest.Any(char.IsWhiteSpace) || !Uri.TryCreate("tcp://" + rest, UriKind.Absolute, out var uri) || uri.Host.Length == 0
            || uri.UserInfo.Length > 0 || uri.Query.Length > 0 || uri.Fragment.Length > 0)
            throw Refusal(text, source, "it has to be a host and a port");
        var port = uri.Port > 0 ? uri.Port : scheme == "http" ? 80 : scheme == "https" ? 443 : isTls ? TlsPort : PlainPort;
        return new EngineAddress(scheme, "", uri.Host.Trim('[', ']'), port, uri.AbsolutePath.TrimEnd('/'));
    }

    private static EngineAddress Ssh(string text, string source)
    {
        if (text.Any(char.IsWhiteSpace) || !Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0)
            throw Refusal(text, source, "behind \"ssh://\" comes a host");
        // The password stands in the address: it is not repeated.
        if (uri.UserInfo.Contains(':', StringComparison.Ordinal))
        {
            throw new UsageException($"the ssh address of the container engine in {source} has a password in it: "
                + "take it out, and give ssh a key");
        }
        if (uri.Query.Length > 0 || uri.Fragment.Length > 0)
            throw Refusal(text, source, "an ssh address has neither a query nor a fragment");
        var user = Uri.UnescapeDataString(uri.UserInfo);
        // ssh would read either as an option of its own.
        if (user.StartsWith('-') || uri.Host.StartsWith('-'))
            throw Refusal(text, source, "neither user nor host begins with \"-\"");
        var path = Uri.UnescapeDataString(uri.AbsolutePath);
        if (path.Trim('/').Length == 0) path = "";
        return new EngineAddress("ssh", user, uri.Host.Trim('[', ']'), Math.Max(uri.Port, 0), path);
    }

    private static UsageException Refusal(string text, string source, string why, bool isAdvised = false) => new(
        $"\"{text}\" is not an address of a container engine ({source}): {why}"
            + (isAdvised ? "" : "; write unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host"));
}
