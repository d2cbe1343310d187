using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.ReserveTestbed;

/// <summary>What reserve-testbed can be asked.</summary>
internal static class ReserveTestbedCommand
{
    public static Setting<TimeSpan> Wait { get; } = Setting.Duration("wait", "how long to wait for free testbeds", "10m", "cisteps.testbed.wait");

    public static Setting<bool> Release { get; } = Setting.Switch("release", "give back all that this chain holds instead of reserving");

    /// <summary>The step's command.</summary>
    /// <param name="open">Opens the testbeds; null for those that the settings name.</param>
    public static StepCommand Create(Func<StepContext, CancellationToken, Task<ITestbeds>>? open = null) => new(
        "reserve-testbed",
        "Reads which images the chain built, claims a testbed for each integration suite that concerns them (all or none), and hands over the claims.",
        [.. ChainRun.Settings, .. TestbedAccess.Settings, Wait, Release],
        (context, cancel) => new ReserveTestbedStep(context, open ?? TestbedAccess.OpenAsync).RunAsync(cancel));
}
