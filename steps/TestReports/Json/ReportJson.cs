using System.Text;
using System.Text.Json;
using CiSteps.Hosting.Json;

namespace CiSteps.TestReports.Json;

/// <summary>Reads one JSON report, telling the formats apart by the keys of its root.</summary>
internal static class ReportJson
{
    /// <summary>Such a report is held in memory; a larger one is refused.</summary>
    public const int LongestReport = 256 * 1024 * 1024;

    private static readonly JsonLimits Limits = new(LongestReport);

    public static bool IsFormat(ReportFormat format) => format is ReportFormat.Ctrf or ReportFormat.Jest or ReportFormat.Mocha;

    public static TestReport Read(Stream stream, ReportFormat wanted, string source, string root)
    {
        TestReport Broken(ReportFaultKind kind, string text) => TestReport.Broken(source, wanted, kind, text);
        if (stream.Length > LongestReport)
            return Broken(ReportFaultKind.Malformed, $"\"{source}\" is larger than {LongestReport >> 20} MB; write the report " +
                "as JUnit XML, which may be of any size");
        try
        {
            using var document = Parse(stream);
            var part = new JsonPart(document.RootElement, "");
            var found = FormatOf(part);
            if (found == ReportFormat.Auto) return Broken(ReportFaultKind.NotAReport, $"\"{source}\" is JSON, but not a report " +
                $"that is known; {ReportFormats.Known}");
            if (wanted != ReportFormat.Auto && wanted != found)
                return Broken(ReportFaultKind.NotAReport, $"\"{source}\" is a {found.Word()} report, the configuration says " +
                    $"{wanted.Word()}; correct the format or use auto");
            var cases = new CaseList(root);
            var fault = found switch
            {
                ReportFormat.Ctrf => CtrfReader.Read(part, source, cases),
                ReportFormat.Jest => JestReader.Read(part, source, cases),
                _ => MochaReader.Read(part, source, cases),
            };
            return new TestReport(source, found, cases, fault);
        }
        catch (OutsideJsonException error) when (error.Fault == JsonFault.Truncated)
        {
            return Broken(ReportFaultKind.Truncated,
                $"\"{source}\" ends in the middle; its writer probably ended before it was done");
        }
        catch (OutsideJsonException error)
        {
            return Broken(ReportFaultKind.Malformed, $"\"{source}\" is broken: {error.What}");
        }
    }

    /// <summary>The format that a file's content has; Auto where it is none of them.</summary>
    public static ReportFormat FormatOf(Stream stream)
    {
        if (stream.Length > LongestReport) return ReportFormat.Auto;
        try
        {
            using var document = Parse(stream);
            return FormatOf(new JsonPart(document.RootElement, ""));
        }
        catch (OutsideJsonException)
        {
            return ReportFormat.Auto;
        }
    }

    private static JsonDocument Parse(Stream stream)
    {
        stream.Position = 0;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        // The parser knows UTF-8 only; a mark of another encoding says which it is.
        if (bytes is not ([0xff, 0xfe, ..] or [0xfe, 0xff, ..])) return OutsideJson.ReadDocument(bytes, "", Limits);
        using var text = new StreamReader(new MemoryStream(bytes), Encoding.UTF8, detectEncodingFromByteOrderMarks: true);
        return OutsideJson.ReadDocument(text.ReadToEnd(), "", Limits);
    }

    private static ReportFormat FormatOf(JsonPart root) =>
        root.HasObject("results") && (root.Has("reportFormat") || root.Has("specVersion") || root.HasTestsIn("results"))
            ? ReportFormat.Ctrf
        : root.HasArray("testResults") && root.Has("numTotalTests") ? ReportFormat.Jest
        : root.HasObject("stats") && root.HasArray("passes") && root.HasArray("failures") ? ReportFormat.Mocha
        : ReportFormat.Auto;

    private static bool HasTestsIn(this JsonPart root, string name) =>
        root.Object(name) is { } inner && inner.HasArray("tests") && inner.HasObject("summary");
}
