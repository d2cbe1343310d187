using System.Globalization;
using System.Text;
using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>Reads one XML report, dispatching on its root element.</summary>
internal static class ReportXml
{
    /// <summary>
    /// Longest text kept of one message, stack trace or output; what exceeds it is cut in the middle's favour of the start.
    /// </summary>
    public const int LongestText = 64 * 1024;

    // Suites in suites are read by recursion, and no runner nests them like this.
    private const int Deepest = 200;

    public static TestReport Read(Stream stream, ReportFormat wanted, string source, string root = "")
    {
        using var text = CleanReader.Open(stream);
        return Read(text, wanted, source, root);
    }

    public static TestReport Read(CleanReader text, ReportFormat wanted, string source, string root = "")
    {
        var cases = new CaseList(root);
        var format = wanted;
        try
        {
            using var xml = XmlReader.Create(text, new XmlReaderSettings
            {
                // No DTD is obeyed and nothing is fetched: a report is data from the code under test.
                DtdProcessing = DtdProcessing.Ignore,
                XmlResolver = null,
                CheckCharacters = false,
                IgnoreComments = true,
                IgnoreProcessingInstructions = true,
            });
            xml.MoveToContent();
            var found = FormatOf(xml.LocalName);
            // CppUnit and TRX share a root; which of them it is, its first child says.
            if (found == ReportFormat.Trx)
            {
                var rootElement = xml.NamespaceURI;
                var first = FirstChild(xml);
                if (CppUnitReader.IsPart(first ?? "")) found = ReportFormat.CppUnit;
                else if (!rootElement.Contains("TeamTest", StringComparison.Ordinal) && first is not null
                    && !TrxReader.IsPart(first))
                    return TestReport.Broken(source, wanted,
                        ReportFaultKind.NotAReport, $"\"{source}\" has the root element of a TRX report, but \"{first}\" in " +
                            $"it, which neither TRX nor CppUnit has; {ReportFormats.Known}");
            }
            if (found == ReportFormat.Auto)
                return TestReport.Broken(source, wanted,
                    ReportFaultKind.NotAReport, $"\"{source}\" is XML with the root element " +
                        $"\"{xml.LocalName}\"{Foreign(xml.LocalName)}, which is not a report that is read; " +
                        $"{ReportFormats.Known}");
            if (wanted != ReportFormat.Auto && wanted != found)
                return TestReport.Broken(source, wanted, ReportFaultKind.NotAReport,
                    $"\"{source}\" is a {found.Word()} report, the configuration says {wanted.Word()}; " +
                    "correct the format or use auto");
            format = found;
            var fault = format switch
            {
                ReportFormat.JUnit => JUnitReader.Read(xml, source, cases),
                ReportFormat.Trx => TrxReader.ReadInside(xml, source, cases),
                ReportFormat.CppUnit => CppUnitReader.ReadInside(xml, source, cases),
                ReportFormat.NUnit => NUnitReader.Read(xml, source, cases),
                ReportFormat.TestNg => TestNgReader.Read(xml, source, cases),
                ReportFormat.Boost => BoostReader.Read(xml, source, cases),
                ReportFormat.CTest => CTestReader.Read(xml, source, cases),
                ReportFormat.QtTest => QtTestReader.Read(xml, source, cases),
                _ => XunitReader.Read(xml, source, cases),
            };
            // To the very end: what follows the root belongs to the verdict too.
            while (xml.Read())
            {
            }
            return new TestReport(source, format, cases, fault);
        }
        catch (XmlException error)
        {
            var position = string.Create(CultureInfo.InvariantCulture, $"line {error.LineNumber}, column {error.LinePosition}");
            return new TestReport(source, format, cases, text.ReachedEnd
                ? new(ReportFaultKind.Truncated, error.LineNumber <= 1 && cases.Count == 0 && error.LinePosition <= 1
                    ? $"\"{source}\" is empty; its writer probably ended before it was done"
                    : $"\"{source}\" ends in the middle ({position}) after {cases.Count} tests; " +
                        "its writer probably ended before it was done")
                : new(ReportFaultKind.Malformed, $"\"{source}\" is not well-formed XML at {position}: {error.Message}"));
        }
        catch (InvalidDataException error)
        {
            return new TestReport(source, format, cases, new(ReportFaultKind.Malformed,
                $"\"{source}\" is not a report that is read: {error.Message}"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new TestReport(
                source, format, cases, new(ReportFaultKind.Unreadable, $"\"{source}\" cannot be read: {error.Message}"));
        }
    }

    /// <summary>The format whose reports have this root element; <see cref="ReportFormat.Auto"/> for none.</summary>
    public static ReportFormat FormatOf(string root) => root switch
    {
        "testsuites" or "testsuite" => ReportFormat.JUnit,
        "TestRun" => ReportFormat.Trx,
        "test-run" or "test-results" => ReportFormat.NUnit,
        "assemblies" or "assembly" => ReportFormat.Xunit,
        "testng-results" => ReportFormat.TestNg,
        "TestLog" or "TestResult" => ReportFormat.Boost,
        "Site" => ReportFormat.CTest,
        "TestCase" => ReportFormat.QtTest,
        _ => ReportFormat.Auto,
    };

    // What people name by mistake, or would like to be read: its own name says more than its root element.
    private static string Foreign(string root) => root switch
    {
        "robot" => " (Robot Framework; have it write --xunit)",
        "testExecutions" => " (SonarQube's generic tests)",
        "unittest-results" => " (UnitTest++)",
        "CUNIT_TEST_RUN_REPORT" or "CUNIT_TEST_LIST_REPORT" => " (CUnit)",
        "testResults" => " (JMeter or FitNesse)",
        "coverage" => " (Cobertura or Clover: coverage, not tests)",
        "report" => " (JaCoCo: coverage, not tests)",
        "checkstyle" => " (Checkstyle: findings, not tests)",
        "Catch" or "Catch2TestRun" => " (Catch2's own; have it write -r junit)",
        "doctest" => " (doctest's own; have it write -r=junit)",
        "test_results" or "TestRunResults" => " (a format of an own tool)",
        _ => "",
    };

    // The root's first child element, where the reader then stands; null where there is none.
    private static string? FirstChild(XmlReader xml)
    {
        if (xml.IsEmptyElement)
        {
            xml.Read();
            return null;
        }
        do
        {
            if (!xml.Read()) return null;
        }
        while (xml.NodeType is not (XmlNodeType.Element or XmlNodeType.EndElement));
        return xml.NodeType == XmlNodeType.Element ? xml.LocalName : null;
    }

    /// <summary>
    /// Moves through the children of the element that the reader stands on. The body must consume each child with
    /// <see cref="Text"/>, Skip or another walk; afterwards the reader stands behind the element.
    /// </summary>
    public static void Children(XmlReader xml, Action<string> child)
    {
        if (xml.IsEmptyElement)
        {
            xml.Read();
            return;
        }
        if (xml.Depth > Deepest)
            throw new InvalidDataException($"its elements are nested more than {Deepest} deep");
        xml.Read();
        Rest(xml, child);
    }

    /// <summary>Like <see cref="Children"/>, for a reader that stands on a child already.</summary>
    public static void Rest(XmlReader xml, Action<string> child)
    {
        while (xml.NodeType != XmlNodeType.EndElement)
        {
            if (xml.NodeType == XmlNodeType.Element) child(xml.LocalName);
            // At the end of the text Read throws; a reader that is at its end without that was closed by its parser.
            else if (!xml.Read()) return;
        }
        xml.Read();
    }

    /// <summary>
    /// All text inside the current element, markup left out, cut at <see cref="LongestText"/>; moves behind the element. Null
    /// when there is only white space.
    /// </summary>
    public static string? Text(XmlReader xml)
    {
        if (xml.IsEmptyElement)
        {
            xml.Read();
            return null;
        }
        var text = new StringBuilder();
        var depth = xml.Depth;
        var block = new char[4096];
        var cut = 0L;
        xml.Read();
        while (xml.Depth > depth || xml.NodeType != XmlNodeType.EndElement)
        {
            if (xml.NodeType is XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.SignificantWhitespace
                or XmlNodeType.Whitespace)
            {
                int count;
                while ((count = xml.ReadValueChunk(block, 0, block.Length)) > 0)
                {
                    var kept = Math.Min(count, LongestText - text.Length);
                    text.Append(block, 0, kept);
                    cut += count - kept;
                }
            }
            if (!xml.Read()) break;
        }
        xml.Read();
        if (cut > 0) text.Append(CultureInfo.InvariantCulture, $"\n… {cut} more characters");
        var whole = text.ToString();
        return string.IsNullOrWhiteSpace(whole) ? null : whole.Trim('\r', '\n');
    }

    /// <summary>Seconds as reports write them: with a point, with thousands separators, or with a decimal comma.</summary>
    public static TimeSpan? Seconds(string? text)
    {
        if (string.IsNullOrWhiteSpace(text)) return null;
        var plain = text.Trim().TrimEnd('s');
        if (plain.Contains(',') && !plain.Contains('.') && plain.Length - plain.LastIndexOf(',') != 4)
            plain = plain.Replace(',', '.');
        return double.TryParse(
            plain, NumberStyles.Float | NumberStyles.AllowThousands, CultureInfo.InvariantCulture, out var seconds)
            &&
            seconds is >= 0 and < 1e9 ? TimeSpan.FromSeconds(seconds) : null;
    }

    /// <summary>Milliseconds; null when absent or no duration.</summary>
    public static TimeSpan? Milliseconds(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value is >= 0 and < 1e12
            ? TimeSpan.FromMilliseconds(value) : null;

    /// <summary>A text attribute; null when absent or empty.</summary>
    public static string? Attribute(XmlReader xml, string name) =>
        xml.GetAttribute(name) is { Length: > 0 } value ? Cut(value) : null;

    /// <summary>A count in an attribute; 0 when absent or no number.</summary>
    public static int Count(XmlReader xml, string name) =>
        int.TryParse(xml.GetAttribute(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var count) ? count : 0;

    /// <summary>Joins what is there with an empty line between.</summary>
    public static string? Join(string? first, string? second) =>
        string.IsNullOrEmpty(first) ? second : string.IsNullOrEmpty(second) ? first : first + "\n\n" + second;

    /// <summary>Joins what is there, line below line.</summary>
    public static string? JoinLines(string? first, string? second) =>
        string.IsNullOrEmpty(first) ? second : string.IsNullOrEmpty(second) ? first : first + "\n" + second;

    private static string Cut(string value) =>
        value.Length <= LongestText ? value : value[..LongestText] + $"\n… {value.Length - LongestText} more characters";
}
