using System.Globalization;

namespace CiSteps.TestReports.Tests;

/// <summary>
/// Report files of every dialect, each beside what is right to read in it: <c>Samples/Dialects/NAME.expected</c>.
/// </summary>
public sealed class Dialects
{
    private static readonly string Folder = Sample.PathOf("Dialects");

    [TestCaseSource(nameof(Names))]
    public void A_report_is_read_as_its_expectation_says(string name)
    {
        var report = ReportReader.ReadFile(Path.Combine(Folder, name), ReportFormat.Auto, name);

        Assert.That(Describe(report, Expected(name)), Is.EqualTo(File.ReadAllText(Path.Combine(Folder, name + ".expected"))),
            report.Fault?.Text);
    }

    [TestCaseSource(nameof(Known))]
    public void The_same_when_its_format_is_announced_and_refused_by_name_when_another_is(string name)
    {
        var path = Path.Combine(Folder, name);
        var report = ReportReader.ReadFile(path, ReportFormat.Auto, name);
        var other = ReportReader.ReadFile(path, report.Format == ReportFormat.JUnit ? ReportFormat.Trx
            : ReportFormat.JUnit, name);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ReportReader.ReadFile(path, report.Format, name).Cases, Has.Count.EqualTo(report.Cases.Count));
            Assert.That(other.Fault?.Kind, Is.EqualTo(ReportFaultKind.NotAReport));
        }
    }

    [Test]
    public void There_are_a_hundred_and_every_format_is_among_them()
    {
        var formats = Names.Select(name => ReportReader.ReadFile(Path.Combine(Folder, name)).Format).ToHashSet();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Names.Count(), Is.GreaterThanOrEqualTo(100));
            Assert.That(formats, Is.EquivalentTo(Enum.GetValues<ReportFormat>()));
        }
    }

    [Test]
    public void Every_cut_of_a_report_is_a_value_and_never_green_by_itself([ValueSource(nameof(Names))] string name)
    {
        var whole = File.ReadAllBytes(Path.Combine(Folder, name));
        for (var length = 0; length < whole.Length; length += 1 + whole.Length / 40)
        {
            using var stream = new MemoryStream(whole[..length]);
            var report = ReportReader.Read(stream, ReportFormat.Auto, name);
            // Lines of TAP and of go test -json may end with any of them; everything else has an end of its own.
            if (!name.EndsWith(".tap", StringComparison.Ordinal)
                && !name.StartsWith("go", StringComparison.Ordinal)) Assert.That(report.Fault,
                    Is.Not.Null, $"cut after {length} bytes");
        }
    }

    [Test]
    public void Damage_is_a_value_and_never_an_exception([ValueSource(nameof(Names))] string name)
    {
        var whole = File.ReadAllBytes(Path.Combine(Folder, name));
        var random = new Random(name.Length);
        for (var round = 0; round < 60; round++)
        {
            var bytes = whole.ToArray();
            for (var change = 0; change < 1 + round % 4; change++) bytes[random.Next(bytes.Length)] = round % 2 == 0
                ? (byte)random.Next(256) : "{}[]\"\\,:<>&/u0"u8[random.Next(14)];
            using var stream = new MemoryStream(bytes);
            Assert.That(TestVerdict.Of(0, [ReportReader.Read(stream, ReportFormat.Auto, name)]).Text, Is.Not.Empty);
        }
    }

    [TestCase("{\"results\":{\"\\ud800\":1,\"summary\":{},\"tests\":[]}}")]
    [TestCase("{\"results\":{\"summary\":{\"tests\":-1},\"tests\":[]}}")]
    [TestCase("{\"results\":{\"summary\":{\"tests\":1.5},\"tests\":[]}}")]
    [TestCase("{\"results\":{\"summary\":{\"tests\":1e999},\"tests\":[]}}")]
    [TestCase("{\"results\":{\"summary\":{},\"tests\":[1]}}")]
    [TestCase("{\"results\":{\"summary\":{},\"tests\":[{\"name\":\"a\",\"status\":\"passed\",\"duration\":1e300}]}}")]
    [TestCase("{\"results\":{\"summary\":{},\"tests\":[{\"name\":\"a\",\"status\":\"passed\",\"flaky\":\"yes\"}]}}")]
    [TestCase("{\"results\":{\"summary\":{},\"tests\":[]}} trailing")]
    [TestCase("{\"numTotalTests\":1,\"testResults\":[{\"assertionResults\":[{\"title\":\"a\"}]}]}")]
    [TestCase("{\"stats\":{},\"passes\":[{}],\"failures\":[]}")]
    public void JSON_of_a_wrong_shape_is_one_clear_fault(string text)
    {
        var report = Sample.Text(text);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault?.Kind, Is.EqualTo(ReportFaultKind.Malformed), report.Fault?.Text);
            Assert.That(TestVerdict.Of(0, [report]).Reason, Is.EqualTo("report-broken"));
        }
    }

    [Test]
    public void JSON_that_is_nested_without_end_is_one_clear_fault() =>
        Assert.That(Sample.Text("{\"results\":" + new string('[', 100_000)).Fault?.Kind, Is.EqualTo(ReportFaultKind.Malformed));

    [TestCase("robot-output.xml", "Robot Framework")]
    [TestCase("coverage.xml", "Cobertura")]
    [TestCase("unittest++.xml", "UnitTest++")]
    [TestCase("looks-like.trx", "\"Suite\"")]
    [TestCase("package.json", "is JSON")]
    public void What_is_not_read_is_refused_by_its_name_with_what_is(string name, string says)
    {
        var text = ReportReader.ReadFile(Path.Combine(Folder, name), ReportFormat.Auto, name).Fault!.Text;

        Assert.That(text, Does.Contain(says).And.Contain("TestNG, Boost.Test, CTest, Qt Test, CppUnit").And.Contain("CTRF"));
    }

    [Test]
    public void Only_reports_look_like_reports([ValueSource(nameof(Names))] string name)
    {
        var path = Path.Combine(Folder, name);
        var report = ReportReader.ReadFile(path);

        // What does is deleted as an earlier run's: a package.json must never be.
        if (name is "package.json" or "robot-output.xml" or "coverage.xml" or "unittest++.xml")
            Assert.That(ReportReader.LooksLikeReport(path), Is.False);
        else if (report.Fault is null) Assert.That(ReportReader.LooksLikeReport(path), Is.True);
    }

    [TestCase("jest.json", ReportFormat.Jest)]
    [TestCase("mocha.json", ReportFormat.Mocha)]
    [TestCase("ctrf.json", ReportFormat.Ctrf)]
    public void A_JSON_report_in_an_output_is_read_with_lines_around_it(string name, ReportFormat format)
    {
        var report = Sample.Lines($"> shop@1.0.0 test\n> run\n\n{File.ReadAllText(Path.Combine(Folder, name))}\nnpm notice\n",
            format);

        Assert.That((report.Fault, report.Cases.Count),
            Is.EqualTo(((ReportFault?)null, ReportReader.ReadFile(Path.Combine(Folder, name)).Cases.Count)));
    }

    [TestCase("gotestsum-rerun-fails.xml", "example.com/net.TestPing", 2)]
    [TestCase("gradle-retried-unmerged.xml", "shop.NetTest.connects()", 2)]
    [TestCase("go-rerun.json", "example.com/till.TestPing", 1)]
    public void A_test_that_failed_and_passed_later_is_one_flaky_test_where_the_run_was_green(string name, string flaky,
        int tests)
    {
        var report = ReportReader.ReadFile(Path.Combine(Folder, name)).WithLaterPasses();
        var test = report.Cases.Single(test => test.IsFlaky);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Cases, Has.Count.EqualTo(tests));
            Assert.That((test.Identity, test.Attempts), Is.EqualTo((flaky, 2)));
            Assert.That(test.Message, Is.Not.Null);
            Assert.That(TestVerdict.Of(0, [report]).Succeeded, Is.True);
            Assert.That(TestVerdict.Of(1, [report]).Reason, Is.EqualTo("disagreement"));
        }
    }

    private static IEnumerable<string> Known =>
        Names.Where(name =>
            !File.ReadAllText(Path.Combine(Folder, name + ".expected")).StartsWith("format: auto", StringComparison.Ordinal));

    private static IEnumerable<string> Names =>
        Directory.EnumerateFiles(Folder).Select(path => Path.GetFileName(path)!)
            .Where(name => !name.EndsWith(".expected", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    // What the expectation leaves out of a test is left out here too, so that each names what matters in it.
    private static string Describe(TestReport report, List<HashSet<string>> wanted)
    {
        var lines = new List<string> { "format: " + report.Format.Word() };
        if (report.Fault is { } fault) lines.Add("fault: " + fault.Kind);
        for (var at = 0; at < report.Cases.Count; at++)
        {
            var test = report.Cases[at];
            lines.Add($"{test.Outcome.ToString().ToLowerInvariant()}: {Escaped(test.Identity)}");
            var said = at < wanted.Count ? wanted[at] : [];
            Add(said, "ms", test.Duration?.TotalMilliseconds.ToString(CultureInfo.InvariantCulture));
            Add(said, "tries", test.IsFlaky ? $"{test.Attempts} flaky" : test.Attempts > 1
                ? test.Attempts.ToString(CultureInfo.InvariantCulture) : null);
            Add(said, "message", test.Message);
            Add(said, "skip", test.SkipReason);
            Add(said, "output", test.Output);
            Add(said, "errors", test.ErrorOutput);
        }
        return string.Join('\n', lines) + "\n";

        // Tries and durations are always said: nothing may be made up.
        void Add(HashSet<string> said, string key, string? value)
        {
            if (value is not null
                && (said.Contains(key) || key is "tries" or "ms" or "message" or "skip")) lines.Add($"  {key}: {Escaped(value)}");
        }
    }

    private static List<HashSet<string>> Expected(string name)
    {
        var tests = new List<HashSet<string>>();
        foreach (var line in File.ReadAllLines(Path.Combine(Folder, name + ".expected"))
            .Where(line => !line.StartsWith("format:", StringComparison.Ordinal)
                && !line.StartsWith("fault:", StringComparison.Ordinal)))
        {
            if (line.StartsWith("  ", StringComparison.Ordinal)) tests[^1].Add(line.Trim().Split(':')[0]);
            else tests.Add([]);
        }
        return tests;
    }

    private static string Escaped(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)
            .Replace("\t", "\\t", StringComparison.Ordinal);
}
