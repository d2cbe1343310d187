using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// docker's configuration for a child that has to reach the pipeline's registry with what the environment gives. No credential
/// stands on the disk:
/// the configuration names a helper, and the helper prints what the child's own environment holds. All else is the user's.
/// </summary>
public sealed class ClientConfiguration : IDisposable
{
    private const string Helper = "ci-steps";
    private const string VariablePrefix = "CISTEPS_CLIENT_CREDENTIAL_";
    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly StepFolder? folder;

    private ClientConfiguration(StepFolder? folder, IReadOnlyDictionary<string, string?> environment) =>
        (this.folder, Environment) = (folder, environment);

    /// <summary>Variables to set for the child.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; }

    /// <summary>A configuration for a child; the user's own where the environment gives no credentials.</summary>
    /// <param name="credentials">The step's credentials.</param>
    /// <param name="environment">The step's environment.</param>
    /// <exception cref="UsageException">docker's configuration cannot be read.</exception>
    public static ClientConfiguration For(RegistryCredentials credentials, IReadOnlyDictionary<string, string> environment)
    {
        ArgumentNullException.ThrowIfNull(credentials);
        ArgumentNullException.ThrowIfNull(environment);
        if (credentials.FromEnvironment.Count == 0 || OperatingSystem.IsWindows())
            return new ClientConfiguration(null, new Dictionary<string, string?>());
        var users = DockerContexts.FolderOf(environment);
        var (json, source) = Read(users);
        var folder = StepFolder.Create();
        try
        {
            var answers = Answers(credentials, source);
            Link(users, folder.Path);
            Write(folder.Path, json, answers);
            return new ClientConfiguration(folder, Variables(folder.Path, answers, environment));
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public void Dispose() => folder?.Dispose();

    // As it is, to be handed on, and as what it means.
    private static (JsonObject Json, ConfigurationSource Source) Read(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        var bytes = folder.Length > 0 && File.Exists(path) ? DockerConfiguration.ReadFile(path) : [];
        var source = ConfigurationSource.Parse($"\"{path}\"", bytes);
        try
        {
            var json = bytes.AsSpan().IndexOfAnyExcept(" \t\r\n"u8) < 0 ? null
                : OutsideJson.ReadObject(bytes, path, JsonLimits.Standard with { IgnoresCase = true });
            return (json ?? [], source);
        }
        catch (OutsideJsonException error)
        {
            throw new UsageException($"docker's configuration in \"{path}\" cannot be handed on to a build: {error.What}", error);
        }
    }

    // What the user's file itself holds would stand on the disk a second time: the helper answers for it too.
    private static Dictionary<string, string> Answers(RegistryCredentials credentials, ConfigurationSource users)
    {
        var answers = new Dictionary<string, string>(StringComparer.Ordinal);
        if (users.Store is null)
            foreach (var (host, entry) in users.Auths)
                if (DockerConfiguration.ReadEntry(users, host, entry) is { } credential)
                    answers[Bare(host)] = Answer(host, credential);
        foreach (var (host, credential) in credentials.FromEnvironment)
            answers[host == ImageReference.DockerHub ? DockerConfiguration.HubKey : host] = Answer(host, credential);
        return answers;
    }

    // Helpers are looked up by the bare host, entries may have been written as addresses.
    private static string Bare(string key) =>
        key != DockerConfiguration.HubKey
            && Uri.TryCreate(key, UriKind.Absolute, out var address)
            && address.Scheme is ("http" or "https")
            ? address.Authority
            : key;

    private static string Answer(string host, RegistryCredential credential) => new JsonObject
    {
        ["ServerURL"] = host,
        ["Username"] = credential.IdentityToken is null ? credential.User : "<token>",
        ["Secret"] = credential.IdentityToken ?? credential.Password,
    }.ToJsonString();

    // Plug-ins, contexts and the state of buildx stay the user's own.
    private static void Link(string users, string folder)
    {
        if (users.Length == 0 || !Directory.Exists(users)) return;
        foreach (var entry in new DirectoryInfo(users).EnumerateFileSystemInfos().Where(entry => entry.Name != "config.json"))
            File.CreateSymbolicLink(Path.Combine(folder, entry.Name), entry.FullName);
    }

    private static void Write(string folder, JsonObject json, Dictionary<string, string> answers)
    {
        json.Remove("auths");
        var helpers = json["credHelpers"] as JsonObject ?? [];
        foreach (var host in answers.Keys) helpers[host] = Helper;
        json["credHelpers"] = helpers.DeepClone();
        File.WriteAllText(Path.Combine(folder, "config.json"), json.ToJsonString());
        var script = new StringBuilder("#!/bin/sh\n[ \"$1\" = get ] || exit 1\nread -r host\ncase \"$host\" in\n");
        foreach (var (host, number) in answers.Keys.Select((host, number) => (host, number)))
            script.Append(Quoted(host)).Append(") printf '%s\\n' \"$").Append(VariablePrefix).Append(number).Append("\" ;;\n");
        script.Append("*) echo 'credentials not found in native keychain'; exit 1 ;;\nesac\n");
        var program = Path.Combine(folder, "docker-credential-" + Helper);
        File.WriteAllText(program, script.ToString());
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program, OwnersOnly);
    }

    private static Dictionary<string, string?> Variables(
        string folder, Dictionary<string, string> answers, IReadOnlyDictionary<string, string> environment)
    {
        var variables = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["DOCKER_CONFIG"] = folder,
            ["PATH"] = folder + Path.PathSeparator + environment.GetValueOrDefault("PATH"),
        };
        foreach (var (answer, number) in answers.Values.Select((answer, number) => (answer, number)))
            variables[$"{VariablePrefix}{number}"] = answer;
        return variables;
    }

    private static string Quoted(string text) => "'" + text.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
