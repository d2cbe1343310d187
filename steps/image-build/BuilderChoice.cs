using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>Which builder makes an image: <c>docker buildx</c> or the one inside the engine.</summary>
/// <param name="Program">docker's client, for buildx; null: the engine's own builder.</param>
/// <param name="WhyNot">Why it is not buildx; empty when it is, or when it was not asked for.</param>
internal sealed partial record BuilderChoice(string? Program, string WhyNot)
{
    // The first buildx that can leave out its own provenance, which would make an index of the image.
    private static readonly Version Oldest = new(0, 10);

    public bool IsBuildx => Program is not null;

    /// <summary>Chooses for one image.</summary>
    /// <exception cref="UsageException">buildx is asked for and cannot be had.</exception>
    public static async Task<BuilderChoice> OfAsync(StepContext context, string builder, EngineKind kind, EngineLocation location, CancellationToken cancel)
    {
        if (builder == ImageDefinition.EngineBuilder) return new BuilderChoice(null, "");
        var (program, why) = await ProbeAsync(context, kind, location, cancel);
        if (program is not null || builder == ImageDefinition.AutoBuilder) return new BuilderChoice(program, why);
        throw new UsageException($"ci-steps.yaml asks for image.builder \"{builder}\" and docker buildx is not to be had on this agent ({why}): {HowToInstall}, or take the engine's own builder");
    }

    /// <summary>What to install.</summary>
    public const string HowToInstall = "install docker's client with its buildx plug-in (package docker-buildx-plugin of Docker, docker-buildx of Debian and Ubuntu)";

    private static async Task<(string? Program, string Why)> ProbeAsync(StepContext context, EngineKind kind, EngineLocation location, CancellationToken cancel)
    {
        if (kind.IsPodman) return (null, "the engine is podman, which has a builder of its own");
        if (Locate(context.Options.Environment) is not { } program) return (null, "there is no docker command on the path");
        var (exit, version) = await AskAsync(context, program, location, ["buildx", "version"], cancel);
        if (exit != 0) return (null, version);
        if (Number().Match(version) is { Success: true } match && Version.Parse(match.Groups[1].Value) is var found && found < Oldest && found > new Version(0, 0))
            return (null, $"buildx {found} is too old, {Oldest} is the first that will do");
        var (works, text) = await AskAsync(context, program, location, ["buildx", "inspect", location.Builder], cancel);
        return works == 0 ? (program, "") : (null, $"buildx does not reach the engine: {text}");
    }

    private static async Task<(int Exit, string Text)> AskAsync(StepContext context, string program, EngineLocation location, IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        var (exit, output, error) = await ChildProcess.CaptureAsync(BuildxBuild.Command(context, program, arguments, location), cancel);
        return (exit, (error.Length > 0 && exit != 0 ? error : output).Trim().Split('\n')[0]);
    }

    private static string? Locate(IReadOnlyDictionary<string, string> environment) => (environment.GetValueOrDefault("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .SelectMany(folder => new[] { Path.Combine(folder, "docker"), Path.Combine(folder, "docker.exe") }).FirstOrDefault(File.Exists);

    [GeneratedRegex(@"\bv?(\d+\.\d+)(?:\.\d+)?\b")]
    private static partial Regex Number();
}
