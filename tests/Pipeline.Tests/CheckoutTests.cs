using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Pipeline.Tests;

/// <summary>A run on checkouts as build servers make them: what the clone does not have is asked of the origin, and what the
/// origin does not say is not taken for "unchanged".</summary>
public sealed class A_checkout
{
    private static readonly Dictionary<string,
        string> Server = new() { ["teamcity.build.branch"] = "ci/x", ["build.number"] = "17" };

    private GitRepositories git = null!;
    private string main = null!;
    private string fork = null!;
    private string change = null!;

    [SetUp]
    public void Of_a_private_branch()
    {
        git = new GitRepositories();
        var clone = git.Clone("author");
        fork = clone.Commit("ci-steps.yaml", Sample.Least);
        clone.Branch("ci/x");
        for (var number = 1; number <= 3; number++) change = clone.Commit("app/a", $"{number}");
        clone.Push();
        clone.Checkout("main");
        main = clone.Commit("other", "moved");
        clone.Push();
    }

    [TearDown]
    public void Removed() => git.Dispose();

    // As agents do it: an empty repository, the one branch, its commit without a branch name.
    private GitClone Agent(string name = "agent", params string[] more)
    {
        var clone = new GitClone(Path.Combine(git.Folder, name));
        Directory.CreateDirectory(clone.Folder);
        clone.Git("init", "--quiet");
        clone.Git("remote", "add", "origin", "file://" + git.Origin);
        clone.Git(["fetch", "--quiet", .. more, "origin", "+refs/heads/ci/x:refs/remotes/origin/ci/x"]);
        clone.Git("checkout", "--quiet", "--detach", change);
        return clone;
    }

    private GitClone Made(string how)
    {
        if (how == "single-branch") return git.Clone("agent", "--single-branch", "--branch=ci/x");
        if (how == "depth-1") return git.Clone("agent", "--depth=1", "--branch=ci/x");
        if (how == "detached") return Agent();
        if (how == "detached-depth-1") return Agent("agent", "--depth=1");
        GitRepositories.Run(git.Folder, "git", "clone", "--quiet", "--mirror", "file://" + git.Origin, "mirror.git");
        return git.Clone("agent", "--single-branch", "--branch=ci/x", "--reference=" + Path.Combine(git.Folder, "mirror.git"));
    }

    [Test]
    public async Task Knows_what_changed(
        [Values("single-branch", "depth-1", "detached", "detached-depth-1", "mirror-fed")] string how, [Values] bool onServer)
    {
        var clone = Made(how);
        var before = clone.Git("for-each-ref", "--format=%(refname) %(objectname)");
        var opened = await Opened.In(clone, onServer ? [] : ["--branch", "ci/x"], parameters: onServer ? Server : null);
        Assert.Multiple(() =>
        {
            Assert.That(opened.Exit, Is.Zero, opened.Output);
            Assert.That((opened.TargetTip, opened.Base, opened.Policy),
                Is.EqualTo((main, fork, $"ci-steps.yaml at main ({main[..12]})")));
            Assert.That((opened.Changed, opened.Touched), Is.EqualTo((new[] { "app/a" }, new[] { "app" })));
            Assert.That((opened.Run!.PolicyCommit, opened.Run.BaseUnknown), Is.EqualTo((main, false)));
            Assert.That(clone.Git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/remotes", "refs/tags"),
                Is.EqualTo(before), "the clone's references stay");
            Assert.That(clone.Git("fsck", "--connectivity-only", "--no-dangling"), Is.Empty);
        });
    }

    [Test]
    public async Task Is_not_judged_by_a_target_that_it_remembers()
    {
        var clone = git.Clone("agent", "--branch=ci/x");
        clone.Git("update-ref", "refs/remotes/origin/main", fork);
        var opened = await Opened.In(clone, parameters: Server);
        Assert.That((opened.Exit, opened.TargetTip), Is.EqualTo((0, main)), opened.Output);
    }

