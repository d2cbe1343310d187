using System.Text;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// docker's config.json, as far as it is about registries: credentials as <c>docker login</c> leaves them (<c>auths</c>,
/// <c>credHelpers</c>, <c>credsStore</c>) and the proxies that docker gives to builds (<c>proxies</c>).
/// </summary>
internal sealed class DockerConfiguration
{
    /// <summary>Variable whose value counts before the file, in the file's form; only its <c>auths</c> are read.</summary>
    public const string AuthVariable = "DOCKER_AUTH_CONFIG";

    /// <summary>Under which key docker keeps what is for Docker Hub.</summary>
    public const string HubKey = "https://index.docker.io/v1/";

    private const int LongestComplaint = 300;

    // docker's helpers agree on the first; the others are what keychains say through helpers that do not.
    private static readonly string[] NothingThere =
        ["credentials not found", "could not be found in the keychain", "element not found", "no credentials found",
            "secret not found"];

    private readonly ConfigurationSource file;
    private readonly ConfigurationSource variable;
    private readonly IReadOnlyDictionary<string, string> environment;

    private DockerConfiguration(
        ConfigurationSource file, ConfigurationSource variable, IReadOnlyDictionary<string, string> environment) =>
        (this.file, this.variable, this.environment) = (file, variable, environment);

    /// <summary>The configuration of the environment's user; empty when there is none.</summary>
    /// <exception cref="UsageException">It is there and cannot be read, or a part of it has another type than docker gives
    /// it.</exception>
    public static DockerConfiguration Read(IReadOnlyDictionary<string, string> environment)
    {
        var folder = environment.GetValueOrDefault("DOCKER_CONFIG") is { Length: > 0 } given ? given
            : environment.GetValueOrDefault(OperatingSystem.IsWindows() ? "USERPROFILE" : "HOME") is { Length: > 0 } home
                ? Path.Combine(home, ".docker")
                : "";
        var path = Path.Combine(folder, "config.json");
        var file = ConfigurationSource.Parse($"\"{path}\"", folder.Length == 0 ? [] : ReadFile(path));
        var variable = ConfigurationSource.Parse($"the variable {AuthVariable}",
            Encoding.UTF8.GetBytes(environment.GetValueOrDefault(AuthVariable) ?? ""));
        return new DockerConfiguration(file, variable, environment);
    }

    /// <summary>The credential for a registry's host. A helper that fails is told in the answer: what everybody may read needs
    /// none.</summary>
    /// <exception cref="UsageException">The entry of this host cannot be read.</exception>
    public async Task<CredentialLookUp> FindAsync(string host, CancellationToken cancel)
    {
        if (InAuths(variable, host) is { } fromVariable) return new CredentialLookUp(fromVariable, AuthVariable);
        // The engine's client asks in this order: a helper for this host, the store, the file itself.
        try
        {
            foreach (var key in KeysOf(host))
            {
                if (file.Helpers.GetValueOrDefault(key) is { Length: > 0 } name)
                    return new CredentialLookUp(await AskAsync(name, "credHelpers", key, cancel).ConfigureAwait(false),
                        ProgramOf(name));
            }
            if (file.Store is { Length: > 0 } store)
            {
                foreach (var key in KeysOf(host))
                    if (await AskAsync(store, "credsStore", key, cancel).ConfigureAwait(false) is { } stored)
                        return new CredentialLookUp(stored, ProgramOf(store));
            }
        }
        catch (CredentialProgramException failure)
        {
            return InFile(failure.Message);
        }
        return InFile(null);

        CredentialLookUp InFile(string? trouble) =>
            InAuths(file, host) is { } found ? new(found, file.Name, trouble) : new(null, Trouble: trouble);
    }

    /// <summary>
    /// The variables that docker's client gives to builds and containers of an engine: <c>proxies</c> has an entry for an
    /// engine's address, or <c>default</c>. They have nothing to do with how registries are reached.
    /// </summary>
    /// <param name="endpoint">The engine's address as it is configured, such as <c>unix:///var/run/docker.sock</c>.</param>
    public IReadOnlyDictionary<string, string> ProxyArguments(string endpoint)
    {
        var arguments = new Dictionary<string, string>(StringComparer.Ordinal);
        var entry = file.Proxies.GetValueOrDefault(endpoint) ?? file.Proxies.GetValueOrDefault("default");
        foreach (var (key, name) in new[]
        {
            ("httpProxy", "HTTP_PROXY"), ("httpsProxy", "HTTPS_PROXY"), ("noProxy", "NO_PROXY"),
            ("ftpProxy", "FTP_PROXY"), ("allProxy", "ALL_PROXY"),
        })
        {
            if (entry?.GetValueOrDefault(key) is not { Length: > 0 } value) continue;
            // Programs in containers read one or the other.
            (arguments[name], arguments[name.ToLowerInvariant()]) = (value, value);
        }
        return arguments;
    }

