using System.Text.Json.Nodes;

namespace CiSteps.TestReports;

/// <summary>in-toto's predicate for test results, <c>https://in-toto.io/attestation/test-result/v0.1</c>.</summary>
public static class TestResultPredicate
{
    // Beyond this many names the statement would be larger than anybody reads; the file of results has them all.
    private const int MostNames = 2000;

    /// <summary>The predicate for a step's runs.</summary>
    /// <param name="runs">What ran.</param>
    /// <param name="succeeded">The step's verdict; more than tests can fail.</param>
    /// <param name="configuration">Name of the pipeline file that said what runs.</param>
    /// <param name="blob">Its object name in git; null when it is in no commit.</param>
    public static JsonObject Of(IReadOnlyList<FinishedRun> runs, bool succeeded, string configuration, string? blob)
    {
        var totals = TestTotals.Sum(runs.Select(run => run.Report.Totals));
        var descriptor = new JsonObject { ["name"] = configuration };
        if (blob is not null) descriptor["digest"] = new JsonObject { ["gitBlob"] = blob };
        return new JsonObject
        {
            ["result"] = !succeeded ? "FAILED" : totals.Flaky + totals.Tolerated > 0 ? "WARNED" : "PASSED",
            ["configuration"] = new JsonArray((JsonNode)descriptor),
            ["passedTests"] = Names(
                report => report.Cases.Where(test => test is { Outcome: TestOutcome.Passed, IsFlaky: false })),
            ["warnedTests"] = Names(report => report.Notable.Where(test => !test.Fails)),
            ["failedTests"] = Names(report => report.Notable.Where(test => test.Fails)),
        };

        JsonArray Names(Func<TestReport, IEnumerable<TestCase>> which) =>
        [
            .. runs
                .SelectMany(run => which(run.Report).Select(test => (JsonNode?)$"{run.Title}: {test.Identity}"))
                .Take(MostNames),
        ];
    }
}
