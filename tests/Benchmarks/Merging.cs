using System.Globalization;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Benchmarks;

/// <summary>A branch merged into a target that others move: fetch, merge commit, push, and the target read back, which git
/// does not
/// do; against git's own.</summary>
internal static class Merging
{
    private const string Credentials = "somebody:token";

    public static async Task RunAsync(Table table)
    {
        foreach (var files in (int[])[3000, 20_000])
            foreach (var isHttp in (bool[])[true, false])
                await RunAsync(table, files, isHttp);
    }

    private static async Task RunAsync(Table table, int files, bool isHttp)
    {
        using var git = new GitRepositories();
        git.Import(Enumerable.Range(0, files).Select(number => ($"folder-{number % 50}/file-{number}", $"line {number}\n")));
        await using var server = await GitHttpServer.StartAsync(git.Folder, Credentials);
        var address = server.Url + "origin.git";
        var (theirs, ours, others) = (git.Clone("theirs"), git.Clone("ours"), git.Clone("others"));
        if (isHttp)
        {
            theirs.Git("remote", "set-url", "origin", address.Replace("://", $"://{Credentials}@", StringComparison.Ordinal));
            ours.Git("remote", "set-url", "origin", address);
        }
        foreach (var clone in new[] { theirs, ours, others })
        {
            clone.Git("config", "user.name", "Ada");
            clone.Git("config", "user.email", "ada@example.org");
        }
        var number = 0;
        await table.CompareAsync($"merge into a moved target, {files} files, {(isHttp ? "http" : "file")}", 9, async () =>
        {
            using var repository = WorkRepository.Open(ours.Folder);
            var remote = new OriginRemote(
                repository,
                new RemoteAccess("somebody", "token"),
                TimeProvider.System,
                new BuildLog(TextWriter.Null, forServer: false));
            var into = await remote.FetchAsync("main", CancellationToken.None)
                ?? throw new InvalidOperationException("there is no main");
            var merged = await TreeMerge.OfAsync(repository, into, ours.Head, BuildLog.Silent, default);
            var ada = new CommitPerson("Ada", "ada@example.org");
            var commit = await new NewCommit(merged.Tree!, [into, ours.Head], "Merge", ada, ada, DateTimeOffset.UnixEpoch)
                .WriteAsync(repository, null, CancellationToken.None);
            var pushed = await remote.PushAsync(commit, "main", into, CancellationToken.None);
            if (pushed.End != PushEnd.Accepted) throw new InvalidOperationException(pushed.Text);
            if (await remote.FetchAsync("main", CancellationToken.None) != commit) throw new InvalidOperationException("it " +
                "is not there");
        }, "`git fetch`, `merge --no-ff`, `push`", () =>
        {
            theirs.Git("fetch", "--quiet", "origin", "main");
            theirs.Git("checkout", "--quiet", "--detach", "FETCH_HEAD");
            theirs.Git("merge", "--quiet", "--no-ff", "--message", "Merge", "ci/x");
            theirs.Git("push", "--quiet", "origin", "HEAD:main");
            return Task.CompletedTask;
        }, before: () =>
        {
            var text = (++number).ToString(CultureInfo.InvariantCulture);
            others.Git("fetch", "--quiet", "origin", "main");
            others.Git("checkout", "--quiet", "--detach", "FETCH_HEAD");
            others.Commit($"others/{text}", text);
            others.Git("push", "--quiet", "origin", "HEAD:main");
            foreach (var clone in new[] { theirs, ours })
            {
                clone.Git("checkout", "--quiet", "-B", "ci/x", "origin/main");
                clone.Commit($"{Path.GetFileName(clone.Folder)}/{text}", text);
            }
            return Task.CompletedTask;
        });
    }
}
