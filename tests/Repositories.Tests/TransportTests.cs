using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Repositories.Transport;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Repositories.Tests;

/// <summary>A server over HTTP, as servers are.</summary>
public sealed class An_http_server
{
    private ServedOrigin served = null!;
    private GitClone clone = null!;
    private string first = "";

    private GitHttpServer Server => served.Http!;

    [SetUp]
    public async Task Served()
    {
        served = await ServedOrigin.StartAsync("http");
        clone = served.Git.Clone("clone");
        first = clone.Commit("a", "1");
        clone.Push();
        served.Serve(clone);
    }

    [TearDown]
    public async Task Removed() => await served.DisposeAsync();

    private async Task<T> With<T>(RemoteAccess? access, Func<OriginRemote, Task<T>> call)
    {
        using var repository = WorkRepository.Open(clone.Folder);
        return await call(new OriginRemote(repository, access, TimeProvider.System, BuildLog.Silent));
    }

    private static RemoteAccess Right => new(ServedOrigin.User, ServedOrigin.Token);

    [TestCase(null, null)]
    [TestCase("HTTP Basic: Access denied\n", null)]
    [TestCase("HTTP Basic: Access denied\n", "text/plain")]
    [TestCase("<html><body>Sign in</body></html>", "text/html; charset=utf-8")]
    public async Task That_asks_for_rights_is_given_them_whatever_it_says_beside(string? body, string? type)
    {
        (Server.UnauthorizedBody, Server.UnauthorizedType) = (body, type);
        clone.Git("config", "credential.helper", "!f() { echo username=x-access-token; echo password=secret; }; f");
        Assert.That(await With(null, origin => origin.FetchAsync("main", default)), Is.EqualTo(first));
        var next = clone.Commit("a", "2");
        Assert.That(
            (await With(null, origin => origin.PushAsync(next, "main", first, default))).End, Is.EqualTo(PushEnd.Accepted));

        Server.Requests.Clear();
        Assert.That(async () => await With(new RemoteAccess("x", "wrong"), origin => origin.TipOfAsync("main", default)),
            Throws.TypeOf<UsageException>().With.Message.Contains("the token of user \"x\" was not " +
                "accepted").And.Message.Contains(
                body is null || type?.StartsWith("text/html") == true ? "status 401" : "HTTP Basic: Access denied"));
        Assert.That(Server.Requests, Has.Count.EqualTo(1), "one try");
    }

    [Test]
    public async Task That_wants_another_user_name_gets_it()
    {
        await using var other = await GitHttpServer.StartAsync(served.Git.Folder, "robot:secret");
        clone.Git("remote", "set-url", "origin", other.Url + "origin.git");
        Assert.That(
            await With(new RemoteAccess("robot", "secret"), origin => origin.TipOfAsync("main", default)), Is.EqualTo(first));
        clone.Git("remote", "set-url", "origin", other.Url.Replace("://", "://robot@") + "origin.git");
        Assert.That(await With(new RemoteAccess("x-access-token", "secret"), origin => origin.TipOfAsync("main", default)),
            Is.EqualTo(first), "the name in the address goes before the step's own default");
        var kept = Path.Combine(served.Git.Folder, "told");
        clone.Git("config", "credential.helper",
            $"!f() {{ test \"$1\" = get || (echo $1; cat) >> '{kept}'; test \"$1\" != get || echo password=secret; }}; f");
        Assert.That(await With(null, origin => origin.TipOfAsync("main", default)), Is.EqualTo(first), "by a helper");
        Assert.That(File.ReadAllText(kept), Does.StartWith("store\n").And.Contain("username=robot\n"),
            "the helper is told that it was right");
    }

    [TestCase(403, "Write access to repository not granted.", "needs other rights")]
    [TestCase(404, "Not Found", "does not exist, or there are no rights to see it")]
    public async Task That_says_no_is_quoted(int status, string words, string says)
    {
        Server.Instead = async context =>
        {
            context.Response.StatusCode = status;
            await context.Response.WriteAsync(words);
            return true;
        };
        Assert.That(async () => await With(Right, origin => origin.TipOfAsync("main", default)),
            Throws.TypeOf<UsageException>().With.Message.Contains(says).And.Message.Contains(words));
        var push = await With(Right, origin => origin.PushAsync(clone.Commit("a", "2"), "main", first, default));
        Assert.That((push.End, push.Text.Contains(words)), Is.EqualTo((PushEnd.Authentication, true)), push.Text);
    }

