using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.Certify.Tests;

/// <summary>The step while others write as well, while it is broken off, and while the registry has its own mind.</summary>
public sealed class OutsideTests
{
    private LocalRegistry registry = null!;
    private RegistryProxy proxy = null!;
    private RegistryClient client = null!;
    private Release release = null!;

    [SetUp]
    public async Task OpenAsync()
    {
        registry = await LocalRegistry.StartAsync();
        proxy = await RegistryProxy.StartAsync(registry.Host);
        client = registry.Connect();
        release = new Release(proxy.Host);
    }

    [TearDown]
    public async Task CloseAsync()
    {
        release.Dispose();
        client.Dispose();
        await proxy.DisposeAsync();
        await registry.DisposeAsync();
    }

    // Somebody else's certify, in between ours: after our last look at the tag, or after our write.
    [TestCase("2-production", 1)]
    [TestCase("2-production", 3)]
    [TestCase("latest", 1)]
    public async Task A_newer_digest_that_lands_between_reading_and_writing_stays(string tag, int after)
    {
        var first = await BuildAsync("1");
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        var (older, tested) = (await CommitAndBuildAsync("2"), release.Clone.Head);
        var newer = await CommitAndBuildAsync("3");
        release.Clone.Push();
        release.Clone.Git("reset", "--quiet", "--hard", tested);
        await release.PassedAsync(older, "2");
        proxy.Forget();
        proxy.After = async _ =>
        {
            if (Calls(tag) == after && await client.FindDigestAsync(Name(tag)) is var now && now != newer)
                await client.MoveTagAsync(Name(tag), (await client.FindManifestAsync(Name(newer)))!, now);
        };
        Assert.That(await RunAsync("2"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(await client.FindDigestAsync(Name(tag)), Is.EqualTo(newer), release.Output);
        Assert.That(await client.FindDigestAsync(Name("2.2")), Is.EqualTo(older), "it was tested, so it keeps its version");
        if (tag == "latest")
        {
            Assert.That(await client.FindDigestAsync(Name("2-production")), Is.EqualTo(older));
            return;
        }
        Assert.That(release.Output, Does.Contain("superseded"));
        Assert.That(release.HandOver().Images, Is.Empty, first);
    }

    [Test]
    public async Task An_older_digest_that_lands_in_between_is_replaced_and_is_what_a_roll_back_goes_to()
    {
        await BuildAsync("1");
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        var between = await CommitAndBuildAsync("2");
        var digest = await CommitAndBuildAsync("3");
        var isDone = false;
        proxy.Forget();
        proxy.After = async _ =>
        {
            if (isDone || Calls("2-production") != 1) return;
            isDone = true;
            await client.PutManifestAsync(Name("2-production"), (await client.FindManifestAsync(Name(between)))!);
        };
        Assert.That(await RunAsync("3"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(await client.FindDigestAsync(Name("2-production")), Is.EqualTo(digest));
        Assert.That(release.HandOver().Images.Single().PreviousDigest, Is.EqualTo(between));
        Clean();
        await release.PassedAsync(digest, "3");
        Assert.That(await RunAsync("3"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.HandOver().Images.Single().PreviousDigest, Is.EqualTo(between), "the last summary counts");
    }

    [Test]
    public async Task An_earlier_build_of_the_same_commit_is_superseded()
    {
        var first = await BuildAsync("1");
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        foreach (var build in new[] { "5", "10" })
        {
            var later = await BuildAsync(build);
            Assert.That(await RunAsync(build), Is.EqualTo(ExitCode.Done), release.Output);
            Assert.That(await client.FindDigestAsync(Name("2-production")), Is.EqualTo(later), "numbers, not texts");
            await release.PassedAsync(first, "1");
            Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
            Assert.That(release.Output, Does.Contain("superseded").And.Contain($"a newer build of the same commit, 2.{build}"));
            foreach (var tag in new[] { "2-production", "latest" })
                Assert.That(await client.FindDigestAsync(Name(tag)), Is.EqualTo(later), tag);
            Assert.That(release.HandOver().Images, Is.Empty);
        }
    }

    // Without certify's own summary the image is asked; one that says no number like ours may be the newer one.
    [TestCase("2.5-x", "superseded")]
    [TestCase("2.other-x", "certify.unknown-commit")]
    public async Task An_image_of_the_same_commit_that_certify_did_not_write_is_compared_by_its_label(string version, string says)
    {
        await BuildAsync("1");
        var other = await Release.PutAsync(client, Name("x"), release.Clone.Head, version);
        await client.PutManifestAsync(Name("2-production"), (await client.FindManifestAsync(Name(other)))!);
        await RunAsync("1");
        Assert.That(release.Output, Does.Contain(says));
        Assert.That(await client.FindDigestAsync(Name("2-production")), Is.EqualTo(other));
    }

    [Test]
    public async Task A_version_tag_that_a_racer_wrote_is_refused_and_stays()
    {
        await BuildAsync("1");
        var racer = await Release.PutAsync(client, Name("x"), release.Clone.Head, "2.9-x", "racer");
        var isDone = false;
        proxy.After = async _ =>
        {
            if (isDone || Calls("2.1") != 1) return;
            isDone = true;
            await client.PutManifestAsync(Name("2.1"), (await client.FindManifestAsync(Name(racer)))!);
        };
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("certify.version-taken").And.Contain(racer));
        Assert.That(await client.FindDigestAsync(Name("2.1")), Is.EqualTo(racer));
        Assert.That(await client.FindDigestAsync(Name("2-production")), Is.Null);
    }

    // The build machine dies with the evidence; what is left is in the registry.
    [Test]
    public async Task Killed_after_any_write_the_next_run_finishes_and_knows_what_production_was()
    {
        var before = await BuildAsync("1");
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        for (var (kill, build, isEnd) = (1, 2, false); !isEnd; kill++, build++)
        {
            var digest = await CommitAndBuildAsync($"{build}");
            var writes = 0;
            // Each later call is refused, which ends the step at once and leaves the registry as a kill does.
            proxy.Before = _ => Task.FromResult<int?>(writes >= kill ? 403 : null);
            proxy.After = call =>
            {
                if (!call.StartsWith("GET", StringComparison.Ordinal) && !call.StartsWith("HEAD", StringComparison.Ordinal))
                    writes++;
                return Task.CompletedTask;
            };
            await RunAsync($"{build}");
            isEnd = writes < kill;
            proxy.Before = _ => Task.FromResult<int?>(null);
            Clean();
            await release.PassedAsync(digest, $"{build}");
            Assert.That(await RunAsync($"{build}"), Is.EqualTo(ExitCode.Done), release.Output);
            var where = $"killed after write {kill}:\n{release.Output}";
            foreach (var tag in new[] { $"2.{build}", "2-production", "latest" })
                Assert.That(await client.FindDigestAsync(Name(tag)), Is.EqualTo(digest), where);
            Assert.That(release.HandOver().Images.Single().PreviousDigest, Is.EqualTo(before), where);
            Assert.That(await client.ListReferrersAsync(Name(digest), MediaTypes.InToto), Is.Not.Empty, where);
            before = digest;
        }
    }

    [Test]
    public async Task Says_so_when_nobody_knows_what_production_was()
    {
        var digest = await BuildAsync("1");
        foreach (var tag in new[] { "2.1", "latest", "2-production" })
            await client.PutManifestAsync(Name(tag), (await client.FindManifestAsync(Name(digest)))!);
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("pointed to before is not known"));
        Assert.That(await client.ListReferrersAsync(Name(digest), MediaTypes.InToto), Has.Count.EqualTo(1),
            "the summary that was lacking is there");
    }

    [TestCase(1)]
    [TestCase(10)]
    public async Task Four_calls_a_tag_and_none_for_content_however_many_platforms_there_are(int platforms)
    {
        await BuildAsync("1", platforms);
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        await CommitAndBuildAsync("2", platforms);
        proxy.Forget();
        Assert.That(await RunAsync("2"), Is.EqualTo(ExitCode.Done), release.Output);
        foreach (var tag in new[] { "2.2", "latest", "2-production" })
            Assert.That(Calls(tag), Is.LessThanOrEqualTo(4), tag);
        var all = proxy.Calls;
        Assert.That(all.Where(call => call.StartsWith("GET", StringComparison.Ordinal) && call.Contains("/blobs/")), Is.Empty);
        // The rest puts the summary beside the image.
        var summary = all.ToList().FindIndex(call => call.Contains("/blobs/", StringComparison.Ordinal));
        Assert.That(all.Take(summary).Count(call => !IsOf(call, "2.2") && !IsOf(call, "latest") && !IsOf(call, "2-production")),
            Is.LessThanOrEqualTo(5), "the image, whether it is barred, what production is, and the summary's subject:\n"
            + string.Join('\n', all));

        proxy.Forget();
        Assert.That(await RunAsync("2"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("certified already"));
        Assert.That(proxy.Calls, Has.Count.LessThanOrEqualTo(7), string.Join('\n', proxy.Calls));
    }

    [Test]
    public async Task A_summary_does_not_take_what_is_attached_at_the_same_moment_from_the_list()
    {
        var digest = await BuildAsync("1");
        var list = ImageName.ReferrersTag(digest);
        var isDone = false;
        proxy.After = async call =>
        {
            if (isDone || !IsOf(call, list)) return;
            isDone = true;
            await client.AttachAsync(Name(digest), "application/vnd.other", "other"u8.ToArray());
        };
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That((await client.ListReferrersAsync(Name(digest))).Select(entry => entry.ArtifactType),
            Is.EquivalentTo(new[] { "application/vnd.other", MediaTypes.InToto }));
    }

    [TestCase(405)]
    [TestCase(412)]
    [TestCase(403)]
    public async Task A_latest_that_the_registry_keeps_does_not_stop_production(int status)
    {
        var digest = await BuildAsync("1");
        proxy.Before = call => Task.FromResult<int?>(
            call.StartsWith("PUT", StringComparison.Ordinal) && IsOf(call, "latest") ? status : null);
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("latest\" is not moved"));
        Assert.That(await client.FindDigestAsync(Name("2-production")), Is.EqualTo(digest));
        proxy.Before = call => Task.FromResult<int?>(
            call.StartsWith("PUT", StringComparison.Ordinal) && IsOf(call, "2-production") ? status : null);
        await CommitAndBuildAsync("2");
        Assert.That(await RunAsync("2"), Is.Not.EqualTo(ExitCode.Done), "production is not latest");
    }

    [TestCase("2.1")]
    [TestCase("2-production")]
    public async Task Waits_when_the_registry_is_asked_too_much(string tag)
    {
        var digest = await BuildAsync("1");
        var isDone = false;
        proxy.Before = call =>
        {
            if (isDone || !call.StartsWith("PUT", StringComparison.Ordinal) || !IsOf(call, tag))
                return Task.FromResult<int?>(null);
            isDone = true;
            return Task.FromResult<int?>(429);
        };
        Assert.That(await RunAsync("1"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(isDone);
        Assert.That(await client.FindDigestAsync(Name(tag)), Is.EqualTo(digest));
    }

    private ImageReference Name(string target) => registry.Reference(Release.Repository, target);

    private int Calls(string tag) => proxy.Calls.Count(call => IsOf(call, tag));

    private static bool IsOf(string call, string tag) => call.EndsWith("/manifests/" + tag, StringComparison.Ordinal);

    // As on another machine: nothing of the run before is here but what is in git and in the registry.
    private void Clean() => Directory.Delete(Path.Combine(release.Clone.Folder, ".ci-steps"), recursive: true);

    private Task<string> CommitAndBuildAsync(string build, int platforms = 1)
    {
        release.Clone.Commit("service/file", build);
        return BuildAsync(build, platforms);
    }

    private async Task<string> BuildAsync(string build, int platforms = 1)
    {
        var version = $"2.{build}-{release.Clone.Head[..12]}";
        var digest = await Release.PutAsync(client, Name("x"), release.Clone.Head, version);
        if (platforms > 1)
        {
            var manifests = new JsonArray();
            for (var number = 0; number < platforms; number++)
            {
                var one = (await client.FindManifestAsync(Name(
                    await Release.PutAsync(client, Name("x"), release.Clone.Head, $"{version}-{number}"))))!;
                manifests.Add((JsonNode)new JsonObject
                {
                    ["mediaType"] = one.MediaType,
                    ["digest"] = one.Digest,
                    ["size"] = one.Bytes.Length,
                    ["platform"] = new JsonObject { ["os"] = "linux", ["architecture"] = $"cpu{number}" },
                });
            }
            var index = new JsonObject
            {
                ["schemaVersion"] = 2,
                ["mediaType"] = MediaTypes.OciIndex,
                ["manifests"] = manifests,
            };
            digest = await client.PutManifestAsync(
                Name(version), RegistryManifest.Read(Encoding.UTF8.GetBytes(index.ToJsonString()), MediaTypes.OciIndex));
        }
        await release.PassedAsync(digest, build);
        return digest;
    }

    private Task<int> RunAsync(string build, params string[] more) => release.RunAsync(CertifyCommand.Create(), build, more);
}
