using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;

namespace CiSteps.IntegrationDeploy;

/// <summary>What integration-deploy may be asked, and who does it.</summary>
internal static class IntegrationDeployCommand
{
    internal static readonly StepOption<bool> Keep = StepOption.Switch("keep",
        "leave the namespace and the testbed as they are, to look around; only on a laptop");

    public static StepCommand Create(Ports? world = null) => new(
        "integration-deploy",
        "Reads image-build's digests and reserve-testbed's claims; deploys each suite's services to its testbed, " +
        "rolls the new images out, proves that only they serve, runs the suite's tests, cleans up and gives the testbed back; " +
        "hands over the suites' results.",
        [.. ChainRun.Options, .. Adapters.Options, Keep],
        (context, cancel) => new IntegrationDeployStep(world ?? Adapters.World, context).RunAsync(cancel));
}
