using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Repositories.Tests;

/// <summary>A clone whose history is cut off, fed by a real remote: on disk, through the ssh protocol, and over HTTP with a
/// token.</summary>
[TestFixture("file")]
[TestFixture("ssh")]
[TestFixture("http")]
public sealed class A_shallow_clone(string protocol)
{
    private GitRepositories git = null!;
    private GitClone full = null!;
    private GitClone clone = null!;
    private string fork = null!;
    private WorkRepository repository = null!;
    private OriginRemote origin = null!;
    private GitHttpServer? server;

    [SetUp]
    public async Task Of_a_branch_some_commits_long()
    {
        git = new GitRepositories();
        full = git.Clone("full");
        for (var number = 1; number <= 70; number++) full.Commit("a", $"{number}");
        fork = full.Head;
        full.Commit("a", "moved on");
        full.Push();
        full.Checkout(fork);
        full.Branch("ci/x");
        for (var number = 1; number <= 4; number++) full.Commit("b", $"{number}");
        full.Push();
        clone = git.Clone("shallow", "--depth=1", "--branch=ci/x");
        if (protocol == "ssh")
        {
            var program = Path.Combine(git.Folder, "ssh");
            File.WriteAllText(program, "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n");
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program,
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            clone.Git("config", "core.sshCommand", program);
            clone.Git("config", "ssh.variant", "ssh");
            clone.Git("remote", "set-url", "origin", "ssh://git@nowhere.invalid" + git.Origin);
        }
        server = protocol == "http" ? await GitHttpServer.StartAsync(git.Folder, "x-access-token:secret") : null;
        if (server is not null) clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        repository = WorkRepository.Open(clone.Folder);
        origin = new OriginRemote(repository, server is null ? null : new RemoteAccess("x-access-token", "secret"),
            TimeProvider.System, BuildLog.Silent);
    }

    [TearDown]
    public async Task Removed()
    {
        if (server is not null) await server.DisposeAsync();
        repository.Dispose();
        git.Dispose();
    }

    private string Main => git.Git("rev-parse", "main");

    [Test]
    public async Task Stays_whole_when_a_branch_is_fetched_into_it()
    {
        Assert.That(await origin.FetchAsync("main", default), Is.EqualTo(Main));
        Assert.Multiple(() =>
        {
            Assert.That(repository.ReadFile(Main, "a"), Is.EqualTo("moved on"));
            Assert.That(repository.IsShallow, Is.True);
            Assert.That(clone.Git("fsck", "--connectivity-only", "--no-dangling"), Is.Empty);
            Assert.That(clone.Git("for-each-ref", "--format=%(refname)").Split('\n'), Is.EquivalentTo(new[]
                { "refs/heads/ci/x", "refs/remotes/origin/ci/x", "refs/ci-steps/origin/main" }),
                    "the clone's own references stay as they were");
        });
    }

    [Test]
    public async Task Is_deepened_until_the_merge_base_is_there_and_no_further()
    {
        var tip = (await origin.FetchAsync("main", default))!;
        Assert.That(repository.FindMergeBases(tip, clone.Head), Is.Empty);
        await origin.DeepenAsync(["main", "ci/x"], () => repository.FindMergeBases(tip, clone.Head).Count > 0, default);
        Assert.Multiple(() =>
        {
            Assert.That(repository.FindMergeBases(tip, clone.Head), Is.EqualTo(new[] { fork }));
            Assert.That(repository.IsShallow, Is.True, "fifty commits more were enough");
            Assert.That(clone.Git("fsck", "--connectivity-only", "--no-dangling"), Is.Empty);
        });
    }

    [Test]
    public async Task Is_made_whole_when_nothing_less_will_do()
    {
        await origin.DeepenAsync(["main", "ci/x", "nowhere"], () => false, default);
        Assert.Multiple(() =>
        {
            Assert.That(repository.IsShallow, Is.False);
            Assert.That(repository.IsAncestor(full.Git("rev-list", "--max-parents=0", "main"), clone.Head), Is.True);
        });
    }
}

/// <summary>A shallow clone of an origin that asks for rights, over HTTP.</summary>
public sealed class A_shallow_clone_without_rights
{
    [TestCase("x-access-token:other")]
    [TestCase(null)]
    public async Task Says_which_rights_are_missing(string? given)
    {
        using var git = new GitRepositories();
        var full = git.Clone("full");
        full.Commit("a", "1");
        full.Push();
        var clone = git.Clone("shallow", "--depth=1");
        await using var server = await GitHttpServer.StartAsync(git.Folder, "x-access-token:secret");
        clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        using var repository = WorkRepository.Open(clone.Folder);
        var origin = new OriginRemote(
            repository,
            given?.Split(':') is [var user, var password] ? new RemoteAccess(user, password) : null,
            TimeProvider.System,
            BuildLog.Silent);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(async () => await origin.FetchAsync("main", default),
                Throws.TypeOf<UsageException>().With.Message.Contains("CISTEPS_GIT_TOKEN"));
            Assert.That(async () => await origin.DeepenAsync(["main"], () => false, default),
                Throws.TypeOf<UsageException>().With.Message.Contains("CISTEPS_GIT_TOKEN"));
        }
    }
}
