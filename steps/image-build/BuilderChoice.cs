using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>Which builder makes an image: <c>docker buildx</c> or the one inside the engine.</summary>
/// <param name="Program">For buildx; null: the engine's own builder.</param>
/// <param name="WhyNot">Why it is not buildx; empty when it is, or when it was not asked for.</param>
internal sealed record BuilderChoice(BuildxProgram? Program, string WhyNot)
{
    public bool IsBuildx => Program is not null;

    /// <summary>Chooses for one image.</summary>
    /// <exception cref="UsageException">buildx is asked for and cannot be had.</exception>
    public static async Task<BuilderChoice> OfAsync(string builder, BuildxSearch search, CancellationToken cancel)
    {
        if (builder == ImageDefinition.EngineBuilder) return new BuilderChoice(null, "");
        var (program, why) = await search.FindAsync(cancel);
        if (program is not null || builder == ImageDefinition.AutoBuilder) return new BuilderChoice(program, why);
        throw NotToBeHad(builder, why, search.Kind);
    }

    /// <summary>The refusal where buildx cannot be had.</summary>
    /// <param name="builder">What ci-steps.yaml asks for.</param>
    /// <param name="why">Why it cannot be had.</param>
    /// <param name="kind">Which engine it is.</param>
    /// <param name="cause">The failure that showed it.</param>
    public static UsageException NotToBeHad(string builder, string why, EngineKind kind, Exception? cause = null) =>
        new($"ci-steps.yaml asks for image.builder \"{builder}\" and docker buildx is not to be had on this agent ({why}): "
            + $"{HowToGetBuildKit(kind)}, or take the engine's own builder", cause);

    /// <summary>What to install.</summary>
    public const string HowToInstall =
        "install docker's client with its buildx plug-in (package docker-buildx-plugin of Docker, " +
        "docker-buildx of Debian and Ubuntu)";

    /// <summary>What to do where a build needs BuildKit. buildx does not work with podman.</summary>
    public static string HowToGetBuildKit(EngineKind kind) => kind.IsPodman ? "use an engine with BuildKit" : HowToInstall;
}
