using System.Globalization;
using CiSteps.Cli.Chains;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Agents;

/// <summary>
/// What a build's processes find around them: the parameters that a server predefines, the environment, both properties files.
/// </summary>
internal static class AgentEnvironment
{
    // What an agent's own process hands on. Everything else of this process's environment stays here, its secrets first of all.
    private static readonly string[] HandedOn =
    [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "DOCKER_HOST", "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "DOTNET_ROOT", "SYSTEMROOT", "SystemRoot", "COMSPEC", "ComSpec",
        "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
        "ProgramData", "ProgramFiles", "SystemDrive", "windir",
    ];

    /// <summary>Sets what the server and the agent predefine for a build.</summary>
    public static void Predefine(BuildParameters parameters, SettingsTree tree, BuildRun run, BuildPlace place)
    {
        void Both(string name, string value)
        {
            parameters.Set(name, value);
            parameters.Set("system." + name, value);
        }
        var build = run.Build;
        var projectName = tree.Projects.TryGetValue(build.ProjectId, out var project) ? project.Name : build.ProjectId;
        Both("teamcity.version", place.ServerVersion);
        Both("teamcity.projectName", projectName);
        Both("teamcity.buildConfName", build.Name);
        Both("teamcity.buildType.id", build.Id);
        Both("teamcity.build.id", run.Id);
        Both("build.number", run.Number);
        Both("teamcity.build.checkoutDir", place.Checkout);
        Both("teamcity.build.workingDir", place.Checkout);
        Both("teamcity.build.tempDir", place.Temp);
        Both("agent.name", run.Agent);
        Both("agent.work.dir", place.AgentWork);
        Both("agent.home.dir", place.AgentHome);
        parameters.Set("teamcity.project.id", build.ProjectId);
        parameters.Set("build.counter", place.Counter.ToString(CultureInfo.InvariantCulture));
        parameters.Set("teamcity.build.default.checkoutDir", place.Checkout);
        parameters.Set("teamcity.build.branch", place.Branch.Name);
        parameters.Set("teamcity.build.branch.is_default", place.Branch.IsDefault ? "true" : "false");
        parameters.Set("teamcity.build.triggeredBy", place.TriggeredBy);
        parameters.Set("teamcity.build.triggeredBy.username", "n/a");
        parameters.Set("teamcity.serverUrl", place.ServerUrl);
        parameters.Set("teamcity.agent.name", run.Agent);
        parameters.Set("teamcity.agent.work.dir", place.AgentWork);
        parameters.Set("teamcity.agent.home.dir", place.AgentHome);
        parameters.Set(
            "teamcity.agent.jvm.os.name",
            OperatingSystem.IsWindows() ? "Windows" : OperatingSystem.IsMacOS() ? "Mac OS X" : "Linux");
        parameters.Set(
            "teamcity.agent.jvm.os.arch",
            System.Runtime.InteropServices.RuntimeInformation.OSArchitecture == System.Runtime.InteropServices.Architecture.Arm64
                ? "aarch64"
                : "amd64");
        parameters.Set("teamcity.agent.hardware.cpuCount", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture));
        foreach (var entry in build.VcsEntries)
        {
            if (!tree.VcsRoots.TryGetValue(entry.RootId, out var root)
                || !place.Revisions.TryGetValue(entry.RootId, out var revision))
                continue;
            Both("build.vcs.number." + root.Id, revision);
            parameters.Set("teamcity.build.vcs.branch." + root.Id, place.Branch.FullName);
            if (build.VcsEntries.Count == 1) Both("build.vcs.number", revision);
            foreach (var property in root.Parameters.All)
            {
                if (property.Name.StartsWith("secure:", StringComparison.Ordinal)) continue;
                var value = property.Name == "url" ? place.Urls.GetValueOrDefault(root.Id, property.Value) : property.Value;
                parameters.Set($"vcsroot.{root.Id}.{property.Name}", value);
                if (build.VcsEntries.Count == 1) parameters.Set("vcsroot." + property.Name, value);
            }
        }
        parameters.Set("env.TEAMCITY_VERSION", place.ServerVersion);
        parameters.Set("env.TEAMCITY_PROJECT_NAME", projectName);
        parameters.Set("env.TEAMCITY_BUILDCONF_NAME", build.Name);
        parameters.Set("env.BUILD_NUMBER", run.Number);
        parameters.Set("env.BUILD_URL", place.BuildUrl);
        if (parameters.Find("build.vcs.number") is { } commit) parameters.Set("env.BUILD_VCS_NUMBER", commit);
        foreach (var (root, revision) in place.Revisions)
            if (build.VcsEntries.Any(entry => entry.RootId == root)) parameters.Set("env.BUILD_VCS_NUMBER_" + root, revision);
    }

    /// <summary>Writes both properties files and gives the whole environment of a step's process.</summary>
    public static IReadOnlyDictionary<string, string> For(
        BuildParameters parameters, IReadOnlyDictionary<string, string> outer, string temp)
    {
        Directory.CreateDirectory(temp);
        var systemFile = Path.Combine(temp, "teamcity.build.properties");
        var configurationFile = Path.Combine(temp, "teamcity.config.parameters");
        parameters.Set("system.teamcity.configuration.properties.file", configurationFile);
        parameters.Set("system.teamcity.build.properties.file", systemFile);
        parameters.Set("env.TEAMCITY_BUILD_PROPERTIES_FILE", systemFile);
        var all = parameters.ResolveAll();
        WritePrivate(systemFile, JavaProperties.Write(all.Where(pair => pair.Key.StartsWith("system.", StringComparison.Ordinal))
            .Select(pair => KeyValuePair.Create(pair.Key["system.".Length..], pair.Value))));
        WritePrivate(configurationFile, JavaProperties.Write(all));

        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in HandedOn)
            if (outer.TryGetValue(name, out var value)) environment[name] = value;
        environment["TMPDIR"] = environment["TMP"] = environment["TEMP"] = temp;
        foreach (var (name, value) in all)
            if (name.StartsWith("env.", StringComparison.Ordinal) && !name.Contains('%', StringComparison.Ordinal))
                environment[name["env.".Length..]] = value;
        return environment;
    }

    // Both files hold every parameter, passwords too.
    private static void WritePrivate(string path, string text)
    {
        File.Delete(path);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var writer = new StreamWriter(path, System.Text.Encoding.Latin1, options);
        writer.Write(text);
    }
}

/// <summary>Where and for what a build runs.</summary>
/// <param name="Revisions">Commit by VCS root id.</param>
/// <param name="Urls">Address by VCS root id, where it is not the settings' own.</param>
internal sealed record BuildPlace(
    string AgentHome,
    string AgentWork,
    string Checkout,
    string Temp,
    ChainBranch Branch,
    IReadOnlyDictionary<string, string> Revisions,
    IReadOnlyDictionary<string, string> Urls,
    long Counter,
    string TriggeredBy,
    string ServerUrl,
    string BuildUrl)
{
    /// <summary>Its presence in the environment says: inside a build.</summary>
    public string ServerVersion { get; } = $"2025.3 (ci-steps {StepHost.Version})";
}
