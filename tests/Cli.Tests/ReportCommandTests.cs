using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using static CiSteps.Cli.Tests.ProgramCall;

namespace CiSteps.Cli.Tests;

/// <summary><c>ci-steps report</c> on the record of a chain that really ran.</summary>
public sealed class Reporting_from_the_command_line
{
    private GitRepositories git = null!;
    private ToyTree toy = null!;
    private string output = "";

    private string Workspace => Path.Combine(git.Folder, "workspace");

    private string Record(string chain, string file) => Path.Combine(Workspace, "chains", chain, file);

    [SetUp]
    public async Task Run_a_chain_that_fails()
    {
        git = new GitRepositories();
        var clone = git.Clone();
        clone.Commit("file", "one");
        clone.Push();
        clone.Branch("ci/x");
        clone.Push();
        const string Anyhow = "RUN_ADD_PROBLEM";
        const string Failing = """
            echo "##teamcity[testStarted name='a']"
            echo "##teamcity[testFinished name='a']"
            echo "##teamcity[testStarted name='b']"
            echo "##teamcity[testFailed name='b' message='broken']"
            echo "##teamcity[testFinished name='b']"
            exit 1
            """;
        toy = new ToyTree().Root(git.Origin)
            .Build("Toy_A", ToyTree.Runners(ToyTree.Script(Failing)) + ToyTree.Vcs)
            .Build("Toy_B", ToyTree.Runners(ToyTree.Script("true")) + ToyTree.Vcs + ToyTree.Dependencies(ToyTree.After("Toy_A")))
            .Build("Toy_End", ToyTree.Runners(ToyTree.Script("true")) + ToyTree.Vcs + ToyTree.Trigger()
                + ToyTree.Dependencies(ToyTree.After("Toy_B", Anyhow, Anyhow), ToyTree.After("Toy_A", Anyhow, Anyhow)));
        output = await RunToyAsync();
    }

    [TearDown]
    public void Remove()
    {
        toy.Dispose();
        git.Dispose();
    }

    [Test]
    public async Task Says_and_writes_again_what_the_run_said_and_wrote()
    {
        var page = File.ReadAllText(Record("0001", "report.html"));
        Assert.That(page, Does.Contain("broken").And.Contain("<b>1</b> passed, <b>1</b> failed"));
        File.Delete(Record("0001", "report.html"));
        // Neither the settings nor the repository are needed once a chain has run.
        Directory.Delete(Path.Combine(toy.Folder, ".teamcity"), recursive: true);

        var copy = Path.Combine(git.Folder, "copy.html");
        var summary = Path.Combine(git.Folder, "summary.json");
        var (exit, said, error) = await RunAsync("report", "--workspace", Workspace, "--report", copy, "--summary", summary);
        Assert.That((exit, error), Is.EqualTo((0, "")));
        Assert.That(said, Does.StartWith("run 0001: ci/x at ").And.Contain(": failed\n"));
        Assert.That(output, Does.EndWith(said));
        Assert.That(File.ReadAllText(Record("0001", "report.html")), Is.EqualTo(page));
        Assert.That(File.ReadAllText(copy), Is.EqualTo(page));
        var chain = JsonNode.Parse(File.ReadAllText(summary))!["chains"]![0]!;
        Assert.That(((string?)chain["failedStep"], (int?)chain["steps"]![0]!["tests"]!["passed"]), Is.EqualTo(("A", 1)));
    }

    [Test]
    public async Task Takes_the_last_chain_or_the_one_that_is_named()
    {
        await RunToyAsync();
        Assert.That((await RunAsync("report", "--workspace", Workspace)).Output, Does.StartWith("run 0002: "));
        Assert.That(
            (await RunAsync("report", "--workspace", Workspace, "--branch", "ci/x")).Output, Does.StartWith("run 0002: "));
        Assert.That((await RunAsync("report", "--workspace", Workspace, "--run", "1")).Output, Does.StartWith("run 0001: "));
    }

    [Test]
    public async Task Does_not_take_a_build_without_an_end_for_a_good_one()
    {
        File.WriteAllText(Record("0001", "builds/Toy_A/build.json"), "{ half");
        File.Delete(Record("0001", "builds/Toy_End/build.json"));
        var (exit, said, _) = await RunAsync("report", "--workspace", Workspace);
        Assert.That(exit, Is.Zero);
        Assert.That(said.Split('\n')[0], Does.EndWith(": failed"));
        const string Word = "it left no record of its end: it still runs, or the run was killed";
        Assert.That(said.Split('\n').Count(line => line.Contains(Word, StringComparison.Ordinal)), Is.EqualTo(2));
    }

    [TestCase("does not have a run \"7\"", "--run", "7")]
    [TestCase("no chain of \"ci/y\" has run", "--branch", "ci/y")]
    [TestCase("not both", "--branch", "ci/x", "--run", "1")]
    public async Task Refuses_a_chain_that_is_not_there(string why, params string[] arguments)
    {
        var (exit, _, error) = await RunAsync(["report", "--workspace", Workspace, .. arguments]);
        Assert.That((exit, error), Is.EqualTo((2, error)));
        Assert.That(error, Does.Contain(why));
    }

    private async Task<string> RunToyAsync()
    {
        var (exit, said, _) = await RunAsync(
            "run", "--branch", "ci/x", "--settings", toy.Folder, "--workspace", Workspace, "--no-sandbox");
        Assert.That(exit, Is.EqualTo(1), said);
        return said;
    }
}
