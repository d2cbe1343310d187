using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>
/// TestNG's <c>testng-results.xml</c>. Configuration methods count only when they fail; a try that TestNG ran again is not a test
/// of
/// its own.
/// </summary>
internal static class TestNgReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        var (declared, passed) = (ReportXml.Count(xml, "failed"), ReportXml.Count(xml, "passed"));
        var retried = new Dictionary<string, (int Tries, string? Message, string? Details)>(StringComparer.Ordinal);
        ReportXml.Children(xml, child => Inside(xml, child, [], null, cases, retried));
        // The file's own sum and what it shows must agree: a configuration that broke may be in the sum only.
        if (declared > 0 && !cases.AnyFailureFrom(0))
            cases.Add(new TestCase([], null, "(run)",
                TestOutcome.Error)
            { Message = $"the report counts {declared} failed tests, but shows none of them" });
        // Suites may be written to files of their own, and this one only names them.
        return passed > cases.Totals.Passed
            ? new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {passed} passed tests and has {cases.Totals.Passed}; " +
                "have TestNG write one file") : null;
    }

    private static void Inside(XmlReader xml, string child, IReadOnlyList<string> suites, string? className, CaseList cases,
        Dictionary<string, (int Tries, string? Message, string? Details)> retried)
    {
        switch (child)
        {
            case "suite" or "test":
                IReadOnlyList<string> inner = ReportXml.Attribute(xml, "name") is { } name ? [.. suites, name] : suites;
                ReportXml.Children(xml, next => Inside(xml, next, inner, null, cases, retried));
                break;
            case "class":
                var of = (ReportXml.Attribute(xml, "package") is { } package and not "[default]" ? package + "." : "")
                    + ReportXml.Attribute(xml, "name");
                ReportXml.Children(xml, next => Inside(xml, next, suites, of, cases, retried));
                break;
            case "test-method":
                Method(xml, suites, className, cases, retried);
                break;
            default:
                xml.Skip();
                break;
        }
    }

    private static void Method(XmlReader xml, IReadOnlyList<string> suites, string? className, CaseList cases,
        Dictionary<string, (int Tries, string? Message, string? Details)> retried)
    {
        var isConfiguration = xml.GetAttribute("is-config") is "true";
        var isRetried = xml.GetAttribute("retried") is "true";
        var method = ReportXml.Attribute(xml, "name") ?? "(no name)";
        var test = new TestCase(suites, className, method, xml.GetAttribute("status") switch
        {
            "PASS" => TestOutcome.Passed,
            "FAIL" => TestOutcome.Failed,
            "SKIP" => TestOutcome.Skipped,
            // Failed, and within what the test allows.
            "FAIL WITHIN SUCCESS PERCENTAGE" or "SUCCESS_PERCENTAGE_FAILURE" => TestOutcome.Skipped,
            _ => TestOutcome.Error,
        })
        {
            Method = method,
            Duration = ReportXml.Milliseconds(xml.GetAttribute("duration-ms")),
        };
        var parameters = new List<string>();
        string? type = null;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "params":
                    ReportXml.Children(xml, _ =>
                        ReportXml.Children(xml, _ => parameters.Add(ReportXml.Text(xml)?.Trim() ?? "null")));
                    break;
                case "exception":
                    type = ReportXml.Attribute(xml, "class");
                    ReportXml.Children(xml, part =>
                    {
                        if (part == "message") test = test with { Message = ReportXml.Text(xml)?.Trim() };
                        else if (part is "full-stacktrace" or "short-stacktrace") test =
                            test with { Details = ReportXml.Text(xml)?.Trim() };
                        else xml.Skip();
                    });
                    break;
                case "reporter-output":
                    ReportXml.Children(xml, _ =>
                        test = test with { Output = ReportXml.JoinLines(test.Output, ReportXml.Text(xml)?.Trim()) });
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        if (parameters.Count > 0) test = test with { Name = $"{method}({string.Join(", ", parameters)})" };
        test = test with { Message = test.Message ?? (test.IsFailure || isRetried ? type : null) };
        if (isRetried)
        {
            var before = retried.GetValueOrDefault(test.Identity);
            retried[test.Identity] = (before.Tries + 1, before.Message ?? test.Message, before.Details ?? test.Details);
            return;
        }
        if (isConfiguration)
        {
            if (!test.IsFailure) return;
            test = test with { Outcome = TestOutcome.Error };
        }
        if (retried.Remove(test.Identity, out var tries))
            test = test.Outcome == TestOutcome.Passed
                ? test with { IsFlaky = true, Attempts = tries.Tries + 1, Message = tries.Message, Details = tries.Details }
                : test with { Attempts = tries.Tries + 1 };
        if (test.Outcome == TestOutcome.Skipped) test = test with { SkipReason = test.Message, Message = null, Details = null };
        cases.Add(test);
    }
}
