using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>The step's outcome from all of its runs.</summary>
internal static class UnitTestConclusion
{
    public static Outcome Of(UnitTestPlan plan, IReadOnlyList<TestedRuns> results, ChainRun run)
    {
        var handOver = new UnitTestHandOver(plan.Base, [.. plan.Components.Select(planned => Tested(planned, results))]);
        var judged = Judge(plan, results);
        var source = run.Change.Source;
        var predicate = TestResultPredicate.Of([.. results.SelectMany(result => result.Runs)], judged.Exit == ExitCode.Done,
            source, run.Repository.ObjectId(run.Identity.Commit, source));
        return judged
            .HandingOver(handOver, HandOverJson.Default.UnitTestHandOver)
            .Attesting(PredicateTypes.TestResult, predicate);
    }

    internal static Outcome Judge(UnitTestPlan plan, IReadOnlyList<TestedRuns> results)
    {
        var failed = results
            .SelectMany(result => result.Runs.Where(run => !run.Verdict.Succeeded).Select(run => (result.Planned, Run: run)))
            .ToList();
        var broken = results
            .SelectMany(
                result => result.Broken.Select(
                    failure => (Failure: failure, Text: $"{result.Planned.Component.Name}: {failure.Message}")))
            .ToList();
        if (failed.Count > 0)
        {
            var components = failed.Select(one => one.Planned.Component.Name).Distinct().Count();
            var texts = failed
                .Select(one => $"{one.Run.Title}: {one.Run.Verdict.Text}{Owned(one.Planned.Owners)}")
                .Concat(broken.Select(one => one.Text));
            var reason = failed.Exists(one => one.Run.Verdict.Reason == "tests-failed")
                ? "tests-failed"
                : failed[0].Run.Verdict.Reason;
            return Outcome.Refused(reason,
                (results.Count > 1 ? $"{components} of {results.Count} tested components failed: " : "") +
                    string.Join("; ", texts) +
                    "; see the build's tests");
        }
        // Nothing is wrong with the change, but it could not be tested.
        if (broken.Find(one => one.Failure is UsageException) is { Text: not null } usage) return Outcome.Usage(usage.Text);
        if (broken.Find(
            one => one.Failure is UnavailableException) is { Failure: UnavailableException unavailable, Text: var text })
            return Outcome.Unavailable(unavailable.Reason, text);

        var changed = plan.Components.Count(planned => planned.Changed);
        if (results.Count == 0)
            return Outcome.Done(changed == 0 ? "nothing to test: the change touches no component"
                : $"nothing to test: {string.Join(
                    ", ", plan.Components.Where(planned => planned.Changed).Select(planned => planned.Component.Name))} " +
                    $"changed and {(changed == 1 ? "has" : "have")} no unit tests configured");
        return Outcome.Done(
            $"{TestTotals.Sum(results.SelectMany(result => result.Runs).Select(run => run.Report.Totals))} in " +
            $"{string.Join(", ", results.Select(result => result.Planned.Component.Name))}");
    }

    private static string Owned(IReadOnlyList<string> owners) =>
        owners.Count == 0 ? "" : $" (owner: {string.Join(", ", owners)})";

    private static TestedComponent Tested(PlannedComponent planned, IReadOnlyList<TestedRuns> results)
    {
        var totals = TestTotals.Sum(results.Where(result => result.Planned == planned)
            .SelectMany(result => result.Runs)
            .Select(run => run.Report.Totals));
        return new TestedComponent(planned.Component.Name, planned.Changed, planned.Reason, totals.Passed, totals.Failed,
            totals.Skipped + totals.Tolerated, totals.Flaky)
        {
            Runs = [.. results.Where(result => result.Planned == planned && result.Broken.Count == 0)
                .SelectMany(result => result.Planned.Runs.Zip(result.Runs))
                .Where(pair => pair.Second.Verdict.Succeeded).Select(pair => pair.First.Name)],
        };
    }
}
