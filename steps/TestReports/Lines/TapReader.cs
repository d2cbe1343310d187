using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace CiSteps.TestReports.Lines;

/// <summary>
/// Test Anything Protocol 12, 13 and 14: subtests by indentation, YAML diagnostics, todo and skip, plans, bail out. Several
/// documents may follow each other.
/// </summary>
internal sealed partial class TapReader(string source, string root) : ILineReader
{
    private readonly CaseList cases = new(root);
    private readonly Stack<Level> levels = new([new Level(0)]);
    private readonly Stack<string> announced = new();
    private readonly StringBuilder yaml = new();
    private int yamlIndent = -1;
    private int lastCase = -1;
    private int lastIndent = -1;
    private ReportFault? fault;
    private int documents;
    private bool versioned;

    public string? Running => announced.TryPeek(out var name) ? name : null;

    public string? Ended => cases.Count > 0 ? cases[^1].FullName : null;

    public void Add(string line)
    {
        var text = line.TrimEnd();
        var content = text.TrimStart(' ');
        var indent = text.Length - content.Length;
        if (yamlIndent >= 0)
        {
            if (indent == yamlIndent && content == "...") EndYaml();
            else if (yaml.Length < Xml.ReportXml.LongestText) yaml.Append(text[Math.Min(indent, yamlIndent)..]).Append('\n');
            return;
        }
        if (content.Length == 0) return;
        if (content == "---" && lastIndent >= 0 && indent > lastIndent)
        {
            yamlIndent = indent;
            return;
        }
        if (content.StartsWith("Bail out!", StringComparison.OrdinalIgnoreCase))
        {
            fault ??= new(ReportFaultKind.Aborted,
                $"\"{source}\" gave up: {(content.Length > 9 ? content[9..].Trim() : "Bail out!")}");
            return;
        }
        if (content[0] == '#')
        {
            Comment(content[1..].Trim(), indent);
            return;
        }
        if (content.StartsWith("TAP version", StringComparison.OrdinalIgnoreCase))
        {
            versioned = true;
            if (indent == 0 && levels.Count == 1 && levels.Peek().Begun) EndDocument();
            return;
        }
        if (indent % 4 != 0) return;
        if (Plan().Match(content) is { Success: true } plan) Planned(plan, indent);
        else if (Point().Match(content) is { Success: true } point) Close(point, indent);
    }

    public TestReport? Finish()
    {
        if (yamlIndent >= 0) EndYaml();
        EndDocument();
        if (documents == 0 && !versioned && fault is null) return null;
        if (documents == 0)
            fault ??= new(ReportFaultKind.Truncated, $"\"{source}\" holds no TAP: neither a plan nor a test point");
        return new TestReport(source, ReportFormat.Tap, cases, fault);
    }

    private void Comment(string text, int indent)
    {
        if (text.StartsWith("Subtest", StringComparison.Ordinal))
        {
            var name = text.Length > 8 && text[7] == ':' ? text[8..].Trim() : "";
            if (name.Length > 0) announced.Push(name);
            return;
        }
        // Diagnostics of older producers stand as comments below the point that failed.
        if (lastCase >= 0 && indent == lastIndent && cases[lastCase].IsFailure && !levels.Peek().PlannedLast)
            cases[lastCase] = cases[lastCase] with
            {
                Message = cases[lastCase].Message ?? text,
                Details = cases[lastCase].Details is { } details ? details + "\n" + text : text,
            };
    }

    private Level LevelAt(int indent)
    {
        while (levels.Peek().Indent > indent) Close(levels.Pop());
        var level = levels.Peek();
        if (level.Indent == indent) return level;
        // A subtest may begin with a subtest.
        while (level.Indent < indent)
        {
            level.ChildrenFrom ??= cases.Count;
            levels.Push(level = new Level(level.Indent + 4));
        }
        return level;
    }

    private void Planned(Match plan, int indent)
    {
        var level = LevelAt(indent);
        if (level.Planned is not null)
        {
            // A second plan at the top is the next program's document; inside a subtest it is a mistake.
            if (indent > 0) fault ??= new(ReportFaultKind.PlanMismatch, $"\"{source}\" has two plans in one subtest");
            EndDocument();
            level = levels.Peek();
        }
        level.Planned = int.TryParse(plan.Groups[2].ValueSpan, CultureInfo.InvariantCulture, out var last) ? last : int.MaxValue;
        level.PlannedLast = level.Count > 0;
        lastIndent = -1;
        if (level.Planned != 0 || !plan.Groups[3].Success) return;
        level.SkippedAll = Directive().Match(plan.Groups[3].Value) is { Success: true } skip
            ? skip.Groups[2].Value.Trim()
            : plan.Groups[3].Value.TrimStart('#', ' ');
        if (indent == 0)
            cases.Add(new TestCase([], null, "(all)", TestOutcome.Skipped) { SkipReason = level.SkippedAll });
    }

