using System.Text.Json.Nodes;
using CiSteps.Cli.Pruning;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Tests;

public sealed class Which_branch_images_go
{
    private const string Origin = "https://git.example/r";
    private static readonly DateTimeOffset Limit = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly ImageReference Repository = ImageReference.Parse("push.example/ci/service");
    private static readonly string Commit = new('c', 40);
    private static readonly Dictionary<string, string> Nothing = [];

    private static string Digest(char digit) => "sha256:" + new string(digit, 64);

    private static BranchImage Image(char digit, params string[] tags) =>
        new(Repository.WithDigest(Digest(digit)), tags.Length > 0 ? tags : ["1.7-cccccccccccc"], Limit.AddDays(-1))
        {
            Source = Origin,
            Revision = Commit,
        };

    private static string? Kept(
        BranchImage image,
        Dictionary<string, string>? tips = null,
        Dictionary<string, string>? production = null,
        params string[] chains) =>
        PrunePlan.For([image], new ImagesInUse(Origin, tips ?? [], chains.ToHashSet(), production ?? [], Nothing), Limit,
            RegistryPair.Parse("push.example", "pull.example")).Decisions.Single().KeptBecause;

    [Test]
    public void What_is_old_and_unused_goes() => Assert.That(Kept(Image('1')), Is.Null);

    [Test]
    public void What_is_young_or_of_unknown_age_stays()
    {
        Assert.That(Kept(Image('1') with { Created = Limit }), Is.EqualTo("not old enough"));
        Assert.That(Kept(Image('1') with { Created = null }), Does.Contain("age"));
    }

    [Test]
    public void What_was_released_stays() => Assert.That(Kept(Image('1') with { IsReleased = true }), Does.StartWith("released"));

    [Test]
    public void The_tip_of_a_branch_stays_by_its_label_or_by_its_tag()
    {
        Assert.That(Kept(Image('1'), new() { ["ci/x"] = Commit }), Does.Contain("ci/x"));
        Assert.That(Kept(Image('1') with { Revision = null }, new() { ["ci/x"] = Commit }), Does.Contain("ci/x"));
        Assert.That(Kept(Image('1'), new() { ["ci/x"] = new string('d', 40) }), Is.Null);
    }

    [TestCase("1.7-cccccccccccc", "7")]
    [TestCase("1.0-dev.20260101-cccccccccccc", "0-dev.20260101")]
    public void What_a_chain_with_testbeds_was_built_for_stays(string tag, string build)
    {
        var chain = ClaimNames.ChainOf(new RunIdentity("https://git.example/r", "ci/x", false, Commit, build, false));
        Assert.That(Kept(Image('1', tag), chains: chain), Does.Contain($"build {build}"));
        Assert.That(
            Kept(
                Image('1', tag),
                chains: ClaimNames.ChainOf(new RunIdentity("https://git.example/r", "ci/x", false, Commit, "8", false))),
            Is.Null);
    }

    [TestCase("pull.example/ci/service:1.7-cccccccccccc")]
    [TestCase("push.example/ci/service:1.7-cccccccccccc")]
    [TestCase("sha256:1111111111111111111111111111111111111111111111111111111111111111")]
    public void What_production_names_stays(string name) =>
        Assert.That(
            Kept(Image('1'), production: new() { [name] = "Pod x of main" }), Is.EqualTo("production uses it (Pod x of main)"));

    [Test]
    public void What_another_repository_built_stays()
    {
        Assert.That(
            Kept(Image('1') with { Source = "https://git.example/other" }),
            Is.EqualTo("built from another repository (https://git.example/other)"));
        Assert.That(Kept(Image('1') with { Source = null }), Is.Null);
    }

    [Test]
    public void One_tag_in_use_keeps_the_image_with_all_of_its_tags() =>
        Assert.That(
            Kept(Image('1', "1.6-aaaaaaaaaaaa", "1.7-cccccccccccc") with { Revision = null }, new() { ["ci/x"] = Commit }),
            Is.Not.Null);

