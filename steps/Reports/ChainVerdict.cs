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

    /// <summary>Both, as it is not known whose fault it was.</summary>
    Everybody,
}

/// <summary>How a chain ended: which step failed first, and whom that concerns. A pure function of the evidence.</summary>
/// <param name="FailedStep">The first step that is not done; null when all are.</param>
/// <param name="Reason">Its reason word; <c>missing</c>, <c>unreadable</c>, <c>other-run</c> or
/// <c>bad-signature</c> when there is no evidence of it to use.</param>
/// <param name="Text">What the failed step said, in one sentence.</param>
/// <param name="Fault">Whose fault it was.</param>
public sealed record ChainVerdict(string? FailedStep, string Reason, string Text, Fault Fault)
{
    /// <summary>The steps of the chain on a private branch, in order.</summary>
    public static IReadOnlyList<string> BranchSteps { get; } = [
        "unit-test",
        "image-build",
        "reserve-testbed",
        "integration-deploy",
        "merge"
    ];

    /// <summary>The steps of the chain on the default branch, in order.</summary>
    public static IReadOnlyList<string> ReleaseSteps { get; } = [
        "unit-test",
        "image-build",
        "reserve-testbed",
        "integration-deploy",
        "certify",
        "promote"
    ];

    /// <summary>Whom to tell.</summary>
    public Audience Audience => Fault switch
    {
        Fault.Nobody => Audience.Nobody,
        Fault.Change => Audience.Owners,
        Fault.World or Fault.Environment => Audience.Platform,
        _ => Audience.Everybody,
    };

    /// <summary>Whether every step is done.</summary>
    public bool Succeeded => FailedStep is null;

    /// <summary>Judges.</summary>
    /// <param name="steps">The chain's steps in order.</param>
    /// <param name="evidence">What there is of this very run, by step.</param>
    /// <param name="missing">Where there is none, what was found instead, by step.</param>
    public static ChainVerdict For(IReadOnlyList<string> steps, IReadOnlyDictionary<string, StepEvidence> evidence,
        IReadOnlyDictionary<string, EvidenceFound> missing)
    {
        foreach (var step in steps)
        {
            if (!evidence.TryGetValue(step, out var found))
                return Without(step, missing.GetValueOrDefault(step) ?? new(EvidenceState.Missing, null, "no evidence"));
            // The chain of a newer commit speaks for itself, and who stopped a build knows it: these are nobody's fault.
            if (found.Exit != ExitCode.Done) return new(step, found.Reason, found.Text, found.Fault);
        }
        return new(null, "done", $"{Count.Of(steps.Count, "step is", "steps are")} done", Fault.Nobody);
    }

    private static ChainVerdict Without(string step, EvidenceFound found) => found.State switch
    {
        EvidenceState.Unreadable => new(step, "unreadable", $"{step} left no readable evidence: {found.Why}", Fault.Environment),
        EvidenceState.OfAnotherRun => new(step, "other-run", $"{step} left no evidence of this run, only what another left: " +
            $"{found.Why}; see its build log, then run it again", Fault.Environment),
        EvidenceState.BadSignature => new(step, "bad-signature", $"the evidence of {step} is not signed as it has to be: " +
            found.Why, Fault.Environment),
        _ => new(step, "missing", $"{step} left no word: it was killed, or never started ({found.Why}); see its build log, " +
            "then run it again", Fault.Environment),
    };
}
