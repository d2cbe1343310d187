using CiSteps.Hosting;
using CiSteps.Pipeline;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.UnitTest.Tests;

public sealed class LimitsAndRetries
{
    [Test]
    public async Task Silence_ends_the_run_and_names_the_running_test()
    {
        using var project = new Project(
            "run: [sh, -c, 'echo \"=== RUN   TestHangs\"; sleep 600']\nformat: auto\nsilence-limit: 1s").Change();

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Reason, Is.EqualTo("silent"));
            Assert.That(project.Text, Does.Contain("after 1s without output").And.Contain("\"TestHangs\" was running"));
            Assert.That((string?)project.Results["runs"]![0]!["tests"]![0]!["outcome"], Is.EqualTo("error"));
        }
    }

    [Test]
    public async Task The_time_limit_ends_a_run_that_keeps_talking()
    {
        using var project = new Project(
            "run: [sh, -c, 'while echo \"# Subtest: slow one\"; do sleep 0.1; done']\nformat: tap\ntime-limit: 1s").Change();

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Reason, Is.EqualTo("time-limit"));
            Assert.That(project.Text, Does.Contain("\"slow one\" was running"));
        }
    }

    [Test]
    public async Task A_test_that_passes_on_the_second_try_is_flaky_and_shown_as_such()
    {
        using var project = new Project(
            "run: [sh, api/test.sh]\nformat: tap\nretry:\n  filter: ['--only={tests}']\n  attempts: 3");
        project.Change("api/test.sh", """
            echo "$@" >> tries.log
            if [ "$(grep -c . tries.log)" -gt 0 ] && [ $# -eq 0 ]; then printf '1..2\nok 1 - a\nok 2 - b\n'; exit 0; fi
            if [ "$1" = "--only=b" ]; then printf '1..1\nok 1 - b\n'; exit 0; fi
            printf '1..2\nok 1 - a\nnot ok 2 - b\n  ---\n  message: timed out\n  ...\n'; exit 1

            """);

        project.Environment["TEAMCITY_VERSION"] = "2025.11";
        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Text, Is.EqualTo("2 passed, 1 flaky in api"));
            Assert.That((int)project.Component("api")["flaky"]!, Is.EqualTo(1));
            Assert.That(
                File.ReadAllLines(Path.Combine(project.Clone.Folder, "tries.log")), Is.EqualTo(new[] { "", "--only=b", "" }));
            Assert.That(
                project.Output,
                Does.Contain("##teamcity[testRetrySupport enabled='true'").And
                    .Contain("passed on try 2").And
                    .Contain("message='timed out'"));
            Assert.That((string?)project.Statement["predicate"]!["result"], Is.EqualTo("WARNED"));
        }
    }

    [TestCase("exit 7", "none of 1 tests failed")]
    [TestCase("kill -9 $$", "SIGKILL")]
    [TestCase("kill -TERM $$", "SIGTERM")]
    [TestCase("kill -SEGV $$", "SIGSEGV")]
    [TestCase("printf '1..2\\n'; exit 0", "planned")]
    public async Task A_try_that_could_not_be_believed_as_a_first_run_proves_nothing(string ending, string says)
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: tap\nretry:\n  filter: ['--only={tests}']");
        project.Change("api/test.sh",
            $"if [ $# -gt 0 ]; then printf '1..1\\nok 1 - b\\n'; {ending}; fi\nprintf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; " +
            "exit 1\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Reason, Is.EqualTo("tests-failed"));
            Assert.That(project.Output, Does.Contain("try 2 proves nothing").And.Contain(says));
        }
    }

    // The first needs no second try to be green by its report; the second would be green after one.
    [TestCase("quarantine:\n  - test: b\n    owner: team-a\n    until: 2999-01-01")]
    [TestCase("retry:\n  filter: ['--only={tests}']")]
    public async Task A_failure_that_would_not_count_does_not_explain_a_killed_first_run(string more)
    {
        using var project = new Project($"run: [sh, api/test.sh]\nformat: tap\n{more}");
        project.Change("api/test.sh",
            "if [ $# -gt 0 ]; then printf '1..1\\nok 1 - b\\n'; exit 0; fi\nprintf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; " +
            "kill -9 $$\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Reason, Is.EqualTo("runner-crashed"));
            Assert.That(project.Text, Does.Contain("SIGKILL"));
        }
    }

    [Test]
    public async Task Dots_without_an_end_of_line_are_no_silence()
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: junit\nreports: [r.xml]\nsilence-limit: 3s");
        project.Change("api/test.sh",
            "for dot in 1 2 3 4 5 6 7 8 9 10; do printf .; sleep 0.5; done; echo '<testsuite><testcase " +
            "name=\"a\"/></testsuite>' > r.xml\n");

        var exit = await project.RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
    }

    [Test]
    public async Task Where_no_runner_says_what_it_runs_the_last_test_that_ended_is_named()
    {
        using var project = new Project(
            "run: [sh, -c, 'echo \"  ✔ adds (1.5ms)\"; sleep 600']\nformat: auto\nsilence-limit: 1s").Change();

        await project.RunAsync();

        Assert.That(project.Text, Does.Contain("without output; the last test that ended was \"adds\""));
    }

    [Test]
    public async Task A_test_that_keeps_failing_fails_after_the_budget()
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: tap\nretry:\n  filter: ['{tests}']\n  attempts: 3");
        project.Change("api/test.sh", "echo x >> tries.log\nprintf '1..1\\nnot ok 1 - b\\n'; exit 1\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(File.ReadAllLines(Path.Combine(project.Clone.Folder, "tries.log")), Has.Length.EqualTo(3));
            Assert.That(project.Text, Does.Contain("1 of 1 tests failed"));
        }
    }

    [Test]
    public async Task More_failures_than_the_budget_are_not_run_again()
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: tap\nretry:\n  filter: ['{tests}']\n  most-tests: 1");
        project.Change("api/test.sh", "echo x >> tries.log\nprintf '1..2\\nnot ok 1 - a\\nnot ok 2 - b\\n'; exit 1\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(File.ReadAllLines(Path.Combine(project.Clone.Folder, "tries.log")), Has.Length.EqualTo(1));
            Assert.That(project.Output, Does.Contain("2 tests failed, more than the 1 that are run again"));
        }
    }

    [TestCase("2026-11-22", ExitCode.Refused, "ended on 2026-11-22 (owner team-a)")]
    [TestCase("2026-11-23", ExitCode.Done, "in quarantine until 2026-11-23 (owner team-a)")]
    public async Task A_quarantined_failure_is_tolerated_until_its_day(string until, int expected, string says)
    {
        using var project =
            new Project(
                "run: [printf, \"1..2\\\\nok 1 - a\\\\nnot ok 2 - b\\\\n\"]\nformat: tap\nquarantine:\n  - test: " +
                $"b\n    owner: team-a\n    until: {until}").Change();
        project.Time = new FakeTimeProvider(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(expected), project.Output);
            Assert.That(project.Output, Does.Contain(says));
        }
    }

    [Test]
    public async Task A_change_cannot_quarantine_its_own_failure()
    {
        const string tests = "run: [sh, -c, \"printf '1..2\\\\nok 1 - a\\\\nnot ok 2 - b\\\\n'; exit 1\"]\nformat: tap";
        using var project = new Project(tests);
        project.Change(
            "ci-steps.yaml", Project.Yaml(tests + "\nquarantine:\n  - test: b\n    owner: team-a\n    until: 2999-01-01"));

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Output, Does.Contain("the quarantine of \"b\" is new in this change"));
        }
    }

    [Test]
    public async Task Stopping_the_step_still_tells_what_was_tested_by_then()
    {
        using var stop = new CancellationTokenSource();
        using var project = new Project("run: [sh, -c, 'sleep 600']\nformat: tap");
        project.Environment["TEAMCITY_VERSION"] = "2025.11";
        var commands = new Commands(stop);

        var exit = await project.RunAsync(commands, null, stop.Token, "--all", "--parallel", "1");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), project.Output);
            Assert.That((string?)project.Results["runs"]![0]!["subject"], Is.EqualTo("api"));
            Assert.That(project.Output, Does.Contain("##teamcity[publishArtifacts").And.Contain("results.json"));
        }
    }

    // The first component's tests pass, then the step is stopped.
    private sealed class Commands(CancellationTokenSource stop) : ITestCommands
    {
        private int begun;

        public async Task<int> RunAsync(
            CommandDefinition command,
            IReadOnlyDictionary<string, string> environment,
            Action<string, bool> onLine,
            Action onOutput,
            CancellationToken cancel)
        {
            if (Interlocked.Increment(ref begun) > 1)
            {
                await stop.CancelAsync();
                cancel.ThrowIfCancellationRequested();
            }
            foreach (var line in Project.Tap.Split('\n')) onLine(line, false);
            return 0;
        }
    }

    [Test]
    public async Task Stopping_the_step_ends_the_children_and_the_code_is_130()
    {
        using var stop = new CancellationTokenSource();
        using var project = new Project("run: [sh, -c, 'echo $$ > pid.log; sleep 600 & wait']\nformat: tap").Change();
        var pid = Path.Combine(project.Clone.Folder, "pid.log");

        var running = project.RunAsync(null, null, stop.Token);
        var watch = System.Diagnostics.Stopwatch.StartNew();
        while (!File.Exists(pid) || new FileInfo(pid).Length == 0)
        {
            Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)));
            await Task.Yield();
        }
        await stop.CancelAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(await running, Is.EqualTo(ExitCode.Cancelled));
            Assert.That(Directory.Exists("/proc/" + File.ReadAllText(pid).Trim()), Is.False);
        }
    }
}
