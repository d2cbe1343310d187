namespace CiSteps.Fixtures;

/// <summary>The settings that this repository ships, as a copy that a test may change.</summary>
public static class ShippedSettings
{
    /// <summary>The folder that holds <c>.teamcity</c> in the sources.</summary>
    public static string Folder { get; } = Find();

    /// <summary>Copies them; gives the folder that holds <c>.teamcity</c>.</summary>
    public static string CopyTo(string folder)
    {
        var from = Path.Combine(Folder, ".teamcity");
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var to = Path.Combine(folder, ".teamcity", Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }
        return folder;
    }

    private static string Find()
    {
        var at = new DirectoryInfo(AppContext.BaseDirectory);
        while (!Directory.Exists(Path.Combine(at!.FullName, "teamcity-settings"))) at = at.Parent;
        return Path.Combine(at.FullName, "teamcity-settings");
    }
}
