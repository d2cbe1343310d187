using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Reports;

/// <summary>Whom a failure concerns.</summary>
public enum Audience
{
    /// <summary>Nobody has to be told.</summary>
    Nobody,

    /// <summary>The owners of what changed.</summary>
    Owners,

    /// <summary>Who looks after agents, registry, clusters and these tools.</summary>
    Platform,
}

/// <summary>How a chain ended: which step failed first, and whom that concerns. A pure function of the evidence.</summary>
/// <param name="FailedStep">The first step that is not done; null when all are.</param>
/// <param name="Reason">Its reason word; <c>missing</c> when it left no evidence.</param>
/// <param name="Text">Its sentence.</param>
/// <param name="Audience">Whom to tell.</param>
public sealed record ChainVerdict(string? FailedStep, string Reason, string Text, Audience Audience)
{
    /// <summary>The steps of the chain on a private branch, in order.</summary>
    public static IReadOnlyList<string> BranchSteps { get; } = ["unit-test", "image-build", "reserve-testbed", "integration-deploy", "merge"];

    /// <summary>The steps of the chain on the default branch, in order.</summary>
    public static IReadOnlyList<string> ReleaseSteps { get; } = ["unit-test", "image-build", "reserve-testbed", "integration-deploy", "certify", "promote"];

    /// <summary>Whether every step is done.</summary>
    public bool Succeeded => FailedStep is null;

    /// <summary>Judges.</summary>
    /// <param name="steps">The chain's steps in order.</param>
    /// <param name="evidence">What there is of this very run, by step.</param>
    /// <param name="why">Why there is none, by step.</param>
    public static ChainVerdict For(IReadOnlyList<string> steps, IReadOnlyDictionary<string, StepEvidence> evidence, IReadOnlyDictionary<string, string> why)
    {
        foreach (var step in steps)
        {
            if (!evidence.TryGetValue(step, out var found))
                return new(step, "missing", $"{step} left no word: it was killed, or never started ({why.GetValueOrDefault(step, "no evidence")}); see its build log, then run it again", Audience.Platform);
            if (found.Exit != ExitCode.Done) return new(step, found.Reason, found.Text, AudienceOf(found));
        }
        return new(null, "done", $"{Count.Of(steps.Count, "step is", "steps are")} done", Audience.Nobody);
    }

    private static Audience AudienceOf(StepEvidence evidence) => evidence switch
    {
        // The chain of the newer commit speaks for itself; who stopped a build knows it.
        { Reason: "superseded" } or { Exit: ExitCode.Cancelled } => Audience.Nobody,
        { Exit: ExitCode.Unavailable or ExitCode.Bug } => Audience.Platform,
        _ => Audience.Owners,
    };
}
