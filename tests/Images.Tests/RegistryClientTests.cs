using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

[Category("NeedsDocker")]
[TestFixture(RegistryAccess.Open)]
[TestFixture(RegistryAccess.Basic)]
[TestFixture(RegistryAccess.Token)]
public sealed class RegistryClientTests(RegistryAccess access)
{
    private LocalRegistry registry = null!;
    private LocalEngine local = null!;
    private RegistryClient client = null!;
    private ImageReference pushed = null!;
    private string digest = "";

    [OneTimeSetUp]
    public async Task OpenAsync()
    {
        registry = await LocalRegistry.StartAsync(access);
        local = await LocalEngine.OpenAsync();
        client = registry.Connect();
        pushed = await local.MakeBaseImageAsync($"{registry.Host}/team/service");
        digest = await local.PushAsync(pushed, access == RegistryAccess.Open ? null : LocalRegistry.Credential);
    }

    [OneTimeTearDown]
    public async Task CloseAsync()
    {
        client.Dispose();
        await local.DisposeAsync();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task Finds_the_digest_that_the_engine_pushed()
    {
        Assert.That(await client.FindDigestAsync(pushed), Is.EqualTo(digest));
        Assert.That(await client.FindDigestAsync(pushed.WithDigest(digest)), Is.EqualTo(digest));
        var image = (await client.FindImageAsync(pushed))!;
        var localId = (await local.Engine.InspectImageAsync(pushed.ToString()))!.Id;
        // With the containerd store the id is the digest.
        Assert.That(image.KnownAs, Does.Contain(digest).And.Contain(localId));
        Assert.That(image.Platforms.Single().Platform, Is.EqualTo((await local.Engine.DescribeAsync()).Platform));
    }

    [Test]
    public async Task Says_absent_for_a_tag_a_digest_and_a_repository_that_are_not_there()
    {
        Assert.That(await client.FindDigestAsync(pushed.WithTag("no-such-tag")), Is.Null);
        Assert.That(await client.FindManifestAsync(pushed.WithDigest("sha256:" + new string('0', 64))), Is.Null);
        Assert.That(await client.FindDigestAsync(registry.Reference("no/such/repository")), Is.Null);
        Assert.That(await client.ListTagsAsync(registry.Reference("no/such/repository")), Is.Empty);
    }

    [Test]
    public async Task Retags_byte_for_byte_in_four_requests_and_moves_no_layer()
    {
        using var own = registry.Connect();
        // Warm: scheme and, where there are tokens, the rights to this repository.
        var manifest = (await own.FindManifestAsync(pushed))!;
        await own.PutManifestAsync(pushed.WithTag("warm"), manifest);
        var before = own.Requests;
        var again = (await own.FindManifestAsync(pushed.WithDigest(digest)))!;
        await own.MoveTagAsync(pushed.WithTag("retagged"), again, expected: null);
        Assert.That(own.Requests - before, Is.LessThanOrEqualTo(4));
        Assert.That(await own.FindDigestAsync(pushed.WithTag("retagged")), Is.EqualTo(digest));
        Assert.That(await client.ListTagsAsync(pushed), Is.SupersetOf(new[] { "1", "retagged" }));
    }

    [Test]
    public async Task Refuses_to_move_a_tag_that_somebody_else_moved()
    {
        var manifest = (await client.FindManifestAsync(pushed))!;
        var other = await PushIndexAsync("other", manifest);
        await client.MoveTagAsync(pushed.WithTag("moving"), manifest, null);
        await client.MoveTagAsync(pushed.WithTag("moving"), other, manifest.Digest);
        Assert.That(await client.FindDigestAsync(pushed.WithTag("moving")), Is.EqualTo(other.Digest));
    }

    [Test]
    public async Task Leaves_attestations_out_of_an_index()
    {
        var manifest = (await client.FindManifestAsync(pushed))!;
        var index = await PushIndexAsync("indexed", manifest);
        Assert.That(index.IsIndex);
        Assert.That(index.Entries.Select(entry => entry.IsAttestation), Is.EqualTo(new[] { false, true }));
        var image = (await client.FindImageAsync(pushed.WithTag("indexed")))!;
        Assert.That(image.Digest, Is.EqualTo(index.Digest));
        Assert.That(image.Platforms, Has.Count.EqualTo(1));
        Assert.That(image.KnownAs, Does.Contain(index.Digest).And.Contain(manifest.Digest).And.Contain(manifest.Config!.Digest));
        var retagged = (await client.FindManifestAsync(pushed.WithDigest(index.Digest)))!;
        Assert.That(await client.PutManifestAsync(pushed.WithTag("index-again"), retagged), Is.EqualTo(index.Digest));
    }

    [Test]
    public async Task Attaches_a_document_once_and_finds_it_again()
    {
        var subject = pushed.WithDigest(digest);
        var first = await client.AttachAsync(
            subject, MediaTypes.InToto, "{\"a\":1}"u8.ToArray(), new Dictionary<string, string> { ["kind"] = "provenance" });
        var again = await client.AttachAsync(
            subject, MediaTypes.InToto, "{\"a\":1}"u8.ToArray(), new Dictionary<string, string> { ["kind"] = "provenance" });
        await client.AttachAsync(subject, "application/vnd.other", "other"u8.ToArray());
        Assert.That(again, Is.EqualTo(first));
        var found = await client.ReadAttachedAsync(subject, MediaTypes.InToto);
        Assert.That(found, Has.Count.EqualTo(1));
        Assert.That(Encoding.UTF8.GetString(found[0].Content), Is.EqualTo("{\"a\":1}"));
        Assert.That(found[0].Entry.Annotations["kind"], Is.EqualTo("provenance"));
        Assert.That(await client.ListReferrersAsync(subject), Has.Count.EqualTo(2));
        Assert.That(await client.FindDigestAsync(pushed), Is.EqualTo(digest), "the image itself has not changed");
    }

    [Test]
    public async Task Shares_an_image_with_another_repository_without_moving_a_layer()
    {
        var target = registry.Reference("ci/service", "shared");
        Assert.That(await client.ShareAsync(pushed.WithDigest(digest), target), Is.True);
        Assert.That(await client.FindDigestAsync(target), Is.EqualTo(digest));
        var pulled = await local.Engine.PullAsync(
            target.ToString(), access == RegistryAccess.Open ? null : LocalRegistry.Credential);
        if (pulled.IsSaid) Assert.That(pulled.Digest, Is.EqualTo(digest));
        local.Own(target.ToString());
        Assert.That(await client.ShareAsync(pushed.WithDigest("sha256:" + new string('0', 64)), target), Is.False);
    }

    [Test]
    public async Task Deletes_by_digest_and_says_when_it_was_gone()
    {
        var manifest = (await client.FindManifestAsync(pushed))!;
        var index = await PushIndexAsync("doomed", manifest);
        Assert.That(await client.DeleteManifestAsync(pushed.WithDigest(index.Digest)), Is.True);
        Assert.That(await client.DeleteManifestAsync(pushed.WithDigest(index.Digest)), Is.False);
        Assert.That(await client.FindDigestAsync(pushed.WithTag("doomed")), Is.Null);
    }

    [Test]
    public async Task Says_what_to_do_when_credentials_are_missing_or_wrong()
    {
        if (access == RegistryAccess.Open)
        {
            using var anybody = RegistryClient.Open(RegistryCredentials.None);
            Assert.That(await anybody.FindDigestAsync(pushed), Is.EqualTo(digest));
            return;
        }
        using var nobody = RegistryClient.Open(RegistryCredentials.None);
        var missing = await Assert.ThrowsAsync<UsageException>(() => nobody.FindDigestAsync(pushed));
        Assert.That(missing!.Message, Does.Contain(registry.Host).And.Contain("CISTEPS_REGISTRY_USER"));
        using var wrong = RegistryClient.Open(new RegistryCredentials(
            new RegistryCredential("tester", "not it at all"), [registry.Host], new Dictionary<string, string>()));
        var refused = await Assert.ThrowsAsync<UsageException>(() => wrong.FindDigestAsync(pushed));
        Assert.That(refused!.Message, Does.Contain("tester").And.Not.Contain("not it at all"));
    }

    [Test]
    public async Task Engine_says_unauthorized_and_not_found_apart()
    {
        var missing = await Assert.ThrowsAsync<ImagePullException>(
            () => local.Engine.PullAsync(
                pushed.WithTag("nothing-here").ToString(), access == RegistryAccess.Open ? null : LocalRegistry.Credential));
        Assert.That(missing!.Kind, Is.EqualTo(ImagePullFailure.NotFound), missing.Message);
        var pulled = await local.Engine.PullAsync(
            pushed.ToString(), access == RegistryAccess.Open ? null : LocalRegistry.Credential);
        // podman says no digest, and has one of its own for what was packed there.
        Assert.That(pulled.IsSaid, Is.Not.EqualTo(local.Engine.IsPodman));
        if (pulled.IsSaid) Assert.That(pulled.Digest, Is.EqualTo(digest));
        if (access == RegistryAccess.Open) return;
        var refused = await Assert.ThrowsAsync<ImagePullException>(() => local.Engine.PullAsync(pushed.ToString()));
        Assert.That(refused!.Kind, Is.EqualTo(ImagePullFailure.Unauthorized), refused.Message);
        var push = await Assert.ThrowsAsync<ImagePushException>(() => local.Engine.PushAsync(pushed));
        Assert.That(push!.Kind, Is.EqualTo(ImagePullFailure.Unauthorized), push.Message);
    }

    [Test]
    public async Task A_token_endpoint_that_answers_404_does_not_mean_absent()
    {
        if (access != RegistryAccess.Token)
        {
            Assert.That(registry.AskedScopes, Is.Empty);
            return;
        }
        registry.FailTokens(404, 1);
        using var own = registry.Connect();
        var unknown = await Assert.ThrowsAsync<UnavailableException>(() => own.FindDigestAsync(pushed));
        Assert.That(unknown!.Reason, Is.EqualTo("registry-protocol"));
        Assert.That(unknown.Message, Does.Contain("404"));
        Assert.That(await own.FindDigestAsync(pushed), Is.EqualTo(digest));
        Assert.That(registry.AskedScopes, Does.Contain("repository:team/service:pull"));
        using var byIdentity = RegistryClient.Open(new RegistryCredentials(
            new RegistryCredential("", "", "identity of the test"), [registry.Host], new Dictionary<string, string>()));
        Assert.That(await byIdentity.FindDigestAsync(pushed), Is.EqualTo(digest));
    }

    private async Task<RegistryManifest> PushIndexAsync(string tag, RegistryManifest image)
    {
        var attestation = await client.AttachAsync(
            pushed.WithDigest(image.Digest), "application/vnd.test." + tag, Encoding.UTF8.GetBytes(tag));
        var inner = (await client.FindManifestAsync(pushed.WithDigest(attestation)))!;
        JsonObject Entry(RegistryManifest manifest, string os, string architecture) => new()
        {
            ["mediaType"] = manifest.MediaType,
            ["digest"] = manifest.Digest,
            ["size"] = manifest.Bytes.Length,
            ["platform"] = new JsonObject { ["os"] = os, ["architecture"] = architecture },
        };
        var statement = Entry(inner, "unknown", "unknown");
        statement["annotations"] = new JsonObject
        {
            ["vnd.docker.reference.type"] = "attestation-manifest",
            ["vnd.docker.reference.digest"] = image.Digest
        };
        var json = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciIndex,
            ["manifests"] = new JsonArray((JsonNode)Entry(image, "linux", "amd64"), (JsonNode)statement),
        };
        var index = RegistryManifest.Read(Encoding.UTF8.GetBytes(json.ToJsonString()), MediaTypes.OciIndex);
        Assert.That(await client.PutManifestAsync(pushed.WithTag(tag), index), Is.EqualTo(index.Digest));
        return index;
    }
}
