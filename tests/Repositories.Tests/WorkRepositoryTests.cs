using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Repositories.Tests;

public sealed class A_work_tree
{
    private GitRepositories git = null!;
    private GitClone clone = null!;

    [SetUp]
    public void A_clone_with_a_commit()
    {
        git = new GitRepositories();
        clone = git.Clone();
        clone.Commit("a", "1");
        clone.Push();
    }

    [TearDown]
    public void Removed() => git.Dispose();

    [TestCase("--assume-unchanged")]
    [TestCase("--skip-worktree")]
    public void Is_dirty_where_git_was_told_not_to_look(string flag)
    {
        clone.Git("update-index", flag, "a");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That(repository.UncommittedPaths(untrackedToo: false), Is.Empty, "nothing changed yet");
        clone.Write("a", "2");
        Assert.That(repository.UncommittedPaths(untrackedToo: false), Is.EqualTo(new[] { "a" }));
        File.Delete(Path.Combine(clone.Folder, "a"));
        Assert.That(repository.UncommittedPaths(untrackedToo: false), Is.Not.Empty, "gone");
    }

    [Test]
    public void Says_that_a_repository_may_be_hidden() =>
        Assert.That(GitFailure.Of("https://h/r", "reading", "unexpected http status code: 404"),
            Is.TypeOf<UsageException>().With.Message.Contains("does not exist, or there are no rights"));

    [Test]
    public void Knows_its_head()
    {
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That(
            (
                repository.HeadBranch,
                repository.HeadCommit,
                repository.UncommittedPaths(untrackedToo: true).Count > 0,
                repository.IsShallow),
            Is.EqualTo(("main", clone.Head, false, false)));
        clone.Git("checkout", "--quiet", "--detach");
        using var detached = WorkRepository.Open(clone.Folder);
        Assert.That(detached.HeadBranch, Is.Null);
    }

    [Test]
    public void Is_found_from_a_folder_inside_it_and_through_a_linked_one()
    {
        Directory.CreateDirectory(Path.Combine(clone.Folder, "deep/er"));
        using var inside = WorkRepository.Open(Path.Combine(clone.Folder, "deep/er"));
        Assert.That(inside.Folder, Is.EqualTo(clone.Folder));
        var linked = Path.Combine(git.Folder, "linked");
        clone.Git("worktree", "add", "--quiet", linked, "-b", "ci/x");
        using var other = WorkRepository.Open(linked);
        Assert.That((other.Folder, other.HeadBranch, other.LocalTips["main"]), Is.EqualTo((linked, "ci/x", clone.Head)));
        Assert.That((other.OriginUrl, other.RememberedTips.Count), Is.EqualTo((inside.OriginUrl, inside.RememberedTips.Count)));
    }

    [Test]
    public void Tells_what_is_not_committed_but_not_its_own_evidence_nor_ignored_files()
    {
        clone.Write(".gitignore", "build/\n");
        clone.Commit("Ignore");
        clone.Write("build/x", "");
        clone.Write(".ci-steps/evidence/x", "");
        using (var clean = WorkRepository.Open(clone.Folder)) Assert.That(clean.UncommittedPaths(untrackedToo: true), Is.Empty);
        clone.Write("a", "2");
        clone.Write("new/file", "");
        clone.Write("staged", "");
        clone.Git("add", "staged");
        using var dirty = WorkRepository.Open(clone.Folder);
        Assert.That(dirty.UncommittedPaths(untrackedToo: true), Is.EqualTo(new[] { "a", "new/file", "staged" }));
        Assert.That(dirty.UncommittedPaths(untrackedToo: false), Is.EqualTo(new[] { "a", "staged" }));
    }

    [TestCase("https://user:secret@example.org/x/y.git", "https://example.org/x/y.git")]
    [TestCase("https://token@example.org:8443/x", "https://example.org:8443/x")]
    [TestCase("ssh://git@example.org/x", "ssh://git@example.org/x")]
    [TestCase("ssh://git:pw@example.org/x", "ssh://git@example.org/x")]
    [TestCase("git@example.org:x/y.git", "git@example.org:x/y.git")]
    [TestCase("/srv/git/x@y.git", "/srv/git/x@y.git")]
    [TestCase("file:///srv/x@y.git", "file:///srv/x@y.git")]
    public void Gives_its_origin_without_credentials(string url, string shown)
    {
        clone.Git("remote", "set-url", "origin", url);
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That(repository.OriginUrl, Is.EqualTo(shown));
    }

