using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CiSteps.Cli.Doctoring;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Cli.Tests;

/// <summary>ci-steps doctor as a person runs it, on real parts: registry, git server, sandbox cluster, engine.</summary>
[Category("NeedsDocker")]
public sealed class The_doctor
{
    private GitRepositories repositories = null!;
    private GitClone clone = null!;

    [SetUp]
    public void Clone()
    {
        repositories = new GitRepositories();
        clone = repositories.Clone();
        Pipeline(null);
        clone.Git("add", "-A");
        clone.Git("commit", "-qm", "one");
        clone.Git("push", "-q", "origin", "HEAD:main");
    }

    [TearDown]
    public void Remove() => repositories.Dispose();

    [Test]
    public async Task Finds_a_machine_ready_and_leaves_nothing_anywhere()
    {
        await using var registry = await LocalRegistry.StartAsync(RegistryAccess.Token);
        Pipeline(registry.Host);
        await using var server = await GitHttpServer.StartAsync(repositories.Folder, "x-access-token:right");
        clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        await using var cluster = await SandboxFixture.StartAsync();
        var found = await RunAsync(LogIn(
            LocalRegistry.Password, ("CISTEPS_GIT_TOKEN", "right"), ("CISTEPS_KUBECONFIG", cluster.KubeconfigPath)));
        Assert.That(found.Exit, Is.Zero, found.Output);
        foreach (var subject in (string[])["git", "git origin", "git history", "git, pushing", "engine", "disk of the work tree",
            "pipeline file", "registry, pulling", "registry, pushing", "registry, tagging", "clock", "testbed"])
            Assert.That(found[subject].Verdict, Is.EqualTo("ok"), found.Output);
        Assert.That(found.Output, Does.Not.Contain(LocalRegistry.Password));
        using var client = registry.Connect();
        Assert.That(await client.ListTagsAsync(registry.Reference("ci/web")), Is.Empty);
        Assert.That(repositories.Git("branch", "--list"), Does.Not.Contain("doctor"));
        Assert.That(clone.Git("status", "--porcelain"), Does.Not.Contain(".ci-steps"));
    }

    [Test]
    public async Task Finds_a_wrong_password()
    {
        await using var registry = await LocalRegistry.StartAsync(RegistryAccess.Basic);
        Pipeline(registry.Host);
        var found = await RunAsync(LogIn("another password"));
        Assert.That(found.Exit, Is.EqualTo(ExitCode.Refused));
        Assert.That(
            found["registry"].Text, Does.Contain("refuses pull").And.Contain("\"tester\" (credentials from the environment)"));
        Assert.That(found["registry"].Text, Does.Contain("give that user the right, or other credentials"));
        Assert.That(found["registry"].Advice, Is.Empty, "it is said once");
        Assert.That(found.Output, Does.Not.Contain("another password"));
    }

    [Test]
    public async Task Finds_a_registry_that_takes_no_pushes()
    {
        await using var registry = await LocalRegistry.StartAsync(RegistryAccess.Basic, readOnly: true);
        Pipeline(registry.Host);
        var found = await RunAsync(LogIn(LocalRegistry.Password));
        Assert.That(found.Exit, Is.EqualTo(ExitCode.Refused));
        Assert.That(found["registry, pulling"].Verdict, Is.EqualTo("ok"));
        Assert.That(
            (found["registry, pushing"].Verdict, found["registry, tagging"].Verdict), Is.EqualTo(("not", "-")), found.Output);
        Assert.That(found["registry, pushing"].Advice, Does.Contain($"{registry.Host}/ci/web"));
    }

    [Test]
    public async Task Finds_that_no_registry_and_no_engine_answers()
    {
        Pipeline("localhost:1");
        var found = await RunAsync([("DOCKER_HOST", $"unix://{repositories.Folder}/no.sock")]);
        Assert.That(found.Exit, Is.EqualTo(ExitCode.Refused));
        Assert.That(found["engine"].Text, Does.Contain("or set DOCKER_HOST to where one listens"));
        Assert.That((found["engine"].Verdict, found["registry"].Verdict), Is.EqualTo(("not", "not")), found.Output);
        Assert.That(found["registry"].Text, Does.Contain("see whether it is up and reachable from here"));
        Assert.That(found["engine"].Advice + found["registry"].Advice, Is.Empty, "it is said once");
    }

