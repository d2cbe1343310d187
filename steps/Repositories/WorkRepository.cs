using CiSteps.Hosting;
using CiSteps.Repositories.Transport;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>
/// The git repository of a checkout, for reading: head, state of the work tree, history and files of commits. Commits are full
/// hexadecimal ids, paths are relative with <c>/</c>. Not safe for use from several threads at once.
/// </summary>
public sealed class WorkRepository : IDisposable
{
    private Repository repository;
    private readonly List<IDisposable> peers = [];
    private bool abandoned;

    private WorkRepository(Repository repository, string folder) => (this.repository, Folder) = (repository, folder);

    /// <summary>Opens the repository that a folder belongs to.</summary>
    /// <param name="path">The checkout's root.</param>
    /// <exception cref="UsageException">No work tree, no commit yet, or one whose owner git does not trust.</exception>
    public static WorkRepository Open(string path)
    {
        OpenSsl.Require();
        var found = Discover(path)
            ?? throw new UsageException($"\"{path}\" is not a git work tree; run the step in a checkout, or give --work-tree");
        var repository = GitFailure.Translate(path, () => new Repository(found));
        try
        {
            if (repository.Info.IsBare)
                throw new UsageException($"\"{path}\" is a bare git repository; run the step in a checkout, or give --work-tree");
            if (GitFailure.Translate(path, () => repository.Head.Tip) is null)
                throw new UsageException($"the git work tree \"{path}\" has no commit yet; commit something first");
            return new WorkRepository(repository, Path.TrimEndingDirectorySeparator(repository.Info.WorkingDirectory));
        }
        catch
        {
            repository.Dispose();
            throw;
        }
    }

    /// <summary>Absolute path of the work tree's root.</summary>
    public string Folder { get; }

    internal Repository Native => repository;

    /// <summary>Forgets all that was read, after another program changed the history.</summary>
    internal void Reopen()
    {
        var old = repository;
        repository = GitFailure.Translate(Folder, () => new Repository(Folder));
        old.Dispose();
    }

    /// <summary>The commit that is checked out.</summary>
    public string HeadCommit => repository.Head.Tip.Sha;

    /// <summary>The branch that is checked out; null when the head is detached, as on a build agent.</summary>
    public string? HeadBranch => repository.Info.IsHeadDetached ? null : repository.Head.FriendlyName;

    /// <summary>Whether the history is cut off (<c>git clone --depth</c>).</summary>
    public bool IsShallow => repository.Info.IsShallow;

    /// <summary>
    /// Files whose content is not what the checked out commit says, sorted; a submodule is one path. The folder <c>.ci-steps</c>
    /// does not count, nor do ignored files.
    /// </summary>
    /// <param name="untrackedToo">Also files that git does not know yet, in submodules too.</param>
    public IReadOnlyList<string> UncommittedPaths(bool untrackedToo) =>
        GitFailure.Translate(Folder, () => WorkTreeState.Uncommitted(repository, untrackedToo));

    /// <summary>The address of <c>origin</c> without credentials; null when there is no such remote.</summary>
    /// <exception cref="UsageException">It is empty, or of a scheme that is not supported.</exception>
    public string? OriginUrl
    {
        get
        {
            OriginRemote.RequireAddress(repository, Folder);
            return repository.Network.Remotes[OriginRemote.Name] is { } remote
                ? OriginRemote.WithoutCredentials(remote.Url)
                : null;
        }
    }

    /// <summary>The branch that the origin's HEAD pointed to when it was cloned; null when that is not recorded.</summary>
    public string? OriginDefaultBranch
    {
        get
        {
            const string prefix = "refs/remotes/" + OriginRemote.Name + "/";
            return repository.Refs[prefix + "HEAD"] is SymbolicReference head
                && head.TargetIdentifier.StartsWith(prefix, StringComparison.Ordinal)
                ? head.TargetIdentifier[prefix.Length..] : null;
        }
    }

    /// <summary>The clone's own branches.</summary>
    public IReadOnlyDictionary<string, string> LocalTips => TipsBelow("refs/heads/");

    /// <summary>The origin's branches as this clone last saw them, each at some time.</summary>
    public IReadOnlyDictionary<string, string> RememberedTips => TipsBelow($"refs/remotes/{OriginRemote.Name}/");

    /// <summary>The full id of a commit given by full or abbreviated id; null when this clone does not have it.</summary>
    public string? FindCommit(string id) => GitFailure.Translate(Folder, () =>
        id.Length >= 4 && id.All(char.IsAsciiHexDigit) ? repository.Lookup<Commit>(id)?.Sha : null);

