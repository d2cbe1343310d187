using CiSteps.Hosting;

namespace CiSteps.Repositories.Transport;

/// <summary>How git would start ssh: <c>GIT_SSH_COMMAND</c>, else <c>core.sshCommand</c> (both for a shell), else the program
/// <c>GIT_SSH</c>, else <c>ssh</c>.</summary>
internal static class SshCommand
{
    public static ChildCommand For(RemotePeer remote, string service)
    {
        var (host, port, path) = Parse(remote.Address);
        var line = Set("GIT_SSH_COMMAND") ?? remote.Configured("core.sshCommand");
        var program = line is null ? Set("GIT_SSH") ?? "ssh" : line;
        var first = line is null ? program : line.TrimStart().Split(' ')[0].Trim('"', '\'');
        var variant = Set("GIT_SSH_VARIANT") ?? remote.Configured("ssh.variant")
            ?? Path.GetFileNameWithoutExtension(first).ToLowerInvariant();
        // A name that begins with a dash would be an option.
        if (host.StartsWith('-') || path.StartsWith('-'))
            throw new UsageException($"the address \"{remote.Url}\" has a host or a path that begins with \"-\"; mend it " +
                "(git remote set-url origin URL)");
        string[] ports = port is null ? [] : [variant is "plink" or "putty" or "tortoiseplink" ? "-P" : "-p", port];
        string[] arguments = [.. ports, host, $"{service} '{path.Replace("'", "'\\''", StringComparison.Ordinal)}'"];
        var command = line is null ? new ChildCommand(program, arguments, remote.Folder)
            : new ChildCommand("sh", ["-c", line + " \"$@\"", line, .. arguments], remote.Folder);
        return command with { Environment = new Dictionary<string, string?> { ["LC_ALL"] = "C" } };
    }

    /// <summary>The parts of <c>ssh://user@host:port/path</c> or <c>user@host:path</c>; no port where ssh's configuration
    /// decides.</summary>
    internal static (string Host, string? Port, string Path) Parse(string address)
    {
        var scheme = address.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0)
        {
            // [host]:path is git's way to write an IPv6 address or a port in the short form.
            var bracket = address.IndexOf("]:", StringComparison.Ordinal);
            var colon = bracket >= 0 ? bracket + 1 : address.IndexOf(':', StringComparison.Ordinal);
            var at = address[..colon];
            if (bracket < 0) return (at, null, address[(colon + 1)..]);
            var open = at.IndexOf('[', StringComparison.Ordinal);
            var (before, inside) = (at[..open], at[(open + 1)..^1]);
            return inside.Count(one => one == ':') == 1
                ? (before + inside.Split(':')[0], inside.Split(':')[1], address[(colon + 1)..])
                : (before + inside, null, address[(colon + 1)..]);
        }
        var rest = address[(scheme + 3)..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0) slash = rest.Length;
        var (authority, path) = (rest[..slash], Uri.UnescapeDataString(rest[slash..]));
        // /~user/x is a path of that user's home.
        if (path.StartsWith("/~", StringComparison.Ordinal)) path = path[1..];
        var user = authority.LastIndexOf('@') is var sign && sign >= 0 ? authority[..sign].Split(':')[0] + "@" : "";
        var place = authority[(sign + 1)..];
        string? port = null;
        var end = place.LastIndexOf(':');
        if (end > place.LastIndexOf(']'))
        {
            port = place[(end + 1)..] is { Length: > 0 } number ? number : null;
            place = place[..end];
        }
        return (user + place.Trim('[', ']'), port, path);
    }

    private static string? Set(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
