using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Credentials as <c>docker login</c> leaves them: config.json with <c>auths</c>, <c>credHelpers</c> and <c>credsStore</c>.</summary>
internal sealed class DockerConfiguration
{
    /// <summary>Under which key docker keeps what is for Docker Hub.</summary>
    public const string HubKey = "https://index.docker.io/v1/";
    private readonly string path;
    private readonly JsonObject json;
    private readonly IReadOnlyDictionary<string, string> environment;

    private DockerConfiguration(string path, JsonObject json, IReadOnlyDictionary<string, string> environment) => (this.path, this.json, this.environment) = (path, json, environment);

    /// <summary>The configuration of the environment's user; empty when there is none.</summary>
    /// <exception cref="UsageException">The file is there and cannot be read.</exception>
    public static DockerConfiguration Read(IReadOnlyDictionary<string, string> environment)
    {
        var folder = environment.GetValueOrDefault("DOCKER_CONFIG") is { Length: > 0 } given ? given
            : environment.GetValueOrDefault(OperatingSystem.IsWindows() ? "USERPROFILE" : "HOME") is { Length: > 0 } home ? Path.Combine(home, ".docker") : "";
        var path = Path.Combine(folder, "config.json");
        if (folder.Length == 0 || !File.Exists(path)) return new DockerConfiguration(path, [], environment);
        try
        {
            return new DockerConfiguration(path, JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject ?? [], environment);
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"cannot read the registry credentials in \"{path}\": {error.Message}", error);
        }
    }

    /// <summary>The credential for a registry's host; null when there is none. The second part says where it came from.</summary>
    /// <exception cref="UsageException">A helper is missing or fails, or an entry cannot be read.</exception>
    public async Task<(RegistryCredential Credential, string Source)?> FindAsync(string host, CancellationToken cancel)
    {
        // The engine's client asks in this order: a helper for this host, the store, the file itself.
        foreach (var key in KeysOf(host))
        {
            if (json["credHelpers"]?[key] is JsonValue helper && (string?)helper is { Length: > 0 } name)
                return await AskAsync(name, key, cancel).ConfigureAwait(false) is { } helped ? (helped, $"docker-credential-{name}") : null;
        }
        if ((string?)json["credsStore"] is { Length: > 0 } store)
        {
            foreach (var key in KeysOf(host))
                if (await AskAsync(store, key, cancel).ConfigureAwait(false) is { } stored) return (stored, $"docker-credential-{store}");
        }
        foreach (var (key, value) in json["auths"] as JsonObject ?? [])
            if (value is JsonObject entry && IsFor(key, host) && ReadEntry(path, key, entry) is { } found) return (found, path);
        return null;
    }

    private static IReadOnlyList<string> KeysOf(string host) => host == ImageReference.DockerHub ? [HubKey, "docker.io", "index.docker.io"] : [host, "https://" + host];

    private static bool IsFor(string key, string host)
    {
        var name = key;
        if (name.IndexOf("://", StringComparison.Ordinal) is var scheme and >= 0) name = name[(scheme + 3)..];
        if (name.IndexOf('/', StringComparison.Ordinal) is var slash and >= 0) name = name[..slash];
        return string.Equals(name, host, StringComparison.OrdinalIgnoreCase)
            || (host == ImageReference.DockerHub && name is ("index.docker.io" or "registry-1.docker.io"));
    }

    /// <summary>An entry of <c>auths</c>; null when it holds no secret.</summary>
    /// <exception cref="UsageException">It cannot be read.</exception>
    public static RegistryCredential? ReadEntry(string path, string key, JsonObject entry)
    {
        var token = (string?)entry["identitytoken"];
        var (user, password) = ((string?)entry["username"] ?? "", (string?)entry["password"] ?? "");
        if ((string?)entry["auth"] is { Length: > 0 } auth)
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
                throw new UsageException($"the entry of \"{key}\" in \"{path}\" is not base64 of user:password; run docker login again", error);
            }
        }
        return token is { Length: > 0 } || password.Length > 0 ? new RegistryCredential(user, password, token is { Length: > 0 } ? token : null) : null;
    }

    // The helper protocol: docker-credential-NAME get, the server on standard input, JSON on standard output.
    private async Task<RegistryCredential?> AskAsync(string name, string server, CancellationToken cancel)
    {
        var program = "docker-credential-" + name;
        var (exit, output, error) = await HelperProcess.RunAsync(program, ["get"], server, environment, cancel).ConfigureAwait(false);
        if (exit != 0)
        {
            // Helpers say so in text, on either stream: there is nothing for this server.
            if ((output + error).Contains("credentials not found", StringComparison.OrdinalIgnoreCase)) return null;
            throw new UsageException($"the credential helper \"{program}\" that \"{path}\" names failed for \"{server}\" (exit {exit}): {(error.Length > 0 ? error : output).Trim()}");
        }
        try
        {
            var answer = JsonNode.Parse(output) as JsonObject;
            var (user, secret) = ((string?)answer?["Username"] ?? "", (string?)answer?["Secret"] ?? "");
            if (secret.Length == 0) return null;
            return user == "<token>" ? new RegistryCredential("", "", secret) : new RegistryCredential(user, secret);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            // The output may be a secret in another shape: it is not quoted.
            throw new UsageException($"the credential helper \"{program}\" answered for \"{server}\" with something that is not the helper protocol's JSON", failure);
        }
    }
}
