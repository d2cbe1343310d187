using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

/// <summary>From the name that steps push to the name that nodes pull.</summary>
public sealed class RegistryPairTests
{
    private static readonly string Digest = "sha256:" + new string('a', 64);

    [TestCase("index.docker.io/acme", "docker.io", "acme")]
    [TestCase("docker.io/acme", "docker.io", "acme")]
    [TestCase("docker.io", "docker.io", "")]
    [TestCase("index.docker.io", "docker.io", "")]
    [TestCase("localhost", "localhost", "")]
    [TestCase("localhost:5000", "localhost:5000", "")]
    [TestCase("registry.example", "registry.example", "")]
    [TestCase("registry.example:5000/team/sub", "registry.example:5000", "team/sub")]
    [TestCase("MyRegistry:5000/team", "MyRegistry:5000", "team")]
    [TestCase("MyRegistry", "MyRegistry", "")]
    [TestCase("[::1]:5000/team", "[::1]:5000", "team")]
    [TestCase("10.0.0.1/a__b/c-d.e", "10.0.0.1", "a__b/c-d.e")]
    public void Reads_where_repositories_begin(string text, string host, string path)
    {
        var prefix = RegistryPrefix.Parse(text);
        Assert.That((prefix.Host, prefix.Path), Is.EqualTo((host, path)));
        Assert.That(RegistryPrefix.Parse(prefix.ToString()), Is.EqualTo(prefix));
    }

    [TestCase("", "empty")]
    [TestCase("https://registry.example", "scheme")]
    [TestCase("acme", "docker.io/acme")]
    [TestCase("acme/team", "docker.io/acme/team")]
    [TestCase("registry.example/", "ends with a slash")]
    [TestCase("registry.example/Team", "capital letters")]
    [TestCase("registry.example/team:1", "has a tag")]
    [TestCase("registry.example:99999", "not from 1 to 65535")]
    [TestCase("registry.example:port", "not a host name")]
    [TestCase("registry_1.example", "not a host name")]
    [TestCase("registry.example\n", "not a host name")]
    public void Says_what_is_wrong(string text, string why) =>
        Assert.That(Assert.Throws<UsageException>(() => RegistryPrefix.Parse(text))!.Message,
            Does.Contain(why).And.Contain($"\"{text}\""));

    [TestCase("index.docker.io/acme", "mirror.example/hub", "index.docker.io/acme/ci/app", "mirror.example/hub/ci/app")]
    [TestCase("index.docker.io/acme", "mirror.example/hub", "docker.io/acme/app", "mirror.example/hub/app")]
    [TestCase("docker.io/acme", "mirror.example", "acme/app", "mirror.example/app")]
    [TestCase("docker.io/acme", "index.docker.io/acme", "acme/app", "docker.io/acme/app")]
    [TestCase("docker.io", "mirror.example", "app", "mirror.example/library/app")]
    [TestCase("index.docker.io", "mirror.example:5000/hub", "docker.io/acme/app", "mirror.example:5000/hub/acme/app")]
    [TestCase("localhost:5000", "docker.io", "localhost:5000/app", "docker.io/library/app")]
    [TestCase("localhost:5000", "registry.internal:5000", "localhost:5000/ci/app", "registry.internal:5000/ci/app")]
    [TestCase("push.example/team", "pull.example:5000/mirror/team", "push.example/team/app", "pull.example:5000/mirror/team/app")]
    [TestCase("push.example/team", "pull.example", "push.example/teams/app", "push.example/teams/app")]
    [TestCase("push.example/team", "pull.example", "push.example/team", "push.example/team")]
    [TestCase("push.example", "pull.example", "push.example.org/app", "push.example.org/app")]
    [TestCase("push.example", "pull.example", "push.example:5000/app", "push.example:5000/app")]
    [TestCase("push.example", "pull.example", "other.example/app", "other.example/app")]
    [TestCase("push.example", "pull.example", "app", "docker.io/library/app")]
    [TestCase("MyRegistry:5000", "pull.example", "myregistry:5000/app", "pull.example/app")]
    [TestCase("[fd00::1]:5000/team", "[fd00::2]:5000", "[fd00::1]:5000/team/app", "[fd00::2]:5000/app")]
    [TestCase("registry.example", "registry.example", "registry.example/app", "registry.example/app")]
    [TestCase("registry.example", "", "registry.example/app", "registry.example/app")]
    [TestCase(
        "registry.example/team", "registry.example/team/proxy", "registry.example/team/app", "registry.example/team/proxy/app")]
    [TestCase(
        "registry.example/team",
        "registry.example/team/proxy",
        "registry.example/team/proxy/app",
        "registry.example/team/proxy/app")]
    [TestCase("registry.example/team", "registry.example", "registry.example/team/app", "registry.example/app")]
    [TestCase("", "", "registry.example/app", "registry.example/app")]
    [TestCase("", "pull.example", "registry.example/app", "registry.example/app")]
    public void Names_images_as_nodes_reach_them(string push, string pull, string image, string expected)
    {
        var pair = RegistryPair.Parse(push, pull);
        foreach (var ending in new[] { "", ":1.2-x", $"@{Digest}", $":1.2-x@{Digest}" })
            Assert.That(pair.ToPull(ImageReference.Parse(image + ending)).ToString(), Is.EqualTo(expected + ending));
    }

