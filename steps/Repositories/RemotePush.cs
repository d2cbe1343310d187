using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Repositories.Transport;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>One reference of a remote moved from one known value to another, or not at all. The update carries the old value, so
/// that the server itself compares it when it writes; no configuration, hook or tag of the clone has a say.</summary>
/// <param name="repository">The clone.</param>
/// <param name="remote">The other side, at the address that is read from.</param>
/// <param name="reference">The reference's whole name.</param>
/// <param name="expected">The commit that it is thought to be at; null: it is not to be there.</param>
/// <param name="commit">The commit that it is to be at; null: it is to be removed.</param>
internal sealed class RemotePush(WorkRepository repository, RemotePeer remote, string reference, string? expected, string? commit)
{
    private const string Heads = "refs/heads/";

    private static readonly string Nothing = new('0', 40);

    private readonly string name = reference.StartsWith(Heads, StringComparison.Ordinal) ? reference[Heads.Length..] : reference;
    private readonly string old = expected ?? Nothing;

    /// <summary>Pushes over a network, through the library.</summary>
    public PushResult Run(CancellationToken cancel)
    {
        var exchange = new Exchange(remote, $"pushing \"{name}\"", cancel);
        string? found = null;
        Exception? failure = null;
        try
        {
            exchange.Run(() =>
            {
                using var borrowed = new BorrowedRepository(repository, remote.Address);
                using var pushing = new Repository(borrowed.Git);
                try
                {
                    pushing.Network.Push(pushing.Network.Remotes[OriginRemote.Name], $"{commit}:{reference}", new PushOptions
                    {
                        // What the server answers is read from the answer itself; without a handler the library drops it.
                        OnPushStatusError = _ => { },
                        OnNegotiationCompletedBeforePush = updates =>
                        {
                            found = updates.Single().SourceObjectId.Sha;
                            return found == old;
                        },
                    });
                }
                catch (UserCancelledException) when (found != old)
                {
                    // Nothing was sent.
                }
                return true;
            });
        }
        catch (UsageException error)
        {
            return new PushResult(PushEnd.Authentication, error.Message);
        }
        catch (UnavailableException error)
        {
            failure = error;
        }
        if (found is not null && found != old) return Elsewhere(found);
        exchange.Report.Read();
        return Judged(exchange.Report, failure);
    }

    /// <summary>Pushes to a repository on this machine's disk, through the git program: there the library writes the other
    /// repository's references itself, runs none of its hooks and compares nothing before it swaps.</summary>
    public async Task<PushResult> RunByProgramAsync(CancellationToken cancel)
    {
        using var borrowed = new BorrowedRepository(repository);
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var late = remote.Time.CreateTimer(_ => silence.Cancel(), null, remote.Silence, Timeout.InfiniteTimeSpan);
        try
        {
            var (exit, output, error) = await ChildProcess.CaptureAsync(new("git",
                ["--git-dir=" + borrowed.Git, "-c", "core.hooksPath=" + Path.Combine(borrowed.Git, "none"), "push", "--porcelain",
                    "--no-verify", "--no-follow-tags", "--no-recurse-submodules", "--no-signed", "--no-thin",
                    $"--force-with-lease={reference}:{expected}", remote.Address, $"{commit}:{reference}"], repository.Folder)
            {
                Environment = GitProgram.Quiet,
                OnOutput = () => late.Change(remote.Silence, Timeout.InfiniteTimeSpan),
            }, silence.Token).ConfigureAwait(false);
            return Judged(exit, output, error);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new PushResult(PushEnd.Network, $"no answer within {Durations.Show(remote.Silence)}");
        }
    }

    private PushResult Judged(int exit, string output, string error)
    {
        var line = output.Split('\n').Select(each => each.Split('\t')).FirstOrDefault(parts => parts.Length == 3
            && parts[1].EndsWith(":" + reference, StringComparison.Ordinal));
        if (exit == 0 && line is not null && line[0] != "!") return new PushResult(PushEnd.Accepted, "");
        if (line is null) return new PushResult(PushEnd.Network, error.Trim().ReplaceLineEndings("; "));
        if (line[2].Contains("remote ref does not exist", StringComparison.Ordinal)) return new PushResult(PushEnd.Accepted, "");
        var said = string.Join("; ", error.Split('\n').Select(each => each[(each.LastIndexOf('\r') + 1)..])
            .Where(each => each.StartsWith("remote: ", StringComparison.Ordinal))
            .Select(each => each["remote: ".Length..].Trim()).Where(each => each.Length > 0));
        return PushResult.OfRefusal(line[2].Trim(), said);
    }

    private PushResult Judged(PushReport report, Exception? failure)
    {
        if (report.Refused.TryGetValue(reference, out var reason)) return PushResult.OfRefusal(reason, report.Words);
        if (report.Taken.Contains(reference)) return new PushResult(PushEnd.Accepted, "");
        if (report.Unpacked is { } unpacked and not "ok")
            return new PushResult(PushEnd.Network, $"the server could not unpack what was sent ({unpacked})" +
                (report.Words.Length > 0 ? $": {report.Words}" : ""));
        if (report.Unpacked is not null)
            return new PushResult(PushEnd.Network, $"the server says that it unpacked the commit, and not that \"{name}\" " +
                $"is at it");
        return new PushResult(PushEnd.Network, (report.WasSent ? "the server's answer is empty or cut" : "nothing was sent") +
            (failure is null ? "" : $": {failure.Message}") + (report.Words.Length > 0 ? $": {report.Words}" : ""));
    }

    private PushResult Elsewhere(string found)
    {
        var isGone = found == Nothing;
        if (commit is null ? isGone : found == commit) return new PushResult(PushEnd.Accepted, "");
        return new PushResult(PushEnd.Moved, isGone ? $"\"{name}\" is gone"
            : $"\"{name}\" is at {ShortId.Of(found)} now, and not at {ShortId.Of(old)}");
    }
}
