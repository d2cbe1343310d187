using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class RegistryCredentialsTests
{
    private TestFolder folder = null!;
    private Dictionary<string, string> environment = null!;
    private StringWriter said = null!;
    private BuildLog log = null!;

    private SecretMask mask => log.Mask;

    [SetUp]
    public void Open()
    {
        said = new StringWriter();
        log = new BuildLog(said, forServer: false);
        folder = new TestFolder();
        environment = new()
        {
            ["DOCKER_CONFIG"] = folder.Path,
            ["PATH"] = folder.Path + ":" + Environment.GetEnvironmentVariable("PATH"),
            ["ANSWER"] = folder.Path
        };
    }

    [TearDown]
    public void Close()
    {
        folder.Dispose();
        said.Dispose();
    }

    [TestCase("registry.example")]
    [TestCase("https://registry.example")]
    [TestCase("https://registry.example/v2/")]
    public async Task Reads_what_docker_login_wrote(string key)
    {
        folder.Write(
            "config.json",
            $$"""{"auths":{"{{key}}":{"auth":"{{Base64("user:pass:word")}}"},"other.example":{"auth":"{{Base64("a:b")}}"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "pass:word")));
        Assert.That(await FindAsync("registry.example:5000"), Is.Null);
        Assert.That(mask.Apply("it is pass:word"), Is.EqualTo("it is ***"));
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void A_configuration_that_is_a_named_pipe_is_refused_at_once()
    {
        using var home = new TestFolder();
        using var made = System.Diagnostics.Process.Start("mkfifo", [home.Of("config.json")]);
        made.WaitForExit();
        var refusal = Assert.Throws<UsageException>(() =>
            DockerConfiguration.Read(new Dictionary<string, string> { ["DOCKER_CONFIG"] = home.Path }))!;
        Assert.That(refusal.Message, Does.Contain("named pipe").And.Contain(home.Of("config.json")));
    }

    [Test]
    public void A_byte_order_mark_is_passed_over_and_broken_JSON_says_what_to_do()
    {
        var source = ConfigurationSource.Parse("x", [0xEF, 0xBB, 0xBF, .. "{\"credsStore\":\"y\"}"u8]);
        Assert.That(source.Store, Is.EqualTo("y"));
        Assert.That(Assert.Throws<UsageException>(() => ConfigurationSource.Parse("x", "{"u8.ToArray()))!.Message,
            Does.Contain("docker login"));
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
        folder.Write(
            "config.json",
            $$"""{"auths":{"registry.example":{"auth":"{{Base64("user:")}}","identitytoken":"refresh-me"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "", "refresh-me")));
    }

    [Test]
    public async Task Asks_the_helper_of_a_host_before_the_store_and_the_store_before_the_file()
    {
        Helper("one", """{"ServerURL":"x","Username":"from-one","Secret":"secret-one"}""");
        Helper("two", """{"ServerURL":"x","Username":"<token>","Secret":"secret-two"}""");
        folder.Write(
            "config.json",
            $$"""
            {"credHelpers":{"one.example":"one"},"credsStore":"two","auths":{"one.example":{"auth":"{{Base64("file:file")}}"} } }
            """);
        Assert.That(await FindAsync("one.example"), Is.EqualTo(new RegistryCredential("from-one", "secret-one")));
        Assert.That(File.ReadAllText(folder.Of("asked-one")), Is.EqualTo("one.example"));
        Assert.That(await FindAsync("two.example"), Is.EqualTo(new RegistryCredential("", "", "secret-two")));
        Assert.That(mask.Apply("secret-one secret-two"), Is.EqualTo("*** ***"));
    }

    [Test]
    public async Task A_store_that_knows_nothing_leaves_it_to_the_file()
    {
        Helper("none", "credentials not found in native keychain", exit: 1);
        folder.Write(
            "config.json",
            $$"""{"credsStore":"none","auths":{"registry.example":{"auth":"{{Base64("user:password")}}"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "password")));
    }

    [Test]
    public async Task Warns_once_of_a_helper_that_cannot_be_asked_and_goes_on_without_it()
    {
        const string Headless =
            "error getting credentials - err: exit status 1, out: `Cannot autolaunch D-Bus without X11 $DISPLAY`";
        Helper("secretservice", Headless, exit: 1);
        folder.Write("config.json", """{"credsStore":"secretservice","auths":{"registry.example":{}}}""");
        var credentials = new RegistryCredentials(null, [], environment, log);
        Assert.That(await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => credentials.FindAsync("registry.example"))),
            Is.All.Null);
        Assert.That(said.ToString().Split("warning: "), Has.Length.EqualTo(2));
        Assert.That(said.ToString(),
            Does.Contain("\"registry.example\"").And.Contain("docker-credential-secretservice").And.Contain("credsStore")
            .And.Contain(folder.Of("config.json")).And.Contain("Cannot autolaunch D-Bus").And.Contain("going on without any"));
    }

    [Test]
    public async Task Says_which_helper_is_missing_who_names_it_and_what_to_do()
    {
        folder.Write("config.json", """{"credHelpers":{"registry.example":"absent"}}""");
        Assert.That(await FindAsync("registry.example"), Is.Null);
        Assert.That(said.ToString(),
            Does.Contain("\"docker-credential-absent\"").And
                .Contain(folder.Of("config.json")).And
                .Contain("credHelpers").And
                .Contain("is not installed")
            .And.Contain("install it, or take it out"));
    }

    [TestCase("hunter2")]
    [TestCase("{\"Username\":5,\"Secret\":\"hunter2\"}")]
    [TestCase("[\"hunter2\"]")]
    [TestCase("{\"Username\":\"a\",\"Username\":\"b\",\"Secret\":\"hunter2\"}")]
    public async Task Does_not_quote_what_is_not_the_protocol(string answer)
    {
        Helper("chatty", answer);
        folder.Write("config.json", """{"credHelpers":{"registry.example":"chatty"}}""");
        Assert.That(await FindAsync("registry.example"), Is.Null);
        Assert.That(said.ToString(), Does.Contain("docker-credential-chatty").And.Contain("protocol").And.Not.Contain("hunter2"));
    }

    [Test]
    public async Task Takes_what_stands_beside_a_helper_that_fails()
    {
        Helper("broken", "the keychain is locked", exit: 2);
        folder.Write(
            "config.json",
            $$"""{"credsStore":"broken","auths":{"registry.example":{"auth":"{{Base64("user:password")}}"} } }""");
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("user", "password")));
        Assert.That(said.ToString(), Does.Contain("locked").And.Contain("with those in"));
    }

    // What docker's own helpers say, and keychains through others.
    [TestCase("credentials not found in native keychain")]
    [TestCase("Error: The specified item could not be found in the keychain.")]
    [TestCase("Element not found.")]
    public async Task A_helper_that_has_nothing_is_not_a_helper_that_fails(string words)
    {
        Helper("empty", words, exit: 1);
        folder.Write("config.json", """{"credsStore":"empty"}""");
        Assert.That(await FindAsync("registry.example"), Is.Null);
        Assert.That(said.ToString(), Is.Empty);
    }

    [TestCase("""{"ServerURL":"x","Username":"","Secret":""}""", null)]
    [TestCase("""{"ServerURL":"x","Username":"user","Secret":""}""", null)]
    [TestCase("""{"ServerURL":"x","Username":"","Secret":"secret"}""", "")]
    public async Task A_secret_that_is_empty_is_none(string answer, string? user)
    {
        Helper("half", answer);
        folder.Write("config.json", """{"credsStore":"half"}""");
        Assert.That((await FindAsync("registry.example"))?.User, Is.EqualTo(user));
        Assert.That(said.ToString(), Is.Empty);
    }

    [TestCase("""{"auths":{"registry.example":{}}}""")]
    [TestCase("""{"auths":{"registry.example":{"auth":""}}}""")]
    [TestCase("""{"auths":{"registry.example":{"auth":null}}}""")]
    [TestCase("""{"auths":{"registry.example":null}}""")]
    [TestCase("""{"auths":null,"credsStore":null,"credHelpers":null,"proxies":null}""")]
    [TestCase("""{"auths":{"registry.example":{"email":5}},"psFormat":5}""")]
    [TestCase("")]
    [TestCase(" \n")]
    public async Task Placeholders_are_no_credentials(string text)
    {
        folder.Write("config.json", text);
        Assert.That(await FindAsync("registry.example"), Is.Null);
        Assert.That(said.ToString(), Is.Empty);
    }

    [Test]
    public async Task Reads_names_in_any_case_and_takes_the_last_of_two_as_docker_does()
    {
        folder.Write(
            "config.json",
            $$"""
            {"AUTHS":{"registry.example":{"Auth":"{{Base64("a:b")}}"} },
             "auths":{"registry.example":{"auth":"{{Base64("c:d")}}"} } }
            """);
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("c", "d")));
    }

    [Test]
    public async Task A_variable_counts_before_the_file()
    {
        folder.Write(
            "config.json",
            $$"""
            {"auths":{"registry.example":{"auth":"{{Base64("file:file")}}"},"other.example":{"auth":"{{Base64("file:file")}}"} } }
            """);
        environment["DOCKER_AUTH_CONFIG"] = $$"""{"auths":{"registry.example":{"auth":"{{Base64("variable:secret")}}"} } }""";
        Assert.That(await FindAsync("registry.example"), Is.EqualTo(new RegistryCredential("variable", "secret")));
        Assert.That((await FindAsync("other.example"))!.User, Is.EqualTo("file"));
        environment["DOCKER_AUTH_CONFIG"] = "{";
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message,
            Does.Contain("DOCKER_AUTH_CONFIG"));
    }

    [TestCase("[]", "the top", "a list")]
    [TestCase("5", "the top", "a number")]
    [TestCase("""{"auths":[]}""", "\"auths\"", "a list")]
    [TestCase("""{"auths":{"registry.example":"x"}}""", "\"auths.registry.example\"", "a text")]
    [TestCase("""{"auths":{"registry.example":{"auth":5}}}""", "\"auths.registry.example.auth\"", "a number")]
    [TestCase("""{"auths":{"other.example":{"password":{}}}}""", "\"auths.other.example.password\"", "an object")]
    [TestCase("""{"credsStore":5}""", "\"credsStore\"", "a number")]
    [TestCase("""{"credsStore":true}""", "\"credsStore\"", "\"true\"")]
    [TestCase("""{"credHelpers":"pass"}""", "\"credHelpers\"", "a text")]
    [TestCase("""{"credHelpers":{"registry.example":["pass"]}}""", "\"credHelpers.registry.example\"", "a list")]
    [TestCase("""{"proxies":{"default":{"httpProxy":1}}}""", "\"proxies.default.httpProxy\"", "a number")]
    public async Task Says_which_part_has_another_type(string text, string part, string found)
    {
        folder.Write("config.json", text);
        var message = (await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message;
        Assert.That(message,
            Does.Contain(part).And.Contain($"is {found};").And.Contain(folder.Of("config.json")).And.Not.Contain("\n"));
    }

    [TestCase("{\"auths\":{\"registry.example\":{\"auth\":\"\\ud800\"}}}")]
    [TestCase("{\"auths\":{},}")]
    public async Task Says_that_it_is_not_JSON(string text)
    {
        folder.Write("config.json", text);
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message,
            Does.Contain("is not JSON").And.Contain(folder.Of("config.json")));
    }

    [Test]
    public async Task Says_that_the_file_is_a_folder()
    {
        Directory.CreateDirectory(folder.Of("config.json"));
        Assert.That((await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message,
            Does.Contain("config.json").And.Contain("it is a folder"));
    }

    [Test]
    public void Hides_a_proxys_password()
    {
        folder.Write("config.json", """{"proxies":{"default":{"httpProxy":"http://user:pass%2Fword@proxy:1"}}}""");
        var log = new BuildLog(TextWriter.Null, forServer: false);
        ProxyArguments.For(environment, "unix:///var/run/docker.sock", log);
        Assert.That(log.Mask.Apply("a pass%2Fword and a pass/word"), Is.EqualTo("a *** and a ***"));
    }

    [Test]
    public void Gives_builds_the_proxies_of_their_engine()
    {
        folder.Write("config.json", """
            {"proxies":{"default":{"httpProxy":"http://proxy:1","httpsProxy":"http://proxy:2","noProxy":"near","ftpProxy":"",
             "allProxy":"socks5://proxy:3"},
            "tcp://engine:2375":{"httpProxy":"http://other:1"}}}
            """);
        Assert.That(
            ProxyArguments.For(environment, "unix:///var/run/docker.sock", BuildLog.Silent),
            Is.EquivalentTo(new Dictionary<string, string>
            {
                ["HTTP_PROXY"] = "http://proxy:1",
                ["http_proxy"] = "http://proxy:1",
                ["HTTPS_PROXY"] = "http://proxy:2",
                ["https_proxy"] = "http://proxy:2",
                ["NO_PROXY"] = "near",
                ["no_proxy"] = "near",
                ["ALL_PROXY"] = "socks5://proxy:3",
                ["all_proxy"] = "socks5://proxy:3",
            }));
        // An engine's own entry stands instead of the default one, not beside it.
        Assert.That(
            ProxyArguments.For(environment, "tcp://engine:2375", BuildLog.Silent),
            Is.EquivalentTo(new Dictionary<string, string>
            {
                ["HTTP_PROXY"] = "http://other:1",
                ["http_proxy"] = "http://other:1",
            }));
        folder.Write("config.json", "{}");
        Assert.That(ProxyArguments.For(environment, "unix:///var/run/docker.sock", BuildLog.Silent), Is.Empty);
    }

    [Test]
    public async Task Gives_the_environments_credentials_to_the_pipelines_own_registry_only()
    {
        var credentials = new RegistryCredentials(new RegistryCredential("ci", "own password"), ["own.example:5000"], environment,
            log);
        Assert.That(await credentials.FindAsync("own.example:5000"), Is.EqualTo(new RegistryCredential("ci", "own password")));
        Assert.That(await credentials.FindAsync("other.example"), Is.Null);
        Assert.That(new RegistryCredential("ci", "own password").ToString(), Does.Not.Contain("own password"));
    }

    [TestCase("{")]
    [TestCase("{\"auths\":{\"registry.example\":{\"auth\":\"%%%\"}}}")]
    public async Task Says_which_file_cannot_be_read(string text)
    {
        folder.Write("config.json", text);
        Assert.That(
            (await Assert.ThrowsAsync<UsageException>(() => FindAsync("registry.example")))!.Message,
            Does.Contain("config.json"));
    }

    [Test]
    public async Task Does_without_a_configuration() => Assert.That(await FindAsync("registry.example"), Is.Null);

    private Task<RegistryCredential?> FindAsync(string host) =>
        new RegistryCredentials(null, [], environment, log).FindAsync(host);

    private void Helper(string name, string answer, int exit = 0)
    {
        var path = folder.Write("docker-credential-" + name,
            $"#!/bin/sh\ntest \"$1\" = get || exit 9\ncat > \"$ANSWER/asked-{name}\"\ncat <<'END'\n{answer}\nEND\nexit {exit}\n");
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
}
