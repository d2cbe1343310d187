using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// Which proxy a registry is reached by, decided for each registry as docker's client and other Go programs do: HTTPS_PROXY for
/// https and HTTP_PROXY for http, unless NO_PROXY names the host, a domain above it, its address or its network, each with a
/// port or without. .NET's own rules know neither ports nor networks there, read ALL_PROXY, and send "localhost" to a proxy,
/// which knows another one.
/// </summary>
internal sealed class RegistryProxies : IWebProxy
{
    private readonly Uri? https;
    private readonly Uri? http;
    private readonly IReadOnlyList<NoProxyEntry> except;

    private RegistryProxies(Uri? https, Uri? http, IReadOnlyList<NoProxyEntry> except)
    {
        (this.https, this.http, this.except) = (https, http, except);
        Credentials = new InAddress([.. new[] { https, http }.OfType<Uri>()]);
    }

    /// <summary>User and password, where a proxy's address has them.</summary>
    public ICredentials? Credentials { get; set; }

    /// <summary>The proxies of an environment. A name in capital letters counts before the same in small ones.</summary>
    /// <exception cref="UsageException">A variable is not the address of a proxy.</exception>
    public static RegistryProxies Of(IReadOnlyDictionary<string, string> environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return new RegistryProxies(Address("HTTPS_PROXY"), Address("HTTP_PROXY"), NoProxyEntry.ParseAll(Find("NO_PROXY").Value));

        (string Name, string Value) Find(string name)
        {
            var small = name.ToLowerInvariant();
            return environment.GetValueOrDefault(name) is { Length: > 0 } value ? (name, value)
                : (small, environment.GetValueOrDefault(small) ?? "");
        }

        Uri? Address(string name)
        {
            var (found, value) = Find(name);
            if (value.Length == 0) return null;
            if (Uri.TryCreate(value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" or "socks5")
                return address;
            if (!value.Contains("://", StringComparison.Ordinal)
                && Uri.TryCreate("http://" + value, UriKind.Absolute, out address)) return address;
            // The value may have a password: it is not quoted.
            throw new UsageException($"{found} is not the address of a proxy: write http://host:port (https and socks5 are "
                + "known too), or take it away");
        }
    }

    /// <inheritdoc/>
    public Uri? GetProxy(Uri destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var proxy = destination.Scheme == "https" ? https : http;
        return proxy is null || IsExcepted(destination) ? null : proxy;
    }

    /// <inheritdoc/>
    public bool IsBypassed(Uri host) => GetProxy(host) is null;

    private bool IsExcepted(Uri destination)
    {
        var host = destination.IdnHost.ToLowerInvariant();
        var address = NoProxyEntry.Address(host);
        if (host == "localhost" || (address is not null && IPAddress.IsLoopback(address))) return true;
        return except.Any(entry => entry.Covers(host, address, destination.Port));
    }

    private sealed class InAddress(IReadOnlyList<Uri> proxies) : ICredentials
    {
        private readonly FrozenDictionary<string, NetworkCredential> known = proxies.Where(proxy => proxy.UserInfo.Length > 0)
            .GroupBy(proxy => proxy.Authority).ToFrozenDictionary(group => group.Key, group => Of(group.First().UserInfo));

        public NetworkCredential? GetCredential(Uri uri, string authType) => known.GetValueOrDefault(uri.Authority);

        private static NetworkCredential Of(string userInfo)
        {
            var colon = userInfo.IndexOf(':', StringComparison.Ordinal);
            return colon < 0 ? new(Uri.UnescapeDataString(userInfo), "")
                : new(Uri.UnescapeDataString(userInfo[..colon]), Uri.UnescapeDataString(userInfo[(colon + 1)..]));
        }
    }
}

/// <summary>One entry of NO_PROXY.</summary>
/// <param name="Domain">With a leading dot; null for addresses, networks and <c>*</c>.</param>
/// <param name="WithItself">Whether the domain's own name is meant too, not only what is below it.</param>
/// <param name="Network">First address and length of the prefix; null for domains and <c>*</c>.</param>
/// <param name="Port">Only this port; null: all.</param>
internal sealed record NoProxyEntry(string? Domain, bool WithItself, (IPAddress Address, int Length)? Network, int? Port)
{
    /// <summary>The entries of a list. What is not one is left out, as Go does; <c>*</c> stands for everything.</summary>
    public static IReadOnlyList<NoProxyEntry> ParseAll(string list)
    {
        var entries = new List<NoProxyEntry>();
        foreach (var written in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var entry = written.ToLowerInvariant();
            if (entry == "*") return [new(null, true, null, null)];
            if (entry.IndexOf('/', StringComparison.Ordinal) is var slash and > 0 && Address(entry[..slash]) is { } first
                && int.TryParse(entry[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
                && length <= first.GetAddressBytes().Length * 8)
            {
                entries.Add(new(null, false, (first, length), null));
                continue;
            }
            var (host, port) = Split(entry);
            if (host.Length == 0 || port is -1) continue;
            if (Address(host) is { } address)
                entries.Add(new(null, false, (address, address.GetAddressBytes().Length * 8), port));
            else if (host.StartsWith("*.", StringComparison.Ordinal)) entries.Add(new(host[1..], false, null, port));
            else entries.Add(host[0] == '.' ? new(host, false, null, port) : new("." + host, true, null, port));
        }
        return entries;
    }

    /// <summary>An address as Go reads it: four numbers with dots, or with colons and without a zone; null for all else. IPv4
    /// within IPv6 is IPv4.</summary>
    public static IPAddress? Address(string text)
    {
        if (text.Contains('%', StringComparison.Ordinal)
            || (!text.Contains(':', StringComparison.Ordinal) && text.Count(letter => letter == '.') != 3)) return null;
        if (!IPAddress.TryParse(text, out var address)) return null;
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    /// <summary>Whether the entry names a host.</summary>
    public bool Covers(string host, IPAddress? address, int port)
    {
        if (Port is { } only && only != port) return false;
        if (Network is { } network) return address is not null && IsWithin(address, network.Address, network.Length);
        if (Domain is null) return true;
        return host.EndsWith(Domain, StringComparison.Ordinal) || (WithItself && host == Domain[1..]);
    }

    private static bool IsWithin(IPAddress address, IPAddress first, int length)
    {
        var (one, other) = (address.GetAddressBytes(), first.GetAddressBytes());
        if (one.Length != other.Length) return false;
        for (var bit = 0; bit < length; bit++)
            if (((one[bit / 8] ^ other[bit / 8]) & (0x80 >> (bit % 8))) != 0) return false;
        return true;
    }

    // "host", "host:port" or "[address]:port"; a port that is not a number is met by none (-1).
    private static (string Host, int? Port) Split(string entry)
    {
        var colon = entry.LastIndexOf(':');
        var bracketed = entry.StartsWith('[') && colon > 0 && entry[colon - 1] == ']';
        if (colon < 0 || (!bracketed && entry.IndexOf(':', StringComparison.Ordinal) != colon)) return (entry, null);
        var host = bracketed ? entry[1..(colon - 1)] : entry[..colon];
        var port = entry[(colon + 1)..];
        if (port.Length == 0) return (host, null);
        return (host, int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1);
    }
}