    [Test]
    public async Task Whose_target_cannot_be_read_is_refused_on_a_server_with_what_to_set()
    {
        await using var http = await GitHttpServer.StartAsync(git.Folder, "x-access-token:secret");
        var clone = Agent();
        clone.Git("remote", "set-url", "origin", http.Url + "origin.git");
        var opened = await Opened.In(clone, parameters: Server);
        Assert.That(opened.Exit, Is.EqualTo(ExitCode.Usage), opened.Output);
        Assert.That(opened.Output, Does.Contain("the tip of \"main\"").And.Contain(http.Url + "origin.git")
            .And.Contain("CISTEPS_GIT_TOKEN").And.Contain("teamcity.git.fetchAllHeads=true"));
        Assert.That(opened.Run!.BaseUnknown, Is.True, "what is left as evidence is not taken for a judgement");

        var allowed = await Opened.In(clone, environment: new() { ["CISTEPS_GIT_TOKEN"] = "secret" }, parameters: Server);
        Assert.That((allowed.Exit, allowed.Base), Is.EqualTo((0, fork)), allowed.Output);
    }

    // A server that does not show the repository to everybody says that there is none.
    [Test]
    public async Task Whose_origin_says_that_there_is_no_such_repository_is_refused_on_a_server_and_tests_all_on_a_laptop()
    {
        await using var http = await GitHttpServer.StartAsync(git.Folder, null);
        var clone = Agent();
        clone.Git("remote", "set-url", "origin", http.Url + "hidden.git");
        var onServer = await Opened.In(clone, parameters: Server);
        var onLaptop = await Opened.In(clone, ["--branch", "ci/x"]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((onServer.Exit, onServer.Run!.BaseUnknown), Is.EqualTo((ExitCode.Usage, true)), onServer.Output);
            Assert.That(
                onServer.Output,
                Does.Contain(http.Url + "hidden.git").And.Contain("the repository does not exist, or there " +
                    "are no rights to see it").And.Contain("CISTEPS_GIT_TOKEN"));
            Assert.That(
                (onLaptop.Exit, onLaptop.Run!.BaseUnknown, onLaptop.Base), Is.EqualTo((0, true, (string?)null)), onLaptop.Output);
            Assert.That(onLaptop.Touched, Is.EqualTo(new[] { "app" }));
        }
    }

    // The target's tip is known by its name, and its commits cannot be had: the server loses the repository in between.
    [Test]
    public async Task Whose_origin_loses_the_repository_before_the_tip_is_fetched_is_refused_on_a_server()
    {
        await using var http = await GitHttpServer.StartAsync(git.Folder, null);
        var clone = Agent();
        clone.Git("remote", "set-url", "origin", http.Url + "origin.git");
        http.Missing = request => request.EndsWith("git-upload-pack", StringComparison.Ordinal);
        var onServer = await Opened.In(clone, parameters: Server);
        var onLaptop = await Opened.In(clone, ["--branch", "ci/x"]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((onServer.Exit, onServer.Run!.BaseUnknown), Is.EqualTo((ExitCode.Usage, true)), onServer.Output);
            Assert.That(onServer.Output, Does.Contain(http.Url + "origin.git"));
            Assert.That(
                (onLaptop.Exit, onLaptop.Run!.BaseUnknown, onLaptop.Base), Is.EqualTo((0, true, (string?)null)), onLaptop.Output);
        }
    }

    [Test]
    public async Task That_fetched_all_heads_is_enough_where_the_step_may_not_ask()
    {
        await using var http = await GitHttpServer.StartAsync(git.Folder, "x-access-token:secret");
        var clone = Agent();
        clone.Git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*");
        clone.Git("remote", "set-url", "origin", http.Url + "origin.git");
        var all = new Dictionary<string, string>(Server) { ["teamcity.git.fetchAllHeads"] = "true" };
        var opened = await Opened.In(clone, ["--target-branch", "main"], parameters: all);
        Assert.That((opened.Exit, opened.TargetTip, opened.Base), Is.EqualTo((0, main, fork)), opened.Output);
        Assert.That(opened.Output, Does.Contain("as the checkout fetched them"));
        Assert.That((await Opened.In(clone, ["--target-branch", "main"], parameters: Server)).Exit, Is.EqualTo(ExitCode.Usage),
            "what is there may be of any age");
    }

