using CiSteps.Cli.Agents;
using CiSteps.Cli.Chains;
using CiSteps.Hosting;
using CiSteps.Reports;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Tests;

public sealed class Artifact_rules
{
    private string folder = "";

    [SetUp]
    public void Make() => folder = Directory.CreateTempSubdirectory("cisteps-artifacts-").FullName;

    [TearDown]
    public void Remove() => Directory.Delete(folder, recursive: true);

    [TestCase("out/** => kept", "kept/a.txt kept/deep/b.txt")]
    [TestCase("out => kept", "kept/a.txt kept/deep/b.txt")]
    [TestCase("out/*.txt => kept", "kept/a.txt")]
    [TestCase("out/a.txt", "a.txt")]
    [TestCase("**/*.txt => all", "all/.hidden/c.txt all/out/a.txt all/out/deep/b.txt")]
    [TestCase("out/**\n-:out/deep/**", "a.txt")]
    [TestCase(".hidden/** => .hidden", ".hidden/c.txt")]
    [TestCase("nothing/** => x", "")]
    public void Publish_files(string rules, string expected)
    {
        var checkout = Checkout();
        var artifacts = Path.Combine(folder, "artifacts");
        Artifacts.Publish(rules, checkout, artifacts, _ => { });
        Assert.That(string.Join(' ', Files(artifacts)), Is.EqualTo(expected));
    }

    [Test]
    public void Pack_an_archive()
    {
        Artifacts.Publish("out => logs/all.zip", Checkout(), Path.Combine(folder, "artifacts"), _ => { });
        using var archive = System.IO.Compression.ZipFile.OpenRead(Path.Combine(folder, "artifacts", "logs", "all.zip"));
        Assert.That(archive.Entries.Select(entry => entry.FullName), Is.EquivalentTo(new[] { "a.txt", "deep/b.txt" }));
    }

    [Test]
    public void Take_absolute_paths()
    {
        var checkout = Checkout();
        var artifacts = Path.Combine(folder, "artifacts");
        Artifacts.Publish($"{checkout}/out/deep/b.txt => in\n{checkout}/out/*.txt => in", checkout, artifacts, _ => { });
        File.WriteAllText(Path.Combine(folder, "elsewhere.log"), "x");
        Artifacts.Publish($"{folder}/elsewhere.log => in", checkout, artifacts, _ => { });
        Assert.That(Files(artifacts), Is.EqualTo(new[] { "in/a.txt", "in/b.txt", "in/elsewhere.log" }));
    }

    [Test]
    public void Refuse_a_target_outside_and_an_unknown_archive()
    {
        var checkout = Checkout();
        Assert.That(
            () => Artifacts.Publish("out => ../up", checkout, Path.Combine(folder, "artifacts"), _ => { }),
            Throws.InstanceOf<UsageException>());
        Assert.That(
            () => Artifacts.Publish("out => all.7z", checkout, Path.Combine(folder, "artifacts"), _ => { }),
            Throws.InstanceOf<UsageException>());
    }

    [Test]
    public void Of_a_dependency_fail_when_nothing_matches_unless_they_are_optional()
    {
        var artifacts = Checkout();
        var next = Path.Combine(folder, "next");
        Assert.That(Artifacts.Fetch("out/** => in", artifacts, next, clean: false, "A #1"), Is.EqualTo(2));
        Assert.That(
            () => Artifacts.Fetch("gone/** => in", artifacts, next, clean: false, "A #1"),
            Throws.InstanceOf<UsageException>().With.Message.Contains("A #1"));
        Assert.That(Artifacts.Fetch("?:gone/** => in", artifacts, next, clean: true, "A #1"), Is.Zero);
        Assert.That(Directory.Exists(Path.Combine(next, "in")), Is.False,
            "a clean destination keeps nothing of an earlier build");
    }

    private string Checkout()
    {
        var checkout = Path.Combine(folder, "checkout");
        foreach (var file in new[] { "out/a.txt", "out/deep/b.txt", ".hidden/c.txt" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(checkout, file))!);
            File.WriteAllText(Path.Combine(checkout, file), file);
        }
        return checkout;
    }

    private static IEnumerable<string> Files(string folder) => !Directory.Exists(folder) ? []
        : Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(folder, file))
            .Order(StringComparer.Ordinal);
}

