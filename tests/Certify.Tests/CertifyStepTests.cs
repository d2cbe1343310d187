using CiSteps.Hosting;
using CiSteps.Images;
using Moq;

namespace CiSteps.Certify.Tests;

/// <summary>Which writes the step makes for which answers of the registry; whatever is not set up must not be called.</summary>
public sealed class CertifyStepTests
{
    private const string Host = "registry.example";
    private static readonly string Digest = "sha256:" + new string('1', 64);
    private static readonly string Older = "sha256:" + new string('2', 64);

    private Release release = null!;
    private Mock<IReleaseRegistry> registry = null!;

    [SetUp]
    public async Task OpenAsync()
    {
        release = new Release(Host);
        registry = new Mock<IReleaseRegistry>(MockBehavior.Strict);
        registry.Setup(port => port.Dispose());
        registry.Setup(port => port.CertificatesAsync(It.IsAny<ImageReference>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync([]);
        Answer($"2.1-{release.Clone.Head[..12]}", new TaggedImage(Digest, release.Clone.Head, "2.1-x"));
        foreach (var tag in new[] { ImageName.BarredTag(Digest), "2.1", "2-production", "latest" }) Answer(tag, null);
        await release.PassedAsync(Digest, "1");
    }

    [TearDown]
    public void Close() => release.Dispose();

    [Test]
    public async Task Writes_the_version_first_and_production_last()
    {
        var written = new List<string>();
        foreach (var tag in new[] { "2.1", "latest", "2-production" })
            registry.Setup(port => port.MoveAsync(release.Name(Digest), tag, null, It.IsAny<CancellationToken>()))
                .Callback(() => written.Add(tag))
                .Returns(Task.CompletedTask);
        registry
            .Setup(
                port => port.AttachAsync(
                    release.Name(Digest), It.IsAny<Certificate>(), It.IsAny<byte[]>(), It.IsAny<CancellationToken>()))
            .Callback(() => written.Add("summary"))
            .Returns(Task.CompletedTask);
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(written, Is.EqualTo(new[] { "2.1", "summary", "latest", "2-production" }));
    }

    [Test]
    public async Task A_dry_run_prints_the_plan_and_writes_nothing()
    {
        Assert.That(await RunAsync("--dry-run"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("write 2.1, write latest, write 2-production"));
    }

    // Of evidence that names something else nobody knows what was tested: nothing is asked of the registry, nothing is written.
    [Test]
    public async Task Refuses_an_image_of_a_component_that_the_pipeline_file_does_not_have()
    {
        await release.PassedAsync(Digest, "1", component: "gone");

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(
            release.Output, Does.Contain("\"main\" does not have a component \"gone\" any more, of which an image was built"));
    }

    [Test]
    public async Task Does_nothing_when_all_is_written()
    {
        foreach (var tag in new[] { "2.1", "2-production", "latest" })
            Answer(tag, new TaggedImage(Digest, release.Clone.Head, "2.1-x"));
        Certified(Older);
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.HandOver().Images.Single().PreviousDigest, Is.EqualTo(Older));
    }

    [Test]
    public async Task Stops_before_production_when_the_version_tag_was_taken_meanwhile()
    {
        registry.Setup(port => port.MoveAsync(release.Name(Digest), "2.1", null, It.IsAny<CancellationToken>()))
            .ThrowsAsync(new RegistryRefusalException(409, BranchImages.Moved, $"it was moved to {Older}"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.version-taken").And.Contain(Older));
    }

    [Test]
    public async Task Says_when_somebody_else_moved_production_at_the_same_moment()
    {
        Answer("2.1", new TaggedImage(Digest, release.Clone.Head, "2.1-x"));
        Answer("latest", new TaggedImage(Digest, release.Clone.Head, "2.1-x"));
        Certified(previous: null);
        registry
            .Setup(port => port.MoveAsync(release.Name(Digest), "2-production", null, It.IsAny<CancellationToken>()))
            .ThrowsAsync(new RegistryRefusalException(409, "MOVED", "it was moved"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.tag-moved"));
    }

    [Test]
    public async Task An_image_without_a_commit_of_its_own_may_be_newer_and_is_replaced_only_when_told_to()
    {
        Answer("2-production", new TaggedImage(Older, null, null));
        registry.Setup(port => port.MoveAsync(release.Name(Digest), "2.1", null, It.IsAny<CancellationToken>()))
            .Returns(Task.CompletedTask);
        registry
            .Setup(port => port.MoveAsync(release.Name(Digest), "latest", null, It.IsAny<CancellationToken>()))
            .Returns(Task.CompletedTask);
        registry
            .Setup(port => port.MoveAsync(release.Name(Digest), "2-production", Older, It.IsAny<CancellationToken>()))
            .Returns(Task.CompletedTask);
        registry.Setup(port => port.AttachAsync(release.Name(Digest), It.IsAny<Certificate>(), It.IsAny<byte[]>(),
            It.IsAny<CancellationToken>()))
            .ThrowsAsync(new RegistryRefusalException(405, "", "no artifacts here"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("certify.unknown-commit").And.Contain("--allow-older"));
        Assert.That(await RunAsync("--allow-older"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("no artifacts here"));
        Assert.That(release.HandOver().Images.Single().PreviousDigest, Is.EqualTo(Older));
    }

    [Test]
    public async Task Ends_as_unavailable_when_the_registry_does_not_answer()
    {
        registry
            .Setup(port => port.FindDigestAsync(release.Name("2-production"), It.IsAny<CancellationToken>()))
            .ThrowsAsync(new UnavailableException("registry-unreachable", "no answer"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable));
    }

    [Test]
    public async Task Stopped_at_whatever_call_it_has_written_all_or_nothing_and_says_which()
    {
        var ends = new List<int>();
        for (var at = 1; ; at++)
        {
            using var stop = new CancellationTokenSource();
            var calls = 0;
            var written = new List<string>();
            void Call(CancellationToken cancel, string? what = null)
            {
                if (++calls == at) stop.Cancel();
                cancel.ThrowIfCancellationRequested();
                if (what is not null) written.Add(what);
            }

            registry.Setup(port => port.FindDigestAsync(It.IsAny<ImageReference>(),
                It.IsAny<CancellationToken>())).Returns((ImageReference image, CancellationToken cancel) =>
            {
                Call(cancel);
                return Task.FromResult(image.Tag!.StartsWith("2.1-", StringComparison.Ordinal) ? Digest : null);
            });
            registry.Setup(port => port.MoveAsync(It.IsAny<ImageReference>(), It.IsAny<string>(), null,
                It.IsAny<CancellationToken>())).Returns((ImageReference _, string tag, string? _, CancellationToken cancel) =>
            {
                Call(cancel, tag);
                return Task.CompletedTask;
            });
            registry.Setup(port => port.AttachAsync(It.IsAny<ImageReference>(), It.IsAny<Certificate>(), It.IsAny<byte[]>(),
                It.IsAny<CancellationToken>()))
                .Returns((ImageReference _, Certificate _, byte[] _, CancellationToken cancel) =>
                {
                    Call(cancel, "summary");
                    return Task.CompletedTask;
                });

            var exit = await release.RunAsync(CertifyCommand.Create((_, _) => registry.Object), "1", stop.Token);
            ends.Add(exit);
            var what = $"stopped at call {at} after writing {string.Join(", ", written)}:\n{release.Output}";
            Assert.That(written, Has.Count.EqualTo(exit == ExitCode.Done ? 4 : 0), what);
            if (exit == ExitCode.Done) Assert.That(release.HandOver().Images.Single().Digest, Is.EqualTo(Digest), what);
            else Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), what);
            if (!stop.IsCancellationRequested) break;
        }
        Assert.That(ends.Count(exit => exit == ExitCode.Done), Is.EqualTo(5), "four writes and one run that nobody stopped");
    }

    [Test]
    public async Task Stands_by_the_tags_when_the_registry_falls_silent_before_the_summary()
    {
        registry.Setup(port => port.MoveAsync(release.Name(Digest), "2.1", null, It.IsAny<CancellationToken>()))
            .Returns(Task.CompletedTask);
        foreach (var tag in new[] { "latest", "2-production" })
            registry.Setup(port => port.MoveAsync(release.Name(Digest), tag, null,
                It.IsAny<CancellationToken>())).Returns(Task.CompletedTask);
        registry.Setup(port => port.AttachAsync(release.Name(Digest), It.IsAny<Certificate>(), It.IsAny<byte[]>(),
            It.IsAny<CancellationToken>()))
            .ThrowsAsync(new UnavailableException("registry-unreachable", "no answer"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("could not be put beside the image (no answer)"));
        Assert.That(release.HandOver().Images.Single().Digest, Is.EqualTo(Digest));
    }

    private void Certified(string? previous) =>
        registry.Setup(port => port.CertificatesAsync(release.Name(Digest), It.IsAny<CancellationToken>())).ReturnsAsync(
            [new Certificate(release.Clone.Head, "2.1", previous ?? Certificate.Nothing, DateTimeOffset.UnixEpoch)]);

    private void Answer(string target, TaggedImage? image)
    {
        registry.Setup(port => port.FindDigestAsync(release.Name(target), It.IsAny<CancellationToken>()))
            .ReturnsAsync(image?.Digest);
        if (image is not null)
            registry.Setup(port => port.FindAsync(release.Name(image.Digest), It.IsAny<CancellationToken>())).ReturnsAsync(image);
    }

    private Task<int> RunAsync(params string[] more) =>
        release.RunAsync(CertifyCommand.Create((_, _) => registry.Object), "1", more);
}
