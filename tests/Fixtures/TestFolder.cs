namespace CiSteps.Fixtures;

/// <summary>A folder of the test's own, removed at the end.</summary>
public sealed class TestFolder : IDisposable
{
    /// <summary>Makes the folder.</summary>
    public TestFolder() => Path = Directory.CreateTempSubdirectory("cisteps-test-").FullName;

    /// <summary>Its absolute path.</summary>
    public string Path { get; }

    /// <summary>Writes a text file, making the folders above it.</summary>
    /// <returns>Its absolute path.</returns>
    public string Write(string path, string text)
    {
        var whole = Of(path);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(whole)!);
        File.WriteAllText(whole, text);
        return whole;
    }

    /// <summary>Absolute path of something in the folder.</summary>
    public string Of(string path) => System.IO.Path.Combine(Path, path);

    /// <summary>Makes a folder in the folder.</summary>
    /// <returns>Its absolute path.</returns>
    public string MakeFolder(string path) => Directory.CreateDirectory(Of(path)).FullName;

    /// <summary>Removes the folder with all in it; what is read-only (git's objects) too.</summary>
    public void Dispose()
    {
        if (!Directory.Exists(Path)) return;
        if (OperatingSystem.IsWindows())
            foreach (var file in Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories))
                File.SetAttributes(file, FileAttributes.Normal);
        Directory.Delete(Path, recursive: true);
    }
}