    [Test]
    public void What_an_image_that_stays_is_made_of_stays()
    {
        var plan = PrunePlan.For(
            [
                Image('1', "a"),
                Image('2', "b") with { Created = Limit, Parts = [Digest('1'), Digest('3')] },
                Image('4', "d") with { Parts = [Digest('3'), Digest('5')] }
            ],
            new ImagesInUse(Origin, Nothing, new HashSet<string>(), Nothing, Nothing),
            Limit,
            RegistryPair.Parse("push.example", ""));
        Assert.That(plan.Removed.Select(image => image.Tags.Single()), Is.EqualTo(new[] { "d" }));
        Assert.That(plan.Needed, Does.Contain(Digest('3')).And.Not.Contain(Digest('5')));
    }

    [Test]
    public void What_cannot_be_read_stays_with_what_it_is_made_of()
    {
        var plan = PrunePlan.For(
            [Image('1', "a"), Image('2', "b") with { Created = null, Parts = [Digest('1')], Unreadable = "a part is missing" }],
            new ImagesInUse(Origin, Nothing, new HashSet<string>(), Nothing, Nothing),
            Limit,
            RegistryPair.Parse("push.example", ""));
        Assert.That(
            plan.Decisions.Select(decision => decision.KeptBecause),
            Is.EqualTo(new[] { "part of an image that stays", "it cannot be read: a part is missing" }));
    }

    [Test]
    public void Whatever_looks_like_an_image_in_an_object_counts()
    {
        var pod = JsonNode.Parse(
            $$"""
            {"spec":{"containers":[{"image":"pull.example:5000/ci/service:1.7-c@{{Digest('1')}}"},{"image":"a/b:1"},
             {"image":"plain"}]},"status":{"containerStatuses":[{"imageID":"docker-pullable://x@{{Digest('2')}}"}]},
             "data":{"h":"[{\"Digest\":\"{{Digest('3')}}\"}]"} }
            """);
        Assert.That(ProductionImages.In(pod),
            Is.EquivalentTo(new[] { "pull.example:5000/ci/service:1.7-c", Digest('1'), "docker.io/a/b:1", Digest('2'),
            Digest('3') }));
    }
}

/// <summary>
/// The command on a real registry, real git and the sandbox's API as production and as the cluster that chains use by turns.
/// </summary>
public sealed class Pruning_branch_images
{
    private const string Old = "2026-01-01T00:00:00Z";
    private LocalRegistry registry = null!;
    private RegistryClient client = null!;
    private GitRepositories git = null!;
    private GitClone clone = null!;
    private ImageReference branch = null!;
    private string output = "";
    private readonly Dictionary<string, string> environment = [];

    [SetUp]
    public async Task OpenAsync()
    {
        await OpenAsync(deletes: true);
        environment.Clear();
    }

