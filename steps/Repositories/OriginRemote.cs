using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Repositories.Transport;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>The rights that a step brings along for https; ssh uses its own keys.</summary>
/// <param name="User">User name; most servers take any with a token.</param>
/// <param name="Token">Token or password.</param>
public sealed record RemoteAccess(string User, string Token);

/// <summary>What a remote says of itself at one moment.</summary>
/// <param name="Branches">The tip of each branch, by branch.</param>
/// <param name="DefaultBranch">The branch that its HEAD points to; null when it does not say one.</param>
public sealed record OriginTips(IReadOnlyDictionary<string, string> Branches, string? DefaultBranch);

/// <summary>The remote <c>origin</c> of a work tree: its tips now, fetching, and pushing without force.</summary>
public sealed class OriginRemote
{
    /// <summary>Environment variable with the token for https.</summary>
    public const string TokenVariable = "CISTEPS_GIT_TOKEN";

    internal const string Name = "origin";

    // Without a limit a host that swallows packets holds a step for as long as the operating system tries.
    private static readonly TimeSpan AskingLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan HintLimit = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan TransferLimit = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan BetweenProgress = TimeSpan.FromSeconds(5);

    // A private branch is mostly some commits long; null: all that there is.
    private static readonly int?[] DeepeningSteps = [50, 500, 5000, null];

    // Nobody else's namespace: what a person's clone remembers of the origin stays as it was.
    private const string Own = "refs/ci-steps/origin/";

    private readonly WorkRepository repository;
    private readonly RemotePeer peer;
    private readonly RemoteAccess? access;
    private readonly TimeProvider time;
    private readonly BuildLog log;

    /// <summary>The remote of a repository.</summary>
    /// <param name="repository">Clone whose origin it is.</param>
    /// <param name="access">Rights for https; null for none.</param>
    /// <param name="time">Clock of the pauses between tries.</param>
    /// <param name="log">Told of tries that failed.</param>
    /// <param name="silence">How long the other side may say nothing; null for <see cref="UsualSilence"/>.</param>
    /// <exception cref="UsageException">The repository has no remote of that name.</exception>
    public OriginRemote(
        WorkRepository repository, RemoteAccess? access, TimeProvider time, BuildLog log, TimeSpan? silence = null)
    {
        (this.repository, this.access, this.time, this.log) = (repository, access, time, log);
        RequireAddress(repository.Native, repository.Folder);
        var remote = repository.Native.Network.Remotes[Name]
            ?? throw new UsageException(
                $"the repository \"{repository.Folder}\" has no remote \"{Name}\": add one (git remote add {Name} URL)");
        Url = WithoutCredentials(remote.Url);
        MaskCredentials(remote.Url, log.Mask);
        Transports.Register();
        peer = repository.Peer(remote.Url, access, silence ?? UsualSilence, time);
    }

    /// <summary>How long the other side may say nothing where nobody says otherwise.</summary>
    public static TimeSpan UsualSilence { get; } = TimeSpan.FromMinutes(2);

    /// <summary>The address without credentials.</summary>
    public string Url { get; }

    // Asked for each time: a deepened clone is opened anew.
    private Remote Remote => repository.Native.Network.Remotes[Name];

    /// <summary>The tip of a branch on the remote now; null when there is no such branch.</summary>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public Task<string?> TipOfAsync(string branch, CancellationToken cancel) =>
        ReadAsync(AskingFor(branch), AskingLimit, () => TipOf(branch), cancel);

    /// <summary>The tips of all branches on the remote now, by branch.</summary>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public async Task<IReadOnlyDictionary<string, string>> TipsAsync(CancellationToken cancel) =>
        (await AskAsync(cancel).ConfigureAwait(false)).Branches;

    /// <summary>All branches on the remote now, and which of them is its default.</summary>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public Task<OriginTips> AskAsync(CancellationToken cancel) => ReadAsync("asking for all branches", AskingLimit, Tips, cancel);

    /// <summary>As <see cref="AskAsync"/>, for who can do without the answer: asked once and not for long.</summary>
    /// <exception cref="UnavailableException">The remote does not answer soon.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public Task<OriginTips> HintAsync(CancellationToken cancel) => OnceAsync("asking for all branches", HintLimit, Tips, cancel);

