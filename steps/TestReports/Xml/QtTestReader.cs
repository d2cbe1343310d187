using System.Xml;

namespace CiSteps.TestReports.Xml;

/// <summary>Qt Test's own XML (<c>-o file,xml</c>). A function's rows of data are its tests.</summary>
internal static class QtTestReader
{
    public static ReportFault? Read(XmlReader xml, string source, CaseList cases)
    {
        var className = ReportXml.Attribute(xml, "name");
        var ended = false;
        ReportXml.Children(xml, child =>
        {
            if (child == "TestFunction") Function(xml, className, cases);
            else
            {
                ended |= child == "Duration";
                xml.Skip();
            }
        });
        // The whole program's duration is the last thing that it writes; programs of Qt 4 write none at all.
        return ended || cases.Count > 0 && cases[^1].Method == "cleanupTestCase" ? null
            : new(ReportFaultKind.Truncated, $"\"{source}\" ends before the test program has; it probably crashed");
    }

    private static void Function(XmlReader xml, string? className, CaseList cases)
    {
        var function = ReportXml.Attribute(xml, "name") ?? "(no name)";
        var rows = new List<string?>();
        var tests = new Dictionary<string, TestCase>(StringComparer.Ordinal);
        TimeSpan? duration = null;
        ReportXml.Children(xml, child =>
        {
            switch (child)
            {
                case "Incident" or "Message":
                    var type = xml.GetAttribute("type");
                    var file = ReportXml.Attribute(xml, "file");
                    string? tag = null;
                    string? text = null;
                    ReportXml.Children(xml, part =>
                    {
                        if (part == "DataTag") tag = ReportXml.Text(xml)?.Trim();
                        else if (part == "Description") text = ReportXml.Text(xml)?.Trim();
                        else xml.Skip();
                    });
                    if (!rows.Contains(tag)) rows.Add(tag);
                    if (!tests.TryGetValue(tag ?? "", out var test))
                        test = new TestCase([], className, tag is null ? function
                            : $"{function}({tag})", TestOutcome.Passed)
                        { Method = function };
                    tests[tag ?? ""] = child == "Incident" ? WithIncident(test, type, text, file) : WithMessage(test, type, text);
                    break;
                case "Duration":
                    duration = ReportXml.Milliseconds(xml.GetAttribute("msecs"));
                    xml.Skip();
                    break;
                default:
                    xml.Skip();
                    break;
            }
        });
        if (rows.Count == 0) cases.Add(new TestCase([], className, function, TestOutcome.Error)
        {
            Method = function,
            Message = "did not end: its program ended first"
        });
        // Messages before the first row have no tag.
        else if (rows.Count > 1 && tests.TryGetValue("", out var bare)
            && bare is { Outcome: TestOutcome.Passed, Duration: null }) rows.Remove(null);
        foreach (var row in rows) cases.Add(tests[row ?? ""] with { Duration = rows.Count == 1 ? duration : null });
    }

    private static TestCase WithIncident(TestCase test, string? type, string? text, string? file) => type switch
    {
        // An expected failure is followed by the pass that it counts as.
        "pass" or "xfail" => test,
        "bpass" or "bfail" or "bxpass" or "bxfail" =>
            test with
            {
                Outcome = test.IsFailure ? test.Outcome : TestOutcome.Skipped,
                SkipReason = text is null ? "blacklisted"
                : $"blacklisted: {text}"
            },
        "skip" => WithMessage(test, type, text),
        _ => test with
        {
            Outcome = type is "fail" or "xpass" ? TestOutcome.Failed : TestOutcome.Error,
            Message = test.Message ?? JUnitReader.FirstLine(text) ?? (type == "xpass"
                ? "passed, although it was expected to fail" : type),
            Details = ReportXml.JoinLines(test.Details, text),
            File = test.File ?? file,
        },
    };

    private static TestCase WithMessage(TestCase test, string? type, string? text) => type switch
    {
        "skip" => test with { Outcome = test.IsFailure ? test.Outcome : TestOutcome.Skipped, SkipReason = text },
        "system" or "qfatal" =>
            test with
            {
                Outcome = TestOutcome.Error,
                Message = test.Message ?? text ?? type,
                Details = ReportXml.JoinLines(test.Details, text)
            },
        _ => test with { Output = ReportXml.JoinLines(test.Output, text) },
    };
}
