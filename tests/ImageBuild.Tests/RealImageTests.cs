using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;

namespace CiSteps.ImageBuild.Tests;

/// <summary>The whole step on the machine's engine, a real registry and real git.</summary>
[Category("NeedsDocker")]
public sealed class RealImageTests
{
    private LocalEngine local = null!;
    private LocalRegistry registry = null!;
    private RegistryClient client = null!;
    private ImageReference basis = null!;
    private string baseDigest = "";

    [OneTimeSetUp]
    public async Task OpenAsync()
    {
        local = await LocalEngine.OpenAsync();
        registry = await LocalRegistry.StartAsync(RegistryAccess.Basic);
        local.OwnAllOf(registry);
        client = registry.Connect();
        basis = await local.MakeBaseImageAsync($"{registry.Host}/base/tools");
        baseDigest = await local.PushAsync(basis, LocalRegistry.Credential);
    }

    [OneTimeTearDown]
    public async Task CloseAsync()
    {
        client.Dispose();
        await local.DisposeAsync();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task Builds_pushes_and_hands_over_the_changed_component_by_digest_and_does_nothing_the_second_time()
    {
        using var repository = Repository();
        repository.Branch();
        var name = ImageReference.Of($"{registry.Host}/ci/service", $"3.7-{repository.Clone.Head[..12]}");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "7"), Is.EqualTo(ExitCode.Done), repository.Output);
        var digest = await client.FindDigestAsync(name);
        Assert.That(digest, Is.Not.Null, repository.Output);
        var image = (await client.FindImageAsync(name))!;
        Assert.That(image.Label(ImageName.RevisionLabel), Is.EqualTo(repository.Clone.Head));
        Assert.That(image.Label(ImageName.VersionLabel), Is.EqualTo(name.Tag));
        var handOver = JsonNode.Parse(
            repository.Evidence("image-build"))!["predicate"]!["cisteps"]!["handOver"]!["images"]!.AsArray();
        Assert.That(handOver, Has.Count.EqualTo(1));
        Assert.That((string?)handOver[0]!["digest"], Is.EqualTo(digest));
        Assert.That((string?)handOver[0]!["repository"], Is.EqualTo($"{registry.Host}/ci/service"));
        Assert.That((bool?)handOver[0]!["built"], Is.True);

        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "7"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Output, Does.Contain("already in the registry").And.Not.Contain("Step 1/"));
        Assert.That(await client.FindDigestAsync(name), Is.EqualTo(digest));
    }

    [Test]
    public async Task Records_what_it_was_built_from_beside_the_image()
    {
        using var repository = Repository();
        repository.Branch("ci/provenance", "provenance\n");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "8"), Is.EqualTo(ExitCode.Done), repository.Output);
        var name = ImageReference.Of($"{registry.Host}/ci/service", $"3.8-{repository.Clone.Head[..12]}");
        var subject = name.WithDigest((await client.FindDigestAsync(name))!);
        var (_, content) = (await client.ReadAttachedAsync(subject, MediaTypes.InToto)).Single();
        var statement = JsonNode.Parse(content)!;
        Assert.That((string?)statement["subject"]![0]!["digest"]!["sha256"], Is.EqualTo(subject.Digest![7..]));
        var materials = statement["predicate"]!["buildDefinition"]!["resolvedDependencies"]!.AsArray();
        Assert.That(
            materials.Select(material => (string?)material!["digest"]!["gitCommit"]), Does.Contain(repository.Clone.Head));
        Assert.That(materials.Select(material => (string?)material!["digest"]!["sha256"]), Does.Contain(baseDigest[7..]));
        Assert.That(statement.ToJsonString(), Does.Not.Contain(LocalRegistry.Password));
    }

    [Test]
    public async Task Signs_the_provenance_beside_the_image_when_there_is_a_key()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var repository = Repository();
        repository.Branch("ci/signed", "signed\n");
        repository.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "25"), Is.EqualTo(ExitCode.Done), repository.Output);
        var name = ImageReference.Of($"{registry.Host}/ci/service", $"3.25-{repository.Clone.Head[..12]}");
        var image = name.WithDigest((await client.FindDigestAsync(name))!);
        Assert.That(await client.ListReferrersAsync(image, MediaTypes.InToto), Is.Empty, "nothing beside it without a signature");
        foreach (var (check, isSigned) in new[] { (key, true), (other, false) })
        {
            IReadOnlyList<Attestation> attached = [];
            repository.Environment.Remove("CISTEPS_SIGNING_KEY");
            repository.Environment["CISTEPS_VERIFICATION_KEY"] = check.ExportSubjectPublicKeyInfoPem();
            await repository.RunAsync(new StepCommand("read", "Reads.", [], async (context, cancel) =>
            {
                attached = await Attestation.ReadAsync(client, context, image, PredicateTypes.Provenance, cancel);
                return Outcome.Done("read");
            }), "25");
            Assert.That(attached, Has.Count.EqualTo(1), repository.Output);
            Assert.That(attached[0].IsSigned, Is.EqualTo(isSigned));
            Assert.That((string?)attached[0].Statement["subject"]![0]!["digest"]!["sha256"], Is.EqualTo(image.Digest![7..]));
        }
    }

    [Test]
    public async Task Says_which_instruction_failed_and_what_it_said_last()
    {
        using var repository = Repository("FROM {base}\nRUN echo fine\nRUN echo first; echo the reason >&2; exit 3\n");
        repository.Branch("ci/broken");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "9"), Is.EqualTo(ExitCode.Refused));
        Assert.That(
            repository.Output,
            Does.Contain("image-build.build-failed").And
                .Contain("RUN echo first").And
                .Contain(IsPodman ? "exit status 3" : "code: 3").And
                .Contain("  the reason"));
        Assert.That(await client.ListTagsAsync(registry.Reference("ci/service")), Has.None.StartsWith("3.9-"));
    }

    [Test]
    public async Task Refuses_a_tag_that_another_image_has()
    {
        using var repository = Repository();
        repository.Branch("ci/taken", "taken\n");
        var name = ImageReference.Of($"{registry.Host}/ci/service", $"3.10-{repository.Clone.Head[..12]}");
        await client.PutManifestAsync(name, await CopyAsync(basis, name));
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "10"), Is.EqualTo(ExitCode.Refused));
        Assert.That(repository.Output, Does.Contain("image-build.tag-taken").And.Contain(baseDigest));
        Assert.That(await client.FindDigestAsync(name), Is.EqualTo(baseDigest));
    }

    [Test]
    public async Task Runs_the_pre_build_command_in_a_container_and_leaves_nothing_of_roots()
    {
        var more =
            "    pre-build:\n      run: [sh, -c, 'mkdir -p out && id -u > out/user && echo made']\n      image: " +
            $"{basis}\n      folder: service";
        using var repository = Repository("FROM {base}\nCOPY out /out\n", more);
        repository.Branch("ci/prepared", "prepared\n");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "11"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(File.ReadAllText(Path.Combine(repository.Clone.Folder, "service/out/user")), Is.Not.Empty);
        using var failing = Repository(more: more.Replace("echo made", "exit 4", StringComparison.Ordinal));
        failing.Branch("ci/unprepared");
        Assert.That(await failing.RunAsync(ImageBuildCommand.Create(), "12"), Is.EqualTo(ExitCode.Refused));
        Assert.That(failing.Output, Does.Contain("image-build.pre-build-failed").And.Contain("exit code 4"));
    }

    [Test]
    public async Task Runs_the_pre_build_command_on_the_agent_without_the_chains_own_secrets()
    {
        const string more =
            "    pre-build:\n      run: [sh, -c, 'mkdir -p out && echo \"secret=$CISTEPS_REGISTRY_PASSWORD own=$OWN\" > " +
            "out/seen']\n      folder: service\n      env: { OWN: given }";
        using var repository = Repository("FROM {base}\nCOPY out /out\n", more);
        repository.Branch("ci/agent", "agent\n");
        // The step's own process has it, as on an agent.
        Environment.SetEnvironmentVariable(RegistryCredentials.PasswordVariable, LocalRegistry.Password);
        try
        {
            Assert.That(
                await repository.RunAsync(ImageBuildCommand.Create(), "24"), Is.EqualTo(ExitCode.Done), repository.Output);
        }
        finally
        {
            Environment.SetEnvironmentVariable(RegistryCredentials.PasswordVariable, null);
        }
        Assert.That(
            File.ReadAllText(Path.Combine(repository.Clone.Folder, "service/out/seen")), Is.EqualTo("secret= own=given\n"));
    }

    [Test]
    public async Task Says_that_a_base_image_is_missing()
    {
        using var repository = Repository($"FROM {registry.Host}/base/none:1\n");
        repository.Branch("ci/baseless");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "13"), Is.EqualTo(ExitCode.Usage));
        Assert.That(repository.Output, Does.Contain($"{registry.Host}/base/none:1"));
    }

    [Test]
    public async Task Takes_the_layers_of_the_branchs_last_image_where_the_engine_has_none()
    {
        using var repository = Repository("FROM {base}\nRUN echo slow > /slow\nCOPY file /file\n", "      builder: engine");
        repository.Branch("ci/cached", "cached\n");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "14"), Is.EqualTo(ExitCode.Done), repository.Output);
        var first = await client.FindManifestAsync(ImageReference.Of(
            $"{registry.Host}/ci/service", $"3.14-{repository.Clone.Head[..12]}"));
        await ForgetAsync();
        repository.Write("service/file", "cached again\n");
        repository.Commit("again");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "15"), Is.EqualTo(ExitCode.Done), repository.Output);
        if (IsPodman)
        {
            Assert.That(repository.Output, Does.Not.Contain("for its layers"), "its builder takes none");
            return;
        }
        Assert.That(repository.Output, Does.Contain("for its layers").And.Contain("Using cache"));
        var second = await client.FindManifestAsync(ImageReference.Of(
            $"{registry.Host}/ci/service", $"3.15-{repository.Clone.Head[..12]}"));
        Assert.That(second!.Layers[1].Digest, Is.EqualTo(first!.Layers[1].Digest), "the slow layer is the first image's own");
        Assert.That(second.Layers[2], Is.Not.EqualTo(first.Layers[2]));
    }

    [Test]
    public async Task Takes_the_layers_of_the_certified_image_where_neither_the_branch_nor_the_engine_has_any()
    {
        using var repository = Repository("FROM {base}\nRUN echo slower > /slow\nCOPY file /file\n", "      builder: engine");
        repository.Write("service/file", "to be certified\n");
        repository.Commit("released");
        repository.Clone.Git("push", "--quiet", "origin", "HEAD:main");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "26"), Is.EqualTo(ExitCode.Done), repository.Output);
        var released = ImageReference.Of($"{registry.Host}/service", $"3.26-{repository.Clone.Head[..12]}");
        var first = (await client.FindManifestAsync(released))!;
        await client.PutManifestAsync(released.WithTag("3-production"), first);
        await ForgetAsync();
        repository.Branch("ci/of-certified", "another\n");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "27"), Is.EqualTo(ExitCode.Done), repository.Output);
        if (IsPodman)
        {
            Assert.That(repository.Output, Does.Not.Contain("for its layers"), "its builder takes none");
            return;
        }
        Assert.That(
            repository.Output,
            Does.Contain($"pulling {released.Repository}@{first.Digest} for its layers").And.Contain("Using cache"));
        var second = (await client.FindManifestAsync(ImageReference.Of(
            $"{registry.Host}/ci/service", $"3.27-{repository.Clone.Head[..12]}")))!;
        Assert.That(second.Layers[1].Digest, Is.EqualTo(first.Layers[1].Digest), "the slow layer is the certified image's own");
        Assert.That(second.Layers[2], Is.Not.EqualTo(first.Layers[2]));
        await client.DeleteManifestAsync(released.WithDigest(first.Digest));
    }

    [Test]
    public async Task Builds_the_stage_with_the_arguments_and_for_the_platform_that_are_given()
    {
        const string dockerfile =
            "FROM {base} AS first\nARG WHICH=none\nRUN test \"$WHICH\" = \"given: " +
            "'so'\"\nCOPY file /file\nFROM first\nRUN exit 9\n";
        using var repository = Repository(dockerfile,
            "      target: first\n      args: { WHICH: \"given: 'so'\" }\n      platform: linux/amd64");
        repository.Branch("ci/stage", "stage\n");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "28"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Output, Does.Not.Contain("exit 9"));
        var name = ImageReference.Of($"{registry.Host}/ci/service", $"3.28-{repository.Clone.Head[..12]}");
        Assert.That((await client.FindImageAsync(name))!.Platforms.Single().Platform, Is.EqualTo("linux/amd64"));
        var (_, content) = (await client.ReadAttachedAsync(
            name.WithDigest((await client.FindDigestAsync(name))!), MediaTypes.InToto)).Single();
        Assert.That(
            JsonNode.Parse(content)!["predicate"]!["buildDefinition"]!["externalParameters"]!.ToJsonString(),
            Does.Contain("first").And.Contain("linux/amd64").And.Contain("WHICH"));
    }

    [TestCase("linux/arm64")]
    [TestCase("windows/amd64")]
    [TestCase("linux/nonsense")]
    public async Task Says_that_the_base_image_is_for_another_platform(string platform)
    {
        using var repository = Repository(more: $"      platform: {platform}");
        repository.Branch("ci/platform", "platform\n");
        var exit = await repository.RunAsync(ImageBuildCommand.Create(), "29");
        Assert.That(exit, Is.EqualTo(ExitCode.Usage), repository.Output);
        Assert.That(repository.Output, Does.Contain($"\"{platform}\"").And.Contain(basis.ToString()));
        Assert.That(await client.ListTagsAsync(registry.Reference("ci/service")), Has.None.StartsWith("3.29-"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task Reuses_the_certified_image_when_it_was_built_from_the_same(bool isSame)
    {
        using var repository = Repository();
        var suffix = isSame ? "same" : "other";
        repository.Write("service/file", suffix);
        repository.Commit("released " + suffix);
        repository.Clone.Git("push", "--quiet", "origin", "HEAD:main");
        var build = isSame ? "16" : "17";
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), build), Is.EqualTo(ExitCode.Done), repository.Output);
        var released = ImageReference.Of($"{registry.Host}/service", $"3.{build}-{repository.Clone.Head[..12]}");
        var digest = (await client.FindDigestAsync(released))!;
        await client.PutManifestAsync(released.WithTag("3-production"), (await client.FindManifestAsync(released))!);
        repository.Clone.Git("checkout", "--quiet", "-b", "ci/" + suffix);
        // A change of the pipeline file touches every component, whatever it says.
        repository.Write("ci-steps.yaml",
            File.ReadAllText(Path.Combine(repository.Clone.Folder, "ci-steps.yaml")) + "# a remark\n");
        if (!isSame) repository.Write("service/file", "not the same");
        repository.Commit("remark");
        Assert.That(
            await repository.RunAsync(ImageBuildCommand.Create(), build + "0", "--reuse"),
            Is.EqualTo(ExitCode.Done),
            repository.Output);
        var image = repository.Images().Single(one => one.Component == "service");
        Assert.That(image.Built, Is.EqualTo(!isSame), repository.Output);
        Assert.That(image.Digest, isSame ? Is.EqualTo(digest) : Is.Not.EqualTo(digest));
        Assert.That(await client.FindDigestAsync(ImageReference.Of(image.Repository, image.Tag)), Is.EqualTo(image.Digest));
        if (isSame) Assert.That(repository.Output, Does.Contain("reuse").And.Not.Contain("service: building"));
        Assert.That(
            await repository.RunAsync(ImageBuildCommand.Create(), build + "0", "--reuse"),
            Is.EqualTo(ExitCode.Done),
            repository.Output);
        Assert.That(repository.Images().Single(one => one.Component == "service"), Is.EqualTo(image));
        await client.DeleteManifestAsync(released.WithDigest(digest));
    }

    [Test]
    public async Task Hands_the_same_context_to_buildx_where_it_is_asked_for()
    {
        using var repository = Repository(more: "      builder: buildx\n      secrets: { token: { env: TOKEN } }");
        repository.Branch("ci/buildx", "buildx\n");
        using var tools = new TestFolder();
        // Stands for docker's client with its plug-in: asks for the registry's credential as BuildKit does, and builds the folder
        // that it is given with the engine's own builder.
        File.SetUnixFileMode(tools.Write("docker", """
            #!/bin/sh
            if [ "$2" = version ]; then echo "github.com/docker/buildx v0.0.0-test"; exit 0; fi
            if [ "$2" = inspect ]; then exit 0; fi
            printf '%s\n' "$@" > "$ARGUMENTS"
            cat "$DOCKER_CONFIG/config.json" "$DOCKER_CONFIG/docker-credential-ci-steps" > "$ARGUMENTS.disk"
            echo "$REGISTRY" | docker-credential-ci-steps get > "$ARGUMENTS.credential"
            echo other.example | docker-credential-ci-steps get >> "$ARGUMENTS.credential"
            printf '%s\n' "${BUILDX_BUILDER-none}" "$DOCKER_HOST" "$TOKEN" > "$ARGUMENTS.environment"
            for argument in "$@"; do
                case $argument in
                    --iidfile=*) id=${argument#*=};;
                    --tag=*|--file=*|--label=*|--build-arg=*) set -- "$@" "$argument";;
                    *) folder=$argument;;
                esac
                shift
            done
            echo '#1 [1/2] FROM base'; echo '#2 [2/2] COPY file /file'; echo '#2 CACHED'
            echo '#3 importing cache manifest from localhost/x:1'
            echo '#3 ERROR: failed to configure registry cache importer: 401 Unauthorized'
            DOCKER_BUILDKIT=0 /usr/bin/docker build --quiet --iidfile "$id" "$@" "$folder"
            """.ReplaceLineEndings("\n")), (UnixFileMode)0b111_101_101);
        repository.Environment["REGISTRY"] = registry.Host;
        repository.Environment["BUILDX_BUILDER"] = "somebody's";
        repository.Environment["TOKEN"] = "a token of the build";
        repository.Environment["ARGUMENTS"] = tools.Of("arguments");
        repository.Path = tools.Path + ":" + repository.Path;
        if (IsPodman)
        {
            Assert.That(
                await repository.RunAsync(ImageBuildCommand.Create(), "18"), Is.EqualTo(ExitCode.Usage), repository.Output);
            Assert.That(repository.Output, Does.Contain("use an engine with BuildKit"));
            return;
        }
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "18"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(repository.Output, Does.Contain("1 of 2 instructions from the cache"));
        var arguments = File.ReadAllLines(tools.Of("arguments"));
        Assert.That(arguments, Does.Contain("--provenance=false"));
        Assert.That(arguments[^1], Is.EqualTo(Path.Combine(repository.Clone.Folder, "service")));
        // What was written for the builder is gone with the build.
        var dockerfile = arguments.Single(
            argument => argument.StartsWith("--file=", StringComparison.Ordinal))["--file=".Length..];
        Assert.That(Path.GetFileName(dockerfile), Is.EqualTo("Dockerfile"));
        Assert.That(Path.Exists(Path.GetDirectoryName(dockerfile)), Is.False);
        Assert.That(File.ReadAllLines(tools.Of("arguments")), Does.Contain("--provenance=false")
            .And.Contain("--builder=default").And.Contain("--secret=id=token,env=TOKEN"));
        Assert.That(
            File.ReadAllText(tools.Of("arguments")) + File.ReadAllText(tools.Of("arguments.disk")),
            Does.Not.Contain("a token of the build").And.Not.Contain(LocalRegistry.Password));
        Assert.That(
            File.ReadAllText(tools.Of("arguments.credential")),
            Does.Contain($"\"Secret\":\"{LocalRegistry.Password}\"").And.Contain("credentials not found"));
        Assert.That(
            File.ReadAllLines(tools.Of("arguments.environment")),
            Is.EqualTo(new[] { "none", local.Engine.Location.ClientEnvironment["DOCKER_HOST"], "a token of the build" }));
        Assert.That(
            repository.Output,
            Does.Contain("warning: no layers could be taken from localhost/x:1").And.Not.Contain("a token of the build"));
        var (_, statement) = (await client.ReadAttachedAsync(
            registry.Reference("ci/service").WithDigest(repository.Images().Single().Digest), MediaTypes.InToto)).Single();
        Assert.That(System.Text.Encoding.UTF8.GetString(statement), Does.Contain("\"secrets\":[\"token\"]"));
        Assert.That(
            await client.FindDigestAsync(ImageReference.Of($"{registry.Host}/ci/service", $"3.18-{repository.Clone.Head[..12]}")),
            Is.EqualTo(repository.Images().Single().Digest));
        File.Delete(tools.Of("docker"));
        repository.Path = tools.Path;
        repository.Write("service/file", "again\n");
        repository.Commit("again");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "19"), Is.EqualTo(ExitCode.Usage), repository.Output);
        Assert.That(repository.Output, Does.Contain("buildx"));
    }

    [Test]
    public async Task Refuses_to_bake_a_secret_into_the_image()
    {
        using var repository = Repository(more: $"      args:\n        KEY: \"{LocalRegistry.Password}\"");
        repository.Branch("ci/secret");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "20"), Is.EqualTo(ExitCode.Usage));
        Assert.That(repository.Output, Does.Contain("\"KEY\"").And.Not.Contain(LocalRegistry.Password));
    }

    [Test]
    public async Task Stops_a_build_that_runs_and_leaves_no_container_behind()
    {
        var sleep = SleepingProcess.New();
        using var repository = Repository($"FROM {{base}}\nRUN echo begun; {sleep}\n", "      builder: engine");
        repository.Branch("ci/stopped");
        using var stop = new CancellationTokenSource();
        using var output = new WatchingWriter("begun", stop.Cancel);
        Assert.That(
            await repository.RunAsync(ImageBuildCommand.Create(), "22", output, stop.Token),
            Is.EqualTo(ExitCode.Cancelled),
            repository.Output);
        // The engine takes it away by itself as soon as nobody listens any more; that is not at once.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        // podman 4.3 lets a command run to its end, and its builds are no containers to its API.
        if (!IsPodman)
        {
            await sleep.EndAsync(limit.Token);
            var container = System.Text.RegularExpressions.Regex.Match(
                repository.Output, "Running in ([0-9a-f]{12})").Groups[1].Value;
            Assert.That(container, Is.Not.Empty, repository.Output);
            while (await local.Engine.InspectContainerAsync(container, limit.Token) is not null)
                await Task.Delay(100, limit.Token);
        }
        Assert.That(await client.ListTagsAsync(registry.Reference("ci/service")), Has.None.StartsWith("3.22-"));
    }

    [Test]
    public async Task Says_whose_credentials_the_registry_does_not_take()
    {
        using var repository = Repository();
        repository.Branch("ci/stranger", "stranger\n");
        repository.Environment[RegistryCredentials.PasswordVariable] = "a wrong password";
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "23"), Is.EqualTo(ExitCode.Usage));
        Assert.That(
            repository.Output,
            Does.Contain($"\"{LocalRegistry.User}\"").And.Contain(registry.Host).And.Not.Contain("a wrong password"));
    }

    [Test]
    public async Task Says_what_to_do_when_no_engine_answers()
    {
        using var repository = Repository();
        repository.Branch("ci/engineless", "engineless\n");
        repository.Environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock";
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "21"), Is.EqualTo(ExitCode.Unavailable));
        Assert.That(repository.Output, Does.Contain("image-build.engine").And.Contain("DOCKER_HOST"));
    }

    private bool IsPodman => local.Engine.IsPodman;

    private ServiceRepository Repository(string dockerfile = "FROM {base}\nCOPY file /file\n", string more = "")
    {
        var repository = new ServiceRepository(registry.Host, basis.ToString(), dockerfile, more);
        repository.Environment[RegistryCredentials.UserVariable] = LocalRegistry.User;
        repository.Environment[RegistryCredentials.PasswordVariable] = LocalRegistry.Password;
        return repository;
    }

    // Another agent: nothing of this component on its engine.
    private async Task ForgetAsync()
    {
        foreach (var image in await local.Engine.ListImagesAsync(new Dictionary<string, string?>
        {
            [ImageName.TitleLabel] = "service"
        }))
            await local.Engine.RemoveImageAsync(image.Id, force: true);
    }

    // A manifest may be put only where its layers are: push the image there under another tag first.
    private async Task<RegistryManifest> CopyAsync(ImageReference image, ImageReference to)
    {
        var beside = to.WithTag("copy");
        await local.Engine.TagAsync(image.ToString(), beside);
        await local.Engine.PushAsync(beside, LocalRegistry.Credential);
        return (await client.FindManifestAsync(beside))!;
    }
}
