using CiSteps.Hosting;

namespace CiSteps.RunChain.Commands;

/// <summary>The command line of run-chain.</summary>
internal static class RunChainProgram
{
    /// <summary>All commands.</summary>
    public static ProgramCommand Create() => new("run-chain", "Runs the chain of a TeamCity settings tree on this machine, and checks those settings.", [])
    {
        Commands =
        [
            RunCommand.Create(),
            // For the help only: it is started as a step before this command line is read.
            new("close", "Ends a chain whatever happened: releases its testbeds, tells the owner once, writes the report (see close --help).", [], (_, _) => Task.FromResult(ExitCode.Usage)),
            PlanCommand.Create(),
            CheckCommand.Create(),
            ScaffoldCommand.Create(),
            SandboxCommands.Create(),
        ],
    };
}
