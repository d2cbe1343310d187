using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

/// <summary>What counts as changed on histories as people make them.</summary>
public sealed class WhatChanged
{
    private const string Tests = "run: [printf, '1..1\\nok 1 - one\\n']\nformat: tap";

    [Test]
    public async Task A_file_moved_from_one_component_to_another_changes_both()
    {
        using var project = new Project(Tests);
        project.Clone.Git("mv", "api/main.txt", "web/moved.txt");
        project.Clone.Commit("move");

        Assert.That(await TestedAsync(project), Is.EqualTo("api web"));
    }

    [Test]
    public async Task What_the_target_branch_brought_in_by_a_merge_is_no_change_of_the_branch()
    {
        using var project = new Project(Tests);
        project.Change();
        project.Clone.Checkout("main");
        project.Clone.Commit("web/main.txt", "from main");
        project.Clone.Push();
        project.Clone.Checkout("ci/x");
        project.Clone.Git("merge", "--quiet", "--no-edit", "main");

        Assert.That(await TestedAsync(project), Is.EqualTo("api"));
    }

    [Test]
    public async Task What_the_target_branch_has_beyond_the_merge_base_is_no_change_either()
    {
        using var project = new Project(Tests);
        project.Change();
        project.Clone.Checkout("main");
        project.Clone.Commit("web/main.txt", "from main");
        project.Clone.Push();
        project.Clone.Checkout("ci/x");

        Assert.That(await TestedAsync(project), Is.EqualTo("api"));
    }

    [Test]
    public async Task A_change_taken_back_within_the_branch_is_none()
    {
        using var project = new Project(Tests);
        project.Change().Change("web/main.txt").Change("api/main.txt", "1");

        Assert.That(await TestedAsync(project), Is.EqualTo("web"));
    }

    [Test]
    public async Task A_submodule_that_moved_on_changes_the_component_that_it_stands_in()
    {
        using var other = new GitRepositories();
        var library = other.Clone();
        library.Commit("one.txt", "1");
        library.Push();
        using var project = new Project(Tests);
        project.Clone.Git("submodule", "--quiet", "add", "file://" + other.Origin, "web/library");
        project.Clone.Commit("use the library");

        Assert.That(await TestedAsync(project), Is.EqualTo("web"));
    }

    [Test]
    public async Task A_shallow_clone_without_the_merge_base_is_refused_with_what_to_fetch()
    {
        using var project = new Project(Tests);
        project.Change().Change("web/main.txt");
        project.Clone.Push();
        project.Clone.Git("fetch", "--quiet", "--depth=1", "origin", "ci/x");
        project.Clone.Git("update-ref", "-d", "refs/remotes/origin/main");
        project.Clone.Git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage), project.Output);
            Assert.That(project.Output, Does.Contain("git fetch --unshallow"));
        }
    }

    private static async Task<string> TestedAsync(Project project)
    {
        var exit = await project.RunAsync();
        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
        return string.Join(' ', new[] { "api", "web" }.Where(name => (bool)project.Component(name)["changed"]!));
    }
}
