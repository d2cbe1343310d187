namespace CiSteps.Sandbox.Pods;

/// <summary>A file of a projected volume.</summary>
/// <param name="Path">Relative to the volume.</param>
/// <param name="Content">Its bytes.</param>
/// <param name="Mode">Its permission bits.</param>
internal sealed record ProjectedFile(string Path, byte[] Content, int Mode);

/// <summary>
/// Writes a volume's files so that a reader sees all old or all new ones: they stand in a folder of their own behind the link
/// "..data", which is replaced by a rename.
/// </summary>
internal static class AtomicFolder
{
    private const int FolderMode = 0x1ed;

    /// <summary>Returns whether anything changed.</summary>
    public static bool Write(string folder, IReadOnlyList<ProjectedFile> files, long version)
    {
        Directory.CreateDirectory(folder);
        HostFiles.SetMode(folder, FolderMode);
        var link = Path.Combine(folder, "..data");
        var before = new FileInfo(link).LinkTarget is { } present ? Path.Combine(folder, present) : null;
        if (before is not null && IsSame(before, files))
            return false;

        var name = $"..{version:x}";
        var target = Path.Combine(folder, name);
        Directory.CreateDirectory(target);
        HostFiles.SetMode(target, FolderMode);
        foreach (var file in files)
        {
            var path = Path.GetFullPath(Path.Combine(target, file.Path));
            if (!path.StartsWith(target + Path.DirectorySeparatorChar, StringComparison.Ordinal))
                continue;
            for (var parent = Path.GetDirectoryName(path)!; parent.Length > target.Length; parent =
                Path.GetDirectoryName(parent)!)
            {
                Directory.CreateDirectory(parent);
                HostFiles.SetMode(parent, FolderMode);
            }

            File.WriteAllBytes(path, file.Content);
            HostFiles.SetMode(path, file.Mode & 0x1ff);
        }

        var fresh = Path.Combine(folder, "..data_tmp");
        File.Delete(fresh);
        File.CreateSymbolicLink(fresh, name);
        HostFiles.Replace(fresh, link);
        var tops = files.Select(f => f.Path.Split('/')[0]).ToHashSet();
        foreach (var top in tops)
        {
            var visible = Path.Combine(folder, top);
            if (!Path.Exists(visible) && new FileInfo(visible).LinkTarget is null)
                File.CreateSymbolicLink(visible, Path.Combine("..data", top));
        }

        foreach (var entry in new DirectoryInfo(folder)
            .EnumerateFileSystemInfos()
            .Where(e => !e.Name.StartsWith("..", StringComparison.Ordinal) && !tops.Contains(e.Name))
            .ToList())
            entry.Delete();
        if (before is not null && Directory.Exists(before))
            Directory.Delete(before, recursive: true);
        return true;
    }

    private static bool IsSame(string folder, IReadOnlyList<ProjectedFile> files)
    {
        if (!Directory.Exists(folder)
            || Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Count() != files.Count)
            return false;
        return files.All(
            f => Path.Combine(folder, f.Path) is var path
                && File.Exists(path)
                && File.ReadAllBytes(path).AsSpan().SequenceEqual(f.Content));
    }
}
