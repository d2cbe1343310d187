using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Pipeline.Tests;

/// <summary>What a step in a work tree sees of its run.</summary>
internal sealed record Opened(
    int Exit,
    string Output,
    RunIdentity? Run,
    string? Change,
    string? Policy,
    string? TargetTip,
    string? Base,
    IReadOnlyList<string>? Changed,
    Outcome? Superseded)
{
    /// <summary>Components that the change touches.</summary>
    public IReadOnlyList<string>? Touched { get; init; }

    /// <summary>Opens the run in a clone as a step does; with <paramref name="parameters"/> as TeamCity would.</summary>
    public static async Task<Opened> In(GitClone clone, string[]? args = null, Dictionary<string, string>? environment = null,
        Dictionary<string, string>? parameters = null, TimeProvider? time = null, string step = "probe")
    {
        environment = new Dictionary<string, string>(environment ?? []);
        var propertiesFile = clone.Folder + ".properties";
        if (parameters is not null)
        {
            File.WriteAllText(propertiesFile, Hosting.Options.JavaProperties.Write(parameters));
            environment["TEAMCITY_VERSION"] = "2025.11";
            environment["TEAMCITY_BUILD_PROPERTIES_FILE"] = propertiesFile;
        }
        var opened = new Opened(-1, "", null, null, null, null, null, null, null);
        var command = new StepCommand(step, "Opens the run.", ChainRun.Options, async (context, cancel) =>
        {
            try
            {
                using var run = await ChainRun.OpenAsync(context, cancel);
                opened = opened with
                {
                    Change = run.Change.Source,
                    Policy = run.Policy.Source,
                    TargetTip = run.TargetTip,
                    Superseded = await run.SupersededAsync(cancel),
                };
                var since = await run.BasesAsync(cancel);
                opened = opened with
                {
                    Base = since is null ? null : string.Join(" or ", since),
                    Changed = since is null ? null : run.ChangedSince(since),
                    Touched = [.. (await run.ChangesAsync(new Dictionary<string, string?>(), cancel))
                        .Where(change => change.Changed).Select(change => change.Component.Name)],
                };
            }
            finally
            {
                opened = opened with { Run = context.Run };
            }
            return Outcome.Done("opened");
        });
        using var output = new StringWriter();
        var exit = await StepHost.RunAsync(
            command, ["--work-tree", clone.Folder, .. args ?? []], output, output, environment, time ?? new FakeTimeProvider());
        return opened with { Exit = exit, Output = output.ToString() };
    }
}