    [TestCase("#!/bin/sh\necho \"github.com/docker/buildx v0.29.1 $DOCKER_HOST\"", "ok", "buildx v0.29.1 unix://")]
    [TestCase(
        "#!/bin/sh\necho \"docker: 'buildx' is not a docker command.\" >&2; exit 1", "-", "'buildx' is not a docker command")]
    public async Task Says_which_engine_it_is_and_whether_docker_buildx_is_there_for_it(
        string docker, string verdict, string said)
    {
        var folder = Directory.CreateDirectory(Path.Combine(repositories.Folder, "bin")).FullName;
        var program = Path.Combine(folder, "docker");
        File.WriteAllText(program, docker + "\n");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var address = LocalEngine.Variables["DOCKER_HOST"];
        var found = await RunAsync([
            ("DOCKER_HOST", address),
            ("PATH", folder + Path.PathSeparator + Environment.GetEnvironmentVariable("PATH"))
        ]);
        Assert.That(found["engine"].Text, Does.Contain($" at {address} (DOCKER_HOST), linux/"));
        Assert.That(found["docker buildx"].Verdict, Is.EqualTo(verdict), found.Output);
        Assert.That(found["docker buildx"].Text, Does.Contain(said));
        Assert.That(found["docker buildx"].Advice, verdict == "ok" ? Is.Empty : Does.Contain("install docker's client"));
    }

