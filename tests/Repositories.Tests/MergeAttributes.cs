using CiSteps.Fixtures;
using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories.Tests;

/// <summary>Which attributes count when two commits are merged.</summary>
public sealed class Merge_attributes
{
    private GitRepositories git = null!;
    private GitClone clone = null!;

    [SetUp]
    public void Two_branches_that_changed_the_same_lines()
    {
        git = new GitRepositories();
        clone = git.Clone();
        clone.Write("a", "1\n2\n3\n");
        clone.Write("sub/a", "1\n2\n3\n");
        clone.Commit("Begin");
        clone.Branch("ci/x");
        clone.Write("a", "1\nours\n3\n");
        clone.Write("sub/a", "1\nours\n3\n");
    }

    [TearDown]
    public void Removed() => git.Dispose();

    private TreeMerge Merge(string attributes)
    {
        clone.Commit("The change");
        var change = clone.Head;
        clone.Checkout("main");
        clone.Write("a", "1\ntheirs\n3\n");
        clone.Write("sub/a", "1\ntheirs\n3\n");
        if (attributes.Length > 0) clone.Write(attributes, "a merge=union\n");
        clone.Commit("The target");
        var target = clone.Head;
        clone.Checkout("ci/x");
        using var repository = WorkRepository.Open(clone.Folder);
        var merge = TreeMerge.OfAsync(repository, into: target, from: change, BuildLog.Silent, default).GetAwaiter().GetResult();
        Assert.That(clone.Git("status", "--porcelain"), Is.Empty, "nothing is checked out");
        return merge;
    }

    [Test]
    public void Of_the_change_do_not_count()
    {
        clone.Write(".gitattributes", "* merge=union\n");
        clone.Write("sub/.gitattributes", "* merge=binary\n");
        Assert.That(Merge("").Conflicts, Is.EqualTo(new[] { "a", "sub/a" }));
    }

    [TestCase(".gitattributes", new string[0])]
    [TestCase("sub/.gitattributes", new[] { "a" })]
    public void Of_the_target_count_wherever_they_stand(string path, string[] conflicts) =>
        Assert.That(Merge(path).Conflicts, Is.EqualTo(conflicts));

    [Test]
    public void Of_the_clone_do_not_count([Values("info/attributes", "merge.default", "core.attributesFile")] string what)
    {
        var file = Path.Combine(clone.Folder, ".git", "info", "attributes");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        if (what == "merge.default") clone.Git("config", what, "union");
        else File.WriteAllText(file, "* merge=union\n");
        if (what == "core.attributesFile")
        {
            File.Move(file, file + ".own");
            clone.Git("config", what, file + ".own");
        }
        Assert.That(Merge("").Conflicts, Is.EqualTo(new[] { "a", "sub/a" }));
    }

    // What the user or the system has set stands where the library looks for it: its search paths.
    [Test, NonParallelizable]
    public void Of_the_user_and_the_system_do_not_count(
        [Values(ConfigurationLevel.Global, ConfigurationLevel.Xdg, ConfigurationLevel.System, ConfigurationLevel.ProgramData)]
        ConfigurationLevel level, [Values("merge.default", "core.attributesFile", "attributes")] string what)
    {
        using var folder = new TestFolder();
        var attributes = folder.Write("own-attributes", "* merge=union\n");
        foreach (var name in new[] { ".gitconfig", "config", "gitconfig" })
            folder.Write(name, what == "merge.default" ? "[merge]\n\tdefault = union\n"
                : what == "core.attributesFile" ? $"[core]\n\tattributesFile = {attributes}\n" : "");
        if (what == "attributes")
            foreach (var name in new[] { "attributes", "gitattributes" }) folder.Write(name, "* merge=union\n");
        var before = GlobalSettings.GetConfigSearchPaths(level).ToArray();
        GlobalSettings.SetConfigSearchPaths(level, folder.Path);
        try
        {
            Assert.That(Merge("").Conflicts, Is.EqualTo(new[] { "a", "sub/a" }));
            Assert.That(
                GlobalSettings.GetConfigSearchPaths(level), Is.EqualTo(new[] { folder.Path }), "they are as they were again");
        }
        finally
        {
            GlobalSettings.SetConfigSearchPaths(level, before);
        }
    }

    [Test]
    public void Leave_the_merged_tree_in_the_clone()
    {
        var merge = Merge("");
        Assert.That(merge.Tree, Is.Null);
        clone.Git("reset", "--hard", "--quiet", "main");
        clone.Write("b", "1\n");
        clone.Commit("Another file");
        var change = clone.Head;
        clone.Checkout("main");
        clone.Write("c", "2\n");
        clone.Commit("A third");
        using var repository = WorkRepository.Open(clone.Folder);
        var tree = TreeMerge.OfAsync(repository, clone.Head, change, BuildLog.Silent, default).GetAwaiter().GetResult().Tree!;
        Assert.That(clone.Git("ls-tree", "--name-only", tree), Is.EqualTo("a\nb\nc\nsub"));
        Assert.That(repository.FilesOfTree(tree).Select(each => each.Path), Is.EqualTo(new[] { "a", "b", "c", "sub/a" }));
    }
}
