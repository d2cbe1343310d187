using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Notifications;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Close;

/// <summary>What there is of a chain at its end.</summary>
/// <param name="Run">Which run of which chain it is.</param>
/// <param name="Steps">The chain's steps in order.</param>
/// <param name="Evidence">What there is of this very run, by step.</param>
/// <param name="Missing">Why there is none, by step.</param>
/// <param name="Policy">The pipeline file that names owners; null when it cannot be read.</param>
/// <param name="TouchedComponents">Components that the change touches by its paths; empty when that is not known.</param>
/// <param name="HasTestbeds">Whether a pool or a cluster for tests is configured here.</param>
internal sealed record EndedChain(
    RunIdentity Run,
    IReadOnlyList<string> Steps,
    IReadOnlyDictionary<string, StepEvidence> Evidence,
    IReadOnlyDictionary<string, string> Missing,
    PipelineDefinition? Policy,
    IReadOnlyList<string> TouchedComponents,
    bool HasTestbeds);

/// <summary>What the end of a chain takes: what is given back, who is told, what the report says.</summary>
/// <param name="Verdict">How the chain ended.</param>
/// <param name="GivesBack">Whether testbeds are looked for and given back.</param>
/// <param name="Recipients">Teams to tell, each once.</param>
/// <param name="Components">The changed components; empty when that is not known.</param>
/// <param name="Report">The chain's report.</param>
internal sealed record ClosePlan(
    ChainVerdict Verdict,
    bool GivesBack,
    IReadOnlyList<OwnerDefinition> Recipients,
    IReadOnlyList<string> Components,
    ChainReport Report)
{
    /// <summary>Judges the chain and decides who is told; asks nothing and changes nothing.</summary>
    public static ClosePlan For(EndedChain chain)
    {
        var verdict = ChainVerdict.For(chain.Steps, chain.Evidence, chain.Missing);
        var changed = ChangedBy(chain.Evidence.GetValueOrDefault("unit-test"));
        if (changed.Count == 0) changed = chain.TouchedComponents;
        var recipients = Notifications.Recipients.For(verdict, chain.Policy, changed);
        return new(verdict, chain.HasTestbeds, recipients, changed, ReportOf(chain, verdict));
    }

    /// <summary>How the chain ended, and what was done about it, in one sentence.</summary>
    public string Sentence(string done) => Verdict.Succeeded
        ? $"the chain is done: {Verdict.Text}; {done}"
        : $"the chain failed at {Verdict.FailedStep} ({Verdict.Reason}); {done}";

    /// <summary>Who heard of it. Of a failure that nobody hears of the sentence has to say so.</summary>
    public string Heard(IReadOnlyList<string> told, IReadOnlyList<string> missed)
    {
        if (Verdict.Audience == Audience.Nobody) return "nobody had to be told";
        if (Recipients.Count == 0) return "nobody was told: no owner of it is known";
        if (told.Count == 0 && missed.Count == 0) return "the owners were told before";
        var parts = new List<string>();
        if (told.Count > 0) parts.Add($"told {string.Join(", ", told)}");
        if (missed.Count > 0) parts.Add($"could not tell {string.Join(", ", missed)}");
        return string.Join("; ", parts);
    }

    // What unit-test found changed, if it came so far.
    private static IReadOnlyList<string> ChangedBy(StepEvidence? unitTest)
    {
        try
        {
            var components = unitTest?.HandOverAs(HandOverJson.Default.UnitTestHandOver)?.Components ?? [];
            return [.. components.Where(component => component.Changed).Select(component => component.Component)];
        }
        catch (UsageException)
        {
            return [];
        }
    }

    private static ChainReport ReportOf(EndedChain chain, ChainVerdict verdict)
    {
        var run = chain.Run;
        var summary = verdict.Succeeded ? verdict.Text : $"{verdict.FailedStep}: {verdict.Text}";
        return new($"{run.Branch} at {run.ShortCommit}", verdict.Succeeded, summary, [.. chain.Steps.Select(Row)])
        {
            Facts = [("branch", run.Branch), ("commit", run.Commit), ("build", run.BuildNumber), ("repository", run.Repository)],
        };

        ReportRow Row(string step)
        {
            if (chain.Evidence.TryGetValue(step, out var found)) return ReportRow.Of(found);
            var why = chain.Missing.GetValueOrDefault(step, "");
            return new ReportRow(step, "not started", null, null, why) { IsProblem = step == verdict.FailedStep };
        }
    }
}
