using CiSteps.Cli.Agents;
using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.TeamCity.Chains;

namespace CiSteps.Cli.Tests;

/// <summary>Small chains with real git and real processes.</summary>
public sealed class A_chain_on_this_machine
{
    private GitRepositories git = null!;
    private ToyTree toy = null!;
    private Workspace workspace = null!;
    private Dictionary<string, string> given = [];

    [SetUp]
    public void Make()
    {
        git = new GitRepositories();
        var clone = git.Clone();
        clone.Commit("file", "one");
        clone.Git("push", "--quiet", "origin", "HEAD:refs/heads/main");
        clone.Git("checkout", "--quiet", "-b", "ci/x");
        clone.Commit("file", "two");
        clone.Git("push", "--quiet", "origin", "HEAD:refs/heads/ci/x");
        toy = new ToyTree().Root(git.Origin);
        workspace = Workspace.Open(Path.Combine(git.Folder, "workspace"));
        given = [];
    }

    [TearDown]
    public void Remove()
    {
        workspace.Dispose();
        toy.Dispose();
        git.Dispose();
    }

    [Test]
    public async Task Gives_a_step_what_an_agent_would()
    {
        toy.Build(
            "Toy_A",
            "    <options><option name=\"artifactRules\" value=\"seen\" /></options>\n" +
            "    <parameters><param name=\"env.DECLARED\" value=\"\" />" +
            "<param name=\"mine\" value=\"schön = gut\" /></parameters>\n" +
            ToyTree.Runners(ToyTree.Script("""
                cat file > seen
                git symbolic-ref --short --quiet HEAD >> seen || echo detached >> seen
                git rev-list --count HEAD >> seen
                git for-each-ref --format='%%(refname)' refs/heads refs/remotes >> seen
                echo "$BUILD_NUMBER $TEAMCITY_BUILDCONF_NAME [$DECLARED] [$SECRET]" >> seen
                test "$BUILD_VCS_NUMBER" = "$(git rev-parse HEAD)" && echo right-commit >> seen
                second=$(sed -n 's/^teamcity.configuration.properties.file=//p' "$TEAMCITY_BUILD_PROPERTIES_FILE")
                grep -h -e '^teamcity.build.branch' -e '^mine' "$second" >> seen
                """)) + ToyTree.Vcs + ToyTree.Trigger());
        var builds = await RunAsync(new Dictionary<string, string> { ["DECLARED"] = "from outside", ["SECRET"] = "not yours" });
        Assert.That(builds.Single().State, Is.EqualTo(BuildState.Succeeded), File.ReadAllText(builds.Single().LogFile));
        Assert.That(File.ReadAllLines(Path.Combine(builds.Single().ArtifactsFolder, "seen")), Is.EqualTo(new[]
        {
            "two" + "detached", "2", "refs/remotes/origin/ci/x", "1 A [from outside] []", "right-commit",
                "mine=sch\\u00F6n \\= gut", "teamcity.build.branch=ci/x", "teamcity.build.branch.is_default=false",
        }));
    }

