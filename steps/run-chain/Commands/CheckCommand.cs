using CiSteps.Hosting;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Commands;

/// <summary><c>run-chain check</c>: what is wrong with a settings tree.</summary>
internal static class CheckCommand
{
    public static ProgramCommand Create() => new("check", "Checks a TeamCity settings tree and prints each finding as file:line: rule: message.", [], Run)
    {
        Argument = ("folder", "folder of the settings; default: teamcity-settings or this folder"),
    };

    private static async Task<int> Run(ProgramContext context, CancellationToken cancel)
    {
        var tree = SettingsReader.Read(RunSession.FindSettings(context.Argument));
        foreach (var finding in tree.Findings) await context.Output.WriteLineAsync(finding.ToString()).ConfigureAwait(false);
        return tree.Findings.Any(finding => finding.Severity == Severity.Error) ? ExitCode.Refused : ExitCode.Done;
    }
}
