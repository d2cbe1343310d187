namespace CiSteps.TestReports;

/// <summary>How tests ended, in figures.</summary>
/// <param name="Passed">Passed, flaky ones included.</param>
/// <param name="Failed">Failed, and that counts.</param>
/// <param name="Flaky">Failed first and passed when they ran again.</param>
/// <param name="Tolerated">Failed, and that does not count.</param>
/// <param name="Skipped">Did not run.</param>
public readonly record struct TestTotals(int Passed, int Failed, int Flaky, int Tolerated, int Skipped)
{
    /// <summary>All tests.</summary>
    public int All => Passed + Failed + Tolerated + Skipped;

    /// <summary>Counts tests.</summary>
    public static TestTotals Of(IReadOnlyCollection<TestCase> tests)
    {
        ArgumentNullException.ThrowIfNull(tests);
        return tests is CaseList list ? list.Totals : new(
            tests.Count(test => test.Outcome == TestOutcome.Passed),
            tests.Count(test => test.Fails),
            tests.Count(test => test.IsFlaky),
            tests.Count(test => test.IsFailure && !test.Fails),
            tests.Count(test => test.Outcome == TestOutcome.Skipped));
    }

    /// <summary>The sum of several.</summary>
    public static TestTotals Sum(IEnumerable<TestTotals> totals)
    {
        ArgumentNullException.ThrowIfNull(totals);
        return totals.Aggregate(default(TestTotals), (sum, one) =>
            new(
                sum.Passed + one.Passed,
                sum.Failed + one.Failed,
                sum.Flaky + one.Flaky,
                sum.Tolerated + one.Tolerated,
                sum.Skipped + one.Skipped));
    }

    /// <summary>For people: <c>118 passed, 2 skipped</c>.</summary>
    public override string ToString() => string.Join(", ", new[]
    {
        $"{Passed} passed", Part(Failed, "failed"), Part(Flaky, "flaky"), Part(Tolerated, "failed in quarantine"),
        Part(Skipped, "skipped"),
    }.Where(part => part.Length > 0));

    private static string Part(int count, string word) => count > 0 ? $"{count} {word}" : "";
}
