using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

/// <summary>A failure that does not count (in quarantine, or passed later) excuses itself and nothing else.</summary>
public sealed class ExcusedFailures
{
    private const string Quarantine = "quarantine:\n  - test: b\n    owner: team-a\n    until: 2999-01-01";
    private const string OneFails =
        """<testsuite name="s" tests="2" failures="1"><testcase name="a"/>""" +
        """<testcase name="b"><failure message="no"/></testcase></testsuite>""";
    private const string BothPass = """<testsuite name="s" tests="2"><testcase name="a"/><testcase name="b"/></testsuite>""";
    private const string OnlyA = """<testsuite name="s" tests="1"><testcase name="a"/></testsuite>""";
    private const string OnlyB = """<testsuite name="s" tests="1"><testcase name="b"/></testsuite>""";
    private const string BAndBrokenA =
        """<testsuite name="s" tests="2" failures="1"><testcase name="a"><failure message="broke later"/></testcase>""" +
        """<testcase name="b"/></testsuite>""";
    private const string Surefire =
        """<testsuite name="bar.F" tests="2" failures="1"><testcase name="a" classname="bar.F">""" +
        """<flakyFailure message="m" type="T"><stackTrace>s</stackTrace></flakyFailure></testcase></testsuite>""";
    private const string Twice =
        """<testsuite name="s" tests="3" failures="1"><testcase name="a"/>""" +
        """<testcase name="b"><failure message="no"/></testcase><testcase name="b"/></testsuite>""";

