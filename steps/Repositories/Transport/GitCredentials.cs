using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Repositories.Transport;

/// <summary>git's credential helpers, asked through the git program, which alone knows which of them are meant for an address
/// (gitcredentials).</summary>
/// <param name="remote">The other side.</param>
/// <param name="repository">Its address, without rights.</param>
internal sealed class GitCredentials(RemotePeer remote, Uri repository)
{
    /// <summary>What the helpers have for the address; null when they have nothing, or there is no git program.</summary>
    public RemoteAccess? Find(Exchange exchange)
    {
        if (ChildProcess.Find("git", remote.Folder, Environment.GetEnvironmentVariable("PATH")) is null) return null;
        var (exit, output) = Run(exchange, "fill", Asked);
        if (exit != 0) return null;
        var found = output.Split('\n').Select(line => line.Split('=', 2)).Where(pair => pair.Length == 2)
            .GroupBy(pair => pair[0]).ToDictionary(group => group.Key, group => group.Last()[1], StringComparer.Ordinal);
        return found.TryGetValue("username", out var user) && found.TryGetValue("password", out var password)
            && password.Length > 0 ? new RemoteAccess(user, password) : null;
    }

    /// <summary>Tells the helpers what became of their answer, so that they keep or forget it.</summary>
    public void Tell(Exchange exchange, RemoteAccess access, bool accepted) =>
        Run(exchange, accepted ? "approve" : "reject", Asked.Where(pair => pair.Name != "username")
            .Append(("username", access.User)).Append(("password", access.Token)));

    private IEnumerable<(string Name, string Value)> Asked
    {
        get
        {
            yield return ("protocol", repository.Scheme);
            yield return ("host", repository.Authority);
            yield return ("path", repository.AbsolutePath.TrimStart('/'));
            if (new Uri(remote.Address).UserInfo is { Length: > 0 } user)
                yield return ("username", Uri.UnescapeDataString(user.Split(':')[0]));
        }
    }

    private (int Exit, string Output) Run(Exchange exchange, string action, IEnumerable<(string Name, string Value)> about)
    {
        var text = string.Concat(about.Select(pair => $"{pair.Name}={pair.Value}\n")) + "\n";
        var (exit, output, _) = exchange.Wait(token => ChildProcess.CaptureAsync(new("git", ["credential", action], remote.Folder)
        {
            // Nobody is asked: a helper has it, or there are no rights.
            Environment = new Dictionary<string, string?>(GitProgram.Quiet, StringComparer.Ordinal)
            {
                ["GIT_ASKPASS"] = "",
                ["SSH_ASKPASS"] = "",
            },
            Input = async (stream, stop) => await stream.WriteAsync(Encoding.UTF8.GetBytes(text), stop).ConfigureAwait(false),
        }, token));
        return (exit, output);
    }
}
