using System.Globalization;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Pruning;

/// <summary>
/// <c>ci-steps prune-images</c>: retention of the images of private branches. A step like the others, run by a schedule or by a
/// person.
/// </summary>
internal static class PruneCommand
{
    internal static readonly StepOption<TimeSpan> OlderThan = new(
        "older-than", "images made longer ago may go: 30d, 12h", Age, "30d");

    internal static readonly StepOption<bool> Delete = StepOption.Switch("delete",
        "remove what the plan says; without it the plan is only printed");

    internal static readonly StepOption<string> Services = StepOption.Text("services",
        "names of services, with commas, also ones that ci-steps.yaml no longer has; default: all components with an image");

    internal static readonly StepOption<bool> WithoutPool = StepOption.Switch("without-pool",
        "do not ask the testbed pool which chains are open: the tips of the branches and the age are to suffice");

    internal static readonly StepOption<bool> WithoutProduction = StepOption.Switch("without-production",
        "do not look what production runs: images of private branches are never used there");

    public static StepCommand Create() => new(
        "prune-images",
        "Removes images of private branches that are older than a limit, never one that a release, " +
        "an open chain or production uses; prints the plan first and removes with --delete only.",
        [
            .. ChainRun.Options,
            RegistryOptions.CertificateAuthority,
            .. TestbedAccess.Options,
            OlderThan,
            Delete,
            Services,
            WithoutPool,
            WithoutProduction
        ],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel);
            return await new PruneStep(context, run).RunAsync(cancel);
        });

    // Retention is longer than any timer may run.
    private static TimeSpan Age(string text)
    {
        if (!text.EndsWith('d')
            || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var days))
            return Durations.Parse(text);
        return days is > 0 and <= 36500
            ? TimeSpan.FromDays(days)
            : throw new FormatException($"\"{text}\" is not an age; write it like 30d or 12h");
    }
}