    [Test]
    public void Has_no_origin_when_nobody_gave_it_one()
    {
        clone.Git("remote", "remove", "origin");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That((repository.OriginUrl, repository.OriginDefaultBranch), Is.EqualTo(((string?)null, (string?)null)));
    }

    [Test]
    public void Tells_its_own_tips_from_those_that_it_remembers_of_the_origin()
    {
        var pushed = clone.Head;
        var local = clone.Commit("a", "2");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That((repository.RememberedTips["main"], repository.LocalTips["main"]), Is.EqualTo((pushed, local)));
        clone.Branch("ci/local");
        using var again = WorkRepository.Open(clone.Folder);
        Assert.That((again.LocalTips["ci/local"], again.RememberedTips.ContainsKey("ci/local")), Is.EqualTo((local, false)));
    }

    [Test]
    public void Compares_commits_with_renames_removals_modes_and_odd_names()
    {
        clone.Write("kept", "k");
        clone.Write("renamed-from", "the same text\n");
        clone.Write("removed", "r");
        clone.Write("script", "s");
        var before = clone.Commit("Before");
        clone.Git("mv", "renamed-from", "renamed to ü");
        clone.Git("rm", "--quiet", "removed");
        clone.Git("update-index", "--chmod=+x", "script");
        clone.Git("commit", "--quiet", "-m", "After");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That(
            repository.ChangedPaths(before, clone.Head),
            Is.EqualTo(new[] { "removed", "renamed to ü", "renamed-from", "script" }));
        Assert.That(repository.ChangedPaths(before, before), Is.Empty);
    }

    [Test]
    public void Sees_a_moved_submodule_as_a_change_of_its_path()
    {
        using var other = new GitRepositories();
        var library = other.Clone();
        library.Commit("l", "1");
        library.Push();
        clone.Git("submodule", "--quiet", "add", "file://" + other.Origin, "libs/one");
        var before = clone.Commit("Add the library");
        library.Commit("l", "2");
        library.Push();
        var inside = new GitClone(Path.Combine(clone.Folder, "libs/one"));
        inside.Git("pull", "--quiet");
        using (var dirty = WorkRepository.Open(clone.Folder))
            Assert.That(dirty.UncommittedPaths(untrackedToo: true), Is.EqualTo(new[] { "libs/one" }));
        clone.Commit("Move the library");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That(repository.ChangedPaths(before, clone.Head), Is.EqualTo(new[] { "libs/one" }));
        Assert.That(repository.ReadFile(clone.Head, "libs/one"), Is.Null);
        Assert.That(repository.ObjectId(clone.Head, "libs/one"), Is.EqualTo(library.Head));
    }

    [Test]
    public void Takes_what_is_new_inside_a_submodule_for_what_steps_made_only_where_that_is_asked_for()
    {
        using var other = new GitRepositories();
        var library = other.Clone();
        library.Commit("l", "1");
        library.Push();
        clone.Git("submodule", "--quiet", "add", "file://" + other.Origin, "libs/one");
        clone.Commit("Add the library");
        clone.Push();
        clone.Write("libs/one/made", "x");
        using (var made = WorkRepository.Open(clone.Folder))
        {
            Assert.That(made.UncommittedPaths(untrackedToo: false), Is.Empty);
            Assert.That(made.UncommittedPaths(untrackedToo: true), Is.EqualTo(new[] { "libs/one" }));
        }
        clone.Write("libs/one/l", "2");
        using (var changed = WorkRepository.Open(clone.Folder))
            Assert.That(changed.UncommittedPaths(untrackedToo: false), Is.EqualTo(new[] { "libs/one" }));
        using var without = WorkRepository.Open(git.Clone("without-submodules").Folder);
        Assert.That(without.UncommittedPaths(untrackedToo: true), Is.Empty);
    }

