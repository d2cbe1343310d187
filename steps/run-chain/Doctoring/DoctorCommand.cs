using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.RunChain.Doctoring;

/// <summary><c>run-chain doctor</c>: whether this machine can run the steps, and what to do where it cannot.</summary>
internal static class DoctorCommand
{
    /// <summary>Whether pushing may be tried for real.</summary>
    internal static readonly Setting<bool> Write = Setting.Switch("write", "also try to push: an empty blob into the first component's branch repository");

    public static StepCommand Create() => new("doctor",
        "Looks whether this agent or laptop can run the steps: git, engine, disk, clock, pipeline file, registry, testbeds, production, build parameters.",
        [Write, .. ChainRun.Settings, .. TestbedAccess.Settings, RegistrySettings.CertificateAuthority],
        (context, cancel) => new Doctor(context).RunAsync(cancel));
}
