using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;
using Moq;

namespace CiSteps.Promote.Tests;

/// <summary>The step through its host, with a world that answers as told.</summary>
[TestFixture]
internal sealed class WithScriptedWorld
{
    private const string New = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    private const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    private const string Repository = "registry.example/greeter";

    private Production production = null!;
    private Mock<IImages> images = null!;
    private Mock<IProduction> cluster = null!;
    private List<string> done = null!;

    [SetUp]
    public void SetUp()
    {
        production = new Production("registry.example");
        production.Environment[Production.KubeconfigVariable] = "kubeconfig";
        done = [];
        images = new Mock<IImages>(MockBehavior.Strict);
        images.Setup(it => it.FindDigestAsync(ImageReference.Of(Repository, "1-production"), It.IsAny<CancellationToken>())).ReturnsAsync(New);
        images.Setup(it => it.FindDigestAsync(ImageReference.Of(Repository, ImageName.BarredTag(New)), It.IsAny<CancellationToken>())).ReturnsAsync(default(string));
        images.Setup(it => it.DigestsOfAsync(It.Is<ImageReference>(image => image.Repository == Repository), It.IsAny<CancellationToken>()))
            .ReturnsAsync((ImageReference image, CancellationToken _) => [image.Digest!]);
        images.Setup(it => it.TagAsync(It.Is<ImageReference>(tag => tag.Repository == Repository), It.IsAny<string>(), It.IsAny<string?>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((ImageReference tag, string digest, string? _, CancellationToken _) => Do($"tag {tag.Tag![..6]} {digest[..9]}"));
        images.Setup(it => it.Dispose());
        cluster = new Mock<IProduction>(MockBehavior.Strict);
        cluster.Setup(it => it.FindAsync(It.IsAny<WorkloadDefinition>(), It.IsAny<string>(), It.IsAny<CancellationToken>())).ReturnsAsync(new LiveWorkload(Old, Old, "earlier"));
        cluster.Setup(it => it.SnapshotAsync(It.IsAny<ManifestSet>(), It.IsAny<CancellationToken>())).ReturnsAsync((ManifestSet set, CancellationToken _) => set.WithImage("Deployment", "greeter", "greeter", $"{Repository}@{Old}"));
        cluster.Setup(it => it.ApplyAsync(It.IsAny<ManifestSet>(), It.IsAny<CancellationToken>())).ReturnsAsync((ManifestSet set, CancellationToken _) =>
        {
            Do("apply " + Image(set));
            return null;
        });
        cluster.Setup(it => it.RollOutAsync(It.IsAny<RolloutTarget>(), It.IsAny<CancellationToken>())).ReturnsAsync((RolloutTarget target, CancellationToken _) => Rolled(target));
        cluster.Setup(it => it.AskAsync(It.IsAny<GateDefinition>(), It.IsAny<string>(), It.IsAny<CancellationToken>())).ReturnsAsync(default(string));
        cluster.Setup(it => it.HistoryAsync("shop", "greeter", It.IsAny<CancellationToken>())).ReturnsAsync([]);
        cluster.Setup(it => it.RecordAsync("shop", "greeter", It.IsAny<HistoryEntry>(), It.IsAny<CancellationToken>()))
            .Returns((string _, string _, HistoryEntry entry, CancellationToken _) => Task.FromResult(Do($"record {entry.Result} {entry.Digest[..9]}")));
        cluster.Setup(it => it.DiagnoseAsync("shop", It.IsAny<string>(), It.IsAny<CancellationToken>())).Returns(() => Task.FromResult(Do("diagnose")));
        cluster.Setup(it => it.Dispose());
    }

    [TearDown]
    public void TearDown() => production.Dispose();

    [Test]
    public async Task Rolls_out_asks_the_gate_and_writes_it_down()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));