    [TestCase(503, "text/plain", "back soon")]
    [TestCase(200, "text/html", "<html>sign in</html>")]
    public void That_does_not_answer_as_git_does_is_unavailable(int status, string type, string words)
    {
        Server.Instead = async context =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (status, type);
            await context.Response.WriteAsync(words);
            return true;
        };
        Assert.That(async () => await With(Right, origin => origin.HintAsync(default)),
            Throws.TypeOf<UnavailableException>().With.Message.Contains(status == 200 ? "that is not a git server" : "back " +
                "soon"));
    }

    [Test]
    public async Task That_has_moved_is_followed_and_pushed_to_where_it_is()
    {
        Server.Instead = context =>
        {
            if (!context.Request.Path.StartsWithSegments("/old.git", out var rest)) return Task.FromResult(false);
            context.Response.Redirect("/origin.git" + rest + context.Request.QueryString);
            return Task.FromResult(true);
        };
        clone.Git("config", "credential.helper", "!f() { echo username=x-access-token; echo password=secret; }; f");
        clone.Git("remote", "set-url", "origin", Server.Url + "old.git");
        var next = clone.Commit("a", "2");
        var push = await With(null, origin => origin.PushAsync(next, "main", first, default));
        Assert.That((push.End, served.Git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Accepted, next)), push.Text);

        // The token is for the host that it was given for.
        await using var other = await GitHttpServer.StartAsync(served.Git.Folder, $"{ServedOrigin.User}:{ServedOrigin.Token}");
        clone.Git("config", "--unset", "credential.helper");
        Server.Instead = context =>
        {
            context.Response.Redirect(other.Url.TrimEnd('/') + context.Request.Path + context.Request.QueryString);
            return Task.FromResult(true);
        };
        Assert.That(async () => await With(Right, origin => origin.TipOfAsync("main", default)), Throws.TypeOf<UsageException>());
        Assert.That(other.Unauthorized, Is.EqualTo(1));
    }

    [Test]
    public async Task Is_not_asked_again_for_what_the_clone_has()
    {
        Assert.That(await With(Right, origin => origin.FetchAsync("main", default)), Is.EqualTo(first));
        Assert.That(Server.Requests.Count(request => request.StartsWith("POST")), Is.Zero, string.Join("\n", Server.Requests));
    }

    [Test]
    public async Task Feeds_a_clone_of_one_branch_alone()
    {
        clone.Branch("ci/x");
        clone.Commit("b", "1");
        clone.Git("push", "--quiet", "file://" + served.Git.Origin, "ci/x");
        clone = served.Git.Clone("single", "--single-branch", "--branch=ci/x");
        served.Serve(clone);
        var moved = served.Git.Clone("mover").Commit("c", "1");
        new GitClone(Path.Combine(served.Git.Folder, "mover")).Push();
        Assert.That(await With(Right, origin => origin.FetchAsync("main", default)), Is.EqualTo(moved));
        Assert.That(clone.Git("for-each-ref", "--format=%(refname)", "refs/remotes/origin/main"), Is.Empty);
        clone.Git("merge", "--quiet", "--no-edit", moved);
        var push = await With(Right, origin => origin.PushAsync(clone.Head, "main", moved, default));
        Assert.That((push.End, served.Git.Git("rev-parse", "main")), Is.EqualTo((PushEnd.Accepted, clone.Head)), push.Text);
    }
}

/// <summary>A real ssh server.</summary>
public sealed class An_ssh_server
{
    private ServedOrigin served = null!;
    private GitClone clone = null!;
    private string first = "";

    private SshServer Server => served.Ssh!;

    [SetUp]
    public async Task Served()
    {
        served = await ServedOrigin.StartAsync("ssh");
        clone = served.Git.Clone("clone");
        first = clone.Commit("a", "1");
        clone.Push();
        served.Serve(clone);
    }

    [TearDown]
    public async Task Removed() => await served.DisposeAsync();

