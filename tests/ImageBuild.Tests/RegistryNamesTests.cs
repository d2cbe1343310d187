using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;
using Moq;

namespace CiSteps.ImageBuild.Tests;

/// <summary>Registries as ci-steps.yaml writes them, from the reading of the file to the name that is handed over.</summary>
public sealed class RegistryNamesTests
{
    [TestCase("registry.example")]
    [TestCase("registry.example:5000/team/sub")]
    [TestCase("index.docker.io/acme")]
    [TestCase("docker.io")]
    [TestCase("localhost")]
    [TestCase("localhost:5000")]
    [TestCase("LOCALHOST/x")]
    [TestCase("MyRegistry:5000/team")]
    [TestCase("MyRegistry")]
    [TestCase("10.0.0.1/a__b/c---d.e")]
    [TestCase("[::1]:5000/team")]
    [TestCase("[fd00::1]")]
    [TestCase("registry.example:65535")]
    [TestCase("acme")]
    [TestCase("acme/team")]
    [TestCase("registry.example/")]
    [TestCase("registry.example//team")]
    [TestCase("registry.example/Team")]
    [TestCase("registry.example/team/")]
    [TestCase("registry.example/-team")]
    [TestCase("registry.example/te..am")]
    [TestCase("registry.example/te___am")]
    [TestCase("registry.example/team:1")]
    [TestCase("registry.example/team@sha256:1")]
    [TestCase("registry.example:0")]
    [TestCase("registry.example:/team")]
    [TestCase("registry_1.example:5000")]
    [TestCase("registry.example:5000/a b")]
    [TestCase("registry.example:65536")]
    [TestCase("registry.example:port")]
    [TestCase("registry_1.example")]
    [TestCase("registry.example.")]
    [TestCase("-registry.example")]
    [TestCase("https://registry.example")]
    [TestCase("[::1]:5000:1")]
    [TestCase("[fd001]:5000")]
    [TestCase("[fe80::1%eth0]")]
    [TestCase("::1")]
    [TestCase("a b.example")]
    [TestCase("registry.example/+")]
    public void The_file_is_read_by_the_rules_that_images_are_named_by(string registry)
    {
        registry = registry.Replace("+", new string('a', 254), StringComparison.Ordinal);
        foreach (var key in new[] { "push", "pull" })
        {
            var text =
                $"registry:\n  push: {(key == "push" ? $"'{registry}'" : "registry.example")}\n  pull: "
                + $"{(key == "pull" ? $"'{registry}'" : "registry.example")}\ncomponents: []\n";
            if (RegistryPrefix.TryParse(registry, out _, out var why))
            {
                Assert.DoesNotThrow(() => PipelineFile.Parse(text, "ci-steps.yaml"));
                continue;
            }
            var refusal = Assert.Throws<UsageException>(() => PipelineFile.Parse(text, "ci-steps.yaml"))!.Message;
            Assert.That(refusal,
                Does.Contain(
                    $"ci-steps.yaml:{(key == "push" ? 2 : 3)}:9: \"{registry}\" is not a registry for \"{key}\": {why}"));
        }
    }

    [TestCase("index.docker.io/acme", "docker.io/acme")]
    [TestCase("docker.io/acme", "docker.io/acme")]
    [TestCase("registry.example/team", "registry.example/team")]
    [TestCase("MyRegistry:5000", "MyRegistry:5000")]
    public async Task The_name_is_handed_over_whole(string registry, string place)
    {
        var digest = "sha256:" + new string('1', 64);
        using var repository = new ServiceRepository(registry, "registry.example/base:1");
        repository.Branch();
        var name = ImageReference.Parse($"{place}/ci/service:3.1-{repository.Clone.Head[..12]}");
        var works = new Mock<IImageWorks>(MockBehavior.Strict);
        works.Setup(port => port.DisposeAsync()).Returns(ValueTask.CompletedTask);
        works.Setup(port =>
            port.FindAsync(It.IsAny<ImageReference>(), It.IsAny<CancellationToken>())).ReturnsAsync((TaggedImage?)null);
        works.Setup(port =>
            port.FindAsync(name, It.IsAny<CancellationToken>())).ReturnsAsync(new TaggedImage(digest, repository.Clone.Head,
            name.Tag));
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create((_, _) => works.Object), "1"), Is.EqualTo(ExitCode.Done),
            repository.Output);
        var image = repository.Images().Single();
        Assert.That(image.Repository, Is.EqualTo($"{place}/ci/service"));
    }
}
