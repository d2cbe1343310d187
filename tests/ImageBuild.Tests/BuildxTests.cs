using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.ImageBuild.Tests;

/// <summary>
/// Builds by <c>docker buildx</c>: the real plug-in where docker's client has one and the engine takes it, else a stand-in that
/// says and
/// asks what the plug-in does and builds with the engine's own builder.
/// </summary>
[Category("NeedsDocker")]
public sealed class BuildxTests
{
    // Asks for the registry's credential, reads secrets and agent as BuildKit does, and leaves out what only BuildKit knows.
    private const string StandIn = """
        #!/bin/sh
        [ "$2" = build ] || exit 0
        for argument in "$@"; do
            case $argument in
                --iidfile=*) id=${argument#*=} ;;
                --file=*) file=${argument#*=} ;;
                --tag=* | --label=*) set -- "$@" "$argument" ;;
                --secret=*,env=*) printenv "${argument##*=}" | tr -d '\n' | sha256sum | sed 's/^/#4 0.1 /' ;;
                --secret=*,src=*) sha256sum <"${argument##*=}" | sed 's/^/#4 0.1 /' ;;
                --ssh=default) [ ! -S "$SSH_AUTH_SOCK" ] || echo '#4 0.1 the agent is here' ;;
                --cache-from=*) cache=${argument##*=} ;;
                *) folder=$argument ;;
            esac
            shift
        done
        if [ -n "$cache" ]; then
            echo "#5 importing cache manifest from $cache"
            echo "${cache%%/*}" | docker-credential-ci-steps get | grep -q '"Secret"' || echo '#5 ERROR: 401 Unauthorized'
        fi
        if grep -q 'sleep [0-9]' "$file"; then echo '#4 0.1 begun'; exec $(grep -o 'sleep [0-9]*' "$file"); fi
        grep -v '^RUN --mount' "$file" >"$file.plain"
        cp "$file.dockerignore" "$file.plain.dockerignore"
        DOCKER_BUILDKIT=0 /usr/bin/docker build --quiet --iidfile "$id" "$@" --file "$file.plain" "$folder"
        """;

    private LocalEngine local = null!;
    private TestFolder tools = null!;
    private bool isReal;

    [OneTimeSetUp]
    public async Task OpenAsync()
    {
        local = await LocalEngine.OpenAsync();
        tools = new TestFolder();
        File.SetUnixFileMode(tools.Write("docker", StandIn.ReplaceLineEndings("\n")), (UnixFileMode)0b111_101_101);
        var (exit, version, _) = await ChildProcess.CaptureAsync(new("docker", ["buildx", "version"], tools.Path));
        isReal = exit == 0 && version.Contains("buildx", StringComparison.Ordinal) && !IsPodman;
        await TestContext.Out.WriteLineAsync(isReal ? version.Trim() : "the stand-in");
    }

    [OneTimeTearDown]
    public async Task CloseAsync()
    {
        tools.Dispose();
        await local.DisposeAsync();
    }

    [Test]
    public async Task Secrets_and_the_agent_reach_a_command_and_nothing_of_them_the_image()
    {
        var secret = $"of the build {Guid.NewGuid():n}";
        const string more =
            "      builder: buildx\n      ssh: true\n      secrets: { given: { env: BUILD_TOKEN }, read: { file: token } }";
        const string dockerfile = "FROM {base}\n"
            + "RUN --mount=type=secret,id=given --mount=type=secret,id=read --mount=type=ssh sha256sum /run/secrets/given " +
                "/run/secrets/read && test -S \"$SSH_AUTH_SOCK\" && echo the agent is here\n"
            + "COPY file /file\n";
        await using var built = await BuiltAsync(RegistryAccess.Basic, dockerfile, more);
        var repository = built.Repository;
        repository.Environment["BUILD_TOKEN"] = secret;
        await File.WriteAllTextAsync(Path.Combine(repository.Clone.Folder, "token"), secret + " in a file");
        await File.WriteAllTextAsync(Path.Combine(repository.Clone.Folder, ".git", "info", "exclude"), "token\n");
        using var agent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        agent.Bind(new UnixDomainSocketEndPoint(tools.Of("agent")));
        agent.Listen();
        repository.Environment["SSH_AUTH_SOCK"] = tools.Of("agent");
        if (await IsRefusedAsync(repository)) return;
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "1"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(
            repository.Output,
            Does.Contain(DigestOf(secret)).And.Contain(DigestOf(secret + " in a file")).And.Contain("the agent is here"));
        Assert.That(repository.Output, Does.Not.Contain(secret));
        var (config, layers, _) = await built.DownloadAsync();
        Assert.That(config, Does.Not.Contain(secret));
        Assert.That(layers, Does.Not.Contain(secret).And.Contain("two"));
    }

