using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Certify;

internal static class CertifyCommand
{
    public static StepOption<bool> RequireSigned { get; } = StepOption.Switch(
        ChainEvidence.RequireSignedName,
        "refuse evidence, and provenance beside the images, without a valid signature (key in " +
            "CISTEPS_VERIFICATION_KEY or CISTEPS_SIGNING_KEY)");

    public static StepOption<bool> AllowOlder { get; } = StepOption.Switch("allow-older",
        "move the production tag even when it points to a newer commit, or to one that this clone does not know");

    /// <param name="open">The registry; tests pass one that answers as they need.</param>
    public static StepCommand Create(Func<ChainRun, StepContext, IReleaseRegistry>? open = null) => new(
        "certify",
        "Tags the tested images of the target branch as a version and as ready for production, by digest, " +
        "on the chain's evidence only.",
        [.. ChainRun.Options, RegistryOptions.CertificateAuthority, RequireSigned, AllowOlder],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel, mustKnow: true);
            using var registry = open is null ? new ReleaseRegistry(context, run.Policy.Registry) : open(run, context);
            return await new CertifyStep(context, run, registry).RunAsync(cancel);
        });
}
