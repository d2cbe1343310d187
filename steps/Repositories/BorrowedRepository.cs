using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>A repository of its own that has a clone's objects, and its history as far as the clone has it, but nothing of its
/// configuration, hooks and attributes, which the change's own tests can have written.</summary>
internal sealed class BorrowedRepository : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("cisteps-git-");
    private readonly string objects;

    /// <param name="clone">The clone.</param>
    /// <param name="origin">The address of its remote <c>origin</c>; null for no remote.</param>
    public BorrowedRepository(WorkRepository clone, string? origin = null)
    {
        Git = folder.CreateSubdirectory("git").FullName;
        var own = WorkRepository.SharedFolder(clone.Native);
        objects = Path.Combine(own, "objects");
        Directory.CreateDirectory(Path.Combine(Git, "objects", "info"));
        Directory.CreateDirectory(Path.Combine(Git, "refs"));
        File.WriteAllText(Path.Combine(Git, "HEAD"), "ref: refs/heads/none\n");
        File.WriteAllText(Path.Combine(Git, "config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n" +
            (origin is null ? "" : $"[remote \"{OriginRemote.Name}\"]\n\turl = \"{Quoted(origin)}\"\n"));
        File.WriteAllText(Path.Combine(Git, "objects", "info", "alternates"), objects.Replace('\\', '/') + "\n");
        var shallow = Path.Combine(own, "shallow");
        if (File.Exists(shallow)) File.Copy(shallow, Path.Combine(Git, "shallow"));
    }

    /// <summary>Its folder, as git knows one.</summary>
    public string Git { get; }

    /// <summary>An empty folder that stands for its work tree.</summary>
    public string EmptyFolder => folder.CreateSubdirectory("tree").FullName;

    /// <summary>A file that is not there, for an index that is never written.</summary>
    public string Index => Path.Combine(folder.FullName, "index");

    /// <summary>Gives the clone the objects that were made here.</summary>
    public void Keep()
    {
        var made = Path.Combine(Git, "objects");
        foreach (var inner in Directory.GetDirectories(made).Where(inner => Path.GetFileName(inner).Length == 2))
        {
            var into = Directory.CreateDirectory(Path.Combine(objects, Path.GetFileName(inner))).FullName;
            foreach (var file in Directory.GetFiles(inner))
            {
                // A reader sees a whole object or none.
                var (to, half) = (Path.Combine(into, Path.GetFileName(file)), Path.Combine(objects, Path.GetRandomFileName()));
                if (File.Exists(to)) continue;
                File.Copy(file, half);
                File.Move(half, to, overwrite: true);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in folder.EnumerateFiles("*", SearchOption.AllDirectories).Where(file => file.IsReadOnly))
            file.IsReadOnly = false;
        folder.Delete(recursive: true);
    }

    private static string Quoted(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
}
