using CiSteps.Hosting;

namespace CiSteps.RunChain.Commands;

/// <summary>The command line of run-chain.</summary>
internal static class RunChainProgram
{
    /// <summary>All commands.</summary>
    public static ProgramCommand Create() => new("run-chain", "Runs the chain of a TeamCity settings tree on this machine, and checks those settings.", [])
    {
        Commands = [RunCommand.Create(), PlanCommand.Create(), CheckCommand.Create()],
    };

    /// <summary>Runs as this process.</summary>
    public static Task<int> RunAsync(string[] args) => ProgramHost.RunAsync(Create(), args);
}