    [Test]
    public async Task Hands_files_numbers_and_parameters_on_along_the_chain()
    {
        toy.Build(
            "Toy_A",
            "    <options><option name=\"artifactRules\" value=\"out/** =&gt; out\" /><option name=\"buildNumberPattern\" " +
            "value=\"7.%build.counter%\" /></options>\n    <parameters><param name=\"found\" value=\"\" /></parameters>\n" +
                ToyTree.Runners(ToyTree.Script(
                    "mkdir -p out/deep; echo hello > out/deep/file; echo \"##teamcity[setParameter name='found' value='a " +
                    "digest']\"")) +
                    ToyTree.Vcs);
        toy.Build("Toy_B", "    <options><option name=\"buildNumberPattern\" value=\"%dep.Toy_A.build.number%\" /></options>\n" +
            ToyTree.Runners(ToyTree.Script(
                "test \"$(cat in/deep/file)\" = hello && test \"%dep.Toy_A.found%\" = 'a digest' && test " +
                "\"$BUILD_NUMBER\" = 7.1")) +
                ToyTree.Vcs +
                ToyTree.Trigger() +
            "    <artifact-dependencies>\n      <dependency id=\"ARTIFACT_DEPENDENCY_1\" sourceBuildTypeId=\"Toy_A\" " +
            "cleanDestination=\"true\">\n        <revisionRule name=\"sameChainOrLastFinished\" " +
            "revision=\"latest.sameChainOrLastFinished\" />\n        <artifact sourcePath=\"out/** =&gt; " +
            "in\" />\n      </dependency>\n    </artifact-dependencies>\n" +
            ToyTree.Dependencies(ToyTree.After("Toy_A")));
        var builds = await RunAsync();
        Assert.That(
            builds.Select(build => build.State), Is.All.EqualTo(BuildState.Succeeded), File.ReadAllText(builds[1].LogFile));
        Assert.That(builds[1].Number, Is.EqualTo("7.1"));
    }

    [Test]
    public async Task Stops_after_a_failure_and_still_runs_the_terminal_configuration()
    {
        toy.Build("Toy_A", "    <options><option name=\"artifactRules\" value=\"diagnosis\" /></options>\n" +
            ToyTree.Runners(ToyTree.Script(
                "echo why > diagnosis; echo \"##teamcity[buildProblem description='the answer is no' " +
                "identity='a.no']\"; exit 1")) +
                ToyTree.Vcs);
        toy.Build("Toy_B",
            ToyTree.Runners(ToyTree.Script("exit 0")) + ToyTree.Vcs + ToyTree.Dependencies(ToyTree.After("Toy_A")));
        toy.Build("Toy_C",
            ToyTree.Runners(ToyTree.Script("exit 0")) + ToyTree.Vcs + ToyTree.Dependencies(ToyTree.After("Toy_A", "CANCEL")));
        toy.Build("Toy_D", ToyTree.Runners(ToyTree.Script("echo ended")) + ToyTree.Vcs + ToyTree.Trigger() +
            ToyTree.Dependencies(
                ToyTree.After("Toy_A", "RUN", "RUN"),
                ToyTree.After("Toy_B", "RUN_ADD_PROBLEM", "RUN_ADD_PROBLEM"),
                ToyTree.After("Toy_C", "RUN", "RUN")));
        var builds = await RunAsync();
        Assert.That(
            builds.Select(build => build.State),
            Is.EqualTo(new[] { BuildState.Failed, BuildState.FailedToStart, BuildState.Cancelled, BuildState.Failed }));
        Assert.That(builds[0].Summary, Is.EqualTo("the answer is no"));
        Assert.That(File.Exists(Path.Combine(builds[0].ArtifactsFolder, "diagnosis")), "a failed build publishes");
        Assert.That(File.ReadAllText(builds[3].LogFile), Does.Contain("ended"));
        Assert.That(builds[3].Problems.Single().Text, Is.EqualTo("B failed to start"));
    }

    [Test]
    public async Task Runs_steps_by_their_modes_and_conditions()
    {
        var onlyOnMain =
            "        <conditions>\n          <equals name=\"teamcity.build.branch\" value=\"main\" />\n        </conditions>\n";
        toy.Build("Toy_A", ToyTree.Runners(
            ToyTree.Script("exit 0", "first"),
            ToyTree.Script("exit 1", "never", conditions: onlyOnMain),
            ToyTree.Script("exit 3", "fails"),
            ToyTree.Script("exit 0", "usual"),
            ToyTree.Script("exit 0", "green", "execute_if_success"),
            ToyTree.Script("test '%teamcity.build.step.status.fails%' = failure", "after", "execute_if_failed"),
            ToyTree.Script("exit 0", "always", "execute_always")) + ToyTree.Vcs + ToyTree.Trigger());
        var build = (await RunAsync()).Single();
        Assert.That(
            build.Steps.Select(step => step.Outcome),
            Is.EqualTo(new[] { "success", "skipped", "failure", "skipped", "skipped", "success", "success" }),
            File.ReadAllText(build.LogFile));
        Assert.That(build.State, Is.EqualTo(BuildState.Failed));
    }

