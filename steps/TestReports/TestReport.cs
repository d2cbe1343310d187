namespace CiSteps.TestReports;

/// <summary>Formats of test reports.</summary>
public enum ReportFormat
{
    /// <summary>Told apart by the root element or the first telling line.</summary>
    Auto,

    /// <summary>JUnit XML and its dialects (surefire, pytest, gtest, jest, node).</summary>
    JUnit,

    /// <summary>Visual Studio's TRX.</summary>
    Trx,

    /// <summary>NUnit 2 and 3.</summary>
    NUnit,

    /// <summary>xUnit.net 1 and 2.</summary>
    Xunit,

    /// <summary>Test Anything Protocol 12 to 14.</summary>
    Tap,

    /// <summary>The lines of <c>go test -json</c>.</summary>
    GoJson,

    /// <summary>TestNG's <c>testng-results.xml</c>.</summary>
    TestNg,

    /// <summary>Boost.Test's XML log or report.</summary>
    Boost,

    /// <summary>CTest's <c>Test.xml</c>.</summary>
    CTest,

    /// <summary>Qt Test's XML.</summary>
    QtTest,

    /// <summary>CppUnit's XML.</summary>
    CppUnit,

    /// <summary>The Common Test Report Format (JSON).</summary>
    Ctrf,

    /// <summary><c>jest --json</c>, and vitest's reporter of that form.</summary>
    Jest,

    /// <summary>mocha's <c>json</c> reporter.</summary>
    Mocha,
}

/// <summary>The words of ci-steps.yaml for <see cref="ReportFormat"/>.</summary>
public static class ReportFormats
{
    private static readonly Dictionary<string, ReportFormat> ByWord = new(StringComparer.Ordinal)
    {
        ["auto"] = ReportFormat.Auto,
        ["junit"] = ReportFormat.JUnit,
        ["trx"] = ReportFormat.Trx,
        ["nunit"] = ReportFormat.NUnit,
        ["xunit"] = ReportFormat.Xunit,
        ["testng"] = ReportFormat.TestNg,
        ["boost"] = ReportFormat.Boost,
        ["ctest"] = ReportFormat.CTest,
        ["qttest"] = ReportFormat.QtTest,
        ["cppunit"] = ReportFormat.CppUnit,
        ["tap"] = ReportFormat.Tap,
        ["go-json"] = ReportFormat.GoJson,
        ["ctrf"] = ReportFormat.Ctrf,
        ["jest"] = ReportFormat.Jest,
        ["mocha"] = ReportFormat.Mocha,
    };

    /// <summary>All words, in the order in which people are told of them.</summary>
    public static IReadOnlyList<string> Words { get; } = [.. ByWord.Keys];

    /// <summary>What is read, as the end of a refusal.</summary>
    public static string Known { get; } = "what is read: JUnit, TRX, NUnit 2 and 3, xUnit.net, TestNG, Boost.Test, CTest, Qt " +
        "Test, CppUnit, TAP, go test -json, CTRF, and the JSON of jest and mocha";

    /// <summary>Reads one of <see cref="Words"/>.</summary>
    /// <exception cref="FormatException">Any other word.</exception>
    public static ReportFormat Parse(string word) => ByWord.TryGetValue(word, out var format) ? format
        : throw new FormatException($"\"{word}\" is not a report format; give {string.Join(", ",
            Words.SkipLast(1))} or {Words[^1]}");

    /// <summary>The word for a format.</summary>
    public static string Word(this ReportFormat format) => ByWord.First(pair => pair.Value == format).Key;
}

/// <summary>Why a report cannot be trusted as a whole.</summary>
public enum ReportFaultKind
{
    /// <summary>It ends in the middle: the runner died or the disk was full.</summary>
    Truncated,

    /// <summary>It breaks its own format's rules.</summary>
    Malformed,

    /// <summary>It is something else than a test report, or another format than was announced.</summary>
    NotAReport,

    /// <summary>It is older than the run that it should tell of.</summary>
    Stale,

    /// <summary>The file cannot be read.</summary>
    Unreadable,

    /// <summary>More or fewer tests than it announced itself.</summary>
    PlanMismatch,

    /// <summary>The runner says itself that it gave up or that its host crashed.</summary>
    Aborted,
}

