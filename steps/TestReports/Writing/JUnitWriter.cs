using System.Globalization;
using System.Xml;

namespace CiSteps.TestReports;

/// <summary>Writes runs as one JUnit XML file, in the form that surefire's schema and build servers read.</summary>
public static class JUnitWriter
{
    /// <summary>Writes to a stream, which is left open.</summary>
    public static void Write(Stream stream, IReadOnlyList<FinishedRun> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        using var xml = XmlWriter.Create(stream, new XmlWriterSettings { Indent = true, CloseOutput = false, NewLineChars = "\n" });
        xml.WriteStartElement("testsuites");
        Counts(xml, [.. runs.SelectMany(run => run.Report.Cases)]);
        foreach (var run in runs)
        {
            // Tests of one suite that do not stand together become one suite.
            foreach (var suite in run.Report.Cases.GroupBy(test => string.Join(" > ", test.Suites)))
            {
                var tests = suite.ToList();
                xml.WriteStartElement("testsuite");
                xml.WriteAttributeString("name", Clean(suite.Key.Length == 0 ? run.Title : $"{run.Title} > {suite.Key}"));
                Counts(xml, tests);
                foreach (var test in tests) Case(xml, test);
                xml.WriteEndElement();
            }
            if (run.Verdict.Succeeded || run.Report.Cases.Any(test => test.Fails)) continue;
            // A run that failed without a failed test must not look green to whoever reads only this file.
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", Clean(run.Title));
            foreach (var (name, value) in new[] { ("tests", "1"), ("failures", "0"), ("errors", "1"), ("skipped", "0") }) xml.WriteAttributeString(name, value);
            xml.WriteStartElement("testcase");
            xml.WriteAttributeString("classname", Clean(run.Title));
            xml.WriteAttributeString("name", $"({run.Verdict.Reason})");
            xml.WriteStartElement("error");
            xml.WriteAttributeString("message", Clean(run.Verdict.Text));
            xml.WriteEndElement();
            xml.WriteEndElement();
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
    }

    private static void Counts(XmlWriter xml, List<TestCase> tests)
    {
        void Count(string name, Func<TestCase, bool> which) => xml.WriteAttributeString(name, tests.Count(which).ToString(CultureInfo.InvariantCulture));
        Count("tests", _ => true);
        Count("failures", test => test.Fails && test.Outcome == TestOutcome.Failed);
        Count("errors", test => test.Fails && test.Outcome == TestOutcome.Error);
        Count("skipped", test => test.Outcome == TestOutcome.Skipped || (test.IsFailure && !test.Fails));
        xml.WriteAttributeString("time", Seconds(TimeSpan.FromTicks(tests.Sum(test => test.Duration?.Ticks ?? 0))));
    }

    private static void Case(XmlWriter xml, TestCase test)
    {
        xml.WriteStartElement("testcase");
        xml.WriteAttributeString("classname", Clean(test.ClassName ?? string.Join('.', test.Suites)));
        xml.WriteAttributeString("name", Clean(test.Name));
        if (test.Duration is { } duration) xml.WriteAttributeString("time", Seconds(duration));
        if (test.File is { } file) xml.WriteAttributeString("file", Clean(file));
        if (test.Fails) Problem(xml, test.Outcome == TestOutcome.Error ? "error" : "failure", test);
        else if (test.IsFailure || test.Outcome == TestOutcome.Skipped)
        {
            xml.WriteStartElement("skipped");
            if ((test.Tolerated is null ? test.SkipReason : $"{test.Tolerated}: {test.Message}") is { } reason) xml.WriteAttributeString("message", Clean(reason));
            xml.WriteEndElement();
        }
        else if (test.IsFlaky) Problem(xml, "flakyFailure", test);
        Text(xml, "system-out", test.Output);
        Text(xml, "system-err", test.ErrorOutput);
        xml.WriteEndElement();
    }

    private static void Problem(XmlWriter xml, string element, TestCase test)
    {
        xml.WriteStartElement(element);
        xml.WriteAttributeString("message", Clean(test.Message ?? ""));
        if (element == "flakyFailure") Text(xml, "stackTrace", test.Details);
        else if (test.Details is { } details) xml.WriteString(Clean(details));
        xml.WriteEndElement();
    }

    private static void Text(XmlWriter xml, string element, string? text)
    {
        if (!string.IsNullOrEmpty(text)) xml.WriteElementString(element, Clean(text));
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture);

    // XML 1.0 has no way to write most control characters, nor half a surrogate pair.
    private static string Clean(string text)
    {
        var bad = false;
        for (var at = 0; at < text.Length && !bad; at++) bad = !Fits(text, at);
        if (!bad) return text;
        return string.Create(text.Length, text, static (to, from) =>
        {
            for (var at = 0; at < from.Length; at++) to[at] = Fits(from, at) ? from[at] : '\ufffd';
        });
    }

    private static bool Fits(string text, int at) =>
        char.IsHighSurrogate(text[at]) ? at + 1 < text.Length && char.IsLowSurrogate(text[at + 1])
        : char.IsLowSurrogate(text[at]) ? at > 0 && char.IsHighSurrogate(text[at - 1])
        : XmlConvert.IsXmlChar(text[at]);
}
