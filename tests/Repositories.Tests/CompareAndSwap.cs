using System.Text;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Repositories.Tests;

/// <summary>A push lands on the commit that it was decided on, or nowhere.</summary>
[TestFixture("file")]
[TestFixture("ssh")]
[TestFixture("http")]
public sealed class A_push_that_carries_the_old_value(string protocol)
{
    // Between what the server told and what it writes; such a hook may not touch references, unless it forgets where it runs.
    private const string Meanwhile = "unset GIT_QUARANTINE_PATH; git update-ref refs/heads/";

    private ServedOrigin served = null!;
    private GitClone clone = null!;
    private WorkRepository repository = null!;
    private OriginRemote origin = null!;
    private string first = "";
    private string second = "";

    private GitRepositories Git => served.Git;

    [SetUp]
    public async Task Two_commits()
    {
        served = await ServedOrigin.StartAsync(protocol);
        clone = Git.Clone();
        first = clone.Commit("a", "1");
        second = clone.Commit("a", "a leaked secret");
        clone.Push();
        served.Serve(clone);
        Open();
    }

    private void Open()
    {
        repository?.Dispose();
        repository = WorkRepository.Open(clone.Folder);
        origin = new OriginRemote(repository, new RemoteAccess(ServedOrigin.User, ServedOrigin.Token), TimeProvider.System,
            BuildLog.Silent);
    }

    [TearDown]
    public async Task Removed()
    {
        repository.Dispose();
        await served.DisposeAsync();
    }

    private string Main => Git.Git("rev-parse", "main");

    [Test]
    public async Task Does_not_land_on_a_target_that_was_rewound()
    {
        Git.Git("update-ref", "refs/heads/main", first);
        var push = await origin.PushAsync(clone.Commit("b", "1"), "main", second, default);
        Assert.That((push.End, Main), Is.EqualTo((PushEnd.Moved, first)), push.Text);
    }

    [Test]
    public async Task Does_not_land_on_a_target_that_is_rewound_while_the_server_takes_it()
    {
        Git.Hook("pre-receive", Meanwhile + $"main {first}");
        var push = await origin.PushAsync(clone.Commit("b", "1"), "main", second, default);
        Assert.That((push.End, Main), Is.EqualTo((PushEnd.Moved, first)), push.Text);
    }

    [Test]
    public async Task Does_not_land_though_it_would_follow_what_is_there()
    {
        var third = clone.Commit("b", "1");
        clone.Git("push", "--quiet", "file://" + Git.Origin, $"{third}:refs/heads/main");
        var push = await origin.PushAsync(clone.Commit("b", "2"), "main", second, default);
        Assert.That((push.End, Main), Is.EqualTo((PushEnd.Moved, third)), push.Text);
    }

    [Test]
    public async Task Removes_no_branch_to_which_somebody_pushes_while_it_is_removed()
    {
        Git.Git("branch", "ci/x", first);
        Git.Hook("pre-receive", Meanwhile + $"ci/x {second}");
        var gone = await origin.DeleteAsync("ci/x", first, default);
        Assert.That((gone.End, Git.Git("rev-parse", "ci/x")), Is.EqualTo((PushEnd.Moved, second)), gone.Text);
    }

