using System.Net;
using System.Net.Sockets;
using CiSteps.Hosting;

namespace CiSteps.Fixtures;

/// <summary>A real ssh server (OpenSSH) on a free loopback port, with keys of its own in a temporary folder; it lets in
/// whoever has
/// the key.</summary>
public sealed class SshServer : IDisposable
{
    private readonly System.Diagnostics.Process process;

    /// <summary>Starts it.</summary>
    /// <param name="folder">Where its files go.</param>
    public SshServer(string folder)
    {
        Folder = Directory.CreateDirectory(Path.Combine(folder, "sshd")).FullName;
        foreach (var key in (string[])["host", "user", "stranger"])
            GitRepositories.Run(Folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", Path.Combine(Folder, key));
        System.IO.File.Copy(File("user.pub"), File("authorized_keys"));
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Port = ((IPEndPoint)free.LocalEndpoint).Port;
        }
        System.IO.File.WriteAllText(File("sshd_config"), $"""
            Port {Port}
            ListenAddress 127.0.0.1
            HostKey {File("host")}
            AuthorizedKeysFile {File("authorized_keys")}
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            StrictModes no
            UsePAM no
            PermitRootLogin yes
            MaxStartups 200
            PidFile none

            """);
        System.IO.File.WriteAllText(File("known_hosts"), $"[127.0.0.1]:{Port} {System.IO.File.ReadAllText(File("host.pub"))}");
        if (Environment.IsPrivilegedProcess) Directory.CreateDirectory("/run/sshd");
        var program = ChildProcess.Find("sshd", Folder, "/usr/sbin:/usr/local/sbin:/sbin")
            ?? throw new InvalidOperationException("the tests need OpenSSH's server: install openssh-server");
        process = ChildProcess.Start(new(program, ["-D", "-e", "-f", File("sshd_config")], Folder));
        // It says that it listens before it does anything else.
        while (process.StandardError.ReadLine() is { } line)
            if (line.Contains("Server listening", StringComparison.Ordinal)) break;
        _ = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Its files: <c>user</c> (a key that is let in), <c>stranger</c> (one that is not), <c>known_hosts</c>.</summary>
    public string Folder { get; }

    /// <summary>Where it listens.</summary>
    public int Port { get; }

    /// <summary>A command line that reaches it as <c>core.sshCommand</c> or <c>GIT_SSH_COMMAND</c>.</summary>
    /// <param name="key">The key to use.</param>
    /// <param name="knownHosts">Which hosts are known; null for the file that has this one.</param>
    public string Command(string key = "user", string? knownHosts = null) =>
        $"ssh -F /dev/null -i '{File(key)}' -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=yes " +
        $"-o UserKnownHostsFile='{knownHosts ?? File("known_hosts")}' -o GlobalKnownHostsFile=/dev/null";

    /// <summary>The address of a repository on it.</summary>
    public string Url(string path) => $"ssh://{Environment.UserName}@127.0.0.1:{Port}{path}";

    /// <summary>One of its files.</summary>
    public string File(string name) => Path.Combine(Folder, name);

    /// <inheritdoc/>
    public void Dispose()
    {
        process.Kill(entireProcessTree: true);
        process.WaitForExit();
        process.Dispose();
    }
}
