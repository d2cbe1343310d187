using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;
using Moq;

namespace CiSteps.ImageBuild.Tests;

/// <summary>What the step asks of engine and registry, and how it ends; whatever is not set up must not be called.</summary>
public sealed class ImageBuildStepTests
{
    private const string Host = "registry.example";
    private static readonly string Digest = "sha256:" + new string('1', 64);
    private static readonly string Other = "sha256:" + new string('2', 64);
    private static readonly LocalBuild Built = new(
        "sha256:" + new string('3', 64), [new BaseImage("registry.example/base:1", Other)], 1, 4);

    private ServiceRepository repository = null!;
    private Mock<IImageWorks> works = null!;
    private ImageReference name = null!;

    [SetUp]
    public void Open()
    {
        repository = new ServiceRepository(Host, "registry.example/base:1");
        repository.Branch();
        name = ImageReference.Of($"{Host}/ci/service", $"3.1-{repository.Clone.Head[..12]}");
        works = new Mock<IImageWorks>(MockBehavior.Strict);
        works.Setup(port => port.DisposeAsync()).Returns(ValueTask.CompletedTask);
        works
            .Setup(port => port.CheckAsync(It.IsAny<ComponentDefinition>(), It.IsAny<CancellationToken>()))
            .Returns(Task.CompletedTask);
        Answer(ImageReference.Of($"{Host}/service", "3-production"), null);
        Answer(ImageReference.Of($"{Host}/other", "1-production"), null);
        Answer(name, null);
    }

    [TearDown]
    public void Close() => repository.Dispose();

