using System.Security.Cryptography;
using System.Text;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Agents;

/// <summary>Work folders as agents keep them: one per agent and VCS settings, kept from build to build, brought to the chain's revision before each.</summary>
internal sealed class Checkout(string mirrorsFolder) : IDisposable
{
    private readonly SemaphoreSlim mirrorGate = new(1);

    /// <summary>Brings the local mirror up to date; work folders share its objects.</summary>
    public async Task<string> MirrorAsync(string url, CancellationToken cancel)
    {
        var mirror = Path.Combine(mirrorsFolder, Hash(url) + ".git");
        await mirrorGate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (!File.Exists(Path.Combine(mirror, "HEAD")))
            {
                Directory.CreateDirectory(mirror);
                await Git.RunAsync(mirror, ["init", "-q", "--bare"], cancel).ConfigureAwait(false);
            }
            await Git.RunAsync(mirror, ["fetch", "-q", "--prune", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], cancel).ConfigureAwait(false);
            return mirror;
        }
        finally
        {
            mirrorGate.Release();
        }
    }

    /// <summary>Name of the folder for these VCS settings under an agent's work folder.</summary>
    public static string FolderName(BuildConfiguration build, string url) =>
        build["checkoutDirectory"] is { Length: > 0 } named ? named : Hash(url + "\n" + string.Join('\n', build.VcsEntries.SelectMany(entry => entry.CheckoutRules)));

    /// <summary>Checks the revision out on its branch, with the whole history and the other branches as <c>origin/…</c>.</summary>
    public static async Task PrepareAsync(string folder, string mirror, string url, VcsRoot root, ChainBranch branch, string revision, bool clean, CancellationToken cancel)
    {
        if (clean && Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        var git = Path.Combine(folder, ".git");
        if (!Directory.Exists(git))
        {
            await Git.RunAsync(folder, ["init", "-q"], cancel).ConfigureAwait(false);
            await File.WriteAllTextAsync(Path.Combine(git, "objects", "info", "alternates"), Path.Combine(mirror, "objects") + "\n", cancel).ConfigureAwait(false);
            await Git.RunAsync(folder, ["remote", "add", "origin", url], cancel).ConfigureAwait(false);
        }
        await Git.RunAsync(folder, ["fetch", "-q", "--prune", mirror, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"], cancel).ConfigureAwait(false);
        var before = (await ReadAsync(Path.Combine(git, "HEAD"), cancel).ConfigureAwait(false)).Trim();
        var shortName = branch.FullName.StartsWith("refs/heads/", StringComparison.Ordinal) ? branch.FullName["refs/heads/".Length..] : branch.FullName;
        await Git.RunAsync(folder, ["checkout", "-q", "-f", "-B", shortName, revision], cancel).ConfigureAwait(false);
        var policy = root.Parameters["agentCleanPolicy"] ?? "ON_BRANCH_CHANGE";
        if (policy == "ALWAYS" || (policy == "ON_BRANCH_CHANGE" && before != "ref: refs/heads/" + shortName))
        {
            string[] which = (root.Parameters["agentCleanFilesPolicy"] ?? "ALL_UNTRACKED") switch
            {
                "IGNORED_ONLY" => ["-X"],
                "NON_IGNORED_ONLY" => [],
                _ => ["-x"],
            };
            await Git.RunAsync(folder, ["clean", "-q", "-f", "-f", "-d", .. which], cancel).ConfigureAwait(false);
        }
    }

    public void Dispose() => mirrorGate.Dispose();

    private static async Task<string> ReadAsync(string file, CancellationToken cancel) =>
        File.Exists(file) ? await File.ReadAllTextAsync(file, cancel).ConfigureAwait(false) : "";

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
}
