using System.Globalization;
using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>Boost.Test's log (<c>TestLog</c>: what happened) and report (<c>TestResult</c>: how each test ended).</summary>
internal static class BoostReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        if (xml.LocalName == "TestLog") ReportXml.Children(xml, child => Log(xml, child, [], cases));
        else ReportXml.Children(xml, child => Report(xml, child, [], cases));
        return null;
    }

    private static void Log(XmlReader xml, string child, IReadOnlyList<string> suites, CaseList cases)
    {
        switch (child)
        {
            case "TestSuite":
                IReadOnlyList<string> inner = [.. suites, ReportXml.Attribute(xml, "name") ?? "(no name)"];
                var skipped = IsSkipped(xml);
                var reason = ReportXml.Attribute(xml, "reason");
                var from = cases.Count;
                ReportXml.Children(xml, next => Log(xml, next, inner, cases));
                if (skipped && cases.Count == from) cases.Add(new TestCase(suites, null, inner[^1],
                    TestOutcome.Skipped)
                { SkipReason = reason });
                break;
            case "TestCase":
                LoggedCase(xml, suites, cases);
                break;
            // Fixtures of a suite or of the whole run speak outside of any test.
            case "Error" or "FatalError" or "Exception":
                var line = Place(xml);
                var text = ReportXml.Text(xml)?.Trim();
                cases.Add(new TestCase(suites, null, suites.Count == 0 ? "(run)"
                    : "(suite)", TestOutcome.Error)
                { Message = text ?? child, Details = ReportXml.JoinLines(line, text) });
                break;
            default:
                xml.Skip();
                break;
        }
    }

    private static void LoggedCase(XmlReader xml, IReadOnlyList<string> suites, CaseList cases)
    {
        var test = new TestCase(suites, null, ReportXml.Attribute(xml, "name") ?? "(no name)", IsSkipped(xml)
            ? TestOutcome.Skipped : TestOutcome.Passed)
        {
            File = ReportXml.Attribute(xml, "file"),
            SkipReason = ReportXml.Attribute(xml, "reason"),
        };
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "Error" or "FatalError" or "Exception":
                    var place = Place(xml);
                    var text = ReportXml.Text(xml)?.Trim();
                    test = test with
                    {
                        Outcome = child == "Error" && test.Outcome != TestOutcome.Error ? TestOutcome.Failed : TestOutcome.Error,
                        Message = test.Message ?? text ?? child,
                        Details = ReportXml.JoinLines(test.Details, ReportXml.JoinLines(place, text)),
                    };
                    break;
                case "Message" or "Warning":
                    test = test with { Output = ReportXml.JoinLines(test.Output, ReportXml.Text(xml)?.Trim()) };
                    break;
                case "TestingTime":
                    // In microseconds.
                    if (double.TryParse(ReportXml.Text(xml), NumberStyles.Float, CultureInfo.InvariantCulture, out var time)
                        && time is >= 0 and < 1e15)
                        test = test with { Duration = TimeSpan.FromMicroseconds(time) };
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        cases.Add(test);
    }

    private static void Report(XmlReader xml, string child, IReadOnlyList<string> suites, CaseList cases)
    {
        if (child is not ("TestSuite" or "TestCase"))
        {
            xml.Skip();
            return;
        }
        var name = ReportXml.Attribute(xml, "name") ?? "(no name)";
        var result = xml.GetAttribute("result");
        var outcome = result switch
        {
            "passed" => TestOutcome.Passed,
            "failed" => TestOutcome.Failed,
            "skipped" => TestOutcome.Skipped,
            _ => TestOutcome.Error,
        };
        if (child == "TestCase")
        {
            var failed = ReportXml.Count(xml, "assertions_failed");
            cases.Add(new TestCase(suites, null, name, outcome)
            {
                Message = outcome == TestOutcome.Failed ? $"{failed} assertions failed; the log has them"
                    : outcome == TestOutcome.Error ? result ?? "has no result" : null,
            });
            xml.Skip();
            return;
        }
        var declared = ReportXml.Count(xml, "test_cases_failed") + ReportXml.Count(xml, "test_cases_aborted");
        var from = cases.Count;
        ReportXml.Children(xml, next => Report(xml, next, [.. suites, name], cases));
        // The short form has sums only, and a suite's own fixture fails without a test.
        if ((declared > 0 || outcome is TestOutcome.Failed or TestOutcome.Error) && !cases.AnyFailureFrom(from))
            cases.Add(new TestCase(suites, null, name, TestOutcome.Error)
            {
                Message = declared > 0
                ? $"the suite counts {declared} failed tests, but shows none of them"
                    : $"the suite {result ?? "has no result"}"
            });
    }

    private static bool IsSkipped(XmlReader xml) => xml.GetAttribute("skipped") is "yes" or "true";

    private static string? Place(XmlReader xml) =>
        ReportXml.Attribute(xml, "file") is { } file ? ReportXml.Attribute(xml, "line") is { } line ? $"{file}:{line}" : file
            : null;
}
