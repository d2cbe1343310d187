using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>
/// xUnit.net: <c>assemblies/assembly/collection/test</c> of version 2, and <c>class</c> instead of <c>collection</c> of version
/// 1.
/// </summary>
internal static class XunitReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        Inside(xml, cases);
        return null;
    }

    private static void Inside(XmlReader xml, CaseList cases)
    {
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "assembly" or "collection" or "class":
                    Inside(xml, cases);
                    break;
                case "test":
                    Test(xml, cases);
                    break;
                case "errors":
                    ReportXml.Children(xml, _ => Error(xml, cases));
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
    }

    private static void Test(XmlReader xml, CaseList cases)
    {
        var type = ReportXml.Attribute(xml, "type");
        var test = new TestCase(
            type is null ? [] : [type],
            type,
            ReportXml.Attribute(xml, "name") ?? "(no name)",
            xml.GetAttribute("result") switch
            {
                "Pass" => TestOutcome.Passed,
                "Fail" => TestOutcome.Failed,
                "Skip" or "NotRun" => TestOutcome.Skipped,
                _ => TestOutcome.Error,
            })
        {
            Method = ReportXml.Attribute(xml, "method"),
            Duration = ReportXml.Seconds(xml.GetAttribute("time")),
            File = ReportXml.Attribute(xml, "source-file"),
        };
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "failure":
                    test = WithProblem(xml, test);
                    break;
                case "reason":
                    test = test with { SkipReason = ReportXml.Text(xml)?.Trim() };
                    break;
                case "output":
                    test = test with { Output = ReportXml.Text(xml) };
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        cases.Add(test);
    }

    // Clean-up of a class, collection or assembly that failed after its tests.
    private static void Error(XmlReader xml, CaseList cases)
    {
        var test = new TestCase(
            [],
            null,
            ReportXml.Attribute(xml, "name") ?? ReportXml.Attribute(xml, "type") ?? "(assembly)",
            TestOutcome.Error)
        { Message = ReportXml.Attribute(xml, "type") };
        ReportXml.Children(xml, child =>
        {
            if (child == "failure") test = WithProblem(xml, test with { Message = null });
            else xml.Skip();
        });
        cases.Add(test);
    }

    private static TestCase WithProblem(XmlReader xml, TestCase test)
    {
        var type = ReportXml.Attribute(xml, "exception-type");
        string? message = null;
        string? stack = null;
        ReportXml.Children(xml, part =>
        {
            if (part == "message") message = ReportXml.Text(xml);
            else if (part == "stack-trace") stack = ReportXml.Text(xml);
            else xml.Skip();
        });
        return test with { Message = message ?? type ?? "failed without a message", Details = stack };
    }
}
