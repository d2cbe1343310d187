using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

internal static class ImageBuildCommand
{
    public static Setting<bool> NoProvenance { get; } = Setting.Switch("no-provenance", "attach no provenance statement to pushed images, for registries that take no artifacts");

    public static Setting<bool> NoCache { get; } = Setting.Switch("no-registry-cache", "do not pull earlier images for their layers when the engine has none");

    public static Setting<bool> Reuse { get; } = Setting.Switch("reuse", "give the certified image the new tag instead of building when the component's files, parameters and base images are the ones it was built from");

    /// <param name="open">Engine and registry; tests pass ones that answer as they need.</param>
    public static StepCommand Create(Func<ChainRun, StepContext, IImageWorks>? open = null) => new(
        "image-build",
        "Builds and pushes an image per changed component, tagged <major>.<build>-<hash>; hands over each component's image by digest.",
        [.. ChainRun.Settings, RegistrySettings.CertificateAuthority, NoProvenance, NoCache, Reuse],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel).ConfigureAwait(false);
            await using var works = open is null ? new EngineImageWorks(context, run) : open(run, context);
            return await new ImageBuildStep(context, run, works).RunAsync(cancel).ConfigureAwait(false);
        });
}
