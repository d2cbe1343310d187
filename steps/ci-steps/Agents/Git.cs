using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Cli.Agents;

/// <summary>The git program, as agents use it.</summary>
internal static class Git
{
    /// <summary>Runs git and gives its output.</summary>
    /// <exception cref="UnavailableException">git failed: the repository or the network.</exception>
    /// <exception cref="UsageException">There is no git.</exception>
    public static async Task<string> RunAsync(string folder, IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        var (exit, output, error) = await GitProgram.CaptureAsync(folder, arguments, null, cancel);
        if (exit == 0) return output;
        throw new UnavailableException("git-unreachable",
            $"git {arguments[0]} failed in {folder}: {LastLines(error)}; check the repository's address and your rights to it");
    }

    /// <summary>Branch tips of a repository, by full name.</summary>
    public static async Task<IReadOnlyDictionary<string, string>> TipsAsync(string url, CancellationToken cancel)
    {
        var (exit, output, error) = await GitProgram.CaptureAsync(
            Path.GetTempPath(), ["ls-remote", url, "refs/heads/*"], null, cancel);
        if (exit != 0)
            throw new UnavailableException("git-unreachable",
                $"cannot list the branches of \"{url}\": {LastLines(error)}; check the address (--repository) and your " +
                "rights to it");
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('\t'))
            .Where(parts => parts.Length == 2)
            .ToDictionary(parts => parts[1], parts => parts[0], StringComparer.Ordinal);
    }

    private static string LastLines(string error) =>
        string.Join(' ', error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).TakeLast(3));
}