    [Test]
    public void Takes_a_large_file_that_git_keeps_elsewhere_for_unchanged_when_it_is_the_one_that_is_pointed_to()
    {
        const string content = "pretend that this is large\n";
        var id = Convert.ToHexStringLower(
            System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(content)));
        clone.Write("film", $"version https://git-lfs.github.com/spec/v1\noid sha256:{id}\nsize {content.Length}\n");
        clone.Commit("Point to a film");
        clone.Write("film", content);
        using (var same = WorkRepository.Open(clone.Folder)) Assert.That(same.UncommittedPaths(untrackedToo: true), Is.Empty);
        clone.Write("film", content + "!");
        using var other = WorkRepository.Open(clone.Folder);
        Assert.That(other.UncommittedPaths(untrackedToo: false), Is.EqualTo(new[] { "film" }));
    }

    [Test]
    public void Of_a_partial_clone_says_that_it_lacks_objects()
    {
        git.Git("config", "uploadpack.allowFilter", "true");
        using var repository = WorkRepository.Open(git.Clone("partial", "--filter=blob:none", "--no-checkout").Folder);
        Assert.That(
            () => repository.ReadFile(clone.Head, "a"),
            Throws.TypeOf<UsageException>().With.Message.Contains("is it a partial clone"));
    }

    [Test]
    public void Of_another_user_says_how_git_is_told_to_trust_it()
    {
        // Only root can give the folder away; for others the library's own words stand for it.
        if (Environment.IsPrivilegedProcess && OperatingSystem.IsLinux())
            GitRepositories.Run(git.Folder, "chown", "-R", "12345", clone.Folder);
        Func<WorkRepository> open = Environment.IsPrivilegedProcess && OperatingSystem.IsLinux()
            ? () => WorkRepository.Open(clone.Folder)
            : () => GitFailure.Translate<WorkRepository>(
                clone.Folder,
                () => throw new LibGit2Sharp.LibGit2SharpException("repository path '/x' is not owned by current user"));
        Assert.That(() => open(), Throws.TypeOf<UsageException>().With.Message.Contains("safe.directory"));
    }

    [Test]
    public void Finds_the_merge_base_through_merges()
    {
        var start = clone.Head;
        clone.Branch("ci/x");
        clone.Commit("b", "1");
        clone.Checkout("main");
        var main = clone.Commit("c", "1");
        clone.Checkout("ci/x");
        using (var repository = WorkRepository.Open(clone.Folder))
            Assert.That(repository.MergeBases(main, clone.Head), Is.EqualTo(new[] { start }));
        clone.Git("merge", "--quiet", "--no-edit", "main");
        using var merged = WorkRepository.Open(clone.Folder);
        Assert.Multiple(() =>
        {
            Assert.That(merged.MergeBases(main, clone.Head), Is.EqualTo(new[] { main }));
            Assert.That(merged.ChangedPaths(main, clone.Head), Is.EqualTo(new[] { "b" }));
            Assert.That(merged.IsAncestor(main, clone.Head), Is.True);
            Assert.That(merged.IsAncestor(clone.Head, main), Is.False);
            Assert.That(merged.IsAncestor(main, main), Is.True);
        });
    }

    [Test]
    public void Finds_all_merge_bases_where_each_side_merged_the_other()
    {
        clone.Branch("ci/x");
        var one = clone.Commit("b", "1");
        clone.Checkout("main");
        var other = clone.Commit("c", "1");
        clone.Git("merge", "--quiet", "--no-ff", "--no-edit", one);
        var main = clone.Head;
        clone.Checkout("ci/x");
        clone.Git("merge", "--quiet", "--no-ff", "--no-edit", other);
        var change = clone.Commit("d", "1");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.Multiple(() =>
        {
            Assert.That(repository.MergeBases(main, change), Is.EquivalentTo(new[] { one, other }));
            Assert.That(repository.ChangedPaths([one, other], change), Is.EqualTo(new[] { "b", "c", "d" }),
                "each of them, and each path once");
        });
    }

    [Test]
    public void Says_so_when_histories_are_unrelated()
    {
        var main = clone.Head;
        clone.Git("checkout", "--quiet", "--orphan", "other");
        clone.Commit("x", "1");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.That(
            () => repository.MergeBases(main, clone.Head),
            Throws.TypeOf<UsageException>().With.Message.Contains("no common ancestor"));
        Assert.That(repository.IsAncestor(main, clone.Head), Is.False);
    }

    [Test]
    public void Reads_files_and_facts_of_any_commit()
    {
        var first = clone.Head;
        clone.Write("folder/b", "two\n");
        clone.Commit("Second line\n\nwith a body");
        clone.Write("folder/b", "not committed");
        using var repository = WorkRepository.Open(clone.Folder);
        Assert.Multiple(() =>
        {
            Assert.That(repository.ReadFile(clone.Head, "folder/b"), Is.EqualTo("two\n"));
            Assert.That(repository.ReadFile(first, "folder/b"), Is.Null);
            Assert.That(repository.ReadFile(clone.Head, "folder"), Is.Null);
            Assert.That(repository.Subject(clone.Head), Is.EqualTo("Second line"));
            Assert.That(repository.TreeId(first), Is.EqualTo(clone.Git("rev-parse", first + "^{tree}")));
            Assert.That(repository.ObjectId(clone.Head, "folder"), Is.EqualTo(clone.Git("rev-parse", "HEAD:folder")));
            Assert.That(
                repository.CommitTime(first).ToUnixTimeSeconds().ToString(),
                Is.EqualTo(clone.Git("log", "-1", "--format=%ct", first)));
            Assert.That(repository.FindCommit(first[..8]), Is.EqualTo(first));
            Assert.That(repository.FindCommit("no id"), Is.Null);
            Assert.That(repository.FindCommit(new string('0', 40)), Is.Null);
            Assert.That(repository.Files(clone.Head).Select(file => file.Path), Is.EqualTo(new[] { "a", "folder/b" }));
            Assert.That(
                () => repository.TreeId(new string('1', 40)),
                Throws.TypeOf<UsageException>().With.Message.Contains("does not have commit 111111111111"));
        });
    }

    [Test]
    public void Of_a_shallow_clone_says_what_to_fetch()
    {
        clone.Commit("a", "2");
        clone.Push();
        var start = clone.Git("rev-list", "--max-parents=0", "HEAD");
        using var repository = WorkRepository.Open(git.Clone("shallow", "--depth=1").Folder);
        Assert.That(repository.IsShallow, Is.True);
        Assert.That(
            () => repository.TreeId(start), Throws.TypeOf<UsageException>().With.Message.Contains("git fetch --unshallow"));
    }

    [Test]
    public void That_is_none_is_refused_and_so_is_a_bare_one_and_a_broken_one()
    {
        using var folder = new TestFolder();
        Assert.That(
            () => WorkRepository.Open(folder.Path),
            Throws.TypeOf<UsageException>().With.Message.Contains("is not a git work tree"));
        Assert.That(() => WorkRepository.Open(git.Origin), Throws.TypeOf<UsageException>().With.Message.Contains("bare"));
        File.WriteAllText(Path.Combine(clone.Folder, ".git/HEAD"), "nonsense");
        Assert.That(() => WorkRepository.Open(clone.Folder), Throws.TypeOf<UsageException>());
    }

    [Test]
    public void Of_twenty_thousand_files_is_compared_without_reading_them_all()
    {
        using var large = new GitRepositories();
        var before = large.Import(Enumerable.Range(0, 20_000).Select(at => ($"f{at / 100}/{at % 100}", $"{at}\n")));
        var after = large.Import([("f7/7", "changed\n")]);
        using var repository = WorkRepository.Open(large.Clone("many", "--no-checkout").Folder);
        Assert.That(repository.Files(after).Count(), Is.EqualTo(20_000));
        // Comparing two trees reads the changed folders alone; a hundred comparisons of all files would take minutes.
        for (var time = 0; time < 100; time++) Assert.That(repository.ChangedPaths(before, after), Is.EqualTo(new[] { "f7/7" }));
    }
}
