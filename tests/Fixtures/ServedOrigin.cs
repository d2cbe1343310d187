namespace CiSteps.Fixtures;

/// <summary>An origin reached by one of the ways that git has: <c>file</c>, <c>http</c> (git's own http-backend, with a token) or
/// <c>ssh</c> (a real server).</summary>
public sealed class ServedOrigin : IAsyncDisposable
{
    /// <summary>The user name and token that the server over HTTP wants.</summary>
    public const string User = "x-access-token", Token = "secret";

    private ServedOrigin(GitRepositories git, GitHttpServer? http, SshServer? ssh) => (Git, Http, Ssh) = (git, http, ssh);

    /// <summary>The repositories.</summary>
    public GitRepositories Git { get; }

    /// <summary>The server over HTTP; null where there is none.</summary>
    public GitHttpServer? Http { get; }

    /// <summary>The server over ssh; null where there is none.</summary>
    public SshServer? Ssh { get; }

    /// <summary>Makes an empty origin and serves it.</summary>
    public static async Task<ServedOrigin> StartAsync(string protocol)
    {
        var git = new GitRepositories();
        return new ServedOrigin(git,
            protocol == "http" ? await GitHttpServer.StartAsync(git.Folder, $"{User}:{Token}") : null,
            protocol == "ssh" ? new SshServer(git.Folder) : null);
    }

    /// <summary>Has a clone reach the origin by this way.</summary>
    public void Serve(GitClone clone)
    {
        if (Http is not null) clone.Git("remote", "set-url", "origin", Http.Url + "origin.git");
        if (Ssh is null) return;
        clone.Git("remote", "set-url", "origin", Ssh.Url(Git.Origin));
        clone.Git("config", "core.sshCommand", Ssh.Command());
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Http is not null) await Http.DisposeAsync();
        Ssh?.Dispose();
        Git.Dispose();
    }
}
