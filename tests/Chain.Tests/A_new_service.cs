using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CiSteps.Fixtures;

namespace CiSteps.Chain.Tests;

/// <summary>
/// A team's first day: a repository with a Dockerfile, a manifest and a unit test; scaffold; what the starter file asks for; a
/// push. Published executables, real git, registry and engine.
/// </summary>
[TestFixture, Category("NeedsDocker")]
[NonParallelizable]
internal sealed partial class A_new_service
{
    private readonly GitRepositories git = new();
    private LocalEngine engine = null!;
    private LocalRegistry registry = null!;
    private GitClone clone = null!;
    private string settings = "";
    private IReadOnlyList<string> before = [];

    [SetUp]
    public async Task SetUp()
    {
        before = await Leftovers.OnEngineAsync();
        engine = await LocalEngine.OpenAsync();
        registry = await LocalRegistry.StartAsync();
        engine.OwnAllOf(registry);
        await engine.Engine.PushAsync(await engine.MakeBaseImageAsync($"{registry.Host}/base"));

        settings = Path.Combine(git.Folder, "settings");
        foreach (var file in Directory.GetFiles(
            Path.Combine(Demo.Root, "teamcity-settings", ".teamcity"), "*", SearchOption.AllDirectories))
        {
            var to = Path.Combine(
                settings, ".teamcity", Path.GetRelativePath(Path.Combine(Demo.Root, "teamcity-settings", ".teamcity"), file));
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }
        clone = git.Clone();
        clone.Write("Dockerfile", $"FROM {registry.Host}/base:1\nCOPY serve.sh /serve.sh\nCMD [\"sh\", \"/serve.sh\"]\n");
        clone.Write("serve.sh", PodCluster.WebServer("first") + "\n");
        clone.Write("package.json", """{ "name": "shop-window", "scripts": { "test": "node --test" } }""");
        clone.Write("tests/window.test.js", """require("node:test")("shows something", () => {});""");
        clone.Write("k8s/window.yaml", PodCluster.Workload("shop-window"));
    }

    [TearDown]
    public async Task TearDown()
    {
        await registry.DisposeAsync();
        await engine.DisposeAsync();
        git.Dispose();
    }

    [Test]
    public async Task Gets_from_scaffold_to_production_and_its_files_stay_its_own()
    {
        await DoneAsync("scaffold", Scaffold());
        await DoneAsync("check", settings, "--strict");
        var written = Snapshot();

        Assert.That(await DoneAsync("scaffold", Scaffold()), Does.Contain("up to date"));
        Assert.That(Snapshot(), Is.EqualTo(written), "a second run changes no byte");

        // What the team changes is its own.
        var project = Path.Combine(settings, ".teamcity", "CiSteps_ShopWindow", "project-config.xml");
        var text = await File.ReadAllTextAsync(project);
        await File.WriteAllTextAsync(project, text.Replace("Both chains of", "Everything about"));
        FillIn();
        var edited = Snapshot();
        var (exit, output) = await CiStepsAsync("scaffold", Scaffold());
        Assert.That(exit, Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("nothing was written").And.Contain("Everything about").And.Not.Contain("ci-steps.yaml"));
        Assert.That(Snapshot(), Is.EqualTo(edited));

        clone.Commit("Begin");
        clone.Push();
        clone.Branch("ci/window");
        clone.Commit("serve.sh", PodCluster.WebServer("second") + "\n", "Show the second window");
        clone.Push();
        var summary = Path.Combine(git.Folder, "summary.json");
        var said = await DoneAsync(
            "run",
            "--settings",
            settings,
            "--project",
            "CiSteps_ShopWindow",
            "--branch",
            "ci/window",
            "--follow",
            "--summary",
            summary);

        var chains = JsonNode.Parse(await File.ReadAllTextAsync(summary))!["chains"]!.AsArray();
        Assert.That(chains.Select(Outcomes), Is.EqualTo(new[]
        {
            "Branch: unit-test done, image-build done, reserve-testbed done, integration-deploy done, merge done, " +
            "branch-result done",
            "Release: unit-test done, image-build done, reserve-testbed done, integration-deploy done, certify done, " +
            "promote done, release-result done",
        }), said);
        JsonNode Said(int chain, string step) =>
            chains[chain]!["steps"]!.AsArray().Single(each => (string?)each!["step"] == step)!;
        var certified = (string?)Said(1, "certify")["handOver"]!["images"]![0]!["digest"];
        Assert.Multiple(async () =>
        {
            foreach (var chain in (int[])[0, 1])
            {
                Assert.That((int?)Said(chain, "unit-test")["tests"]!["passed"], Is.EqualTo(1), "the test that scaffold found");
                Assert.That(
                    (int?)Said(chain, "integration-deploy")["handOver"]!["suites"]![0]!["passed"], Is.EqualTo(1), "the suite's");
            }
            Assert.That((string?)Said(1, "promote")["handOver"]!["workloads"]![0]!["digest"], Is.EqualTo(certified));
            Assert.That(
                await registry.Connect().FindDigestAsync(registry.Reference("shop-window", "1-production")),
                Is.EqualTo(certified));
            Assert.That(git.Git("show", "main:serve.sh"), Does.Contain("second"));
            Assert.That((await Leftovers.OnEngineAsync()).Except(before), Is.Empty);
            Assert.That(Leftovers.Processes(git.Folder), Is.Empty);
        });
    }

    // What the starter file marks and offers, and nothing else.
    private void FillIn()
    {
        var file = Path.Combine(clone.Folder, "ci-steps.yaml");
        var text = File.ReadAllText(file);
        Assert.That(text, Does.Contain("push: registry.example.com # <- "));
        text = text.Replace("registry.example.com # <- ", $"{registry.Host} # ")
            .Replace("\n# <- A suite", "\n# A suite")
            .Replace("\n# <- Where", "\n# Where");
        File.WriteAllText(file, Offered().Replace(text, "$1"));
        clone.Write(
            "integration/job.yaml",
            PodCluster.Job(
                "shop-window",
                "echo 1..1; timeout 5 wget -q -O /dev/null http://shop-window/healthz && echo ok 1 - answers"));
    }

    // "# integration:" and "# production:" with the lines below them.
    [GeneratedRegex("^# (integration:|production:|  .*)$", RegexOptions.Multiline)]
    private static partial Regex Offered();

    private static string Outcomes(JsonNode? chain) =>
        ((string)chain!["steps"]![0]!["configuration"]!).Split('_')[2] + ": " +
            string.Join(", ", chain["steps"]!.AsArray().Select(step => $"{step!["step"]} {step["outcome"]}"));

    private string[] Scaffold() =>
        ["--settings", settings, "--service", "shop-window", "--repository", git.Origin, "--work-tree", clone.Folder];

    private async Task<string> DoneAsync(string command, params string[] arguments)
    {
        var (exit, output) = await CiStepsAsync(command, arguments);
        Assert.That(exit, Is.Zero, output);
        return output;
    }

    private Task<(int Exit, string Output)> CiStepsAsync(string command, params string[] arguments) =>
        Executables.RunAsync(Path.Combine(Executables.Folder, "ci-steps"), [command, .. arguments], git.Folder, git.Folder, []);

    private Dictionary<string, string> Snapshot() =>
        Directory.GetFiles(settings, "*", SearchOption.AllDirectories).Append(Path.Combine(clone.Folder, "ci-steps.yaml"))
            .ToDictionary(file => file, file => Convert.ToHexString(File.ReadAllBytes(file)));
}
