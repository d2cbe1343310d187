using System.Security.Cryptography;
using System.Text;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

/// <summary>Which engine an environment means: docker's own order.</summary>
public sealed class EngineLocationTests
{
    private const string Usual = "/var/run/docker.sock";
    private TestFolder home = null!;

    [SetUp]
    public void Open() => home = new TestFolder();

    [TearDown]
    public void Close() => home.Dispose();

    [TestCase("unix:///run/x.sock", "unix:///run/x.sock", true)]
    [TestCase("unix:///run/a b/Ü%20.sock", "unix:///run/a b/Ü%20.sock", true)]
    [TestCase("unix://", "unix:///var/run/docker.sock", true)]
    [TestCase("tcp://10.0.0.7:2377", "tcp://10.0.0.7:2377", false)]
    [TestCase("tcp://build.example", "tcp://build.example:2375", false)]
    [TestCase("tcp://", "tcp://localhost:2375", true)]
    [TestCase("build.example:4243", "tcp://build.example:4243", false)]
    [TestCase("tcp://[::1]:2375", "tcp://[::1]:2375", true)]
    [TestCase("tcp://[fd00::1]", "tcp://[fd00::1]:2375", false)]
    [TestCase("tcp://127.0.0.1:1/prefix/", "tcp://127.0.0.1:1/prefix", true)]
    [TestCase("http://build.example:80", "http://build.example:80", false)]
    [TestCase("https://build.example", "https://build.example:443", false)]
    [TestCase("ssh://build.example", "ssh://build.example", false)]
    [TestCase("ssh://ci@localhost:2222/run/podman/podman.sock", "ssh://ci@localhost:2222/run/podman/podman.sock", false)]
    [TestCase("ssh://ci@[fd00::1]:22/", "ssh://ci@[fd00::1]:22", false)]
    public void An_address_is_read_as_dockers_client_reads_it(string text, string address, bool isLocal)
    {
        var found = Find([("DOCKER_HOST", text)]);
        Assert.That((found.Address, found.Reason, found.IsLocal), Is.EqualTo((address, "DOCKER_HOST", isLocal)));
        Assert.That(EngineLocation.At(found.Address, new Dictionary<string, string>()).Address, Is.EqualTo(address));
    }

    [TestCase("the engine over there")]
    [TestCase("unix://run/x.sock", "absolute")]
    [TestCase("fd://", "fd://")]
    [TestCase("ftp://x", "ftp://")]
    [TestCase("tcp://a b")]
    [TestCase("tcp://user@host:1")]
    [TestCase("npipe://x")]
    [TestCase("npipe:////./pipe/docker_engine", "Windows only", ExcludePlatform = "Win")]
    [TestCase("/run/x.sock", "write unix:///run/x.sock")]
    [TestCase("ssh://")]
    [TestCase("ssh://-oProxyCommand=evil/")]
    [TestCase("ssh://-l@host")]
    [TestCase("ssh://host?x=1")]
    public void What_is_not_an_address_is_refused(string text, string why = "")
    {
        var refusal = Assert.Throws<UsageException>(() => Find([("DOCKER_HOST", text)]))!;
        Assert.That(refusal.Message, Does.Contain($"\"{text}\"").And.Contain("DOCKER_HOST").And.Contain(why));
    }

    [Test]
    public void A_password_in_an_ssh_address_is_refused_and_not_repeated() =>
        Assert.That(Assert.Throws<UsageException>(() => Find([("DOCKER_HOST", "ssh://ci:geheim@host")]))!.Message,
            Does.Contain("password").And.Not.Contain("geheim"));

