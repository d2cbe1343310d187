using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;

namespace CiSteps.Images.Tests;

/// <summary>A tag that goes away alone, at a registry that deletes by digest with all tags that point there.</summary>
[Category("NeedsDocker")]
public sealed class RemovedTagTests
{
    [Test]
    public async Task Goes_and_leaves_the_image_and_its_other_tags()
    {
        await using var registry = await LocalRegistry.StartAsync();
        using var client = registry.Connect();
        var (name, digest) = await PushAsync(registry, client);

        Assert.That(await client.RemoveTagAsync(name.WithTag("1-production"), digest), Is.True);

        Assert.That(await client.FindDigestAsync(name.WithTag("1-production")), Is.Null);
        Assert.That(await client.FindDigestAsync(name.WithTag("1.7")), Is.EqualTo(digest));
        Assert.That(await client.RemoveTagAsync(name.WithTag("1-production"), digest), Is.True, "twice is once");
    }

    [Test]
    public async Task Stays_when_it_points_to_something_else_by_now()
    {
        await using var registry = await LocalRegistry.StartAsync();
        using var client = registry.Connect();
        var (name, digest) = await PushAsync(registry, client);

        Assert.That(await client.RemoveTagAsync(name.WithTag("1-production"), "sha256:" + new string('1', 64)), Is.False);
        Assert.That(await client.FindDigestAsync(name.WithTag("1-production")), Is.EqualTo(digest));
    }

    [Test]
    public async Task Points_to_its_image_again_where_deletion_is_switched_off()
    {
        await using var registry = await LocalRegistry.StartAsync(deletes: false);
        using var client = registry.Connect();
        var (name, digest) = await PushAsync(registry, client);

        var refusal = await Assert.ThrowsAsync<RegistryRefusalException>(() =>
            client.RemoveTagAsync(name.WithTag("1-production"), digest));

        Assert.That(refusal!.Message, Does.Contain("deletion is switched off"));
        Assert.That(await client.FindDigestAsync(name.WithTag("1-production")), Is.EqualTo(digest));
    }

    private static async Task<(ImageReference Name, string Digest)> PushAsync(LocalRegistry registry, RegistryClient client)
    {
        var name = registry.Reference("team/service", "1.7");
        var blob = await client.UploadBlobAsync(name, Encoding.UTF8.GetBytes("""{"architecture":"amd64","os":"linux"}"""),
            "application/vnd.oci.image.config.v1+json");
        var manifest = RegistryManifest.Read(Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = blob.MediaType, ["digest"] = blob.Digest, ["size"] = blob.Size },
            ["layers"] = new JsonArray(),
        }.ToJsonString()), MediaTypes.OciManifest);
        foreach (var tag in new[] { "1.7", "1-production" }) await client.PutManifestAsync(name.WithTag(tag), manifest);
        return (name, manifest.Digest);
    }
}