    [Test]
    public async Task Unfolds_recipes()
    {
        toy.Recipe("Toy_Recipe",
            "    <parameters><param name=\"toy.word\" value=\"default\" /></parameters>\n    <build-runners>\n" +
                ToyTree.Script("test %toy.word% = given").Replace(" id=\"RUNNER_1\"", "") +
                "    </build-runners>");
        toy.Build("Toy_A",
            ToyTree.Runners(
                "      <runner id=\"RUNNER_9\" name=\"use\" type=\"Toy_Recipe\">\n        <parameters>\n          <param " +
                "name=\"teamcity.step.mode\" value=\"default\" />\n          <param name=\"toy.word\" value=\"given\" />\n     " +
                "   </parameters>\n      </runner>\n")
                + ToyTree.Vcs
                + ToyTree.Trigger());
        var build = (await RunAsync()).Single();
        Assert.That(build.State, Is.EqualTo(BuildState.Succeeded), File.ReadAllText(build.LogFile));
    }

    [TestCase("shouldFailBuildOnBadExitCode", "false", "exit 5", "Succeeded")]
    [TestCase("shouldFailBuildIfTestsFailed", "false", "echo \"##teamcity[testFailed name='a' message='m']\"", "Succeeded")]
    [TestCase("artifactRules", "", "echo \"##teamcity[testFailed name='a' message='m']\"", "Failed")]
    [TestCase("artifactRules", "", "echo \"##teamcity[message text='m' status='ERROR']\"", "Succeeded")]
    [TestCase("shouldFailBuildOnAnyErrorMessage", "true", "echo \"##teamcity[message text='m' status='ERROR']\"", "Failed")]
    [TestCase("artifactRules", "", "echo \"##teamcity[buildStop comment='enough' readdToQueue='false']\"", "Cancelled")]
    public async Task Fails_a_build_by_its_options(string option, string value, string script, string state)
    {
        toy.Build("Toy_A",
            $"    <options><option name=\"{option}\" value=\"{value}\" /></options>\n" +
                ToyTree.Runners(ToyTree.Script(script)) +
                ToyTree.Vcs +
                ToyTree.Trigger());
        Assert.That((await RunAsync()).Single().State.ToString(), Is.EqualTo(state));
    }

    [Test]
    public async Task Does_not_start_what_no_agent_could()
    {
        toy.Build("Toy_A",
            ToyTree.Runners(ToyTree.Script("exit 0")) +
                ToyTree.Vcs +
                "    <requirements>\n      <equals id=\"RQ_1\" name=\"teamcity.agent.jvm.os.name\" value=\"Plan 9\" />\n" +
                "    </requirements>\n" +
                ToyTree.Trigger());
        var build = (await RunAsync()).Single();
        Assert.That(build.State, Is.EqualTo(BuildState.FailedToStart));
        Assert.That(build.Summary, Does.Contain("Plan 9"));
    }