    private async Task<PushResult> Push()
    {
        using var repository = WorkRepository.Open(clone.Folder);
        return await new OriginRemote(repository, null, TimeProvider.System, BuildLog.Silent)
            .PushAsync(clone.Commit("a", "2"), "main", first, default);
    }

    private async Task<string?> Tip()
    {
        using var repository = WorkRepository.Open(clone.Folder);
        return await new OriginRemote(repository, null, TimeProvider.System, BuildLog.Silent).TipOfAsync("main", default);
    }

    [Test]
    public async Task Lets_a_key_in_that_an_agent_has()
    {
        var socket = Server.File("agent");
        using var agent = ChildProcess.Start(new("ssh-agent", ["-D", "-a", socket], Server.Folder));
        try
        {
            while (!File.Exists(socket)) await Task.Yield();
            GitRepositories.Run(Server.Folder, "sh", "-c", $"SSH_AUTH_SOCK='{socket}' ssh-add -q '{Server.File("user")}'");
            clone.Git("config", "core.sshCommand", Server.Command("none").Replace("IdentitiesOnly=yes", "IdentitiesOnly=no")
                .Replace("IdentityAgent=none", $"IdentityAgent={socket}"));
            Assert.That((await Push()).End, Is.EqualTo(PushEnd.Accepted));
        }
        finally
        {
            agent.Kill();
        }
    }

    [Test]
    public async Task Is_found_by_the_name_port_and_key_of_sshs_own_configuration()
    {
        File.WriteAllText(Server.File("config"), $"""
            Host forge
              HostName 127.0.0.1
              Port {Server.Port}
              User {Environment.UserName}
              IdentityFile {Server.File("user")}
              IdentityAgent none
              UserKnownHostsFile {Server.File("known_hosts")}

            """);
        clone.Git("config", "core.sshCommand", $"ssh -F '{Server.File("config")}'");
        clone.Git("remote", "set-url", "origin", "forge:" + served.Git.Origin);
        Assert.That((await Tip(), (await Push()).End), Is.EqualTo((first, PushEnd.Accepted)));
        clone.Git("remote", "set-url", "origin", "ssh://forge" + served.Git.Origin);
        Assert.That(await Tip(), Is.EqualTo(clone.Head));
    }

    [TestCase("stranger", true, "Permission denied (publickey)")]
    [TestCase("user", false, "Host key verification failed")]
    public async Task That_lets_nobody_in_is_asked_once_and_the_reason_is_told(string key, bool isKnown, string says)
    {
        var counted = Server.File("count");
        clone.Git("config", "core.sshCommand", $"echo x >> '{counted}'; " + Server.Command(key, isKnown ? null : "/dev/null"));
        Assert.That(async () => await Tip(), Throws.TypeOf<UsageException>().With.Message.Contains(says));
        Assert.That(File.ReadAllLines(counted), Has.Length.EqualTo(1));
        var push = await Push();
        Assert.That((push.End, push.Text.Contains(says)), Is.EqualTo((PushEnd.Authentication, true)), push.Text);
    }

    [Test]
    public void That_has_no_such_repository_says_so()
    {
        clone.Git("remote", "set-url", "origin", Server.Url("/nowhere.git"));
        Assert.That(async () => await Tip(),
            Throws.TypeOf<UsageException>().With.Message.Contains("'/nowhere.git' does not appear to be a git repository"));
    }

    [TestCase("ssh://git@h:22/a/b.git", "git@h", "22", "/a/b.git")]
    [TestCase("ssh://git@h/a%20b", "git@h", null, "/a b")]
    [TestCase("ssh://[::1]:22/a", "::1", "22", "/a")]
    [TestCase("ssh://h/~me/a", "h", null, "~me/a")]
    [TestCase("ssh://git:password@h/a", "git@h", null, "/a")]
    [TestCase("git@h:a/b.git", "git@h", null, "a/b.git")]
    [TestCase("h:/a:b", "h", null, "/a:b")]
    [TestCase("git@[::1]:a", "git@::1", null, "a")]
    [TestCase("git@[h:22]:a", "git@h", "22", "a")]
    public void Is_addressed_as_git_addresses_it(string address, string host, string? port, string path) =>
        Assert.That(SshCommand.Parse(address), Is.EqualTo((host, port, path)));
}
