using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Repositories.Tests;

/// <summary>
/// A real remote: on disk, through the ssh protocol (the same program at the other end, started without a network), and over
/// HTTP.
/// </summary>
[TestFixture("file")]
[TestFixture("ssh")]
[TestFixture("http")]
public sealed class An_origin(string protocol)
{
    private GitRepositories git = null!;
    private GitClone clone = null!;
    private WorkRepository repository = null!;
    private OriginRemote origin = null!;
    private GitHttpServer? server;

    [SetUp]
    public async Task With_a_clone()
    {
        git = new GitRepositories();
        clone = git.Clone();
        clone.Commit("a", "1");
        clone.Push();
        if (protocol == "ssh")
        {
            // ssh runs the command that git asks for on the other machine; this one runs it here.
            var program = Path.Combine(git.Folder, "ssh");
            File.WriteAllText(program, "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            clone.Git("config", "core.sshCommand", program);
            clone.Git("remote", "set-url", "origin", "ssh://git@nowhere.invalid" + git.Origin);
        }
        server = protocol == "http" ? await GitHttpServer.StartAsync(git.Folder, "x-access-token:secret") : null;
        if (server is not null) clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        repository = WorkRepository.Open(clone.Folder);
        origin = Origin();
    }

    private OriginRemote Origin(TimeProvider? time = null) =>
        new(
            repository,
            server is null ? null : new RemoteAccess("x-access-token", "secret"),
            time ?? TimeProvider.System,
            BuildLog.Silent);

    [TearDown]
    public async Task Removed()
    {
        if (server is not null) await server.DisposeAsync();
        repository.Dispose();
        git.Dispose();
    }

    private string Elsewhere(string branch, string path, string text)
    {
        var other = git.Clone("other" + Guid.NewGuid().ToString("N"));
        if (branch != "main") other.Branch(branch);
        var commit = other.Commit(path, text);
        other.Push();
        return commit;
    }

    [Test]
    public async Task Tells_its_tips_now()
    {
        Assert.That(await origin.TipOfAsync("main", default), Is.EqualTo(clone.Head));
        Assert.That(await origin.TipOfAsync("nowhere", default), Is.Null);
        var moved = Elsewhere("main", "b", "1");
        Assert.That(await origin.TipOfAsync("main", default), Is.EqualTo(moved));
        Assert.That(repository.FindCommit(moved), Is.Null, "asking fetches nothing");
        Assert.That((await origin.AskAsync(default)).DefaultBranch, Is.EqualTo("main"));
    }

    [Test]
    public async Task Is_fetched_from_without_touching_the_work_tree()
    {
        var moved = Elsewhere("main", "b", "1");
        Assert.That(await origin.FetchAsync("main", default), Is.EqualTo(moved));
        Assert.Multiple(() =>
        {
            Assert.That(repository.RememberedTips["main"], Is.EqualTo(clone.Head),
                "what a person's clone remembers stays as it was");
            Assert.That(repository.LocalTips["main"], Is.EqualTo(clone.Head));
            Assert.That(repository.ReadFile(moved, "b"), Is.EqualTo("1"));
            Assert.That(repository.UncommittedPaths(untrackedToo: true), Is.Empty);
            Assert.That(File.Exists(Path.Combine(clone.Folder, "b")), Is.False);
        });
        Assert.That(await origin.FetchAsync("nowhere", default), Is.Null);
    }

    [Test]
    public async Task Is_believed_when_it_has_a_branch_no_more()
    {
        git.Git("branch", "ci/gone", "main");
        Assert.That(await origin.FetchAsync("ci/gone", default), Is.EqualTo(clone.Head));
        git.Git("branch", "-D", "ci/gone");

        Assert.That(await origin.FetchAsync(["main", "ci/gone"], default), Is.EqualTo(new[] { clone.Head, null }));
        Assert.That(clone.Git("for-each-ref", "--format=%(refname)", "refs/ci-steps", "refs/remotes").Split('\n'),
            Is.EquivalentTo(new[] { "refs/ci-steps/origin/main", "refs/remotes/origin/main" }), "nothing is left of it");
    }

    [Test]
    public async Task Takes_a_commit_that_follows_its_tip()
    {
        var before = clone.Head;
        var next = clone.Commit("a", "2");
        var push = await origin.PushAsync(next, "main", before, default);
        Assert.That((push.End, git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Accepted, next)), push.Text);
        Assert.That((await origin.PushAsync(next, "main", next, default)).End, Is.EqualTo(PushEnd.Accepted), "a second " +
            "time is nothing new");
    }

    [Test]
    public async Task Refuses_a_commit_that_does_not_and_stays_as_it_is()
    {
        var before = clone.Head;
        var moved = Elsewhere("main", "b", "1");
        var push = await origin.PushAsync(clone.Commit("a", "2"), "main", before, default);
        Assert.That((push.End, git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Moved, moved)), push.Text);
    }

    [Test]
    public async Task Refuses_through_its_hook()
    {
        git.Hook("update", "echo 'not today' >&2; exit 1");
        var before = clone.Head;
        var push = await origin.PushAsync(clone.Commit("a", "2"), "main", before, default);
        Assert.That(
            (push.End, git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Hook, clone.Git("rev-parse", "HEAD~1"))), push.Text);
    }

    [Test]
    public async Task Loses_a_branch_only_while_its_tip_is_the_expected_one()
    {
        var tip = Elsewhere("ci/x", "b", "1");
        Assert.That((await origin.DeleteAsync("ci/x", clone.Head, default)).End, Is.EqualTo(PushEnd.Moved));
        Assert.That(git.Git("rev-parse", "ci/x"), Is.EqualTo(tip));
        Assert.That((await origin.DeleteAsync("ci/x", tip, default)).End, Is.EqualTo(PushEnd.Accepted));
        Assert.That(git.Git("branch", "--list", "ci/x"), Is.Empty);
        Assert.That((await origin.DeleteAsync("ci/x", tip, default)).End, Is.EqualTo(PushEnd.Accepted));
    }

    [Test]
    public async Task That_is_gone_is_unavailable_after_retries()
    {
        Directory.Move(git.Origin, git.Origin + "-away");
        var time = new FakeTimeProvider { AutoAdvanceAmount = TimeSpan.FromMinutes(1) };
        var patient = Origin(time);
        var asking = patient.TipOfAsync("main", default);
        while (!asking.IsCompleted)
        {
            time.Advance(TimeSpan.FromMinutes(1));
            await Task.Yield();
        }
        Assert.That(
            async () => await asking,
            Throws.TypeOf<UnavailableException>().With.Message.Contains("asking for branch \"main\" at"));
    }
}

