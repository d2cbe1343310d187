using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.ReserveTestbed;

/// <summary>What reserve-testbed can be asked.</summary>
internal static class ReserveTestbedCommand
{
    public static StepOption<TimeSpan> Wait { get; } = StepOption.Duration(
        "wait", "how long to wait for free testbeds", "10m", "cisteps.testbed.wait");

    public static StepOption<bool> GiveBack { get; } = StepOption.Switch("give-back",
        "give back all that this chain holds instead of reserving");

    /// <summary>The step's command.</summary>
    /// <param name="open">Opens the testbeds; null for those that the settings name.</param>
    public static StepCommand Create(Func<StepContext, CancellationToken, Task<ITestbeds>>? open = null) => new(
        "reserve-testbed",
        "Reads which images the chain built, claims a testbed for each integration suite that concerns them (all or none), " +
        "and hands over the claims.",
        [.. ChainRun.Options, .. TestbedAccess.Options, Wait, GiveBack],
        (context, cancel) => new ReserveTestbedStep(context, open ?? TestbedAccess.OpenAsync).RunAsync(cancel));
}