    [Test]
    public async Task Whose_origin_is_down_is_an_outage_on_a_server()
    {
        var clone = Agent();
        clone.Git("remote", "set-url", "origin", "http://127.0.0.1:9/origin.git");
        var opened = await Opened.In(clone, parameters: Server, time: TimeProvider.System);
        Assert.That((opened.Exit, opened.Run?.BaseUnknown), Is.EqualTo((ExitCode.Unavailable, true)), opened.Output);
    }

    [Test]
    public async Task Counts_everything_as_changed_on_a_laptop_whose_origin_is_down()
    {
        var clone = git.Clone("laptop", "--branch=ci/x");
        clone.Git("remote", "set-url", "origin", "http://127.0.0.1:9/origin.git");
        clone.Commit("ci-steps.yaml", Sample.Least + "\n  - { name: untouched, paths: [nowhere/**] }");
        var opened = await Opened.In(clone);
        Assert.Multiple(() =>
        {
            Assert.That(opened.Exit, Is.Zero, opened.Output);
            Assert.That((opened.Base, opened.Touched), Is.EqualTo(((string?)null, new[] { "app", "untouched" })));
            Assert.That(opened.Run!.BaseUnknown, Is.True);
            // What is the matter, what it means, and what becomes of it.
            Assert.That(
                opened.Output,
                Does.Match("warning: it is not known what the target branch has now, so everything counts as " +
                    "changed, and merge, certify and promote will not take this run's evidence: .*127\\.0\\.0\\.1:9"));
        });
    }

    [Test]
    public async Task Without_an_origin_is_refused_on_a_server_and_is_its_own_on_a_laptop()
    {
        var clone = git.Clone("agent", "--branch=ci/x");
        clone.Git("branch", "main", main);
        clone.Git("remote", "remove", "origin");
        var onServer = await Opened.In(clone, parameters: Server);
        Assert.That((onServer.Exit, onServer.Output.Contains("has no remote \"origin\"")), Is.EqualTo((ExitCode.Usage, true)),
            onServer.Output);
        var onLaptop = await Opened.In(clone);
        Assert.That((onLaptop.Exit, onLaptop.Base, onLaptop.Run!.BaseUnknown), Is.EqualTo((0, fork, false)), onLaptop.Output);
    }

    // Whichever of the two ancestors is the one that a search finds first.
    [Test]
    public async Task Where_each_side_merged_the_other_is_compared_with_both(
        [Values] bool changeIsOlder, [Values] bool shallow)
    {
        var clone = git.Clone("both", "--branch=ci/x");
        string At(int hour, string file, string text)
        {
            clone.Write(file, text);
            clone.Git("add", file);
            GitRepositories.Run(clone.Folder, "env", $"GIT_COMMITTER_DATE=2026-11-01T{hour:00}:00:00Z",
                "git", "commit", "--quiet", "--message", text);
            return clone.Head;
        }

        clone.Git("checkout", "--quiet", "-B", "ci/x", "origin/main");
        var before = At(1, "app/a", "before");
        clone.Git("push", "--quiet", "--force", "origin", "HEAD:main", "HEAD:ci/x");
        var own = At(changeIsOlder ? 2 : 3, "app/a", "after");
        clone.Git("checkout", "--quiet", "-B", "main", before);
        var others = At(changeIsOlder ? 3 : 2, "other", "moved again");
        clone.Git("merge", "--quiet", "--no-ff", "--no-edit", own);
        clone.Git("push", "--quiet", "origin", "HEAD:main");
        clone.Git("checkout", "--quiet", "ci/x");
        clone.Git("merge", "--quiet", "--no-ff", "--no-edit", others);
        // As it was before: of the target's own commit nothing has changed, and yet this takes something out of the target.
        change = clone.Commit("app/a", "before");
        clone.Git("push", "--quiet", "origin", "HEAD:ci/x");
        var opened = await Opened.In(shallow ? Agent("agent", "--depth=1") : Agent(), parameters: Server);
        Assert.Multiple(() =>
        {
            Assert.That(opened.Exit, Is.Zero, opened.Output);
            Assert.That(opened.Base?.Split(" or "), Is.EquivalentTo(new[] { own, others }));
            Assert.That(opened.Touched, Is.EqualTo(new[] { "app" }));
        });
    }

