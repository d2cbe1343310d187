using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
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
        client = registry.Connect();
        basis = await local.MakeBaseImageAsync($"{registry.Host}/base/tools");
        baseDigest = await local.Engine.PushAsync(basis, LocalRegistry.Credential);
    }

    [OneTimeTearDown]
    public async Task CloseAsync()
    {
        client.Dispose();
        foreach (var image in await local.Engine.ListImagesAsync(new Dictionary<string, string?>()))
            foreach (var tag in image.Tags.Where(tag => tag.StartsWith(registry.Host + "/", StringComparison.Ordinal))) await local.Engine.RemoveImageAsync(tag, force: true);
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
        var handOver = JsonNode.Parse(repository.Evidence("image-build"))!["predicate"]!["cisteps"]!["handOver"]!["images"]!.AsArray();
        Assert.That(handOver, Has.Count.EqualTo(1));
        Assert.That((string?)handOver[0]!["digest"], Is.EqualTo(digest));
        Assert.That((string?)handOver[0]!["repository"], Is.EqualTo($"{registry.Host}/ci/service"));
        Assert.That((string?)handOver[0]!["pullRepository"], Is.EqualTo("pull.example:5000/ci/service"));
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
        Assert.That(materials.Select(material => (string?)material!["digest"]!["gitCommit"]), Does.Contain(repository.Clone.Head));
        Assert.That(materials.Select(material => (string?)material!["digest"]!["sha256"]), Does.Contain(baseDigest[7..]));
        Assert.That(statement.ToJsonString(), Does.Not.Contain(LocalRegistry.Password));
    }

    [Test]
    public async Task Says_which_instruction_failed_and_what_it_said_last()
    {
        using var repository = Repository("FROM {base}\nRUN echo fine\nRUN echo first; echo the reason >&2; exit 3\n");
        repository.Branch("ci/broken");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "9"), Is.EqualTo(ExitCode.Refused));
        Assert.That(repository.Output, Does.Contain("image-build.build-failed").And.Contain("RUN echo first").And.Contain("returned a non-zero code: 3").And.Contain("  the reason"));
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
        var more = $"    pre-build:\n      run: [sh, -c, 'mkdir -p out && id -u > out/user && echo made']\n      image: {basis}\n      folder: service";
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
    public async Task Says_that_a_base_image_is_missing()
    {
        using var repository = Repository($"FROM {registry.Host}/base/none:1\n");
        repository.Branch("ci/baseless");
        Assert.That(await repository.RunAsync(ImageBuildCommand.Create(), "13"), Is.EqualTo(ExitCode.Usage));
        Assert.That(repository.Output, Does.Contain($"{registry.Host}/base/none:1"));
    }

    private ServiceRepository Repository(string dockerfile = "FROM {base}\nCOPY file /file\n", string more = "")
    {
        var repository = new ServiceRepository(registry.Host, basis.ToString(), dockerfile, more);
        repository.Environment[RegistryCredentials.UserVariable] = LocalRegistry.User;
        repository.Environment[RegistryCredentials.PasswordVariable] = LocalRegistry.Password;
        return repository;
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
