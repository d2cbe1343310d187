using System.IO.Compression;
using System.Text;
using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>CTest's <c>Test.xml</c>, as its dashboards get it. What <c>ctest --output-junit</c> writes is JUnit.</summary>
internal static class CTestReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        var announced = 0;
        var isTesting = false;
        ReportXml.Children(xml, child =>
        {
            // Of older versions the root is <Testing> itself with a Site inside; all newer ones are the other way round.
            if (child != "Testing")
            {
                xml.Skip();
                return;
            }
            isTesting = true;
            ReportXml.Children(xml, part =>
            {
                if (part == "Test") Test(xml, cases);
                else if (part == "TestList") ReportXml.Children(xml, _ =>
                {
                    announced++;
                    xml.Skip();
                });
                else xml.Skip();
            });
        });
        return !isTesting ? new(ReportFaultKind.NotAReport, $"\"{source}\" is a file of CTest without tests (its build or " +
            "configuration); name Test.xml, or use ctest --output-junit")
            : announced != cases.Count
                ? new(ReportFaultKind.PlanMismatch, $"\"{source}\" lists {announced} tests and has the results of {cases.Count}")
            : null;
    }

    private static void Test(XmlReader xml, CaseList cases)
    {
        var status = xml.GetAttribute("Status");
        var name = "(no name)";
        var texts = new Dictionary<string, string?>(StringComparer.Ordinal);
        string? output = null;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "Name":
                    name = ReportXml.Text(xml)?.Trim() ?? name;
                    break;
                case "Results":
                    ReportXml.Children(xml, part =>
                    {
                        var key = part == "NamedMeasurement" ? xml.GetAttribute("name") : null;
                        ReportXml.Children(xml, value =>
                        {
                            if (value != "Value")
                            {
                                xml.Skip();
                                return;
                            }
                            var packed = xml.GetAttribute("encoding") == "base64" && xml.GetAttribute("compression") == "gzip";
                            var text = ReportXml.Text(xml);
                            if (key is not null) texts[key] = text?.Trim();
                            else output = packed && text is not null ? Unpacked(text) : text;
                        });
                    });
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        var completion = texts.GetValueOrDefault("Completion Status");
        var outcome = status switch
        {
            "passed" => TestOutcome.Passed,
            "failed" => texts.GetValueOrDefault("Exit Code")
                is "Timeout" or "SEGFAULT" or "Exception" or "ILLEGAL" or "INTERRUPT" or "NUMERICAL" or "OTHER_FAULT"
                    ? TestOutcome.Error : TestOutcome.Failed,
            // What was left out on purpose says so; a program that is missing does not.
            "notrun" when completion is "Disabled" || completion?.StartsWith("SKIP_", StringComparison.Ordinal) == true =>
                TestOutcome.Skipped,
            _ => TestOutcome.Error,
        };
        cases.Add(new TestCase([], null, name, outcome)
        {
            Duration = ReportXml.Seconds(texts.GetValueOrDefault("Execution Time")),
            Output = output?.Trim(),
            SkipReason = outcome == TestOutcome.Skipped ? completion : null,
            Message = outcome is TestOutcome.Failed or TestOutcome.Error
                ? string.Join(", ",
                    new[] { texts.GetValueOrDefault("Exit Code"), texts.GetValueOrDefault("Exit Value") is { } value
                        ? $"exit code {value}" : null, status == "notrun" ? completion ?? "did not run" : null }.Where(part =>
                            !string.IsNullOrEmpty(part))) is { Length: > 0 } text ? text
                                : completion ?? status ?? "has no status" : null,
        });
    }

    private static string Unpacked(string text)
    {
        try
        {
            using var zlib = new ZLibStream(new MemoryStream(Convert.FromBase64String(text.Trim())), CompressionMode.Decompress);
            var buffer = new byte[ReportXml.LongestText];
            return Encoding.UTF8.GetString(buffer, 0, zlib.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false));
        }
        catch (Exception error) when (error is FormatException or InvalidDataException)
        {
            return text;
        }
    }
}
