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
    public async Task A_shallow_clone_without_the_merge_base_is_deepened_to_it()
    {
        using var project = new Project(Tests);
        project.Change().Change("api/other.txt");
        project.Clone.Push();
        project.Clone.Git("fetch", "--quiet", "--depth=1", "origin", "ci/x");
        project.Clone.Git("update-ref", "-d", "refs/remotes/origin/main");
        project.Clone.Git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main");

        Assert.That(await TestedAsync(project), Is.EqualTo("api"));
        Assert.That((bool)project.Record["baseUnknown"]!, Is.False);
    }

    [Test]
    public async Task Where_the_origin_is_silent_everything_is_tested_and_the_evidence_says_so()
    {
        using var project = new Project(Tests);
        project.Change();
        project.Clone.Git("remote", "set-url", "origin", "http://127.0.0.1:9/x.git");

        Assert.That(await TestedAsync(project), Is.EqualTo("api web"));
        Assert.That(((bool)project.Record["baseUnknown"]!, (string?)project.Record["handOver"]!["base"]), Is.EqualTo((true, "")));
        Assert.That(project.Output, Does.Contain("warning: it is not known what the target branch has now"));
    }

    [Test]
    public async Task On_a_server_where_the_origin_is_silent_nothing_is_judged()
    {
        using var project = new Project(Tests);
        project.Change();
        project.Clone.Git("remote", "set-url", "origin", "http://127.0.0.1:9/x.git");
        project.Environment["TEAMCITY_VERSION"] = "2025.11";

        Assert.That(await project.RunAsync("--branch", "ci/x"), Is.EqualTo(ExitCode.Unavailable), project.Output);
    }

    [Test]
    public async Task Without_a_target_branch_everything_is_new()
    {
        using var project = new Project(Tests);
        project.Change();
        project.Clone.Push();
        project.Clone.Git("-C", project.Clone.Git("remote", "get-url", "origin")["file://".Length..], "update-ref", "-d",
            "refs/heads/main");

        Assert.That(await TestedAsync(project), Is.EqualTo("api web"));
    }

    [Test]
    public async Task Tests_that_a_change_takes_out_are_run_as_the_target_has_them()
    {
        using var project = new Project("run: [printf, '1..1\\nnot ok 1 - one\\n']\nformat: tap");
        project.Clone.Write("ci-steps.yaml", Project.Yaml("run: [printf, '1..1\\nok 1 - one\\n']\nformat: tap")
            .Replace("- name: unit\n        run: [printf", "- name: other\n        run: [printf"));
        project.Change();

        Assert.That(await project.RunAsync(), Is.EqualTo(ExitCode.Refused), project.Output);
        Assert.That(project.Output, Does.Contain("api: this change takes out its unit tests \"unit\""));
    }

    [Test]
    public async Task A_retry_that_a_change_brings_does_not_excuse_its_own_failures()
    {
        const string flaky = "run: [sh, -c, 'if [ -e ../mark ]; then echo 1..1; echo ok 1 - one; else touch ../mark; echo " +
            "1..1; echo not ok 1 - one; fi']\nfolder: api\nformat: tap";
        using var project = new Project(flaky);
        project.Clone.Write(".gitignore", "mark\n");
        project.Clone.Write("ci-steps.yaml", Project.Yaml(flaky + "\nretry: { attempts: 3, filter: ['{tests}'] }"));
        project.Change();

        Assert.That(await project.RunAsync(), Is.EqualTo(ExitCode.Refused), project.Output);
        Assert.That(project.Output, Does.Contain("the retry of \"unit\" of api is new in this change"));
    }

    [Test]
    public async Task What_was_run_is_in_the_evidence_by_name()
    {
        using var project = new Project(Tests);
        project.Change();

        Assert.That(await TestedAsync(project), Is.EqualTo("api"));
        Assert.That(project.Component("api")["runs"]!.AsArray().Select(name => (string?)name), Is.EqualTo(new[] { "unit" }));
        Assert.That(project.Component("web")["runs"]!.AsArray(), Is.Empty);
        Assert.That((string?)project.Record["policyCommit"], Is.EqualTo(project.Clone.Git("rev-parse", "origin/main")));
    }

    private static async Task<string> TestedAsync(Project project)
    {
        var exit = await project.RunAsync();
        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
        return string.Join(' ', new[] { "api", "web" }.Where(name => (bool)project.Component(name)["changed"]!));
    }
}