    // The code that says "tests failed" is the runner's own.
    [TestCase("pytest", 1, "done")]
    [TestCase("pytest", 2, "disagreement")]
    [TestCase("pytest", 3, "disagreement")]
    [TestCase("pytest", 5, "disagreement")]
    [TestCase("pytest", 127, "disagreement")]
    [TestCase("pytest", 139, "runner-crashed")]
    [TestCase("node", 1, "incomplete")]
    [TestCase("node", 7, "disagreement")]
    [TestCase("mocha", 1, "done")]
    [TestCase("mocha", 2, "disagreement")]
    [TestCase("dotnet", 2, "done")]
    [TestCase("dotnet", 3, "disagreement")]
    [TestCase("maven", 1, "disagreement")]
    [TestCase("maven", 0, "done")]
    [TestCase("gradle", 1, "disagreement")]
    [TestCase("go", 1, "disagreement")]
    [TestCase("go", 2, "disagreement")]
    public async Task Quarantine_excuses_the_exit_code_that_says_tests_failed_and_no_other(string framework, int code,
        string reason)
    {
        using var project = Of($"cp fail.src r.xml; exit {code}", $"retry:\n  framework: {framework}\n{Quarantine}");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            Assert.That(exit, Is.EqualTo(reason == "done" ? ExitCode.Done : ExitCode.Refused), project.Output);
            if (reason == "disagreement") Assert.That(project.Text, Does.Contain($"exit code {code}"));
        }
    }

    [TestCase(127)]
    [TestCase(3)]
    [TestCase(1)]
    public async Task Of_a_runner_that_is_not_known_no_code_is_excused_by_quarantine(int code)
    {
        using var project = Of($"cp fail.src r.xml; exit {code}", Quarantine);

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Text, Does.Contain($"exit code {code}"));
            if (code == 1) Assert.That(project.Text, Does.Contain("let \"run\" start the test runner alone"));
        }
    }

    [TestCase("pytest", 1)]
    [TestCase("maven", 0)]
    [TestCase("jest", 1)]
    public async Task Quarantined_tests_alone_are_not_green(string framework, int code)
    {
        using var project = Of($"cp alone.src r.xml; exit {code}", $"retry:\n  framework: {framework}\n{Quarantine}");
        project.Clone.Write("alone.src", OneFails.Replace("tests=\"2\"", "tests=\"1\"", StringComparison.Ordinal)
            .Replace("<testcase name=\"a\"/>", "", StringComparison.Ordinal));

        var exit = await project.RunAsync();

        Assert.That((exit, project.Reason), Is.EqualTo((ExitCode.Refused, "no-tests")), project.Text);
        Assert.That(project.Text, Does.Contain("no test that counts passed").And.Contain("1 failed in quarantine"));
    }

    // Of a script nobody knows what it left out after the failed test, whatever it ends with.
    [TestCase("[api/runner, api/test.sh]", "done")]
    [TestCase("[api/script]", "incomplete")]
    [TestCase("[sh, api/test.sh]", "incomplete")]
    [TestCase("[api/make, test]", "incomplete")]
    [TestCase("[sh, -c, 'api/make test || [ $? -eq 4 ]']", "incomplete")]
    public async Task Code_zero_excuses_quarantined_failures_only_where_it_is_the_runners_own(string command, string reason)
    {
        using var project = Of("cp fail.src r.xml; exit 0", Quarantine, run: command);
        project.Clone.Write("api/script", "#!/bin/sh\ncp fail.src r.xml\n");
        File.SetUnixFileMode(Path.Combine(project.Clone.Folder, "api/script"), (UnixFileMode)0b111_101_101);
        // A program of its own name, not a script.
        File.Copy("/bin/sh", Path.Combine(project.Clone.Folder, "api/runner"));

        var exit = await project.RunAsync();

        Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
        Assert.That(exit, Is.EqualTo(reason == "done" ? ExitCode.Done : ExitCode.Refused));
    }

    // The runner is named, so that a run without the test can tell, where it really is without it.
    [TestCase("case \"$*\" in *Pattern*) cp a.src r.xml;; *) cp fail.src r.xml;; esac", "done", 1)]
    [TestCase("case \"$*\" in *Pattern*) cp worse.src r.xml;; *) cp fail.src r.xml;; esac", "incomplete", 1)]
    [TestCase("case \"$*\" in *Pattern*) cp more.src r.xml;; *) cp fail.src r.xml;; esac", "done", 2)]
    [TestCase("cp fail.src r.xml", "incomplete", 1)]
    public async Task Code_zero_of_a_script_of_a_known_runner_is_proven_by_a_run_without_the_test(string script, string reason,
        int passed)
    {
        using var project = Of(script, $"retry:\n  framework: jest\n{Quarantine}", run: "[sh, api/test.sh]");

        await project.RunAsync();

        Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
        Assert.That((int)project.Component("api")["passed"]!, Is.EqualTo(passed));
    }

    // A test file that ends its process by itself hides what stands behind: node's report looks the same.
    [TestCase("cp a.src r.xml; exit 0", "done", 1)]
    [TestCase("cp more.src r.xml; exit 0", "done", 2)]
    [TestCase("cp behind.src r.xml; exit 1", "tests-failed", 1)]
    [TestCase("cp a.src r.xml; exit 1", "disagreement", 1)]
    [TestCase("exit 9", "runner-crashed", 1)]
    public async Task What_node_left_out_behind_a_quarantined_failure_is_seen_in_a_run_without_it(
        string rest, string reason, int passed)
    {
        using var project = Of($$"""
            case "$*" in *--test-skip-pattern=*) {{rest}};; esac
            cp fail.src r.xml; exit 1
            """, $"retry:\n  framework: node\n{Quarantine}");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            Assert.That((int)project.Component("api")["passed"]!, Is.EqualTo(passed));
            if (reason == "runner-crashed") Assert.That(project.Text, Does.Contain("from 22.1 on"));
        }
    }

    [TestCase("cp pass.src r.xml; exit 0", "done", 2)]
    [TestCase("cp more.src r.xml; exit 0", "done", 3)]
    [TestCase("cp behind.src r.xml; exit 1", "tests-failed", 2)]
    [TestCase("cp fail.src r.xml; exit 1", "tests-failed", 2)]
    [TestCase("exit 1", "runner-crashed", 2)]
    public async Task What_stands_behind_a_flaky_test_is_seen_in_a_whole_run(string again, string reason, int passed)
    {
        foreach (var (framework, wanted, run) in new[]
        {
            ("framework: node", "*--test-name-pattern*", "[api/node, --test]"),
            ("filter: ['--only={tests}']", "*--only*", (string?)null),
        })
        {
            using var project = Of($$"""
                case "$*" in {{wanted}}) cp b.src r.xml; exit 0;; esac
                if [ -e first.log ]; then {{again}}; fi
                touch first.log; cp fail.src r.xml; exit 1
                """, $"retry:\n  {framework}", run: run);

            await project.RunAsync();

            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            Assert.That((int)project.Component("api")["passed"]!, Is.EqualTo(passed), project.Output);
        }
    }

    // jest ends with 1 for a threshold that is missed, too: the same command without the quarantined test says which it was.
    [TestCase("cp a.src r.xml; exit 0", "done")]
    [TestCase("cp a.src r.xml; exit 1", "disagreement")]
    [TestCase("exit 1", "runner-crashed")]
    [TestCase("cp worse.src r.xml; exit 1", "tests-failed")]
    public async Task Where_the_code_may_mean_more_the_command_without_the_quarantined_test_has_to_be_green(string rest,
        string reason)
    {
        using var project = Of($$"""
            echo "$*" >> tries.log
            case "$*" in *testNamePattern*) {{rest}};; esac
            cp fail.src r.xml; exit 1
            """, $"retry:\n  framework: jest\n{Quarantine}");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            Assert.That(Tries(project), Is.EqualTo(new[] { "", "--testNamePattern=^(?!(.*\\s)?(b)$)" }));
        }
    }

    [TestCase("collected 9 items\n!!!!!!!!!!!! stopping after 1 failures !!!!!!!!!!!!", "pytest", "before all of 9 tests ran")]
    [TestCase("collected 9 items\n!!!!!!!!!!!! stopping after 1 failures !!!!!!!!!!!!\n" +
        "FAILED t.py::test_b - no\n==== 1 failed, 3 passed in 0.12s ====",
        "pytest", "it stopped at \"t.py::test_b\" before all of 9 tests ran, after 4")]
    [TestCase("!!!!!!!!!! _pytest.outcomes.Exit: enough !!!!!!!!!!", "pytest", "it stopped before all tests ran")]
    [TestCase("collected 9 items", "pytest", "collected 9 tests, and its report has 2")]
    [TestCase("collected 9 items / 5 deselected / 4 selected", "pytest", "collected 4 tests, and its report has 2")]
    [TestCase("Test Suites: 1 failed, 1 of 3 total", "jest", "1 of 3 test suites ran")]
    [TestCase("FAIL src/cart.test.js\n  ● adds\nTest Suites: 1 failed, 1 of 3 total", "jest",
        "1 of 3 test suites ran (src/cart.test.js)")]
    [TestCase(
        "[INFO] shop-core ........ FAILURE [  1.0 s]\n[INFO] shop-web ........ SKIPPED", "pytest", "\"shop-web\" never ran")]
    public async Task What_the_runner_itself_says_it_left_out_is_not_green(string says, string framework, string text)
    {
        foreach (var more in new[] { Quarantine, "" })
        {
            using var project =
                Of($"case \"$*\" in *last-failed*|*Pattern*) cp b.src r.xml; exit 0;; esac\ncat says.txt; cp fail.src r.xml; " +
                    "exit 1", $"retry:\n  framework: {framework}\n{more}");
            project.Clone.Write("says.txt", says + "\n");

            var exit = await project.RunAsync();

            using (Assert.EnterMultipleScope())
            {
                Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
                Assert.That(project.Reason, Is.EqualTo("incomplete"), project.Text);
                Assert.That(project.Text, Does.Contain(text));
            }
        }
    }

    [TestCase("--only={tests}", "--maxfail=1")]
    [TestCase("--only={tests}", "--bail")]
    [TestCase("--only={tests}", "-failfast")]
    [TestCase("--only={tests}", "--gtest_fail_fast")]
    public async Task An_option_that_stops_an_unknown_runner_is_incomplete(string filter, string option)
    {
        using var project = Of("case \"$*\" in *--only*) cp b.src r.xml; exit 0;; esac\ncp fail.src r.xml; exit 1",
            $"retry:\n  filter: ['{filter}']", option);

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo("incomplete"), project.Text);
            Assert.That(project.Text, Does.Contain($"\"{option.Split('=')[0]}\" stops it"));
        }
    }

    [TestCase("ERROR: Coverage for lines (40%) does not meet global threshold (80%)", "vitest")]
    [TestCase("FAIL Required test coverage of 90% not reached. Total coverage: 40%", "pytest")]
    [TestCase("[ERROR] COMPILATION ERROR :", "jest")]
    public async Task A_failure_outside_of_tests_that_the_runner_tells_of_is_not_excused(string says, string framework)
    {
        using var project =
            Of("case \"$*\" in *last-failed*|*Pattern*) cp b.src r.xml; exit 0;; esac\ncat says.txt; cp fail.src r.xml; exit " +
                "1", $"retry:\n  framework: {framework}");
        project.Clone.Write("says.txt", says + "\n");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo("disagreement"), project.Text);
            Assert.That(project.Text, Does.Contain(says));
        }
    }

    [TestCase("cp b.src r.xml; exit 0", "done", "")]
    [TestCase("cp worse.src r.xml; exit 1", "tests-failed", "\"a\": broke later")]
    [TestCase("cp worse.src r.xml; exit 0", "tests-failed", "")]
    [TestCase("cp b.src r.xml; exit 1", "tests-failed", "")]
    [TestCase("cp a.src r.xml; exit 0", "tests-failed", "")]
    [TestCase("exit 0", "tests-failed", "")]
    [TestCase("exit 1", "tests-failed", "")]
    [TestCase("cp fail.src r.xml; exit 3", "tests-failed", "")]
    public async Task A_try_excuses_only_by_being_green_itself(string again, string reason, string says)
    {
        using var project =
            Of($"case \"$*\" in *--only*) {again};; esac\n[ ! -e first.log ] || {{ cp pass.src r.xml; exit 0; }}\n" +
                "touch first.log; cp fail.src r.xml; exit 1", "retry:\n  filter: ['--only={tests}']");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            Assert.That(exit, Is.EqualTo(reason == "done" ? ExitCode.Done : ExitCode.Refused));
            Assert.That(project.Output, Does.Contain(says));
        }
    }

    [TestCase(3)]
    [TestCase(127)]
    public async Task A_first_run_that_broke_is_not_mended_by_a_try(int code)
    {
        using var project =
            Of($"echo x >> tries.log; case \"$*\" in *--only*) cp b.src r.xml; exit 0;; esac\ncp fail.src r.xml; exit " +
                $"{code}", "retry:\n  filter: ['--only={tests}']");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo("tests-failed"), project.Text);
            Assert.That(project.Text, Does.Contain($"exit code {code} says more than that tests failed"));
            Assert.That(Tries(project), Has.Length.EqualTo(1));
        }
    }

    // A module that does not compile after another's flaky test: Maven's and Gradle's code is the same for both.
    [TestCase("surefire.src", 1, "disagreement")]
    [TestCase("surefire.src", 0, "done")]
    [TestCase("twice.src", 0, "done")]
    [TestCase("twice.src", 1, "tests-failed")]
    public async Task What_the_runner_ran_again_itself_is_flaky_only_when_the_runner_says_green(string report, int code,
        string reason)
    {
        using var project = Of($"cp {report} r.xml; exit {code}", "");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            if (reason == "done") Assert.That((int)project.Component("api")["flaky"]!, Is.EqualTo(1));
        }
    }

    [Test]
    public async Task Mavens_failed_test_is_excused_by_a_try_and_its_broken_module_is_not([Values(0, 1)] int code)
    {
        using var project =
            Of($"echo \"$*\" >> tries.log; case \"$*\" in *-Dtest=*) cp b.src r.xml; exit 0;; esac\ncp fail.src r.xml; exit " +
                $"{code}", "retry:\n  framework: maven");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(code == 0 ? "done" : "disagreement"), project.Text);
            Assert.That(Tries(project)[0], Is.EqualTo("-Dmaven.test.failure.ignore=true"));
            Assert.That(Tries(project), Has.Length.EqualTo(code == 0 ? 2 : 1));
        }
    }

    [Test]
    public async Task Mavens_failed_test_that_counts_fails_although_it_ends_with_zero()
    {
        using var project = Of("cp fail.src r.xml; exit 0", "retry:\n  framework: maven");

        await project.RunAsync();

        Assert.That(project.Reason, Is.EqualTo("tests-failed"), project.Text);
    }

    [Test]
    public async Task Gradle_gets_a_script_that_lets_it_go_on()
    {
        using var project =
            Of("echo \"$*\" >> tries.log; grep -q ignoreFailures \"$2\" || exit 9; case \"$*\" in *--tests*) cp b.src r.xml;; " +
                "*) cp fail.src r.xml;; esac", "retry:\n  framework: gradle");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Text);
            Assert.That(Tries(project)[0], Does.Match("^--init-script /.+/.ci-steps/gradle/go-on.gradle --continue$"));
        }
    }

    [TestCase("quarantine:\n  - test: api.test_a.test_b\n    owner: team-a\n    until: 2999-01-01", "done", 2)]
    [TestCase("retry:\n  framework: pytest", "tests-failed", 2)]
    public async Task Pytest_that_would_stop_at_the_first_failure_is_made_to_go_on(string more, string reason, int passed)
    {
        using var project = new Project($"run: [pytest, -q, -x, --junitxml=r.xml, api]\nformat: junit\nreports: [r.xml]\n{more}");
        project.Clone.Write("pytest.ini", "[pytest]\naddopts = --exitfirst\n");
        project.Change("api/test_a.py", "def test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pass\n");

        await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(project.Reason, Is.EqualTo(reason), project.Text);
            Assert.That((int)project.Component("api")["passed"]!, Is.EqualTo(passed), project.Output);
        }
    }

    [Test]
    public async Task A_fixture_that_fails_when_it_is_taken_down_is_not_excused_by_the_test_it_is_booked_on()
    {
        using var project = new Project("run: [pytest, -q, --junitxml=r.xml, api]\nformat: junit\nreports: [r.xml]\n" +
            "quarantine:\n  - test: api.test_a.test_b\n    owner: team-a\n    until: 2999-01-01");
        project.Change("api/test_a.py", """
            import pytest
            @pytest.fixture(scope="session")
            def database():
                yield 1
                raise RuntimeError("the database is gone")
            def test_a(): pass
            def test_b(database): pass
            """);

        await project.RunAsync();

        Assert.That(project.Reason, Is.EqualTo("tests-failed"), project.Output);
    }

    // The last program's code is the script's: what ran before, or never ran, nobody knows.
    [TestCase("[sh, -c, 'pytest; lint']")]
    [TestCase("[sh, -c, 'lint && api/pytest']")]
    [TestCase("[sh, -c, 'api/pytest && api/pytest']")]
    [TestCase("[sh, -c, 'api/pytest | cat; exit 1']")]
    [TestCase("[sh, -c, 'lint & api/pytest']")]
    [TestCase("[sh, api/pytest]")]
    [TestCase("[api/npm, test]")]
    [TestCase("[api/make, check]")]
    public async Task A_command_that_is_not_the_runner_alone_explains_nothing(string command)
    {
        foreach (var more in new[] { Quarantine, "" })
        {
            using var project = Of("case \"$*\" in *last-failed*) cp b.src r.xml; exit 0;; esac\ncp fail.src r.xml; exit 1",
                $"retry:\n  framework: pytest\n{more}", run: command);
            var exit = await project.RunAsync();

            using (Assert.EnterMultipleScope())
            {
                Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
                if (project.Reason != "runner-crashed")
                    Assert.That(project.Text, Does.Contain("let \"run\" start the test runner alone"));
            }
        }
    }

    [TestCase("[ERROR] COMPILATION ERROR : ")]
    [TestCase("[INFO] BUILD FAILURE")]
    [TestCase("[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.11.0:testCompile")]
    public async Task A_build_that_Maven_says_failed_is_red_although_it_ends_with_zero(string says)
    {
        foreach (var (report, more) in new[] { ("pass.src", ""), ("fail.src", "\n" + Quarantine) })
        {
            using var project = Of($"cat says.txt; cp {report} r.xml", $"retry:\n  framework: maven{more}");
            project.Clone.Write("says.txt", says + "\n");

            await project.RunAsync();

            Assert.That(project.Reason, Is.EqualTo("disagreement"), project.Text);
            Assert.That(project.Text, Does.Contain("Maven's build failed"));
        }
    }

    [Test]
    public async Task A_test_that_surefire_left_out_after_a_failure_is_incomplete()
    {
        using var project = Of("cp left.src r.xml", $"retry:\n  framework: maven\n{Quarantine}");
        project.Clone.Write("left.src", OneFails.Replace("</testsuite>", "<testcase name=\"c\"><skipped " +
            "message=\"org.junit.runner.notification.StoppedByUserException\"/></testcase></testsuite>",
            StringComparison.Ordinal));

        await project.RunAsync();

        Assert.That(project.Reason, Is.EqualTo("incomplete"), project.Text);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task Go_is_not_told_to_stop_by_its_environment(bool isConfigured)
    {
        using var project = Of("echo \"$GOFLAGS\" >> tries.log; cp pass.src r.xml", "retry:\n  framework: go" +
            (isConfigured ? "\nenv:\n  GOFLAGS: -mod=mod -failfast" : ""));
        if (!isConfigured) project.Environment["GOFLAGS"] = "-mod=mod -failfast";

        await project.RunAsync();

        Assert.That(Tries(project), Is.EqualTo(new[] { "-mod=mod" }), project.Text);
    }

    [Test]
    public async Task One_simple_command_of_a_shell_is_the_runner()
    {
        using var project = Of("cp fail.src r.xml; exit 1", $"retry:\n  framework: pytest\n{Quarantine}",
            run: "[sh, -c, 'A=1 api/pytest -q']");

        Assert.That(await project.RunAsync(), Is.EqualTo(ExitCode.Done), project.Text);
    }

    private static Project Of(string script, string more, string argument = "", string? run = null)
    {
        var framework = Regex.Match(more, @"framework: (\w+)").Groups[1].Value;
        run ??= framework switch
        {
            "" => null,
            "maven" => "[api/mvn]",
            "node" => "[api/node, --test]",
            "dotnet" or "go" => $"[api/{framework}, test]",
            _ => $"[api/{framework}]",
        };
        run ??= argument.Length > 0 ? $"[sh, api/test.sh, '{argument}']" : "[sh, api/test.sh]";
        var project = new Project($"run: {run}\nformat: junit\nreports: [r.xml]{(more.Length > 0 ? "\n" + more : "")}");
        project.Clone.Write("fail.src", OneFails);
        project.Clone.Write("pass.src", BothPass);
        project.Clone.Write("a.src", OnlyA);
        project.Clone.Write("b.src", OnlyB);
        project.Clone.Write("worse.src", BAndBrokenA);
        project.Clone.Write("more.src", """<testsuite name="s" tests="2"><testcase name="a"/><testcase name="c"/></testsuite>""");
        project.Clone.Write(
            "behind.src",
            """<testsuite name="s" tests="2" failures="1"><testcase name="a"/>""" +
            """<testcase name="c"><failure message="behind"/></testcase></testsuite>""");
        project.Clone.Write("surefire.src", Surefire);
        project.Clone.Write("twice.src", Twice);
        foreach (var name in new[] { "pytest", "node", "mocha", "dotnet", "mvn", "gradle",
            "go", "jest", "vitest", "npm", "make" })
        {
            project.Clone.Write("api/" + name, "#!/bin/sh\n" + script + "\n");
            File.SetUnixFileMode(Path.Combine(project.Clone.Folder, "api", name), (UnixFileMode)0b111_101_101);
        }
        return project.Change("api/test.sh", script + "\n");
    }

    private static string[] Tries(Project project) => File.ReadAllLines(Path.Combine(project.Clone.Folder, "tries.log"));
}
