using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>
/// TRX: results first, then the definitions that name their classes, then a summary that may tell of a crashed host.
/// </summary>
internal static partial class TrxReader
{
    public static bool IsPart(string element) =>
        element is "TestSettings" or "TestRunConfiguration" or "Times" or "Results" or "TestDefinitions" or "TestEntries"
            or "TestLists" or "ResultSummary" or "Build";

    /// <summary>Reads from the first child of the root on.</summary>
    public static ReportFault? ReadInside(XmlReader xml, string source, CaseList cases)
    {
        var ids = new List<Guid>();
        var classes = new Dictionary<Guid, (string Class, string Method)>();
        ReportFault? fault = null;
        var summarised = false;
        List<string> errors = [];
        ReportXml.Rest(xml, child =>
        {
            switch (child)
            {
                case "Results":
                    ReportXml.Children(xml, result =>
                    {
                        if (result.EndsWith("TestResult", StringComparison.Ordinal) || result == "TestResultAggregation")
                            Result(xml, cases, ids);
                        else xml.Skip();
                    });
                    break;
                case "TestDefinitions":
                    ReportXml.Children(xml, _ => Definition(xml, classes));
                    break;
                case "ResultSummary":
                    summarised = true;
                    (fault, errors) = Summary(xml, source);
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        for (var at = 0; at < cases.Count; at++)
        {
            if (!classes.TryGetValue(ids[at], out var definition)) continue;
            cases[at] = cases[at] with { ClassName = definition.Class, Method = definition.Method, Suites = [definition.Class] };
        }
        // A fixture's tear-down that failed has no result of its own, only these notes.
        if (errors.Count > 0 && !cases.AnyFailureFrom(0))
            cases.Add(new TestCase([], null, "(run)", TestOutcome.Error)
            {
                Message = errors[0],
                Details = string.Join('\n', errors)
            });
        return fault
            ?? (summarised
                ? null
                : new(ReportFaultKind.Truncated, $"\"{source}\" has no summary; its writer probably ended before it was done"));
    }

    private static void Result(XmlReader xml, CaseList cases, List<Guid> ids)
    {
        var id = Id(xml.GetAttribute("testId"));
        var word = xml.GetAttribute("outcome");
        var test = new TestCase([], null, ReportXml.Attribute(xml, "testName") ?? "(no name)", OutcomeOf(word))
        {
            Duration = TimeSpan.TryParse(xml.GetAttribute("duration"), CultureInfo.InvariantCulture, out var duration)
                ? duration
                : null,
        };
        string? text = null;
        string? stack = null;
        var at = cases.Count;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "Output":
                    ReportXml.Children(xml, part =>
                    {
                        switch (part)
                        {
                            case "StdOut":
                                test = test with { Output = ReportXml.Text(xml) };
                                break;
                            case "StdErr":
                                test = test with { ErrorOutput = ReportXml.Text(xml) };
                                break;
                            case "ErrorInfo":
                                ReportXml.Children(xml, info =>
                                {
                                    if (info == "Message") text = ReportXml.Text(xml);
                                    else if (info == "StackTrace") stack = ReportXml.Text(xml);
                                    else xml.Skip();
                                });
                                break;
                            default:
                                xml.Skip();
                                break;
                        }
                    });
                    break;
                // Rows of a data-driven test: they are the tests, the parent is their sum.
                case "InnerResults":
                    ReportXml.Children(xml, _ => Result(xml, cases, ids));
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        // A clean-up that failed after its rows has the parent alone to say so.
        if (cases.Count > at && !(test.IsFailure && !cases.AnyFailureFrom(at))) return;
        if (test.Outcome == TestOutcome.Skipped)
            test = test with { SkipReason = text ?? (word is "NotExecuted" or null ? null : word) };
        else if (test.IsFailure) test = test with { Message = text ?? word, Details = stack };
        cases.Add(test);
        ids.Add(id);
    }

    // A GUID is what the format asks for; from any other word one is made, so that a large report's ids stay small in memory.
    private static Guid Id(string? text) =>
        Guid.TryParse(text, out var id) ? id : new Guid(SHA256.HashData(Encoding.UTF8.GetBytes(text ?? "")).AsSpan(0, 16));

    private static void Definition(XmlReader xml, Dictionary<Guid, (string, string)> classes)
    {
        var id = Id(xml.GetAttribute("id"));
        ReportXml.Children(xml, part =>
        {
            // Old writers add the assembly after a comma.
            if (part == "TestMethod" && xml.GetAttribute("className") is { Length: > 0 } name)
                classes[id] = (name.Split(',')[0].Trim(), xml.GetAttribute("name") ?? "");
            xml.Skip();
        });
    }

    private static (ReportFault?, List<string>) Summary(XmlReader xml, string source)
    {
        var outcome = xml.GetAttribute("outcome");
        var errors = new List<string>();
        ReportXml.Children(xml, child =>
        {
            if (child != "RunInfos")
            {
                xml.Skip();
                return;
            }
            ReportXml.Children(xml, _ =>
            {
                var isError = xml.GetAttribute("outcome") is "Error" or "Aborted";
                var text = ReportXml.Text(xml);
                if (isError && text is not null) errors.Add(text.Trim());
            });
        });
        var failed = outcome is "Failed" or "Error";
        var crash = errors.Find(text => HostCrash().IsMatch(text));
        return outcome is "Aborted" || crash is not null
            ? (
                new(ReportFaultKind.Aborted,
                    $"\"{source}\" says that the run was aborted: {crash ?? errors.FirstOrDefault() ?? "no cause given"}"),
                [])
            : (null, failed ? errors : []);
    }

    // Other run infos with the word Error are the framework's notes on failed tests; an aborted run says so in these words.
    [GeneratedRegex(
        @"test run was aborted|test run aborted|test ?host process (crashed|exited)|host process exited unexpectedly",
        RegexOptions.IgnoreCase)]
    private static partial Regex HostCrash();

    private static TestOutcome OutcomeOf(string? word) => word switch
    {
        "Passed" or "PassedButRunAborted" or "Completed" or "Warning" => TestOutcome.Passed,
        "Failed" => TestOutcome.Failed,
        "NotExecuted" or "Inconclusive" or "NotRunnable" or "Pending" or null => TestOutcome.Skipped,
        _ => TestOutcome.Error,
    };
}
