using System.Text;
using CiSteps.TestReports.Json;

namespace CiSteps.TestReports.Lines;

/// <summary>
/// A JSON report that stands in an output, from the first line that begins with a brace to the last one that ends with it.
/// </summary>
internal sealed class JsonLines(ReportFormat format, string source, string root) : ILineReader
{
    private readonly StringBuilder text = new();
    private int end;
    private bool tooLong;

    public string? Running => null;

    public string? Ended => null;

    public void Add(string line)
    {
        if (text.Length == 0 && !line.AsSpan().TrimStart().StartsWith('{')) return;
        tooLong |= text.Length + line.Length > ReportJson.LongestReport / 4;
        if (tooLong) return;
        text.Append(line).Append('\n');
        if (line.AsSpan().TrimEnd().EndsWith('}')) end = text.Length;
    }

    public TestReport? Finish()
    {
        if (tooLong) return TestReport.Broken(source, format,
            ReportFaultKind.Malformed, $"\"{source}\" is larger than what is read of an output; have the report written to a " +
                "file and name it under \"reports\"");
        if (text.Length == 0) return null;
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text.ToString(0, end > 0 ? end : text.Length)));
        return ReportJson.Read(stream, format, source, root);
    }
}