    [TearDown]
    public async Task CloseAsync()
    {
        client.Dispose();
        git.Dispose();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task Shows_first_and_removes_only_when_told()
    {
        Configure();
        await PutAsync("1.1-aaaaaaaaaaaa", Old);
        await PutAsync("1.2-bbbbbbbbbbbb", TimeProvider.System.GetUtcNow().ToString("O"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), output);
        Assert.That(
            output,
            Does.Contain($"remove {branch.Repository}:1.1-aaaaaaaaaaaa").And
                .Contain("not old enough").And
                .Contain("would remove 1 of 2").And
                .Contain("--delete"));
        Assert.That(await RunAsync("--delete", "--dry-run"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(await client.ListTagsAsync(branch), Has.Count.EqualTo(2));
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(output, Does.Contain("removed 1 of 2"));
        Assert.That(await client.ListTagsAsync(branch), Is.EqualTo(new[] { "1.2-bbbbbbbbbbbb" }));
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(output, Does.Contain("nothing to remove"));
    }

    [Test]
    public async Task Keeps_what_a_release_a_branch_an_open_chain_or_production_uses()
    {
        await using var cluster = await SandboxFixture.StartAsync();
        Configure("integration: [{ name: smoke, class: small, namespace: test, tests: { run: 'true' } }]\n" +
            "production: { waves: [{ name: all, targets: [{ name: main, kubeconfig: PRODUCTION, namespace: default }] }] }\n");
        clone.Branch("ci/open");
        var tip = clone.Commit("file", "open");
        clone.Push();
        await PutAsync("1.1-aaaaaaaaaaaa", Old);
        await PutAsync($"1.2-{tip[..12]}", Old);
        await PutAsync("1.3-cccccccccccc", Old);
        await LocalRegistry.PutImageAsync(client, registry.Reference("service", "1.3"), Old, ("tag", "1.3-cccccccccccc"));
        var run = new RunIdentity("https://git.example/r", "ci/claimed", false, new string('d', 40), "4", false);
        await LocalRegistry.PutImageAsync(
            client,
            branch.WithTag("1.4-dddddddddddd"),
            Old,
            (ImageName.SourceLabel, run.Repository),
            (ImageName.RevisionLabel, run.Commit));
        var running = await PutAsync("1.5-eeeeeeeeeeee", Old);
        using (var api = await Cluster.ConnectAsync(cluster.KubeconfigPath, BuildLog.Silent, TimeProvider.System))
            await api.CreateAsync(
                Kinds.Pod.Collection("default"),
                (JsonObject)JsonNode.Parse(
                    $$"""
                    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},
                     "spec":{"containers":[{"name":"c","image":"{{branch.WithDigest(running)}}"}] } }
                    """)!,
                default);
        environment["CISTEPS_KUBECONFIG"] = cluster.KubeconfigPath;
        environment["PRODUCTION"] = cluster.KubeconfigPath;
        using (var testbeds = new ClusterLock(
            await Cluster.ConnectAsync(cluster.KubeconfigPath, BuildLog.Silent, TimeProvider.System),
            cluster.Kubeconfig,
            owned: true))
            await testbeds.ClaimAsync(
                ClaimRequest.Of(run, [new TestbedWish("smoke", "small")]), TimeSpan.FromMinutes(1), default);
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(
            output,
            Does.Contain("removed 1 of 5").And
                .Contain("\"ci/open\"").And
                .Contain("released").And
                .Contain("build 4 is open").And
                .Contain("production uses it (Pod x of main)"));
        Assert.That(await client.ListTagsAsync(branch), Has.Count.EqualTo(4).And.None.StartsWith("1.1-"));
    }

    [Test]
    public async Task Keeps_what_the_pipeline_file_names()
    {
        string[] tags = ["1.1-aaaaaaaaaaaa", "1.2-bbbbbbbbbbbb", "1.3-cccccccccccc", "1.4-dddddddddddd"];
        var digests = new List<string>();
        foreach (var tag in tags) digests.Add(await PutAsync(tag, Old));
        string Suite(string bootstrap) =>
            $"integration: [{{ name: smoke, class: small, namespace: test, tests: {{ run: 'true', image: " +
            $"'{branch.WithTag(tags[2])}' }}, " +
                $"dependents: [{{ name: db, image: '{registry.Host}/db', bootstrap: '{bootstrap}', workload: {{ manifests: " +
                $"[k8s] }} }}] }}]\n";
        Configure(Suite($"{branch.WithTag(tags[0])}"));
        clone.Branch("ci/x");
        Configure(Suite($"{branch.WithDigest(digests[1])}"));
        Assert.That(await RunAsync("--delete", "--without-pool"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(
            output,
            Does.Contain("removed 1 of 4").And
                .Contain("the pipeline file names it (dependent \"db\" of suite \"smoke\")").And
                .Contain("(tests of suite \"smoke\")"));
        Assert.That(await client.ListTagsAsync(branch), Is.EquivalentTo(tags[..3]));
    }

    [Test]
    public async Task Refuses_rather_than_guesses()
    {
        Configure("integration: [{ name: smoke, class: small, namespace: test, tests: { run: 'true' } }]\n" +
            "production: { waves: [{ name: all, targets: [{ name: main, kubeconfig: PRODUCTION, namespace: default }] }] }\n");
        await PutAsync("1.1-aaaaaaaaaaaa", Old);
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Usage), output);
        Assert.That(output, Does.Contain("--pool-kubeconfig").And.Contain("--without-pool"));
        Assert.That(await RunAsync("--delete", "--without-pool"), Is.EqualTo(ExitCode.Usage), output);
        Assert.That(output, Does.Contain("PRODUCTION").And.Contain("--without-production"));
        Directory.Move(git.Origin, git.Origin + ".away");
        Assert.That(await RunAsync("--delete", "--without-pool", "--without-production"), Is.Not.EqualTo(ExitCode.Done), output);
        Assert.That(await client.ListTagsAsync(branch), Has.Count.EqualTo(1));
        Directory.Move(git.Origin + ".away", git.Origin);
        Assert.That(await RunAsync("--delete", "--without-pool", "--without-production"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(await client.ListTagsAsync(branch), Is.Empty);
    }

    [Test]
    public async Task Keeps_what_cannot_be_read_says_why_and_goes_on_with_the_rest()
    {
        Configure();
        var broken = branch.WithTag("1.1-aaaaaaaaaaaa").WithDigest(await PutAsync("1.1-aaaaaaaaaaaa", Old));
        await PutAsync("1.2-bbbbbbbbbbbb", Old);
        var config = (await client.FindManifestAsync(broken))!.Config!.Digest;
        using (var http = new HttpClient())
            (await http.DeleteAsync(new Uri(
                $"http://{registry.Host}/v2/{branch.Path}/blobs/{config}"))).EnsureSuccessStatusCode();
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(
            output,
            Does.Contain($"warning: keep {branch.Repository}:1.1-aaaaaaaaaaaa ({broken.Digest}): it cannot be read: ").And
                .Contain(config).And
                .Contain("removed 1 of 2").And
                .Contain("1 cannot be read and stays"));
        Assert.That(await client.ListTagsAsync(branch), Is.EqualTo(new[] { "1.1-aaaaaaaaaaaa" }));
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Done), output);
        Assert.That(output, Does.Contain("nothing to remove"));
    }

    [Test]
    public async Task Says_plainly_that_the_registry_deletes_nothing()
    {
        await CloseAsync();
        await OpenAsync(deletes: false);
        Configure();
        await PutAsync("1.1-aaaaaaaaaaaa", Old);
        Assert.That(await RunAsync("--delete"), Is.EqualTo(ExitCode.Refused), output);
        Assert.That(
            output,
            Does.Contain("prune-images.deletion-disabled").And.Contain("switched off").And.Contain("nothing was removed"));
    }

    [TestCase("30")]
    [TestCase("0d")]
    [TestCase("-1d")]
    public async Task Refuses_what_is_no_age(string age)
    {
        Configure();
        Assert.That(await RunAsync("--older-than", age), Is.EqualTo(ExitCode.Usage), output);
        Assert.That(output, Does.Contain($"\"{age}\""));
    }

    private async Task OpenAsync(bool deletes)
    {
        registry = await LocalRegistry.StartAsync(deletes: deletes);
        client = registry.Connect();
        branch = registry.Reference("ci/service");
        git = new GitRepositories();
        clone = git.Clone();
    }

    private void Configure(string more = "")
    {
        clone.Commit("ci-steps.yaml",
            $"registry: {{ push: '{registry.Host}' }}\ncomponents: [{{ name: service, paths: ['**'], major: 1, image: " +
            $"{{ dockerfile: Dockerfile }} }}]\n{more}");
        clone.Push();
    }

    private Task<string> PutAsync(string tag, string created) =>
        LocalRegistry.PutImageAsync(client, branch.WithTag(tag), created, ("tag", tag));

    private async Task<int> RunAsync(params string[] arguments)
    {
        using var text = new StringWriter();
        var exit = await StepHost.RunAsync(PruneCommand.Create(), ["--work-tree", clone.Folder, .. arguments], text, text,
            new Dictionary<string, string>(environment)
            {
                ["HOME"] = git.Folder,
                ["PATH"] = Environment.GetEnvironmentVariable("PATH")!
            });
        output = text.ToString();
        return exit;
    }
}