    [TestCase("acme/db:1", "mirror.example/db:1")]
    [TestCase("index.docker.io/acme/db", "mirror.example/db")]
    [TestCase("postgres:16", "postgres:16")]
    [TestCase("${IMAGE}", "${IMAGE}")]
    [TestCase("Not an image", "Not an image")]
    [TestCase("", "")]
    public void Leaves_what_a_manifest_writes_as_it_is_unless_it_was_pushed(string written, string expected) =>
        Assert.That(RegistryPair.Parse("index.docker.io/acme", "mirror.example").ToPull(written), Is.EqualTo(expected));

    [TestCase("host:5000/acme/", "ends with a slash")]
    [TestCase("host:5000/Acme", "capital letters")]
    [TestCase("host:5000/acme:1", "has a tag")]
    [TestCase("host:5000/acme@sha256:00", "has a digest")]
    [TestCase("me:geheim@host:5000/acme", "credentials")]
    [TestCase("https://me:geheim@host:5000/acme", "scheme")]
    [TestCase("my_host:5000/acme", "underscore")]
    [TestCase("host:0/acme", "port 0")]
    [TestCase("host:65536/acme", "port 65536")]
    public void Says_which_mistake_is_in_a_registry_and_no_password(string text, string said)
    {
        var refusal = Assert.Throws<Hosting.UsageException>(() => RegistryPrefix.Parse(text))!;
        Assert.That(refusal.Message, Does.Contain(said).And.Not.Contain("geheim"));
    }

    [Test]
    public void Names_repositories_as_the_chain_does_wherever_the_registry_is()
    {
        Assert.That(ImageName.Repository("index.docker.io/acme", "ci", "app", isDefaultBranch: false).Repository,
            Is.EqualTo("docker.io/acme/ci/app"));
        Assert.That(ImageName.Repository("docker.io", "ci", "app", isDefaultBranch: true).Repository,
            Is.EqualTo("docker.io/library/app"));
        Assert.That(Assert.Throws<UsageException>(() =>
            ImageName.Repository("acme", "ci", "app", isDefaultBranch: true))!.Message, Does.Contain("docker.io/acme"));
        Assert.That(Assert.Throws<UsageException>(() =>
            ImageName.Repository("localhost:5000", "ci", "app:1", isDefaultBranch: true))!.Message, Does.Contain("tag"));
    }

    [Test]
    public async Task The_environments_credentials_go_to_the_registry_however_it_is_written()
    {
        var context = new Dictionary<string, string>();
        var credentials = new RegistryCredentials(new RegistryCredential("ci", "secret"),
            RegistryCredentials.HostsOf(["index.docker.io/acme", ""]), context);
        Assert.That(await credentials.FindAsync(ImageReference.Parse("acme/app").Host),
            Is.EqualTo(new RegistryCredential("ci", "secret")));
    }
}
