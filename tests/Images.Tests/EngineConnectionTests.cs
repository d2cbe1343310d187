using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace CiSteps.Images.Tests;

/// <summary>What is said when an engine cannot be spoken to, and whose fault it is.</summary>
public sealed class EngineConnectionTests
{
    private const string Refuses = "container engine";
    private TestFolder folder = null!;
    private X509Certificate2 authority = null!;

    [SetUp]
    public void Open()
    {
        folder = new TestFolder();
        authority = TestCertificates.Authority("CN=authority of the test");
        folder.Write("ca.pem", "a comment before it\n" + authority.ExportCertificatePem() + "\n");
        using var client = TestCertificates.Sign(authority, "client");
        TestCertificates.WriteOwn(folder, "", client);
    }

    [TearDown]
    public void Close()
    {
        authority.Dispose();
        folder.Dispose();
    }

    [Test]
    public async Task Tls_with_the_certificates_that_dockers_own_client_uses()
    {
        await using var server = await StartAsync(Signed("localhost"), demandsCertificate: true);
        using var engine = await ContainerEngine.ConnectToAsync(Secure(server));
        Assert.That(await engine.InspectContainerAsync("none"), Is.Null);
        Assert.That(engine.Product, Is.EqualTo("docker 29.0.1"));
        File.Delete(folder.Of("key.pem"));
        Assert.That(await UsageAsync(Secure(server)), Does.Contain("DOCKER_CERT_PATH").And.Contain("key.pem"));
    }

    [Test]
    public async Task The_step_says_which_engine_and_why()
    {
        await using var server = await StartAsync(null);
        var address = $"tcp://localhost:{PortOf(server)}";
        WriteContext("remote", address);
        using var engine = await ContainerEngine.ConnectToAsync(new Dictionary<string,
            string>
        { ["DOCKER_CONFIG"] = folder.Path, ["DOCKER_CONTEXT"] = "remote" });
        Assert.That((engine.Product, engine.Location.ToString(), engine.IsLocal),
            Is.EqualTo(("docker 29.0.1", $"{address} (context \"remote\" of DOCKER_CONTEXT)", true)));
    }

    [Test]
    public async Task A_tls_port_that_is_spoken_to_without_tls()
    {
        await using var server = await StartAsync(Signed("localhost"));
        var plain = new Dictionary<string, string> { ["DOCKER_HOST"] = $"tcp://localhost:{PortOf(server)}" };
        Assert.That(await UsageAsync(plain),
            Does.Contain("speaks TLS").And.Contain("DOCKER_TLS_VERIFY=1").And.Contain("DOCKER_CERT_PATH"));
        await using var strict = await StartAsync(Signed("localhost"), demandsCertificate: true);
        plain["DOCKER_HOST"] = $"tcp://localhost:{PortOf(strict)}";
        Assert.That(await UsageAsync(plain), Does.Contain("speaks TLS"));
        WriteContext("remote", plain["DOCKER_HOST"]);
        Assert.That(await UsageAsync(new() { ["DOCKER_CONFIG"] = folder.Path, ["DOCKER_CONTEXT"] = "remote" }),
            Does.Contain("speaks TLS").And.Contain("docker context create"));
    }

    [Test]
    public async Task A_tls_port_that_answers_plain_http_with_a_400()
    {
        // As Go's servers do, the engine's too: the answer is plain text under the first bytes of TLS.
        await using var server = await StartAsync(Signed("localhost"));
        await using var front = new PlainRefuser(PortOf(server));
        Assert.That(await UsageAsync(new() { ["DOCKER_HOST"] = $"tcp://localhost:{front.Port}" }), Does.Contain("speaks TLS"));
    }

    [Test]
    public async Task A_plain_port_that_is_spoken_to_with_tls()
    {
        await using var server = await StartAsync(null);
        Assert.That(await UsageAsync(Secure(server)), Does.Contain("does not speak TLS").And.Contain("DOCKER_TLS_VERIFY"));
    }

    [Test]
    public async Task A_certificate_that_another_authority_signed()
    {
        await using var server = await StartAsync(Signed("localhost"));
        using var other = TestCertificates.Authority("CN=another one");
        folder.Write("ca.pem", other.ExportCertificatePem());
        Assert.That(await UsageAsync(Secure(server)),
            Does.Contain("certificate").And.Contain("CN=authority of the test").And.Contain("ca.pem").And.Not.Contain("start"));
    }

