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
        Assert.That(
            (reference.Host, reference.Path, reference.Tag, reference.Digest), Is.EqualTo((host, path, tag, (string?)null)));
        Assert.That(ImageReference.Parse(reference.ToString()), Is.EqualTo(reference));
    }

    [Test]
    public void Reads_digests()
    {
        var reference = ImageReference.Parse($"localhost:5000/a:1@{Digest}");
        Assert.That(reference.Tag, Is.EqualTo("1"));
        Assert.That(reference.TagOrDigest, Is.EqualTo(Digest));
        Assert.That(reference.WithDigest(Digest).ToString(), Is.EqualTo($"localhost:5000/a@{Digest}"));
        Assert.That(ImageReference.Parse("a").TagOrDigest, Is.EqualTo("latest"));
    }

    // The cases of the distribution project's own tests, with what its normalising reader makes of them.
    [TestCase("test_com", "docker.io", "library/test_com")]
    [TestCase("test.com:tag", "docker.io", "library/test.com", "tag")]
    [TestCase("test.com:5000", "docker.io", "library/test.com", "5000")]
    [TestCase("test.com/repo:tag", "test.com", "repo", "tag")]
    [TestCase("test:5000/repo", "test:5000", "repo")]
    [TestCase("test:5000/repo:tag", "test:5000", "repo", "tag")]
    [TestCase("test:5000/repo@sha256:F", "test:5000", "repo", null, "sha256:F")]
    [TestCase("test:5000/repo:tag@sha256:F", "test:5000", "repo", "tag", "sha256:F")]
    [TestCase("repo@sha384:F", "docker.io", "library/repo", null, "sha384:F")]
    [TestCase("repo:tag@sha512:F", "docker.io", "library/repo", "tag", "sha512:F")]
    [TestCase("lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase")]
    [TestCase("Uppercase/lowercase:tag", "Uppercase", "lowercase", "tag")]
    [TestCase("LOCALHOST/x", "LOCALHOST", "x")]
    [TestCase("LOCALDOMAIN/library/debian", "LOCALDOMAIN", "library/debian")]
    [TestCase("MyRegistry:5000/x", "MyRegistry:5000", "x")]
    [TestCase("Foo/bar", "Foo", "bar")]
    [TestCase("FOO/bar", "FOO", "bar")]
    [TestCase("FOO.com/x", "FOO.com", "x")]
    [TestCase("Asdf.com/foo/bar", "Asdf.com", "foo/bar")]
    [TestCase("sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux", "some-long-tag")]
    [TestCase("b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app", "test.example.com")]
    [TestCase("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com")]
    [TestCase("example.com/xn--7o8h.com/myimage", "example.com", "xn--7o8h.com/myimage")]
    [TestCase("foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080")]
    [TestCase("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080")]
    [TestCase("192.168.1.1", "docker.io", "library/192.168.1.1")]
    [TestCase("192.168.1.1:5000", "docker.io", "library/192.168.1.1", "5000")]
    [TestCase("192.168.1.1/repo", "192.168.1.1", "repo")]
    [TestCase("192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050")]
    [TestCase("[2001:db8::1]/repo", "[2001:db8::1]", "repo")]
    [TestCase("[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", "tag")]
    [TestCase("[2001:db8::1]:5000/repo:tag@sha256:F", "[2001:db8::1]:5000", "repo", "tag", "sha256:F")]
    [TestCase("[2001:db8::]:5000/repo", "[2001:db8::]:5000", "repo")]
    [TestCase("[fc00:1:2:3:4:5:6:7]:5000/library/debian", "[fc00:1:2:3:4:5:6:7]:5000", "library/debian")]
    [TestCase("[::1]:5000/docker/docker", "[::1]:5000", "docker/docker")]
    [TestCase("docker/docker", "docker.io", "docker/docker")]
    [TestCase("library/debian", "docker.io", "library/debian")]
    [TestCase("library/foo/bar", "docker.io", "library/foo/bar")]
    [TestCase("store/foo/bar", "docker.io", "store/foo/bar")]
    [TestCase("docker.io/debian", "docker.io", "library/debian")]
    [TestCase("docker.io/library/debian", "docker.io", "library/debian")]
    [TestCase("index.docker.io/debian", "docker.io", "library/debian")]
    [TestCase("index.docker.io/library/debian", "docker.io", "library/debian")]
    [TestCase("index.docker.io/docker/docker:1@sha256:F", "docker.io", "docker/docker", "1", "sha256:F")]
    [TestCase("registry-1.docker.io/docker/docker", "registry-1.docker.io", "docker/docker")]
    [TestCase("localhost", "docker.io", "library/localhost")]
    [TestCase("localhost:8080", "docker.io", "library/localhost", "8080")]
    [TestCase("localhost:8080@sha256:F", "docker.io", "library/localhost", "8080", "sha256:F")]
    [TestCase("localhost/library/debian", "localhost", "library/debian")]
    [TestCase(
        "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
        "docker.io",
        "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev")]
    [TestCase(
        "docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a",
        "docker.io",
        "library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a")]
    [TestCase(
        "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a:1",
        "docker.io",
        "library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a",
        "1")]
    [TestCase("docker---rules/docker", "docker.io", "docker---rules/docker")]
    [TestCase("dock__er/docker", "docker.io", "dock__er/docker")]
    [TestCase("d/docker", "docker.io", "d/docker")]
    [TestCase("aa-a/a", "docker.io", "aa-a/a")]
    [TestCase("example.com/some_separator__underscore/myimage", "example.com", "some_separator__underscore/myimage")]
    [TestCase(
        "registry.io/foo/project--id.module--name.ver---sion--name",
        "registry.io",
        "foo/project--id.module--name.ver---sion--name")]
    [TestCase("ab.c-om/x", "ab.c-om", "x")]
    [TestCase("0101.com/x", "0101.com", "x")]
    [TestCase("test.com:65535/x", "test.com:65535", "x")]
    [TestCase("[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443/x", "[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443", "x")]
    public void Reads_what_engines_read(string text, string host, string path, string? tag = null, string? digest = null)
    {
        var reference = ImageReference.Parse(Full(text));
        Assert.That((reference.Host, reference.Path, reference.Tag, reference.Digest),
            Is.EqualTo((host, path, tag, digest is null ? null : Full(digest))));
        Assert.That(ImageReference.Parse(reference.ToString()), Is.EqualTo(reference));
        Assert.That(reference.IsRepository, Is.EqualTo(tag is null && digest is null));
    }

    [TestCase("", "empty")]
    [TestCase(":justtag", "not a repository name")]
    [TestCase("@sha256:F", "not a repository name")]
    [TestCase("repo@sha256:ffffffffffffffffffffffffffffffffff", "not a digest")]
    [TestCase("repo@sha256:12", "not a digest")]
    [TestCase("repo@sha256:FU", "not a digest")]
    [TestCase("repo@invaliddigest:F", "not a digest")]
    [TestCase("repo@md5:ffffffffffffffffffffffffffffffff", "not a digest")]
    [TestCase("repo@sha256:F@sha256:F", "not a digest")]
    [TestCase("repo@bad", "not a digest")]
    [TestCase("Uppercase:tag", "capital letters")]
    [TestCase("test:5000/Uppercase/lowercase:tag", "capital letters")]
    [TestCase("docker/Docker", "capital letters")]
    [TestCase("docker.io/docker/Docker", "capital letters")]
    [TestCase("Foo/FarB", "capital letters")]
    [TestCase("localhost:5000/App", "capital letters")]
    [TestCase("aa/asdf$$^/aa", "not a repository name")]
    [TestCase("[2001:db8::1]", "not a tag")]
    [TestCase("[2001:db8::1]:5000", "not a repository name")]
    [TestCase("[2001:db8::1]:tag", "not a repository name")]
    [TestCase("[fe80::1%eth0]:5000/repo", "not a host name")]
    [TestCase("[fe80::1%@invalidzone]:5000/repo", "not a digest")]
    [TestCase("[2001:db8:3:4::192.0.2.33]:5000/debian", "not a host name")]
    [TestCase("fc00::1:5000/debian", "not a host name")]
    [TestCase("[fd00:1:2::3]75050/x", "not a host name")]
    [TestCase("[fd00:1:2::3]::75050/x", "not a host name")]
    [TestCase("https://github.com/docker/docker", "not a host name")]
    [TestCase("localhost:http/name@sha256:F", "not a host name")]
    [TestCase("foo.com:http/bar", "not a host name")]
    [TestCase("foo_bar.com:8080/app", "not a host name")]
    [TestCase("bad_hostname.com:8080/myapp:tag", "not a host name")]
    [TestCase("do__cker:8080/docker", "not a host name")]
    [TestCase("-docker.io/docker/docker", "not a host name")]
    [TestCase("-ab.com/x", "not a host name")]
    [TestCase("ab-.com/x", "not a host name")]
    [TestCase("ab.-com/x", "not a host name")]
    [TestCase("ab.com-/x", "not a host name")]
    [TestCase("docker./docker", "not a host name")]
    [TestCase(".docker/docker", "not a host name")]
    [TestCase("do..cker/docker", "not a host name")]
    [TestCase("-docker", "not a repository name")]
    [TestCase("-docker/docker", "not a repository name")]
    [TestCase("docker-/docker", "not a repository name")]
    [TestCase("docker_/docker_", "not a repository name")]
    [TestCase("_docker/_docker", "not a repository name")]
    [TestCase("____/____", "not a repository name")]
    [TestCase("docker///docker", "not a repository name")]
    [TestCase("docker.io/docker///docker", "not a repository name")]
    [TestCase("docker/", "not a repository name")]
    [TestCase("/docker", "not a repository name")]
    [TestCase("foo.com/", "not a repository name")]
    [TestCase("foo.com/bar/", "not a repository name")]
    [TestCase("example.com/dock..er/docker", "not a repository name")]
    [TestCase("example.com/dock_.er/docker", "not a repository name")]
    [TestCase("example.com/dock-.er/docker", "not a repository name")]
    [TestCase("example.com/dock___er", "not a repository name")]
    [TestCase("example.com/__underscore/myimage", "not a repository name")]
    [TestCase("example.com/.dots/myimage", "not a repository name")]
    [TestCase("registry.com:8080/myapp:invalid~tag", "not a tag")]
    [TestCase("a:-x", "not a tag")]
    [TestCase("a:", "not a tag")]
    [TestCase("a:b:c", "not a repository name")]
    [TestCase("a b", "not a repository name")]
    [TestCase("alpine\n", "not a repository name")]
    [TestCase("alpine:3\n", "not a tag")]
    [TestCase("alpine@sha256:F\n", "not a digest")]
    [TestCase("1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", "64 hexadecimal digits")]
    // The grammar lets these through, and no address can be made of them.
    [TestCase("192.168.1.1:75050/x", "not a port")]
    [TestCase("[fd00:1:2::3]:750505/x", "not a port")]
    [TestCase("[fd00123123123]:443/x", "not an IPv6 address")]
    public void Says_what_is_wrong(string text, string why)
    {
        text = Full(text);
        Assert.That(ImageReference.TryParse(text, out _, out var said), Is.False);
        Assert.That(said, Does.Contain(why));
        Assert.That(Assert.Throws<UsageException>(() => ImageReference.Parse(text))!.Message, Does.Contain($"\"{text}\""));
    }

    [TestCase(255, "a", 0, true)]
    [TestCase(256, "a", 0, false)]
    [TestCase(255, "registry.of.a.rather.long.name.example:5000/", 0, true)]
    [TestCase(256, "registry.of.a.rather.long.name.example:5000/", 0, false)]
    [TestCase(247, "", 8, true)]
    [TestCase(248, "", 8, false)]
    public void Counts_the_name_without_its_host_and_with_what_Docker_Hub_puts_before_it(int length, string before, int library,
        bool isRight)
    {
        Assert.That(library, Is.EqualTo(before.Length == 0 ? "library/".Length : 0));
        // "a/…" is Docker Hub's: its first part counts.
        var text = before == "a" ? "a/" + new string('b', length - 2) : before + new string('b', length);
        Assert.That(ImageReference.TryParse(text + ":tag-puts-this-over-the-limit", out var reference, out var why),
            Is.EqualTo(isRight), why);
        if (isRight) Assert.That(reference!.Path, Has.Length.EqualTo(255));
        else Assert.That(why, Does.Contain("255"));
    }

    // F stands for as many digits as the algorithm has; FU for capital ones.
    private static string Full(string text)
    {
        foreach (var (algorithm, length) in new[] { ("sha256:", 64), ("sha384:", 96), ("sha512:", 128), ("invaliddigest:", 64) })
            text = text.Replace(algorithm + "FU", algorithm + new string('A', length), StringComparison.Ordinal)
                .Replace(algorithm + "F", algorithm + new string('f', length), StringComparison.Ordinal);
        return text;
    }

    [Test]
    public void Names_images_as_the_chain_does()
    {
        Assert.That(ImageName.Repository("localhost:5000/team", "ci", "app", isDefaultBranch: false).Repository,
            Is.EqualTo("localhost:5000/team/ci/app"));
        Assert.That(
            ImageName.Repository("localhost:5000/team", "ci", "app", isDefaultBranch: true).Repository,
            Is.EqualTo("localhost:5000/team/app"));
        Assert.That(ImageName.BuildTag(1, "42", "abcdef012345"), Is.EqualTo("1.42-abcdef012345"));
        Assert.That(ImageName.VersionTag(1, "0-dev.20260101"), Is.EqualTo("1.0-dev.20260101"));
        Assert.That(ImageName.BarredTag(Digest), Is.EqualTo("barred-" + new string('a', 32)));
        Assert.That(ImageName.ReferrersTag(Digest), Is.EqualTo("sha256-" + new string('a', 64)));
        Assert.That(ImageName.ReferrersTag("sha512:" + new string('b', 128)), Is.EqualTo("sha512-" + new string('b', 64)));
        Assert.Throws<UsageException>(() => ImageName.BuildTag(1, "4 2", "abc"));
        Assert.Throws<UsageException>(() => ImageName.Repository("localhost:5000", "ci", "App", isDefaultBranch: false));
    }
}
