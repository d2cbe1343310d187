namespace CiSteps.TestReports;

/// <summary>
/// What a run of tests is worth, from its exit code and its reports together. Green only when everything says so.
/// </summary>
/// <param name="Succeeded">Whether the run counts as passed.</param>
/// <param name="Reason">Kebab-case word: <c>passed</c>, <c>tests-failed</c>, <c>no-report</c>, <c>no-tests</c>,
/// <c>report-truncated</c>, <c>report-broken</c>, <c>stale-report</c>, <c>plan-mismatch</c>, <c>runner-crashed</c>,
/// <c>disagreement</c>, <c>incomplete</c>.</param>
/// <param name="Text">One sentence with figures.</param>
public sealed record TestVerdict(bool Succeeded, string Reason, string Text)
{
    /// <summary>Judges a finished run.</summary>
    /// <param name="exit">The command's exit code.</param>
    /// <param name="reports">All of its reports; empty when it left none.</param>
    public static TestVerdict Of(int exit, IReadOnlyList<TestReport> reports)
    {
        ArgumentNullException.ThrowIfNull(reports);
        var totals = TestTotals.Sum(reports.Select(report => report.Totals));
        var failing = reports.SelectMany(report => report.Failing).ToList();
        var fault = reports.Select(report => report.Fault).FirstOrDefault(found => found is not null);
        // A shell's codes for signals, and Windows' for exceptions. Some runners (mocha) end with their count of failed tests,
        // which may look the same: red either way.
        var killed = exit is < 0 or (> 128 and < 160);

        if (fault is not null)
        {
            var text = fault.Text + (failing.Count > 0 ? $"; {Failures(failing, totals.All)}" : "");
            return killed
                ? No("runner-crashed", $"the command was ended by {Signal(exit)}: {text}")
                : No(Word(fault.Kind), text + (exit == 0 ? "" : $" (exit code {exit})"));
        }
        if (reports.Count == 0)
            return exit == 0
                ? No("no-report",
                    "the command ended with exit code 0 and left no test report; check the report globs and the format")
                : No("runner-crashed",
                    $"the command ended with {(killed ? Signal(exit) : $"exit code {exit}")} and left no test report");
        if (killed)
            return No("runner-crashed",
                $"the command was ended by {Signal(exit)}, although " +
                $"{(failing.Count > 0
                    ? $"its report is complete; {Failures(failing, totals.All)}"
                    : "no test that counts failed in its report")}");
        if (failing.Count > 0)
            return exit == 0
                ? No("disagreement", $"the command ended with exit code 0 although {Failures(failing, totals.All)}")
                : No("tests-failed", Failures(failing, totals.All));
        if (totals.All == totals.Skipped)
            return No(
                "no-tests",
                totals.All == 0
                    ? "no test ran: the report is complete and empty"
                    : $"no test ran: all {totals.All} were skipped");
        // What is excused says nothing: somebody has to have passed.
        if (totals.Passed == 0)
            return No("no-tests",
                $"no test that counts passed: {totals}; let one that is not in quarantine run, or end the quarantine");
        // Whoever tolerates a failure, or saw the test pass later, has to prove that this code means nothing else.
        if (exit != 0)
            return No("disagreement", $"the command ended with exit code {exit}, although none of {totals.All} tests failed in " +
                "its report" + (totals.Tolerated + totals.Flaky == 0 ? ""
                : $" and counts ({string.Join(", ",
                    new[]
                    {
                        totals.Flaky > 0 ? $"{totals.Flaky} flaky" : "",
                        totals.Tolerated > 0 ? $"{totals.Tolerated} in quarantine" : ""
                    }.Where(part => part.Length > 0))})"));
        return new TestVerdict(true, "passed", totals.ToString());
    }

    private static string Failures(List<TestCase> failing, int all)
    {
        var first = failing[0];
        var message = Xml.JUnitReader.FirstLine(first.Message);
        if (message is { Length: > 300 }) message = message[..300] + "…";
        return $"{failing.Count} of {all} tests failed, first \"{first.FullName}\"" + (message is null ? "" : $": {message}");
    }

    private static TestVerdict No(string reason, string text) => new(false, reason, text);

    private static string Word(ReportFaultKind kind) => kind switch
    {
        ReportFaultKind.Truncated => "report-truncated",
        ReportFaultKind.Stale => "stale-report",
        ReportFaultKind.PlanMismatch => "plan-mismatch",
        ReportFaultKind.Aborted => "runner-crashed",
        _ => "report-broken",
    };

    private static string Signal(int exit) => exit switch
    {
        137 => "SIGKILL (exit code 137; the memory limit is a common cause)",
        139 => "SIGSEGV (exit code 139)",
        134 => "SIGABRT (exit code 134)",
        143 => "SIGTERM (exit code 143)",
        > 128 => $"signal {exit - 128} (exit code {exit})",
        _ => $"exit code {exit}",
    };
}
