using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

public sealed class WhatIsTested
{
    private const string ApiTests = "run: [printf, '1..1\\nok 1 - one\\n']\nformat: tap";

    [Test]
    public async Task The_component_that_changed_is_tested_and_the_other_is_handed_over_as_unchanged()
    {
        using var project = new Project(ApiTests).Change();

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((bool)project.Component("api")["changed"]!, Is.True);
            Assert.That((int)project.Component("api")["passed"]!, Is.EqualTo(1));
            Assert.That((bool)project.Component("web")["changed"]!, Is.False);
            Assert.That((int)project.Component("web")["passed"]!, Is.Zero);
            Assert.That(project.Text, Is.EqualTo("1 passed in api"));
            Assert.That((string?)project.Record["handOver"]!["base"], Is.EqualTo(project.Clone.Git("rev-parse", "origin/main")));
        }
    }

    [Test]
    public async Task Nothing_touched_is_done_and_says_so()
    {
        using var project = new Project(ApiTests).Change("docs/readme.txt");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Text, Does.Contain("touches no component"));
            Assert.That((bool)project.Component("api")["changed"]!, Is.False);
            Assert.That((bool)project.Component("web")["changed"]!, Is.False);
            Assert.That(((System.Text.Json.Nodes.JsonArray)project.Results["runs"]!), Is.Empty);
        }
    }

    [Test]
    public async Task All_and_component_widen_or_choose()
    {
        using var project = new Project(ApiTests).Change("docs/readme.txt");

        var all = await project.RunAsync("--all");
        var allText = project.Text;
        var one = await project.RunAsync("--component", "web");
        var oneText = project.Text;
        var unknown = await project.RunAsync("--component", "shop");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(all, Is.EqualTo(ExitCode.Done));
            Assert.That(allText, Is.EqualTo("3 passed in api, web"));
            Assert.That(one, Is.EqualTo(ExitCode.Done));
            Assert.That(oneText, Is.EqualTo("2 passed in web"));
            Assert.That(unknown, Is.EqualTo(ExitCode.Usage));
            Assert.That(project.Output, Does.Contain("no component \"shop\"").And.Contain("api, web"));
        }
    }

    [TestCase(false, ExitCode.Done)]
    [TestCase(true, ExitCode.Usage)]
    public async Task Leaving_out_what_changed_is_for_laptops_only(bool server, int expected)
    {
        using var project = new Project(ApiTests).Change();
        if (server) project.Environment["TEAMCITY_VERSION"] = "2025.11";

        var exit = await project.RunAsync("--component", "web");

        Assert.That(exit, Is.EqualTo(expected));
        Assert.That(project.Output, Does.Contain(server ? "leaves it out" : "api: changed, and left out as asked"));
    }

    [Test]
    public async Task A_changed_component_without_tests_is_done_and_says_so()
    {
        using var project = new Project(ApiTests, webTests: "").Change("web/main.txt");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Output, Does.Contain("web: no unit tests configured"));
            Assert.That((bool)project.Component("web")["changed"]!, Is.True);
        }
    }

    [Test]
    public async Task On_the_default_branch_each_component_is_compared_with_its_own_certified_commit()
    {
        using var project = new Project(ApiTests, more: "");
        project.Clone.Checkout("main");
        var first = project.Clone.Head;
        project.Change("api/main.txt");
        var second = project.Clone.Head;
        project.Change("docs/readme.txt");
        var certified = new Dictionary<string, string?> { ["api"] = second, ["web"] = null };
        // Components without an image are never certified: give both one.
        var yaml = File.ReadAllText(Path.Combine(project.Clone.Folder, "ci-steps.yaml"));
        yaml = yaml.Replace("    paths: [api/**]", "    paths: [api/**]\n    image:\n      dockerfile: api/Dockerfile", StringComparison.Ordinal)
            .Replace("    paths: [web/**]", "    paths: [web/**]\n    image:\n      dockerfile: web/Dockerfile", StringComparison.Ordinal);
        project.Clone.Git("reset", "--quiet", "--hard", first);
        project.Clone.Write("ci-steps.yaml", yaml);
        certified["api"] = project.Clone.Commit("images");
        project.Change("docs/readme.txt");

        var exit = await project.RunAsync(null, new Certified(certified), default);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((bool)project.Component("api")["changed"]!, Is.False);
            Assert.That((bool)project.Component("web")["changed"]!, Is.True);
            Assert.That((string?)project.Component("web")["reason"], Does.Contain("no earlier commit"));
            Assert.That(project.Output, Does.Contain("web: not certified yet"));
        }
    }

    [Test]
    public async Task A_dry_run_prints_the_plan_and_runs_nothing()
    {
        using var project = new Project("run: [touch, ran.log]\nformat: tap").Change();

        var exit = await project.RunAsync("--dry-run");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Output, Does.Contain("api  test: unit").And.Contain("web  skip"));
            Assert.That(File.Exists(Path.Combine(project.Clone.Folder, "ran.log")), Is.False);
            Assert.That(Directory.Exists(Path.Combine(project.Clone.Folder, ".ci-steps")), Is.False);
        }
    }

    private sealed class Certified(IReadOnlyDictionary<string, string?> commits) : ICertifiedCommits
    {
        public Task<(string? Commit, string Why)> FindAsync(string component, int major, CancellationToken cancel) =>
            Task.FromResult((commits[component], commits[component] is null ? "not certified yet" : "certified"));
    }
}
