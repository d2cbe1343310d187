using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class BranchImagesTests
{
    private static readonly DateTimeOffset Limit = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
    private const string Old = "2026-01-01T00:00:00Z";
    private const string New = "2026-07-01T00:00:00Z";

    private LocalRegistry registry = null!;
    private RegistryClient client = null!;
    private ImageReference branch = null!;
    private ImageReference release = null!;

    [SetUp]
    public async Task OpenAsync()
    {
        registry = await LocalRegistry.StartAsync();
        client = registry.Connect();
        branch = registry.Reference("ci/service");
        release = registry.Reference("service");
    }

    [TearDown]
    public async Task CloseAsync()
    {
        client.Dispose();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task Removes_what_is_old_and_unused_and_keeps_the_rest_with_its_reason()
    {
        await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old);
        await PutAsync(branch, "1.2-bbbbbbbbbbbb", New);
        var released = await PutAsync(branch, "1.3-cccccccccccc", Old);
        await PutAsync(release, "1.3", Old, "1.3-cccccccccccc");
        await PutAsync(branch, "1.4-dddddddddddd", Old);
        var running = await PutAsync(branch, "1.5-eeeeeeeeeeee", Old);
        await PutAsync(branch, "1.6-ffffffffffff", null);
        var plan = await PlanAsync(new ImagesInUse([release], ["dddddddddddd" + new string('0', 28)], [running]));
        Assert.That(plan.ToDictionary(image => image.Tags.Single(), image => image.KeptBecause), Is.EquivalentTo(new Dictionary<string, string?>
        {
            ["1.1-aaaaaaaaaaaa"] = null,
            ["1.2-bbbbbbbbbbbb"] = "not old enough",
            ["1.3-cccccccccccc"] = $"released as {release.WithTag("1.3")}",
            ["1.4-dddddddddddd"] = "of an open chain (dddddddddddd)",
            ["1.5-eeeeeeeeeeee"] = "in use",
            ["1.6-ffffffffffff"] = "its age is not known",
        }));
        foreach (var image in plan.Where(image => image.KeptBecause is null)) await BranchImages.RemoveAsync(client, image);
        Assert.That(await client.ListTagsAsync(branch), Has.Count.EqualTo(5).And.None.StartsWith("1.1-"));
        Assert.That(await client.FindDigestAsync(branch.WithDigest(released)), Is.EqualTo(released));
    }

    [Test]
    public async Task One_tag_in_use_keeps_the_image_with_all_of_its_tags()
    {
        var digest = await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old);
        await client.PutManifestAsync(branch.WithTag("1.2-bbbbbbbbbbbb"), (await client.FindManifestAsync(branch.WithDigest(digest)))!);
        var plan = await PlanAsync(new ImagesInUse([], ["bbbbbbbbbbbb" + new string('0', 28)], []));
        Assert.That(plan.Single().Tags, Has.Count.EqualTo(2));
        Assert.That(plan.Single().KeptBecause, Does.Contain("open chain"));
        await Assert.ThrowsAsync<ArgumentException>(() => BranchImages.RemoveAsync(client, plan.Single()));
    }

    [Test]
    public async Task Takes_what_is_attached_along()
    {
        var digest = await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old);
        var attached = await client.AttachAsync(branch.WithDigest(digest), MediaTypes.InToto, "{}"u8.ToArray());
        var image = (await PlanAsync(new ImagesInUse([release], [], []))).Single();
        await BranchImages.RemoveAsync(client, image);
        Assert.That(await client.FindDigestAsync(branch.WithDigest(attached)), Is.Null);
        Assert.That(await client.ListTagsAsync(branch), Is.Empty);
        Assert.That(await PlanAsync(new ImagesInUse([release], [], [])), Is.Empty);
    }

    [Test]
    public async Task Does_not_remove_an_image_whose_tag_has_moved_since()
    {
        await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old);
        var image = (await PlanAsync(new ImagesInUse([], [], []))).Single();
        var other = await PutAsync(branch, "1.1-aaaaaaaaaaaa", New);
        Assert.That((await Assert.ThrowsAsync<RegistryRefusalException>(() => BranchImages.RemoveAsync(client, image)))!.Code, Is.EqualTo("MOVED"));
        Assert.That(await client.FindDigestAsync(branch.WithTag("1.1-aaaaaaaaaaaa")), Is.EqualTo(other));
    }

    [Test]
    public async Task Refuses_a_release_repository() =>
        await Assert.ThrowsAsync<UsageException>(() => BranchImages.PlanAsync(client, release, new ImagesInUse([release], [], []), Limit));

    private Task<IReadOnlyList<BranchImage>> PlanAsync(ImagesInUse inUse) => BranchImages.PlanAsync(client, branch, inUse, Limit);

    private async Task<string> PutAsync(ImageReference repository, string tag, string? created, string? content = null)
    {
        var json = new JsonObject { ["os"] = "linux", ["architecture"] = "amd64", ["created"] = created, ["config"] = new JsonObject { ["Labels"] = new JsonObject { ["content"] = content ?? tag } } };
        if (created is null) json.Remove("created");
        var config = await client.UploadBlobAsync(repository, Encoding.UTF8.GetBytes(json.ToJsonString()), "application/vnd.oci.image.config.v1+json");
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = config.MediaType, ["digest"] = config.Digest, ["size"] = config.Size },
            ["layers"] = new JsonArray(),
        };
        return await client.PutManifestAsync(repository.WithTag(tag), RegistryManifest.Read(Encoding.UTF8.GetBytes(manifest.ToJsonString()), MediaTypes.OciManifest));
    }
}
