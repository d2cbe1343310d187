using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Reports.Tests;

public sealed class A_chains_verdict
{
    private static readonly RunIdentity Run = new("https://git.example/r", "ci/x", false, new string('a', 40), "7", false);

    private static StepEvidence Evidence(string step, int exit, string reason = "done", Fault fault = Fault.Unknown) =>
        new(step, Run, exit, reason, $"{step} says so", [], "", [], null, default, default) { Fault = fault };

    private static ChainVerdict Judge(params StepEvidence[] evidence) =>
        ChainVerdict.For(ChainVerdict.BranchSteps, evidence.ToDictionary(one => one.Step), new Dictionary<string,
            EvidenceFound>());

    [Test]
    public void Is_good_when_every_step_is_done() =>
        Assert.That(Judge([.. ChainVerdict.BranchSteps.Select(step => Evidence(step, ExitCode.Done))]).Succeeded, Is.True);

    [TestCase(ExitCode.Refused, "failed", Fault.Change, Audience.Owners)]
    [TestCase(ExitCode.Refused, "cluster-of-my-own", Fault.Change, Audience.Owners, Description = "a word decides nothing")]
    [TestCase(ExitCode.Refused, "no-evidence", Fault.Environment, Audience.Platform)]
    [TestCase(ExitCode.Usage, "usage", Fault.Change, Audience.Owners)]
    [TestCase(ExitCode.Unavailable, "registry-unreachable", Fault.World, Audience.Platform)]
    [TestCase(ExitCode.Cancelled, "cancelled", Fault.Nobody, Audience.Nobody)]
    [TestCase(ExitCode.Refused, "superseded", Fault.Nobody, Audience.Nobody)]
    [TestCase(ExitCode.Refused, "failed", Fault.Unknown, Audience.Everybody, Description = "evidence of an earlier version")]
    public void Names_the_first_step_that_failed_and_whom_it_concerns(int exit, string reason, Fault fault, Audience audience)
    {
        var verdict = Judge(Evidence("unit-test", ExitCode.Done), Evidence("image-build", exit, reason, fault));
        Assert.That(
            (verdict.FailedStep, verdict.Reason, verdict.Fault, verdict.Audience),
            Is.EqualTo(("image-build", reason, fault, audience)));
    }

    [TestCase(EvidenceState.Missing, "missing", "left no word: it was killed, or never started")]
    [TestCase(EvidenceState.Unreadable, "unreadable", "left no readable evidence")]
    [TestCase(EvidenceState.OfAnotherRun, "other-run", "no evidence of this run")]
    [TestCase(EvidenceState.BadSignature, "bad-signature", "is not signed as it has to be")]
    public void Says_why_a_steps_evidence_is_none(EvidenceState state, string reason, string says)
    {
        var verdict = ChainVerdict.For(["unit-test"], new Dictionary<string, StepEvidence>(),
            new Dictionary<string, EvidenceFound> { ["unit-test"] = new(state, null, "because of that") });
        Assert.That((verdict.FailedStep, verdict.Reason, verdict.Audience), Is.EqualTo(("unit-test", reason, Audience.Platform)));
        Assert.That(verdict.Text, Does.Contain(says).And.Contain("because of that"));
        if (state != EvidenceState.Missing) Assert.That(verdict.Text, Does.Not.Contain("never started"));
    }

    [Test]
    public void Takes_a_step_without_a_word_for_a_fault_of_the_platform()
    {
        var verdict = Judge(Evidence("unit-test", ExitCode.Done));
        Assert.That(
            (verdict.FailedStep, verdict.Reason, verdict.Audience), Is.EqualTo(("image-build", "missing", Audience.Platform)));
    }
}
