using System.Globalization;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>
/// Failures that are tolerated until a date. After it the failure counts again: an entry never silences a test for ever.
/// </summary>
internal static class Quarantine
{
    public static IReadOnlyList<TestReport> Apply(
        IReadOnlyList<TestReport> reports, IReadOnlyList<QuarantinedTest> entries, DateOnly today) =>
        entries.Count == 0 ? reports : [.. reports.Select(report => report.WithFailures(test =>
            entries.FirstOrDefault(entry => Names(entry, test) && entry.Until >= today) is { } found && !IsOfAFixture(test)
                ? test with { Tolerated = $"in quarantine until {Show(found.Until)} (owner {found.Owner})" }
                : test))];

    /// <summary>Adds to a refusal which of the failed tests had been tolerated until recently.</summary>
    public static TestVerdict Explain(
        TestVerdict verdict, TestReport report, IReadOnlyList<QuarantinedTest> entries, DateOnly today)
    {
        if (verdict.Succeeded) return verdict;
        var expired = entries
            .Where(entry => entry.Until < today && report.Notable.Any(test => test.Fails && Names(entry, test)))
            .ToList();
        return expired.Count == 0 ? verdict
            : verdict with
            {
                Text = verdict.Text
                    + string.Concat(expired.Select(
                        entry => $"; the quarantine of \"{entry.Test}\" ended on {Show(entry.Until)} (owner {entry.Owner})"))
            };
    }

    /// <summary>Entries that ought to go.</summary>
    public static IEnumerable<string> Remarks(TestReport report, IReadOnlyList<QuarantinedTest> entries, DateOnly today)
    {
        if (entries.Count == 0) yield break;
        var named = report.Cases
            .SelectMany(test => entries.Where(entry => Names(entry, test)).Select(entry => (entry, test)))
            .ToLookup(pair => pair.entry, pair => pair.test);
        foreach (var entry in entries)
        {
            var tests = named[entry].ToList();
            if (tests.Count == 0)
                yield return $"\"{entry.Test}\" is in quarantine, but there is no such test (owner {entry.Owner})";
            else if (entry.Until < today && !tests.Exists(test => test.IsFailure))
                yield return $"the quarantine of \"{entry.Test}\" ended on {Show(entry.Until)} and the test passes: " +
                    $"remove the entry (owner {entry.Owner})";
        }
    }

    private static bool Names(QuarantinedTest entry, TestCase test) =>
        entry.Test == test.FullName || entry.Test == test.Identity || entry.Test == test.Name;

    // pytest books a fixture that fails while it is taken down on the last test that used it, in these words. A session's fixture
    // is no business of that test.
    private static bool IsOfAFixture(TestCase test) =>
        test.Message?.StartsWith("failed on teardown with ", StringComparison.Ordinal) is true;

    private static string Show(DateOnly date) => date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
