using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>What merging two commits gives, without a work tree.</summary>
/// <param name="Tree">The merged tree's id; null when there are conflicts.</param>
/// <param name="Conflicts">Paths that both sides changed in ways that cannot be joined, sorted.</param>
public sealed record TreeMerge(string? Tree, IReadOnlyList<string> Conflicts)
{
    // Which git knows how to merge without a work tree: 2.38.
    private const string Able = "git 2.38 or newer";

    private static readonly ConfigurationLevel[] Levels = [ConfigurationLevel.ProgramData, ConfigurationLevel.System,
        ConfigurationLevel.Xdg, ConfigurationLevel.Global];

    /// <summary>Merges one commit into another in the object database; nothing is checked out and no branch moves. Attributes
    /// (<c>.gitattributes</c>, such as <c>merge=union</c>) are those of the commit merged into: a change does not choose how it
    /// is merged. Where the finding of renames decides, <c>git merge-tree</c> is asked, as the one that people would
    /// ask.</summary>
    /// <param name="repository">Where both commits are.</param>
    /// <param name="into">The commit merged into.</param>
    /// <param name="from">The commit merged.</param>
    /// <param name="log">Told which question is put to git.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="RefusedException">Only git knows the answer, and there is none here that does.</exception>
    public static async Task<TreeMerge> OfAsync(
        WorkRepository repository, string into, string from, BuildLog log, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(log);
        using var borrowed = new BorrowedRepository(repository);
        var question = GitFailure.Translate(repository.Folder, () => Question(repository, into, from, borrowed));
        if (question is not null)
        {
            if (await MergedByGitAsync(borrowed, into, from, cancel).ConfigureAwait(false) is { } merged)
            {
                log.Info($"{question.Text}: git merge-tree was asked");
                borrowed.Keep();
                return merged;
            }
            if (!question.LibraryKnows)
                throw new RefusedException("rename", $"{question.Text}: only git knows what becomes of that, and there is " +
                    $"no {Able} here: install it, or merge the target into the change by hand and push");
            log.Info($"{question.Text}: libgit2 decides, because there is no {Able} here");
        }
        return GitFailure.Translate(repository.Folder, () => ByTheLibrary(repository, into, from, borrowed));
    }

    private static RenameQuestion? Question(WorkRepository repository, string into, string from, BorrowedRepository borrowed)
    {
        var (one, other) = (repository.Get(into), repository.Get(from));
        var question = repository.Native.ObjectDatabase.FindMergeBase(one, other) is { } start
            ? RenameQuestion.Of(repository.Native, start, one, other) : null;
        if (question is not null) WriteAttributes(one.Tree, borrowed.EmptyFolder);
        return question;
    }

    // Its attributes come from a work tree that has nothing but the target's; no configuration but git's own defaults counts.
    private static async Task<TreeMerge?> MergedByGitAsync(
        BorrowedRepository borrowed, string into, string from, CancellationToken cancel)
    {
        if (ChildProcess.Find("git", borrowed.Git, Environment.GetEnvironmentVariable("PATH")) is null) return null;
        var (exit, output, _) = await ChildProcess.CaptureAsync(new("git",
            ["--git-dir=" + borrowed.Git, "--work-tree=" + borrowed.EmptyFolder, "-c", "core.bare=false",
                "merge-tree", "--write-tree",
                "--name-only", "--no-messages", "-z", into, from], borrowed.EmptyFolder)
        {
            Environment = new Dictionary<string, string?>(GitProgram.Quiet, StringComparer.Ordinal)
            {
                ["GIT_CONFIG_GLOBAL"] = OperatingSystem.IsWindows() ? "NUL" : "/dev/null",
                ["GIT_CONFIG_NOSYSTEM"] = "1",
                ["GIT_ATTR_NOSYSTEM"] = "1",
                ["GIT_CONFIG_COUNT"] = null,
                ["GIT_CONFIG_PARAMETERS"] = null,
            },
        }, cancel).ConfigureAwait(false);
        var parts = output.Split('\0', StringSplitOptions.RemoveEmptyEntries);
        return (exit, parts.Length) switch
        {
            (0, > 0) => new TreeMerge(parts[0], []),
            (1, > 1) => new TreeMerge(null, [.. parts.Skip(1).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]),
            _ => null,
        };
    }

    private static TreeMerge ByTheLibrary(WorkRepository repository, string into, string from, BorrowedRepository borrowed)
    {
        // Attributes and drivers come from the index alone, which is never written: not from a work tree, from the clone's
        // configuration and info/attributes, which the change's own tests can have written, or from the user's or the system's.
        // Where the library looks for these is one setting for the whole process.
        lock (Levels)
        {
            var found = Levels
                .Select(level => (Level: level, Paths: GlobalSettings.GetConfigSearchPaths(level).ToArray())).ToList();
            try
            {
                foreach (var level in Levels) GlobalSettings.SetConfigSearchPaths(level, Path.Combine(borrowed.Git, "none"));
                return Of(repository, into, from, borrowed);
            }
            finally
            {
                foreach (var (level, paths) in found) GlobalSettings.SetConfigSearchPaths(level, paths);
            }
        }
    }

    private static TreeMerge Of(WorkRepository repository, string into, string from, BorrowedRepository borrowed)
    {
        using var merging = new Repository(borrowed.Git, new RepositoryOptions
        {
            WorkingDirectoryPath = borrowed.EmptyFolder,
            IndexPath = borrowed.Index,
        });
        var target = merging.Lookup<Commit>(repository.Get(into).Id);
        AddAttributes(target.Tree, "", merging.Index);
        var result = merging.ObjectDatabase.MergeCommits(target, merging.Lookup<Commit>(repository.Get(from).Id),
            new MergeTreeOptions { TargetLimit = RenameQuestion.Limit });
        borrowed.Keep();
        return result.Status == MergeTreeStatus.Succeeded
            ? new TreeMerge(result.Tree.Sha, [])
            : new TreeMerge(null, [.. result.Conflicts
                .Select(conflict => (conflict.Ours ?? conflict.Theirs ?? conflict.Ancestor).Path)
                .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
    }

    private static void WriteAttributes(Tree tree, string folder)
    {
        foreach (var entry in tree)
        {
            if (entry.TargetType == TreeEntryTargetType.Tree)
                WriteAttributes((Tree)entry.Target, Path.Combine(folder, entry.Name));
            else if (entry.Name == ".gitattributes" && entry.Mode != Mode.SymbolicLink && entry.Target is Blob blob)
            {
                Directory.CreateDirectory(folder);
                using var file = File.Create(Path.Combine(folder, entry.Name));
                using var content = blob.GetContentStream();
                content.CopyTo(file);
            }
        }
    }

    private static void AddAttributes(Tree tree, string folder, LibGit2Sharp.Index index)
    {
        foreach (var entry in tree)
        {
            if (entry.TargetType == TreeEntryTargetType.Tree) AddAttributes((Tree)entry.Target, folder + entry.Name + "/", index);
            else if (entry.Name == ".gitattributes" && entry.Mode != Mode.SymbolicLink && entry.Target is Blob blob)
                index.Add(blob, folder + entry.Name, Mode.NonExecutableFile);
        }
    }
}
