using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>NUnit 3 (<c>test-run</c>) and NUnit 2 (<c>test-results</c>).</summary>
internal static class NUnitReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        // NUnit 2 counts what broke and what failed, NUnit 3 both as one.
        var declared = ReportXml.Count(xml, "errors") + ReportXml.Count(xml, "failures") + ReportXml.Count(xml, "failed");
        Inside(xml, [], cases);
        return declared > 0 && !cases.AnyFailureFrom(0)
            ? new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {declared} failed tests and shows none of them") : null;
    }

    private static void Inside(XmlReader xml, IReadOnlyList<string> suites, CaseList cases)
    {
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "test-suite":
                    Suite(xml, suites, cases);
                    break;
                case "test-case":
                    Case(xml, suites, cases);
                    break;
                case "results":
                    Inside(xml, suites, cases);
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
    }

    private static void Suite(XmlReader xml, IReadOnlyList<string> outer, CaseList cases)
    {
        var name = ReportXml.Attribute(xml, "name");
        var type = xml.GetAttribute("type");
        // Name spaces, methods with parameters and the like are in every test's own name; what a person groups by are fixtures.
        var isFixture = type is "TestFixture" or "SetUpFixture" or "GenericFixture" or "ParameterizedFixture";
        var full = ReportXml.Attribute(xml, "fullname") ?? ReportXml.Attribute(xml, "classname") ?? name;
        IReadOnlyList<string> suites = isFixture && full is not null ? [full] : outer;
        var failed = xml.GetAttribute("result") is "Failed" or "Failure" or "Error";
        var site = xml.GetAttribute("site");
        string? message = null;
        string? stack = null;
        string? output = null;
        var first = cases.Count;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "test-suite":
                    Suite(xml, suites, cases);
                    break;
                case "test-case":
                    Case(xml, suites, cases);
                    break;
                case "results":
                    Inside(xml, suites, cases);
                    break;
                case "failure":
                    (message, stack) = Problem(xml);
                    break;
                case "output":
                    output = ReportXml.Text(xml);
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        // A tear-down that failed after its tests passed, or a fixture that could not be built, has no test case to show it.
        if (failed && message is not null && site is not ("Child" or "Parent") &&
            (site == "TearDown" || !cases.AnyFailureFrom(first)))
            cases.Add(new TestCase(
                suites, full, site is null ? "(suite)" : $"(one-time {site.ToUpperInvariant()[0]}{site[1..]})", TestOutcome.Error)
            {
                Message = message,
                Details = stack,
                Output = output,
            });
    }

    private static void Case(XmlReader xml, IReadOnlyList<string> suites, CaseList cases)
    {
        var name = ReportXml.Attribute(xml, "name") ?? "(no name)";
        var className = ReportXml.Attribute(xml, "classname");
        // NUnit 2 has the full name only: the class is what stands before the last point outside of the parameters.
        if (className is null && xml.GetAttribute("fullname") is null)
        {
            var end = name.IndexOf('(', StringComparison.Ordinal);
            var point = (end < 0 ? name : name[..end]).LastIndexOf('.');
            if (point > 0) (className, name) = (name[..point], name[(point + 1)..]);
        }
        var label = xml.GetAttribute("label");
        var word = xml.GetAttribute("result") ?? Early(xml);
        var outcome = word switch
        {
            "Passed" or "Success" or "Warning" or null => TestOutcome.Passed,
            "Failed" or "Failure" => label is "Error" or "Cancelled" or "Invalid" ? TestOutcome.Error : TestOutcome.Failed,
            "Error" or "NotRunnable" or "Cancelled" => TestOutcome.Error,
            _ => TestOutcome.Skipped,
        };
        var failed = false;
        var test = new TestCase(suites, className, name, outcome)
        {
            Method = ReportXml.Attribute(xml, "methodname"),
            Duration = ReportXml.Seconds(xml.GetAttribute("duration") ?? xml.GetAttribute("time")),
        };
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "failure":
                    failed = true;
                    var (message, stack) = Problem(xml);
                    test = test with { Message = message, Details = stack };
                    break;
                case "reason":
                    ReportXml.Children(xml, part =>
                    {
                        if (part == "message") test = test with { SkipReason = ReportXml.Text(xml)?.Trim() };
                        else xml.Skip();
                    });
                    break;
                case "output":
                    test = test with { Output = ReportXml.Text(xml) };
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        // Where no attribute says how it ended, a failure inside does.
        if (word is null && failed) test = test with { Outcome = TestOutcome.Failed };
        if (test.Outcome != TestOutcome.Skipped)
            test = test with { Message = test.Message ?? (test.IsFailure ? test.SkipReason ?? label : null), SkipReason = null };
        else test = test with { SkipReason = test.SkipReason ?? label, Message = null };
        cases.Add(test);
    }

    // NUnit before 2.5 has no result; it and others write its words in any case, or leave them out.
    private static string? Early(XmlReader xml)
    {
        return Is("executed", "false") ? "Skipped" : Is("success", "true") ? "Success" : Is("success", "false") ? "Failure"
            : xml.GetAttribute("success") is { Length: > 0 } ? "Error" : null;

        bool Is(string name, string value) =>
            string.Equals(xml.GetAttribute(name)?.Trim(), value, StringComparison.OrdinalIgnoreCase);
    }

    private static (string? Message, string? Stack) Problem(XmlReader xml)
    {
        string? message = null;
        string? stack = null;
        ReportXml.Children(xml, part =>
        {
            if (part == "message") message = ReportXml.Text(xml);
            else if (part == "stack-trace") stack = ReportXml.Text(xml);
            else xml.Skip();
        });
        return (message ?? "failed without a message", stack);
    }
}
