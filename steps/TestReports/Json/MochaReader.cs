namespace CiSteps.TestReports.Json;

/// <summary>
/// mocha's <c>json</c> reporter: tests in three lists by how they ended. Hooks that failed stand among the failures only.
/// </summary>
internal static class MochaReader
{
    public static ReportFault? Read(JsonPart root, string source, CaseList cases)
    {
        var stats = root.Object("stats") ?? throw JsonPart.Fault("", "there are no \"stats\"");
        foreach (var (list, outcome, sum) in new[] { ("passes", TestOutcome.Passed, "passes"),
            ("pending", TestOutcome.Skipped, "pending"), ("failures", TestOutcome.Failed, "failures") })
        {
            var from = cases.Count;
            foreach (var test in root.Items(list)) cases.Add(Test(test, outcome));
            if (stats.Count(sum) is { } count && count > cases.Count - from)
                return new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {count} {sum} and has {cases.Count - from}");
        }
        return stats.Has("end") || stats.Has("duration") ? null
            : new(ReportFaultKind.Truncated, $"\"{source}\" has no end; its writer probably ended before it was done");
    }

    private static TestCase Test(JsonPart test, TestOutcome outcome)
    {
        var title = test.Needed("title");
        var full = test.Text("fullTitle") ?? title;
        // The titles above are joined by spaces, and so cannot be told apart.
        var above = full.Length > title.Length && full.EndsWith(" " + title, StringComparison.Ordinal)
            ? full[..^(title.Length + 1)] : null;
        var error = test.Object("err");
        var tries = test.Count("currentRetry") ?? 0;
        var message = error is { } found ? found.Text("message") : null;
        return new TestCase(above is null ? [] : [above], null, title, outcome)
        {
            File = test.Text("file"),
            Duration = test.Milliseconds("duration"),
            IsFlaky = outcome == TestOutcome.Passed && tries > 0,
            Attempts = tries + 1,
            Message = outcome == TestOutcome.Failed ? message ?? "failed without a message" : null,
            Details = outcome == TestOutcome.Failed && error is { } stack ? stack.Text("stack") : null,
        };
    }
}
