using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.ImageBuild.Tests;

/// <summary>When buildx is asked whether it can build, and by which program.</summary>
public sealed class BuildxSearchTests
{
    // Says what it was asked in a file. Nothing comes of a build.
    private const string Program = """
        #!/bin/sh
        [ "$1" != buildx ] || { shift; set -- "docker $1"; }
        echo "$1" >>"$CALLS"
        case "$1" in
            *version) echo "github.com/docker/buildx $SAYS_VERSION"; exit 0 ;;
            *inspect) exit 0 ;;
        esac
        echo "$SAYS_BUILD"
        echo "ERROR: it came to nothing"
        exit 1
        """;

    private LocalRegistry registry = null!;
    private TestFolder folder = null!;
    private StandInEngine? engine;
    private ServiceRepository repository = null!;

    [SetUp]
    public async Task OpenAsync()
    {
        registry = await LocalRegistry.StartAsync();
        folder = new TestFolder();
        using (var client = registry.Connect()) await LocalRegistry.PutImageAsync(client, registry.Reference("base/tools"), null);
        repository = new ServiceRepository(registry.Host, registry.Reference("base/tools").ToString());
        repository.Branch();
        repository.Write("other/file", "changed\n");
        repository.Commit("both");
        Put("configuration/cli-plugins/docker-buildx");
        // Any program that is not a script: nobody starts it.
        folder.MakeFolder("bin");
        File.CreateSymbolicLink(folder.Of("bin/docker"), Environment.ProcessPath!);
        repository.Path = folder.Of("bin") + ":/usr/bin:/bin";
        repository.Environment["DOCKER_CONFIG"] = folder.Of("configuration");
        repository.Environment["CALLS"] = folder.Of("calls");
        repository.Environment["SAYS_VERSION"] = "v0.29.1";
        repository.Environment["SAYS_BUILD"] = "";
    }

    [TearDown]
    public async Task CloseAsync()
    {
        repository.Dispose();
        if (engine is not null) await engine.DisposeAsync();
        folder.Dispose();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task An_engine_on_this_machine_that_says_BuildKit_is_built_with_at_once()
    {
        repository.Environment["SAYS_BUILD"] = "#5 [2/2] COPY file /file\n#5 ERROR: no such file";
        Assert.That(await RunAsync("28.5"), Is.EqualTo(ExitCode.Refused), repository.Output);
        Assert.That(Calls, Is.EqualTo(new[] { "build" }));
        Assert.That(repository.Output, Does.Contain("image-build.build-failed").And.Contain("COPY file /file"));
    }

    [Test]
    public async Task A_build_that_failed_before_it_began_is_buildxs_fault_when_it_says_so()
    {
        repository.Environment["SAYS_VERSION"] = "v0.9.1";
        Assert.That(await RunAsync("28.5"), Is.EqualTo(ExitCode.Usage), repository.Output);
        Assert.That(Calls, Is.EqualTo(new[] { "build", "version" }));
        Assert.That(repository.Output, Does.Contain("buildx 0.9 is too old").And.Contain("docker-buildx-plugin"));
        Assert.That((engine!.Builds, engine.Pushes), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task A_build_that_failed_before_it_began_is_nobody_elses_fault_when_buildx_is_well()
    {
        Assert.That(await RunAsync("28.5"), Is.EqualTo(ExitCode.Refused), repository.Output);
        Assert.That(Calls, Is.EqualTo(new[] { "build", "version", "inspect" }));
        Assert.That(repository.Output, Does.Contain("it came to nothing"));
    }

    [Test]
    public async Task Elsewhere_it_is_asked_first_and_once_for_all_images()
    {
        Assert.That(await RunAsync("20.10"), Is.EqualTo(ExitCode.Refused), repository.Output);
        Assert.That(Calls.Take(3), Is.EqualTo(new[] { "version", "inspect", "build" }));
    }

    [Test]
    public async Task An_old_one_that_is_asked_first_leaves_the_build_to_the_engine()
    {
        repository.Environment["SAYS_VERSION"] = "v0.9.1";
        Assert.That(await RunAsync("20.10"), Is.EqualTo(ExitCode.Done), repository.Output);
        Assert.That(Calls, Is.EqualTo(new[] { "version" }));
        Assert.That(repository.Output, Does.Contain("buildx 0.9 is too old"));
    }

    [TestCase("script")]
    [TestCase("folders")]
    public async Task By_way_of_docker_where_docker_may_mean_another_one(string what)
    {
        File.Delete(folder.Of("bin/docker"));
        Put("bin/docker");
        if (what == "folders")
        {
            File.Move(folder.Of("bin/docker"), folder.Of("bin/script"));
            File.CreateSymbolicLink(folder.Of("bin/docker"), "/usr/bin/env");
            folder.Write("configuration/config.json", """{"cliPluginsExtraDirs":["/elsewhere"]}""");
        }
        Assert.That(await RunAsync("28.5"), Is.EqualTo(what == "script" ? ExitCode.Refused : ExitCode.Done), repository.Output);
        Assert.That(
            Calls.Take(3),
            what == "script" ? Is.EqualTo(new[] { "docker version", "docker inspect", "docker build" }) : Is.Empty);
    }

    private string[] Calls => File.Exists(folder.Of("calls")) ? File.ReadAllLines(folder.Of("calls")) : [];

    private void Put(string path) =>
        File.SetUnixFileMode(folder.Write(path, Program.ReplaceLineEndings("\n")), (UnixFileMode)0b111_101_101);

    private async Task<int> RunAsync(string version)
    {
        var style = new EngineStyle("docker", version, "1.41", "1.12", HasContainerdStore: false);
        engine = await StandInEngine.StartAsync(style, registry, folder.Of("engine.sock"));
        repository.Environment["DOCKER_HOST"] = engine.Address;
        return await repository.RunAsync(ImageBuildCommand.Create(), "1");
    }
}
