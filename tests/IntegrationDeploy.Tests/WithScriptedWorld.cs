using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using Moq;

namespace CiSteps.IntegrationDeploy.Tests;

/// <summary>
/// The step through its host, with a world that answers as told: order, endings, and that everything is given back.
/// </summary>
[TestFixture]
internal sealed class WithScriptedWorld
{
    private const string New = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    private const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    private const string Quotes = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    private const string Registry = "registry.example";

    private Shop shop = null!;
    private Mock<IImages> images = null!;
    private Mock<ITestCluster> cluster = null!;
    private Mock<ITestbed> testbed = null!;
    private Mock<IPool> pool = null!;
    private CancellationTokenSource lost = null!;
    private List<string> done = null!;

    [SetUp]
    public void SetUp()
    {
        shop = new Shop(Registry);
        done = [];
        lost = new CancellationTokenSource();
        images = new Mock<IImages>(MockBehavior.Strict);
        images
            .Setup(it => it.FindDigestAsync(ImageReference.Parse($"{Registry}/ci/greeter@{New}"), It.IsAny<CancellationToken>()))
            .ReturnsAsync(New);
        images
            .Setup(
                it => it.FindDigestAsync(ImageReference.Parse($"{Registry}/greeter:1-production"), It.IsAny<CancellationToken>()))
            .ReturnsAsync(Old);
        images
            .Setup(
                it => it.FindDigestAsync(ImageReference.Parse($"{Registry}/quotes:1-production"), It.IsAny<CancellationToken>()))
            .ReturnsAsync(Quotes);
        images
            .Setup(
                it => it.FindDigestAsync(
                    It.Is<ImageReference>(name => name.Tag != null && name.Tag.StartsWith("barred-")),
                    It.IsAny<CancellationToken>()))
            .ReturnsAsync(default(string));
        images.Setup(it => it.DigestsOfAsync(It.IsAny<ImageReference>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((ImageReference image, CancellationToken _) => [image.Digest!]);
        images.Setup(it => it.Dispose());
        cluster = new Mock<ITestCluster>(MockBehavior.Strict);
        cluster
            .Setup(
                it => it.PrepareAsync(
                    It.IsAny<string>(),
                    It.IsAny<TestbedScope>(),
                    It.IsAny<IReadOnlyDictionary<string, string>>(),
                    It.IsAny<DateTimeOffset>(),
                    It.IsAny<CancellationToken>()))
            .Returns(
                (string ns, TestbedScope _, IReadOnlyDictionary<string, string> _, DateTimeOffset _, CancellationToken _) => Do(
                    "prepare " + ns));
        cluster.Setup(it => it.ApplyAsync(It.IsAny<ManifestSet>(), It.IsAny<CancellationToken>()))
            .Returns(
                (ManifestSet set, CancellationToken _) => Do(
                    "apply " + string.Join(' ', set.Items.Select(Shown))).ContinueWith(
                            _ => default(StepFailure), TaskScheduler.Default));
        cluster
            .Setup(it => it.RollOutAsync(It.IsAny<RolloutTarget>(), It.IsAny<BuildLog>(), It.IsAny<CancellationToken>()))
            .Returns((RolloutTarget target, BuildLog _, CancellationToken _) => Rolled(target));
        cluster
            .Setup(
                it => it.RunJobAsync(
                    It.IsAny<Manifest>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<BuildLog>(),
                    It.IsAny<Action<string>>(),
                    It.IsAny<CancellationToken>()))
            .Returns(
                (Manifest _, TimeSpan _, BuildLog _, Action<string> onLine, CancellationToken _) => Tested(
                    onLine, 0, "1..1", "ok 1 - greets"));
        cluster
            .Setup(
                it => it.DiagnoseAsync(
                    It.IsAny<string>(), It.IsAny<string>(), It.IsAny<BuildLog>(), It.IsAny<CancellationToken>()))
            .Returns(() => Do("diagnose"));
        cluster
            .Setup(
                it => it.CleanAsync(
                    It.IsAny<string>(),
                    It.IsAny<TestbedScope>(),
                    It.IsAny<IReadOnlyDictionary<string, string>>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<CancellationToken>()))
            .Returns(
                (string ns, TestbedScope _, IReadOnlyDictionary<string, string> _, TimeSpan _, CancellationToken cancel) =>
                    cancel.IsCancellationRequested
                        ? Task.FromCanceled(cancel)
                        : Do("clean " + ns));
        cluster.Setup(it => it.Dispose());
        testbed = new Mock<ITestbed>(MockBehavior.Strict);
        testbed.Setup(it => it.Held).Returns(new HeldTestbed("smoke", "small", "claim", "bed-1", 3));
        testbed.Setup(it => it.Kubeconfig).Returns("kubeconfig of the lease\n");
        testbed.Setup(it => it.Scope).Returns(TestbedScope.Cluster);
        testbed.Setup(it => it.Namespace).Returns(default(string));
        testbed.Setup(it => it.Lost).Returns(lost.Token);
        testbed.Setup(it => it.ReleaseAsync(It.IsAny<CancellationToken>())).Returns(() => Do("release"));
        testbed.Setup(it => it.DisposeAsync()).Returns(ValueTask.CompletedTask);
        pool = new Mock<IPool>(MockBehavior.Strict);
        pool
            .Setup(it => it.PickUpAsync(It.IsAny<HeldTestbed>(), It.IsAny<CancellationToken>()))
            .Returns(
                (HeldTestbed _, CancellationToken _) => Do("pick up").ContinueWith(_ => testbed.Object, TaskScheduler.Default));
        pool.Setup(it => it.Dispose());
    }

    [TearDown]
    public void TearDown()
    {
        lost.Dispose();
        shop.Dispose();
    }

    [Test]
    public async Task Takes_no_dependent_whose_production_tag_points_to_a_barred_digest()
    {
        images
            .Setup(
                it => it.FindDigestAsync(
                    ImageReference.Parse($"{Registry}/quotes:{ImageName.BarredTag(Quotes)}"), It.IsAny<CancellationToken>()))
            .ReturnsAsync(Quotes);
        await ReadyAsync();

        var exit = await RunAsync();

        Assert.That((exit, shop.Reason()), Is.EqualTo((ExitCode.Refused, "dependent-not-ready")), shop.Output);
        Assert.That(shop.Output, Does.Contain("is barred"));
        Assert.That(done, Has.None.StartsWith("apply"));
    }

    [Test]
    public async Task Does_everything_in_its_order()
    {
        await ReadyAsync();

        var exit = await RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(done, Is.EqualTo(new[]
        {
            "pick up", "prepare smoke", "apply ConfigMap", $"apply quotes@{Quotes[..9]} Service", "roll quotes",
            $"apply greeter@{Old[..9]} Service", "roll greeter", $"apply greeter@{New[..9]} Service", "roll greeter", "test",
            "clean smoke", "release",
        }));
        Assert.Multiple(() =>
        {
            Assert.That(shop.HandOver().Suites.Single().Passed, Is.EqualTo(1));
            Assert.That(File.ReadAllText(shop.Evidence("manifests/smoke.yaml")), Does.Contain(New));
            Assert.That(File.Exists(shop.Evidence("junit.xml")), Is.True);
            Assert.That(
                Directory.EnumerateFiles(shop.Evidence(""), "*", SearchOption.AllDirectories).Select(File.ReadAllText),
                Has.None.Contains("kubeconfig of the lease"),
                "evidence holds no credential");
        });
    }

    [Test]
    public async Task Keeps_its_verdict_when_it_is_stopped_while_it_cleans()
    {
        await ReadyAsync();
        var left = shop.Evidence("diagnosis/smoke/pods.txt");
        Directory.CreateDirectory(Path.GetDirectoryName(left)!);
        await File.WriteAllTextAsync(left, "of an earlier run");
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(DateTimeOffset.UtcNow);
        shop.Time = time;
        var cleaning = new TaskCompletionSource();
        cluster.Setup(it => it.CleanAsync(It.IsAny<string>(), It.IsAny<TestbedScope>(), It.IsAny<IReadOnlyDictionary<string,
            string>>(), It.IsAny<TimeSpan>(),
            It.IsAny<CancellationToken>())).Returns((string _, TestbedScope _, IReadOnlyDictionary<string, string> _, TimeSpan _,
                CancellationToken cancel) =>
        {
            cleaning.SetResult();
            return Task.Delay(Timeout.Infinite, cancel);
        });
        using var stop = new CancellationTokenSource();
        var running = RunAsync(stop.Token);
        await cleaning.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await stop.CancelAsync();
        time.Advance(TimeSpan.FromSeconds(14));

        Assert.That(await running.WaitAsync(TimeSpan.FromSeconds(60)), Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(done, Does.Contain("release"), "the testbed goes back all the same");
        Assert.That(shop.HandOver().Suites.Single().Succeeded, Is.True);
        Assert.That(shop.Output, Does.Contain("is not clean yet"));
        Assert.That(File.Exists(left), Is.False, "what an earlier run left is not this run's");
    }

    [Test]
    public async Task Rolls_from_the_targets_manifests_whatever_lies_beside_them()
    {
        shop.Clone.Git("checkout", "--quiet", "main");
        shop.Clone.Commit("greeter/k8s/kustomization.yaml", "resources: [greeter.yaml]\n");
        shop.Clone.Push();
        shop.Clone.Git("checkout", "--quiet", "-B", "ci/scaled");
        shop.Clone.Commit("greeter/k8s/greeter.yaml", PodCluster.Workload("greeter", 3));
        shop.Clone.Push();
        await ReadyAsync();
        var replicas = new List<long>();
        cluster
            .Setup(it => it.ApplyAsync(It.IsAny<ManifestSet>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((ManifestSet set, CancellationToken _) =>
        {
            replicas.AddRange(set.Items
                .Where(item => item.Name == "greeter" && item.Kind == "Deployment")
                .Select(item => (long)item.Json["spec"]!["replicas"]!));
            return null;
        });

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(replicas, Is.EqualTo(new[] { 2L, 3 }));
    }

    [Test]
    public async Task Says_that_a_suite_counts_once_the_target_branch_has_it()
    {
        var file = Path.Combine(shop.Clone.Folder, "ci-steps.yaml");
        var (with, without) = (File.ReadAllText(file), File.ReadAllText(file).Split("integration:")[0]);
        shop.Clone.Git("checkout", "--quiet", "main");
        shop.Clone.Commit("ci-steps.yaml", without);
        shop.Clone.Push();
        shop.Clone.Git("checkout", "--quiet", "-B", "ci/first-suite");
        shop.Clone.Commit("ci-steps.yaml", with);
        shop.Clone.Push();
        await ReadyAsync();

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(
            shop.Output,
            Does.Contain("nothing to test: \"main\" has no integration suites, and this change's count once they are there"));
    }

    [Test]
    public async Task Touches_nothing_in_a_dry_run()
    {
        await ReadyAsync();

        var exit = await RunAsync(more: "--dry-run");

        Assert.That((exit, done.Count), Is.EqualTo((ExitCode.Done, 0)), shop.Output);
        Assert.That(shop.Output, Does.Contain("greeter rolled from").And.Contain("would run 1 suite: smoke"));
    }

    [TestCase("image-build")]
    [TestCase("reserve-testbed")]
    public async Task Refuses_without_the_evidence_of(string missing)
    {
        if (missing != "image-build") await shop.BuiltAsync(shop.Image(New));

        var exit = await RunAsync();

        Assert.That((exit, shop.Reason()), Is.EqualTo((ExitCode.Refused, "no-evidence")), shop.Output);
        Assert.That(shop.Output, Does.Contain($"run {missing} first"));
    }

    [Test]
    public async Task Refuses_a_digest_that_is_not_in_the_registry()
    {
        await ReadyAsync();
        images
            .Setup(it => it.FindDigestAsync(ImageReference.Parse($"{Registry}/ci/greeter@{New}"), It.IsAny<CancellationToken>()))
            .ReturnsAsync(default(string));

        var exit = await RunAsync();

        Assert.That((exit, shop.Reason(), done.Count), Is.EqualTo((ExitCode.Refused, "image-missing", 0)), shop.Output);
    }

    [Test]
    public async Task Has_nothing_to_do_when_nothing_was_built()
    {
        await shop.BuiltAsync(shop.Image(New, built: false));

        var exit = await RunAsync();

        Assert.That((exit, done.Count), Is.EqualTo((ExitCode.Done, 0)), shop.Output);
        Assert.That(shop.Output, Does.Contain("is left out: nothing new of greeter").And.Contain("nothing to test"));
    }

    [Test]
    public async Task Diagnoses_cleans_and_gives_back_when_the_roll_out_fails()
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.RollOutAsync(
                    It.Is<RolloutTarget>(target => target.Digests.Contains(New)),
                    It.IsAny<BuildLog>(),
                    It.IsAny<CancellationToken>()))
            .ReturnsAsync(new RolloutResult(new StepFailure("image-not-found", "the image does not exist"), [], null));

        var exit = await RunAsync();

        Assert.That((exit, shop.Reason()), Is.EqualTo((ExitCode.Refused, "image-not-found")), shop.Output);
        Assert.That(done.TakeLast(3), Is.EqualTo(new[] { "diagnose", "clean smoke", "release" }));
    }

    [Test]
    public async Task Goes_on_when_only_the_production_image_does_not_come_up()
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.RollOutAsync(
                    It.Is<RolloutTarget>(target => target.Digests.Contains(Old)),
                    It.IsAny<BuildLog>(),
                    It.IsAny<CancellationToken>()))
            .ReturnsAsync(new RolloutResult(new StepFailure("crash-loop", "it crashed"), [], null));

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(shop.Output, Does.Contain("does not come up as production runs it"));
    }

    [TestCase(1, "tests-failed", "1..1", "not ok 1 - greets")]
    [TestCase(0, "disagreement", "1..1", "not ok 1 - greets")]
    [TestCase(0, "no-tests", "1..0")]
    [TestCase(0, "no-report", "all is well")]
    [TestCase(0, "report-truncated", "ok 1 - greets")]
    [TestCase(2, "disagreement", "1..1", "ok 1 - greets")]
    public async Task Believes_neither_exit_code_nor_report_alone(int exitCode, string reason, params string[] lines)
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.RunJobAsync(
                    It.IsAny<Manifest>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<BuildLog>(),
                    It.IsAny<Action<string>>(),
                    It.IsAny<CancellationToken>()))
            .Returns(
                (Manifest _, TimeSpan _, BuildLog _, Action<string> onLine, CancellationToken _) =>
                    Tested(onLine, exitCode, lines));
        var exit = await RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Refused), shop.Output);
        Assert.That(shop.Reason(), Is.EqualTo(reason), shop.Output);
    }

    // A container that ended, and of which the cluster does not say how.
    [Test]
    public async Task Takes_no_exit_code_for_no_zero()
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.RunJobAsync(
                    It.IsAny<Manifest>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<BuildLog>(),
                    It.IsAny<Action<string>>(),
                    It.IsAny<CancellationToken>()))
            .Returns((Manifest _, TimeSpan _, BuildLog _, Action<string> onLine, CancellationToken _) =>
            {
                onLine("1..1");
                onLine("ok 1 - greets");
                return Task.FromResult(new TestJobResult([], null, null));
            });
        var exit = await RunAsync();

        Assert.That((exit, shop.Reason()), Is.EqualTo((ExitCode.Refused, "tests-lost")), shop.Output);
    }

    [Test]
    public async Task Names_the_failed_test_even_when_only_the_jobs_end_is_known()
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.RunJobAsync(
                    It.IsAny<Manifest>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<BuildLog>(),
                    It.IsAny<Action<string>>(),
                    It.IsAny<CancellationToken>()))
            .ReturnsAsync((Manifest _, TimeSpan _, BuildLog _, Action<string> onLine, CancellationToken _) =>
            {
                foreach (var line in new[] { "1..2", "ok 1 - begins", "not ok 2 - greets" }) onLine(line);
                return new TestJobResult([], null, new StepFailure("test-job-failed", "BackoffLimitExceeded"));
            });

        await RunAsync();

        Assert.That(shop.Reason(), Is.EqualTo("tests-failed"), shop.Output);
        Assert.That(shop.Output, Does.Contain("first \"greets\""));
    }

    [Test]
    public async Task Stops_touching_a_testbed_that_is_no_longer_its_own()
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.RunJobAsync(
                    It.IsAny<Manifest>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<BuildLog>(),
                    It.IsAny<Action<string>>(),
                    It.IsAny<CancellationToken>()))
            .Returns(async (Manifest _, TimeSpan _, BuildLog _, Action<string> _, CancellationToken cancel) =>
            {
                await lost.CancelAsync();
                cancel.ThrowIfCancellationRequested();
                return new TestJobResult([], 0, null);
            });

        var exit = await RunAsync();

        Assert.That((exit, shop.Reason()), Is.EqualTo((ExitCode.Unavailable, "lease-lost")), shop.Output);
        Assert.That(done, Has.None.StartsWith("clean").And.None.EqualTo("diagnose"));
    }

    [Test]
    public async Task Cleans_and_gives_back_when_it_is_stopped()
    {
        await ReadyAsync();
        using var stop = new CancellationTokenSource();
        cluster
            .Setup(
                it => it.RunJobAsync(
                    It.IsAny<Manifest>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<BuildLog>(),
                    It.IsAny<Action<string>>(),
                    It.IsAny<CancellationToken>()))
            .Returns(async (Manifest _, TimeSpan _, BuildLog _, Action<string> _, CancellationToken cancel) =>
            {
                await stop.CancelAsync();
                cancel.ThrowIfCancellationRequested();
                return new TestJobResult([], 0, null);
            });

        var exit = await RunAsync(stop.Token);

        Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), shop.Output);
        Assert.That(done.TakeLast(2), Is.EqualTo(new[] { "clean smoke", "release" }));
    }

    [Test]
    public async Task Keeps_its_verdict_when_cleaning_fails()
    {
        await ReadyAsync();
        cluster
            .Setup(
                it => it.CleanAsync(
                    It.IsAny<string>(),
                    It.IsAny<TestbedScope>(),
                    It.IsAny<IReadOnlyDictionary<string, string>>(),
                    It.IsAny<TimeSpan>(),
                    It.IsAny<CancellationToken>()))
            .ThrowsAsync(new UnavailableException("cleanup-stuck", "finalizer example.org/hold"));

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(shop.Output, Does.Contain("finalizer example.org/hold"));
        Assert.That(done[^1], Is.EqualTo("release"));
    }

    [Test]
    public async Task Leaves_everything_to_look_around_on_a_laptop_only()
    {
        await ReadyAsync();
        Assert.That(await RunAsync(more: "--keep"), Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(done, Has.None.StartsWith("clean").And.None.EqualTo("release"));

        shop.Environment["TEAMCITY_VERSION"] = "2025.11";
        Assert.That(await RunAsync(more: "--keep"), Is.EqualTo(ExitCode.Usage), shop.Output);
    }

    [Test]
    public async Task Runs_a_command_with_the_leases_kubeconfig_that_nobody_else_can_read()
    {
        shop.Dispose();
        shop = new Shop(
            Registry,
            Shop.Suite(
                Registry,
                tests: """{ run: 'ls -l "$KUBECONFIG" | cut -c1-10; cat "$KUBECONFIG"; echo "1..1"; """ +
                    """echo "ok 1 - in $CISTEPS_NAMESPACE with ${CISTEPS_SECRET:-no secret}"', format: tap }"""));
        shop.Environment["CISTEPS_SECRET"] = "the step's own";
        // A child inherits from this very process, not from what the host was given.
        Environment.SetEnvironmentVariable("CISTEPS_SECRET", "the step's own");
        await ReadyAsync();

        var exit = await RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(shop.Output, Does.Contain("-rw-------").And.Contain("ok 1 - in smoke with no secret"));
    }

    [TestCase("tap", """echo 1..1; echo "ok 1 - $PWD/tests/greets.sh" """)]
    [TestCase(
        "go-json",
        """echo '{"Action":"pass","Package":"'$PWD'/tests","Test":"greets.sh"}'; """ +
        """echo '{"Action":"pass","Package":"'$PWD'/tests"}'""")]
    [TestCase("junit", """echo '<testsuite name="all"><testcase name="greets.sh" classname="'$PWD'/tests"/></testsuite>'""")]
    public async Task Names_the_tests_in_a_commands_output_alike_on_every_agent(string format, string script)
    {
        shop.Dispose();
        shop = new Shop(
            Registry, Shop.Suite(Registry, tests: $"{{ run: {JsonValue.Create(script).ToJsonString()}, format: {format} }}"));
        await ReadyAsync();

        var exit = await RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.That(shop.Output, Does.Contain(shop.Clone.Folder), "the output itself stays as it is");
        Assert.That(File.ReadAllText(shop.Evidence("junit.xml")), Does.Contain("greets.sh").And.Not.Contain(shop.Clone.Folder));
    }

    [Test]
    public async Task Runs_suites_side_by_side_and_keeps_their_lines_apart()
    {
        shop.Dispose();
        shop = new Shop(Registry, Shop.Suite(Registry) + Shop.Suite(Registry, name: "second"));
        await shop.BuiltAsync(shop.Image(New));
        await shop.ReservedAsync(
            new HeldTestbed("smoke", "small", "a", "bed-1", 3), new HeldTestbed("second", "small", "b", "bed-2", 4));

        var exit = await RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), shop.Output);
        Assert.Multiple(() =>
        {
            Assert.That(shop.Output, Does.Contain("[smoke] ").And.Contain("[second] "));
            Assert.That(done.Count(what => what == "release"), Is.EqualTo(2));
            Assert.That(shop.HandOver().Suites.Select(suite => suite.Suite), Is.EqualTo(new[] { "smoke", "second" }));
        });
    }

    [Test]
    public async Task Refuses_manifests_that_name_no_fixed_image_before_a_testbed_is_touched()
    {
        shop.Dispose();
        shop = new Shop(Registry, job: PodCluster.Job("tools", "true"));
        await ReadyAsync();

        var exit = await RunAsync();

        Assert.That((exit, done.Count), Is.EqualTo((ExitCode.Usage, 0)), shop.Output);
        Assert.That(shop.Output, Does.Contain("integration/job.yaml:1").And.Contain("\"tools\""));
    }

    private async Task ReadyAsync()
    {
        await shop.BuiltAsync(shop.Image(New));
        await shop.ReservedAsync(new HeldTestbed("smoke", "small", "claim", "bed-1", 3));
    }

    private Task<int> RunAsync(CancellationToken stop = default, params string[] more) =>
        shop.RunAsync(
            IntegrationDeployCommand.Create(new Ports(
                (_, _) => images.Object,
                (_, _) => Task.FromResult(pool.Object),
                (_, _, _, _) => Task.FromResult(cluster.Object))),
            stop,
            more);

    private Task Do(string what)
    {
        lock (done) done.Add(what);
        return Task.CompletedTask;
    }

    private Task<RolloutResult> Rolled(RolloutTarget target)
    {
        Do("roll " + target.Name);
        return Task.FromResult(new RolloutResult(null, ["pod"], target.Digests.First()));
    }

    private Task<TestJobResult> Tested(Action<string> onLine, int exit, params string[] lines)
    {
        Do("test");
        foreach (var line in lines) onLine(line);
        return Task.FromResult(new TestJobResult(lines, exit, null));
    }

    private static string Shown(Manifest item)
    {
        var image = (string?)item.Json["spec"]?["template"]?["spec"]?["containers"]?[0]?["image"];
        return image is null ? item.Kind : $"{item.Name}@{image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..][..9]}";
    }
}
