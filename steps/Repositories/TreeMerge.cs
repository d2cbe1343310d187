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
        // Attributes and drivers come from the index alone, which is never written: not from a work tree, from the clone's
        // configuration and info/attributes, which the change's own tests can have written, or from the user's or the system's.
        var nowhere = Directory.CreateTempSubdirectory("cisteps-merge-");
        var found = Levels.Select(level => (Level: level, Paths: GlobalSettings.GetConfigSearchPaths(level).ToArray())).ToList();
        try
        {
            foreach (var level in Levels) GlobalSettings.SetConfigSearchPaths(level, Path.Combine(nowhere.FullName, "none"));
            var objects = Borrow(repository, nowhere.FullName, out var git);
            using var merging = new Repository(git, new RepositoryOptions
            {
                WorkingDirectoryPath = nowhere.CreateSubdirectory("tree").FullName,
                IndexPath = Path.Combine(nowhere.FullName, "index"),
            });
            var target = merging.Lookup<Commit>(repository.Get(into).Id);
            AddAttributes(target.Tree, "", merging.Index);
            var result = merging.ObjectDatabase.MergeCommits(target, merging.Lookup<Commit>(repository.Get(from).Id),
                new MergeTreeOptions());
            Keep(Path.Combine(git, "objects"), objects);
            return result.Status == MergeTreeStatus.Succeeded
                ? new TreeMerge(result.Tree.Sha, [])
                : new TreeMerge(null, [.. result.Conflicts
                    .Select(conflict => (conflict.Ours ?? conflict.Theirs ?? conflict.Ancestor).Path)
                    .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
        }
        finally
        {
            foreach (var (level, paths) in found) GlobalSettings.SetConfigSearchPaths(level, paths);
            foreach (var file in nowhere.EnumerateFiles("*", SearchOption.AllDirectories)) file.IsReadOnly = false;
            nowhere.Delete(recursive: true);
        }
    });

    private static readonly ConfigurationLevel[] Levels = [ConfigurationLevel.ProgramData, ConfigurationLevel.System,
        ConfigurationLevel.Xdg, ConfigurationLevel.Global];

    // A repository of its own that has the clone's objects, and its history as far as the clone has it.
    private static string Borrow(WorkRepository repository, string folder, out string git)
    {
        git = Repository.Init(Path.Combine(folder, "git"), isBare: true);
        var own = repository.Native.Info.Path;
        var common = Path.Combine(own, "commondir");
        if (File.Exists(common)) own = Path.GetFullPath(File.ReadAllText(common).Trim(), own);
        var objects = Path.Combine(own, "objects");
        Directory.CreateDirectory(Path.Combine(git, "objects", "info"));
        File.WriteAllText(Path.Combine(git, "objects", "info", "alternates"), objects.Replace('\\', '/') + "\n");
        var shallow = Path.Combine(own, "shallow");
        if (File.Exists(shallow)) File.Copy(shallow, Path.Combine(git, "shallow"));
        return objects;
    }

    private static void Keep(string made, string objects)
    {
        foreach (var folder in Directory.GetDirectories(made).Where(folder => Path.GetFileName(folder).Length == 2))
        {
            var into = Directory.CreateDirectory(Path.Combine(objects, Path.GetFileName(folder))).FullName;
            foreach (var file in Directory.GetFiles(folder))
            {
                // A reader sees a whole object or none.
                var (to, half) = (Path.Combine(into, Path.GetFileName(file)), Path.Combine(objects, Path.GetRandomFileName()));
                if (File.Exists(to)) continue;
                File.Copy(file, half);
                File.Move(half, to, overwrite: true);
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

    /// <summary>Writes the merge commit; no branch moves. The same arguments give the same id.</summary>
    /// <exception cref="UsageException">The name or address is not fit for a commit.</exception>
    public static string Commit(WorkRepository repository, string tree, string into, string from, string message, string name, string email, DateTimeOffset when)
    {
        if (name.Length == 0 || email.Length == 0 || (name + email).IndexOfAny(['<', '>', '\n']) >= 0)
            throw new UsageException($"\"{name} <{email}>\" is not a committer that git takes; give --committer-name and --committer-email");
        return GitFailure.Translate(repository.Folder, () =>
        {
            var signature = new Signature(name, email, when);
            // The library's own tidying of the message leaves nothing of it when it is linked to native code.
            return repository.Native.ObjectDatabase.CreateCommit(signature, signature, message.ReplaceLineEndings("\n").Trim() + "\n",
                repository.Native.Lookup<Tree>(tree), [repository.Get(into), repository.Get(from)], prettifyMessage: false).Sha;
        });
    }
}