    [Test]
    public async Task Builds_publishes_and_attaches_for_what_changed_only()
    {
        works.Setup(port => port.BuildAsync(It.Is<ImageOrder>(order => order.Name == name && order.Component.Name == "service"
            && order.Labels[ImageName.RevisionLabel] == repository.Clone.Head
                && order.Labels[ImageName.VersionLabel] == name.Tag), It.IsAny<CancellationToken>()))
                .ReturnsAsync(Built);
        works.Setup(port => port.PublishAsync(name, Built.Id, It.IsAny<CancellationToken>())).ReturnsAsync((Digest, true));
        works
            .Setup(port => port.AttachAsync(name.WithDigest(Digest), It.IsAny<byte[]>(), It.IsAny<CancellationToken>()))
            .Returns(Task.CompletedTask);
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), repository.Output);
        works.Verify(
            port => port.AttachAsync(It.IsAny<ImageReference>(), It.IsAny<byte[]>(), It.IsAny<CancellationToken>()), Times.Once);
        Assert.That(repository.Evidence("image-build"), Does.Contain(Digest).And.Contain(PredicateTypes.Provenance));
    }

    [Test]
    public async Task Stopped_beside_a_pushed_image_keeps_it_and_its_verdict()
    {
        using var stop = new CancellationTokenSource();
        works.Setup(port => port.BuildAsync(It.IsAny<ImageOrder>(), It.IsAny<CancellationToken>())).ReturnsAsync(Built);
        works.Setup(port => port.PublishAsync(name, Built.Id, It.IsAny<CancellationToken>())).ReturnsAsync((Digest, true));
        works.Setup(port => port.AttachAsync(name.WithDigest(Digest), It.IsAny<byte[]>(), It.IsAny<CancellationToken>()))
            .Returns((ImageReference _, byte[] _, CancellationToken cancel) =>
            {
                stop.Cancel();
                cancel.ThrowIfCancellationRequested();
                return Task.CompletedTask;
            });

        using var output = new StringWriter();
        var exit = await repository.RunAsync(ImageBuildCommand.Create((_, _) => works.Object), "1", output, stop.Token);

        Assert.That(exit, Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Images().Single().Digest, Is.EqualTo(Digest));
    }

    [Test]
    public async Task Builds_what_a_suite_needs_whose_own_files_alone_changed()
    {
        using var own = new ServiceRepository(Host, "registry.example/base:1", more: "    workload: { manifests: [service/k8s] }",
            suites: "integration:\n  - { name: smoke, components: [service], class: small, tests: { job: it/job.yaml } }");
        own.Clone.Git("checkout", "--quiet", "-b", "ci/suite");
        own.Clone.Commit("it/job.yaml", "changed");
        own.Clone.Git("push", "--quiet", "origin", "ci/suite");
        works.Setup(port => port.FindAsync(It.IsAny<ImageReference>(),
            It.IsAny<CancellationToken>())).ReturnsAsync(default(TaggedImage));

        var exit = await own.RunAsync(ImageBuildCommand.Create((_, _) => works.Object), "1", "--dry-run");

        Assert.That(exit, Is.EqualTo(ExitCode.Done), own.Output);
        Assert.That(own.Output, Does.Contain("service: build").And.Contain("suite \"smoke\" deploys it"));
    }

    [Test]
    public async Task A_dry_run_prints_the_plan_and_builds_nothing()
    {
        Assert.That(await RunAsync("--dry-run"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Output, Does.Contain($"build {name}"));
    }

    [Test]
    public async Task Hands_over_the_certified_image_of_what_did_not_change()
    {
        Answer(ImageReference.Of($"{Host}/other", "1-production"), new TaggedImage(Other, "some", "1.9-some"));
        Answer(name, new TaggedImage(Digest, repository.Clone.Head, name.Tag));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Images(), Is.EqualTo(new[]
        {
            new BuiltImage("service", $"{Host}/ci/service", name.Tag!, Digest, true),
            new BuiltImage("other", $"{Host}/other", "1.9-some", Other, false),
        }));
    }

    [Test]
    public async Task Goes_by_what_unit_test_found_out()
    {
        await repository.StateAsync("unit-test", "1", Outcome.Done("passed").HandingOver(new UnitTestHandOver("", [
            new TestedComponent("service", false, "as unit-test says", 0, 0, 0, 0),
            new TestedComponent("other", false, "as unit-test says", 0, 0, 0, 0)]), HandOverJson.Default.UnitTestHandOver));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Output, Does.Contain("as unit-test says").And.Contain("no image to build"));
        Assert.That(repository.Images(), Is.Empty);
    }

    [Test]
    public async Task Builds_nothing_when_unit_test_of_this_run_failed()
    {
        await repository.StateAsync("unit-test", "1", Outcome.Refused("tests-failed", "3 tests failed"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused));
        Assert.That(repository.Output, Does.Contain("image-build.unit-test-failed").And.Contain("3 tests failed"));
    }

    [Test]
    public async Task Says_when_the_tag_was_taken_while_it_built()
    {
        works.Setup(port => port.BuildAsync(It.IsAny<ImageOrder>(), It.IsAny<CancellationToken>())).ReturnsAsync(Built);
        works.Setup(port => port.PublishAsync(name, Built.Id, It.IsAny<CancellationToken>())).ReturnsAsync((Other, false));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused));
        Assert.That(repository.Output, Does.Contain("image-build.tag-taken").And.Contain(Other));
    }

    [Test]
    public async Task A_registry_that_takes_no_artifacts_is_only_a_warning()
    {
        works.Setup(port => port.BuildAsync(It.IsAny<ImageOrder>(), It.IsAny<CancellationToken>())).ReturnsAsync(Built);
        works.Setup(port => port.PublishAsync(name, Built.Id, It.IsAny<CancellationToken>())).ReturnsAsync((Digest, true));
        works
            .Setup(port => port.AttachAsync(name.WithDigest(Digest), It.IsAny<byte[]>(), It.IsAny<CancellationToken>()))
            .ThrowsAsync(new RegistryRefusalException(400, "MANIFEST_INVALID", "unknown media type"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Output, Does.Contain("warning").And.Contain("unknown media type"));
    }

    [Test]
    public async Task Stops_when_the_branch_has_moved_on()
    {
        var ours = repository.Clone.Head;
        repository.Write("service/file", "three\n");
        repository.Commit("later");
        repository.Clone.Git("push", "--quiet", "origin", "HEAD");
        repository.Clone.Git("reset", "--quiet", "--hard", ours);
        repository.Environment["TEAMCITY_VERSION"] = "2025.3";
        Assert.That(await RunAsync("--branch", "ci/change"), Is.EqualTo(ExitCode.Refused));
        Assert.That(repository.Output, Does.Contain("image-build.superseded"));
    }

    [Test]
    public async Task Is_unavailable_when_the_registry_is()
    {
        works
            .Setup(port => port.FindAsync(name, It.IsAny<CancellationToken>()))
            .ThrowsAsync(new UnavailableException("registry-unreachable", "no answer"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable));
        Assert.That(repository.Output, Does.Contain("image-build.registry"));
    }

    [Test]
    public async Task Refuses_a_build_number_that_makes_no_tag()
    {
        Assert.That(
            await repository.RunAsync(ImageBuildCommand.Create((_, _) => works.Object), "1 2"), Is.EqualTo(ExitCode.Usage));
        Assert.That(repository.Output, Does.Contain("\"1 2\""));
    }

    private void Answer(ImageReference reference, TaggedImage? image) =>
        works.Setup(port => port.FindAsync(reference, It.IsAny<CancellationToken>())).ReturnsAsync(image);

    private Task<int> RunAsync(params string[] more) =>
        repository.RunAsync(ImageBuildCommand.Create((_, _) => works.Object), "1", more);
}
