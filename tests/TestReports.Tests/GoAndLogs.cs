namespace CiSteps.TestReports.Tests;

public sealed class GoTestOutput
{
    [Test]
    public void Subtests_are_the_tests_and_their_parent_is_not_counted_again()
    {
        var report = Sample.File("go.json");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Cases.Select(test => test.Name), Has.None.EqualTo("TestRoots"));
            Assert.That(report.Case("TestRoots/wrong").Message, Is.EqualTo("calc_test.go:15: got 3, want 4"));
            Assert.That(report.Case("TestRoots/wrong").FullName, Is.EqualTo("example.com/shop/calc.TestRoots/wrong"));
            Assert.That(report.Case("TestRoots/skipped").SkipReason, Is.EqualTo("calc_test.go:14: no hardware"));
            Assert.That(report.Case("TestAdd").Output, Does.Contain("adding"));
        }
    }

    [Test]
    public void A_panic_is_the_message_and_a_package_that_does_not_build_is_an_error()
    {
        var report = Sample.File("go.json");
        var build = report.Case("(package)");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Case("TestPanics").Message, Does.StartWith("panic: no ledger"));
            Assert.That(build.ClassName, Is.EqualTo("example.com/shop/broken"));
            Assert.That(build.Message, Is.EqualTo("does not build"));
        }
    }

    [Test]
    public void Builds_that_fail_as_events_carry_the_compilers_words()
    {
        var report = Sample.Text("""
            {"ImportPath":"x/broken","Action":"build-output","Output":"# x/broken\n"}
            {"ImportPath":"x/broken","Action":"build-output","Output":"b.go:5:28: undefined: y\n"}
            {"ImportPath":"x/broken","Action":"build-fail"}
            {"Time":"2026-01-01T00:00:00Z","Action":"start","Package":"x/broken"}
            {"Time":"2026-01-01T00:00:00Z","Action":"output","Package":"x/broken","Output":"FAIL\tx/broken [build failed]\n"}
            {"Time":"2026-01-01T00:00:00Z","Action":"fail","Package":"x/broken","Elapsed":0,"FailedBuild":"x/broken"}
            """);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases.Single().Message, Is.EqualTo("does not build: b.go:5:28: undefined: y"));
        }
    }

    [TestCase("{\"Action\":\"output\",\"Package\":\"p\",\"Output\":\"--- PASS: TestA\\n\"}", "--- PASS: TestA")]
    [TestCase("{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"TestA\"}", null)]
    [TestCase("{\"Action\": broken", "{\"Action\": broken")]
    [TestCase("{\"level\":\"info\"}", "{\"level\":\"info\"}")]
    [TestCase("plain", "plain")]
    public void Events_are_shown_as_what_they_print(string line, string? shown) =>
        Assert.That(OutputReport.Readable(line), Is.EqualTo(shown));

    [Test]
    public void A_stream_that_stops_names_what_ran()
    {
        var lines = File.ReadAllLines(Sample.PathOf("go.json"));
        var cut = Array.FindIndex(lines, line => line.Contains("TestRoots/of_nine", StringComparison.Ordinal)) + 1;
        var report = Sample.Lines(string.Join('\n', lines.Take(cut)));
        var live = new OutputReport(ReportFormat.GoJson, "go");
        foreach (var line in lines.Take(cut)) live.Add(line);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
            Assert.That(report.Fault?.Text, Does.Contain("while TestRoots/of_four, TestRoots/of_nine ran"));
            Assert.That(live.RunningTest, Does.Contain("example.com/shop/calc.TestRoots/of_nine"));
        }
    }

    [Test]
    public void A_test_whose_process_ended_under_it_is_an_error()
    {
        var report = Sample.Text("""
            {"Action":"run","Package":"p","Test":"TestExit"}
            {"Action":"output","Package":"p","Output":"exit status 3\n"}
            {"Action":"fail","Package":"p","Elapsed":0.1}
            """);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(
                (report.Case("TestExit").Outcome, report.Case("TestExit").Message),
                Is.EqualTo((TestOutcome.Error, "did not end: its process ended first")));
        }
    }
}

public sealed class ReportsInLogs
{
    private const string Junit = "<testsuite name=\"s\">\n<testcase name=\"a\"/>\n</testsuite>";

    [Test]
    public void Between_markers_any_format_is_found(
        [Values(Junit, "<?xml version=\"1.0\"?>\n" + Junit, "1..1\nok 1 - a")] string inner)
    {
        var report = Sample.Lines(
            $"starting\nok 1 stray\n{OutputReport.Begin}\n{inner}\n{OutputReport.End}\nbye\n", ReportFormat.JUnit);
        if (!inner.Contains('<')) report = Sample.Lines($"starting\n{OutputReport.Begin}\n{inner}\n{OutputReport.End}\nbye\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases.Select(test => test.Name), Is.EqualTo(new[] { "a" }));
        }
    }

    [TestCase("log line\n<?xml version=\"1.0\"?>\n<testsuites>\n" + Junit + "\n</testsuites>\nmore\n", 1)]
    [TestCase("log line\n" + Junit + "\nmore\n" + Junit + "\n", 2)]
    [TestCase("<testsuites tests=\"0\"/>\nbye\n", 0)]
    public void Xml_that_stands_in_the_log_as_it_is_is_found(string log, int cases)
    {
        var report = Sample.Lines(log);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases, Has.Count.EqualTo(cases));
        }
    }

    [Test]
    public void A_log_that_ends_before_the_end_marker_is_truncated()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Sample.Lines($"{OutputReport.Begin}\n{Junit}\n").Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
            Assert.That(Sample.Lines($"{OutputReport.Begin}\n<testsuite>\n").Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
            Assert.That(Sample.Lines("<testsuite>\n<testcase name=\"a\"/>\n").Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
            Assert.That(Sample.Lines("nothing here\n").Fault?.Kind, Is.EqualTo(ReportFaultKind.NotAReport));
        }
    }

    [TestCase("=== RUN   TestHangs", "TestHangs")]
    [TestCase("[ RUN      ] Calc.Hangs", "Calc.Hangs")]
    [TestCase("[INFO] Running shop.CalcTest", "shop.CalcTest")]
    [TestCase("# Subtest: adds up", "adds up")]
    [TestCase("##teamcity[testStarted name='Shop.Calc.Hangs' captureStandardOutput='true']", "Shop.Calc.Hangs")]
    [TestCase("=> Shop.Calc.Hangs", "Shop.Calc.Hangs")]
    public void The_running_test_is_known_from_what_runners_print(string line, string test)
    {
        var output = new OutputReport(ReportFormat.Auto, "x");
        output.Add("starting");
        Assert.That(output.RunningTest, Is.Null);

        output.Add(line);

        Assert.That(output.RunningTest, Is.EqualTo(test));
    }

    [Test]
    public void A_test_that_ended_is_no_longer_running()
    {
        var output = new OutputReport(ReportFormat.Auto, "x");
        foreach (var line in new[] { "[ RUN      ] Calc.Adds", "[       OK ] Calc.Adds (0 ms)" }) output.Add(line);

        Assert.That(output.RunningTest, Is.Null);
    }
}
