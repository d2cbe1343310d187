using CiSteps.Hosting;

namespace CiSteps.Repositories;

/// <summary>Where every clone can read that a branch's newest release chain is red: a reference of the origin that is at the
/// commit
/// whose chain it was, and that is not there while it is green.</summary>
public static class ReleaseMark
{
    /// <summary>The line in a commit's message by which a change says which red commit it mends, up to that commit.</summary>
    public const string Mends = "Mends-release: ";

    // As git shortens a commit at least.
    private const int Shortest = 7;

    /// <summary>The commit whose release chain left a branch red; null when none did.</summary>
    /// <exception cref="UnavailableException">The origin does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public static Task<string?> ReadAsync(OriginRemote origin, string branch, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(origin);
        return origin.ReferenceAsync(Reference(branch), cancel);
    }

    /// <summary>Records how a release chain ended; a newer commit's red stays.</summary>
    /// <returns>What was done, as a sentence.</returns>
    /// <exception cref="UnavailableException">The origin does not answer, or not as it should.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public static async Task<string> WriteAsync(
        OriginRemote origin, WorkRepository repository, string branch, string commit, bool isGreen, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(origin);
        ArgumentNullException.ThrowIfNull(repository);
        // Two chains may end at once; who comes second reads again.
        const int most = 3;
        for (var attempt = 1; ; attempt++)
        {
            var red = await ReadAsync(origin, branch, cancel).ConfigureAwait(false);
            if (red is null && isGreen) return $"\"{branch}\" is not recorded as red";
            if (red == commit && !isGreen) return $"\"{branch}\" is recorded as red at {ShortId.Of(commit)} already";
            // What this clone does not have came later, or stands on another history: nothing is known of it but that it is red.
            if (red is not null && (repository.FindCommit(red) is null || !repository.IsAncestor(red, commit)))
                return $"\"{branch}\" stays recorded as red at {ShortId.Of(red)}, which this chain says nothing of";
            var to = isGreen ? null : commit;
            var push = await origin.SetReferenceAsync(Reference(branch), red, to, cancel).ConfigureAwait(false);
            var now = await ReadAsync(origin, branch, cancel).ConfigureAwait(false);
            if (now == to)
                return isGreen ? $"\"{branch}\" is not recorded as red any more" : $"recorded \"{branch}\" as red at " +
                    $"{ShortId.Of(commit)}";
            if (push.End != PushEnd.Moved || attempt == most)
                throw new UnavailableException("git-unreachable", $"\"{Reference(branch)}\" could not be written: {push.Text}");
        }
    }

    /// <summary>Whether a change says that it mends a red commit, by a line <see cref="Mends"/> in one of its commits.</summary>
    /// <param name="repository">Where the commits are.</param>
    /// <param name="red">The red commit.</param>
    /// <param name="change">The change.</param>
    /// <param name="target">The target's tip: what it has says nothing of the change.</param>
    public static bool IsMended(WorkRepository repository, string red, string change, string target)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(red);
        return repository.MessageLines(of: change, notIn: target).Where(line => line.StartsWith(Mends, StringComparison.Ordinal))
            .Select(line => line[Mends.Length..].Trim())
            .Any(named => named.Length >= Shortest && red.StartsWith(named, StringComparison.Ordinal));
    }

    private static string Reference(string branch) => $"refs/ci-steps/red/{branch}";
}
