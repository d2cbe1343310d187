using System.Globalization;
using System.Security.Cryptography;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>What differs between a work tree and its commit, where the library's answer alone would say too much.</summary>
internal static class WorkTreeState
{
    // A pointer file of Git LFS is shorter than this; anything longer is content.
    private const int LongestPointer = 1024;

    private const SubmoduleStatus OnlyNewFiles =
        SubmoduleStatus.InHead | SubmoduleStatus.InIndex | SubmoduleStatus.InConfig | SubmoduleStatus.InWorkDir
        | SubmoduleStatus.WorkDirFilesUntracked;

    public static IReadOnlyList<string> Uncommitted(Repository repository, bool untrackedToo)
    {
        var seen = Differing(repository, untrackedToo);
        if (!MayHideFiles(repository)) return seen;
        // An index without flags, written anew from the commit: every file is looked at.
        var aside = Directory.CreateTempSubdirectory("cisteps-index-");
        try
        {
            using var fresh = new Repository(repository.Info.Path, new RepositoryOptions
            {
                WorkingDirectoryPath = repository.Info.WorkingDirectory,
                IndexPath = Path.Combine(aside.FullName, "index"),
            });
            fresh.Index.Replace(fresh.Head.Tip);
            fresh.Index.Write();
            // What a sparse checkout leaves out is not there on purpose.
            var isSparse = WorkRepository.ConfigurationOf(repository).GetValueOrDefault("core.sparseCheckout", false);
            return [.. seen.Union(Differing(fresh, untrackedToo).Where(path => !isSparse
                || Path.Exists(Path.Combine(repository.Info.WorkingDirectory, path))), StringComparer.Ordinal)
                .Order(StringComparer.Ordinal)];
        }
        finally
        {
            aside.Delete(recursive: true);
        }
    }

    // Files with the flags assume-unchanged and skip-worktree are never looked at. The latter needs the index's third version.
    private static bool MayHideFiles(Repository repository)
    {
        if (repository.Index.Any(entry => entry.AssumeUnchanged)) return true;
        var file = Path.Combine(repository.Info.Path, "index");
        if (!File.Exists(file)) return false;
        using var index = File.OpenRead(file);
        Span<byte> start = stackalloc byte[8];
        return index.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start[7] > 2;
    }

    private static IReadOnlyList<string> Differing(Repository repository, bool untrackedToo) =>
    [
        .. repository.RetrieveStatus(new StatusOptions
        {
            IncludeUntracked = untrackedToo,
            RecurseUntrackedDirs = untrackedToo,
            IncludeIgnored = false,
            DetectRenamesInIndex = false,
        }).Where(
            entry => entry.State is not (FileStatus.Ignored or FileStatus.Unaltered or FileStatus.Nonexistent)
                && (untrackedToo || entry.State != FileStatus.NewInWorkdir))
            .Where(entry => !entry.FilePath.StartsWith(".ci-steps/", StringComparison.Ordinal))
            .Where(entry => entry.State != FileStatus.ModifiedInWorkdir || IsChanged(repository, entry.FilePath, untrackedToo))
            .Select(entry => entry.FilePath)
            .Order(StringComparer.Ordinal),
    ];

    private static bool IsChanged(Repository repository, string path, bool untrackedToo) => repository.Head.Tip[path] switch
    {
        { TargetType: TreeEntryTargetType.GitLink } =>
            untrackedToo || (repository.Submodules[path]?.RetrieveStatus() ?? 0) is var status && (status & ~OnlyNewFiles) != 0,
        { TargetType: TreeEntryTargetType.Blob, Target: Blob blob } =>
            !IsWhatLfsPutThere(blob, Path.Combine(repository.Info.WorkingDirectory, path)),
        _ => true,
    };

    // The library runs no filter programs: a file that Git LFS put in place of its pointer looks changed whenever the index has
    // to be believed.
    private static bool IsWhatLfsPutThere(Blob blob, string file)
    {
        if (blob.Size > LongestPointer || !File.Exists(file)) return false;
        var lines = blob.GetContentText().Split('\n');
        if (!lines[0].StartsWith("version https://git-lfs", StringComparison.Ordinal)) return false;
        var id = Array.Find(
            lines, line => line.StartsWith("oid sha256:", StringComparison.Ordinal))?["oid sha256:".Length..].Trim();
        var size = Array.Find(lines, line => line.StartsWith("size ", StringComparison.Ordinal))?["size ".Length..].Trim();
        using var content = File.OpenRead(file);
        return size == content.Length.ToString(CultureInfo.InvariantCulture)
            && id == Convert.ToHexStringLower(SHA256.HashData(content));
    }
}
