using System.Globalization;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Doctoring;

/// <summary><c>ci-steps doctor</c>: whether this machine can run the steps, and what to do where it cannot.</summary>
internal static class DoctorCommand
{
    /// <summary>Room on each disk, in GiB.</summary>
    internal static readonly StepOption<double> LeastDisk = new("least-disk", "free room that each disk must have, in GiB",
        text => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var size)
            ? size
            : throw new FormatException("give a number of GiB, such as 5"),
        "1");

    /// <summary>Where the findings go for programs.</summary>
    internal static readonly StepOption<string> SummaryFile = StepOption.Text(
        "summary", "also write the findings to this JSON file");

    public static StepCommand Create() => new("doctor",
        "Looks whether this agent or laptop can run the steps: git, engine, disks, build parameters, pipeline file, registry, " +
        "clock, testbeds, production. Changes nothing anywhere.",
        [LeastDisk, SummaryFile, .. ChainRun.Options, .. TestbedAccess.Options, RegistryOptions.CertificateAuthority],
        (context, cancel) => new Doctor(context).RunAsync(cancel));
}
