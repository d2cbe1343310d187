using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>The contexts of docker's own client: <c>docker context</c> keeps them beside its config.json.</summary>
internal sealed class DockerContexts
{
    // docker takes names in any case, and the last of two.
    private static readonly JsonLimits ReadAsDocker = JsonLimits.Standard with { AllowsDuplicates = true, IgnoresCase = true };

    private DockerContexts(string folder) => Folder = folder;

    /// <summary>The folder of docker's configuration; empty when there is none.</summary>
    public string Folder { get; }

    /// <summary>The contexts of the environment's user.</summary>
    public static DockerContexts Of(IReadOnlyDictionary<string, string> environment) => new(FolderOf(environment));

    /// <summary>Where docker's client has its configuration: <c>DOCKER_CONFIG</c>, else <c>.docker</c> in the home; empty when
    /// there is neither.</summary>
    public static string FolderOf(IReadOnlyDictionary<string, string> environment) =>
        environment.GetValueOrDefault("DOCKER_CONFIG") is { Length: > 0 } given ? given
        : environment.GetValueOrDefault(OperatingSystem.IsWindows() ? "USERPROFILE" : "HOME") is { Length: > 0 } home
            ? Path.Combine(home, ".docker") : "";

    /// <summary>The context that <c>docker context use</c> chose, and where that stands; an empty name when none was
    /// chosen.</summary>
    /// <exception cref="UsageException">config.json cannot be read, so nobody knows.</exception>
    public (string Name, string Source) Current()
    {
        var path = Path.Combine(Folder, "config.json");
        if (Folder.Length == 0 || !File.Exists(path)) return ("", "");
        try
        {
            var name = OutsideJson.ReadObjectFile(path, ReadAsDocker).Text("currentContext") ?? "";
            return (name, $"context \"{name}\", the current one in {path}");
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            throw new UsageException($"cannot read \"{path}\", which may name the container engine (currentContext): "
                + $"{error.Message}; mend it, or set {EngineLocation.HostVariable}", error);
        }
    }

    /// <summary>A context's engine.</summary>
    /// <param name="name">Name of a context of docker's client.</param>
    /// <param name="source">Where its name stands, for the message.</param>
    /// <exception cref="UsageException">There is no such context, or it cannot be read.</exception>
    public (string Address, EngineTls? Tls) Read(string name, string source)
    {
        var id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)));
        var path = Path.Combine(Folder, "contexts", "meta", id, "meta.json");
        if (!File.Exists(path))
            throw new UsageException($"{source} does not exist: there is no \"{path}\"; see docker context ls, "
                + $"or set {EngineLocation.HostVariable} to the container engine's address");
        try
        {
            var endpoint = OutsideJson.ReadObjectFile(path, ReadAsDocker).Map("Endpoints", "docker");
            if (endpoint.Text("Host") is not { Length: > 0 } host)
                throw new OutsideJsonException(path, "Endpoints.docker.Host", JsonFault.WrongType,
                    "there is not an address in it (Endpoints, docker, Host)");
            var verify = endpoint.Flag("SkipTLSVerify") is not true;
            var folder = Path.Combine(Folder, "contexts", "tls", id, "docker");
            return (host, Directory.Exists(folder) || !verify ? EngineTls.OfContext(folder, verify, source) : null);
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            throw new UsageException($"cannot read {source} in \"{path}\": {error.Message}; "
                + "make it again with docker context create", error);
        }
    }

    private static bool IsUnreadable(Exception error) =>
        error is OutsideJsonException or IOException or UnauthorizedAccessException;
}
