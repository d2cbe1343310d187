namespace CiSteps.TestReports.Json;

/// <summary>The Common Test Report Format.</summary>
internal static class CtrfReader
{
    public static ReportFault? Read(JsonPart root, string source, CaseList cases)
    {
        var results = root.Object("results") ?? throw JsonPart.Fault("", "there are no \"results\"");
        var failed = 0;
        foreach (var test in results.Items("tests"))
        {
            var read = Test(test);
            failed += read.IsFailure ? 1 : 0;
            cases.Add(read);
        }
        if (results.Object("summary") is not { } summary)
            return new(ReportFaultKind.Truncated, $"\"{source}\" has no summary; its writer probably ended before it was done");
        // Some writers count a test's tries, or sum up what they do not list: only what would hide something is a fault.
        if (summary.Count("tests") is { } count && count > cases.Count)
            return new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {count} tests and has {cases.Count}");
        return summary.Count("failed") is { } all && all > 0 && failed == 0
            ? new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {all} failed tests, but shows none of them") : null;
    }

    private static TestCase Test(JsonPart test)
    {
        var suites = test.Texts("suite");
        if (suites is [var one]) suites =
            [.. one.Split(" > ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        var status = test.Needed("status");
        var outcome = status switch
        {
            "passed" => TestOutcome.Passed,
            "failed" => TestOutcome.Failed,
            "skipped" or "pending" => TestOutcome.Skipped,
            // "other" is whatever the tool knows besides: aborted, timed out, unknown.
            "other" => TestOutcome.Error,
            _ =>
                throw JsonPart.Fault(test.Path + ".status",
                    $"{test.Path}.status is \"{status}\", which is not a status of this format"),
        };
        var message = test.Text("message");
        var retries = test.Count("retries") ?? 0;
        var isFlaky = test.Flag("flaky") && outcome == TestOutcome.Passed;
        return new TestCase(suites, null, test.Needed("name"), outcome)
        {
            Duration = test.Milliseconds("duration"),
            File = test.Text("filePath"),
            Message = outcome is TestOutcome.Failed or TestOutcome.Error ? message ?? test.Text("rawStatus") ?? status : isFlaky
                ? message : null,
            Details = outcome == TestOutcome.Skipped ? null : test.Text("trace"),
            SkipReason = outcome == TestOutcome.Skipped ? message : null,
            Output = Lines(test, "stdout"),
            ErrorOutput = Lines(test, "stderr"),
            IsFlaky = isFlaky,
            Attempts = isFlaky ? Math.Max(2, retries + 1) : retries + 1,
        };
    }

    private static string? Lines(JsonPart test, string name) =>
        test.Texts(name) is { Count: > 0 } lines ? string.Join('\n', lines) : null;
}
