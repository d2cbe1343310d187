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
        Assert.That(() => Artifacts.Publish("out => ../up", checkout, Path.Combine(folder, "artifacts"), _ => { }), Throws.InstanceOf<UsageException>());
        Assert.That(() => Artifacts.Publish("out => all.7z", checkout, Path.Combine(folder, "artifacts"), _ => { }), Throws.InstanceOf<UsageException>());
    }

    [Test]
    public void Of_a_dependency_fail_when_nothing_matches_unless_they_are_optional()
    {
        var artifacts = Checkout();
        var next = Path.Combine(folder, "next");
        Assert.That(Artifacts.Fetch("out/** => in", artifacts, next, clean: false, "A #1"), Is.EqualTo(2));
        Assert.That(() => Artifacts.Fetch("gone/** => in", artifacts, next, clean: false, "A #1"), Throws.InstanceOf<UsageException>().With.Message.Contains("A #1"));
        Assert.That(Artifacts.Fetch("?:gone/** => in", artifacts, next, clean: true, "A #1"), Is.Zero);
        Assert.That(Directory.Exists(Path.Combine(next, "in")), Is.False, "a clean destination keeps nothing of an earlier build");
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
        : Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal);
}

public sealed class Service_messages_of_a_step
{
    private static (BuildRun Run, List<string> Log) Read(params string[] lines)
    {
        var at = new Place("x", 1);
        var build = new BuildConfiguration("B", "P", "b", false, false, null, [], [], [], ParameterSet.Empty, [], [], [], [], [], [], [], [], at);
        var run = new BuildRun(build, "/nowhere");
        var log = new List<string>();
        var reader = new MessageReader(run, log.Add, rules => log.Add("publish " + rules), () => log.Add("progress " + run.Doing));
        foreach (var line in lines) reader.Read(line, isError: false);
        return (run, log);
    }

    [Test]
    public void Change_the_build()
    {
        var (run, log) = Read("##teamcity[progressMessage 'working']", "##teamcity[setParameter name='a' value='|'1|'']", "##teamcity[buildStatus text='fine']",
            "##teamcity[buildProblem description='no' identity='x.y']", "##teamcity[buildProblem description='no again' identity='x.y']", "##teamcity[publishArtifacts 'a => b']");
        Assert.That(run.Doing, Is.EqualTo("working"));
        Assert.That(run.SetParameters["a"], Is.EqualTo("'1'"));
        Assert.That(run.StatusText, Is.EqualTo("fine"));
        Assert.That(run.Problems, Is.EqualTo(new[] { new BuildProblem("x.y", "no") }));
        Assert.That(log, Has.Member("publish a => b").And.Member("progress working"));
    }

    [Test]
    public void Count_tests()
    {
        var (run, _) = Read("##teamcity[testStarted name='a']", "##teamcity[testFinished name='a' duration='1']", "##teamcity[testStarted name='b']",
            "##teamcity[testFailed name='b' message='broken']", "##teamcity[testFinished name='b']", "##teamcity[testIgnored name='c' message='later']");
        Assert.That((run.PassedTests, run.FailedTests.Count, run.IgnoredTests), Is.EqualTo((1, 1, 1)));
        Assert.That(run.FailedTests[0], Is.EqualTo(new FailedTest("b", "broken")));
    }

    [TestCase("##teamcity[buildProblem description='x]")]
    [TestCase("said ##teamcity[buildProblem description='x']")]
    [TestCase("##teamcity[buildProblem description='a' b'")]
    public void Are_text_when_they_are_no_messages(string line) => Assert.That(Read(line).Run.Problems, Is.Empty);

    [Test]
    public void Are_text_while_they_are_switched_off()
    {
        var (run, _) = Read("##teamcity[disableServiceMessages]", "##teamcity[buildProblem description='x' identity='i']", "##teamcity[enableServiceMessages]", "##teamcity[buildStatus text='s']");
        Assert.That(run.Problems, Is.Empty);
        Assert.That(run.StatusText, Is.EqualTo("s"));
    }
}