    [Test]
    public async Task Takes_nothing_along_and_is_not_led_elsewhere_by_the_clones_configuration()
    {
        using var elsewhere = new GitRepositories();
        var commit = clone.Commit("b", "1");
        clone.Git("tag", "--annotate", "--message", "v1", "v1");
        clone.Git("config", "push.followTags", "true");
        clone.Git("config", "push.recurseSubmodules", "on-demand");
        clone.Git("config", "push.gpgSign", "true");
        clone.Git("config", "push.pushOption", "unheard-of");
        clone.Git("config", "commit.gpgSign", "true");
        clone.Git("config", "core.autocrlf", "true");
        clone.Git("config", "remote.origin.pushurl", elsewhere.Origin);
        clone.Git("config", $"url.{elsewhere.Origin}.pushInsteadOf", clone.Git("config", "remote.origin.url"));
        clone.Git("config", "core.hooksPath", Path.Combine(Git.Folder, "hooks"));
        Directory.CreateDirectory(Path.Combine(Git.Folder, "hooks"));
        foreach (var hook in (string[])["pre-push", "reference-transaction", "post-index-change"])
        {
            var file = Path.Combine(Git.Folder, "hooks", hook);
            File.WriteAllText(file, "#!/bin/sh\necho ran >> \"$0.ran\"\nexit 1\n");
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        Open();
        var push = await origin.PushAsync(commit, "main", second, default);
        Assert.Multiple(() =>
        {
            Assert.That((push.End, Main), Is.EqualTo((PushEnd.Accepted, commit)), push.Text);
            Assert.That(Git.Git("for-each-ref", "--format=%(refname)"), Is.EqualTo("refs/heads/main"));
            Assert.That(elsewhere.Git("for-each-ref"), Is.Empty);
            Assert.That(Directory.GetFiles(Path.Combine(Git.Folder, "hooks"), "*.ran"), Is.Empty, "no hook of the clone ran");
        });
    }

    [Test]
    public async Task Goes_where_reading_goes_by_the_clones_other_names_for_addresses()
    {
        var address = clone.Git("config", "remote.origin.url");
        var start = address[..(address.IndexOf("://", StringComparison.Ordinal) + 3)];
        clone.Git("config", "remote.origin.url", "short:" + address[start.Length..]);
        clone.Git("config", $"url.{start}.insteadOf", "short:");
        Open();
        var commit = clone.Commit("b", "1");
        var push = await origin.PushAsync(commit, "main", second, default);
        Assert.That((push.End, Main), Is.EqualTo((PushEnd.Accepted, commit)), push.Text);
    }

    [Test]
    public async Task Lets_the_servers_last_hook_run_to_its_end()
    {
        Git.Hook("post-receive", "sleep 1; echo done; touch \"$GIT_DIR/ran\"");
        var push = await origin.PushAsync(clone.Commit("b", "1"), "main", second, default);
        Assert.That((push.End, File.Exists(Path.Combine(Git.Origin, "ran"))), Is.EqualTo((PushEnd.Accepted, true)), push.Text);
    }

    [Test]
    public async Task Waits_for_a_silent_server_only_as_long_as_it_is_told_and_for_one_that_speaks_longer()
    {
        var told = new OriginRemote(repository, new RemoteAccess(ServedOrigin.User, ServedOrigin.Token), TimeProvider.System,
            BuildLog.Silent, TimeSpan.FromSeconds(2));
        Git.Hook("pre-receive", "for at in 1 2 3 4 5 6; do sleep 0.7; echo still here >&2; done");
        var commit = clone.Commit("b", "1");
        Assert.That((await told.PushAsync(commit, "main", second, default)).End, Is.EqualTo(PushEnd.Accepted));
        Git.Hook("pre-receive", "sleep 30");
        var began = TimeProvider.System.GetTimestamp();
        var push = await told.PushAsync(clone.Commit("b", "2"), "main", commit, default);
        Assert.Multiple(() =>
        {
            Assert.That((push.End, push.Text.Contains("no answer within 2s")), Is.EqualTo((PushEnd.Network, true)), push.Text);
            Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(TimeSpan.FromSeconds(15)));
        });
    }