    /// <summary>Fetches branches in one exchange, into references of our own (<c>refs/ci-steps/origin/…</c>); the work tree, the
    /// clone's branches and what it remembers of the origin's stay as they are.</summary>
    /// <returns>Each branch's tip; null when the remote has no such branch.</returns>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public async Task<IReadOnlyList<string?>> FetchAsync(IReadOnlyList<string> branches, CancellationToken cancel)
    {
        var doing = $"fetching {string.Join(" and ", branches.Select(branch => $"\"{branch}\""))}";
        // A shallow clone goes through the git program: the library forgets where its history is cut off, and leaves a broken
        // clone.
        return repository.IsShallow ? await FetchByProgramAsync(doing, branches, [], cancel).ConfigureAwait(false)
            : await ReadAsync(doing, TransferLimit, () => Fetch(doing, branches, cancel), cancel).ConfigureAwait(false);
    }

    /// <summary>As for several branches.</summary>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    public async Task<string?> FetchAsync(string branch, CancellationToken cancel) =>
        (await FetchAsync([branch], cancel).ConfigureAwait(false))[0];

    /// <summary>Brings more of a cut off history, step by step, until what is looked for is there or the history is
    /// whole.</summary>
    /// <param name="branches">Branches whose history is brought; those that the remote no longer has are left out.</param>
    /// <param name="isEnough">Asked after each step.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice, or there is no git program, which a shallow clone
    /// needs.</exception>
    public async Task DeepenAsync(IReadOnlyList<string> branches, Func<bool> isEnough, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(isEnough);
        var left = TransferLimit;
        foreach (var commits in DeepeningSteps)
        {
            if (!repository.IsShallow || isEnough()) return;
            var began = time.GetTimestamp();
            log.Progress(commits is null ? "the history is cut off: fetching all of it"
                : $"the history is cut off: fetching {commits} commits more");
            var known = (await TipsAsync(cancel).ConfigureAwait(false)).Keys.ToHashSet(StringComparer.Ordinal);
            await FetchByProgramAsync("deepening the history", [.. branches.Where(known.Contains)],
                [commits is null ? "--unshallow" : $"--deepen={commits}"], cancel, left).ConfigureAwait(false);
            left -= time.GetElapsedTime(began);
        }
    }

    /// <summary>Moves a branch on the remote from one commit to another that follows it.</summary>
    /// <param name="commit">Where it is to be; <paramref name="expectedTip"/> is in its history.</param>
    /// <param name="branch">The branch.</param>
    /// <param name="expectedTip">Where it has to be when the server writes: the update carries it.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>What the server said. Only reading the tip shows where the branch is.</returns>
    public Task<PushResult> PushAsync(string commit, string branch, string expectedTip, CancellationToken cancel) =>
        PushAsync(new RemotePush(repository, peer, "refs/heads/" + branch, expectedTip, commit), cancel);

    /// <summary>Removes a branch from the remote when its tip is still the expected commit when the server writes.</summary>
    /// <returns>Accepted also when it was gone already; Moved when its tip is another.</returns>
    public async Task<PushResult> DeleteAsync(string branch, string expectedTip, CancellationToken cancel)
    {
        var push = new RemotePush(repository, peer, "refs/heads/" + branch, expectedTip, null);
        var gone = await PushAsync(push, cancel).ConfigureAwait(false);
        return gone.End == PushEnd.Moved && await TipOfAsync(branch, cancel).ConfigureAwait(false) is null
            ? new PushResult(PushEnd.Accepted, "") : gone;
    }

    /// <summary>The commit that a reference is at on the remote now; null when there is none of the name.</summary>
    /// <param name="reference">Its whole name.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice.</exception>
    internal Task<string?> ReferenceAsync(string reference, CancellationToken cancel) =>
        ReadAsync($"asking for \"{reference}\"", AskingLimit, () => Referred(reference), cancel);

    /// <summary>Sets, moves or removes a reference that is at the expected commit when the server writes.</summary>
    internal Task<PushResult> SetReferenceAsync(string reference, string? expected, string? commit, CancellationToken cancel) =>
        PushAsync(new RemotePush(repository, peer, reference, expected, commit), cancel);

    /// <summary>Registers what is secret in an address: git and its library repeat addresses in what they say. That is the
    /// password, or what stands alone in the user's place, where a token may be; an ssh user is part of the address.</summary>
    public static void MaskCredentials(string url, SecretMask mask)
    {
        ArgumentNullException.ThrowIfNull(url);
        ArgumentNullException.ThrowIfNull(mask);
        // Not every address that git's library repeats is one to .NET: a file's with a user, for one.
        var scheme = url.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0) return;
        var authority = url[(scheme + 3)..].Split('/')[0];
        var at = authority.LastIndexOf('@');
        if (at <= 0) return;
        var parts = authority[..at].Split(':', 2);
        if (parts.Length == 1 && url[..scheme].Contains("ssh", StringComparison.Ordinal)) return;
        mask.Add(parts[^1]);
        mask.Add(Uri.UnescapeDataString(parts[^1]));
    }

    /// <summary>An address without credentials; an ssh user stays, being part of the address.</summary>
    public static string WithoutCredentials(string url)
    {
        ArgumentNullException.ThrowIfNull(url);
        var scheme = url.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0) return url;
        var end = url.IndexOf('/', scheme + 3);
        var authority = end < 0 ? url[(scheme + 3)..] : url[(scheme + 3)..end];
        var at = authority.LastIndexOf('@');
        if (at < 0) return url;
        // An ssh user is not a secret and part of the address; a password never is.
        var user = authority[..at].Split(':')[0];
        var kept = url.StartsWith("ssh", StringComparison.Ordinal) ? user + "@" : "";
        return url[..(scheme + 3)] + kept + authority[(at + 1)..] + (end < 0 ? "" : url[end..]);
    }

    // The library ends the process on a scheme that it does not know, and does not read a remote without an address.
    internal static void RequireAddress(Repository native, string folder)
    {
        var set = WorkRepository.ConfigurationOf(native).Get<string>("remote", Name, "url");
        if (set is null) return;
        if (set.Value.Length == 0)
            throw new UsageException(
                $"the remote \"{Name}\" of the repository \"{folder}\" has an empty address: give it one (git " +
                    $"remote set-url {Name} URL)");
        if (native.Network.Remotes[Name] is not { } remote) return;
        foreach (var url in (string?[])[remote.Url, remote.PushUrl])
            if (url is not null && WhyNot(url) is { } why)
                throw new UsageException(
                    $"the remote \"{Name}\" of the repository \"{folder}\" has the address {why.Text}: {why.Advice}");
    }

    /// <summary>Why the steps do not take an address of the origin, and what to do; null when they take it.</summary>
    public static (string Text, string Advice)? WhyNot(string url)
    {
        ArgumentNullException.ThrowIfNull(url);
        return HasKnownScheme(url) ? null : ($"\"{WithoutCredentials(url)}\", whose scheme is not supported",
            $"use https, http, ssh, git, file, user@host:path or a path (git remote set-url {Name} URL)");
    }

    internal static bool HasKnownScheme(string url) => url.IndexOf("://", StringComparison.Ordinal) is var end && (end < 0
        || url[..end].ToLowerInvariant() is "https" or "http" or "ssh" or "git" or "file"
            || url[..end].Contains('/', StringComparison.Ordinal));

    internal static bool IsLocal(string url) => url.StartsWith("file://", StringComparison.OrdinalIgnoreCase) ||
        !url.Contains("://", StringComparison.Ordinal) && !IsShortSsh(url);

    // host:path, but not C:\path and not ./a:b
    private static bool IsShortSsh(string url)
    {
        var colon = url.IndexOf(':');
        var slash = url.IndexOfAny(['/', '\\']);
        return colon > 1 && (slash < 0 || slash > colon);
    }

    private Task<PushResult> PushAsync(RemotePush push, CancellationToken cancel) => IsLocal(peer.Address)
        ? push.RunByProgramAsync(cancel)
        : repository.AbandonableAsync(OnItsOwnThread(() => push.Run(cancel), cancel), TransferLimit, time,
            () => new PushResult(PushEnd.Network, $"no answer within {Durations.Show(TransferLimit)}"), cancel);

    // The library holds the thread for as long as the other side takes; one of the pool's would be missing there.
    private static Task<T> OnItsOwnThread<T>(Func<T> call, CancellationToken cancel) =>
        Task.Factory.StartNew(call, cancel, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static string AskingFor(string branch) => $"asking for branch \"{branch}\"";

    private string? TipOf(string branch) => Referred($"refs/heads/{branch}");

    private string? Referred(string wanted)
    {
        return repository.Native.Network.ListReferences(Remote)
            .FirstOrDefault(reference => reference.CanonicalName == wanted)?.TargetIdentifier;
    }

    private OriginTips Tips()
    {
        const string heads = "refs/heads/";
        var references = repository.Native.Network.ListReferences(Remote).ToList();
        var head = references.OfType<SymbolicReference>().FirstOrDefault(reference =>
            reference.CanonicalName == "HEAD")?.TargetIdentifier;
        return new OriginTips(
            references.Where(reference => reference.CanonicalName.StartsWith(heads, StringComparison.Ordinal))
                .ToDictionary(reference => reference.CanonicalName[heads.Length..], reference => reference.TargetIdentifier,
                    StringComparer.Ordinal),
            head is not null && head.StartsWith(heads, StringComparison.Ordinal) ? head[heads.Length..] : null);
    }

    private IReadOnlyList<string?> Fetch(string doing, IReadOnlyList<string> branches, CancellationToken cancel)
    {
        var shown = time.GetTimestamp();
        Forget(branches);
        var remembered = Remembered();
        Commands.Fetch(repository.Native, Name, branches.Select(Refspec), new FetchOptions
        {
            TagFetchMode = TagFetchMode.None,
            Prune = false,
            OnTransferProgress = progress =>
            {
                if (time.GetElapsedTime(shown) > BetweenProgress)
                {
                    shown = time.GetTimestamp();
                    log.Progress($"{doing}: {progress.ReceivedObjects} of {progress.TotalObjects} objects");
                }
                return !cancel.IsCancellationRequested;
            },
        }, null);
        // The library moves what the clone remembers of these branches along.
        foreach (var (name, now) in Remembered().Where(pair => remembered.GetValueOrDefault(pair.Key) != pair.Value))
        {
            if (remembered.TryGetValue(name, out var before)) repository.Native.Refs.UpdateTarget(repository.Native.Refs[name],
                before);
            else repository.Native.Refs.Remove(name);
        }
        return Fetched(branches);
    }

    private async Task<IReadOnlyList<string?>> FetchByProgramAsync(string doing, IReadOnlyList<string> branches,
        IReadOnlyList<string> more,
        CancellationToken cancel, TimeSpan? limit = null)
    {
        var tips = await TipsAsync(cancel).ConfigureAwait(false);
        var present = branches.Where(tips.ContainsKey).ToList();
        Forget(branches);
        if (present.Count > 0)
            await GitProgram.FetchAsync(repository.Folder, Name, Remote.Url, Url, doing, present.Select(Refspec), more, access,
                limit ?? TransferLimit, time, log, cancel).ConfigureAwait(false);
        // Commits that were read as the first ones have parents now.
        repository.Reopen();
        return Fetched(branches);
    }

    private static string Refspec(string branch) => $"+refs/heads/{branch}:{Own}{branch}";

    // Otherwise a vanished branch's old reference stays, and looks like its tip.
    private void Forget(IReadOnlyList<string> branches)
    {
        foreach (var branch in branches.Where(branch =>
            repository.Native.Refs[Own + branch] is not null)) repository.Native.Refs.Remove(Own + branch);
    }

    private IReadOnlyList<string?> Fetched(IReadOnlyList<string> branches) =>
        [.. branches.Select(branch => repository.Native.Refs[Own + branch]?.ResolveToDirectReference()?.TargetIdentifier)];

    private Dictionary<string, string> Remembered() =>
        repository.Native.Refs.FromGlob($"refs/remotes/{Name}/*").OfType<DirectReference>()
        .ToDictionary(reference => reference.CanonicalName, reference => reference.TargetIdentifier, StringComparer.Ordinal);

    private async Task<T> ReadAsync<T>(string doing, TimeSpan limit, Func<T> call, CancellationToken cancel) =>
        await Retry.Transient(error => error is UnavailableException, time, log)
            .ExecuteAsync(
                async token => await OnceAsync(doing, limit, call, token).ConfigureAwait(false), cancel).ConfigureAwait(false);

    private Task<T> OnceAsync<T>(string doing, TimeSpan limit, Func<T> call, CancellationToken cancel) =>
        repository.AbandonableAsync(OnItsOwnThread(() => new Exchange(peer, doing, cancel).Run(call), cancel), limit, time,
            () => throw new UnavailableException("git-unreachable",
                $"{doing} at \"{Url}\": no answer within {Durations.Show(limit)}; run the step again when it answers"),
            cancel);
}