/// <summary>What stands in an address beside the host and path.</summary>
public sealed class Credentials_in_an_address
{
    [TestCase("https://robot:hunter2-hunter2@git.example/a.git", "hunter2-hunter2", "robot")]
    [TestCase("https://ghp-token-alone@git.example/a.git", "ghp-token-alone", null)]
    [TestCase("file://robot:hunter2-hunter2@git.example/a.git", "hunter2-hunter2", "robot")]
    [TestCase("https://robot:p%40ssw0rd@git.example/a.git", "p@ssw0rd", "robot")]
    [TestCase("ssh://robot@git.example/a.git", null, "robot")]
    public void Are_masked_wherever_a_library_repeats_them(string url, string? secret, string? kept)
    {
        var mask = new SecretMask();
        OriginRemote.MaskCredentials(url, mask);
        var text = mask.Apply($"cannot read {url}; {secret} {kept}");
        if (secret is not null) Assert.That(text, Does.Not.Contain(secret));
        if (kept is not null) Assert.That(text, Does.Contain(kept), "a user's name is a word as any other");
    }
}

/// <summary>A host that takes connections and says nothing.</summary>
public sealed class A_silent_origin
{
    private GitRepositories git = null!;
    private WorkRepository repository = null!;
    private System.Net.Sockets.TcpListener host = null!;

    [SetUp]
    public void Listens()
    {
        git = new GitRepositories();
        var clone = git.Clone();
        clone.Commit("a", "1");
        host = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        host.Start();
        clone.Git("remote", "set-url", "origin", $"http://{host.LocalEndpoint}/x.git");
        repository = WorkRepository.Open(clone.Folder);
    }

    [TearDown]
    public void Removed()
    {
        repository.Dispose();
        host.Dispose();
        git.Dispose();
    }

    [Test]
    public async Task Is_waited_for_only_so_long()
    {
        var time = new FakeTimeProvider();
        var asking = new OriginRemote(repository, null, time, BuildLog.Silent).HintAsync(default);
        using (await host.AcceptTcpClientAsync())
        {
            while (!asking.IsCompleted)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                await Task.Yield();
            }
            Assert.That(
                async () => await asking, Throws.TypeOf<UnavailableException>().With.Message.Contains("no answer within 8s"));
        }
    }

    [Test]
    public async Task Does_not_keep_a_step_from_stopping()
    {
        using var stop = new CancellationTokenSource();
        var asking = new OriginRemote(repository, null, TimeProvider.System, BuildLog.Silent).TipOfAsync("main", stop.Token);
        using (await host.AcceptTcpClientAsync())
        {
            await stop.CancelAsync();
            Assert.That(async () => await asking, Throws.InstanceOf<OperationCanceledException>());
        }
    }
}

/// <summary>Rights over HTTP.</summary>
public sealed class An_origin_that_asks_who_one_is
{
    private GitRepositories git = null!;
    private GitClone clone = null!;
    private GitHttpServer server = null!;
    private WorkRepository repository = null!;

    [SetUp]
    public async Task Served()
    {
        git = new GitRepositories();
        clone = git.Clone();
        clone.Commit("a", "1");
        clone.Push();
        server = await GitHttpServer.StartAsync(git.Folder, "x-access-token:secret");
        clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        repository = WorkRepository.Open(clone.Folder);
    }

    [TearDown]
    public async Task Removed()
    {
        repository.Dispose();
        await server.DisposeAsync();
        git.Dispose();
    }

    [TestCase(null)]
    [TestCase("wrong")]
    public async Task Says_what_to_give_when_the_rights_do_not_do(string? token)
    {
        var origin = new OriginRemote(
            repository, token is null ? null : new RemoteAccess("x-access-token", token), TimeProvider.System, BuildLog.Silent);
        Assert.That(
            async () => await origin.TipOfAsync("main", default),
            Throws.TypeOf<UsageException>().With.Message.Contains("CISTEPS_GIT_TOKEN"));
        Assert.That(server.Unauthorized, Is.LessThan(5), "it is not asked again and again");
        var before = clone.Head;
        var push = await origin.PushAsync(clone.Commit("a", "2"), "main", before, default);
        Assert.That(push.End, Is.EqualTo(PushEnd.Authentication), push.Text);
    }

    [Test]
    public async Task Never_sees_the_token_in_an_address()
    {
        clone.Git("remote", "set-url", "origin", server.Url.Replace("http://", "http://x-access-token:secret@") + "origin.git");
        using var again = WorkRepository.Open(clone.Folder);
        var origin = new OriginRemote(again, null, TimeProvider.System, BuildLog.Silent);
        Assert.That((again.OriginUrl, origin.Url), Is.EqualTo((server.Url + "origin.git", server.Url + "origin.git")));
        Assert.That(await origin.TipOfAsync("main", default), Is.EqualTo(clone.Head),
            "an address with rights works as it does for git");
    }
}