    [Test]
    public async Task Finds_a_context_that_does_not_exist()
    {
        var found = await RunAsync([("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "nowhere"), ("DOCKER_CONFIG", repositories.Folder)]);
        Assert.That(found["engine"].Verdict, Is.EqualTo("not"));
        Assert.That(found["engine"].Text, Does.Contain("context \"nowhere\" of DOCKER_CONTEXT does not exist"));
    }

    // git has a helper for some of them; the steps refuse them all.
    [TestCase("set-url", "codecommit::us-east-1://repo", "codecommit::us-east-1://repo")]
    [TestCase("set-url", "ftp://ci:secret@host/repo", "ftp://host/repo")]
    [TestCase("set-url --push", "s3://bucket/repo", "s3://bucket/repo")]
    public async Task Finds_an_origin_with_an_address_that_the_steps_refuse(string how, string url, string shown)
    {
        clone.Git(["remote", .. how.Split(' '), "origin", url]);
        var found = await RunAsync([]);
        Assert.That(found["git origin"].Verdict, Is.EqualTo("not"), found.Output);
        Assert.That(found["git origin"].Text, Is.EqualTo($"has the address \"{shown}\", whose scheme is not supported"));
        Assert.That(found["git origin"].Advice, Does.Contain("git remote set-url origin URL"));
    }

    [TestCase("right", "ok", "ok")]
    [TestCase("wrong", "not", null)]
    public async Task Asks_the_origin_with_the_token_that_merge_has(string token, string reading, string? pushing)
    {
        await using var server = await GitHttpServer.StartAsync(repositories.Folder, "x-access-token:right");
        clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        var found = await RunAsync([("CISTEPS_GIT_TOKEN", token)]);
        Assert.That(
            (found["git origin"].Verdict, found.Find("git, pushing")?.Verdict), Is.EqualTo((reading, pushing)), found.Output);
        Assert.That(
            found.Output,
            Does.Not.Contain(Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes("x-access-token:" + token))));
    }

    [Test]
    public async Task Finds_a_checkout_that_cannot_know_its_target()
    {
        await using var server = await GitHttpServer.StartAsync(repositories.Folder, "x-access-token:right");
        clone.Git("push", "-q", "origin", "HEAD:main");
        clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        Assert.That((await RunAsync([]))["git origin"].Verdict, Is.EqualTo("-"), "a laptop goes on without");
        var found = await RunAsync([("TEAMCITY_VERSION", "2025.11")]);
        Assert.That(found["git origin"].Verdict, Is.EqualTo("not"), found.Output);
        Assert.That(found["git origin"].Advice, Does.Contain("CISTEPS_GIT_TOKEN").And.Contain("teamcity.git.fetchAllHeads=true"));

        File.WriteAllText(Path.Combine(clone.Folder, ".git", "shallow"), clone.Head + "\n");
        found = await RunAsync([("CISTEPS_GIT_TOKEN", "right")]);
        Assert.That((found["git history"].Verdict, found["git history"].Advice.Contains("deepen")), Is.EqualTo(("-", true)),
            found.Output);
        found = await RunAsync([("CISTEPS_GIT_TOKEN", "wrong")]);
        Assert.That(found["git history"].Verdict, Is.EqualTo("not"), found.Output);
    }

    [TestCase("token-as-user")]
    [TestCase("token-as-user:x-oauth-basic")]
    [TestCase("somebody:pass%21word")]
    public async Task Prints_no_credentials_that_stand_in_the_origins_address(string credentials)
    {
        await using var server = await GitHttpServer.StartAsync(repositories.Folder, null);
        foreach (var path in (string[])["origin.git", "missing.git"])
        {
            clone.Git(
                "remote",
                "set-url",
                "origin",
                server.Url.Replace("://", $"://{credentials}@", StringComparison.Ordinal) + path);
            var found = await RunAsync([]);
            Assert.That(found["git origin"].Text, Does.StartWith(server.Url + path));
            foreach (var part in credentials.Split(':').SelectMany(part => new[] { part, Uri.UnescapeDataString(part) }))
                Assert.That(found.Output + found.Summary, Does.Not.Contain(part));
        }
    }

    [TestCase(null, "-", Description = "only merge pushes: without a token of its own this is not a finding")]
    [TestCase("any", "not")]
    public async Task Finds_an_origin_that_may_only_be_read(string? token, string verdict)
    {
        await using var server = await GitHttpServer.StartAsync(repositories.Folder, null);
        clone.Git("remote", "set-url", "origin", server.Url + "origin.git");
        var found = await RunAsync(token is null ? [] : [("CISTEPS_GIT_TOKEN", token)]);
        Assert.That((found["git origin"].Verdict, found["git, pushing"].Verdict), Is.EqualTo(("ok", verdict)), found.Output);
        Assert.That(found["git, pushing"].Advice, Does.Contain("CISTEPS_GIT_TOKEN"));
    }

    [Test]
    public async Task Finds_an_account_with_too_few_rights_in_the_cluster()
    {
        await using var cluster = await SandboxFixture.StartAsync();
        var poor = Path.Combine(repositories.Folder, "poor.kubeconfig");
        File.WriteAllText(poor, await AccountAsync(cluster, "default"));
        var found = await RunAsync([("CISTEPS_POOL_KUBECONFIG", poor), ("CISTEPS_PRODUCTION_KUBECONFIG", poor)]);
        Assert.That(found["testbed pool"].Verdict, Is.EqualTo("not"), found.Output);
        Assert.That(
            found["testbed pool"].Text,
            Does.Contain("may not create testbedclaims, delete testbedclaims").And.Contain("in namespace cisteps-testbeds"));
        Assert.That(found["testbed pool"].Advice, Does.Contain("testbed-claimant"));
        Assert.That(found["production \"shop\""].Text, Does.Contain("may not patch deployments"));
        found = await RunAsync([("CISTEPS_PRODUCTION_KUBECONFIG", ""), ("CISTEPS_PRODUCTION_KUBECONFIG_FILE", poor)]);
        Assert.That(found["production \"shop\""].Text, Does.Contain("may not patch deployments"));
    }

    [Test]
    public async Task Finds_a_kubeconfig_that_leads_nowhere()
    {
        var found = await RunAsync([("CISTEPS_KUBECONFIG", Path.Combine(repositories.Folder, "missing"))]);
        Assert.That(found["testbed"].Verdict, Is.EqualTo("not"));
        Assert.That(found["testbed"].Advice, Does.Contain("check the kubeconfig"));
    }

    [Test]
    public async Task Finds_that_room_is_short()
    {
        var found = await RunAsync([("CISTEPS_LEAST_DISK", "9000000")]);
        Assert.That(found["disk of the work tree"].Verdict, Is.EqualTo("not"));
        Assert.That(found["disk of the work tree"].Advice, Does.Contain("prune"));
    }

    [Test]
    public async Task Finds_that_the_folder_for_temporary_files_is_missing()
    {
        var missing = Path.Combine(repositories.Folder, "missing");
        var found = await RunAsync([("TMPDIR", missing)]);
        Assert.That(found["disk for temporary files"].Verdict, Is.EqualTo("not"), found.Output);
        Assert.That(found["disk for temporary files"].Advice, Does.Contain(missing).And.Contain("TMPDIR"));
        Assert.That(found["disk of the work tree"].Verdict, Is.EqualTo("ok"), found.Output);
    }

    [Test]
    public async Task Finds_a_clock_that_is_wrong()
    {
        await using var registry = await LocalRegistry.StartAsync();
        Pipeline(registry.Host);
        var summary = Path.Combine(repositories.Folder, "summary.json");
        await StepHost.RunAsync(
            DoctorCommand.Create(),
            ["--work-tree", clone.Folder, "--summary", summary],
            new StringWriter(),
            new StringWriter(),
            new Dictionary<string, string>(),
            new LateClock());
        Assert.That(
            Findings.Read(1, "", summary)["clock"],
            Is.EqualTo(
                ("not", "300 s from the registry's", "leases and certificates need a right clock: set up time synchronisation"))
                .Or.EqualTo(
                    ("not", "299 s from the registry's",
                        "leases and certificates need a right clock: set up time synchronisation"))
                .Or.EqualTo(
                    ("not", "301 s from the registry's",
                        "leases and certificates need a right clock: set up time synchronisation")));
    }

    [TestCase("ci/x", "false", "not")]
    [TestCase("main", "true", null)]
    public async Task Finds_release_secrets_where_a_private_branch_is_built(string branch, string isDefault, string? verdict)
    {
        var properties = Path.Combine(repositories.Folder, "build.properties");
        File.WriteAllText(properties,
            $"teamcity.build.branch={branch}\nteamcity.build.branch.is_default={isDefault}\n" +
            $"build.vcs.number=1\nbuild.number=7\nteamcity.build.checkoutDir={clone.Folder}\n");
        var found = await RunAsync([
            ("TEAMCITY_VERSION", "2025.3"),
            ("TEAMCITY_BUILD_PROPERTIES_FILE", properties),
            ("CISTEPS_SIGNING_KEY", "a key")
        ]);
        Assert.That(found["build parameters"].Verdict, Is.EqualTo("ok"), found.Output);
        Assert.That(found.Find("trust")?.Verdict, Is.EqualTo(verdict));
    }

    [Test]
    public async Task Finds_that_a_build_has_no_VCS_root()
    {
        var properties = Path.Combine(repositories.Folder, "build.properties");
        File.WriteAllText(properties, "build.number=7\n");
        var found = await RunAsync([("TEAMCITY_VERSION", "2025.3"), ("TEAMCITY_BUILD_PROPERTIES_FILE", properties)]);
        Assert.That(found["build parameters"].Text, Does.Contain("teamcity.build.branch, build.vcs.number"));
        Assert.That(found["build parameters"].Advice, Does.Contain("attach the VCS root"));
    }

    private static (string, string)[] LogIn(string password, params (string, string)[] more) =>
        [("CISTEPS_REGISTRY_USER", LocalRegistry.User), ("CISTEPS_REGISTRY_PASSWORD", password), .. more];

    // Without a registry nothing is built: one that does not answer is waited for, and only the tests of that need to see it.
    private void Pipeline(string? registry) => File.WriteAllText(Path.Combine(clone.Folder, "ci-steps.yaml"), $$"""
        registry: { push: {{registry ?? "registry.example"}} }
        components:
          - { name: web, paths: ["**"], owners: [team], major: 1{{(registry is null ? "" : Built)}} }
        production: { waves: [{ name: all,
          targets: [{ name: shop, kubeconfig: CISTEPS_PRODUCTION_KUBECONFIG, namespace: shop }] }] }
        notifications: { owners: { team: { webhook: "env:HOOK" } } }
        """);

    private const string Built =
        ", image: { dockerfile: Dockerfile, context: . }, workload: { manifests: [k8s], kind: Deployment, name: web, " +
        "container: web }";

    // A service account that nobody has given a right.
    private static async Task<string> AccountAsync(SandboxFixture cluster, string ns)
    {
        using var admin = await Cluster.ConnectAsync(cluster.KubeconfigPath, BuildLog.Silent, TimeProvider.System, default);
        await admin.CreateAsync(
            $"/api/v1/namespaces/{ns}/serviceaccounts",
            new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ServiceAccount",
                ["metadata"] = new JsonObject { ["name"] = "poor", ["namespace"] = ns }
            },
            default);
        var token = await admin.CreateAsync(
            $"/api/v1/namespaces/{ns}/serviceaccounts/poor/token",
            new JsonObject
            {
                ["apiVersion"] = "authentication.k8s.io/v1",
                ["kind"] = "TokenRequest",
                ["spec"] = new JsonObject()
            },
            default);
        var authority = Regex.Match(cluster.Kubeconfig, "certificate-authority-data: *\"?([A-Za-z0-9+/=]+)").Groups[1].Value;
        return $$"""
            apiVersion: v1
            kind: Config
            clusters: [{ name: test, cluster: { server: "{{cluster.Url}}", certificate-authority-data: "{{authority}}" } }]
            users: [{ name: poor, user: { token: "{{token["status"]!["token"]}}" } }]
            contexts: [{ name: poor, context: { cluster: test, user: poor } }]
            current-context: poor
            """;
    }

    private async Task<Findings> RunAsync((string Name, string Value)[] given)
    {
        var summary = Path.Combine(repositories.Folder, "summary.json");
        var environment = given.ToDictionary(pair => pair.Name, pair => (string?)pair.Value);
        foreach (var name in (string[])["TEAMCITY_VERSION", "DOCKER_CONFIG", "KUBECONFIG"]) environment.TryAdd(name, null);
        var (exit, output, error) = await ChildProcess.CaptureAsync(new(
            Path.Combine(AppContext.BaseDirectory, "ci-steps"),
            ["doctor", "--summary", summary],
            clone.Folder)
        { Environment = environment });
        return Findings.Read(exit, output + error, summary);
    }

    private sealed record Findings(
        int Exit, string Output, string Summary, IReadOnlyDictionary<string, (string Verdict, string Text, string Advice)> Looks)
    {
        public (string Verdict, string Text, string Advice) this[string subject] =>
            Looks.TryGetValue(subject, out var look) ? look : throw new AssertionException($"no look at {subject}:\n{Output}");

        public static Findings Read(int exit, string output, string summary)
        {
            Assert.That(summary, Does.Exist, output);
            var written = File.ReadAllText(summary);
            var json = JsonNode.Parse(written)!;
            var looks = json["looks"]!
                .AsArray()
                .ToDictionary(
                    look => (string)look!["subject"]!,
                    look => ((string)look!["verdict"]!, (string)look["text"]!, (string)look["advice"]!));
            Assert.That((bool)json["ready"]!, Is.EqualTo(looks.Values.All(look => look.Item1 != "not")));
            return new Findings(exit, output, written, looks);
        }

        public (string Verdict, string Text, string Advice)? Find(string subject) =>
            Looks.TryGetValue(subject, out var look) ? look : null;
    }

    /// <summary>A clock that is five minutes late.</summary>
    private sealed class LateClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddMinutes(-5);
    }
}
