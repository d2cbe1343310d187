using CiSteps.Hosting;
using CiSteps.RunChain.Closing;
using CiSteps.RunChain.Doctoring;
using CiSteps.RunChain.Installing;
using CiSteps.RunChain.Pruning;

namespace CiSteps.RunChain.Commands;

/// <summary>The command line of run-chain.</summary>
internal static class RunChainProgram
{
    private const string Name = "run-chain";

    /// <summary>All commands.</summary>
    public static ProgramCommand Create() => new(Name, "Runs the chain of a TeamCity settings tree on this machine, and checks those settings.", [])
    {
        Commands =
        [
            RunCommand.Create(),
            Step("close", "Ends a chain whatever happened: releases its testbeds, tells the owner once, writes the report (see close --help)."),
            PlanCommand.Create(),
            CheckCommand.Create(),
            ScaffoldCommand.Create(),
            InstallCommand.Create(),
            Step("doctor", "Looks whether this agent or laptop can run the steps, and says what to do where it cannot (see doctor --help)."),
            Step("prune-images", "Removes old images of private branches that nothing uses; shows them first (see prune-images --help)."),
            SandboxCommands.Create(),
        ],
    };

    /// <summary>Runs as this process. close, prune-images and doctor are steps like the others: they have their settings, evidence and endings.</summary>
    public static Task<int> RunAsync(string[] args) => args switch
    {
        ["close", .. var rest] => StepHost.RunAsync(CloseCommand.Create() with { Program = Name }, rest),
        ["prune-images", .. var rest] => StepHost.RunAsync(PruneCommand.Create() with { Program = Name }, rest),
        ["doctor", .. var rest] => StepHost.RunAsync(DoctorCommand.Create() with { Program = Name }, rest),
        _ => ProgramHost.RunAsync(Create(), args),
    };

    // For the help only: a step is started before this command line is read.
    private static ProgramCommand Step(string name, string description) => new(name, description, [], (_, _) => Task.FromResult(ExitCode.Usage));
}
