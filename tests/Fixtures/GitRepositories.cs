using CiSteps.Hosting;

namespace CiSteps.Fixtures;

/// <summary>
/// Real git repositories in a temporary folder, made by calling git: a bare origin and clones of it. Nothing of the machine's own
/// git configuration is used.
/// </summary>
public sealed class GitRepositories : IDisposable
{
    private static readonly Dictionary<string, string?> Environment = new(StringComparer.Ordinal)
    {
        ["GIT_CONFIG_NOSYSTEM"] = "1",
        ["GIT_CONFIG_GLOBAL"] = "/dev/null",
        ["GIT_AUTHOR_NAME"] = "Ada",
        ["GIT_AUTHOR_EMAIL"] = "ada@example.org",
        ["GIT_COMMITTER_NAME"] = "Ada",
        ["GIT_COMMITTER_EMAIL"] = "ada@example.org",
        ["GIT_TERMINAL_PROMPT"] = "0",
        ["LC_ALL"] = "C",
    };

    /// <summary>An origin on disk whose default branch is <c>main</c>, empty.</summary>
    public GitRepositories()
    {
        Folder = Directory.CreateTempSubdirectory("cisteps-git-").FullName;
        Origin = Path.Combine(Folder, "origin.git");
        RunIn(Folder, "init", "--quiet", "--bare", "--initial-branch=main", Origin);
    }

    /// <summary>The folder that all stands in.</summary>
    public string Folder { get; }

    /// <summary>Path of the bare repository.</summary>
    public string Origin { get; }

    /// <summary>Clones the origin. A clone of an empty origin has <c>main</c> checked out, unborn.</summary>
    /// <param name="name">Folder name of the clone.</param>
    /// <param name="arguments">More for <c>git clone</c>, such as <c>--depth=1</c>.</param>
    public GitClone Clone(string name = "clone", params string[] arguments)
    {
        var path = Path.Combine(Folder, name);
        RunIn(Folder, ["clone", "--quiet", .. arguments, "file://" + Origin, path]);
        return new GitClone(path);
    }

    /// <summary>Runs git on the origin and gives back what it prints, trimmed.</summary>
    public string Git(params string[] arguments) => RunIn(Origin, arguments);

    /// <summary>Commits many small files to the origin's <c>main</c> at once, without any work tree.</summary>
    /// <param name="files">Path and text.</param>
    /// <returns>The commit.</returns>
    public string Import(IEnumerable<(string Path, string Text)> files)
    {
        var stream = Path.Combine(Folder, "import");
        using (var writer = new StreamWriter(stream) { NewLine = "\n" })
        {
            writer.WriteLine("commit refs/heads/main\ncommitter Ada <ada@example.org> 1000000000 +0000\ndata 4\nmany");
            if (Git("branch", "--list", "main").Length > 0) writer.WriteLine("from refs/heads/main^0");
            foreach (var (path, text) in files)
                writer.WriteLine($"M 644 inline {path}\ndata {System.Text.Encoding.UTF8.GetByteCount(text)}\n{text}");
        }
        Run(Origin, "sh", "-c", "git fast-import --quiet < \"$1\"", "sh", stream);
        return Git("rev-parse", "main");
    }

    /// <summary>Gives the origin a hook written for <c>sh</c>.</summary>
    public void Hook(string name, string script)
    {
        var path = Path.Combine(Origin, "hooks", name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "#!/bin/sh\n" + script + "\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories))
            if (File.GetAttributes(file).HasFlag(FileAttributes.ReadOnly)) File.SetAttributes(file, FileAttributes.Normal);
        Directory.Delete(Folder, recursive: true);
    }

    internal static string RunIn(string folder, params string[] arguments) =>
        Run(folder, "git", ["-c", "protocol.file.allow=always", .. arguments]);

    /// <summary>Runs a program with git's environment of these tests and gives back what it prints, trimmed.</summary>
    public static string Run(string folder, string program, params string[] arguments)
    {
        var (exit, output, error) = ChildProcess.CaptureAsync(new(program, arguments, folder) { Environment = Environment })
            .GetAwaiter()
            .GetResult();
        return exit == 0
            ? output.Trim()
            : throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} in {folder} ended with {exit}: {error}{output}");
    }
}

/// <summary>A clone with a work tree.</summary>
/// <param name="Folder">Its path.</param>
public sealed record GitClone(string Folder)
{
    /// <summary>The checked out commit.</summary>
    public string Head => Git("rev-parse", "HEAD");

    /// <summary>Runs git here and gives back what it prints, trimmed.</summary>
    public string Git(params string[] arguments) => GitRepositories.RunIn(Folder, arguments);

    /// <summary>Writes a file, folders included.</summary>
    public void Write(string path, string text)
    {
        var full = Path.Combine(Folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
    }

    /// <summary>Commits all there is and gives back the commit.</summary>
    public string Commit(string message)
    {
        Git("add", "--all");
        Git("commit", "--quiet", "--allow-empty", "--message", message);
        return Head;
    }

    /// <summary>Writes one file and commits it.</summary>
    public string Commit(string path, string text, string? message = null)
    {
        Write(path, text);
        return Commit(message ?? $"Change {path}");
    }

    /// <summary>Begins a branch at what is checked out.</summary>
    public void Branch(string name) => Git("checkout", "--quiet", "-b", name);

    /// <summary>Checks a branch or commit out.</summary>
    public void Checkout(string what) => Git("checkout", "--quiet", what);

    /// <summary>Pushes the checked out branch.</summary>
    public void Push() => Git("push", "--quiet", "--set-upstream", "origin", "HEAD");
}
