using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>CppUnit's <c>TestRun</c>: failed and successful tests in two lists, and their sum.</summary>
internal static class CppUnitReader
{
    public static bool IsPart(string element) => element is "FailedTests" or "SuccessfulTests" or "Statistics";

    /// <summary>Reads from the first child of the root on.</summary>
    public static ReportFault? ReadInside(XmlReader xml, string source, CaseList cases)
    {
        int? declared = null;
        ReportXml.Rest(xml, child =>
        {
            switch (child)
            {
                case "FailedTests":
                    ReportXml.Children(xml, _ => Test(xml, TestOutcome.Failed, cases));
                    break;
                case "SuccessfulTests":
                    ReportXml.Children(xml, _ => Test(xml, TestOutcome.Passed, cases));
                    break;
                case "Statistics":
                    ReportXml.Children(xml, part =>
                    {
                        if (part == "Tests" && int.TryParse(ReportXml.Text(xml), out var count)) declared = count;
                        else if (part != "Tests") xml.Skip();
                    });
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        return declared is null
            ? new(ReportFaultKind.Truncated, $"\"{source}\" has no statistics; its writer probably ended before it was done")
            : declared != cases.Count
                ? new(ReportFaultKind.PlanMismatch, $"\"{source}\" counts {declared} tests and has {cases.Count}")
            : null;
    }

    private static void Test(XmlReader xml, TestOutcome outcome, CaseList cases)
    {
        var name = "(no name)";
        string? type = null;
        string? message = null;
        string? file = null;
        string? line = null;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "Name":
                    name = ReportXml.Text(xml)?.Trim() ?? name;
                    break;
                case "FailureType":
                    type = ReportXml.Text(xml)?.Trim();
                    break;
                case "Message":
                    message = ReportXml.Text(xml)?.Trim();
                    break;
                case "Location":
                    ReportXml.Children(xml, part =>
                    {
                        var text = ReportXml.Text(xml)?.Trim();
                        if (part == "File") file = text;
                        else if (part == "Line") line = text;
                    });
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        var at = name.LastIndexOf("::", StringComparison.Ordinal);
        cases.Add(new TestCase([], at > 0 ? name[..at] : null, at > 0 ? name[(at + 2)..]
            : name, outcome == TestOutcome.Failed && type == "Error" ? TestOutcome.Error : outcome)
        {
            File = file,
            Message = outcome == TestOutcome.Failed ? JUnitReader.FirstLine(message) ?? type ?? "failed without a message" : null,
            Details = outcome == TestOutcome.Failed
                ? ReportXml.JoinLines(file is null ? null : line is null ? file : $"{file}:{line}", message) : null,
        });
    }
}