    [Test]
    public async Task A_certificate_that_has_ended()
    {
        await using var server = await StartAsync(TestCertificates.Sign(authority, "localhost", ended: true));
        Assert.That(await UsageAsync(Secure(server)), Does.Contain("valid from").And.Contain("renew"));
    }

    [Test]
    public async Task A_certificate_for_another_name()
    {
        await using var server = await StartAsync(Signed("somewhere.example"));
        Assert.That(await UsageAsync(Secure(server)), Does.Contain("is for \"somewhere.example\" and not for \"localhost\""));
    }

    [Test]
    public async Task An_engine_whose_certificate_is_not_asked_for()
    {
        await using var server = await StartAsync(Signed("somewhere.example"));
        var careless = Secure(server);
        careless.Remove("DOCKER_TLS_VERIFY");
        careless["DOCKER_TLS"] = "1";
        using var engine = await ContainerEngine.ConnectToAsync(careless);
        Assert.That(engine.Product, Is.EqualTo("docker 29.0.1"));
    }

    [TestCase("Libpod/4.3.1 (linux)", "podman 4.3.1")]
    [TestCase("Docker/20.10.24+dfsg1 (linux)", "docker 20.10.24+dfsg1")]
    [TestCase("", "container engine")]
    public async Task An_engine_is_called_by_the_name_that_it_gives_itself(string header, string product)
    {
        await using var server = await StartAsync(null, context =>
        {
            if (header.Length > 0) context.Response.Headers.Server = header;
            return ScriptedRegistry.AnswerAsync(context, 200, "OK");
        });
        using var engine = await ContainerEngine.ConnectToAsync(Plain(server));
        Assert.That(engine.Product, Is.EqualTo(product));
    }

    [Test]
    public async Task A_question_that_the_engine_answers_with_an_error_of_its_own_is_an_outage()
    {
        await using var server = await StartAsync(null, context =>
            context.Request.Path.Value!.EndsWith("/_ping", StringComparison.Ordinal)
            ? ScriptedRegistry.AnswerAsync(context, 200, "OK")
                : ScriptedRegistry.AnswerAsync(context, 500, "{\"message\":\"disk I/O error\"}"));
        using var engine = await ContainerEngine.ConnectToAsync(Plain(server));
        foreach (var question in new Func<Task>[]
        {
            () => engine.DescribeAsync(), () => engine.VersionAsync(), () =>
                engine.ListContainersAsync(new Dictionary<string, string?>()),
            () => engine.ListImagesAsync(new Dictionary<string, string?>()), () =>
                engine.ListNetworksAsync(new Dictionary<string, string?>()),
            () => engine.InspectContainerAsync("a"), () => engine.WaitContainerAsync("a"),
        })
            Assert.That((await Assert.ThrowsAsync<UnavailableException>(question))!.Message, Does.Contain("disk I/O error"));
    }

    [Test]
    public async Task A_context_without_a_certificate_to_show()
    {
        await using var server = await StartAsync(Signed("localhost"), demandsCertificate: true);
        WriteContext("remote", $"tcp://localhost:{PortOf(server)}");
        folder.Write($"contexts/tls/{IdOf("remote")}/docker/ca.pem", authority.ExportCertificatePem());
        var environment = new Dictionary<string, string> { ["DOCKER_CONFIG"] = folder.Path, ["DOCKER_CONTEXT"] = "remote" };
        var failure = await Assert.CatchAsync(() => ContainerEngine.ConnectToAsync(environment));
        Assert.That(failure, Is.InstanceOf<UsageException>().Or.InstanceOf<UnavailableException>());
        using (var client = TestCertificates.Sign(authority, "client")) TestCertificates.WriteOwn(folder,
            $"contexts/tls/{IdOf("remote")}/docker", client);
        using var engine = await ContainerEngine.ConnectToAsync(environment);
        Assert.That(engine.Product, Is.EqualTo("docker 29.0.1"));
    }