        var exit = await RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That(done, Is.EqualTo(new[] { "apply sha256:11", "roll sha256:11", "record promoted sha256:11" }));
        Assert.That(production.HandOver().Workloads.Single(), Is.EqualTo(new Hosting.Evidence.PromotedWorkload("greeter", "shop", New, Old)));
    }

    [Test]
    public async Task Takes_back_what_fails_bars_it_and_moves_the_tag_back()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        Fails(New);

        var exit = await RunAsync();

        Assert.That((exit, production.Reason()), Is.EqualTo((ExitCode.Refused, "rollout-failed")), production.Output);
        Assert.Multiple(() =>
        {
            Assert.That(done, Is.EqualTo(new[] { "apply sha256:11", "diagnose", "apply sha256:00", "roll sha256:00", "record rolled back sha256:00", "tag barred sha256:11", "tag 1-prod sha256:00" }));
            Assert.That(production.Text(), Does.Contain("it crashed").And.Contain("rolled back").And.Contain("barred"));
        });
    }

    [Test]
    public async Task Deploys_and_goes_back_by_the_name_that_nodes_pull()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        Fails(New);
        var applied = new List<string>();
        cluster.Setup(it => it.ApplyAsync(It.IsAny<ManifestSet>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((ManifestSet set, CancellationToken _) =>
            {
                applied.Add(ImageOf(set));
                return null;
            });

        await RunAsync("--registry-pull", "pull.example/cache");

        Assert.That(applied, Is.EqualTo(new[] { $"pull.example/cache/greeter@{New}", $"pull.example/cache/greeter@{Old}" }));
    }

    [Test]
    public async Task Takes_back_what_the_gate_refuses()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        cluster.Setup(it => it.AskAsync(It.IsAny<GateDefinition>(), It.IsAny<string>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync(() => done.Contains("apply sha256:00") ? null : "HTTP 500: out of order");

        var exit = await RunAsync();

        Assert.That((exit, production.Reason()), Is.EqualTo((ExitCode.Refused, "rollout-failed")), production.Output);
        Assert.That(production.Text(), Does.Contain("unhealthy").And.Contain("out of order").And.Contain("and healthy"));
    }

    [Test]
    public async Task Says_so_when_the_way_back_fails_too()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        Fails(New);
        Fails(Old);

        await RunAsync();

        Assert.That(production.Text(), Does.Contain("NOT healthy"));
    }

    [Test]
    public async Task Goes_no_further_than_the_wave_that_fails_and_takes_the_earlier_one_back()
    {
        production.Dispose();
        production = new Production("registry.example", Production.Wave("first", "one") + Production.Wave("second", "two"));
        production.Environment[Production.KubeconfigVariable] = "kubeconfig";
        await production.CertifiedAsync("7", production.Image(New, Old));
        var rolled = 0;
        cluster.Setup(it => it.RollOutAsync(It.Is<RolloutTarget>(target => target.Digests.Contains(New)), It.IsAny<CancellationToken>()))
            .ReturnsAsync((RolloutTarget target, CancellationToken _) => ++rolled == 2 ? new RolloutResult(new StepFailure("crash-loop", "it crashed"), [], null) : Rolled(target));

        await RunAsync();

        Assert.That(done.Count(what => what == "roll sha256:00"), Is.EqualTo(2), production.Output);
        Assert.That(production.Text(), Does.Contain("greeter in two is rolled back").And.Contain("greeter in one is rolled back"));
    }

    [Test]
    public async Task Refuses_a_private_branch()
    {
        production.Clone.Branch("ci/x");
        production.Clone.Commit("greeter/x", "x");
        await production.CertifiedAsync("7", production.Image(New));

        Assert.That((await RunAsync(), production.Reason(), done.Count), Is.EqualTo((ExitCode.Refused, "not-target-branch", 0)), production.Output);
    }

    [Test]
    public async Task Refuses_uncommitted_work()
    {
        await production.CertifiedAsync("7", production.Image(New));
        production.Clone.Write("greeter/Dockerfile", "FROM other\n");

        Assert.That((await RunAsync(), production.Reason(), done.Count), Is.EqualTo((ExitCode.Refused, "dirty", 0)), production.Output);
        Assert.That((string?)production.Predicate()["fault"], Is.EqualTo("environment"));
    }

    [TestCase("8", "is of commit")]
    [TestCase(null, "there is no evidence")]
    public async Task Refuses_without_certifys_evidence_of_this_very_run(string? build, string expected)
    {
        if (build is not null) await production.CertifiedAsync(build, production.Image(New));

        Assert.That((await RunAsync(), production.Reason()), Is.EqualTo((ExitCode.Refused, "no-evidence")), production.Output);
        Assert.That(production.Text(), Does.Contain(expected));
    }

    [Test]
    public async Task Takes_no_certificate_of_a_run_that_did_not_know_the_target()
    {
        await production.CertifiedAsync("7", production.Image(New));
        var file = Path.Combine(production.Clone.Folder, ".ci-steps/evidence/certify/statement.json");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("\"baseUnknown\": false", "\"baseUnknown\": true"));

        Assert.That((await RunAsync(), production.Reason(), done.Count), Is.EqualTo((ExitCode.Refused, "base-unknown", 0)), production.Output);
    }

    [Test]
    public async Task Takes_no_certificate_that_another_key_signed()
    {
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        using var other = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        production.Environment["CISTEPS_SIGNING_KEY"] = other.ExportPkcs8PrivateKeyPem();
        await production.CertifiedAsync("7", production.Image(New));
        production.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();

        Assert.That((await RunAsync(), production.Reason(), done.Count), Is.EqualTo((ExitCode.Refused, "bad-signature", 0)), production.Output);
    }

    [Test]
    public async Task Demands_a_signature_when_told_to()
    {
        await production.CertifiedAsync("7", production.Image(New));

        Assert.That((await RunAsync("--require-signed"), production.Reason()), Is.EqualTo((ExitCode.Refused, "not-signed")), production.Output);
        Assert.That((string?)production.Predicate()["fault"], Is.EqualTo("environment"));
    }

    [Test]
    public async Task Is_done_when_a_newer_commit_took_the_tag()
    {
        await production.CertifiedAsync("7", production.Image(New));
        var certified = production.Clone.Head;
        var newer = production.Clone.Commit("greeter/text", "newer");
        production.Clone.Push();
        production.Clone.Git("checkout", "--quiet", certified);
        production.Environment["CISTEPS_BRANCH"] = "main";
        images.Setup(it => it.FindDigestAsync(ImageReference.Of(Repository, "1-production"), It.IsAny<CancellationToken>())).ReturnsAsync(Old);
        images.Setup(it => it.CommitOfAsync(ImageReference.Of(Repository, Old), It.IsAny<CancellationToken>())).ReturnsAsync(newer);

        Assert.That((await RunAsync(), done.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That(production.Text(), Does.Contain($"superseded by {newer[..12]}"));
    }

    [Test]
    public async Task Needs_the_targets_kubeconfig()
    {
        await production.CertifiedAsync("7", production.Image(New));
        production.Environment.Remove(Production.KubeconfigVariable);

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage));
        Assert.That(production.Output, Does.Contain("SHOP_KUBECONFIG"));
    }

    [Test]
    public async Task Touches_production_on_a_laptop_only_by_name()
    {
        production.Environment.Remove("TEAMCITY_VERSION");
        await production.CertifiedAsync("7", production.Image(New, Old));

        Assert.That((await RunAsync(), done.Count), Is.EqualTo((ExitCode.Usage, 0)), production.Output);
        Assert.That(await RunAsync("--target", "elsewhere"), Is.EqualTo(ExitCode.Usage));
        Assert.That((await RunAsync("--dry-run"), done.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That((await RunAsync("--target", "shop"), done.Count > 0), Is.EqualTo((ExitCode.Done, true)), production.Output);
    }

    [Test]
    public async Task Changes_nothing_where_it_runs_already()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        string? fingerprint = null;
        cluster.Setup(it => it.ApplyAsync(It.IsAny<ManifestSet>(), It.IsAny<CancellationToken>())).ReturnsAsync((ManifestSet set, CancellationToken _) =>
        {
            fingerprint = (string?)set.Items.First(item => item.Kind == "Deployment").Json["metadata"]!["annotations"]!["cisteps.dev/promoted-manifests"];
            return null;
        });
        await RunAsync();
        cluster.Setup(it => it.FindAsync(It.IsAny<WorkloadDefinition>(), It.IsAny<string>(), It.IsAny<CancellationToken>())).ReturnsAsync(new LiveWorkload(New, New, fingerprint));
        done.Clear();

        Assert.That((await RunAsync(), done.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That(production.Text(), Is.EqualTo("production runs these images already"));
    }

    [TestCase("cluster-unreachable")]
    [TestCase("registry")]
    public async Task Does_not_bar_an_image_for_a_world_that_went_away(string reason)
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        cluster.Setup(it => it.RollOutAsync(It.Is<RolloutTarget>(target => target.Digests.Contains(New)), It.IsAny<CancellationToken>()))
            .ThrowsAsync(new UnavailableException(reason, "gone"));

        await RunAsync();

        Assert.That(done, Has.None.StartsWith("tag"), production.Output);
        Assert.That(production.Text(), Does.Contain("is not barred"));
    }

    [Test]
    public async Task Stopped_at_whatever_call_says_what_runs()
    {
        await production.CertifiedAsync("7", production.Image(New, Old));
        var ends = new List<string>();
        for (var at = 1; ends.LastOrDefault() != "never stopped"; at++)
        {
            using var stop = new CancellationTokenSource();
            var stopping = Stopping.StartingWith(Old, at, stop);
            var exit = await production.RunAsync(PromoteCommand.Create(new Ports((_, _) => images.Object,
                (_, _, _, _) => Task.FromResult<IProduction>(stopping))), "7", stop.Token);
            var what = $"stopped at call {at} after {string.Join(", ", stopping.Done)}:\n{production.Output}";
            ends.Add(stop.IsCancellationRequested ? $"{exit}" : "never stopped");

            if (stopping.Live == New)
            {
                Assert.That(exit, Is.EqualTo(ExitCode.Done), what);
                Assert.That(production.HandOver().Workloads.Single().Digest, Is.EqualTo(New), what);
                Assert.That(stopping.Done[^1], Is.EqualTo("record promoted"), what);
                continue;
            }
            Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), what);
            Assert.That(done, Has.None.StartsWith("tag"), what);
            if (!stopping.Done.Contains("apply")) continue;
            Assert.That(production.HandOver().Workloads.Single().Digest, Is.EqualTo(Old), what);
            Assert.That(stopping.Done, Does.Contain("record rolled back"), what);
        }
        // find, snapshot, apply, roll, ask, and then the history: from there on the verdict stands.
        Assert.That(ends, Does.Contain($"{ExitCode.Done}").And.Contain($"{ExitCode.Cancelled}"));
    }

    [Test]
    public async Task Stopped_while_a_wave_soaks_says_what_runs_and_goes_on_next_time()
    {
        production.Dispose();
        production = new Production("registry.example", Production.Wave("first", "one", "soak: 1h")
            + Production.Wave("second", "two"));
        production.Environment[Production.KubeconfigVariable] = "kubeconfig";
        await production.CertifiedAsync("7", production.Image(New, Old));
        using var stop = new CancellationTokenSource();
        // The gate's first answers are the roll-out's own; the one after the history is the soak's.
        cluster.Setup(it => it.AskAsync(It.IsAny<GateDefinition>(), It.IsAny<string>(), It.IsAny<CancellationToken>()))
            .Returns((GateDefinition _, string _, CancellationToken cancel) =>
            {
                if (done.Contains("record promoted sha256:11")) stop.Cancel();
                cancel.ThrowIfCancellationRequested();
                return Task.FromResult<string?>(null);
            });

        var exit =
            await production.RunAsync(PromoteCommand.Create(new Ports((_, _) => images.Object, (_, _, _, _) =>
            Task.FromResult(cluster.Object))), "7", stop.Token);

        Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), production.Output);
        Assert.That(done, Has.None.EqualTo("apply sha256:00"), "nothing is half done, so nothing is taken back");
        Assert.That(production.HandOver().Workloads.Single(),
            Is.EqualTo(new Hosting.Evidence.PromotedWorkload("greeter", "one", New, Old)));
        Assert.That(production.Text(), Does.Contain("while wave first soaked").And.Contain("not rolled out: greeter in two"));
    }

    private Task<int> RunAsync(params string[] more) =>
        production.RunAsync(PromoteCommand.Create(new Ports((_, _) => images.Object, (_, _, _, _) => Task.FromResult(cluster.Object))), "7", more);

    private void Fails(string digest) => cluster.Setup(it => it.RollOutAsync(It.Is<RolloutTarget>(target => target.Digests.Contains(digest)), It.IsAny<CancellationToken>()))
        .ReturnsAsync(new RolloutResult(new StepFailure("crash-loop", "it crashed"), [], null));

    private RolloutResult Rolled(RolloutTarget target)
    {
        Do("roll " + target.Digests.First()[..9]);
        return new RolloutResult(null, ["pod"], target.Digests.First());
    }

    private bool Do(string what)
    {
        done.Add(what);
        return true;
    }

    private static string ImageOf(ManifestSet set) => (string)set.Items.First(item => item.Kind == "Deployment")
        .Json["spec"]!["template"]!["spec"]!["containers"]![0]!["image"]!;

    private static string Image(ManifestSet set)
    {
        var image = ImageOf(set);
        return image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..][..9];
    }
}