    /// <summary>The best common ancestors of two commits: several where each side merged the other, and one of them alone does
    /// not show all that a side changed.</summary>
    /// <exception cref="UsageException">There is none: the histories are unrelated, or this clone's history is cut off before
    /// all are known.</exception>
    public IReadOnlyList<string> MergeBases(string one, string other)
    {
        if (FindMergeBases(one, other) is { Count: > 0 } found) return found;
        throw new UsageException(IsShallow
            ? $"the history of this clone is cut off before the common ancestor of {ShortId.Of(one)} and {ShortId.Of(other)}: " +
                "fetch the rest (git fetch --unshallow), " +
              "or let the checkout be complete (in TeamCity: no shallow clone, teamcity.git.shallowClone=false)"
            : $"commits {ShortId.Of(one)} and {ShortId.Of(other)} have no common ancestor: the target branch " +
                "may have been rewritten; start the branch anew from the target branch");
    }

    /// <summary>As <see cref="MergeBases"/>; empty where that throws.</summary>
    public IReadOnlyList<string> FindMergeBases(string one, string other) => GitFailure.Translate(Folder, () =>
    {
        var first = repository.ObjectDatabase.FindMergeBase(Get(one), Get(other));
        if (first is null) return (IReadOnlyList<string>)[];
        var (left, right) = (ParentsSince(first, one), ParentsSince(first, other));
        // Where the history is cut off a commit has no parents: what stands behind it may be shared, too.
        if (IsShallow && left.Values.Concat(right.Values).Any(parents => parents.Count == 0)) return [];
        var shared = left.Keys.Where(right.ContainsKey).ToList();
        var behind = shared.SelectMany(commit => left[commit]).ToHashSet(StringComparer.Ordinal);
        return [first.Sha, .. shared.Where(commit => !behind.Contains(commit)).Order(StringComparer.Ordinal)];
    });

    /// <summary>Whether the first commit is in the history of the second; a commit is in its own. In a shallow clone "no" may
    /// mean that the history is cut off.</summary>
    public bool IsAncestor(string ancestor, string commit) => ancestor == commit ||
        GitFailure.Translate(Folder, () => repository.ObjectDatabase.FindMergeBase(Get(ancestor), Get(commit)))?.Sha == ancestor;