public sealed class Service_messages_of_a_step
{
    private static (BuildRun Run, List<string> Log) Read(params string[] lines)
    {
        var at = new SourceLocation("x", 1);
        var build = new BuildConfiguration(
            "B", "P", "b", false, false, null, [], [], [], ParameterSet.Empty, [], [], [], [], [], [], [], [], at);
        var run = new BuildRun(build, "/nowhere");
        var log = new List<string>();
        var reader = new MessageReader(
            run, log.Add, rules => log.Add("publish " + rules), () => log.Add("progress " + run.Doing));
        foreach (var line in lines) reader.Read(line, isError: false);
        return (run, log);
    }

    [Test]
    public void Change_the_build()
    {
        var (run, log) = Read(
            "##teamcity[progressMessage 'working']",
            "##teamcity[setParameter name='a' value='|'1|'']",
            "##teamcity[buildStatus text='fine']",
            "##teamcity[buildProblem description='no' identity='x.y']",
            "##teamcity[buildProblem description='no again' identity='x.y']",
            "##teamcity[publishArtifacts 'a => b']");
        Assert.That(run.Doing, Is.EqualTo("working"));
        Assert.That(run.SetParameters["a"], Is.EqualTo("'1'"));
        Assert.That(run.StatusText, Is.EqualTo("fine"));
        Assert.That(run.Problems, Is.EqualTo(new[] { new BuildProblem("x.y", "no") }));
        Assert.That(log, Has.Member("publish a => b").And.Member("progress working"));
    }

    [Test]
    public void Count_tests()
    {
        var (run, _) = Read(
            "##teamcity[testStarted name='a']",
            "##teamcity[testFinished name='a' duration='1']",
            "##teamcity[testStarted name='b']",
            "##teamcity[testFailed name='b' message='broken']",
            "##teamcity[testFinished name='b']",
            "##teamcity[testIgnored name='c' message='later']");
        Assert.That((run.PassedTests, run.FailedTests.Count, run.IgnoredTests), Is.EqualTo((1, 1, 1)));
        Assert.That(run.FailedTests[0], Is.EqualTo(new FailedTest("b", "broken")));
    }

    private const string Retry = "##teamcity[testRetrySupport enabled='true'{0}]";

    // A test in a flow of its own ("" for the build's), failed or passed.
    private static string[] Try(string name, bool passes, string flow = "", string? suite = null)
    {
        var of = flow.Length == 0 ? "" : $" flowId='{flow}'";
        string[] failed = passes ? [] : [$"##teamcity[testFailed name='{name}' message='broken'{of}]"];
        string[] tried = [$"##teamcity[testStarted name='{name}'{of}]", .. failed, $"##teamcity[testFinished name='{name}'{of}]"];
        return suite is null
            ? tried
            : [$"##teamcity[testSuiteStarted name='{suite}'{of}]", .. tried, $"##teamcity[testSuiteFinished name='{suite}'{of}]"];
    }

    [TestCase("", "", ExpectedResult = "1 passed, 0 failed")]
    [TestCase("", "f", ExpectedResult = "1 passed, 0 failed", Description = "said for the whole build")]
    [TestCase("f", "f", ExpectedResult = "1 passed, 0 failed")]
    [TestCase("other", "f", ExpectedResult = "0 passed, 1 failed", Description = "said for another flow")]
    [TestCase(null, "", ExpectedResult = "0 passed, 1 failed", Description = "not said")]
    public string Forgive_a_test_that_passed_on_a_later_try_where_that_is_asked_for(string? said, string flow)
    {
        string[] retry = said is null
            ? []
            : [Retry.Replace("{0}", said.Length == 0 ? "" : $" flowId='{said}'", StringComparison.Ordinal)];
        return Counted([.. retry, .. Try("a", passes: false, flow), .. Try("a", passes: true, flow)]);
    }

