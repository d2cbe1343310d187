using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Close;

/// <summary><c>close</c>: the end of a chain, however it went, as it runs in the terminal configurations.</summary>
internal static class CloseCommand
{
    /// <summary>Steps that the chain has, for chains of one's own making.</summary>
    internal static readonly StepOption<string> Steps = StepOption.Text("steps",
        "the chain's steps in order, with commas; default: those of the branch or the release chain",
        null, "cisteps.chain.steps");

    /// <summary>Whether a release chain's end is recorded at the origin.</summary>
    internal static readonly StepOption<bool> RecordRelease = StepOption.Switch("record-release",
        "record at the origin whether the target branch's release chain is red, for merge to see; needs the right to push " +
        "references below refs/ci-steps/");

    /// <summary>The command.</summary>
    /// <param name="http">Posts notifications; null for a client of its own.</param>
    public static StepCommand Create(HttpClient? http = null) => new("close",
        "Ends a chain whatever happened: gives its testbeds back, tells the owner once, writes the report.",
        [Steps, RecordRelease, .. ChainRun.Options, .. TestbedAccess.Options],
        (context, cancel) => new CloseStep(context, http).RunAsync(cancel))
    {
        // Whom an earlier run has told is not told again.
        Keeps = [CloseStep.ToldFile],
    };
}