    /// <summary>
    /// Paths whose content or mode differs between two commits, sorted; a rename counts with both names, a submodule with its own
    /// path.
    /// </summary>
    public IReadOnlyList<string> ChangedPaths(string from, string to) => GitFailure.Translate(Folder, () =>
    {
        // Without rename detection a rename is a removal and an addition, which is what matters here and is much faster.
        using var changes = repository.Diff.Compare<TreeChanges>(Get(from).Tree, Get(to).Tree,
            new CompareOptions { Similarity = SimilarityOptions.None });
        return (IReadOnlyList<string>)[.. changes.Select(change => change.Path)
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal)];
    });

    /// <summary>Paths that differ between any of some commits and another one, sorted; see
    /// <see cref="ChangedPaths(string, string)"/>.</summary>
    public IReadOnlyList<string> ChangedPaths(IReadOnlyList<string> from, string to) =>
    [
        .. from.SelectMany(commit => ChangedPaths(commit, to)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
    ];

    /// <summary>The text of a file in a commit; null when there is no such file.</summary>
    public string? ReadFile(string commit, string path) => GitFailure.Translate(Folder, () =>
        Get(commit)[path] is { TargetType: TreeEntryTargetType.Blob, Target: Blob blob } ? blob.GetContentText() : null);

    /// <summary>The first folder or file on the way to a path that is a symbolic link in a commit; null when none is.</summary>
    public string? FindLink(string commit, string path) => GitFailure.Translate(Folder, () =>
    {
        var parts = path.Split('/');
        return Enumerable.Range(1, parts.Length).Select(count => string.Join('/', parts[..count]))
            .FirstOrDefault(part => Get(commit)[part]?.Mode == Mode.SymbolicLink);
    });

    /// <summary>The id of a commit's whole tree.</summary>
    public string TreeId(string commit) => GitFailure.Translate(Folder, () => Get(commit).Tree.Sha);

    /// <summary>
    /// The id of what is at a path in a commit (a folder's tree, a file's blob, a submodule's commit); null when there is
    /// nothing.
    /// </summary>
    public string? ObjectId(string commit, string path) => GitFailure.Translate(Folder, () => Get(commit)[path]?.Target.Sha);

    /// <summary>All file paths of a commit with mode and id of their content, in git's order; a submodule is one path.</summary>
    public IEnumerable<(string Path, string Id)> Files(string commit) => FilesOf(Get(commit).Tree, "");

    /// <summary>As <see cref="Files"/>, of a tree by its id.</summary>
    /// <exception cref="UsageException">The clone does not have it.</exception>
    public IEnumerable<(string Path, string Id)> FilesOfTree(string tree) => FilesOf(repository.Lookup<Tree>(tree)
        ?? throw new UsageException($"this clone does not have the tree {ShortId.Of(tree)}: run the step again"), "");

    /// <summary>When a commit was made, by its committer.</summary>
    public DateTimeOffset CommitTime(string commit) => GitFailure.Translate(Folder, () => Get(commit).Committer.When);

    /// <summary>First line of a commit's message.</summary>
    public string Subject(string commit) => GitFailure.Translate(Folder, () => Get(commit).MessageShort);

    /// <summary>A commit's whole message.</summary>
    public string Message(string commit) => GitFailure.Translate(Folder, () => Get(commit).Message);

    /// <summary>Lines of the messages of all commits in the history of one and not of the other.</summary>
    internal IReadOnlyList<string> MessageLines(string of, string notIn) => GitFailure.Translate(Folder, () =>
        (IReadOnlyList<string>)[.. repository.Commits
            .QueryBy(new CommitFilter { IncludeReachableFrom = of, ExcludeReachableFrom = notIn })
            .SelectMany(commit => commit.Message.Split('\n').Select(line => line.Trim()))]);

    /// <summary>A commit's author.</summary>
    public CommitPerson Author(string commit) => GitFailure.Translate(Folder, () =>
        new CommitPerson(Get(commit).Author.Name, Get(commit).Author.Email));

    /// <summary>Who wrote the commits in the history of one and not of the other, each once, oldest commit first.</summary>
    public IReadOnlyList<CommitPerson> Authors(string of, string notIn) => GitFailure.Translate(Folder, () =>
        (IReadOnlyList<CommitPerson>)[.. repository.Commits.QueryBy(new CommitFilter
        {
            IncludeReachableFrom = of,
            ExcludeReachableFrom = notIn,
            SortBy = CommitSortStrategies.Topological | CommitSortStrategies.Reverse,
        }).Where(commit => commit.Parents.Count() < 2)
            .Select(commit => new CommitPerson(commit.Author.Name, commit.Author.Email)).Distinct()]);

    /// <summary>Commits in the history of one and not of the other, newest first, each as short id, subject and author.</summary>
    /// <param name="of">Their history.</param>
    /// <param name="notIn">Without this one's.</param>
    /// <param name="touching">Only those that change one of these paths; all when empty.</param>
    /// <param name="most">At most so many.</param>
    public IReadOnlyList<string> Commits(string of, string notIn, IReadOnlyCollection<string> touching, int most) =>
        GitFailure.Translate(Folder, () =>
        {
            var walk = repository.Commits.QueryBy(new CommitFilter
            {
                IncludeReachableFrom = of,
                ExcludeReachableFrom = notIn,
                SortBy = CommitSortStrategies.Topological | CommitSortStrategies.Time,
            });
            return (IReadOnlyList<string>)[.. walk.Where(commit => touching.Count == 0 || Touches(commit, touching)).Take(most)
                .Select(commit => $"{ShortId.Of(commit.Sha)} \"{commit.MessageShort}\" by {commit.Author.Name}")];
        });

    /// <summary>The commit on a branch's own line that brought another one in, with the tip before it: a merge commit, or
    /// the only
    /// commit made of it, which says so (<see cref="NewCommit.Tested"/>). Null when it came in another way.</summary>
    /// <param name="commit">The commit that was merged.</param>
    /// <param name="tip">The branch's tip.</param>
    public (string Before, string Merge)? MergeThatBrought(string commit, string tip) => GitFailure.Translate(Folder, () =>
    {
        // Bounded: who asks wants a merge of his own, which is near the tip.
        const int farthest = 1000;
        var at = Get(tip);
        for (var step = 0; step < farthest; step++)
        {
            var parents = at.Parents.ToList();
            if (parents.Skip(1).Any(parent => parent.Sha == commit) || parents.Count == 1
                && at.Message.Split('\n').Contains(NewCommit.Tested + commit)) return (parents[0].Sha, at.Sha);
            if (parents.Count == 0) return ((string, string)?)null;
            at = parents[0];
        }
        return null;
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        // A call that was not waited for may still use it; the process ends soon.
        if (!abandoned) repository.Dispose();
        foreach (var peer in peers) peer.Dispose();
    }

    /// <summary>The other side of a remote; it ends with this.</summary>
    internal RemotePeer Peer(string address, RemoteAccess? access, TimeSpan silence, TimeProvider time)
    {
        var peer = new RemotePeer(address, Folder, () => ConfigurationOf(repository), access, silence, time);
        peers.Add(peer);
        return peer;
    }

    /// <summary>
    /// Waits for a call over the network, but not longer than a limit nor after a stop: the library itself cannot be stopped
    /// while it waits for the other side.
    /// </summary>
    internal async Task<T> AbandonableAsync<T>(
        Task<T> call, TimeSpan limit, TimeProvider time, Func<T> tooLong, CancellationToken cancel)
    {
        try
        {
            return await call.WaitAsync(limit, time, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            abandoned = true;
            return tooLong();
        }
        catch (OperationCanceledException)
        {
            abandoned = !call.IsCompleted;
            throw;
        }
    }

    // The library's own Discover finds nothing when it is linked to native code.
    private static string? Discover(string path)
    {
        for (var folder = new DirectoryInfo(path); folder is not null; folder = folder.Parent)
        {
            var git = Path.Combine(folder.FullName, ".git");
            if (Directory.Exists(git) || File.Exists(git)) return folder.FullName;
        }
        return File.Exists(Path.Combine(path, "HEAD")) && Directory.Exists(Path.Combine(path, "objects")) ? path : null;
    }

    /// <summary>The folder with what all work trees of a repository share: objects, references, configuration.</summary>
    internal static string SharedFolder(Repository repository)
    {
        var own = repository.Info.Path;
        var common = Path.Combine(own, "commondir");
        return File.Exists(common) ? Path.GetFullPath(File.ReadAllText(common).Trim(), own) : own;
    }

    /// <summary>A repository's configuration. Of a linked work tree the library looks for it where there is none, and once it has
    /// been asked it finds no remote any more: so it is never asked.</summary>
    internal static Configuration ConfigurationOf(Repository repository)
    {
        var shared = SharedFolder(repository);
        return shared == repository.Info.Path ? repository.Config : Configuration.BuildFrom(Path.Combine(shared, "config"));
    }

    internal Commit Get(string commit) => repository.Lookup<Commit>(commit)
        ?? throw new UsageException($"this clone does not have commit {ShortId.Of(commit)}: fetch it" +
            (IsShallow ? " (the clone is shallow: git fetch --unshallow)" : ""));

    // Commits in the history of one and not of another, each with its parents.
    private Dictionary<string, IReadOnlyList<string>> ParentsSince(Commit notIn, string of) => repository.Commits
        .QueryBy(new CommitFilter { IncludeReachableFrom = of, ExcludeReachableFrom = notIn })
        .ToDictionary(commit => commit.Sha, commit => (IReadOnlyList<string>)[.. commit.Parents.Select(parent => parent.Sha)],
            StringComparer.Ordinal);

    private Dictionary<string, string> TipsBelow(string prefix) => GitFailure.Translate(Folder, () =>
        repository.Refs.FromGlob(prefix + "*").OfType<DirectReference>()
            .ToDictionary(reference => reference.CanonicalName[prefix.Length..], reference => reference.TargetIdentifier,
                StringComparer.Ordinal));

    private bool Touches(Commit commit, IReadOnlyCollection<string> paths)
    {
        // A merge commit is looked at through its parents' own commits.
        if (commit.Parents.Count() > 1) return false;
        using var changes = repository.Diff.Compare<TreeChanges>(commit.Parents.FirstOrDefault()?.Tree, commit.Tree, paths,
            new ExplicitPathsOptions { ShouldFailOnUnmatchedPath = false },
            new CompareOptions { Similarity = SimilarityOptions.None });
        return changes.Count > 0;
    }

    private static IEnumerable<(string Path, string Id)> FilesOf(Tree tree, string folder)
    {
        foreach (var entry in tree)
        {
            var path = folder + entry.Name;
            if (entry.TargetType == TreeEntryTargetType.Tree)
                foreach (var inner in FilesOf((Tree)entry.Target, path + "/"))
                    yield return inner;
            else yield return (path, $"{Convert.ToString((int)entry.Mode, 8)} {entry.Target.Sha}");
        }
    }
}
