namespace CiSteps.TestReports.Tests;

public sealed class Tap
{
    [Test]
    public void Takes_results_directives_and_times_from_points()
    {
        var report = Sample.Text("""
            TAP version 14
            1..6
            ok 1 - adds # time=12.5ms
            not ok 2 - divides \# by zero
            ok 3 - cube # SKIP no hardware
            not ok 4 - later # TODO not written
            ok 5
            ok - no number
            """);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases.Select(test => (test.Name, test.Outcome)), Is.EqualTo(new[]
            {
                ("adds", TestOutcome.Passed), ("divides # by zero", TestOutcome.Failed), ("cube", TestOutcome.Skipped),
                ("later", TestOutcome.Skipped), ("test 5", TestOutcome.Passed), ("no number", TestOutcome.Passed),
            }));
            Assert.That(report.Cases[0].Duration, Is.EqualTo(TimeSpan.FromMilliseconds(12.5)));
            Assert.That(report.Cases[2].SkipReason, Is.EqualTo("no hardware"));
            Assert.That(report.Cases[3].SkipReason, Is.EqualTo("todo: not written"));
        }
    }

    [Test]
    public void Old_comments_below_a_failed_point_are_its_details()
    {
        var report = Sample.Text("1..2\nnot ok 1 - sum\n#   Failed test 'sum'\n#          got: '3'\nok 2 - next\n# all done\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Cases[0].Message, Is.EqualTo("Failed test 'sum'"));
            Assert.That(report.Cases[0].Details, Does.Contain("got: '3'"));
            Assert.That(report.Cases[1].Details, Is.Null);
        }
    }

    [Test]
    public void A_yaml_block_gives_message_and_duration()
    {
        var report = Sample.Text(
            "1..1\nnot ok 1 - sum\n  ---\n  message: \"3 is not 4\"\n  duration_ms: 7\n  at:\n    file: sum.t\n  got: " +
            "|\n    a: b\n    ...ok 2\n  ...\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases, Has.Count.EqualTo(1));
            Assert.That(report.Cases[0].Message, Is.EqualTo("3 is not 4"));
            Assert.That(report.Cases[0].Duration, Is.EqualTo(TimeSpan.FromMilliseconds(7)));
            Assert.That(report.Cases[0].Details, Does.Contain("file: sum.t"));
        }
    }

    // As scripts/sample writes it: the demo's second push shows why its test failed.
    [Test]
    public void The_samples_failing_test_says_what_was_expected_and_what_was_found()
    {
        var report = Sample.Lines(
            "1..1\nnot ok 1 - greets\n  ---\n  expected: \"Hello, Ada\"\n  found: \"Hello, Bob: \\\"hi\\\"\"\n  ...\n");

        Assert.That(
            TestVerdict.Of(1, [report]).Text,
            Is.EqualTo("1 of 1 tests failed, first \"greets\": expected Hello, Ada, found Hello, Bob: \"hi\""));
    }

    [TestCase("1..3\nok 1\nok 2\n", ReportFaultKind.PlanMismatch, "planned 3 tests and ran 2")]
    [TestCase("1..1\nok 1\nok 2\n", ReportFaultKind.PlanMismatch, "planned 1 tests and ran 2")]
    [TestCase("1..1\nok 7\n", ReportFaultKind.PlanMismatch, "up to number 1 and ran number 7")]
    [TestCase("TAP version 13\nok 1\nok 2\n", ReportFaultKind.Truncated, "without a plan after 2 tests")]
    [TestCase("1..2\nok 1\nok 1\n", ReportFaultKind.PlanMismatch, "number 1 twice")]
    [TestCase("1..2\nok 1\nBail out! no database\n", ReportFaultKind.Aborted, "gave up: no database")]
    [TestCase("TAP version 13\n", ReportFaultKind.Truncated, "neither a plan nor a test point")]
    [TestCase("# Subtest: a\n    ok 1 - inner\n    1..1\n", ReportFaultKind.Truncated, "inside of a subtest")]
    [TestCase(
        "# Subtest: a\n    ok 1 - inner\n    1..2\nok 1 - a\n1..1\n", ReportFaultKind.PlanMismatch, "planned 2 tests and ran 1")]
    public void What_is_not_whole_says_how(string text, ReportFaultKind kind, string message)
    {
        var report = Sample.Text(text);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault?.Kind, Is.EqualTo(kind));
            Assert.That(report.Fault?.Text, Does.Contain(message));
        }
    }

    [Test]
    public void Several_documents_in_one_output_are_one_report()
    {
        var leading = Sample.Lines("1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n");
        var trailing = Sample.Lines("ok 1 - a\n1..1\nTAP version 13\nok 1 - b\nok 2 - c\n1..2\n");
        var second = Sample.Lines("1..1\nok 1 - a\n1..2\nok 1 - b\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(leading.Fault, Is.Null);
            Assert.That(leading.Cases.Select(test => test.Name), Is.EqualTo(new[] { "a", "b", "c" }));
            Assert.That(trailing.Fault, Is.Null);
            Assert.That(trailing.Cases.Select(test => test.Name), Is.EqualTo(new[] { "a", "b", "c" }));
            Assert.That(second.Fault?.Kind, Is.EqualTo(ReportFaultKind.PlanMismatch));
        }
    }

    [Test]
    public void A_plan_that_skips_all_is_no_green_run()
    {
        var report = Sample.Text("1..0 # SKIP no hardware\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases.Single().SkipReason, Is.EqualTo("no hardware"));
            Assert.That(TestVerdict.Of(0, [report]).Reason, Is.EqualTo("no-tests"));
        }
    }

    [Test]
    public void A_sum_that_fails_without_a_failed_subtest_is_an_error_of_its_own()
    {
        var report = Sample.Text(
            "# Subtest: a\n    ok 1 - inner\n    1..1\nnot ok 1 - a\n  ---\n  error: 'after hook'\n  ...\n1..1\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                report.Cases.Select(test => (test.Identity, test.Outcome)),
                Is.EqualTo(new[] { ("a > inner", TestOutcome.Passed), ("a", TestOutcome.Error) }));
            Assert.That(report.Cases[1].Message, Is.EqualTo("after hook"));
        }
    }

    [Test]
    public void Other_output_between_the_lines_does_no_harm()
    {
        var report = Sample.Lines("compiling…\nall is okay\n  ok so far\n1..1\nnot ok, said the program\nok 1 - a\nokay\n");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Cases.Select(test => test.Name), Is.EqualTo(new[] { "a" }));
        }
    }

    [Test]
    public void Every_cut_of_a_real_report_is_noticed_or_harmless()
    {
        var whole = File.ReadAllText(Sample.PathOf("node.tap"));
        var plan = whole.IndexOf("\n1..2\n", StringComparison.Ordinal) + "\n1..2".Length;

        for (var length = 1; length < plan; length += 13)
            Assert.That(Sample.Lines(whole[..length], ReportFormat.Tap).Fault, Is.Not.Null, $"cut after {length} characters");
    }
}