    [Test]
    public void The_order_is_host_then_context_then_current_context_then_socket()
    {
        WriteContext("chosen", "tcp://chosen:1");
        WriteContext("current", "ssh://ci@current");
        home.Write(".docker/config.json", "{\"currentContext\":\"current\"}");
        var host = Find([("DOCKER_HOST", "tcp://host:1"), ("DOCKER_CONTEXT", "chosen")]);
        Assert.That((host.ToString(), host.Context),
            Is.EqualTo(("tcp://host:1 (DOCKER_HOST, which goes before DOCKER_CONTEXT \"chosen\")", (string?)null)));
        var chosen = Find([("DOCKER_CONTEXT", "chosen")]);
        Assert.That((chosen.ToString(), chosen.Context, chosen.IsLocal),
            Is.EqualTo(("tcp://chosen:1 (context \"chosen\" of DOCKER_CONTEXT)", "chosen", false)));
        var current = Find([]);
        Assert.That((current.ToString(), current.Context, current.IsLocal),
            Is.EqualTo(($"ssh://ci@current (context \"current\", the current one in {home.Of(".docker/config.json")})", "current",
                false)));
        var usual = Find([("DOCKER_CONTEXT", "default")], Usual);
        Assert.That((usual.ToString(), usual.Context, usual.IsLocal),
            Is.EqualTo(($"unix://{Usual} (docker's default)", (string?)null, true)));
        home.Write(".docker/config.json", "{\"currentContext\":\"default\",\"auths\":{}}");
        Assert.That(Find([], Usual).Reason, Is.EqualTo("docker's default"));
        Assert.That(Find([("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "")], Usual).Reason, Is.EqualTo("docker's default"));
    }

    [Test]
    public void The_folder_of_the_contexts_is_dockers_own()
    {
        WriteContext("there", "unix:///run/there.sock", "else");
        var found = Find([("DOCKER_CONFIG", home.Of("else")), ("DOCKER_CONTEXT", "there")]);
        Assert.That((found.Address, found.ConfigurationFolder, found.IsLocal),
            Is.EqualTo(("unix:///run/there.sock", home.Of("else"), true)));
        Assert.Throws<UsageException>(() => Find([("DOCKER_CONTEXT", "there")]));
    }

    [Test]
    public void A_context_that_is_not_there_or_cannot_be_read_is_refused_with_where_and_what_to_do()
    {
        Refused("nowhere", "\"nowhere\"", "DOCKER_CONTEXT", "docker context ls", "meta.json");
        WriteContext("empty", "");
        Refused("empty", "\"empty\"", "docker context create");
        home.Write($".docker/contexts/meta/{IdOf("broken")}/meta.json", "{\"Name\":");
        Refused("broken", "\"broken\"", "meta.json");
        home.Write($".docker/contexts/meta/{IdOf("kubernetes")}/meta.json",
            "{\"Name\":\"kubernetes\",\"Endpoints\":{\"kubernetes\":{}}}");
        Refused("kubernetes", "address");
        home.Write($".docker/contexts/meta/{IdOf("odd")}/meta.json", "{\"Endpoints\":{\"docker\":{\"Host\":7}}}");
        Refused("odd", "meta.json");
        WriteContext("ftp", "ftp://x");
        Refused("ftp", "ftp://x", "context \"ftp\"");
        // A name cannot lead out of the store: it is hashed.
        Refused("../../escape", "../../escape");
        home.Write(".docker/config.json", "{");
        Assert.That(Assert.Throws<UsageException>(() => Find([]))!.Message,
            Does.Contain("config.json").And.Contain("currentContext"));
        Assert.That(Find([("DOCKER_HOST", "tcp://host:1")]).Address, Is.EqualTo("tcp://host:1"));

        void Refused(string name, params string[] words)
        {
            var message = Assert.Throws<UsageException>(() => Find([("DOCKER_CONTEXT", name)]))!.Message;
            foreach (var word in words) Assert.That(message, Does.Contain(word));
        }
    }

    [TestCase(new[] { Usual, "RUN/docker.sock" }, "unix:///var/run/docker.sock", "docker's default")]
    [TestCase(new[] { "RUN/docker.sock", "RUN/podman/podman.sock" }, "unix://RUN/docker.sock",
        "a rootless engine's socket, as there is not a /var/run/docker.sock")]
    [TestCase(new[] { "HOME/.docker/run/docker.sock", "/run/podman/podman.sock" }, "unix://HOME/.docker/run/docker.sock",
        "the socket in docker's own folder, as there is not a /var/run/docker.sock")]
    [TestCase(new[] { "RUN/podman/podman.sock", "/run/podman/podman.sock" }, "unix://RUN/podman/podman.sock",
        "podman's socket of this user, as there is not a /var/run/docker.sock")]
    [TestCase(new[] { "/run/podman/podman.sock" }, "unix:///run/podman/podman.sock",
        "podman's socket, as there is not a /var/run/docker.sock")]
    [TestCase(new string[0], "unix:///var/run/docker.sock", "docker's default")]
    public void Other_sockets_count_only_where_the_usual_one_is_not_there(string[] there, string address, string reason)
    {
        string Real(string path) =>
            path.Replace("RUN", home.Of("run"), StringComparison.Ordinal).Replace("HOME", home.Path, StringComparison.Ordinal);
        var found = Find([("XDG_RUNTIME_DIR", home.Of("run"))], [.. there.Select(Real)]);
        Assert.That((found.Address, found.Reason, found.IsLocal), Is.EqualTo((Real(address), reason, true)));
    }

    [Test]
    public void Tls_is_what_the_variables_or_the_context_say()
    {
        Assert.That(Find([("DOCKER_HOST", "tcp://far"), ("DOCKER_TLS_VERIFY", "1")]).Address, Is.EqualTo("tcp://far:2376"));
        Assert.That(Find([("DOCKER_TLS_VERIFY", "1")], Usual).Address, Is.EqualTo("tcp://localhost:2376"));
        Assert.That(Find([("DOCKER_CERT_PATH", "/certs")], Usual).Address, Is.EqualTo("unix://" + Usual));
        Assert.That(Find([("DOCKER_HOST", "unix:///x"), ("DOCKER_TLS_VERIFY", "1")]).Tls, Is.Null);
        Assert.That(Find([("DOCKER_HOST", "ssh://x"), ("DOCKER_TLS_VERIFY", "1")]).Tls, Is.Null);
        var verified = Find([("DOCKER_HOST", "tcp://far:1"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")]).Tls!;
        Assert.That((verified.Folder, verified.Verify), Is.EqualTo(("/certs", true)));
        var folderOnly = Find([("DOCKER_HOST", "tcp://far:1"), ("DOCKER_CERT_PATH", "/certs")]).Tls!;
        Assert.That(folderOnly.Verify);
        var unverified = Find([("DOCKER_HOST", "tcp://far:1"), ("DOCKER_TLS", "1")]).Tls!;
        Assert.That((unverified.Folder, unverified.Verify), Is.EqualTo((home.Of(".docker"), false)));
        WriteContext("plain", "tcp://plain:1");
        Assert.That(Find([("DOCKER_CONTEXT", "plain"), ("DOCKER_TLS_VERIFY", "1")]).Tls, Is.Null,
            "a context has TLS of its own, or none");
        WriteContext("secure", "tcp://secure");
        home.Write($".docker/contexts/tls/{IdOf("secure")}/docker/ca.pem", "x");
        var secure = Find([("DOCKER_CONTEXT", "secure")]);
        Assert.That((secure.Address, secure.Tls!.Folder, secure.Tls.Verify),
            Is.EqualTo(("tcp://secure:2376", home.Of($".docker/contexts/tls/{IdOf("secure")}/docker"), true)));
        WriteContext("careless", "tcp://careless:1", verify: false);
        Assert.That(Find([("DOCKER_CONTEXT", "careless")]).Tls!.Verify, Is.False);
    }

    [Test]
    public void Dockers_own_client_is_sent_to_the_same_engine()
    {
        Same([("DOCKER_HOST", "unix:///run/x.sock"), ("DOCKER_CONTEXT", "a")], "default", ("DOCKER_HOST", "unix:///run/x.sock"));
        Same([("DOCKER_HOST", "http://far:80")], "default", ("DOCKER_HOST", "tcp://far:80"));
        Same([("DOCKER_HOST", "tcp://far:1"), ("DOCKER_CERT_PATH", "/certs")], "default",
            ("DOCKER_HOST", "tcp://far:1"), ("DOCKER_CERT_PATH", "/certs"), ("DOCKER_TLS_VERIFY", "1"));
        Same([("DOCKER_HOST", "tcp://far:1"), ("DOCKER_CERT_PATH", "/certs"), ("DOCKER_TLS", "1")], "default",
            ("DOCKER_HOST", "tcp://far:1"), ("DOCKER_CERT_PATH", "/certs"), ("DOCKER_TLS", "1"));
        WriteContext("remote", "ssh://ci@far");
        Same([("DOCKER_CONTEXT", "remote")], "default", ("DOCKER_HOST", "ssh://ci@far"));
        WriteContext("secure", "tcp://secure:1");
        var folder = $".docker/contexts/tls/{IdOf("secure")}/docker";
        home.Write(folder + "/ca.pem", "x");
        // Two of its three files are missing, which only the context itself may do.
        Same([("DOCKER_CONTEXT", "secure")], "secure", ("DOCKER_CONTEXT", "secure"));
        home.Write(folder + "/cert.pem", "x");
        home.Write(folder + "/key.pem", "x");
        Same([("DOCKER_CONTEXT", "secure")], "default", ("DOCKER_HOST", "tcp://secure:1"), ("DOCKER_CERT_PATH", home.Of(folder)),
            ("DOCKER_TLS_VERIFY", "1"));

        void Same((string, string)[] environment, string builder, params (string Name, string? Value)[] set)
        {
            var found = Find(environment);
            var wanted = new Dictionary<string, string?>
            {
                ["DOCKER_HOST"] = null,
                ["DOCKER_CONTEXT"] = null,
                ["DOCKER_CERT_PATH"] = null,
                ["DOCKER_TLS_VERIFY"] = null,
                ["DOCKER_TLS"] = null,
            };
            foreach (var (name, value) in set) wanted[name] = value;
            Assert.That(found.ClientEnvironment, Is.EquivalentTo(wanted));
            Assert.That(found.Builder, Is.EqualTo(builder));
        }
    }

    [Test]
    public void Ssh_is_asked_as_dockers_client_asks_it()
    {
        Assert.That(SshConnections.Arguments(EngineAddress.Parse("ssh://ci@far:2222", "", false)), Is.EqualTo(new[]
        {
            "-l", "ci", "-p", "2222", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T", "--", "far", "docker", "system",
                "dial-stdio",
        }));
        Assert.That(SshConnections.Arguments(EngineAddress.Parse("ssh://far/run/it's.sock", "", false)).Skip(5), Is.EqualTo(new[]
        {
            "--", "far", "docker", "--host='unix:///run/it'\\''s.sock'", "system", "dial-stdio",
        }));
    }

    private EngineLocation Find((string Name, string Value)[] variables, params string[] there)
    {
        var environment = new Dictionary<string, string> { ["HOME"] = home.Path };
        foreach (var (name, value) in variables) environment[name] = value;
        return EngineLocation.Find(environment, there.Contains);
    }

    private void WriteContext(string name, string host, string folder = ".docker", bool verify = true) =>
        home.Write($"{folder}/contexts/meta/{IdOf(name)}/meta.json",
        $"{{\"Name\":\"{name}\",\"Metadata\":{{}},\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\",\"SkipTLSVerify\":{(verify
            ? "false"
            : "true")}}}}}}}");

    private static string IdOf(string name) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)));
}
