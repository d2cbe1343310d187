using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Merge.Tests;

public sealed class Merging
{
    private Chain chain = null!;

    [SetUp]
    public void A_service() => chain = new Chain();

    [TearDown]
    public void Removed() => chain.Dispose();

    private GitClone Changed() => chain.Branch("ci/x", "app/a", "changed\n");

    [Test]
    public async Task Lands_the_tested_commit_by_a_merge_commit()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        var (exit, output) = await Chain.Merge(clone, "--committer-name", "Robot", "--committer-email", "robot@example.org");
        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.Zero, output);
            Assert.That(
                chain.Git.Git("rev-parse", "main^1", "main^2", "main^{tree}"),
                Is.EqualTo($"{chain.Start}\n{clone.Head}\n{clone.Git("rev-parse", "HEAD^{tree}")}"));
            Assert.That(chain.Git.Git("log", "-1", "--format=%B%n%cn <%ce>", "main"), Is.EqualTo($"""
                Merge ci/x (build 17): Change app/a on ci/x

                Tested-by: chain 17-{clone.Head[..12]} (unit-test 12 passed, smoke 3 passed)
                Tested-commit: {clone.Head}

                Robot <robot@example.org>
                """));
            Assert.That(Chain.HandOver(clone), Is.EqualTo(new MergeHandOver("main", chain.Start, chain.Main,
                chain.Git.Git("rev-parse", "main^{tree}"), clone.Git("rev-parse", "HEAD^{tree}"))));
            Assert.That(clone.Git("status", "--porcelain"), Is.Empty, "the work tree is left alone");
            Assert.That(clone.Git("rev-parse", "--abbrev-ref", "HEAD"), Is.EqualTo("ci/x"));
            Assert.That(chain.Git.Git("branch", "--list", "ci/x"), Is.Not.Empty);
        });
    }

    [Test]
    public async Task Twice_changes_nothing_and_says_so()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        await Chain.Merge(clone);
        var landed = Chain.HandOver(clone);
        chain.MoveMain("other/o", "moved");
        var tip = chain.Main;
        var (exit, output) = await Chain.Merge(clone);
        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.Zero);
            Assert.That(output, Does.Contain("is in \"main\" already, nothing to do"));
            Assert.That(chain.Main, Is.EqualTo(tip));
            Assert.That(Chain.HandOver(clone), Is.EqualTo(landed), "the second run finds the first one's merge");
        });
    }

    [Test]
    public async Task Dry_shows_what_it_would_do_and_touches_nothing()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        var (exit, output) = await Chain.Merge(clone, "--dry-run", "--delete-branch");
        Assert.That((exit, chain.Main), Is.EqualTo((0, chain.Start)));
        Assert.That(output, Does.Contain("merging").And.Contains("the result is the tree that was tested"));
    }

    [Test]
    public async Task Removes_the_branch_when_asked()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        Assert.That((await Chain.Merge(clone, "--delete-branch")).Exit, Is.Zero);
        Assert.That(chain.Git.Git("branch", "--list", "ci/x"), Is.Empty);
    }

    [Test]
    public async Task Goes_on_when_the_target_moved_elsewhere()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        var moved = chain.MoveMain("other/o", "moved");
        var (exit, output) = await Chain.Merge(clone);
        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.Zero, output);
            Assert.That(output, Does.Contain("the release chain tests the result"));
            Assert.That(chain.Git.Git("rev-parse", "main^1"), Is.EqualTo(moved));
            Assert.That(chain.Git.Git("show", "main:other/o"), Is.EqualTo("moved"));
            Assert.That(chain.Git.Git("show", "main:app/a"), Is.EqualTo("changed"));
        });
    }

    [Test]
    public async Task Is_refused_when_the_target_moved_in_the_same_component()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        var moved = chain.MoveMain("app/b", "new");
        var (exit, output) = await Chain.Merge(clone);
        Assert.Multiple(() =>
        {
            Assert.That((exit, chain.Main), Is.EqualTo((ExitCode.Refused, moved)));
            Assert.That(
                output,
                Does.Contain("merge.moved").And
                    .Contains("both changed \"app\"").And
                    .Contains("\"Move app/b\" by Ada").And
                    .Contains("rebase \"ci/x\" on \"main\""));
        });
    }

    [Test]
    public async Task Is_refused_when_the_target_moved_in_what_a_changed_component_depends_on()
    {
        var clone = chain.Branch("ci/x", "top/t", "1");
        await Chain.Passed(clone, built: false);
        chain.MoveMain("other/o", "moved");
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "both changed \"top\"");
    }

    [TestCase("retest", "other/o", ExitCode.Refused, "only what was tested as a whole may land")]
    [TestCase("merge", "app/b", ExitCode.Done, "there is no conflict")]
    public async Task Follows_what_is_set_for_a_moved_target(string policy, string moves, int ends, string says)
    {
        var clone = Changed();
        await Chain.Passed(clone);
        chain.MoveMain(moves, "moved");
        (await Chain.Merge(clone, "--when-moved", policy)).Was(ends, says);
    }

    [Test]
    public async Task Names_conflicting_files_and_whose_commits_they_conflict_with()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        chain.MoveMain("other/o", "innocent");
        var moved = chain.MoveMain("app/a", "theirs\n");
        var (exit, output) = await Chain.Merge(clone, "--when-moved", "merge");
        Assert.Multiple(() =>
        {
            Assert.That((exit, chain.Main), Is.EqualTo((ExitCode.Refused, moved)));
            Assert.That(
                output,
                Does.Contain("merge.conflict").And.Contains("both changed \"app/a\"").And.Contains("\"Move app/a\" by Ada"));
            Assert.That(output, Does.Not.Contain("Move other/o"));
        });
    }

    [Test]
    public async Task Goes_into_the_target_that_it_is_told()
    {
        var stable = chain.Git.Clone("stable");
        stable.Branch("stable");
        stable.Push();
        var clone = Changed();
        await Chain.Passed(clone);
        Assert.That((await Chain.Merge(clone, "--target-branch", "stable")).Exit, Is.Zero);
        Assert.That((chain.Main, chain.Git.Git("rev-parse", "stable^2")), Is.EqualTo((chain.Start, clone.Head)));
    }

    [Test]
    public async Task Is_refused_when_the_branch_has_moved_on()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        var other = chain.Git.Clone("other", "--branch=ci/x");
        var newer = other.Commit("app/a", "newer");
        other.Push();
        (await Chain.Merge(clone)).Was(ExitCode.Refused, $"merge.superseded: superseded by {newer[..12]}");
        Assert.That(chain.Main, Is.EqualTo(chain.Start));
    }

    [Test]
    public async Task Is_refused_when_the_branch_is_gone()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        chain.Git.Git("branch", "-D", "ci/x");
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "is gone from the origin");
    }

    [Test]
    public async Task Is_refused_on_the_target_branch()
    {
        var clone = chain.Git.Clone();
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "merge.default-branch");
    }

    [Test]
    public async Task Is_refused_on_a_branch_that_is_not_private()
    {
        var clone = chain.Branch("feature", "app/a", "x");
        await Chain.Passed(clone);
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "merge.not-private");
    }

    [Test]
    public async Task Is_refused_for_a_dirty_work_tree()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        clone.Write("app/a", "not committed");
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "merge.dirty");
        Assert.That((string?)clone.Stated("merge")["fault"], Is.EqualTo("environment"));
    }

    [Test]
    public async Task Is_refused_on_evidence_of_a_dirty_work_tree()
    {
        var clone = Changed();
        clone.Write("app/a", "not committed");
        await Chain.Passed(clone);
        clone.Checkout(".");
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "ran on files that are not committed");
    }

    [TestCase("unit-test")]
    [TestCase("image-build")]
    [TestCase("integration-deploy")]
    public async Task Is_refused_without_evidence_of(string step)
    {
        var clone = Changed();
        await Chain.Passed(clone, but: [step]);
        (await Chain.Merge(clone)).Was(ExitCode.Refused, $"there is no evidence of \"{step}\"", "merge.no-evidence");
    }

    [Test]
    public async Task Is_refused_on_evidence_of_an_older_chain()
    {
        var clone = Changed();
        await Chain.Passed(clone, build: "16");
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "build 16; this run is");
    }

    [Test]
    public async Task Is_refused_when_a_step_before_it_failed()
    {
        var clone = Changed();
        await Chain.Passed(clone, but: ["unit-test"]);
        await clone.StateAsync("unit-test", "17", Outcome.Refused("failed", "2 tests failed"));
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "2 tests failed");
    }

    [Test]
    public async Task Is_refused_when_a_suite_that_the_target_asks_for_did_not_run()
    {
        var clone = Changed();
        await Chain.Passed(clone, suite: false);
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "suite \"smoke\", which component \"app\" has to pass, did not run");
    }

    [Test]
    public async Task Is_refused_when_the_suite_ran_with_another_image()
    {
        var clone = Changed();
        await Chain.Passed(clone, digest: "sha256:2");
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "another image");
    }

    [Test]
    public async Task Needs_no_suite_for_a_component_whose_image_is_not_new()
    {
        var clone = chain.Branch("ci/x", "README.md", "words");
        await Chain.Passed(clone, suite: false, built: false);
        Assert.That((await Chain.Merge(clone)).Exit, Is.Zero);
    }

    [TestCase("echo 'GH006: Protected branch update failed for refs/heads/main.' >&2; exit 1", "merge.protected", "GH006")]
    [TestCase("echo 'no merges on fridays' >&2; exit 1", "merge.hook", "no merges on fridays")]
    public async Task Says_what_the_server_says_when_it_refuses(string hook, string reason, string words)
    {
        var clone = Changed();
        await Chain.Passed(clone);
        chain.Git.Hook("pre-receive", hook);
        var (exit, output) = await Chain.Merge(clone);
        Assert.That((exit, chain.Main), Is.EqualTo((ExitCode.Refused, chain.Start)), output);
        Assert.That(output, Does.Contain(reason).And.Contains(words));
    }

    [Test]
    public async Task Keeps_the_merge_when_the_branch_cannot_be_removed()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        chain.Git.Hook("update", "case \"$1\" in refs/heads/ci/*) echo 'it stays' >&2; exit 1;; esac");
        var (exit, output) = await Chain.Merge(clone, "--delete-branch");
        Assert.That((exit, output.Contains("\"ci/x\" stays")), Is.EqualTo((0, true)), output);
    }

    [Test]
    public async Task Is_unavailable_without_the_origin()
    {
        var clone = Changed();
        await Chain.Passed(clone);
        clone.Git("remote", "set-url", "origin", "http://127.0.0.1:1/nowhere.git");
        var time = new FakeTimeProvider();
        using var output = new StringWriter();
        var merging = StepHost.RunAsync(
            MergeCommand.Create(),
            ["--work-tree", clone.Folder, "--build-number", "17"],
            output,
            output,
            new Dictionary<string, string>(),
            time);
        while (!merging.IsCompleted)
        {
            // The pauses between tries.
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        Assert.That(
            (await merging, output.ToString().Contains("merge.git")),
            Is.EqualTo((ExitCode.Unavailable, true)),
            output.ToString());
    }

    [TestCase("file", 25, 100)]
    [TestCase("http", 8, 30)]
    public async Task All_races_for_one_target_land_and_nothing_but_what_was_approved_does(string protocol, int brief, int whole)
    {
        var racers = Proofs.Count(brief, whole);
        await using var server = protocol == "http" ? await GitHttpServer.StartAsync(chain.Git.Folder, "robot:secret") : null;
        var template = chain.Git.Clone("template");
        var clones = Enumerable.Range(0, racers).Select(at =>
        {
            template.Git("checkout", "--quiet", "-B", $"ci/racer{at}", "origin/main");
            template.Commit($"free{at}/f", "x");
            return $"ci/racer{at}";
        }).ToList();
        template.Git("push", "--quiet", "origin", "refs/heads/ci/*:refs/heads/ci/*");
        var racing = new List<GitClone>();
        foreach (var branch in clones)
        {
            var clone = chain.Git.Clone(branch.Replace('/', '-'), "--single-branch", "--branch=" + branch);
            if (server is not null)
                clone.Git("remote", "set-url", "origin", server.Url.Replace("://", "://robot:secret@") + "origin.git");
            await Chain.Passed(clone, suite: false, built: false);
            racing.Add(clone);
        }
        // All of them in one process, and each call to the library holds a thread.
        ThreadPool.SetMinThreads(4 * racers, racers);
        var ends = new System.Collections.Concurrent.ConcurrentDictionary<string, Ended>();
        await Parallel.ForEachAsync(racing, new ParallelOptions { MaxDegreeOfParallelism = racers },
            async (clone, _) => ends[clone.Folder] = await Chain.MergeAt(TimeProvider.System, clone, null));
        var merged = chain.Git.Git("rev-list", "--first-parent", "--parents", $"{chain.Start}..main").Split('\n')
            .Select(line => line.Split(' ')).ToList();
        Assert.Multiple(() =>
        {
            Assert.That(ends.Values.Select(end => end.Exit), Is.All.Zero,
                string.Join("\n\n", ends.Values.Where(end => end.Exit != 0).Select(end => end.Output)));
            Assert.That(merged.Select(line => line.Length), Is.All.EqualTo(3), "each landed by a merge commit of its own");
            Assert.That(merged.Select(line => line[2]), Is.EquivalentTo(racing.Select(clone => clone.Head)), "each once");
            Assert.That(ends.Values.Any(end => end.Output.Contains("attempt 2: pushing")), Is.True, "some had to try again");
        });
        TestContext.Out.WriteLine($"{protocol}: attempts " + string.Join(" ", ends.Values.Select(end =>
            System.Text.RegularExpressions.Regex.Count(end.Output, "attempt [0-9]+: pushing")).Order()));
    }
}