    [TestCase("error:0A000412:SSL routines::sslv3 alert bad certificate", true)]
    [TestCase("error:0A00045C:SSL routines::tlsv13 alert certificate required", true)]
    [TestCase("error:0A000418:SSL routines::tlsv1 alert unknown ca", true)]
    [TestCase("error:0A000415:SSL routines::sslv3 alert certificate expired", true)]
    [TestCase("error:0A000438:SSL routines::tlsv1 alert internal error", false)]
    [TestCase("Connection reset by peer", false)]
    public void A_certificate_of_ours_that_is_not_taken(string text, bool isOurs)
    {
        var location = EngineLocation.Find(new Dictionary<string,
            string>
        { ["DOCKER_HOST"] = "tcp://far:1", ["DOCKER_CERT_PATH"] = folder.Path });
        var failure = EngineSilence.Of(location,
            new HttpRequestException("sending", new IOException("reading", new InvalidOperationException(text))));
        if (isOurs) Assert.That(failure,
            Is.InstanceOf<UsageException>().With.Message.Contain($"does not take the certificate in \"{folder.Path}\""));
        else Assert.That(failure, Is.InstanceOf<UnavailableException>());
    }

    [Test]
    public async Task Somebody_who_is_not_an_engine()
    {
        await using var page = await StartAsync(null, context => context.Response.WriteAsync("<html>Welcome\nto nginx"));
        Assert.That(await UsageAsync(Plain(page)),
            Does.Contain("is not a container engine").And.Contain("HTTP 200 <html>Welcome to nginx").And.Contain("DOCKER_HOST"));
        await using var missing = await StartAsync(null, context =>
            ScriptedRegistry.AnswerAsync(context, 404, "404 page not found"));
        Assert.That(await UsageAsync(Plain(missing)), Does.Contain("is not a container engine").And.Contain("404"));
        await using var garbage = new PlainRefuser(0);
        Assert.That((await UnavailableAsync(new() { ["DOCKER_HOST"] = $"tcp://localhost:{garbage.Port}" })),
            Does.Contain("no container engine answers"));
    }

    [TestCase(400,
        "{\"message\":\"client version 1.24 is too old. Minimum supported API version is 1.44, please upgrade your client to a "
        + "newer version\"}", "Minimum supported API version is 1.44")]
    [TestCase(401, "{\"message\":\"authentication required\"}", "does not let this user in: authentication required")]
    [TestCase(403, "{\"message\":\"authorization denied by plugin\"}", "does not let this user in")]
    public async Task An_engine_that_does_not_take_this_client(int status, string body, string said)
    {
        await using var server = await StartAsync(null, context => ScriptedRegistry.AnswerAsync(context, status, body));
        Assert.That(await UsageAsync(Plain(server)), Does.Contain(said));
    }

    [Test]
    public async Task An_engine_that_is_too_old()
    {
        await using var server = await StartAsync(null, api: "1.24");
        Assert.That(await UsageAsync(Plain(server)), Does.Contain("too old").And.Contain("1.24"));
    }

    [TestCase(500, "{\"message\":\"database is locked\"}")]
    [TestCase(503, "upstream connect error")]
    public async Task An_engine_that_answers_with_an_error_is_an_outage(int status, string body)
    {
        await using var server = await StartAsync(null, context => ScriptedRegistry.AnswerAsync(context, status, body));
        Assert.That(await UnavailableAsync(Plain(server)),
            Does.Contain(status.ToString(CultureInfo.InvariantCulture)).And.Contain("see its own log"));
    }

    [Test]
    public async Task Nobody_is_there()
    {
        Assert.That(await UnavailableAsync(new() { ["DOCKER_HOST"] = "unix:///nowhere/docker.sock" }),
            Does.Contain("start it (systemctl start docker)").And.Contain("DOCKER_HOST"));
        Assert.That(await UnavailableAsync(new() { ["DOCKER_HOST"] = "unix:///nowhere/podman/podman.sock" }),
            Does.Contain("systemctl start podman.socket"));
        Assert.That(await UnavailableAsync(new() { ["DOCKER_HOST"] = "tcp://localhost:1" }),
            Does.Contain("start it (on its machine"));
        Assert.That(await UnavailableAsync(new() { ["DOCKER_HOST"] = "tcp://nowhere.invalid:1" }), Does.Contain("mend the name"));
        WriteContext("gone", "unix:///nowhere/docker.sock");
        Assert.That(await UnavailableAsync(new() { ["DOCKER_CONFIG"] = folder.Path, ["DOCKER_CONTEXT"] = "gone" }),
            Does.Contain("context \"gone\" of DOCKER_CONTEXT").And.Contain("docker context use"));
    }