/// <summary>A fault of a report.</summary>
/// <param name="Kind">Which kind.</param>
/// <param name="Text">What, where, and what to do about it.</param>
public sealed record ReportFault(ReportFaultKind Kind, string Text);

/// <summary>One report file, or the report inside one output.</summary>
/// <param name="Source">File name relative to the repository root, or what the output was of.</param>
/// <param name="Format">What it was read as.</param>
/// <param name="Cases">The tests, in the report's order; what was read before a fault is there too.</param>
/// <param name="Fault">Why it cannot be trusted; null when it can.</param>
public sealed record TestReport(string Source, ReportFormat Format, IReadOnlyList<TestCase> Cases, ReportFault? Fault = null)
{
    /// <summary>How its tests ended.</summary>
    public TestTotals Totals => TestTotals.Of(Cases);

    /// <summary>How many tests passed, flaky ones included.</summary>
    public int Passed => Totals.Passed;

    /// <summary>How many failed and count.</summary>
    public int Failed => Totals.Failed;

    /// <summary>How many were skipped, tolerated failures included.</summary>
    public int Skipped => Totals.Skipped + Totals.Tolerated;

    /// <summary>How many passed only when they ran again.</summary>
    public int Flaky => Totals.Flaky;

    /// <summary>
    /// Tests that failed, whether that counts or not, and flaky ones. A large report is not read again for them.
    /// </summary>
    public IEnumerable<TestCase> Notable =>
        Cases is CaseList list ? list.Notable : Cases.Where(test => test.IsFailure || test.IsFlaky);

    /// <summary>The tests whose failure counts.</summary>
    public IReadOnlyList<TestCase> Failing => [.. Notable.Where(test => test.Fails)];

    /// <summary>The same report with its failed tests replaced.</summary>
    public TestReport WithFailures(Func<TestCase, TestCase> replace)
    {
        ArgumentNullException.ThrowIfNull(replace);
        return this with
        {
            Cases = Cases is CaseList list
                ? list.WithFailures(replace)
                : [.. Cases.Select(test => test.IsFailure ? replace(test) : test)]
        };
    }

    /// <summary>
    /// The same report where a test that failed and passed later, under the same name, is one flaky test: some runners write each
    /// of their own reruns like a
    /// test more. Only the runner's exit code tells that from two tests of one name, so it is for a run that ended with 0.
    /// </summary>
    public TestReport WithLaterPasses()
    {
        if (Failing.Count == 0) return this;
        var failed = new HashSet<string>(Failing.Select(test => test.Identity), StringComparer.Ordinal);
        var tries = new Dictionary<string, (int Count, bool Passed)>(StringComparer.Ordinal);
        foreach (var test in Cases.Where(test => test.Outcome != TestOutcome.Skipped && failed.Contains(test.Identity)))
            tries[test.Identity] = (tries.GetValueOrDefault(test.Identity).Count + 1, test.Outcome == TestOutcome.Passed);
        var passed = tries.Where(one => one.Value.Passed)
            .ToDictionary(one => one.Key, one => one.Value.Count, StringComparer.Ordinal);
        if (passed.Count == 0) return this;
        var merged = new CaseList();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var test in Cases)
        {
            if (test.Outcome == TestOutcome.Skipped || !passed.TryGetValue(test.Identity, out var count)) merged.Add(test);
            else if (test.IsFailure
                && seen.Add(test.Identity)) merged.Add(test with
                {
                    Outcome = TestOutcome.Passed,
                    IsFlaky = true,
                    Attempts = count
                });
        }
        return this with { Cases = merged };
    }

    /// <summary>A report with no tests and a fault.</summary>
    public static TestReport Broken(string source, ReportFormat format, ReportFaultKind kind, string text) =>
        new(source, format, [], new ReportFault(kind, text));

    /// <summary>All tests of several reports as one; the first fault stays.</summary>
    public static TestReport Join(string source, IReadOnlyList<TestReport> reports)
    {
        ArgumentNullException.ThrowIfNull(reports);
        if (reports.Count == 1) return reports[0] with { Source = source };
        var all = new CaseList();
        foreach (var report in reports) all.AddRange(report.Cases);
        return new(source, reports.Count == 0 ? ReportFormat.Auto : reports[0].Format, all,
            reports.Select(report => report.Fault).FirstOrDefault(fault => fault is not null));
    }
}
