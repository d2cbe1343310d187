using System.Text;
using System.Text.RegularExpressions;
using CiSteps.TestReports.Lines;
using CiSteps.TestReports.Xml;

namespace CiSteps.TestReports;

/// <summary>
/// A report inside an output (a child's, a container's log), read while it comes: TAP, <c>go test -json</c>, or an XML report
/// that stands
/// in the output as it is or between the lines <see cref="Begin"/> and <see cref="End"/>. May be fed from several threads.
/// </summary>
/// <param name="format">What is expected; <see cref="ReportFormat.Auto"/>: the first telling line decides.</param>
/// <param name="source">What the output is of, for messages.</param>
/// <param name="workTree">The work tree, whose path is cut off names; empty: names stay.</param>
public sealed partial class OutputReport(ReportFormat format, string source, string workTree = "")
{
    /// <summary>The line before a report in a log.</summary>
    public const string Begin = "-----BEGIN TEST REPORT-----";

    /// <summary>The line after a report in a log.</summary>
    public const string End = "-----END TEST REPORT-----";

    // A report in a log is held in memory; a larger one belongs in a file.
    private const int LongestXml = 64 * 1024 * 1024;

    private readonly Lock gate = new();
    private readonly List<TestReport> embedded = [];
    private readonly RunningTestHints hints = new();
    private ILineReader? lines = format switch
    {
        ReportFormat.Tap => new TapReader(source, workTree),
        ReportFormat.GoJson => new GoTestReader(source, workTree),
        ReportFormat.Ctrf or ReportFormat.Jest or ReportFormat.Mocha => new JsonLines(format, source, workTree),
        _ => null,
    };
    private StringBuilder? xml;
    private string? root;
    private bool marked;

    /// <summary>The test that runs now, where the output tells it; null when it does not.</summary>
    public string? RunningTest
    {
        get
        {
            lock (gate) return lines?.Running ?? hints.Running;
        }
    }

    /// <summary>The test that ended last, where the output tells it; null when it does not.</summary>
    public string? EndedTest
    {
        get
        {
            lock (gate) return lines?.Ended ?? hints.Ended;
        }
    }

    /// <summary>One line of the output, without its end.</summary>
    public void Add(string line)
    {
        ArgumentNullException.ThrowIfNull(line);
        lock (gate)
        {
            hints.Add(line);
            if (xml is not null) Collect(line);
            else if (line.AsSpan().Trim().SequenceEqual(Begin)) (xml, marked) = (new StringBuilder(), true);
            else if (lines is not null) lines.Add(line);
            else if (XmlStart().IsMatch(line))
            {
                (xml, marked, root) = (new StringBuilder(), false, null);
                Collect(line);
            }
            else if (format == ReportFormat.Auto && Decide(line) is { } reader)
            {
                lines = reader;
                reader.Add(line);
            }
        }
    }

    /// <summary>Whether a text begins as <c>go test -json</c> does.</summary>
    internal static bool IsGo(string text) => GoStart().IsMatch(text);

    /// <summary>
    /// A line as a person wants to read it: of an event of <c>go test -json</c> what it says, null when it says nothing; any
    /// other line as it is.
    /// </summary>
    public static string? Readable(string line)
    {
        ArgumentNullException.ThrowIfNull(line);
        return GoStart().IsMatch(line) && line.TrimStart().StartsWith('{') ? GoTestReader.OutputOf(line) : line;
    }

    /// <summary>The report, once the output has ended; null when there was none in it and none was announced.</summary>
    public TestReport? Finish()
    {
        lock (gate)
        {
            if (xml is not null)
            {
                var cut = Parse();
                embedded.Add(
                    cut with { Fault = cut.Fault ?? new(ReportFaultKind.Truncated, $"\"{source}\" ends before the line {End}") });
            }
            var fromLines = lines?.Finish();
            if (embedded.Count == 0) return fromLines;
            // A log with a marked report may have a stray "ok 1" before it; a real TAP report beside it counts.
            return TestReport.Join(source, fromLines is { Cases.Count: > 0 } ? [fromLines, .. embedded] : embedded);
        }
    }

    private void Collect(string line)
    {
        if (marked && line.AsSpan().Trim().SequenceEqual(End))
        {
            embedded.Add(Parse());
            return;
        }
        if (xml!.Length < LongestXml) xml.Append(line).Append('\n');
        if (marked) return;
        if (root is null && RootElement().Match(line) is { Success: true } start)
        {
            root = start.Groups[1].Value;
            if (start.Groups[2].Success) root = "";
        }
        if (root is not null && (root.Length == 0 || line.Contains($"</{root}>", StringComparison.Ordinal)))
            embedded.Add(Parse());
    }

    private TestReport Parse()
    {
        var text = xml!.ToString();
        xml = null;
        if (text.AsSpan().TrimStart().StartsWith('<'))
        {
            using var clean = new CleanReader(new StringReader(text));
            return ReportXml.Read(clean, format is ReportFormat.Tap or ReportFormat.GoJson || Json.ReportJson.IsFormat(format)
                ? ReportFormat.Auto : format, source, workTree);
        }
        var inner = new OutputReport(format, source, workTree);
        foreach (var line in text.AsSpan().EnumerateLines()) inner.Add(line.ToString());
        return inner.Finish()
            ?? TestReport.Broken(source, format, ReportFaultKind.NotAReport,
                $"between the report markers of \"{source}\" there is no known test report");
    }

    private ILineReader? Decide(string line) =>
        GoStart().IsMatch(line)
            ? new GoTestReader(source, workTree)
            : TapStart().IsMatch(line) ? new TapReader(source, workTree) : null;

    [GeneratedRegex("""^(\s*\{"(Time|Action|ImportPath)":|FAIL\t\S+ \[(build|setup) failed\])""")]
    private static partial Regex GoStart();

    // A bare "ok" is too common a line to begin a report with.
    [GeneratedRegex(@"^\s*(TAP version \d+|\d+\.\.\d+(\s*#.*)?|(not )?ok \d+(\s.*)?|# Subtest: .*)\s*$")]
    private static partial Regex TapStart();

    [GeneratedRegex(
        @"^\s*<(\?xml\s|(testsuites|testsuite|TestRun|test-run|test-results" +
        @"|assemblies|testng-results|TestLog|TestResult|TestCase|Site)[\s/>])")]
    private static partial Regex XmlStart();

    [GeneratedRegex(@"<([A-Za-z][\w-]*)(?:[^<>]*?(/>))?")]
    private static partial Regex RootElement();
}
