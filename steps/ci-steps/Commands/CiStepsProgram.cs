using CiSteps.Cli.Doctoring;
using CiSteps.Cli.Pruning;
using CiSteps.Hosting;

namespace CiSteps.Cli.Commands;

/// <summary>The command line of ci-steps.</summary>
internal static class CiStepsProgram
{
    private const string Name = "ci-steps";

    /// <summary>All commands.</summary>
    public static ProgramCommand Create() =>
        new(
            Name,
            "Runs the chain of a TeamCity settings tree on this machine, checks those settings and installs them, " +
            "and brings clusters up.",
            [])
        {
            Commands =
            [
                RunCommand.Create(),
                ReportCommand.Create(),
                PlanCommand.Create(),
                CheckCommand.Create(),
                ScaffoldCommand.Create(),
                InstallCommand.Create(),
                Step("doctor",
                    "Looks whether this agent or laptop can run the steps, and says what to do where it cannot (see doctor " +
                    "--help)."),
                Step("prune-images",
                    "Removes old images of private branches that nothing uses; shows them first (see prune-images --help)."),
                SandboxCommands.Create(),
            ],
        };

    /// <summary>
    /// Runs as this process. prune-images and doctor are steps like the others: they have their settings, evidence and endings.
    /// </summary>
    public static Task<int> RunAsync(string[] args) => args switch
    {
        ["prune-images", .. var rest] => StepHost.RunAsync(PruneCommand.Create() with { Program = Name }, rest),
        ["doctor", .. var rest] => StepHost.RunAsync(DoctorCommand.Create() with { Program = Name }, rest),
        _ => ProgramHost.RunAsync(Create(), args),
    };

    // For the help only: a step is started before this command line is read.
    private static ProgramCommand Step(string name, string description) =>
        new(name, description, [], (_, _) => Task.FromResult(ExitCode.Usage));
}
