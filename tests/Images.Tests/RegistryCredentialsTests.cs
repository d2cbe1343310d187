using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class RegistryCredentialsTests
{
    private TestFolder folder = null!;
    private Dictionary<string, string> environment = null!;
    private readonly SecretMask mask = new();

    [SetUp]
    public void Open()
    {
        folder = new TestFolder();
        environment = new() { ["DOCKER_CONFIG"] = folder.Path, ["PATH"] = folder.Path + ":" + Environment.GetEnvironmentVariable("PATH"), ["ANSWER"] = folder.Path };
    }

    [TearDown]
    public void Close() => folder.Dispose();

    [TestCase("registry.example")]
    [TestCase("https://registry.example")]
    [TestCase("https://registry.example/v2/")]
    public async Task Reads_what_docker_login_wrote(string key)
    {
        folder.Write("config.json", $$"""{"auths":{"{{key}}":{"auth":"{{Base64("user:pass:word")}}"},"other.example":{"auth":"{{Base64("a:b")}}"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "pass:word")));
        Assert.That(await FindAsync("registry.example:5000"), Is.Null);
        Assert.That(mask.Apply("it is pass:word"), Is.EqualTo("it is ***"));
    }

    [Test]
    public async Task Knows_the_names_of_docker_hub()
    {
        folder.Write("config.json", $$"""{"auths":{"https://index.docker.io/v1/":{"auth":"{{Base64("user:password")}}"} } }""");
        Assert.That(await FindAsync(ImageReference.DockerHub), Is.EqualTo(new RegistryCredential("user", "password")));
    }

    [Test]
    public async Task Reads_identity_tokens()
    {
        folder.Write("config.json", $$"""{"auths":{"registry.example":{"auth":"{{Base64("user:")}}","identitytoken":"refresh-me"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "", "refresh-me")));
    }

    [Test]
    public async Task Asks_the_helper_of_a_host_before_the_store_and_the_store_before_the_file()
    {
        Helper("one", """{"ServerURL":"x","Username":"from-one","Secret":"secret-one"}""");
        Helper("two", """{"ServerURL":"x","Username":"<token>","Secret":"secret-two"}""");
        folder.Write("config.json", $$"""{"credHelpers":{"one.example":"one"},"credsStore":"two","auths":{"one.example":{"auth":"{{Base64("file:file")}}"} } }""");
        Assert.That(await FindAsync("one.example"), Is.EqualTo(new RegistryCredential("from-one", "secret-one")));
        Assert.That(File.ReadAllText(folder.Of("asked-one")), Is.EqualTo("one.example"));
        Assert.That(await FindAsync("two.example"), Is.EqualTo(new RegistryCredential("", "", "secret-two")));
        Assert.That(mask.Apply("secret-one secret-two"), Is.EqualTo("*** ***"));
    }

    [Test]
    public async Task A_store_that_knows_nothing_leaves_it_to_the_file()
    {
        Helper("none", "credentials not found in native keychain", exit: 1);
        folder.Write("config.json", $$"""{"credsStore":"none","auths":{"registry.example":{"auth":"{{Base64("user:password")}}"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "password")));
    }

    [Test]
    public async Task Says_which_helper_is_missing_or_fails()
    {
        folder.Write("config.json", """{"credHelpers":{"registry.example":"absent"}}""");
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message, Does.Contain("docker-credential-absent"));
        Helper("broken", "the keychain is locked", exit: 2);
        folder.Write("config.json", """{"credHelpers":{"registry.example":"broken"}}""");
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message, Does.Contain("docker-credential-broken").And.Contain("locked"));
        Helper("chatty", "hunter2");
        folder.Write("config.json", """{"credHelpers":{"registry.example":"chatty"}}""");
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message, Does.Contain("docker-credential-chatty").And.Not.Contain("hunter2"));
    }

    [Test]
    public async Task Gives_the_environments_credentials_to_the_pipelines_own_registry_only()
    {
        var credentials = new RegistryCredentials(new RegistryCredential("ci", "own password"), ["own.example:5000"], environment, mask);
        Assert.That(await credentials.FindAsync("own.example:5000"), Is.EqualTo(new RegistryCredential("ci", "own password")));
        Assert.That(await credentials.FindAsync("other.example"), Is.Null);
        Assert.That(new RegistryCredential("ci", "own password").ToString(), Does.Not.Contain("own password"));
    }

    [TestCase("{")]
    [TestCase("{\"auths\":{\"registry.example\":{\"auth\":\"%%%\"}}}")]
    public async Task Says_which_file_cannot_be_read(string text)
    {
        folder.Write("config.json", text);
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message, Does.Contain("config.json"));
    }

    [Test]
    public async Task Does_without_a_configuration() => Assert.That(await FindAsync("registry.example"), Is.Null);

    private Task<RegistryCredential?> FindAsync(string host) => new RegistryCredentials(null, [], environment, mask).FindAsync(host);

    private void Helper(string name, string answer, int exit = 0)
    {
        var path = folder.Write("docker-credential-" + name, $"#!/bin/sh\ntest \"$1\" = get || exit 9\ncat > \"$ANSWER/asked-{name}\"\ncat <<'END'\n{answer}\nEND\nexit {exit}\n");
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
}
