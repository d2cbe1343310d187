using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;

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
            Assert.That(((JsonArray)project.Results["runs"]!), Is.Empty);
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

    [TestCase("api/main.txt", "api")]
    [TestCase("web/main.txt", "web")]
    [TestCase("docs/readme.txt", "")]
    [TestCase("lib/main.txt", "api lib")]
    [TestCase("tools/main.txt", "tools")]
    public async Task On_the_default_branch_each_component_is_compared_with_its_own_certified_commit(
        string changed, string tested)
    {
        using var project = Released(out var certified);
        project.Change(changed);

        var exit = await project.RunAsync(null, new Certified(certified), default);

        var found = new[] { "api", "lib", "tools", "web" }.Where(name => (bool)project.Component(name)["changed"]!);
        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
        Assert.That(string.Join(' ', found), Is.EqualTo(tested), project.Output);
    }

    [Test]
    public async Task What_changed_since_the_older_certification_counts_for_whom_it_is_older()
    {
        using var project = Released(out var certified);
        // lib was certified with this change in it, api (which depends on lib) was not.
        certified["web"] = project.Change("lib/main.txt").Clone.Head;
        project.Change("docs/readme.txt");

        await project.RunAsync(null, new Certified(certified), default);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((bool)project.Component("api")["changed"]!, Is.True);
            Assert.That((string?)project.Component("api")["reason"], Does.Contain("depends on \"lib\""));
            Assert.That((bool)project.Component("lib")["changed"]!, Is.False);
            Assert.That((bool)project.Component("web")["changed"]!, Is.False);
        }
    }

    [Test]
    public async Task What_was_never_certified_counts_as_changed()
    {
        using var project = Released(out var certified);
        certified["web"] = null;
        project.Change("docs/readme.txt");

        await project.RunAsync(null, new Certified(certified), default);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((bool)project.Component("web")["changed"]!, Is.True);
            Assert.That((string?)project.Component("web")["reason"], Is.EqualTo("there is no certified commit to compare with"));
            Assert.That((bool)project.Component("api")["changed"]!, Is.False);
            Assert.That(project.Output, Does.Contain("web: not certified yet"));
        }
    }

    [Test]
    public async Task The_certified_commit_is_the_label_of_the_image_behind_the_production_tag()
    {
        await using var registry = await LocalRegistry.StartAsync();
        using var project = Released(out var certified);
        using var client = registry.Connect();
        await PushAsync(client, registry.Reference("api", "1-production"), certified["api"]!);
        await PushAsync(client, registry.Reference("web", "1-production"), new string('0', 40));
        project.Change("docs/readme.txt");

        var exit = await project.RunAsync("--registry", registry.Host);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((bool)project.Component("api")["changed"]!, Is.False);
            Assert.That((bool)project.Component("web")["changed"]!, Is.True);
            Assert.That(project.Output, Does.Contain($"api: certified at {certified["api"]![..12]}")
                .And.Contain("neither this clone nor the target branch has the certified commit"));
        }
    }

    [Test]
    public async Task A_registry_that_does_not_answer_means_that_everything_is_tested()
    {
        using var project = Released(out _);
        project.Change("docs/readme.txt");

        // Nothing listens on this port; the registry's answer is not worth a failed build.
        var exit = await project.RunAsync("--registry", "localhost:1");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Output, Does.Contain("the last certified commit is not known"));
            Assert.That((bool)project.Component("api")["changed"]! && (bool)project.Component("web")["changed"]!, Is.True);
        }
    }

    private static async Task PushAsync(RegistryClient client, ImageReference reference, string revision)
    {
        var image = new JsonObject
        {
            ["os"] = "linux",
            ["architecture"] = "amd64",
            ["config"] = new JsonObject { ["Labels"] = new JsonObject { [ImageName.RevisionLabel] = revision } },
        };
        var config = await client.UploadBlobAsync(
            reference, Encoding.UTF8.GetBytes(image.ToJsonString()), "application/vnd.oci.image.config.v1+json");
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = config.MediaType, ["digest"] = config.Digest, ["size"] = config.Size },
            ["layers"] = new JsonArray(),
        };
        await client.PutManifestAsync(
            reference, RegistryManifest.Read(Encoding.UTF8.GetBytes(manifest.ToJsonString()), MediaTypes.OciManifest));
    }

    // main with two services that have images, a library that one of them uses, and tools; both services certified.
    private static Project Released(out Dictionary<string, string?> certified)
    {
        var project = new Project(ApiTests);
        project.Clone.Checkout("main");
        var yaml = File.ReadAllText(Path.Combine(project.Clone.Folder, "ci-steps.yaml"))
            .Replace(
                "    paths: [api/**]",
                "    paths: [api/**]\n    depends-on: [lib]\n    image:\n      dockerfile: api/Dockerfile",
                StringComparison.Ordinal)
            .Replace(
                "    paths: [web/**]",
                "    paths: [web/**]\n    image:\n      dockerfile: web/Dockerfile",
                StringComparison.Ordinal)
            .Replace(
                "components:",
                "components:\n  - name: lib\n    paths: [lib/**]\n    owners: [team-a]\n    major: 1\n  - name: " +
                "tools\n    paths: [tools/**]\n    owners: [team-a]\n    major: 1",
                StringComparison.Ordinal);
        var commit = project.Change("ci-steps.yaml", yaml).Clone.Head;
        certified = new Dictionary<string, string?> { ["api"] = commit, ["web"] = commit };
        return project;
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