    /// <summary>The file's bytes; none when it is not there.</summary>
    /// <exception cref="UsageException">It is there and cannot be read.</exception>
    public static byte[] ReadFile(string path)
    {
        try
        {
            // A named pipe would keep whoever reads it waiting for ever.
            if (FileState.OfTarget(path) is { Kind: not (FileKind.Regular or FileKind.Folder) } other)
            {
                throw new UsageException(
                    $"docker's configuration \"{path}\" is not a file but a {Word(other.Kind)}: put a file in its "
                        + "place, or take it away");
            }
            return File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"cannot read docker's configuration \"{path}\": "
                + (Directory.Exists(path) ? "it is a folder; make it a file, or take it away"
                    : $"{error.Message}; give this user the right to read it"), error);
        }
    }

    private static string Word(FileKind kind) => kind switch
    {
        FileKind.NamedPipe => "named pipe",
        FileKind.Socket => "socket",
        _ => "device",
    };

    private static string ProgramOf(string name) => "docker-credential-" + name;

    private static IReadOnlyList<string> KeysOf(string host) =>
        host == ImageReference.DockerHub ? [HubKey, "docker.io", "index.docker.io"] : [host, "https://" + host];

    private static bool IsFor(string key, string host)
    {
        var name = key;
        if (name.IndexOf("://", StringComparison.Ordinal) is var scheme and >= 0) name = name[(scheme + 3)..];
        if (name.IndexOf('/', StringComparison.Ordinal) is var slash and >= 0) name = name[..slash];
        return string.Equals(name, host, StringComparison.OrdinalIgnoreCase)
            || (host == ImageReference.DockerHub && name is ("index.docker.io" or "registry-1.docker.io"));
    }

    private static RegistryCredential? InAuths(ConfigurationSource source, string host)
    {
        foreach (var (key, entry) in source.Auths)
            if (IsFor(key, host) && ReadEntry(source, key, entry) is { } found) return found;
        return null;
    }

    /// <summary>The credential in an entry of <c>auths</c>; null when it holds none.</summary>
    /// <exception cref="UsageException">It cannot be read.</exception>
    // Docker Desktop leaves an empty entry for each host whose credentials its store has.
    public static RegistryCredential? ReadEntry(
        ConfigurationSource source, string key, IReadOnlyDictionary<string, string> entry)
    {
        var token = entry.GetValueOrDefault("identitytoken");
        var (user, password) = (entry.GetValueOrDefault("username") ?? "", entry.GetValueOrDefault("password") ?? "");
        if (entry.GetValueOrDefault("auth") is { Length: > 0 } auth)
        {
            try
            {
                var pair = Encoding.UTF8.GetString(Convert.FromBase64String(auth)).TrimEnd('\0');
                var colon = pair.IndexOf(':', StringComparison.Ordinal);
                if (colon < 0) throw new FormatException("no colon in it");
                (user, password) = (pair[..colon], pair[(colon + 1)..]);
            }
            catch (FormatException error)
            {
                throw new UsageException($"the entry of \"{key}\" in {source.Name} is not base64 of user:password; run docker "
                    + "login again", error);
            }
        }
        return token is { Length: > 0 } || password.Length > 0
            ? new RegistryCredential(user, password, token is { Length: > 0 } ? token : null)
            : null;
    }

    // The helper protocol: docker-credential-NAME get, the server on standard input, JSON on standard output.
    private async Task<RegistryCredential?> AskAsync(string name, string key, string server, CancellationToken cancel)
    {
        var helper = $"the credential helper \"{ProgramOf(name)}\", which {file.Name} names under \"{key}\",";
        int exit;
        string output, error;
        try
        {
            (exit, output, error) = await CredentialProgram.AskAsync(
                ProgramOf(name), ["get"], server, environment, cancel).ConfigureAwait(false);
        }
        catch (CredentialProgramException failure)
        {
            throw new CredentialProgramException($"{helper} {failure.Message}: install it, or take it out of that file", failure);
        }
        if (exit != 0)
        {
            // Helpers say so in text, on either stream: there is nothing for this server.
            if (NothingThere.Any(text => (output + error).Contains(text, StringComparison.OrdinalIgnoreCase))) return null;
            var said = string.Join(' ',
                (error.Trim().Length > 0 ? error : output).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            throw new CredentialProgramException($"{helper} failed for \"{server}\" (exit {exit}): "
                + $"{(said.Length > LongestComplaint ? said[..LongestComplaint] + "…" : said)}");
        }
        try
        {
            var answer = RegistryJson.Parse(Encoding.UTF8.GetBytes(output));
            if (answer is System.Text.Json.Nodes.JsonObject && RegistryJson.Text(answer, "Username") is { } user
                && RegistryJson.Text(answer, "Secret") is { } secret)
                return secret.Length == 0 ? null : user == "<token>" ? new RegistryCredential("", "", secret)
                    : new RegistryCredential(user, secret);
        }
        catch (OutsideJsonException)
        {
            // The output may be a secret in another shape: it is not quoted.
        }
        throw new CredentialProgramException(
            $"{helper} answered for \"{server}\" with something that is not the helper protocol's JSON");
    }
}
