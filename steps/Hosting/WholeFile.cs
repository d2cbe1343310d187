using System.Text;

namespace CiSteps.Hosting;

/// <summary>
/// Writes files so that a reader sees the old file or the new one, never half of it, also when this process is killed.
/// </summary>
public static class WholeFile
{
    /// <summary>Writes a text as UTF-8.</summary>
    /// <param name="path">The file; its folder is made.</param>
    /// <param name="text">All of it.</param>
    /// <param name="isSecret">Whether nobody but the owner may read it, at no moment.</param>
    public static void Write(string path, string text, bool isSecret = false) =>
        Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)), isSecret);

    /// <summary>Writes a file.</summary>
    /// <param name="path">The file; its folder is made.</param>
    /// <param name="write">Writes all of it; when it throws, the old file stays.</param>
    /// <param name="isSecret">Whether nobody but the owner may read it, at no moment.</param>
    public static void Write(string path, Action<Stream> write, bool isSecret = false)
    {
        ArgumentNullException.ThrowIfNull(write);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var temporary = path + ".tmp";
        // What a killed process left may belong to others, who could go on reading it.
        File.Delete(temporary);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (isSecret && !OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        try
        {
            using (var stream = new FileStream(temporary, options)) write(stream);
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
