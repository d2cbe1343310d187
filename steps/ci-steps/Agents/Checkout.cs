using System.Security.Cryptography;
using System.Text;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Agents;

/// <summary>
/// Work folders as agents keep them: one per agent and VCS settings, kept from build to build, brought to the chain's revision
/// before each.
/// </summary>
internal sealed class Checkout(string mirrorsFolder) : IDisposable
{
    // Which branch a work folder was last brought to: no branch is checked out that would tell.
    private const string LastBranch = "cisteps-last-branch";

    private readonly SemaphoreSlim mirrorGate = new(1);

    /// <summary>Brings the local mirror up to date; work folders share its objects.</summary>
    public async Task<string> MirrorAsync(string url, CancellationToken cancel)
    {
        var mirror = Path.Combine(mirrorsFolder, Hash(url) + ".git");
        await mirrorGate.WaitAsync(cancel);
        try
        {
            if (!File.Exists(Path.Combine(mirror, "HEAD")))
            {
                Directory.CreateDirectory(mirror);
                await Git.RunAsync(mirror, ["init", "-q", "--bare"], cancel);
            }
            await Git.RunAsync(
                mirror, ["fetch", "-q", "--prune", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], cancel);
            return mirror;
        }
        finally
        {
            mirrorGate.Release();
        }
    }

    /// <summary>Name of the folder for these VCS settings under an agent's work folder.</summary>
    public static string FolderName(BuildConfiguration build, string url) =>
        build["checkoutDirectory"] is { Length: > 0 } named
            ? named
            : Hash(url + "\n" + string.Join('\n', build.VcsEntries.SelectMany(entry => entry.CheckoutRules)));

    /// <summary>Checks the revision out as an agent does: no branch is checked out, the built branch's history is there as
    /// <c>origin/…</c>, and of the other branches what earlier builds left; all of them where the build asks for that.</summary>
    public static async Task PrepareAsync(string folder, string mirror, string url, VcsRoot root, ChainBranch branch,
        string revision,
        bool clean, bool allHeads, CancellationToken cancel)
    {
        if (clean && Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        var git = Path.Combine(folder, ".git");
        if (!Directory.Exists(git))
        {
            await Git.RunAsync(folder, ["init", "-q"], cancel);
            await File.WriteAllTextAsync(
                Path.Combine(git, "objects", "info", "alternates"), Path.Combine(mirror, "objects") + "\n", cancel);
            await Git.RunAsync(folder, ["remote", "add", "origin", url], cancel);
        }
        var shortName = branch.FullName.StartsWith("refs/heads/", StringComparison.Ordinal)
            ? branch.FullName["refs/heads/".Length..]
            : branch.FullName;
        var heads = allHeads ? "+refs/heads/*:refs/remotes/origin/*" : $"+{branch.FullName}:refs/remotes/origin/{shortName}";
        await Git.RunAsync(folder, ["fetch", "-q", mirror, heads, "+refs/tags/*:refs/tags/*"], cancel);
        var last = Path.Combine(git, LastBranch);
        var before = await ReadAsync(last, cancel);
        await Git.RunAsync(folder, ["checkout", "-q", "-f", "--detach", revision], cancel);
        await File.WriteAllTextAsync(last, branch.FullName, cancel);
        var policy = root.Parameters["agentCleanPolicy"] ?? "ON_BRANCH_CHANGE";
        if (policy == "ALWAYS" || (policy == "ON_BRANCH_CHANGE" && before != branch.FullName))
        {
            string[] which = (root.Parameters["agentCleanFilesPolicy"] ?? "ALL_UNTRACKED") switch
            {
                "IGNORED_ONLY" => ["-X"],
                "NON_IGNORED_ONLY" => [],
                _ => ["-x"],
            };
            await Git.RunAsync(folder, ["clean", "-q", "-f", "-f", "-d", .. which], cancel);
        }
    }

    public void Dispose() => mirrorGate.Dispose();

    private static async Task<string> ReadAsync(string file, CancellationToken cancel) =>
        File.Exists(file) ? await File.ReadAllTextAsync(file, cancel) : "";

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
}
