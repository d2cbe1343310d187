using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>JUnit XML: what Ant wrote, and what surefire, pytest, gtest, jest-junit, node and many others made of it.</summary>
internal static class JUnitReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        _ = Suite(xml, [], source, cases);
        return null;
    }

    // Gives back how many cases below showed a failure or error, whatever they count as: surefire counts a flaky test's first
    // failure too.
    private static int Suite(XmlReader xml, IReadOnlyList<string> outer, string source, CaseList cases)
    {
        var isRoot = xml.LocalName == "testsuites";
        var name = ReportXml.Attribute(xml, "name");
        // The root's name is the run's, not a suite's: "jest tests", "AllTests".
        IReadOnlyList<string> suites = isRoot || name is null ? outer : [.. outer, name];
        var declared = ReportXml.Count(xml, "failures") + ReportXml.Count(xml, "errors");
        var shown = 0;
        string? output = null;
        string? errorOutput = null;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "testsuite":
                    shown += Suite(xml, suites, source, cases);
                    break;
                case "testcase":
                    shown += Case(xml, suites, cases) ? 1 : 0;
                    break;
                case "system-out":
                    output = ReportXml.Text(xml);
                    break;
                case "system-err":
                    errorOutput = ReportXml.Text(xml);
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        // A class whose set-up broke may have no test case at all, only a number. It must not look green.
        if (declared > 0 && shown == 0)
            cases.Add(new TestCase(outer, null, name ?? source, TestOutcome.Error)
            {
                Message = $"the suite counts {declared} failed tests, but shows none of them",
                Output = output,
                ErrorOutput = errorOutput,
            });
        return declared > 0 && shown == 0 ? 1 : shown;
    }

    private static bool Case(XmlReader xml, IReadOnlyList<string> suites, CaseList cases)
    {
        var className = ReportXml.Attribute(xml, "classname") ?? ReportXml.Attribute(xml, "class");
        var name = ReportXml.Attribute(xml, "name") ?? "(no name)";
        // node writes the same word for every test; pytest writes it for a module of that name.
        if (className == "test" && (suites.Count == 0 || suites[0] != "pytest"))
        {
            className = null;
            // It escapes quotes in names twice.
            name = Unquoted(name);
            if (suites.Any(suite => suite != Unquoted(suite))) suites = [.. suites.Select(Unquoted)];
        }
        var test = new TestCase(suites, className, name, TestOutcome.Passed)
        {
            Duration = ReportXml.Seconds(xml.GetAttribute("time") ?? xml.GetAttribute("duration")),
            File = ReportXml.Attribute(xml, "file"),
        };
        // gtest: disabled tests are listed with status="notrun"; some writers say it in an attribute only.
        var notRun = xml.GetAttribute("status") is "notrun" or "skipped" or "disabled" || xml.GetAttribute("result") is "skipped" or "suppressed";
        // Some say only there that it failed.
        var status = (xml.GetAttribute("status") ?? xml.GetAttribute("result"))?.Trim()
            .ToUpperInvariant() is "FAILED" or "FAIL" or "FAILURE" or "ERROR" or "BROKEN" or "TIMEOUT" or "TIMEDOUT"
                ? xml.GetAttribute("status") ?? xml.GetAttribute("result") : null;
        var failures = 0;
        var errors = 0;
        var skipped = false;
        var isTodo = false;
        var reruns = 0;
        var passedAgain = false;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "failure" or "error":
                    if (child == "error") errors++;
                    else failures++;
                    test = WithProblem(xml, test);
                    break;
                case "skipped" or "ignored" or "disabled":
                    skipped = true;
                    isTodo |= xml.GetAttribute("type") == "todo";
                    var attribute = ReportXml.Attribute(xml, "message");
                    var text = ReportXml.Text(xml);
                    // node writes message="true" when there is no reason.
                    test = test with { SkipReason = test.SkipReason ?? (attribute is null or "true" ? text?.Trim() : attribute) ?? (isTodo ? "todo" : null) };
                    break;
                case "system-out":
                    test = test with { Output = ReportXml.Join(test.Output, ReportXml.Text(xml)) };
                    break;
                case "system-err":
                    test = test with { ErrorOutput = ReportXml.Join(test.ErrorOutput, ReportXml.Text(xml)) };
                    break;
                case "flakyFailure" or "flakyError":
                    reruns++;
                    passedAgain = true;
                    test = WithProblem(xml, test);
                    break;
                case "rerunFailure" or "rerunError":
                    reruns++;
                    xml.Skip();
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        if (status is not null && failures + errors == 0 && !skipped && !passedAgain)
        {
            failures++;
            test = test with { Message =
                JUnitReader.FirstLine(test.ErrorOutput) ?? $"failed without a message (status \"{status}\")" };
        }
        var failed = failures + errors > 0;
        test = test with
        {
            Attempts = 1 + reruns,
            IsFlaky = passedAgain && !failed,
            Outcome = skipped && isTodo ? TestOutcome.Skipped
                : failures > 0 ? TestOutcome.Failed
                : errors > 0 ? TestOutcome.Error
                : skipped || notRun ? TestOutcome.Skipped
                : TestOutcome.Passed,
        };
        cases.Add(test);
        return failed || passedAgain;
    }

    private static string Unquoted(string name) => name.Replace("&quot;", "\"", StringComparison.Ordinal);

    private static TestCase WithProblem(XmlReader xml, TestCase test)
    {
        var message = ReportXml.Attribute(xml, "message");
        var type = ReportXml.Attribute(xml, "type");
        string? details = null;
        if (xml.LocalName.StartsWith("flaky", StringComparison.Ordinal))
            ReportXml.Children(xml, child =>
            {
                if (child == "stackTrace") details = ReportXml.Text(xml);
                else xml.Skip();
            });
        else details = ReportXml.Text(xml);
        message ??= FirstLine(details) ?? type;
        return test with
        {
            Message = test.Message ?? message,
            Details = ReportXml.Join(test.Details, details ?? (test.Message is null ? null : message)),
        };
    }

    internal static string? FirstLine(string? text) =>
        text?.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.Length > 0);
}