    private void Close(Match point, int indent)
    {
        var level = LevelAt(indent);
        if (level.PlannedLast && indent == 0)
        {
            EndDocument();
            level = levels.Peek();
        }
        level.Count++;
        if (point.Groups[2].Success &&
            (!int.TryParse(point.Groups[2].ValueSpan, CultureInfo.InvariantCulture, out var number)
                || !level.Numbers.Add(number)))
            fault ??= new(ReportFaultKind.PlanMismatch, $"\"{source}\" has the test number {point.Groups[2].Value} twice");
        var ok = !point.Groups[1].Success;
        var (description, directive, reason, duration) = Describe(point.Groups[3].Value);
        if (announced.TryPop(out var name) && description.Length == 0) description = name;
        if (description.Length == 0) description = $"test {level.Count}";
        var outcome = directive switch
        {
            "SKIP" or "TODO" => TestOutcome.Skipped,
            _ => ok ? TestOutcome.Passed : TestOutcome.Failed,
        };
        var from = level.ChildrenFrom;
        level.ChildrenFrom = null;
        lastIndent = indent;
        lastCase = -1;
        if (from is { } first && first < cases.Count)
        {
            for (var at = first; at < cases.Count; at++)
                cases[at] = cases[at] with { Suites = [description, .. cases[at].Suites] };
            // The subtests are the tests; their sum is one only when it failed by itself (a hook, a plan).
            if (outcome != TestOutcome.Failed || cases.AnyFailureFrom(first)) return;
            outcome = TestOutcome.Error;
        }
        lastCase = cases.Count;
        cases.Add(new TestCase([], null, description, outcome)
        {
            Duration = duration,
            SkipReason = outcome == TestOutcome.Skipped ? Reason(directive, reason) : null,
        });
    }

    private void EndYaml()
    {
        var block = yaml.ToString();
        yaml.Clear();
        yamlIndent = -1;
        lastIndent = -1;
        if (lastCase < 0) return;
        var test = cases[lastCase];
        var diagnostics = TapDiagnostics.Read(block);
        var message = diagnostics.Message;
        test = test with
        {
            Duration = diagnostics.Find("duration_ms") is { } ms
                && double.TryParse(ms, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                && value is >= 0 and < 1e12
                ? TimeSpan.FromMilliseconds(value) : test.Duration,
            File = diagnostics.Find("file") ?? test.File,
        };
        if (test.IsFailure)
            test = test with
            {
                Message = message ?? test.Message,
                Details = Xml.ReportXml.Join(test.Details, block.TrimEnd('\n'))
            };
        cases[lastCase] = test;
    }

    private void Close(Level level)
    {
        if (level.Begun || level.Planned is not null)
        {
            if (level.Indent == 0) documents++;
            if (level.Planned is null)
                fault ??= new(ReportFaultKind.Truncated,
                    $"\"{source}\" ends without a plan after {level.Count} tests; its writer probably ended before it was done");
            else if (level.Planned != level.Count)
                fault ??= new(ReportFaultKind.PlanMismatch, $"\"{source}\" planned {level.Planned} tests and ran {level.Count}");
            else if (level.Numbers.Count > 0 && level.Numbers.Max() > level.Planned)
                fault ??= new(ReportFaultKind.PlanMismatch,
                    $"\"{source}\" planned tests up to number {level.Planned} and ran number {level.Numbers.Max()}");
        }
        else if (level.ChildrenFrom is not null && level.Indent == 0)
        {
            documents++;
            fault ??= new(ReportFaultKind.Truncated,
                $"\"{source}\" ends inside of a subtest; its writer probably ended before it was done");
        }
        // A subtest's children whose own point never came stay with the name that was announced.
        if (level.ChildrenFrom is { } first && announced.TryPeek(out var name))
            for (var at = first; at < cases.Count; at++) cases[at] = cases[at] with { Suites = [name, .. cases[at].Suites] };
    }

    private void EndDocument()
    {
        while (levels.TryPop(out var level)) Close(level);
        levels.Push(new Level(0));
        lastCase = lastIndent = -1;
    }

    private static string? Reason(string? directive, string reason) =>
        directive == "TODO" ? (reason.Length == 0 ? "todo" : "todo: " + reason) : reason.Length == 0 ? null : reason;

    private static (string Description, string? Directive, string Reason, TimeSpan? Duration) Describe(string text)
    {
        string? directive = null;
        var reason = "";
        TimeSpan? duration = null;
        if (Directive().Match(text) is { Success: true } match)
        {
            directive = match.Groups[1].Value.ToUpperInvariant();
            reason = match.Groups[2].Value.Trim();
            text = text[..match.Index];
        }
        if (Time().Match(text) is { Success: true } time &&
            double.TryParse(time.Groups[1].ValueSpan, NumberStyles.Float, CultureInfo.InvariantCulture, out var length)
                && length < 1e9)
        {
            duration = time.Groups[2].Value == "ms" ? TimeSpan.FromMilliseconds(length) : TimeSpan.FromSeconds(length);
            text = text[..time.Index];
        }
        return (
            text.Trim()
                .TrimEnd('{')
                .TrimEnd()
                .Replace("\\#", "#", StringComparison.Ordinal)
                .Replace("\\\\", "\\", StringComparison.Ordinal),
            directive,
            reason,
            duration);
    }

    [GeneratedRegex(@"^(\d+)\.\.(\d+)\s*(#.*)?$")]
    private static partial Regex Plan();

    [GeneratedRegex(@"^(not )?ok(?=\s|$)(?:\s+(\d+)(?=\s|$))?(?:\s+-(?=\s|$))?\s*(.*)$")]
    private static partial Regex Point();

    [GeneratedRegex(@"(?<!\\)#\s*(SKIP|TODO)\w*:?\s*(.*)$", RegexOptions.IgnoreCase)]
    private static partial Regex Directive();

    [GeneratedRegex(@"\s#\s*time=([0-9.]+)(ms|s)\s*$")]
    private static partial Regex Time();

    private sealed class Level(int indent)
    {
        public int Indent => indent;

        public int Count { get; set; }

        public int? Planned { get; set; }

        public bool PlannedLast { get; set; }

        public string? SkippedAll { get; set; }

        /// <summary>Where the cases of subtests begin whose point at this level is yet to come.</summary>
        public int? ChildrenFrom { get; set; }

        public HashSet<int> Numbers { get; } = [];

        public bool Begun => Count > 0 || Planned is not null;
    }
}
