using CiSteps.TestReports.Xml;

namespace CiSteps.TestReports.Json;

/// <summary>What <c>jest --json</c> and vitest's <c>json</c> reporter write.</summary>
internal static class JestReader
{
    public static ReportFault? Read(JsonPart root, string source, CaseList cases)
    {
        foreach (var suite in root.Items("testResults"))
        {
            // Newer versions name these two "name" and "assertionResults", the in-process form "testFilePath" and "testResults".
            var file = suite.Text("name") ?? suite.Text("testFilePath");
            var from = cases.Count;
            foreach (var test in suite.Items(suite.HasArray("assertionResults") ? "assertionResults"
                : "testResults")) cases.Add(Test(test, file));
            if (suite.Text("status") == "failed" && !cases.AnyFailureFrom(from))
                cases.Add(new TestCase([], null, file ?? "(suite)", TestOutcome.Error)
                {
                    File = file,
                    Message = JUnitReader.FirstLine(suite.Text("message")) ?? "the suite failed without a failed test",
                    Details = suite.Text("message"),
                });
        }
        if (root.Flag("wasInterrupted")) return new(ReportFaultKind.Aborted, $"\"{source}\" says that the run was interrupted");
        var total = root.Count("numTotalTests");
        var shown = cases.Count(test => test.Name != test.File);
        if (total > shown) return new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {total} tests and has {shown}");
        return (root.Count("numFailedTests") > 0 || root.Count("numFailedTestSuites") > 0) && !cases.AnyFailureFrom(0)
            ? new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts failures, but shows none of them") : null;
    }

    private static TestCase Test(JsonPart test, string? file)
    {
        var messages = test.Texts("failureMessages");
        var status = test.Needed("status");
        var outcome = status switch
        {
            "passed" or "focused" => TestOutcome.Passed,
            "failed" => TestOutcome.Failed,
            "pending" or "todo" or "skipped" or "disabled" => TestOutcome.Skipped,
            _ =>
                throw JsonPart.Fault(test.Path + ".status",
                    $"{test.Path}.status is \"{status}\", which is not a status of this format"),
        };
        var invocations = test.Count("invocations") ?? 1;
        var retries = test.Texts("retryReasons");
        var isFlaky = outcome == TestOutcome.Passed && (invocations > 1 || retries.Count > 0);
        var problem = messages.Count > 0 ? messages : retries;
        return new TestCase(test.Texts("ancestorTitles"), null, test.Text("title") ?? test.Needed("fullName"), outcome)
        {
            File = file,
            Duration = test.Milliseconds("duration"),
            IsFlaky = isFlaky,
            Attempts = Math.Max(invocations, retries.Count + 1),
            Message = outcome == TestOutcome.Failed || isFlaky
                ? JUnitReader.FirstLine(problem.Count > 0 ? problem[0] : null) ?? (outcome == TestOutcome.Failed
                    ? "failed without a message" : null) : null,
            Details = problem.Count > 0 ? string.Join("\n\n", problem) : null,
            SkipReason = status == "todo" ? "todo" : null,
        };
    }
}
