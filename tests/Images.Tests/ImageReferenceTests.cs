using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class ImageReferenceTests
{
    private static readonly string Digest = "sha256:" + new string('a', 64);

    [TestCase("alpine", "docker.io", "library/alpine", null)]
    [TestCase("alpine:3", "docker.io", "library/alpine", "3")]
    [TestCase("team/app", "docker.io", "team/app", null)]
    [TestCase("index.docker.io/team/app", "docker.io", "team/app", null)]
    [TestCase("localhost/app", "localhost", "app", null)]
    [TestCase("localhost:5000/app:1.2-x_y", "localhost:5000", "app", "1.2-x_y")]
    [TestCase("registry.example/a/b/c", "registry.example", "a/b/c", null)]
    [TestCase("registry.example:5000/a", "registry.example:5000", "a", null)]
    [TestCase("[::1]:5000/a", "[::1]:5000", "a", null)]
    [TestCase("10.0.0.1/a__b/c-d.e", "10.0.0.1", "a__b/c-d.e", null)]
    public void Reads_host_path_and_tag(string text, string host, string path, string? tag)
    {
        var reference = ImageReference.Parse(text);
        Assert.That((reference.Host, reference.Path, reference.Tag, reference.Digest), Is.EqualTo((host, path, tag, (string?)null)));
        Assert.That(ImageReference.Parse(reference.ToString()), Is.EqualTo(reference));
    }

    [Test]
    public void Reads_digests()
    {
        var reference = ImageReference.Parse($"localhost:5000/a:1@{Digest}");
        Assert.That(reference.Tag, Is.EqualTo("1"));
        Assert.That(reference.Target, Is.EqualTo(Digest));
        Assert.That(reference.WithDigest(Digest).ToString(), Is.EqualTo($"localhost:5000/a@{Digest}"));
        Assert.That(ImageReference.Parse("a").Target, Is.EqualTo("latest"));
    }

    [TestCase("", "empty")]
    [TestCase("localhost:5000/App", "capital letters")]
    [TestCase("a:b:c", "no repository name")]
    [TestCase("a:-x", "no tag")]
    [TestCase("a@sha256:12", "no digest")]
    [TestCase("a//b", "no repository name")]
    [TestCase("a b", "no repository name")]
    [TestCase("-a.example/b", "no host name")]
    [TestCase("registry.example/", "no repository name")]
    public void Says_what_is_wrong(string text, string why)
    {
        Assert.That(ImageReference.TryParse(text, out _, out var said), Is.False);
        Assert.That(said, Does.Contain(why));
        Assert.That(Assert.Throws<UsageException>(() => ImageReference.Parse(text))!.Message, Does.Contain($"\"{text}\""));
    }

    [Test]
    public void Names_images_as_the_chain_does()
    {
        Assert.That(ImageName.Repository("localhost:5000/team/", "ci", "app", isDefaultBranch: false).Repository, Is.EqualTo("localhost:5000/team/ci/app"));
        Assert.That(ImageName.Repository("localhost:5000/team", "ci", "app", isDefaultBranch: true).Repository, Is.EqualTo("localhost:5000/team/app"));
        Assert.That(ImageName.BuildTag(1, "42", "abcdef012345"), Is.EqualTo("1.42-abcdef012345"));
        Assert.That(ImageName.VersionTag(1, "0-dev.20260101"), Is.EqualTo("1.0-dev.20260101"));
        Assert.That(ImageName.BarredTag(Digest), Is.EqualTo("barred-" + new string('a', 32)));
        Assert.Throws<UsageException>(() => ImageName.BuildTag(1, "4 2", "abc"));
        Assert.Throws<UsageException>(() => ImageName.Repository("localhost:5000", "ci", "App", isDefaultBranch: false));
    }
}
