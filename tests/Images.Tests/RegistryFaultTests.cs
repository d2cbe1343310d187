using System.Text;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using static CiSteps.Images.Tests.ScriptedRegistry;

namespace CiSteps.Images.Tests;

/// <summary>What the client makes of registries in trouble.</summary>
public sealed class RegistryFaultTests
{
    private const string Manifest =
        """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":""" +
        """{"mediaType":"application/vnd.oci.image.config.v1+json",""" +
        "\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"," +
        "\"size\":1},\"layers\":[]}";
    private static readonly string Digest = RegistryManifest.Read(Encoding.UTF8.GetBytes(Manifest)).Digest;
    private readonly FakeTimeProvider time = new();

    [TestCase(408)]
    [TestCase(429)]
    [TestCase(499)]
    [TestCase(500)]
    [TestCase(502)]
    [TestCase(503)]
    [TestCase(504)]
    [TestCase(522)]
    public async Task Tries_again_when_the_registry_says_that_it_passes_by_itself(int status)
    {
        await using var registry = await StartAsync(
            (context, number) => number == 1 ? AnswerAsync(context, status, "", ("Retry-After", "0")) : ManifestAsync(context));
        using var client = Open();
        Assert.That((await client.FindManifestAsync(registry.Reference()))!.Digest, Is.EqualTo(Digest));
        Assert.That(registry.Requests, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task Waits_as_long_as_the_registry_asks_but_not_for_ever()
    {
        await using var registry = await StartAsync(
            (context, number) => number <= 2
                ? AnswerAsync(context, 429, "", ("Retry-After", number == 1 ? "30" : "86400"))
                : ManifestAsync(context));
        using var client = Open();
        var began = time.GetUtcNow();
        var asked = client.FindManifestAsync(registry.Reference());
        await AdvanceUntilAsync(asked);
        Assert.That((await asked)!.Digest, Is.EqualTo(Digest));
        Assert.That(time.GetUtcNow() - began, Is.InRange(TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(120)));
    }

    [Test]
    public async Task Is_unavailable_after_four_tries()
    {
        await using var registry = await StartAsync(
            (context, _) => AnswerAsync(context, 503, "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"disk full\"}]}"));
        using var client = Open();
        var asked = client.FindDigestAsync(registry.Reference());
        await AdvanceUntilAsync(asked);
        var failure = await Assert.ThrowsAsync<UnavailableException>(() => asked);
        Assert.That(failure!.Reason, Is.EqualTo("registry-unreachable"));
        Assert.That(failure.Message, Does.Contain(registry.Host).And.Contain("503"));
        Assert.That(registry.Requests, Has.Count.EqualTo(4));
    }

    [Test]
    public async Task Is_unavailable_when_nobody_listens()
    {
        await using var registry = await StartAsync((context, _) => ManifestAsync(context));
        var reference = registry.Reference();
        await registry.DisposeAsync();
        using var client = Open();
        var asked = client.FindDigestAsync(reference);
        await AdvanceUntilAsync(asked);
        await Assert.ThrowsAsync<UnavailableException>(() => asked);
    }

    [TestCase("{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}", true)]
    [TestCase("{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"repository name not known to registry\"}]}", true)]
    [TestCase("404 page not found", false)]
    [TestCase("<html>no such site</html>", false)]
    [TestCase("{\"errors\":[]}", false)]
    [TestCase("", false)]
    public async Task Only_the_manifests_own_404_means_absent(string body, bool isAbsent)
    {
        await using var registry = await StartAsync((context, _) => AnswerAsync(context, 404, body));
        using var client = Open();
        if (isAbsent)
        {
            Assert.That(await client.FindDigestAsync(registry.Reference()), Is.Null);
            return;
        }
        var failure = await Assert.ThrowsAsync<UnavailableException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(failure!.Message, Does.Contain("not known"));
    }

    [Test]
    public async Task Notices_bytes_that_are_not_the_digests()
    {
        await using var registry = await StartAsync((context, _) => ManifestAsync(context));
        using var client = Open();
        await Assert.ThrowsAsync<UnavailableException>(
            () => client.FindManifestAsync(registry.Reference("sha256:" + new string('0', 64))));
    }

    [Test]
    public async Task A_move_that_was_cut_off_but_arrived_is_done_and_not_written_twice()
    {
        var moved = false;
        await using var registry = await StartAsync((context, _) =>
        {
            if (!HttpMethods.IsPut(context.Request.Method)) return moved ? ManifestAsync(context) : AbsentAsync(context);
            moved = true;
            return AnswerAsync(context, 504);
        });
        using var client = Open();
        await client.MoveTagAsync(registry.Reference("tag"), RegistryManifest.Read(Encoding.UTF8.GetBytes(Manifest)), null);
        Assert.That(registry.Requests.Count(request => request.StartsWith("PUT", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task A_move_is_not_repeated_over_somebody_elses()
    {
        const string Other = """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}""";
        await using var registry = await StartAsync((context, _) => HttpMethods.IsPut(context.Request.Method)
            ? AnswerAsync(context, 500)
            : AnswerAsync(context, 200, Other, ("Content-Type", MediaTypes.OciIndex)));
        using var client = Open();
        var refusal = await Assert.ThrowsAsync<RegistryRefusalException>(
            () => client.MoveTagAsync(registry.Reference("tag"), RegistryManifest.Read(Encoding.UTF8.GetBytes(Manifest)), null));
        Assert.That(refusal!.Code, Is.EqualTo("MOVED"));
        Assert.That(registry.Requests.Count(request => request.StartsWith("PUT", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task A_tag_that_the_registry_keeps_as_it_is_is_a_refusal_with_its_reason()
    {
        await using var registry = await StartAsync(
            (context, _) => AnswerAsync(context, 409,
                "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"tag is immutable\"}]}"));
        using var client = Open();
        var refusal = await Assert.ThrowsAsync<RegistryRefusalException>(
            () => client.PutManifestAsync(registry.Reference("tag"), RegistryManifest.Read(Encoding.UTF8.GetBytes(Manifest))));
        Assert.That(refusal!.Message, Does.Contain("immutable"));
        Assert.That(registry.Requests, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Turns_the_pages_of_a_long_tag_list()
    {
        await using var registry = await StartAsync((context, _) => context.Request.Query.ContainsKey("last")
            ? AnswerAsync(context, 200, """{"name":"a/b","tags":["three"]}""")
            : AnswerAsync(
                context,
                200,
                """{"name":"a/b","tags":["one","two"]}""",
                ("Link", "</v2/a/b/tags/list?last=two&n=1000>; rel=\"next\"")));
        using var client = Open();
        Assert.That(await client.ListTagsAsync(registry.Reference()), Is.EqualTo(new[] { "one", "two", "three" }));
    }

    [Test]
    public async Task Uses_the_referrers_api_where_there_is_one()
    {
        var list =
            $$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
              {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{{Digest}}","size":9,"artifactType":"a/b"},
              {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{{Digest}}","size":9,"artifactType":"c/d"}]}
            """;
        await using var registry = await StartAsync(
            (context, _) => AnswerAsync(context, 200, list, ("Content-Type", MediaTypes.OciIndex)));
        using var client = Open();
        Assert.That(await client.ListReferrersAsync(registry.Reference(Digest), "c/d"), Has.Count.EqualTo(1));
        Assert.That(registry.Requests, Is.EqualTo(new[] { $"GET /v2/a/b/referrers/{Digest}" }));
    }

    [Test]
    public async Task Does_not_send_credentials_to_a_token_endpoint_by_plain_http_elsewhere()
    {
        await using var registry = await StartAsync(
            (context, _) => AnswerAsync(
                context,
                401,
                "",
                ("WWW-Authenticate", "Bearer realm=\"http://elsewhere.example/token\",service=\"x\"")));
        using var client = RegistryClient.Open(
            new RegistryCredentials(
                new RegistryCredential("user", "password"), [registry.Host], new Dictionary<string, string>()),
            time: time);
        // The registry itself is on this machine and may be spoken to plainly; where it points to may not.
        var failure = await Assert.ThrowsAsync<UsageException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(failure!.Message, Does.Contain("elsewhere.example").And.Not.Contain("password"));
    }

    [TestCase("[]")]
    [TestCase("{")]
    [TestCase("{\"mediaType\":5,\"config\":{\"digest\":5}}")]
    [TestCase("{\"config\":{\"digest\":\"../../secrets\",\"size\":1}}")]
    [TestCase("{\"config\":{\"digest\":\"DIGEST\",\"size\":\"1\"}}")]
    [TestCase("{\"config\":{\"digest\":\"DIGEST\",\"size\":-1}}")]
    [TestCase("{\"layers\":{}}")]
    [TestCase("{\"layers\":[5]}")]
    [TestCase("{\"layers\":[],\"layers\":[]}")]
    [TestCase("{\"mediaType\":\"a\\r\\nb\"}")]
    [TestCase("{\"mediaType\":\"\\ud800\",\"layers\":[{}]}")]
    public async Task What_is_not_a_manifest_is_the_registrys_failure(string body)
    {
        await using var registry = await StartAsync((context, _) =>
            AnswerAsync(context, 200, body.Replace("DIGEST", Digest, StringComparison.Ordinal)));
        using var client = Open();
        var failure = await Assert.ThrowsAsync<UnavailableException>(() => client.FindImageAsync(registry.Reference()));
        Assert.That(failure!.Reason, Is.EqualTo("registry-protocol"));
        Assert.That(failure.Message, Does.Contain("not a manifest"));
    }

    [TestCase("[]")]
    [TestCase("{\"tags\":5}")]
    [TestCase("{\"tags\":{\"a\":1}}")]
    [TestCase("{\"tags\":[\"one\",5]}")]
    [TestCase("{\"tags\":[\"one\"],\"tags\":[]}")]
    [TestCase("no JSON")]
    public async Task A_list_of_tags_that_is_not_one_does_not_pass_for_a_short_one(string body)
    {
        await using var registry = await StartAsync((context, _) => AnswerAsync(context, 200, body));
        using var client = Open();
        Assert.That((await Assert.ThrowsAsync<UnavailableException>(() => client.ListTagsAsync(registry.Reference())))!.Message,
            Does.Contain("list of the tags"));
    }

    [TestCase("</v2/a/b/tags/list?n=1000>; rel=\"next\"")]
    [TestCase("<file:///etc/passwd>; rel=\"next\"")]
    [TestCase("<http://:x>; rel=\"next\"")]
    [TestCase("nowhere; rel=\"next\"")]
    public async Task A_list_that_leads_nowhere_or_in_a_circle_is_the_registrys_failure(string link)
    {
        await using var registry = await StartAsync((context, _) =>
            AnswerAsync(context, 200, "{\"tags\":[\"one\"]}", ("Link", link)));
        using var client = Open();
        Assert.That((await Assert.ThrowsAsync<UnavailableException>(() => client.ListTagsAsync(registry.Reference())))!.Reason,
            Is.EqualTo("registry-protocol"));
        Assert.That(registry.Requests, Has.Count.EqualTo(1));
    }

    [TestCase("{\"errors\":[{\"code\":5,\"message\":{}}]}")]
    [TestCase("{\"errors\":{\"code\":\"MANIFEST_UNKNOWN\"}}")]
    [TestCase("{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}],\"errors\":[]}")]
    [TestCase("[1]")]
    public async Task An_error_that_is_not_the_registrys_form_tells_nothing(string body)
    {
        await using var registry = await StartAsync((context, _) => AnswerAsync(context, 404, body));
        using var client = Open();
        Assert.That((await Assert.ThrowsAsync<UnavailableException>(() => client.FindDigestAsync(registry.Reference())))!.Message,
            Does.Contain("not known"));
    }

    [TestCase("file:///etc/passwd")]
    [TestCase("ftp://elsewhere.example/x")]
    [TestCase("")]
    public async Task An_upload_that_goes_on_nowhere_is_the_registrys_failure(string place)
    {
        await using var registry = await StartAsync((context, _) => HttpMethods.IsPost(context.Request.Method)
            ? AnswerAsync(context, 202, "", ("Location", place)) : AbsentAsync(context));
        using var client = Open();
        var failure = await Assert.ThrowsAsync<UnavailableException>(() =>
            client.UploadBlobAsync(registry.Reference(), [1], "a/b"));
        Assert.That(failure!.Message, Does.Contain("where it goes on"));
        await Assert.ThrowsAsync<UnavailableException>(() => client.TryPushAsync(registry.Reference()));
    }

    [TestCase("https://registry-1.docker.io/v2/x", "docker.io", true)]
    [TestCase("https://registry.example/v2/x", "registry.example:443", true)]
    [TestCase("https://registry.example:443/v2/x", "registry.example", true)]
    [TestCase("https://registry.example/v2/x", "Registry.Example", true)]
    [TestCase("http://registry.example:5000/v2/x", "registry.example:5000", true)]
    [TestCase("https://[::1]:5000/v2/x", "[::1]:5000", true)]
    [TestCase("https://registry.example:5000/v2/x", "registry.example", false)]
    [TestCase("https://storage.example/v2/x", "registry.example", false)]
    [TestCase("https://registry.example.evil/v2/x", "registry.example", false)]
    [TestCase("https://docker.io/v2/x", "docker.io", false)]
    public void Knows_the_registry_in_the_place_of_an_upload_however_it_is_written(string place, string host, bool isAt) =>
        Assert.That(RegistryConnection.IsAt(new Uri(place), host), Is.EqualTo(isAt));

    [TestCase("{\"token\":\"a\\r\\nX-Evil: 1\"}", "characters")]
    [TestCase("{\"token\":\"a b\"}", "characters")]
    [TestCase("{\"token\":5}", "no token")]
    [TestCase("{\"token\":\"\\ud800\"}", "no token")]
    [TestCase("{\"token\":\"a\",\"token\":\"b\"}", "no token")]
    [TestCase("[]", "no token")]
    [TestCase("", "no token")]
    public async Task A_token_that_is_not_one_is_the_registrys_failure(string body, string why)
    {
        await using var registry = await StartAsync((context, _) => context.Request.Path == "/token"
            ? AnswerAsync(context, 200, body, ("Content-Type", "application/json; charset=nonsense"))
            : AnswerAsync(context, 401, "",
                ("WWW-Authenticate", $"Bearer realm=\"http://{context.Request.Host}/token\",service=\"x\"")));
        using var client = Open();
        Assert.That((await Assert.ThrowsAsync<UnavailableException>(() => client.FindDigestAsync(registry.Reference())))!.Message,
            Does.Contain(why));
    }

    [TestCase("Bearer service=\"x\"", "has no realm")]
    [TestCase("Bearer realm=\"\",service=\"x\"", "has no realm")]
    [TestCase("Bearer realm=\"not a url\"", "has the realm \"not a url\", which is not an http or https address")]
    [TestCase("Bearer realm=\"file:///etc/passwd\"", "which is not an http or https address")]
    public async Task A_challenge_that_leads_nowhere_is_told_by_what_it_lacks(string challenge, string lacks)
    {
        await using var registry = await StartAsync(
            (context, _) => AnswerAsync(context, 401, "", ("WWW-Authenticate", challenge)));
        using var client = Open();
        var failure = await Assert.ThrowsAsync<UnavailableException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(failure!.Message, Does.Contain($"\"{registry.Host}\" wants a token").And.Contain(lacks));
    }

    [TestCase(200, "text/html", "<html>log in</html>", "no token but a web page (text/html, 19 bytes)")]
    [TestCase(200, "text/plain", "log in", "no token but something that is not a JSON object (6 bytes)")]
    [TestCase(200, "application/json", "{\"expires_in\":60}", "no token but JSON without one")]
    [TestCase(302, "text/html", "", "HTTP 302, a redirect in a circle")]
    public async Task A_token_endpoint_that_is_none_is_told_as_what_answers_in_its_place(
        int status, string type, string body, string found)
    {
        await using var registry = await StartAsync((context, _) => context.Request.Path == "/token"
            ? AnswerAsync(context, status, body, ("Content-Type", type), ("Location", "/token"))
            : AnswerAsync(
                context,
                401,
                "",
                ("WWW-Authenticate", $"Bearer realm=\"http://{context.Request.Host}/token\",service=\"x\"")));
        using var client = Open();
        var failure = await Assert.ThrowsAsync<UnavailableException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(
            failure!.Message, Does.Contain($"the token endpoint {registry.Host}").And.Contain(found).And.Contain("login page"));
    }

    [TestCase(200, null, "a web page (text/html, 19 bytes);")]
    [TestCase(302, "/login", "a web page (text/html, 19 bytes) from \"http://HOST/login\"")]
    [TestCase(302, "", "HTTP 302, a redirect in a circle (\"http://HOST/v2/a/b/")]
    [TestCase(307, null, "HTTP 307, a redirect to nowhere")]
    public async Task What_answers_in_a_registrys_place_is_told_as_what_it_is(int status, string? place, string found)
    {
        await using var registry = await StartAsync((context, _) => status == 200 || context.Request.Path == "/login"
            ? AnswerAsync(context, 200, "<html>log in</html>", ("Content-Type", "text/html"))
            : place is null ? AnswerAsync(context, status)
            : AnswerAsync(context, status, "", ("Location", place.Length > 0 ? place : context.Request.Path.Value!)));
        using var client = Open();
        var manifest = RegistryManifest.Read(Encoding.UTF8.GetBytes(Manifest));
        foreach (var call in new Func<Task>[]
        {
            () => client.FindDigestAsync(registry.Reference()), () => client.FindImageAsync(registry.Reference()),
            () => client.ListTagsAsync(registry.Reference()), () => client.ReadBlobAsync(registry.Reference(), Digest),
            () => client.UploadBlobAsync(registry.Reference(), [1], "a/b"),
            () => client.PutManifestAsync(registry.Reference(), manifest),
            () => client.MoveTagAsync(registry.Reference(), manifest, null),
            () => client.DeleteManifestAsync(registry.Reference(Digest)),
            () => client.TryPushAsync(registry.Reference()), () => client.ListReferrersAsync(registry.Reference(Digest)),
        })
        {
            var failure = await Assert.ThrowsAsync<UnavailableException>(() => call());
            Assert.That(failure!.Reason, Is.EqualTo("registry-protocol"));
            Assert.That(failure.Message, Does.StartWith($"the registry \"{registry.Host}\" does not answer ")
                .And
                    .Contain(found.Replace("HOST", registry.Host, StringComparison.Ordinal)).And
                    .Contain("login page").And.Not
                    .Contain("\n"));
        }
    }

    [Test]
    public async Task A_registry_that_answers_a_web_page_where_it_does_not_know_the_referrers_api_has_their_tag()
    {
        await using var registry = await StartAsync(
            (context, _) => context.Request.Path.Value!.Contains("/referrers/", StringComparison.Ordinal)
                ? AnswerAsync(context, 200, "<html>not found</html>", ("Content-Type", "text/html")) : AbsentAsync(context));
        using var client = Open();
        Assert.That(await client.ListReferrersAsync(registry.Reference(Digest)), Is.Empty);
        Assert.That(registry.Requests, Has.Count.EqualTo(2));
    }

    [TestCase("sha384", 96)]
    [TestCase("sha512", 128)]
    public async Task Checks_content_by_the_digests_own_algorithm(string algorithm, int length)
    {
        var bytes = Encoding.UTF8.GetBytes(Manifest);
        var digest = algorithm + ":" + Convert.ToHexStringLower(algorithm == "sha384"
            ? System.Security.Cryptography.SHA384.HashData(bytes) : System.Security.Cryptography.SHA512.HashData(bytes));
        await using var registry = await StartAsync((context, _) =>
            AnswerAsync(context, 200, Manifest, ("Content-Type", MediaTypes.OciManifest)));
        using var client = Open();
        Assert.That(await client.FindManifestAsync(registry.Reference(digest)), Is.Not.Null);
        Assert.That(await client.ReadBlobAsync(registry.Reference(), digest), Is.EqualTo(bytes));
        var other = $"{algorithm}:{new string('0', length)}";
        await Assert.ThrowsAsync<UnavailableException>(() => client.FindManifestAsync(registry.Reference(other)));
        await Assert.ThrowsAsync<UnavailableException>(() => client.ReadBlobAsync(registry.Reference(), other));
    }

    [TestCase("Basic realm=\"x\"")]
    [TestCase("Bearer realm=\"http://HOST/token\",service=\"x\"")]
    public async Task A_helper_that_fails_is_the_cause_only_when_the_registry_wants_credentials(string challenge)
    {
        using var folder = new Fixtures.TestFolder();
        folder.Write("config.json", """{"credsStore":"absent"}""");
        var environment = new Dictionary<string, string> { ["DOCKER_CONFIG"] = folder.Path, ["PATH"] = folder.Path };
        using var said = new StringWriter();
        var log = new BuildLog(said, forServer: false);
        var open = true;
        await using var registry = await StartAsync((context, _) => open ? ManifestAsync(context)
            : AnswerAsync(context, 401, "",
                ("WWW-Authenticate", challenge.Replace("HOST", context.Request.Host.Value, StringComparison.Ordinal))));
        using var client = RegistryClient.Open(new RegistryCredentials(null, [], environment, log), log: log, time: time);
        Assert.That(await client.FindDigestAsync(registry.Reference()), Is.EqualTo(Digest));
        open = false;
        var refusal = await Assert.ThrowsAsync<UsageException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(refusal!.Message,
            Does.Contain("docker-credential-absent").And.Contain("is not "
            + "installed").And.Contain(folder.Of("config.json")).And.Contain("CISTEPS_REGISTRY_USER"));
        await Assert.ThrowsAsync<UsageException>(() => client.FindDigestAsync(registry.Reference()));
        Assert.That(said.ToString().Split("warning: "), Has.Length.EqualTo(2), "once a host");
    }

    private static Task ManifestAsync(HttpContext context) =>
        AnswerAsync(context, 200, Manifest, ("Content-Type", MediaTypes.OciManifest), ("Docker-Content-Digest", Digest));

    private static Task AbsentAsync(HttpContext context) =>
        AnswerAsync(context, 404, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}");

    private RegistryClient Open() => RegistryClient.Open(RegistryCredentials.None, time: time);

    private async Task AdvanceUntilAsync(Task task)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!task.IsCompleted)
        {
            limit.Token.ThrowIfCancellationRequested();
            time.Advance(TimeSpan.FromMilliseconds(200));
            await Task.WhenAny(task, Task.Delay(5, limit.Token));
        }
    }
}
