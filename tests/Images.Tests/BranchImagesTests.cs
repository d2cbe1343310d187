using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class BranchImagesTests
{
    private const string Old = "2026-01-01T00:00:00Z";
    private static readonly IReadOnlySet<string> None = new HashSet<string>();

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
    public async Task Lists_each_image_once_with_its_tags_its_age_and_what_it_was_built_from()
    {
        var digest = await PutAsync(
            branch,
            "1.2-bbbbbbbbbbbb",
            Old,
            (ImageName.RevisionLabel, "bbbb"),
            (ImageName.SourceLabel, "https://git.example/r"));
        await client.PutManifestAsync(
            branch.WithTag("1.1-aaaaaaaaaaaa"), (await client.FindManifestAsync(branch.WithDigest(digest)))!);
        await PutAsync(branch, "1.3-cccccccccccc", null);
        await PutAsync(branch, "1.4-dddddddddddd", Old, ("released", "yes"));
        await PutAsync(release, "1.4", Old, ("released", "yes"));
        await client.AttachAsync(branch.WithDigest(digest), MediaTypes.InToto, "{}"u8.ToArray());
        var images = await ListAsync();
        Assert.That(
            images.Select(image => string.Join(' ', image.Tags)),
            Is.EqualTo(new[] { "1.1-aaaaaaaaaaaa 1.2-bbbbbbbbbbbb", "1.3-cccccccccccc", "1.4-dddddddddddd" }));
        Assert.That(
            (images[0].Image.Digest, images[0].Created, images[0].Revision, images[0].Source),
            Is.EqualTo(
                (
                    digest,
                    DateTimeOffset.Parse(Old, System.Globalization.CultureInfo.InvariantCulture),
                    "bbbb",
                    "https://git.example/r")));
        Assert.That(images.Select(image => image.Created is null), Is.EqualTo(new[] { false, true, false }));
        Assert.That(images.Select(image => image.IsReleased), Is.EqualTo(new[] { false, false, true }));
    }

    [TestCase("2026-02-02T00:00:00Z", "2026-02-02")]
    [TestCase("2025-02-02T00:00:00Z", "2026-01-01")]
    [TestCase("yesterday", "2026-01-01")]
    public async Task Takes_the_later_of_the_layers_time_and_the_labels(string label, string expected)
    {
        await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old, (ImageName.CreatedLabel, label));
        Assert.That($"{(await ListAsync()).Single().Created!.Value.UtcDateTime:yyyy-MM-dd}", Is.EqualTo(expected));
    }

    [Test]
    public async Task Leaves_an_image_that_the_registry_does_not_let_go_with_all_that_belongs_to_it()
    {
        var (image, deleted, refusal) = await RemoveFromAsync(refused: Digest('1'));
        Assert.That(deleted, Is.EqualTo(new[] { image }));
        Assert.That(refusal!.Code, Is.EqualTo("PRECONDITION"));
    }

    [Test]
    public async Task Says_when_the_image_is_gone_and_something_that_belonged_to_it_is_not()
    {
        var (image, deleted, refusal) = await RemoveFromAsync(refused: Digest('2'));
        Assert.That(deleted, Is.EqualTo(new[] { image, Digest('2') }));
        Assert.That((refusal!.Code, refusal.Status), Is.EqualTo((BranchImages.Remains, 412)));
        Assert.That(refusal.Message, Does.Contain(image + "\" is gone, and not all").And.Contain(Digest('2')));
    }

    [Test]
    public async Task Removes_an_image_with_all_of_its_tags_and_what_is_attached_and_nothing_else()
    {
        var digest = await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old);
        await client.PutManifestAsync(
            branch.WithTag("1.2-bbbbbbbbbbbb"), (await client.FindManifestAsync(branch.WithDigest(digest)))!);
        var attached = await client.AttachAsync(branch.WithDigest(digest), MediaTypes.InToto, "{}"u8.ToArray());
        await PutAsync(branch, "1.3-cccccccccccc", Old, ("other", "content"));
        await BranchImages.RemoveAsync(client, (await ListAsync())[0], None);
        Assert.That(await client.FindDigestAsync(branch.WithDigest(attached)), Is.Null);
        Assert.That(await client.ListTagsAsync(branch), Is.EqualTo(new[] { "1.3-cccccccccccc" }));
        Assert.That((await ListAsync()).Single().Tags, Is.EqualTo(new[] { "1.3-cccccccccccc" }));
    }

    [Test]
    public async Task Removes_an_index_with_the_manifests_that_no_other_image_needs()
    {
        var shared = await PutAsync(branch, "shared", Old, ("part", "shared"));
        var own = await PutAsync(branch, "own", Old, ("part", "own"));
        await PutIndexAsync("1.1-aaaaaaaaaaaa", (shared, "amd64"), (own, "arm64"));
        var image = (await ListAsync()).Single(one => one.Tags[0] == "1.1-aaaaaaaaaaaa");
        Assert.That(image.Parts, Is.EquivalentTo(new[] { shared, own }));
        await BranchImages.RemoveAsync(client, image, new HashSet<string> { shared });
        Assert.That(await client.FindDigestAsync(image.Image), Is.Null);
        Assert.That(await client.FindDigestAsync(branch.WithDigest(own)), Is.Null);
        Assert.That(await client.FindDigestAsync(branch.WithDigest(shared)), Is.EqualTo(shared));
    }

    [Test]
    public async Task Lists_what_cannot_be_read_with_the_reason_beside_what_can()
    {
        var kept = await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old, ("part", "kept"));
        var gone = await PutAsync(branch, "gone", Old, ("part", "gone"));
        await PutIndexAsync("1.2-bbbbbbbbbbbb", (kept, "amd64"), (gone, "arm64"));
        await client.DeleteManifestAsync(branch.WithDigest(gone));
        await PutWithConfigAsync(
            "1.3-cccccccccccc",
            await client.UploadBlobAsync(branch, "no JSON"u8.ToArray(), "application/vnd.oci.image.config.v1+json"));
        var config = await client.UploadBlobAsync(
            branch,
            """{"os":"linux"}"""u8.ToArray(),
            "application/vnd.oci.image.config.v1+json");
        await PutWithConfigAsync("1.4-dddddddddddd", config);
        using (var http = new HttpClient())
            (await http.DeleteAsync(new Uri(
                $"http://{registry.Host}/v2/{branch.Path}/blobs/{config.Digest}"))).EnsureSuccessStatusCode();
        await PutAsync(branch, "1.5-eeeeeeeeeeee", Old, ("tag", "broken"));
        registry.BreakTag(branch.WithTag("1.5-eeeeeeeeeeee"));
        var images = await ListAsync();
        Assert.That(images.Select(image => image.Tags.Single()[..3]), Is.EqualTo(new[] { "1.1", "1.2", "1.3", "1.4", "1.5" }));
        Assert.Multiple(() =>
        {
            Assert.That(images[0].Unreadable, Is.Null);
            Assert.That(images[1].Unreadable, Does.Contain(gone).And.Contain("not in the registry"));
            Assert.That(images[1].Parts, Is.EqualTo(new[] { kept, gone }));
            Assert.That(images[2].Unreadable, Does.Contain("is not an image"));
            Assert.That(images[3].Unreadable, Does.Contain(config.Digest));
            Assert.That((images[4].Image.Digest, images[4].Image.Tag), Is.EqualTo(((string?)null, "1.5-eeeeeeeeeeee")));
            Assert.That(images[4].Unreadable, Does.Contain("1.5-eeeeeeeeeeee"));
        });
    }

    [Test]
    public async Task Takes_a_registry_that_fails_for_no_broken_image()
    {
        await using var failing = await ScriptedRegistry.StartAsync((context, number) => number == 1
            ? ScriptedRegistry.AnswerAsync(context, 200, """{"tags":["1.1-aaaaaaaaaaaa"]}""")
                : ScriptedRegistry.AnswerAsync(context, 503, "", ("Retry-After", "0")));
        using var other = RegistryClient.Open(new RegistryCredentials(null, [], new Dictionary<string, string>()));
        var failure = await Assert.ThrowsAsync<UnavailableException>(
            () => BranchImages.ListAsync(other, failing.Reference(), ImageReference.Of($"{failing.Host}/b", "1")));
        Assert.That(failure!.Message, Does.Contain("tags/list"));
    }

    [Test]
    public async Task Does_not_remove_an_image_whose_tag_has_moved_since()
    {
        await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old);
        var image = (await ListAsync()).Single();
        var other = await PutAsync(branch, "1.1-aaaaaaaaaaaa", Old, ("other", "content"));
        Assert.That(
            (await Assert.ThrowsAsync<RegistryRefusalException>(() => BranchImages.RemoveAsync(client, image, None)))!.Code,
            Is.EqualTo("MOVED"));
        Assert.That(await client.FindDigestAsync(branch.WithTag("1.1-aaaaaaaaaaaa")), Is.EqualTo(other));
    }

    [Test]
    public async Task Refuses_a_release_repository() =>
        await Assert.ThrowsAsync<UsageException>(() => BranchImages.ListAsync(client, release, release));

    private static string Digest(char digit) => "sha256:" + new string(digit, 64);

    // An image with one attached document, in a registry that refuses one deletion.
    private static async Task<(string Image, IReadOnlyList<string> Deleted, RegistryRefusalException? Refusal)> RemoveFromAsync(
        string refused)
    {
        await using var refusing = await ScriptedRegistry.StartAsync((context, _) =>
        {
            var path = context.Request.Path.Value!;
            if (path.Contains("/referrers/", StringComparison.Ordinal))
                return ScriptedRegistry.AnswerAsync(
                    context,
                    200,
                    $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":""" +
                    $$"""[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest('2')}}","size":1}]}""",
                    ("Content-Type", MediaTypes.OciIndex));
            if (context.Request.Method != "DELETE")
                return path.EndsWith("/1.1-a", StringComparison.Ordinal)
                    ? ScriptedRegistry.AnswerAsync(context, 200, "", ("Docker-Content-Digest", Digest('1')))
                    : ScriptedRegistry.AnswerAsync(context, 404, """{"errors":[{"code":"MANIFEST_UNKNOWN"}]}""");
            return path.EndsWith(refused, StringComparison.Ordinal)
                ? ScriptedRegistry.AnswerAsync(
                    context,
                    412,
                    """{"errors":[{"code":"PRECONDITION","message":"the tag is immutable"}]}""")
                : ScriptedRegistry.AnswerAsync(context, 202);
        });
        using var other = RegistryClient.Open(new RegistryCredentials(null, [], new Dictionary<string, string>()));
        var image = new BranchImage(refusing.Reference(Digest('1')), ["1.1-a"], null);
        var refusal = await Assert.ThrowsAsync<RegistryRefusalException>(() => BranchImages.RemoveAsync(other, image, None));
        return (
            image.Image.Digest!,
            [.. refusing.Requests
                .Where(request => request.StartsWith("DELETE", StringComparison.Ordinal))
                .Select(request => request[(request.LastIndexOf('/') + 1)..])],
            refusal);
    }

    private async Task PutIndexAsync(string tag, params (string Digest, string Architecture)[] parts)
    {
        var entries = new JsonArray();
        foreach (var (digest, architecture) in parts)
        {
            entries.Add((JsonNode)new JsonObject
            {
                ["mediaType"] = MediaTypes.OciManifest,
                ["digest"] = digest,
                ["size"] = (await client.FindManifestAsync(branch.WithDigest(digest)))!.Bytes.Length,
                ["platform"] = new JsonObject { ["os"] = "linux", ["architecture"] = architecture },
            });
        }
        await PutAsync(tag, MediaTypes.OciIndex, new JsonObject { ["manifests"] = entries });
    }

    private Task PutWithConfigAsync(string tag, ContentDescriptor config) =>
        PutAsync(
            tag,
            MediaTypes.OciManifest,
            new JsonObject
            {
                ["config"] = new JsonObject
                {
                    ["mediaType"] = config.MediaType,
                    ["digest"] = config.Digest,
                    ["size"] = config.Size
                },
                ["layers"] = new JsonArray()
            });

    private Task PutAsync(string tag, string mediaType, JsonObject json)
    {
        (json["schemaVersion"], json["mediaType"]) = (2, mediaType);
        return client.PutManifestAsync(
            branch.WithTag(tag), RegistryManifest.Read(Encoding.UTF8.GetBytes(json.ToJsonString()), mediaType));
    }

    private Task<IReadOnlyList<BranchImage>> ListAsync() => BranchImages.ListAsync(client, branch, release);

    private Task<string> PutAsync(
        ImageReference repository, string tag, string? created, params (string Name, string Value)[] labels) =>
        LocalRegistry.PutImageAsync(client, repository.WithTag(tag), created, labels);
}
