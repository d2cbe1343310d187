using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Repositories.Tests;

/// <summary>Merges whose verdict hangs on renames: git's own is the right one, or none.</summary>
[TestFixture(true)]
[TestFixture(false)]
[NonParallelizable]
public sealed class A_merge_with_renames(bool hasGit)
{
    private GitRepositories git = null!;
    private GitClone clone = null!;
    private StringWriter said = null!;

    [SetUp]
    public void A_folder()
    {
        git = new GitRepositories();
        clone = git.Clone();
        said = new StringWriter();
    }

    [TearDown]
    public void Removed()
    {
        git.Dispose();
        said.Dispose();
    }

    private static string Text(int number) => string.Concat(Enumerable.Range(0, 12).Select(line => $"line {line} of " +
        $"{number * 7919}\n"));

    // The change first, then the target.
    private async Task<(TreeMerge Ours, int Exit, string[] Gits)> Merge(Action change, Action target)
    {
        clone.Commit("Begin");
        clone.Branch("ci/x");
        change();
        var from = clone.Commit("The change");
        clone.Checkout("main");
        target();
        var into = clone.Commit("The target");
        var (exit, output, _) = await GitProgram.CaptureAsync(clone.Folder,
            ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", into, from],
            new Dictionary<string, string?> { ["GIT_CONFIG_GLOBAL"] = "/dev/null" });
        using var repository = WorkRepository.Open(clone.Folder);
        var path = Environment.GetEnvironmentVariable("PATH");
        if (!hasGit) Environment.SetEnvironmentVariable("PATH", git.Folder);
        try
        {
            return (await TreeMerge.OfAsync(repository, into, from, new BuildLog(said, forServer: false), default), exit,
                output.Split('\0', StringSplitOptions.RemoveEmptyEntries));
        }
        finally
        {
            Environment.SetEnvironmentVariable("PATH", path);
        }
    }

    private void Same((TreeMerge Ours, int Exit, string[] Gits) both) => Assert.That(
        both.Ours.Tree is { } tree ? (0, string.Join(" ", tree)) : (1, string.Join(" ", both.Ours.Conflicts)),
        Is.EqualTo((both.Exit, both.Exit == 0 ? both.Gits[0] : string.Join(" " +
            "", both.Gits.Skip(1).Distinct().Order()))), said.ToString());

    [Test]
    public async Task Of_more_files_than_the_library_looks_at_by_itself()
    {
        for (var at = 0; at < 300; at++) clone.Write($"old/{at}", Text(at));
        var both = await Merge(() =>
        {
            for (var at = 0; at < 300; at++) clone.Write($"old/{at}", Text(at).Replace("line 3 ", "LINE 3 "));
        }, () =>
        {
            clone.Git("mv", "old", "new");
            for (var at = 0; at < 300; at++) clone.Write($"new/{at}", Text(at).Replace("line 9 ", "LINE 9 "));
        });
        Same(both);
        Assert.That((both.Exit, said.ToString().Contains(hasGit ? "git merge-tree was asked" : "libgit2 " +
            "decides")), Is.EqualTo((0, true)));
    }

    [Test]
    public async Task Of_a_folder_to_which_the_other_side_adds()
    {
        for (var at = 0; at < 5; at++) clone.Write($"old/{at}", Text(at));
        Task<(TreeMerge Ours, int Exit, string[] Gits)> Merging() =>
            Merge(() => clone.Write("old/added", "new\n"), () => clone.Git("mv", "old", "new"));
        if (!hasGit)
        {
            Assert.That(async () => await Merging(), Throws.TypeOf<RefusedException>().With.Message.Contains("\"old/added\"")
                .And.Message.Contains("git 2.38"));
            return;
        }
        var both = await Merging();
        Same(both);
        Assert.That((both.Exit, both.Ours.Conflicts), Is.EqualTo((1, new[] { "new/added" })), "git reports it");
    }

    [Test]
    public async Task By_the_targets_attributes_and_not_the_changes()
    {
        clone.Write("old", Text(1));
        clone.Write("fill", "1");
        var both = await Merge(() =>
        {
            clone.Write("old", Text(1).Replace("line 3 ", "OURS 3 "));
            clone.Write(".gitattributes", "* merge=binary\n");
        }, () =>
        {
            clone.Git("mv", "old", "moved");
            clone.Write("moved", Text(1).Replace("line 3 ", "THEIRS 3 "));
            clone.Write(".gitattributes", "moved merge=union\n");
        });
        Assert.That(both.Ours.Conflicts, Is.EqualTo(new[] { ".gitattributes" }), said.ToString());
    }

    [Test]
    public async Task That_decide_nothing_is_the_librarys_own()
    {
        for (var at = 0; at < 5; at++) clone.Write($"old/{at}", Text(at));
        Same(await Merge(() => clone.Write("other", "new\n"), () => clone.Git("mv", "old", "new")));
        Assert.That(said.ToString(), Is.Empty);
    }

    [Test]
    public async Task That_both_sides_made_differently()
    {
        clone.Write("old", Text(1));
        Same(await Merge(() => clone.Git("mv", "old", "one"), () => clone.Git("mv", "old", "two")));
    }
}
