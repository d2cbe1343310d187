using CiSteps.Hosting;

namespace CiSteps.Repositories;

/// <summary>The git program. Steps need it for the one thing that the library does not do right: pushing to a repository on this
/// machine's disk.
/// There the library writes the other repository's references itself, runs none of its hooks and compares nothing before it swaps.</summary>
public static class GitProgram
{
    private static readonly Dictionary<string, string?> Quiet = new(StringComparer.Ordinal)
    {
        ["GIT_TERMINAL_PROMPT"] = "0",
        ["LC_ALL"] = "C",
        // A hook or a wrapper that started us may have set these for another repository.
        ["GIT_DIR"] = null,
        ["GIT_WORK_TREE"] = null,
        ["GIT_INDEX_FILE"] = null,
    };

    /// <summary>Runs git, which asks nobody and speaks English.</summary>
    /// <param name="folder">Working directory.</param>
    /// <param name="arguments">Arguments, unquoted.</param>
    /// <param name="environment">Further variables to set.</param>
    /// <param name="cancel">Ends it, then throws.</param>
    /// <returns>Exit code, standard output, standard error.</returns>
    /// <exception cref="UsageException">There is no git program on the path.</exception>
    public static Task<(int Exit, string Output, string Error)> CaptureAsync(
        string folder, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string?>? environment = null, CancellationToken cancel = default)
    {
        var variables = new Dictionary<string, string?>(Quiet, StringComparer.Ordinal);
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) variables[name] = value;
        return ChildProcess.CaptureAsync(new("git", arguments, folder) { Environment = variables }, cancel);
    }

    /// <summary>Pushes one reference without force.</summary>
    /// <exception cref="UsageException">There is no git program on the path.</exception>
    internal static async Task<PushResult> PushAsync(string folder, string remote, string refspec, CancellationToken cancel)
    {
        // The clone's own pre-push hook is for people who type; it would run the checked out code's idea of a hook here.
        var (exit, output, error) = await CaptureAsync(
            folder, ["push", "--porcelain", "--no-verify", remote, refspec], null, cancel).ConfigureAwait(false);
        if (exit == 0) return new PushResult(PushEnd.Accepted, "");
        var refused = output.Split('\n').FirstOrDefault(line => line.StartsWith("!\t", StringComparison.Ordinal))?.Split('\t').LastOrDefault();
        var said = string.Join("; ", error.Split('\n').Where(line => line.StartsWith("remote: ", StringComparison.Ordinal))
            .Select(line => line["remote: ".Length..].Trim()).Where(line => line.Length > 0));
        if (refused is null) return new PushResult(PushEnd.Network, error.Trim());
        var end = OriginRemote.Classify(refused);
        // A hook's own words may say that it protects the branch.
        if (end == PushEnd.Hook && OriginRemote.Classify(said) == PushEnd.Protected) end = PushEnd.Protected;
        return new PushResult(end, said.Length > 0 ? $"{refused}: {said}" : refused);
    }
}
