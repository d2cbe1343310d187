using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Pipeline.Tests;

public sealed class A_run
{
    private GitRepositories git = null!;
    private GitClone clone = null!;
    private string main = null!;

    [SetUp]
    public void A_repository_with_a_private_branch()
    {
        git = new GitRepositories();
        clone = git.Clone();
        main = clone.Commit("ci-steps.yaml", Sample.Least);
        clone.Push();
        clone.Branch("ci/x");
        clone.Commit("app/a", "1");
        clone.Push();
    }

    [TearDown]
    public void Removed() => git.Dispose();

    [Test]
    public async Task Takes_branch_and_commit_from_the_work_tree()
    {
        var opened = await Opened.In(clone, time: new FakeTimeProvider(new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero)));
        Assert.Multiple(() =>
        {
            Assert.That(opened.Exit, Is.Zero, opened.Output);
            Assert.That(opened.Run, Is.EqualTo(new RunIdentity("file://" + git.Origin, "ci/x", false, clone.Head,
                "0-dev.20300102030405", false)
            { PolicyCommit = main }));
            Assert.That((opened.TargetTip, opened.Base), Is.EqualTo((main, main)));
            Assert.That(opened.Changed, Is.EqualTo(new[] { "app/a" }));
            Assert.That(opened.Policy, Is.EqualTo($"ci-steps.yaml at main ({main[..12]})"));
        });
    }

    [Test]
    public async Task Takes_the_branch_from_the_build_server_where_the_head_is_detached()
    {
        clone.Git("checkout", "--quiet", "--detach");
        var opened = await Opened.In(
            clone,
            parameters: new() { ["teamcity.build.branch"] = "ci/x", ["build.number"] = "17", ["build.vcs.number"] = clone.Head });
        Assert.That(opened.Run, Is.EqualTo(new RunIdentity("file://" + git.Origin, "ci/x", false, clone.Head, "17",
            false)
        { PolicyCommit = main }), opened.Output);
    }

    [TestCase("<default>", null)]
    [TestCase("main", "true")]
    [TestCase("refs/heads/main", null)]
    [TestCase("whatever", "true")]
    [TestCase(null, null)]
    public async Task Knows_the_default_branch_by_any_of_its_names(string? name, string? isDefault)
    {
        clone.Checkout(main);
        var parameters = new Dictionary<string, string> { ["build.number"] = "1" };
        if (name is not null) parameters["teamcity.build.branch"] = name;
        if (isDefault is not null) parameters["teamcity.build.branch.is_default"] = isDefault;
        var opened = await Opened.In(clone, parameters: parameters);
        Assert.That(
            (opened.Run?.Branch, opened.Run?.IsTargetBranch, opened.Base),
            Is.EqualTo(("main", true, (string?)null)),
            opened.Output);
    }

    [Test]
    public async Task Needs_to_be_told_the_branch_on_a_laptop_with_a_detached_head()
    {
        clone.Checkout(main);
        var opened = await Opened.In(clone);
        Assert.That((opened.Exit, opened.Output.Contains("give --branch")), Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }

    [Test]
    public async Task Refuses_a_commit_that_is_not_checked_out()
    {
        var opened = await Opened.In(clone, ["--commit", main]);
        Assert.That(
            (opened.Exit, opened.Output.Contains("check it out first")), Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }

    [Test]
    public async Task Refuses_a_build_number_that_no_tag_can_hold()
    {
        var opened = await Opened.In(clone, ["--build-number", "1/2"]);
        Assert.That(
            (opened.Exit, opened.Output.Contains("\"1/2\" cannot be part of an image tag")),
            Is.EqualTo((ExitCode.Usage, true)),
            opened.Output);
    }

    [Test]
    public async Task Goes_on_under_one_build_number_on_a_laptop()
    {
        var time = new FakeTimeProvider();
        var first = await Opened.In(clone, step: "one", time: time);
        time.Advance(TimeSpan.FromMinutes(3));
        var second = await Opened.In(clone, step: "two", time: time);
        clone.Commit("app/a", "2");
        var other = await Opened.In(clone, step: "one", time: time);
        Assert.Multiple(() =>
        {
            Assert.That(second.Run!.BuildNumber, Is.EqualTo(first.Run!.BuildNumber));
            Assert.That(other.Run!.BuildNumber, Is.Not.EqualTo(first.Run.BuildNumber));
        });
    }

    [Test]
    public async Task Begins_a_new_one_on_a_laptop_when_uncommitted_files_change()
    {
        var time = new FakeTimeProvider();
        var clean = await Opened.In(clone, step: "one", time: time);
        clone.Write("app/new", "x");
        time.Advance(TimeSpan.FromMinutes(1));
        var dirty = await Opened.In(clone, step: "one", time: time);
        time.Advance(TimeSpan.FromMinutes(1));
        var same = await Opened.In(clone, step: "two", time: time);
        clone.Write("app/new", "y");
        time.Advance(TimeSpan.FromMinutes(1));
        var changed = await Opened.In(clone, step: "two", time: time);
        Assert.Multiple(() =>
        {
            Assert.That(clean.Run!.Dirty, Is.False);
            Assert.That(dirty.Run!.Dirty, Is.True);
            Assert.That(dirty.Changed, Does.Contain("app/new"));
            Assert.That(same.Run!.BuildNumber, Is.EqualTo(dirty.Run.BuildNumber).And.Not.EqualTo(clean.Run.BuildNumber));
            Assert.That(changed.Run!.BuildNumber, Is.Not.EqualTo(dirty.Run.BuildNumber));
        });
    }

    [Test]
    public async Task Takes_new_files_on_a_build_server_for_what_earlier_steps_made()
    {
        clone.Write("app/made", "x");
        var opened = await Opened.In(clone, parameters: new() { ["teamcity.build.branch"] = "ci/x", ["build.number"] = "17" });
        clone.Write("app/a", "changed");
        var changed = await Opened.In(clone, parameters: new() { ["teamcity.build.branch"] = "ci/x", ["build.number"] = "17" });
        Assert.That((opened.Run!.Dirty, changed.Run!.Dirty), Is.EqualTo((false, true)));
    }

    [Test]
    public async Task Takes_test_reports_for_no_change_of_the_sources()
    {
        clone.Commit("ci-steps.yaml",
            "components: [{ name: app, paths: [app/**], unit-tests: [{ run: x, reports: [app/build/*.xml] }] }]");
        clone.Write("app/build/r.xml", "x");
        Assert.That((await Opened.In(clone)).Run!.Dirty, Is.False);
    }

    [Test]
    public async Task Is_judged_by_the_file_of_the_target_branch_and_not_by_its_own()
    {
        clone.Commit("ci-steps.yaml", Sample.Least.Replace("app", "mine"));
        var opened = await Opened.In(clone);
        Assert.That((opened.Change, opened.Policy), Is.EqualTo(("ci-steps.yaml", $"ci-steps.yaml at main ({main[..12]})")));
    }

    [Test]
    public async Task Is_judged_by_its_own_file_when_the_target_has_none_yet_and_says_so()
    {
        using var fresh = new GitRepositories();
        var first = fresh.Clone();
        first.Branch("ci/first");
        first.Commit("ci-steps.yaml", Sample.Least);
        var opened = await Opened.In(first);
        Assert.That((opened.Exit, opened.Policy), Is.EqualTo((0, "ci-steps.yaml")), opened.Output);
        Assert.That(opened.Output, Does.Contain("warning: there is no branch \"main\" on the origin yet"));
        Assert.That((opened.Base, opened.Touched), Is.EqualTo(((string?)null, new[] { "app" })), "all of it is new");
    }

    [Test]
    public async Task Does_not_let_a_change_choose_another_judge()
    {
        clone.Commit("ci-steps.yaml", "branches: { target: evil }\n" + Sample.Least);
        var opened = await Opened.In(clone);
        Assert.That(
            (opened.Exit, opened.Output.Contains("does not choose the branch that judges it")),
            Is.EqualTo((ExitCode.Usage, true)),
            opened.Output);
    }

    [Test]
    public async Task Does_not_let_a_change_name_a_target_that_names_another()
    {
        clone.Checkout("main");
        clone.Branch("trap");
        clone.Push();
        clone.Checkout("ci/x");
        clone.Commit("ci-steps.yaml", "branches: { target: trap }\n" + Sample.Least);
        var opened = await Opened.In(clone);
        Assert.That((opened.Exit, opened.Output.Contains("the file of \"main\" says \"main\"")),
            Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }

    [Test]
    public async Task Takes_the_target_that_it_is_told_above_every_file()
    {
        clone.Checkout("main");
        clone.Branch("stable");
        var stable = clone.Commit("app/b", "stable");
        clone.Push();
        clone.Checkout("ci/x");
        clone.Commit("ci-steps.yaml", "branches: { target: evil }\n" + Sample.Least);
        var opened = await Opened.In(clone, ["--target-branch", "stable"]);
        Assert.That((opened.Exit, opened.TargetTip, opened.Base), Is.EqualTo((0, stable, main)), opened.Output);
        clone.Checkout("stable");
        Assert.That((await Opened.In(clone, ["--target-branch", "stable"])).Run!.IsTargetBranch, Is.True);
    }

    [Test]
    public async Task Passes_when_it_mends_the_targets_broken_file()
    {
        clone.Checkout("main");
        clone.Commit("ci-steps.yaml", "nonsense: 1");
        clone.Push();
        clone.Checkout("ci/x");
        var opened = await Opened.In(clone);
        Assert.That((opened.Exit, opened.Policy), Is.EqualTo((0, "ci-steps.yaml")), opened.Output);
        Assert.That(opened.Output, Does.Contain("the pipeline file of \"main\" is wrong"));
    }

    [Test]
    public async Task Leaves_evidence_of_a_wrong_pipeline_file()
    {
        clone.Commit("ci-steps.yaml", "nonsense: 1");
        var opened = await Opened.In(clone);
        Assert.That((opened.Exit, opened.Run?.Branch), Is.EqualTo((ExitCode.Usage, "ci/x")));
        Assert.That(Path.Combine(clone.Folder, ".ci-steps/evidence/probe/statement.json"), Does.Exist);
    }

    [Test]
    public async Task Says_where_a_missing_pipeline_file_was_looked_for()
    {
        var opened = await Opened.In(clone, ["--config", "other.yaml"]);
        Assert.That((opened.Exit, opened.Output.Contains("other.yaml\"")), Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }

    [Test]
    public async Task Is_superseded_on_a_server_when_the_private_branch_has_moved_on()
    {
        var other = git.Clone("other", "--branch=ci/x");
        var newer = other.Commit("app/a", "3");
        other.Push();
        var parameters = new Dictionary<string, string> { ["teamcity.build.branch"] = "ci/x", ["build.number"] = "17" };
        var onServer = await Opened.In(clone, parameters: parameters);
        var onLaptop = await Opened.In(clone);
        Assert.Multiple(() =>
        {
            Assert.That((onServer.Superseded?.Exit, onServer.Superseded?.Reason), Is.EqualTo((ExitCode.Refused, "superseded")));
            Assert.That(onServer.Superseded?.Text, Does.StartWith($"superseded by {newer[..12]}"));
            Assert.That(onLaptop.Superseded, Is.Null);
            Assert.That(onLaptop.Output, Does.Contain("warning: superseded by"));
        });
    }

    [Test]
    public async Task Is_not_superseded_by_what_it_is_ahead_of()
    {
        clone.Commit("app/a", "local");
        Assert.That(
            (await Opened.In(
                clone, parameters: new() { ["teamcity.build.branch"] = "ci/x", ["build.number"] = "17" })).Superseded,
            Is.Null);
    }

    [Test]
    public async Task Refuses_a_folder_that_is_no_work_tree()
    {
        using var folder = new TestFolder();
        var opened = await Opened.In(new GitClone(folder.Path));
        Assert.That(
            (opened.Exit, opened.Output.Contains("is not a git work tree")), Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }

    [Test]
    public async Task Refuses_a_folder_inside_a_work_tree()
    {
        var opened = await Opened.In(new GitClone(Path.Combine(clone.Folder, "app")));
        Assert.That(
            (opened.Exit, opened.Output.Contains($"inside the work tree \"{clone.Folder}\"")),
            Is.EqualTo((ExitCode.Usage, true)),
            opened.Output);
    }

    [Test]
    public async Task Refuses_a_repository_without_commits()
    {
        using var empty = new GitRepositories();
        var opened = await Opened.In(empty.Clone());
        Assert.That(
            (opened.Exit, opened.Output.Contains("has no commit yet")), Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }
}
