using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

/// <summary>Every way in which a run can look green without being it has its own reason.</summary>
public sealed class GreenMeansGreen
{
    private const string Passing = """<testsuite name="s" tests="1"><testcase name="adds"/></testsuite>""";
    private const string Failing =
        """<testsuite name="s" tests="2" failures="1"><testcase name="adds"/>""" +
        """<testcase name="divides"><failure message="3 is not 4"/></testcase></testsuite>""";

    [TestCase("printf '1..1\\nok 1 - a\\n'", "", "passed")]
    [TestCase("printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; exit 1", "", "tests-failed")]
    [TestCase("printf '1..0\\n'", "", "no-tests")]
    [TestCase("printf '1..1\\nok 1 - a # SKIP no data\\n'", "", "no-tests")]
    [TestCase("printf '1..2\\nok 1 - a\\n'; exit 1", "", "plan-mismatch")]
    [TestCase("printf 'TAP version 13\\nok 1 - a\\n'; exit 1", "", "report-truncated")]
    [TestCase("echo no database; exit 1", "", "runner-crashed")]
    [TestCase("printf '1..2\\nok 1 - a\\nBail out! no database\\n'", "", "runner-crashed")]
    [TestCase("printf '1..1\\nok 1 - a\\n'; exit 3", "", "disagreement")]
    [TestCase("printf '1..1\\nnot ok 1 - a\\n'; exit 0", "", "disagreement")]
    [TestCase("echo hello", "", "no-report")]
    [TestCase("echo hello; exit 2", "tap", "runner-crashed")]
    [TestCase("echo hello; exit 2", "go-json", "runner-crashed")]
    [TestCase("cp pass.src r.xml", "r.xml", "passed")]
    [TestCase("cp fail.src r.xml; exit 1", "r.xml", "tests-failed")]
    [TestCase("head -c 70 fail.src > r.xml; exit 1", "r.xml", "report-truncated")]
    [TestCase("head -c 70 fail.src > r.xml; kill -9 $$", "r.xml", "runner-crashed")]
    [TestCase("cp pass.src r.xml; kill -9 $$", "r.xml", "runner-crashed")]
    [TestCase("cp fail.src r.xml; kill -15 $$", "r.xml", "runner-crashed")]
    [TestCase("cp fail.src r.xml; exit 200", "r.xml", "tests-failed")]
    [TestCase("cp pass.src r.xml; exit 200", "r.xml", "disagreement")]
    [TestCase("echo '<testsuite><a></testsuite>' > r.xml", "r.xml", "report-broken")]
    [TestCase("true", "r.xml", "no-report")]
    [TestCase("cp -p pass.src r.xml; touch -d '2020-01-01' r.xml", "r.xml", "stale-report")]
    [TestCase("echo '<testsuites/>' > r.xml", "r.xml", "no-tests")]
    [TestCase("cp pass.src r.xml; exit 2", "r.xml", "disagreement")]
    public async Task Each_ending_has_its_reason(string script, string report, string reason)
    {
        using var project = new Project(
            "run: [sh, api/test.sh]\nformat: " +
            $"{(report is "tap" or "go-json" ? report : "auto")}{(report.Contains('.', StringComparison.Ordinal)
                ? $"\nreports: [{report}]"
                : "")}");
        project.Clone.Write("pass.src", Passing);
        project.Clone.Write("fail.src", Failing);
        project.Change("api/test.sh", script + "\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(reason == "passed" ? ExitCode.Done : ExitCode.Refused), project.Output);
            Assert.That(project.Reason, Is.EqualTo(reason == "passed" ? "done" : reason), project.Text);
        }
    }

    [Test]
    public async Task A_crash_shows_the_last_words()
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: tap").Change("api/test.sh",
            "echo one; echo two; echo; echo no database >&2; exit 1\n");

        await project.RunAsync();

        Assert.That(
            project.Text, Does.Contain("exit code 1 and left no test report; its last output: ").And.Contain("no database"));
    }

    [Test]
    public async Task The_refusal_names_component_counts_first_test_message_and_owner()
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: junit\nreports: [r.xml]");
        project.Clone.Write("fail.src", Failing);
        project.Change("api/test.sh", "cp fail.src r.xml; exit 1\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(
                project.Text,
                Is.EqualTo("api: 1 of 2 tests failed, first \"divides\": 3 is not 4 (owner: team-a); see the build's tests"));
            Assert.That(
                (string?)project.Statement["predicateType"],
                Is.EqualTo("https://in-toto.io/attestation/test-result/v0.1"));
            Assert.That((string?)project.Statement["predicate"]!["result"], Is.EqualTo("FAILED"));
            Assert.That((string?)project.Statement["predicate"]!["failedTests"]![0], Is.EqualTo("api: s > divides"));
            Assert.That(
                (string?)project.Statement["predicate"]!["configuration"]![0]!["digest"]!["gitBlob"],
                Is.EqualTo(project.Clone.Git("rev-parse", "HEAD:ci-steps.yaml")));
        }
    }

    [Test]
    public async Task A_report_of_an_earlier_run_is_removed_before_the_start()
    {
        using var project = new Project("run: ['true']\nformat: junit\nreports: ['*.xml']").Change();
        project.Clone.Write("old.xml", Passing);
        project.Clone.Write("pom.xml", "<project/>");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(File.Exists(Path.Combine(project.Clone.Folder, "old.xml")), Is.False);
            Assert.That(
                File.Exists(Path.Combine(project.Clone.Folder, "pom.xml")), Is.True, "what is not a report is never deleted");
        }
    }

    [Test]
    public async Task Two_components_never_take_each_others_report()
    {
        using var project = new Project("run: [sh, -c, 'cp pass.src api/r.xml']\nformat: junit\nreports: ['**/r.xml']",
            "run: [sh, -c, 'cp pass.src web/r.xml']\nformat: junit\nreports: [web/r.xml]");
        project.Clone.Write("pass.src", Passing);
        project.Change();

        var together = await project.RunAsync("--all", "--parallel", "1");
        var text = project.Text;
        var alone = await project.RunAsync("--component", "api");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(together, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(text, Does.Contain("the report globs of \"web\" and \"api\" both name \"web/r.xml\""));
            Assert.That(alone, Is.EqualTo(ExitCode.Done), project.Text);
        }
    }

    [Test]
    public async Task A_report_under_version_control_is_neither_deleted_nor_believed()
    {
        using var project = new Project("run: ['true']\nformat: junit\nreports: [kept.xml]");
        project.Clone.Write("kept.xml", Passing);
        project.Change();
        File.SetLastWriteTimeUtc(
            Path.Combine(project.Clone.Folder, "kept.xml"), new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(project.Reason, Is.EqualTo("stale-report"));
            Assert.That(File.Exists(Path.Combine(project.Clone.Folder, "kept.xml")), Is.True);
        }
    }

    [Test]
    public async Task One_failing_component_does_not_hide_the_result_of_the_other()
    {
        using var project = new Project("run: [no-such-program-here]\nformat: tap",
            "run: [sh, -c, \"printf '1..1\\\\nnot ok 1 - a\\\\n'; exit 1\"]\nformat: tap").Change();

        var both = await project.RunAsync("--all");
        var text = project.Text;
        var onlyBroken = await project.RunAsync("--component", "api");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(both, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(text, Does.Contain("web: 1 of 1 tests failed").And.Contain("cannot start \"no-such-program-here\""));
            Assert.That(onlyBroken, Is.EqualTo(ExitCode.Usage));
        }
    }

    [Test]
    public async Task Results_are_left_normalised_beside_the_evidence()
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: junit\nreports: [r.xml]");
        project.Clone.Write("fail.src", Failing);
        project.Change("api/test.sh", "cp fail.src r.xml; exit 1\n");

        await project.RunAsync("--all");

        var junit = TestReports.ReportReader.ReadFile(Path.Combine(
            project.Clone.Folder, ".ci-steps/evidence/unit-test/junit.xml"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That((int)project.Results["totals"]!["failed"]!, Is.EqualTo(1));
            Assert.That((int)project.Results["totals"]!["passed"]!, Is.EqualTo(3));
            Assert.That((junit.Fault, junit.Passed, junit.Failed), Is.EqualTo(((TestReports.ReportFault?)null, 3, 1)));
        }
    }
}