    [Test]
    public async Task Asks_a_stopped_step_to_clean_up_and_then_runs_the_end_of_the_chain()
    {
        toy.Build("Toy_A",
            ToyTree.Runners(ToyTree.Script(
                "trap 'echo cleaned > \"%teamcity.build.tempDir%/../cleaned\"; exit 130' TERM\nsleep 600 & echo " +
                "\"##teamcity[progressMessage 'up']\"\nwait"))
                + ToyTree.Vcs);
        toy.Build("Toy_B",
            ToyTree.Runners(ToyTree.Script("exit 0")) + ToyTree.Vcs + ToyTree.Dependencies(ToyTree.After("Toy_A")));
        toy.Build("Toy_C",
            ToyTree.Runners(ToyTree.Script("echo the end"))
                + ToyTree.Vcs
                + ToyTree.Trigger()
                + ToyTree.Dependencies(ToyTree.After("Toy_A", "RUN", "RUN"), ToyTree.After("Toy_B", "RUN", "RUN")));
        using var stop = new CancellationTokenSource();
        var builds = await RunAsync(changed: build =>
        {
            if (build.Doing == "up") stop.Cancel();
        }, stop: stop.Token);
        Assert.That(
            builds.Select(build => build.State),
            Is.EqualTo(new[] { BuildState.Cancelled, BuildState.FailedToStart, BuildState.Succeeded }));
        Assert.That(File.Exists(Path.Combine(workspace.Folder, "agents", builds[0].Agent, "temp", "cleaned")));
        Assert.That(File.ReadAllText(builds[2].LogFile), Does.Contain("the end"));
    }

    [Test]
    public async Task Never_writes_a_secret_to_its_log()
    {
        toy.Build("Toy_A",
            "    <parameters><param name=\"env.TOKEN\" value=\"\" spec=\"password display='normal'\" /></parameters>\n" +
                ToyTree.Runners(ToyTree.Script("echo \"it is $TOKEN\"")) +
                ToyTree.Vcs +
                ToyTree.Trigger());
        given["Toy_A:env.TOKEN"] = "s3cr3t-value";
        var build = (await RunAsync()).Single();
        Assert.That(File.ReadAllText(build.LogFile), Does.Contain("it is ***").And.Not.Contain("s3cr3t"));
        Assert.That(File.ReadAllText(Path.Combine(build.Folder, "build.json")), Does.Not.Contain("s3cr3t"));
    }

    [Test]
    public async Task Keeps_work_folders_between_builds_but_cleans_them_when_the_branch_changes()
    {
        toy.Build("Toy_A",
            ToyTree.Runners(ToyTree.Script("ls > \"%teamcity.build.tempDir%/../listing\"; touch left-over"))
                + ToyTree.Vcs
                + ToyTree.Trigger("+:*"));
        await RunAsync();
        await RunAsync();
        var listing = Path.Combine(workspace.Folder, "agents", "agent-1", "temp", "listing");
        Assert.That(File.ReadAllLines(listing), Is.EqualTo(new[] { "file", "left-over" }));
        await RunAsync(branch: "main");
        Assert.That(File.ReadAllLines(listing), Is.EqualTo(new[] { "file" }));
    }

    [Test]
    public void Lets_one_run_at_a_time_into_a_workspace() =>
        Assert.That(() => Workspace.Open(workspace.Folder), Throws.InstanceOf<UsageException>().With.Message.Contains("in use"));

    private async Task<IReadOnlyList<BuildRun>> RunAsync(
        IReadOnlyDictionary<string, string>? outer = null,
        string branch = "ci/x",
        Action<BuildRun>? changed = null,
        CancellationToken stop = default)
    {
        var tree = toy.Load();
        var plan = ChainPlanner.Triggered(tree, branch);
        var environment = new Dictionary<string, string>(outer ?? new Dictionary<string, string>())
        {
            ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? ""
        };
        var number = workspace.Next("chain").ToString("0000");
        var chain = new ChainRecord(Path.Combine(workspace.ChainsFolder, number), number, plan.Branch,
            new Dictionary<string, string> { ["Toy_Root"] = git.Git("rev-parse", plan.Branch.FullName) },
            TimeProvider.System.GetUtcNow(),
            plan.Tops,
            git.Origin);
        chain.Write();
        using var execution = new ChainExecution(
            tree,
            plan,
            chain,
            workspace,
            1,
            new ExecutionOptions(git.Folder, environment, given, new Dictionary<string, string>(), TimeSpan.FromSeconds(20)),
            TimeProvider.System,
            changed ?? (_ => { }));
        await execution.RunAsync(stop);
        return execution.Builds;
    }
}
