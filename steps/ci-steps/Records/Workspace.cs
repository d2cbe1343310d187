using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Cli.Records;

/// <summary>
/// What ci-steps keeps between runs: build counters, agents' work folders, mirrors, and the record of each chain. One run at a
/// time.
/// </summary>
internal sealed class Workspace : IDisposable
{
    private readonly FileStream held;
    private readonly Lock gate = new();

    private Workspace(string folder, FileStream held) => (Folder, this.held) = (folder, held);

    public string Folder { get; }

    public string MirrorsFolder => Path.Combine(Folder, "mirrors");

    public string ChainsFolder => ChainsOf(Folder);

    /// <summary>The folder of the chains' records in a workspace, which may be another run's just now.</summary>
    public static string ChainsOf(string folder) => Path.Combine(folder, "chains");

    /// <summary>Opens the workspace and holds it.</summary>
    /// <exception cref="UsageException">Another run works in it, or it cannot be written.</exception>
    public static Workspace Open(string folder)
    {
        folder = Path.GetFullPath(folder);
        try
        {
            Directory.CreateDirectory(folder);
            Directory.CreateDirectory(Path.Combine(folder, "mirrors"));
            var held = new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return new Workspace(folder, held);
        }
        catch (IOException error)
        {
            throw new UsageException(
                $"the workspace \"{folder}\" is in use by another ci-steps ({error.Message}); wait for it, " +
                "or give another --workspace",
                error);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new UsageException(
                $"the workspace \"{folder}\" cannot be written: {error.Message}; give another --workspace", error);
        }
    }

    /// <summary>Where the state of a repository's chains is kept when no workspace is given.</summary>
    public static string DefaultFolder(IReadOnlyDictionary<string, string> environment, string repository)
    {
        var name = Path.GetFileNameWithoutExtension(repository.TrimEnd('/'));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(repository)))[..8];
        return Path.Combine(StateFolder(environment), "workspaces", $"{(name.Length == 0 ? "repository" : name)}-{hash}");
    }

    /// <summary>This user's state folder: <c>$XDG_STATE_HOME/ci-steps</c> or <c>~/.local/state/ci-steps</c>.</summary>
    public static string StateFolder(IReadOnlyDictionary<string, string> environment)
    {
        if (environment.TryGetValue("XDG_STATE_HOME", out var state) && Path.IsPathRooted(state))
            return Path.Combine(state, "ci-steps");
        if (OperatingSystem.IsWindows())
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "ci-steps");
        return Path.Combine(
            environment.TryGetValue("HOME", out var home) && home.Length > 0 ? home : Path.GetTempPath(),
            ".local",
            "state",
            "ci-steps");
    }

    /// <summary>The next value of a counter that is kept on disk; the first is 1.</summary>
    public long Next(string counter)
    {
        lock (gate)
        {
            var file = Path.Combine(Folder, "counters", counter);
            var next = File.Exists(file) && long.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out var last)
                ? last + 1
                : 1;
            WholeFile.Write(file, next.ToString(CultureInfo.InvariantCulture));
            return next;
        }
    }

    public void Dispose() => held.Dispose();
}