    [TestCase(
        "echo 'GH006: Protected branch update failed for refs/heads/main.' >&2; " +
        "echo 'Changes must be made through a pull request.' >&2; exit 1",
        PushEnd.Protected,
        "GH006")]
    [TestCase(
        "echo 'GH006: Protected branch update failed for refs/heads/main.' >&2; " +
        "echo 'Required status check \"cisteps/branch-chain\" is expected.' >&2; exit 1",
        PushEnd.RequiredCheck,
        "cisteps/branch-chain")]
    [TestCase(
        "echo 'GH013: Repository rule violations found for refs/heads/main.' >&2; " +
        "echo '- Changes must be made through the merge queue' >&2; exit 1",
        PushEnd.QueueRequired,
        "merge queue")]
    [TestCase(
        "echo 'GH013: Repository rule violations found for refs/heads/main.' >&2; " +
        "echo '- Cannot update this protected ref.' >&2; exit 1",
        PushEnd.Protected,
        "GH013")]
    [TestCase("echo 'GitLab: You are not allowed to push code to protected branches on this project.' >&2; exit 1",
        PushEnd.Protected, "GitLab: You are not allowed")]
    [TestCase(
        "echo 'Branch refs/heads/main can only be modified through pull requests.' >&2; " +
        "echo 'Check your branch permissions configuration with the project administrator.' >&2; exit 1",
        PushEnd.Protected,
        "project administrator")]
    [TestCase(
        "echo 'TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.' " +
        ">&2; exit 1",
        PushEnd.Protected,
        "TF402455")]
    [TestCase("echo \"TF401027: You need the Git 'GenericContribute' permission to perform this action.\" >&2; exit 1",
        PushEnd.Authentication, "GenericContribute")]
    [TestCase(
        "printf 'counting: 10%%\\rcounting: 100%%\\rno merges on fridays\\n' >&2; exit 1", PushEnd.Hook, "no merges on fridays")]
    public async Task Brings_the_servers_own_words_and_their_class(string hook, PushEnd end, string words)
    {
        Git.Hook("pre-receive", hook);
        var push = await origin.PushAsync(clone.Commit("b", "1"), "main", second, default);
        Assert.That((push.End, Main), Is.EqualTo((end, second)), push.Text);
        Assert.That(push.Text, Does.Contain(words).And.Not.Contain("counting"));
    }
}

/// <summary>Answers over HTTP that are none.</summary>
public sealed class A_push_without_a_whole_answer
{
    private ServedOrigin served = null!;
    private GitClone clone = null!;
    private WorkRepository repository = null!;
    private OriginRemote origin = null!;
    private string first = "";

    [SetUp]
    public async Task A_commit()
    {
        served = await ServedOrigin.StartAsync("http");
        clone = served.Git.Clone();
        first = clone.Commit("a", "1");
        clone.Push();
        served.Serve(clone);
        repository = WorkRepository.Open(clone.Folder);
        origin = new OriginRemote(repository, new RemoteAccess(ServedOrigin.User, ServedOrigin.Token), TimeProvider.System,
            BuildLog.Silent);
    }

    [TearDown]
    public async Task Removed()
    {
        repository.Dispose();
        await served.DisposeAsync();
    }

    private static string Line(string text) => $"{text.Length + 4:x4}{text}";

    private void Answering(string body) => served.Http!.Instead = async context =>
    {
        if (context.Request.Method != "POST") return false;
        await context.Request.Body.CopyToAsync(Stream.Null);
        context.Response.ContentType = "application/x-git-receive-pack-result";
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body));
        return true;
    };

    [Test]
    public async Task Is_no_verdict([Values("empty", "no-ok", "no-ok-in-a-band", "other-ref", "half-a-line", "page")] string kind)
    {
        var inside = Line("unpack ok\n") + "0000";
        Answering(kind switch
        {
            "empty" => "",
            "no-ok" => Line("unpack ok\n") + "0000",
            "no-ok-in-a-band" => Line("\u0001" + inside) + "0000",
            "other-ref" => Line("unpack ok\n") + Line("ok refs/heads/other\n") + "0000",
            "half-a-line" => "000eunpack ok\n0019ok refs/hea",
            _ => "<html>sign in</html>",
        });
        var push = await origin.PushAsync(clone.Commit("b", "1"), "main", first, default);
        Assert.That((push.End, served.Git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Network, first)), push.Text);
    }

    [Test]
    public async Task Is_no_verdict_when_it_is_cut_though_the_server_has_done_it([Values(0, 20, 45)] int bytes)
    {
        served.Http!.CutAfter = bytes;
        var commit = clone.Commit("b", "1");
        var push = await origin.PushAsync(commit, "main", first, default);
        Assert.That((push.End, served.Git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Network, commit)), push.Text);
    }

    [Test]
    public async Task Is_no_verdict_when_the_server_could_not_unpack()
    {
        Answering(Line("unpack index-pack abnormal exit\n") + Line("ng refs/heads/main unpacker error\n") + "0000");
        Assert.That((await origin.PushAsync(clone.Commit("b", "1"), "main", first, default)).End, Is.EqualTo(PushEnd.Network));
    }
}