    [Test]
    public void Forgive_no_try_that_failed_after_one_that_passed() =>
        Assert.That(
            Counted([Retry.Replace("{0}", "", StringComparison.Ordinal), .. Try("a", true), .. Try("a", false)]),
            Is.EqualTo("1 passed, 1 failed"));

    [TestCase("f", "s", "g", "s", ExpectedResult = "1 passed, 1 failed", Description = "in two flows")]
    [TestCase("f", "s", "f", "t", ExpectedResult = "1 passed, 1 failed", Description = "in two suites")]
    [TestCase("", "s", "", null, ExpectedResult = "1 passed, 1 failed", Description = "in a suite and in none")]
    [TestCase("f", "s", "f", "s", ExpectedResult = "1 passed, 0 failed")]
    public string Take_the_same_name_elsewhere_for_another_test(
        string flow, string? suite, string otherFlow, string? otherSuite) =>
        Counted([
            Retry.Replace("{0}", "", StringComparison.Ordinal),
            .. Try("a", false, flow, suite),
            .. Try("a", true, otherFlow, otherSuite)
        ]);

    [Test]
    public void Keep_tests_apart_that_run_at_the_same_time()
    {
        var (run, _) = Read("##teamcity[testStarted name='a' flowId='1']", "##teamcity[testStarted name='a' flowId='2']",
            "##teamcity[testFailed name='a' message='broken' flowId='1']", "##teamcity[testFinished name='a' flowId='2']",
            "##teamcity[testFinished name='a' flowId='1']");
        Assert.That((run.PassedTests, run.FailedTests.Count), Is.EqualTo((1, 1)));
    }

    [Test]
    public void Begin_a_flow_in_the_suites_of_the_one_around_it()
    {
        string[] Within(string suite, bool passes) =>
        [
            $"##teamcity[testSuiteStarted name='{suite}' flowId='1']", "##teamcity[flowStarted flowId='2' parent='1']",
            .. Try("a", passes, "2"),
            "##teamcity[flowFinished flowId='2']", $"##teamcity[testSuiteFinished name='{suite}' flowId='1']",
        ];
        Assert.That(
            Counted([Retry.Replace("{0}", "", StringComparison.Ordinal), .. Within("s", false), .. Within("t", true)]),
            Is.EqualTo("1 passed, 1 failed"));
        Assert.That(
            Counted([Retry.Replace("{0}", "", StringComparison.Ordinal), .. Within("s", false), .. Within("s", true)]),
            Is.EqualTo("1 passed, 0 failed"));
    }

    [TestCase("", "f", true)]
    [TestCase("f", "f", true)]
    [TestCase("f", "", false)]
    [TestCase("f", "g", false)]
    public void Are_text_in_a_flow_for_which_they_are_switched_off(string off, string flow, bool isText)
    {
        string In(string id) => id.Length == 0 ? "" : $" flowId='{id}'";
        var switchOff = $"##teamcity[disableServiceMessages{In(off)}]";
        var (run, _) = Read(switchOff, $"##teamcity[buildProblem description='x' identity='y'{In(flow)}]");
        Assert.That(run.Problems, isText ? Is.Empty : Is.Not.Empty);
    }

    private static string Counted(string[] lines)
    {
        var (run, _) = Read(lines);
        return $"{run.PassedTests} passed, {run.FailedTests.Count} failed";
    }

    [TestCase("##teamcity[buildProblem description='x]")]
    [TestCase("said ##teamcity[buildProblem description='x']")]
    [TestCase("##teamcity[buildProblem description='a' b'")]
    public void Are_text_when_they_are_no_messages(string line) => Assert.That(Read(line).Run.Problems, Is.Empty);

    [Test]
    public void Are_text_while_they_are_switched_off()
    {
        var (run, _) = Read(
            "##teamcity[disableServiceMessages]",
            "##teamcity[buildProblem description='x' identity='i']",
            "##teamcity[enableServiceMessages]",
            "##teamcity[buildStatus text='s']");
        Assert.That(run.Problems, Is.Empty);
        Assert.That(run.StatusText, Is.EqualTo("s"));
    }
}
