using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>JUnit XML: what Ant wrote, and what surefire, pytest, gtest, jest-junit, node and many others made of it.</summary>
internal static class JUnitReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        var count = new Tally();
        Suite(xml, [], source, cases, count);
        return count.Fault;
    }

    private static void Suite(XmlReader xml, IReadOnlyList<string> outer, string source, CaseList cases, Tally all)
    {
        var isRoot = xml.LocalName == "testsuites";
        var name = ReportXml.Attribute(xml, "name");
        // The root's name is the run's, not a suite's: "jest tests", "AllTests".
        IReadOnlyList<string> suites = isRoot || name is null ? outer : [.. outer, name];
        var declared = ReportXml.Count(xml, "failures") + ReportXml.Count(xml, "errors");
        var tests = ReportXml.Count(xml, "tests");
        // Some leave out the cases of tests that did not run, and count them.
        var notRun = ReportXml.Count(xml, "skipped") + ReportXml.Count(xml, "disabled") + ReportXml.Count(xml, "ignored");
        // Catch2 and doctest count assertions, ESLint findings.
        var counts = xml.GetAttribute("hostname") != "tbd" && xml.GetAttribute("package") != "org.eslint";
        var isTimed = xml.GetAttribute("time") is not null;
        var own = new Tally();
        string? output = null;
        string? errorOutput = null;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "testsuite":
                    Suite(xml, suites, source, cases, own);
                    break;
                case "testcase":
                    counts &= isTimed || xml.GetAttribute("status") != "run";
                    Case(xml, suites, cases, own);
                    break;
                case "failure" or "error":
                    // A set-up or a file that broke outside of any test.
                    own.Failed++;
                    cases.Add(WithProblem(xml, new TestCase(outer, null, name ?? source, TestOutcome.Error)));
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
        if (declared > 0 && own.Failed == 0)
        {
            own.Failed = 1;
            cases.Add(new TestCase(outer, null, name ?? source, TestOutcome.Error)
            {
                Message = $"the suite counts {declared} failed tests, but shows none of them",
                Output = output,
                ErrorOutput = errorOutput,
            });
        }
        own.HasAssertions |= !counts;
        var most = own.Cases + own.Again + Math.Max(0, notRun - own.Skipped);
        if (tests > most && !own.HasAssertions)
            own.Fault ??= new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {tests} tests" +
                $"{(name is null ? "" : $" in \"{name}\"")} and shows {own.Cases}; " +
                "its writer probably left some out or ended early");
        all.Add(own);
    }

    private static void Case(XmlReader xml, IReadOnlyList<string> suites, CaseList cases, Tally all)
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
        var notRun = xml.GetAttribute("status") is "notrun" or "skipped" or "disabled"
            || xml.GetAttribute("result") is "skipped" or "suppressed";
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
                    test = test with
                    {
                        SkipReason = test.SkipReason
                            ?? (attribute is null or "true" ? text?.Trim() : attribute)
                            ?? (isTodo ? "todo" : null)
                    };
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
            test = test with
            {
                Message =
                JUnitReader.FirstLine(test.ErrorOutput) ?? $"failed without a message (status \"{status}\")"
            };
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
        all.Cases++;
        // pytest counts a test whose tear-down broke twice, surefire each try of its own.
        all.Again += reruns + Math.Max(errors, failures + errors - 1);
        if (skipped || notRun) all.Skipped++;
        // surefire counts a flaky test's first failure too.
        if (failed || passedAgain) all.Failed++;
    }

    // What a suite and all below it show.
    private sealed class Tally
    {
        public int Cases { get; set; }

        public int Again { get; set; }

        public int Skipped { get; set; }

        public int Failed { get; set; }

        public bool HasAssertions { get; set; }

        public ReportFault? Fault { get; set; }

        public void Add(Tally inner)
        {
            Cases += inner.Cases;
            Again += inner.Again;
            Skipped += inner.Skipped;
            Failed += inner.Failed;
            HasAssertions |= inner.HasAssertions;
            Fault ??= inner.Fault;
        }
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
