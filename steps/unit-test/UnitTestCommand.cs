using System.Globalization;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>What unit-test can be asked.</summary>
internal static class UnitTestCommand
{
    public static StepOption<bool> All { get; } = StepOption.Switch("all", "test every component, changed or not");

    public static StepOption<IReadOnlyList<string>> Components { get; } = new(
        "component", "test only these components, changed or not; names with commas between", Names);

    public static StepOption<int> Parallel { get; } = new(
        "parallel",
        "how many components are tested at once; default: one per core",
        Positive,
        Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture));

    /// <summary>The step's command.</summary>
    /// <param name="commands">Runs test commands; null: on this machine and its container engine.</param>
    /// <param name="certified">Knows what was certified last; null: the registry.</param>
    public static StepCommand Create(ITestCommands? commands = null, ICertifiedCommits? certified = null) => new(
        "unit-test",
        "Runs the unit tests of the components that the change touches. Reads ci-steps.yaml and the work tree; " +
        "hands over which components changed and how their tests ended.",
        [All, Components, Parallel, RegistryOptions.CertificateAuthority, .. ChainRun.Options],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel);
            using var own = commands is null ? new TestCommands(context, run) : null;
            return await new UnitTestStep(
                context, run, commands ?? own!, certified ?? new CertifiedCommits(context, run)).RunAsync(cancel);
        });

    private static IReadOnlyList<string> Names(string text) =>
        text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is { Length: > 0 } names
            ? names
            : throw new FormatException("give at least one component");

    private static int Positive(string text) =>
        int.TryParse(text, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= 256
            ? number
            : throw new FormatException("give a number from 1 to 256");
}
