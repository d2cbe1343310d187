using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Images;

namespace CiSteps.ImageBuild;

/// <summary>How <c>docker buildx</c> is started.</summary>
/// <param name="Path">The program.</param>
/// <param name="First">Its first arguments.</param>
internal sealed record BuildxProgram(string Path, IReadOnlyList<string> First);

/// <summary>
/// Looks for <c>docker buildx</c> and whether it reaches the engine: once in a step, however many images it builds. To ask buildx
/// takes as long as a small build. So where it can only be so, because the plug-in is there and the engine's own socket says
/// BuildKit, it is asked after a build that failed before it began (<see cref="WhyNotAsync"/>), and not before.
/// </summary>
internal sealed partial class BuildxSearch(StepContext context, ContainerEngine engine, EngineKind kind)
{
    // The first buildx that can leave out its own provenance, which would make an index of the image.
    private static readonly Version Oldest = new(0, 10);

    // Where docker's client looks for plug-ins after its own configuration's folder.
    private static readonly string[] PluginFolders =
    [
        "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
        "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
    ];

    private readonly EngineLocation location = engine.Location;
    private Task<(BuildxProgram? Program, string Why)>? search;

    /// <summary>Which engine it looks for.</summary>
    public EngineKind Kind => kind;

    /// <summary>The program; null where it is not to be had, and why.</summary>
    public Task<(BuildxProgram? Program, string Why)> FindAsync(CancellationToken cancel) => search ??= SearchAsync(cancel);

    private async Task<(BuildxProgram? Program, string Why)> SearchAsync(CancellationToken cancel)
    {
        if (kind.IsPodman) return (null, "the engine is podman, which has a builder of its own");
        if (Locate() is not { } docker) return (null, "there is no docker command on the path");
        var plugin = FindPlugin(docker);
        var program = plugin is null ? new BuildxProgram(docker, ["buildx"]) : new BuildxProgram(plugin, []);
        if (plugin is not null && engine is { IsLocal: true, PrefersBuildKit: true }) return (program, "");
        return await TryAsync(program, cancel) is { Length: > 0 } why ? (null, why) : (program, "");
    }

    /// <summary>Asks buildx whether it can build here.</summary>
    /// <returns>Why not; empty when it can.</returns>
    public async Task<string> WhyNotAsync(CancellationToken cancel)
    {
        var (program, why) = await FindAsync(cancel);
        return program is null ? why : await TryAsync(program, cancel);
    }

    private async Task<string> TryAsync(BuildxProgram program, CancellationToken cancel)
    {
        var (exit, version) = await AskAsync(program, ["version"], cancel);
        if (exit != 0) return version;
        if (Number().Match(version) is { Success: true } match && Version.Parse(match.Groups[1].Value) is var found
            && found < Oldest && found > new Version(0, 0))
            return $"buildx {found} is too old, {Oldest} is the first that will do";
        var (works, text) = await AskAsync(program, ["inspect", location.Builder], cancel);
        return works == 0 ? "" : $"buildx does not reach the engine: {text}";
    }

    private async Task<(int Exit, string Text)> AskAsync(
        BuildxProgram program, IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        var command = BuildxBuild.Command(context, program, arguments, location);
        var (exit, output, error) = await ChildProcess.CaptureAsync(command, cancel);
        return (exit, (error.Length > 0 && exit != 0 ? error : output).Trim().Split('\n')[0]);
    }

    private string? Locate() => (context.Options.Environment.GetValueOrDefault("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .SelectMany(folder => new[] { Path.Combine(folder, "docker"), Path.Combine(folder, "docker.exe") })
            .FirstOrDefault(File.Exists);

    // docker's client starts every plug-in there is, and this one twice, before it does what it was asked for. The plug-in is a
    // program of its own right; it is taken where docker itself would take it, and asked by way of docker where that is not
    // plain.
    private string? FindPlugin(string docker)
    {
        if (OperatingSystem.IsWindows() || IsScript(docker) || NamesFolders()) return null;
        string[] folders = location.ConfigurationFolder.Length > 0
            ? [Path.Combine(location.ConfigurationFolder, "cli-plugins"), .. PluginFolders] : PluginFolders;
        var first = folders.Select(folder => Path.Combine(folder, "docker-buildx")).FirstOrDefault(File.Exists);
        return first is null ? null : ChildProcess.Find(first, context.WorkTree, null);
    }

    // Somebody's own script in docker's place may do more than start docker.
    private static bool IsScript(string docker)
    {
        try
        {
            using var file = File.OpenRead(docker);
            return file.ReadByte() == '#';
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    // config.json may name folders that go before all others. What cannot be read is docker's to complain of.
    private bool NamesFolders()
    {
        var path = Path.Combine(location.ConfigurationFolder, "config.json");
        if (location.ConfigurationFolder.Length == 0 || !File.Exists(path)) return false;
        try
        {
            return OutsideJson.ReadObjectFile(path, JsonLimits.Standard with { AllowsDuplicates = true, IgnoresCase = true })
                .List("cliPluginsExtraDirs") is { Count: > 0 };
        }
        catch (Exception unreadable) when (unreadable is OutsideJsonException or IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    [GeneratedRegex(@"\bv?(\d+\.\d+)(?:\.\d+)?\b")]
    private static partial Regex Number();
}