    [TestCase("Host key verification failed.", "known_hosts", true)]
    [TestCase("ci@far: Permission denied (publickey,password).", "key", true)]
    [TestCase("bash: line 1: docker: command not found", "install docker's client", true)]
    [TestCase("sh: 1: docker: not found", "install docker's client", true)]
    [TestCase("docker: 'dial-stdio' is not a docker command.", "18.09", true)]
    [TestCase("permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", "group", true)]
    [TestCase("ssh: connect to host far port 22: Connection refused", "see whether", false)]
    [TestCase("ssh: Could not resolve hostname far: Name or service not known", "see whether", false)]
    [TestCase("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "see whether",
        false)]
    [TestCase("", "see whether", false)]
    public async Task What_ssh_says_is_told_with_what_to_do(string said, string todo, bool isUsage)
    {
        WriteSsh($"cat >&2 <<'TEXT'\n{said}\nTEXT\nexit 255");
        var environment = Ssh("ssh://ci@far");
        var message = isUsage ? await UsageAsync(environment) : await UnavailableAsync(environment);
        Assert.That(message, Does.Contain("ssh://ci@far").And.Contain("DOCKER_HOST").And.Contain(said).And.Contain(todo));
    }

    [Test]
    public async Task No_ssh_on_this_machine()
    {
        var environment = Ssh("ssh://ci@far");
        environment["PATH"] = folder.MakeFolder("empty");
        // A program of that name may be found where the system looks by itself; then it is ssh's own failure.
        var failure = await Assert.CatchAsync(() => ContainerEngine.ConnectToAsync(environment));
        Assert.That(failure, Is.InstanceOf<UsageException>().Or.InstanceOf<UnavailableException>());
        Assert.That(failure!.Message, Does.Contain("ssh://ci@far"));
    }

    [TestCase("x+y.sock")]
    [TestCase("a b%20ü.sock")]
    [TestCase("-.sock")]
    [TestCase("[::1]:80")]
    public async Task A_socket_may_have_any_name(string name)
    {
        var socket = folder.Of(name);
        await using var server = await StartAsync(null, socket: socket);
        using var engine = await ContainerEngine.ConnectToAsync(
            new Dictionary<string, string> { ["DOCKER_HOST"] = "unix://" + socket });
        Assert.That((engine.Product, engine.IsLocal), Is.EqualTo(("docker 29.0.1", true)));
        Assert.That(await engine.InspectContainerAsync("none"), Is.Null);
    }

    [Test]
    public async Task A_socket_whose_path_is_longer_than_the_system_takes()
    {
        var path = "/run/" + new string('x', 120);
        Assert.That(await UsageAsync(new() { ["DOCKER_HOST"] = "unix://" + path }),
            Does.Contain(path).And.Contain("too long").And.Contain("DOCKER_HOST"));
    }

    [Test]
    [Category("NeedsDocker")]
    public async Task The_real_engine_over_ssh_runs_commands_with_input_and_is_another_machine()
    {
        await using var local = await LocalEngine.OpenAsync();
        var image = await local.MakeBaseImageAsync();
        // ssh runs what it is given by a shell on the other machine; this one runs it here.
        WriteSsh("while [ \"$1\" != -- ]; do shift; done\nshift 2\nexec sh -c \"$*\"");
        var path = new Uri(local.Engine.Location.Address).LocalPath;
        var environment = Ssh("ssh://ci@far" + path);
        using (var engine = await ContainerEngine.ConnectToAsync(environment))
        {
            Assert.That(engine.IsLocal, Is.False);
            Assert.That(engine.Product, Is.EqualTo(local.Engine.Product));
            var id = await engine.CreateContainerAsync(new ContainerSpec(image.ToString())
            {
                Entrypoint = ["/bin/sh", "-c",
                "sleep 600"],
                Labels = local.Labels
            });
            await engine.StartContainerAsync(id);
            var (output, error) = (new MemoryStream(), new MemoryStream());
            var input = new MemoryStream(new byte[300_000]);
            // The command ends only when its input does: one direction is closed, the other goes on.
            var exit = await engine.ExecAsync(id, new ExecSpec(["sh", "-c", "wc -c; echo bad >&2; exit 7"]), input, output,
                error);
            Assert.That((exit, Text(output), Text(error)), Is.EqualTo((7, "300000\n", "bad\n")));
        }
        environment["DOCKER_HOST"] = "ssh://ci@far/nowhere.sock";
        Assert.That(await UnavailableAsync(environment), Does.Contain("nowhere.sock"));
    }

