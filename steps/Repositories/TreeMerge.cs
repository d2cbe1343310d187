using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>What merging two commits gives, without a work tree.</summary>
/// <param name="Tree">The merged tree's id; null when there are conflicts.</param>
/// <param name="Conflicts">Paths that both sides changed in ways that cannot be joined, sorted.</param>
public sealed record TreeMerge(string? Tree, IReadOnlyList<string> Conflicts)
{
    /// <summary>Merges one commit into another in the object database; nothing is checked out and no branch moves. Attributes
    /// (<c>.gitattributes</c>, such as <c>merge=union</c>) are those of the commit merged into: a change does not choose how it
    /// is merged.</summary>
    /// <param name="repository">Where both commits are.</param>
    /// <param name="into">The commit merged into.</param>
    /// <param name="from">The commit merged.</param>
    public static TreeMerge Of(WorkRepository repository, string into, string from) => GitFailure.Translate(repository.Folder, () =>
    {
        // The library reads attributes from work tree and index: here from an empty one, and one that is never written.
        var nowhere = Directory.CreateTempSubdirectory("cisteps-merge-");
        try
        {
            using var merging = new Repository(repository.Native.Info.Path, new RepositoryOptions
            {
                WorkingDirectoryPath = nowhere.FullName,
                IndexPath = Path.Combine(nowhere.FullName, "index"),
            });
            var target = merging.Lookup<Commit>(repository.Get(into).Id);
            AddAttributes(target.Tree, "", merging.Index);
            var result = merging.ObjectDatabase.MergeCommits(target, merging.Lookup<Commit>(repository.Get(from).Id),
                new MergeTreeOptions());
            return result.Status == MergeTreeStatus.Succeeded
                ? new TreeMerge(result.Tree.Sha, [])
                : new TreeMerge(null, [.. result.Conflicts
                    .Select(conflict => (conflict.Ours ?? conflict.Theirs ?? conflict.Ancestor).Path)
                    .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
        }
        finally
        {
            nowhere.Delete(recursive: true);
        }
    });

    private static void AddAttributes(Tree tree, string folder, LibGit2Sharp.Index index)
    {
        foreach (var entry in tree)
        {
            if (entry.TargetType == TreeEntryTargetType.Tree) AddAttributes((Tree)entry.Target, folder + entry.Name + "/", index);
            else if (entry.Name == ".gitattributes" && entry.Mode != Mode.SymbolicLink && entry.Target is Blob blob)
                index.Add(blob, folder + entry.Name, Mode.NonExecutableFile);
        }
    }

    /// <summary>Writes the merge commit; no branch moves. The same arguments give the same id.</summary>
    /// <exception cref="UsageException">The name or address is not fit for a commit.</exception>
    public static string Commit(WorkRepository repository, string tree, string into, string from, string message, string name, string email, DateTimeOffset when)
    {
        if (name.Length == 0 || email.Length == 0 || (name + email).IndexOfAny(['<', '>', '\n']) >= 0)
            throw new UsageException($"\"{name} <{email}>\" is no committer that git takes; give --committer-name and --committer-email");
        return GitFailure.Translate(repository.Folder, () =>
        {
            var signature = new Signature(name, email, when);
            // The library's own tidying of the message leaves nothing of it when it is linked to native code.
            return repository.Native.ObjectDatabase.CreateCommit(signature, signature, message.ReplaceLineEndings("\n").Trim() + "\n",
                repository.Native.Lookup<Tree>(tree), [repository.Get(into), repository.Get(from)], prettifyMessage: false).Sha;
        });
    }
}
