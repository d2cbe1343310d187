using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.ImageBuild.Tests;

/// <summary>
/// The whole step with each kind of engine that people have, on a real registry: what an engine says, and what it leaves out.
/// </summary>
[TestFixtureSource(typeof(EngineStyle), nameof(EngineStyle.All))]
public sealed class OnEveryEngine(EngineStyle style)
{
    private LocalRegistry registry = null!;
    private RegistryClient client = null!;
    private StandInEngine engine = null!;
    private ServiceRepository? opened;
    private ImageReference name = null!;
    private string baseDigest = "";

    [SetUp]
    public async Task OpenAsync()
    {
        registry = await LocalRegistry.StartAsync();
        client = registry.Connect();
        engine = await StandInEngine.StartAsync(style, registry);
        baseDigest = await LocalRegistry.PutImageAsync(client, registry.Reference("base/tools"), null);
        Use("FROM {base}\nCOPY file /file\n");
    }

    [TearDown]
    public async Task CloseAsync()
    {
        opened?.Dispose();
        opened = null;
        await engine.DisposeAsync();
        client.Dispose();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task A_first_build_ends_green_with_its_provenance_and_a_second_one_does_nothing()
    {
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        var digest = Repository.Images().Single().Digest;
        Assert.That(await client.FindDigestAsync(name), Is.EqualTo(digest));
        Assert.That(Repository.Output, Does.Contain("built with the engine's own builder"));
        Assert.That(Materials(await ProvenanceAsync(digest)), Is.EqualTo(new[] { (string?)baseDigest }));

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(Repository.Images().Single().Digest, Is.EqualTo(digest));
        Assert.That((engine.Builds, engine.Pushes), Is.EqualTo((1, 1)));
        Assert.That((await client.ListReferrersAsync(name.WithDigest(digest))).Count, Is.EqualTo(1));
    }

    [TestCase("sha256:2222222222222222222222222222222222222222222222222222222222222222")]
    [TestCase(null)]
    public async Task A_base_that_is_replaced_while_it_is_built_on_is_not_recorded_as_used(string? another)
    {
        engine.Building = () => engine.Replace(registry.Reference("base/tools").ToString(), another);
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable), Repository.Output);
        Assert.That(
            Repository.Output,
            Does.Contain("image-build.engine").And.Contain(another is null ? "was removed" : $"became {another}"));
        Assert.That(engine.Pushes, Is.Zero);
    }

    [Test]
    public async Task An_engine_that_is_broken_when_it_is_to_label_an_image_is_unavailable()
    {
        engine.LabelError = "No such image: sha256:00";
        Assert.That(await RunAsync(), Is.EqualTo(style.IsPodman ? ExitCode.Done : ExitCode.Unavailable), Repository.Output);
        if (!style.IsPodman) Assert.That(Repository.Output, Does.Contain("cannot be given its labels: No such image"));
    }

    [Test]
    public async Task A_proxy_of_dockers_configuration_reaches_the_build_and_no_password_the_log()
    {
        using var configuration = new TestFolder();
        configuration.Write(
            "config.json",
            """{"proxies":{"default":{"httpProxy":"http://user:of-the-proxy@proxy.example:1"}}}""");
        Repository.Environment["DOCKER_CONFIG"] = configuration.Path;
        engine.BuildError = "cannot reach http://user:of-the-proxy@proxy.example:1";
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), Repository.Output);
        Assert.That(engine.BuildArguments, Does.Contain("of-the-proxy").And.Contain("HTTP_PROXY").And.Contain("http_proxy"));
        Assert.That(Repository.Output, Does.Not.Contain("of-the-proxy"));
    }

    [TestCase("pull")]
    [TestCase("push")]
    public async Task A_helper_that_failed_is_named_where_the_engine_is_refused(string what)
    {
        using var configuration = new TestFolder();
        configuration.Write("config.json", """{"credsStore":"is-not-there"}""");
        Repository.Environment["DOCKER_CONFIG"] = configuration.Path;
        const string refusal = "unauthorized: authentication required";
        if (what == "pull") engine.PullError = refusal;
        else engine.PushError = refusal;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage), Repository.Output);
        var told = Repository.Output[Repository.Output.IndexOf(refusal, StringComparison.Ordinal)..];
        Assert.That(told, Does.Contain("docker-credential-is-not-there"));
    }

    [Test]
    public async Task An_image_with_triggers_keeps_them_and_has_its_labels()
    {
        engine.Triggers = ["RUN later"];
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That((await client.FindImageAsync(name))!.Label(ImageName.RevisionLabel), Is.EqualTo(Repository.Clone.Head));
        // It is built as it was asked for, not on itself, which would set them off.
        Assert.That(engine.Builds, Is.EqualTo(style.IsPodman ? 1 : 2));
    }

    [Test]
    public async Task A_run_that_finds_its_image_without_provenance_attaches_it()
    {
        Assert.That(await RunAsync("--no-provenance"), Is.EqualTo(ExitCode.Done), Repository.Output);
        var digest = Repository.Images().Single().Digest;
        Assert.That(await client.ListReferrersAsync(name.WithDigest(digest)), Is.Empty);
        // Meanwhile the base moves on: what is attached says what it was built on, not what is there now.
        await LocalRegistry.PutImageAsync(client, registry.Reference("base/tools"), null, ("newer", "yes"));

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("is without its provenance"));
        Assert.That(Materials(await ProvenanceAsync(digest)), Is.EqualTo(new[] { (string?)baseDigest }));
        Assert.That(Repository.Evidence("image-build"), Does.Contain(baseDigest["sha256:".Length..]));
        Assert.That(engine.Builds, Is.EqualTo(1));
    }

    [Test]
    public async Task What_the_engine_says_of_the_digest_does_not_matter(
        [Values("", "sha256:1111111111111111111111111111111111111111111111111111111111111111")] string said)
    {
        engine.SaysDigest = said;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(Repository.Images().Single().Digest, Is.EqualTo(await client.FindDigestAsync(name)));
        Assert.That(
            Repository.Output,
            said.Length > 0 ? Does.Contain("the engine says that it pushed " + said) : Does.Not.Contain("the engine says"));
    }

    [Test]
    public async Task Another_image_under_the_tag_is_refused_whatever_the_engine_says()
    {
        engine.Arrived = async pushed => await LocalRegistry.PutImageAsync(client, pushed, null, ("of", "somebody else"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("image-build.tag-taken"));
        Assert.That(await client.ListReferrersAsync(name.WithDigest((await client.FindDigestAsync(name))!)), Is.Empty);
    }

    [Test]
    public async Task A_registry_that_knows_the_tag_a_moment_later_is_asked_again()
    {
        engine.IsHasty = true;
        Repository.Time = TimeProvider.System;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(Repository.Images().Single().Digest, Is.EqualTo(await client.FindDigestAsync(name)));
    }

    [Test]
    public async Task A_registry_that_fails_when_the_tag_is_read_back_is_unavailable()
    {
        engine.Arrived = pushed =>
        {
            registry.BreakTag(pushed);
            return Task.CompletedTask;
        };
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("image-build.registry"));
    }

    [TestCase(
        "push access denied, repository does not exist or may require authorization: authorization failed: " +
        "no basic auth credentials",
        ExitCode.Usage)]
    [TestCase(
        "trying to reuse blob sha256:00 at destination: checking whether a blob sha256:00 exists in x: unauthorized: " +
        "authentication required",
        ExitCode.Usage)]
    [TestCase("unknown: unexpected status from HEAD request to http://x/v2/: 401 Unauthorized", ExitCode.Usage)]
    [TestCase("received unexpected HTTP status: 500 Internal Server Error", ExitCode.Unavailable)]
    [TestCase("unknown: unexpected status from POST request to x: 405 Method Not Allowed", ExitCode.Unavailable)]
    public async Task A_push_that_fails_is_told_with_what_the_engine_says(string error, int exit)
    {
        engine.PushError = error;
        Assert.That(await RunAsync(), Is.EqualTo(exit), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("cannot push").And.Contain(error[..40]));
    }

    [Test]
    public async Task An_engine_that_goes_away_in_the_middle_of_a_build_is_unavailable()
    {
        engine.VanishesInBuild = true;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("image-build.engine").And.Contain("went away while it worked"));
        Assert.That(Repository.Output, Does.Not.Contain("no container engine answers"));
    }

    [Test]
    public async Task An_engine_that_goes_away_in_the_middle_of_a_push_is_asked_again_and_then_unavailable(
        [Values(2, 3)] int pushes)
    {
        engine.VanishesInPushes = pushes;
        Assert.That(await RunAsync(), Is.EqualTo(pushes < 3 ? ExitCode.Done : ExitCode.Unavailable), Repository.Output);
        Assert.That((engine.Builds, engine.Pushes), Is.EqualTo((1, 3)));
        Assert.That(Repository.Output, Does.Contain("push 1 of 3 failed").And.Contain("went away while it worked"));
        Assert.That(await client.FindDigestAsync(name), pushes < 3 ? Is.EqualTo(Repository.Images().Single().Digest) : Is.Null);
    }

    [Test]
    public async Task An_image_that_arrived_before_the_engine_went_away_is_found_and_not_pushed_again()
    {
        (engine.VanishesInPushes, engine.ArrivesAndVanishes) = (3, true);
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(engine.Pushes, Is.EqualTo(1));
        Assert.That(Repository.Images().Single().Digest, Is.EqualTo(await client.FindDigestAsync(name)));
    }

    [TestCase("/push", 503, false)]
    [TestCase("/push", 500, false)]
    [TestCase("/images/create", 502, false)]
    [TestCase("/json", 500, true)]
    [TestCase("/version", 500, true)]
    public async Task An_engine_that_answers_with_errors_of_its_own_is_asked_again_and_then_unavailable(
        string end, int status, bool isRead)
    {
        var attempts = isRead ? 4 : 3;
        engine.OwnError = (call, before) => call.EndsWith(end, StringComparison.Ordinal) && before < attempts - 1 ? status : null;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(Repository.Output, Does.Contain($"1 of {attempts} failed").And.Contain("the engine is being restarted"));
        Repository.Write("service/file", "three\n");
        Repository.Commit("another");
        engine.OwnError = (call, _) => call.EndsWith(end, StringComparison.Ordinal) ? status : null;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("image-build.engine").And.Contain("the engine is being restarted"));
    }

    [Test]
    public async Task A_registry_that_is_in_trouble_when_the_engine_pushes_is_tried_again_and_then_unavailable()
    {
        engine.PushError =
            "unknown: unexpected status from PUT request to http://x/v2/service/manifests/1: 500 Internal Server Error";
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable), Repository.Output);
        Assert.That(engine.Pushes, Is.EqualTo(3));
        Assert.That(Repository.Output, Does.Contain("push 2 of 3 failed").And.Contain("image-build.registry"));
    }

    [Test]
    public async Task A_build_that_is_answered_with_a_gateways_error_is_not_the_authors()
    {
        engine.OwnError = (call, _) => call == "POST /build" ? 502 : null;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("image-build.engine"));
    }

    [TestCase("TARGETARCH: amd64", null)]
    [TestCase("TARGETPLATFORM: linux/x86_64", null)]
    [TestCase("TARGETARCH: arm64", "amd64")]
    [TestCase("BUILDOS: windows", "linux")]
    public async Task A_predefined_argument_is_refused_where_it_says_another_platform(string argument, string? own)
    {
        Use("FROM {base}\nARG TARGETARCH\nCOPY file /file\n",
            more: $"      args: {{ {argument}, TARGETVARIANT: '', " +
                $"{(argument.StartsWith("TARGETARCH", StringComparison.Ordinal) ? "" : "TARGETARCH: amd64")} }}");
        Assert.That(await RunAsync(), Is.EqualTo(own is null ? ExitCode.Done : ExitCode.Usage), Repository.Output);
        if (own is null) return;
        Assert.That(Repository.Output, Does.Contain($"\"{argument.Split(':')[0]}\"").And.Contain($"to \"{own}\" themselves"));
        Assert.That(engine.Builds, Is.Zero);
    }

    [Test]
    public async Task Who_asks_for_buildx_is_told_what_can_be_done_with_this_engine()
    {
        Use("FROM {base}\nCOPY file /file\n", more: "      builder: buildx");
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage), Repository.Output);
        Assert.That(
            Repository.Output,
            style.IsPodman ? Does.Contain("use an engine with BuildKit").And.Not.Contain("install docker's client")
                : Does.Contain("install docker's client with its buildx plug-in"));
    }

    [TestCase("write /var/lib/x: no space left on device", ExitCode.Unavailable, "docker system df")]
    [TestCase(
        "OCI runtime create failed: runc create failed: unable to start container process: error setting cgroup config: " +
        "no such device",
        ExitCode.Unavailable,
        "cannot run containers")]
    [TestCase("The command '/bin/sh -c make' returned a non-zero code: 2", ExitCode.Refused, "image-build.build-failed")]
    public async Task Whose_fault_a_failed_build_is_decides_the_exit_code(string error, int exit, string said)
    {
        engine.BuildError = error;
        Assert.That(await RunAsync(), Is.EqualTo(exit), Repository.Output);
        Assert.That(Repository.Output, Does.Contain(said));
        Assert.That(
            Repository.Output.TrimEnd().Split('\n').Select(line => line.TrimEnd()),
            Has.None.Matches<string>(line => line is not null && line.EndsWith('s') && line.Trim().Length <= 5),
            "a line with nothing but the time");
    }

    [Test]
    public async Task What_its_own_builder_does_not_know_is_refused_before_anything_is_built(
        [Values("auto", "engine")] string builder)
    {
        Use("FROM {base}\nCOPY file /file\n", more: $"      builder: {builder}",
            other: "FROM {base}\nRUN cat <<EOF > /conf\ntext\nEOF\n");
        Repository.Write("other/file", "changed\n");
        Repository.Commit("both");
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("other/Dockerfile:2 \"RUN <<EOF\"").And.Contain("nothing was built"));
        Assert.That(Repository.Output, Does.Contain(style.IsPodman ? "an engine with BuildKit" : "docker-buildx"));
        Assert.That((engine.Builds, engine.Pushes), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task A_base_image_for_another_platform_is_refused_before_anything_is_built()
    {
        Use("FROM {base}\nCOPY file /file\n", more: "      platform: linux/arm64");
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage), Repository.Output);
        Assert.That(
            Repository.Output,
            Does.Contain("\"linux/arm64\"").And.Contain("\"linux/amd64\"").And.Contain("service/Dockerfile:1"));
        Assert.That(engine.Builds, Is.Zero);
    }

    [Test]
    public async Task What_a_base_images_triggers_take_is_in_the_provenance()
    {
        engine.Hold("localhost/with-triggers:1", [$"COPY --from={registry.Reference("base/tools")} /a /b"]);
        Use("FROM localhost/with-triggers:1\nCOPY file /file\n");
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), Repository.Output);
        Assert.That(Materials(await ProvenanceAsync(Repository.Images().Single().Digest)), Does.Contain(baseDigest));
    }

    [TestCase("COPY --link file /other", "trigger 2 \"ONBUILD COPY --link\"")]
    [TestCase("ADD $SOMETHING /other", "trigger 2 \"ONBUILD ADD $SOMETHING")]
    public async Task What_the_builder_does_not_know_of_a_base_images_triggers_is_refused(string trigger, string told)
    {
        engine.Hold("localhost/with-triggers:1", ["RUN true", trigger]);
        Use("FROM localhost/with-triggers:1\nCOPY file /file\n");
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage), Repository.Output);
        Assert.That(
            Repository.Output,
            Does.Contain("service/Dockerfile:1").And.Contain("\"localhost/with-triggers:1\"").And.Contain(told));
        Assert.That(Repository.Output, style.IsPodman ? Does.Not.Contain("buildx plug-in") : Does.Contain("buildx plug-in"));
        Assert.That(engine.Builds, Is.Zero);
    }

    [Test]
    public async Task Secrets_are_refused_where_they_cannot_be_handed_over()
    {
        Use("FROM {base}\nCOPY file /file\n", more: "      secrets: { token: { env: BUILD_TOKEN } }");
        Repository.Environment["BUILD_TOKEN"] = "a secret of the build";
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage), Repository.Output);
        Assert.That(Repository.Output, Does.Contain("image.secrets").And.Not.Contain("a secret of the build"));
        Assert.That(engine.Builds, Is.Zero);
    }

    private ServiceRepository Repository => opened!;

    private void Use(string dockerfile, string more = "", string? other = null)
    {
        opened?.Dispose();
        var reference = registry.Reference("base/tools").ToString();
        opened = new ServiceRepository(registry.Host, reference, dockerfile, more);
        if (other is not null) Repository.Write("other/Dockerfile", other.Replace("{base}", reference, StringComparison.Ordinal));
        Repository.Branch();
        Repository.Environment["DOCKER_HOST"] = engine.Address;
        // Without docker's own client: whether that is on the machine does not matter here.
        Repository.Path = "/nowhere";
        Repository.Time = new ShortPauses();
        name = ImageReference.Of($"{registry.Host}/ci/service", $"3.1-{Repository.Clone.Head[..12]}");
    }

    private Task<int> RunAsync(params string[] more) => Repository.RunAsync(ImageBuildCommand.Create(), "1", more);

    private async Task<JsonNode> ProvenanceAsync(string digest) =>
        JsonNode.Parse((await client.ReadAttachedAsync(name.WithDigest(digest), MediaTypes.InToto)).Single().Content)!;

    private static List<string?> Materials(JsonNode statement) =>
        [.. statement["predicate"]!["buildDefinition"]!["resolvedDependencies"]!.AsArray()
            .Where(material => ((string)material!["uri"]!).StartsWith("docker-image://", StringComparison.Ordinal))
            .Select(material => "sha256:" + (string?)material!["digest"]!["sha256"])];
}
