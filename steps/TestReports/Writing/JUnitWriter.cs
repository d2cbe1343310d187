using System.Globalization;
using System.Xml;

namespace CiSteps.TestReports;

/// <summary>Writes runs as one JUnit XML file, in the form that surefire's schema and build servers read.</summary>
internal static class JUnitWriter
{
    /// <summary>Writes to a stream, which is left open.</summary>
    public static void Write(Stream stream, IReadOnlyList<FinishedRun> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        using var xml = XmlWriter.Create(
            stream, new XmlWriterSettings { Indent = true, CloseOutput = false, NewLineChars = "\n" });
        // A suite's counts come before its tests, and a report may be larger than memory: it is gone through twice.
        var suites = runs.Select(run => SuitesOf(run.Report.Cases)).ToList();
        xml.WriteStartElement("testsuites");
        Counts(xml, Sum(suites.SelectMany(of => of)));
        foreach (var (run, of) in runs.Zip(suites))
        {
            using var tests = run.Report.Cases.GetEnumerator();
            foreach (var suite in of)
            {
                xml.WriteStartElement("testsuite");
                xml.WriteAttributeString("name", Clean(suite.Name.Length == 0 ? run.Title : $"{run.Title} > {suite.Name}"));
                Counts(xml, suite);
                for (var count = 0; count < suite.Tests && tests.MoveNext(); count++) Case(xml, tests.Current);
                xml.WriteEndElement();
            }
            if (run.Verdict.Succeeded || run.Report.Failed > 0) continue;
            // A run that failed without a failed test must not look green to whoever reads only this file.
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", Clean(run.Title));
            foreach (var (name, value) in new[] { ("tests", "1"), ("failures", "0"), ("errors", "1"), ("skipped", "0") })
                xml.WriteAttributeString(name, value);
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

    // Tests of one suite that stand together.
    private static List<Suite> SuitesOf(IReadOnlyList<TestCase> tests)
    {
        var suites = new List<Suite>();
        foreach (var test in tests)
        {
            var name = string.Join(" > ", test.Suites);
            if (suites.Count == 0 || suites[^1].Name != name) suites.Add(new Suite(name, 0, 0, 0, 0, 0));
            var suite = suites[^1];
            suites[^1] = suite with
            {
                Tests = suite.Tests + 1,
                Failures = suite.Failures + (test.Fails && test.Outcome == TestOutcome.Failed ? 1 : 0),
                Errors = suite.Errors + (test.Fails && test.Outcome == TestOutcome.Error ? 1 : 0),
                Skipped = suite.Skipped + (test.Outcome == TestOutcome.Skipped || (test.IsFailure && !test.Fails) ? 1 : 0),
                Ticks = suite.Ticks + (test.Duration?.Ticks ?? 0),
            };
        }
        return suites;
    }

    private static Suite Sum(IEnumerable<Suite> suites) => suites.Aggregate(new Suite("", 0, 0, 0, 0, 0), (sum, one) =>
        new(
            "",
            sum.Tests + one.Tests,
            sum.Failures + one.Failures,
            sum.Errors + one.Errors,
            sum.Skipped + one.Skipped,
            sum.Ticks + one.Ticks));

    private static void Counts(XmlWriter xml, Suite suite)
    {
        foreach (var (name, count) in new[]
        {
            ("tests", suite.Tests),
            ("failures", suite.Failures),
            ("errors", suite.Errors),
            ("skipped", suite.Skipped)
        })
            xml.WriteAttributeString(name, count.ToString(CultureInfo.InvariantCulture));
        xml.WriteAttributeString("time", Seconds(TimeSpan.FromTicks(suite.Ticks)));
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
            if ((test.Tolerated is null ? test.SkipReason : $"{test.Tolerated}: {test.Message}") is { } reason)
                xml.WriteAttributeString("message", Clean(reason));
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

    private sealed record Suite(string Name, int Tests, int Failures, int Errors, int Skipped, long Ticks);
}
