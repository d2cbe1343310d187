using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Messages;

namespace CiSteps.TestReports.Tests;

public sealed class Writers
{
    private static readonly TestCase[] Cases =
    [
        new(["outer", "inner"], "Shop.Calc", "Adds(1, \"a\")", TestOutcome.Passed)
        {
            Duration = TimeSpan.FromMilliseconds(1500),
            Output = "##teamcity[buildStop]\nplain \u001b[31m <&> \ud83d\ude00 \ud800"
        },
        new(["outer"], "Shop.Calc", "Divides", TestOutcome.Failed) { Message = "3 is not 4", Details = "at Shop|Calc" },
        new([], null, "SetUp", TestOutcome.Error) { Message = "no database" },
        new([], null, "Later", TestOutcome.Skipped) { SkipReason = "not yet" },
        new([], null, "Flickers", TestOutcome.Passed) { IsFlaky = true, Attempts = 2, Message = "timed out" },
        new([], null, "Tolerated", TestOutcome.Failed)
        {
            Tolerated = "in quarantine until 2027-01-01 (owner a)",
            Message = "old bug"
        },
    ];

    private static FinishedRun Run(params TestCase[] cases)
    {
        var report = new TestReport("api", ReportFormat.JUnit, cases);
        return new FinishedRun("api", "unit", report, TestVerdict.Of(1, [report]), TimeSpan.FromSeconds(2));
    }

    [Test]
    public void Junit_is_read_back_as_it_was_written()
    {
        using var stream = new MemoryStream();
        JUnitWriter.Write(stream, [Run(Cases)]);
        stream.Position = 0;

        var report = ReportReader.Read(stream, ReportFormat.JUnit, "junit.xml");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That((report.Passed, report.Failed, report.Skipped, report.Flaky), Is.EqualTo((2, 2, 2, 1)));
            Assert.That(report.Case("Adds(1, \"a\")").Duration, Is.EqualTo(TimeSpan.FromSeconds(1.5)));
            Assert.That(
                report.Case("Adds(1, \"a\")").Output,
                Is.EqualTo("##teamcity[buildStop]\nplain \ufffd[31m <&> \ud83d\ude00 \ufffd"));
            Assert.That(report.Case("Divides").Message, Is.EqualTo("3 is not 4"));
            Assert.That(report.Case("Later").SkipReason, Is.EqualTo("not yet"));
            Assert.That(report.Case("Tolerated").SkipReason, Does.Contain("in quarantine").And.Contain("old bug"));
            Assert.That(report.Case("Flickers").IsFlaky, Is.True);
        }
    }

    [Test]
    public void A_run_that_failed_without_a_failed_test_is_an_error_in_the_junit_file()
    {
        var report = new TestReport("api", ReportFormat.Tap, []);
        using var stream = new MemoryStream();
        JUnitWriter.Write(stream, [new FinishedRun("api", "", report, TestVerdict.Of(0, [report]), TimeSpan.Zero)]);
        stream.Position = 0;

        Assert.That(
            ReportReader.Read(stream, ReportFormat.JUnit, "junit.xml").Case("(no-tests)").Outcome, Is.EqualTo(TestOutcome.Error));
    }

    [Test]
    public void Json_has_totals_runs_and_tests()
    {
        using var stream = new MemoryStream();
        ResultsJson.Write(stream, [Run(Cases)]);

        var json = (JsonObject)JsonNode.Parse(Encoding.UTF8.GetString(stream.ToArray()))!;
        var run = json["runs"]![0]!;

        using (Assert.EnterMultipleScope())
        {
            Assert.That((bool)json["succeeded"]!, Is.False);
            Assert.That(
                ((int)json["totals"]!["passed"]!, (int)json["totals"]!["failed"]!, (int)json["totals"]!["tolerated"]!),
                Is.EqualTo((2, 2, 1)));
            Assert.That((string?)run["reason"], Is.EqualTo("tests-failed"));
            Assert.That((string?)run["tests"]![0]!["suites"]![1], Is.EqualTo("inner"));
            Assert.That((double)run["tests"]![0]!["durationMs"]!, Is.EqualTo(1500));
            Assert.That((bool)run["tests"]![4]!["flaky"]!, Is.True);
        }
    }

    [Test]
    public void Messages_nest_suites_pair_starts_with_ends_and_never_repeat_a_name()
    {
        var messages = TestMessages.Of(Run([.. Cases, Cases[1]])).ToList();
        var open = new Stack<string>();
        var running = "";
        var seen = new HashSet<string>();
        foreach (var message in messages)
        {
            Assert.That(message["flowId"], Is.EqualTo("tests-api-unit"));
            Assert.That(ServiceMessage.TryParse(message.ToString(), out _), Is.True);
            switch (message.Name)
            {
                case "testSuiteStarted":
                    open.Push(message["name"]!);
                    break;
                case "testSuiteFinished":
                    Assert.That(open.Pop(), Is.EqualTo(message["name"]));
                    break;
                case "testStarted":
                    Assert.That(running, Is.Empty);
                    running = message["name"]!;
                    if (running != "Flickers")
                        Assert.That(seen.Add(string.Join('/', open.Reverse()) + running), Is.True, running);
                    break;
                case "testFinished":
                    Assert.That(message["name"], Is.EqualTo(running));
                    Assert.That(message["duration"], Does.Match("^[0-9]+$"));
                    running = "";
                    break;
                case "testFailed" or "testStdOut":
                    Assert.That(message["name"], Is.EqualTo(running));
                    break;
            }
        }
        using (Assert.EnterMultipleScope())
        {
            Assert.That(open, Is.Empty);
            Assert.That(messages.Count(message => message.Name == "testFailed"), Is.EqualTo(4));
            Assert.That(
                messages.Single(message => message.Name == "testIgnored" && message["name"] == "Tolerated")["message"],
                Does.Contain("in quarantine").And.Contain("old bug"));
            Assert.That(messages.Single(message => message.Name == "testMetadata")["value"], Is.EqualTo("passed on try 2"));
        }
    }

    [Test]
    public void A_second_test_of_a_name_never_gets_the_name_of_a_third()
    {
        TestCase Named(string name) => new([], null, name, TestOutcome.Passed);

        var names = TestMessages.Of(Run(Named("a"), Named("a (2)"), Named("a"), Named("a")))
            .Where(message => message.Name == "testStarted")
            .Select(message => message["name"]);

        Assert.That(names, Is.EqualTo(new[] { "a", "a (2)", "a (3)", "a (4)" }));
    }

    [Test]
    public void A_tests_output_cannot_forge_a_message()
    {
        using var output = new StringWriter();
        TestMessages.Send(new BuildLog(output, forServer: true), Run(Cases[0]));

        Assert.That(
            output.ToString().Split('\n').Where(line => line.StartsWith("##teamcity[buildStop", StringComparison.Ordinal)),
            Is.Empty);
    }

    [Test]
    public void A_person_sees_totals_and_what_failed()
    {
        using var output = new StringWriter();
        TestMessages.Send(new BuildLog(output, forServer: false), Run(Cases));

        Assert.That(
            output.ToString(),
            Does.Contain("api unit: 2 passed, 2 failed, 1 flaky, 1 failed in quarantine, 1 skipped in 2s")
                .And.Contain("failed: outer > Shop.Calc.Divides").And.Contain("3 is not 4")
                .And.Contain("flaky: Flickers passed on try 2").And.Not.Contain("##teamcity"));
    }
}
