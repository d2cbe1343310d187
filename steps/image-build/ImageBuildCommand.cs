using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

internal static class ImageBuildCommand
{
    public static StepOption<bool> NoProvenance { get; } = StepOption.Switch("no-provenance",
        "attach no provenance statement to pushed images, for registries that take no artifacts");

    public static StepOption<bool> NoCache { get; } = StepOption.Switch("no-registry-cache",
        "do not pull earlier images for their layers when the engine has none");

    public static StepOption<bool> Reuse { get; } = StepOption.Switch("reuse",
        "give the certified image the new tag instead of building when the component's files, " +
        "parameters and base images are the ones it was built from");

    /// <param name="open">Engine and registry; tests pass ones that answer as they need.</param>
    public static StepCommand Create(Func<ChainRun, StepContext, IImageWorks>? open = null) => new(
        "image-build",
        "Builds and pushes an image per changed component, tagged <major>.<build>-<hash>; " +
        "hands over each component's image by digest.",
        [.. ChainRun.Options, RegistryOptions.CertificateAuthority, NoProvenance, NoCache, Reuse],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel);
            await using var works = open is null ? new EngineImageWorks(context, run) : open(run, context);
            return await new ImageBuildStep(context, run, works).RunAsync(cancel);
        });
}