    [Test]
    [Category("NeedsDocker")]
    public async Task The_real_engine_behind_tcp_and_tls_runs_commands_with_input()
    {
        await using var local = await LocalEngine.OpenAsync();
        var image = await local.MakeBaseImageAsync();
        var id = await local.Engine.CreateContainerAsync(new ContainerSpec(image.ToString())
        {
            Entrypoint = ["/bin/sh", "-c",
            "sleep 600"],
            Labels = local.Labels
        });
        await local.Engine.StartContainerAsync(id);
        using var certificate = Signed("localhost");
        await using var relay = new EngineRelay(new Uri(local.Engine.Location.Address).LocalPath, certificate);
        foreach (var environment in new Dictionary<string, string>[]
        {
            new() { ["DOCKER_HOST"] = $"tcp://localhost:{relay.PlainPort}" },
            new() { ["DOCKER_HOST"] = $"tcp://localhost:{relay.TlsPort}", ["DOCKER_CERT_PATH"] = folder.Path,
                ["DOCKER_TLS_VERIFY"] = "1" },
        })
        {
            using var engine = await ContainerEngine.ConnectToAsync(environment);
            var output = new MemoryStream();
            var exit = await engine.ExecAsync(id, new ExecSpec(["sh", "-c", "wc -c; exit 7"]),
                new MemoryStream(new byte[300_000]), output, Stream.Null);
            Assert.That((exit, Text(output)), Is.EqualTo((7, "300000\n")));
        }
    }

    private static string Text(MemoryStream stream) => Encoding.UTF8.GetString(stream.ToArray());

    private static async Task<string> UsageAsync(Dictionary<string, string> environment)
    {
        var message = (await Assert.ThrowsAsync<UsageException>(() => ContainerEngine.ConnectToAsync(environment)))!.Message;
        Assert.That(message, Does.Contain(Refuses));
        return message;
    }

    private static async Task<string> UnavailableAsync(Dictionary<string, string> environment)
    {
        var failure = (await Assert.ThrowsAsync<UnavailableException>(() => ContainerEngine.ConnectToAsync(environment)))!;
        Assert.That(failure.Reason, Is.EqualTo("engine"));
        return failure.Message;
    }

    private X509Certificate2 Signed(string name) => TestCertificates.Sign(authority, name);

    private Dictionary<string, string> Secure(WebApplication server) => new()
    {
        ["DOCKER_HOST"] = $"tcp://localhost:{PortOf(server)}",
        ["DOCKER_CERT_PATH"] = folder.Path,
        ["DOCKER_TLS_VERIFY"] = "1",
    };

    private static Dictionary<string, string> Plain(WebApplication server) =>
        new() { ["DOCKER_HOST"] = $"tcp://localhost:{PortOf(server)}" };

    private Dictionary<string, string> Ssh(string address) => new(StepHost.ProcessEnvironment())
    {
        ["DOCKER_HOST"] = address,
        ["PATH"] = folder.Of("bin") + Path.PathSeparator + Environment.GetEnvironmentVariable("PATH"),
    };

    private void WriteSsh(string script)
    {
        var program = folder.Write("bin/ssh", "#!/bin/sh\n" + script + "\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program,
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private void WriteContext(string name, string host) => folder.Write(
        $"contexts/meta/{IdOf(name)}/meta.json",
        $"{{\"Name\":\"{name}\",\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\"}}}}}}");

    private static string IdOf(string name) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)));

    private static int PortOf(WebApplication server) => new Uri(server.Urls.First()).Port;

    private static async Task<WebApplication> StartAsync(X509Certificate2? certificate, RequestDelegate? answer = null,
        bool demandsCertificate = false, string api = "1.52", string? socket = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            if (socket is not null)
            {
                kestrel.ListenUnixSocket(socket);
                return;
            }
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                if (certificate is null) return;
                listen.UseHttps(https =>
                {
                    https.ServerCertificate = certificate;
                    https.ClientCertificateMode = demandsCertificate ? ClientCertificateMode.RequireCertificate
                        : ClientCertificateMode.NoCertificate;
                    https.ClientCertificateValidation = (presented, _, _) => presented.Subject == "CN=client";
                });
            });
        });
        var application = builder.Build();
        application.Run(answer ?? (context =>
        {
            context.Response.Headers.Server = "Docker/29.0.1 (linux)";
            context.Response.Headers["Api-Version"] = api;
            return context.Request.Path.Value!.EndsWith("/_ping", StringComparison.Ordinal)
                ? ScriptedRegistry.AnswerAsync(context, 200, "OK")
                : ScriptedRegistry.AnswerAsync(context, 404, "{\"message\":\"none\"}");
        }));
        await application.StartAsync();
        return application;
    }
}
