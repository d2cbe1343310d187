using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>What only the finding of renames decides in a merge. git and the library do not find the same ones: git follows a
/// renamed folder, and looks at more pairs of files.</summary>
/// <param name="Text">The question, for people.</param>
/// <param name="LibraryKnows">Whether the library answers it as git does.</param>
internal sealed record RenameQuestion(string Text, bool LibraryKnows)
{
    /// <summary>git's own limit (merge.renameLimit): so many sources and so many targets are compared with each other.</summary>
    public const int Limit = 7000;

    /// <summary>The question that a merge puts; null when no rename decides anything in it.</summary>
    /// <param name="repository">Where the commits are.</param>
    /// <param name="start">Their common ancestor.</param>
    /// <param name="one">One side.</param>
    /// <param name="other">The other side.</param>
    public static RenameQuestion? Of(Repository repository, Commit start, Commit one, Commit other)
    {
        var ones = Changes.Between(repository, start.Tree, one.Tree);
        var others = Changes.Between(repository, start.Tree, other.Tree);
        return OfFolders(start, one, others) ?? OfFolders(start, other, ones) ?? OfFiles(ones, others) ?? OfFiles(others, ones);
    }

    // git follows a folder when all of it is gone on one side: what the other side adds to it belongs to the new place.
    private static RenameQuestion? OfFolders(Commit start, Commit renaming, Changes adding)
    {
        foreach (var path in adding.Added)
        {
            for (var slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1))
            {
                var folder = path[..slash];
                if (start[folder] is { TargetType: TreeEntryTargetType.Tree } && renaming[folder] is null)
                    return new RenameQuestion(
                        $"one side adds \"{path}\" and the other has no folder \"{folder}\" any more, which may have been " +
                        $"renamed", false);
            }
        }
        return null;
    }

    private static RenameQuestion? OfFiles(Changes renaming, Changes other)
    {
        if (renaming.Added.Count == 0) return null;
        var path = renaming.Removed.FirstOrDefault(gone => other.Modified.Contains(gone) || other.Removed.Contains(gone));
        return path is null ? null : new RenameQuestion(
            $"both sides changed \"{path}\", and one of them may have renamed it",
            renaming.Removed.Count <= Limit && renaming.Added.Count <= Limit);
    }

    private sealed record Changes(IReadOnlySet<string> Added, IReadOnlySet<string> Removed, IReadOnlySet<string> Modified)
    {
        public static Changes Between(Repository repository, Tree from, Tree to)
        {
            using var changes = repository.Diff.Compare<TreeChanges>(from, to,
                new CompareOptions { Similarity = SimilarityOptions.None });
            return new Changes(Paths(changes.Added), Paths(changes.Deleted), Paths(changes.Modified.Concat(changes.TypeChanged)));
        }

        private static HashSet<string> Paths(IEnumerable<TreeEntryChanges> changes) =>
            changes.Select(change => change.Path).ToHashSet(StringComparer.Ordinal);
    }
}