    [TestCase(RegistryAccess.Basic)]
    [TestCase(RegistryAccess.Token)]
    public async Task Layers_come_from_the_registry_with_what_the_environment_gives(RegistryAccess access)
    {
        await using var built = await BuiltAsync(access, "FROM {base}\nCOPY file /file\n", "      builder: buildx");
        var repository = built.Repository;
        if (await IsRefusedAsync(repository)) return;
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "1"), Is.EqualTo(ExitCode.Done), repository.Output);
        repository.Write("service/file", "three\n");
        repository.Commit("again");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "2"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(
            repository.Output,
            Does
                .Contain($"importing cache manifest from {built.Registry.Host}/ci/service").And.Not
                .Contain("no layers could be taken"));
    }

    [Test]
    public async Task A_build_ends_with_its_step()
    {
        var sleep = SleepingProcess.New();
        await using var built = await BuiltAsync(
            RegistryAccess.Basic, $"FROM {{base}}\nRUN echo begun; {sleep}\n", "      builder: buildx");
        if (await IsRefusedAsync(built.Repository)) return;
        using var stop = new CancellationTokenSource();
        using var output = new WatchingWriter("begun", stop.Cancel);
        Assert.That(
            await built.Repository.RunAsync(ImageBuildCommand.Create(), "1", output, stop.Token),
            Is.EqualTo(ExitCode.Cancelled),
            built.Repository.Output);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await sleep.EndAsync(limit.Token);
    }

    [Test]
    public async Task A_Dockerfile_that_is_ignored_is_not_in_the_image([Values("buildx", "engine")] string builder)
    {
        await using var built = await BuiltAsync(
            RegistryAccess.Basic, "FROM {base}\nCOPY . /all/\n", $"      builder: {builder}", ".dockerignore\nDockerfile\n");
        if (builder == "buildx" && await IsRefusedAsync(built.Repository)) return;
        Assert.That(
            await built.Repository.RunAsync(ImageBuildCommand.Create(), "1"), Is.EqualTo(ExitCode.Done), built.Repository.Output);
        var (_, _, names) = await built.DownloadAsync();
        Assert.That(
            names.Where(name => name.StartsWith("all/", StringComparison.Ordinal) && name != "all/"),
            Is.EqualTo(new[] { "all/file" }));
    }

    // podman has no BuildKit: there it is refused before anything is built, and that is all there is to see.
    private async Task<bool> IsRefusedAsync(ServiceRepository repository)
    {
        if (!IsPodman) return false;
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "1"), Is.EqualTo(ExitCode.Usage), repository.Output);
        Assert.That(repository.Output, Does.Contain("use an engine with BuildKit").And.Not.Contain("building "));
        return true;
    }

    private bool IsPodman => local.Engine.IsPodman;

    private async Task<Built> BuiltAsync(RegistryAccess access, string dockerfile, string more, string? ignore = null)
    {
        var registry = await LocalRegistry.StartAsync(access);
        local.OwnAllOf(registry);
        var basis = await local.MakeBaseImageAsync($"{registry.Host}/base/tools");
        await local.PushAsync(basis, LocalRegistry.Credential);
        var repository = new ServiceRepository(registry.Host, basis.ToString(), dockerfile, more);
        if (ignore is not null) repository.Write("service/.dockerignore", ignore);
        repository.Environment[RegistryCredentials.UserVariable] = LocalRegistry.User;
        repository.Environment[RegistryCredentials.PasswordVariable] = LocalRegistry.Password;
        if (!isReal) repository.Path = tools.Path + ":" + repository.Path;
        repository.Branch();
        return new Built(registry, repository);
    }

    private static string DigestOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private sealed class Built(LocalRegistry registry, ServiceRepository repository) : IAsyncDisposable
    {
        public LocalRegistry Registry => registry;

        public ServiceRepository Repository => repository;

        /// <summary>The image's configuration with its history, what its own layers hold, and the names in them.</summary>
        public async Task<(string Config, string Layers, IReadOnlyList<string> Names)> DownloadAsync()
        {
            var image = repository.Images().Single();
            using var http = new HttpClient { BaseAddress = new Uri($"http://{registry.Host}/v2/ci/service/") };
            http.DefaultRequestHeaders.Authorization =
                new AuthenticationHeaderValue(
                    "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{LocalRegistry.User}:{LocalRegistry.Password}")));
            foreach (var type in new[] { MediaTypes.OciManifest, MediaTypes.DockerManifest })
                http.DefaultRequestHeaders.Accept.ParseAdd(type);
            var manifest = JsonNode.Parse(await http.GetStringAsync(new Uri($"manifests/{image.Digest}", UriKind.Relative)))!;
            var config = await http.GetStringAsync(new Uri($"blobs/{manifest["config"]!["digest"]}", UriKind.Relative));
            var content = new StringBuilder();
            var names = new List<string>();
            // The first is the base.
            foreach (var layer in manifest["layers"]!.AsArray().Skip(1))
            {
                await using var packed = await http.GetStreamAsync(new Uri($"blobs/{layer!["digest"]}", UriKind.Relative));
                await using var zip = new GZipStream(packed, CompressionMode.Decompress);
                using var memory = new MemoryStream();
                await zip.CopyToAsync(memory);
                content.Append(Encoding.UTF8.GetString(memory.ToArray()));
                memory.Position = 0;
                await using var tar = new TarReader(memory);
                while (await tar.GetNextEntryAsync() is { } entry) names.Add(entry.Name);
            }
            return (config, content.ToString(), names);
        }

        public async ValueTask DisposeAsync()
        {
            repository.Dispose();
            await registry.DisposeAsync();
        }
    }
}