    [TestCase("ci-steps.yaml")]
    [TestCase("build/ci-steps.yaml")]
    public async Task Whose_pipeline_file_is_behind_a_link_is_refused(string path)
    {
        var clone = git.Clone("linked", "--branch=ci/x");
        clone.Commit("elsewhere/ci-steps.yaml", Sample.Least);
        clone.Git("rm", "--quiet", "ci-steps.yaml");
        File.CreateSymbolicLink(Path.Combine(clone.Folder, path.Split('/')[0]),
            path.Contains('/', StringComparison.Ordinal) ? "elsewhere" : "elsewhere/ci-steps.yaml");
        change = clone.Commit("a link");
        clone.Push();
        var opened = await Opened.In(Agent(), ["--config", path], parameters: Server);
        Assert.That((opened.Exit, opened.Output.Contains("is a symbolic link in")), Is.EqualTo((ExitCode.Usage, true)),
            opened.Output);
    }

    // Found in the work tree by any spelling; in the target's commit by one.
    [TestCase("./ci-steps.yaml")]
    [TestCase(".//ci-steps.yaml")]
    public async Task Is_judged_by_the_targets_file_however_its_path_is_spelt(string path)
    {
        var opened = await Opened.In(Agent(), ["--config", path], parameters: Server);
        Assert.That((opened.Exit, opened.Run?.PolicyCommit), Is.EqualTo((0, main)), opened.Output);
    }

    [TestCase("../agent/ci-steps.yaml")]
    [TestCase("app/../ci-steps.yaml")]
    [TestCase("/ci-steps.yaml")]
    [TestCase("ci-steps.yaml/")]
    public async Task Whose_pipeline_file_is_not_named_from_its_root_is_refused(string path)
    {
        var opened = await Opened.In(Agent(), ["--config", path], parameters: Server);
        Assert.That((opened.Exit, opened.Output.Contains("is not right for option --config")),
            Is.EqualTo((ExitCode.Usage, true)), opened.Output);
    }

    [Test]
    public async Task Whose_pipeline_file_is_not_committed_is_refused_on_a_server_alone()
    {
        var clone = Agent();
        File.Copy(Path.Combine(clone.Folder, "ci-steps.yaml"), Path.Combine(clone.Folder, "left-over.yaml"));
        var onServer = await Opened.In(clone, ["--config", "left-over.yaml"], parameters: Server);
        Assert.That((onServer.Exit, onServer.Output.Contains("is in the checkout and not in")),
            Is.EqualTo((ExitCode.Usage, true)), onServer.Output);
        var onLaptop = await Opened.In(clone, ["--config", "left-over.yaml", "--branch", "ci/x"]);
        Assert.That(onLaptop.Exit, Is.Zero, onLaptop.Output);
    }

    [Test]
    public async Task Of_an_origin_that_names_no_default_branch_needs_to_be_told_the_target([Values] bool remembersOne)
    {
        git.Git("symbolic-ref", "HEAD", "refs/heads/nowhere");
        var clone = Agent();
        if (remembersOne) clone.Git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main");
        var opened = await Opened.In(clone, parameters: Server);
        Assert.That((opened.Exit, opened.Output.Contains("give --target-branch")), Is.EqualTo((ExitCode.Usage, true)),
            opened.Output);
        Assert.That((await Opened.In(clone, ["--target-branch", "main"], parameters: Server)).Base, Is.EqualTo(fork));
    }
}
