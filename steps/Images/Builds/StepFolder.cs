using System.Globalization;

namespace CiSteps.Images;

/// <summary>
/// A temporary folder of one process. Its name says whose it is, and a lock that ends with the process whether it is in use:
/// what a process left that was killed is removed when the next folder is made.
/// </summary>
internal sealed class StepFolder : IDisposable
{
    private const string Prefix = "ci-steps-images-";
    private const string LockName = ".in-use";

    // So long may pass between a folder and its lock.
    private static readonly TimeSpan Unlocked = TimeSpan.FromHours(1);
    private readonly FileStream held;

    private StepFolder(string path, FileStream held) => (Path, this.held) = (path, held);

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Makes one, for this user only.</summary>
    /// <exception cref="IOException">There is no room, or no right to write.</exception>
    public static StepFolder Create()
    {
        Sweep();
        var name = string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Environment.ProcessId}-");
        var path = Directory.CreateTempSubdirectory(name).FullName;
        return new StepFolder(path, Lock(path, FileMode.CreateNew));
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
        held.Dispose();
    }

    private static void Sweep()
    {
        foreach (var folder in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), Prefix + "*"))
        {
            try
            {
                if (!File.Exists(System.IO.Path.Combine(folder, LockName)))
                {
                    if (TimeProvider.System.GetUtcNow() - Directory.GetLastWriteTimeUtc(folder) < Unlocked) continue;
                }
                else
                {
                    using var free = Lock(folder, FileMode.Open);
                }
                Directory.Delete(folder, recursive: true);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // In use, or somebody else's.
            }
        }
    }

    private static FileStream Lock(string folder, FileMode mode) =>
        new(System.IO.Path.Combine(folder, LockName), mode, FileAccess.ReadWrite, FileShare.None);
}
