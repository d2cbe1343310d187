using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>Turns the git library's exceptions into ours, so that no caller needs that library to catch one.</summary>
internal static class GitFailure
{
    private static readonly string[] AuthenticationWords =
        ["authentication", "401", "403", "credential", "permission denied", "access denied", "host key verification",
            "could not read username"];

    /// <summary>For calls that stay on this machine: what fails is the clone's state.</summary>
    public static T Translate<T>(string folder, Func<T> call)
    {
        try
        {
            return call();
        }
        catch (RepositoryNotFoundException error)
        {
            throw new UsageException(
                $"\"{folder}\" is not a git work tree; run the step in a checkout, or give --work-tree", error);
        }
        catch (LibGit2SharpException error) when (error.Message.Contains("not owned by", StringComparison.Ordinal))
        {
            throw new UsageException($"git does not trust the work tree \"{folder}\", which belongs to another user; " +
                $"say that it may with: git config --global --add safe.directory \"{folder}\"", error);
        }
        catch (LibGit2Sharp.NotFoundException error)
        {
            throw new UsageException($"the repository of \"{folder}\" lacks an object ({error.Message.TrimEnd('.')}): " +
                "is it a partial clone (--filter)? Check out all of it; otherwise see what git fsck says", error);
        }
        catch (LibGit2SharpException error)
        {
            throw new UsageException(
                $"git cannot read the repository of \"{folder}\": {error.Message.TrimEnd('.')}; see what git fsck says", error);
        }
    }

    /// <summary>What a remote's answer means: other rights are needed, or it does not answer as it should.</summary>
    public static Exception Of(string url, string doing, string said, Exception? cause = null) => IsAuthentication(said)
        ? new UsageException($"{doing} at \"{url}\" needs other rights: {said}; give a token in {OriginRemote.TokenVariable} " +
            "(https), or a key that ssh uses", cause)
        : IsMissing(said) ? Missing(url, doing, said, cause)
        : new UnavailableException(
            "git-unreachable", $"{doing} at \"{url}\" failed: {said}; run the step again when it answers", cause);

    /// <summary>What servers say of a repository that is not there, or that nobody without rights may know of.</summary>
    public static UsageException Missing(string url, string doing, string said, Exception? cause = null) => new(
        $"{doing} at \"{url}\" failed: the repository does not exist, or there are no rights to see it ({said}): " +
        $"give a token in {OriginRemote.TokenVariable} (https), or mend the address", cause);

    /// <summary>What ssh said when it ended before the other end had answered.</summary>
    public static Exception OfSsh(string url, string doing, string said, Exception? cause = null)
    {
        bool Says(params string[] words) => words.Any(word => said.Contains(word, StringComparison.OrdinalIgnoreCase));
        if (Says("host key verification failed", "host identification has changed"))
            return new UsageException($"{doing} at \"{url}\": ssh does not know the host's key, or knows another one: {said}; " +
                "compare the key with what the host's owner publishes and put it into known_hosts (ssh-keyscan shows it)", cause);
        if (Says("permission denied", "too many authentication failures", "no such identity", "access denied"))
            return new UsageException($"{doing} at \"{url}\" needs other rights: {said}; give a key that the " +
                "server knows: in the agent, as a file that ssh's configuration names, or by " +
                "GIT_SSH_COMMAND or git's core.sshCommand (ssh -i FILE)",
                cause);
        if (Says("repository not found", "does not appear to be a git repository", "does not exist", "not found"))
            return Missing(url, doing, said, cause);
        return Says("cannot run", "command not found", "bad configuration option", "bad owner or permissions")
            ? new UsageException($"{doing} at \"{url}\": ssh cannot be used as it is set up: {said}", cause)
            : new UnavailableException("git-unreachable", $"{doing} at \"{url}\" failed: {said}; run the step again when " +
                $"it answers", cause);
    }

    // What servers say of a repository that is not there, or that nobody without rights may know of.
    private static bool IsMissing(string said) => said.Contains("status code: 404", StringComparison.OrdinalIgnoreCase)
        || said.Contains("returned error: 404", StringComparison.OrdinalIgnoreCase)
        || said.Contains("repository not found", StringComparison.OrdinalIgnoreCase)
        || said.Contains("not found", StringComparison.OrdinalIgnoreCase)
            && said.Contains("repository '", StringComparison.OrdinalIgnoreCase);

    private static bool IsAuthentication(string said) =>
        AuthenticationWords.Any(word => said.Contains(word, StringComparison.OrdinalIgnoreCase));
}
