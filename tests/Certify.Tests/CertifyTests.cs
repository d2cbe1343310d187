using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;

namespace CiSteps.Certify.Tests;

/// <summary>The whole step on a real registry and real git.</summary>
public sealed class CertifyTests
{
    private LocalRegistry registry = null!;
    private RegistryClient client = null!;
    private Release release = null!;

    [SetUp]
    public async Task OpenAsync()
    {
        registry = await LocalRegistry.StartAsync();
        client = registry.Connect();
        release = new Release(registry.Host);
    }

    [TearDown]
    public async Task CloseAsync()
    {
        release.Dispose();
        client.Dispose();
        await registry.DisposeAsync();
    }

    [Test]
    public async Task Tags_the_tested_digest_as_version_latest_and_production_and_the_second_time_changes_nothing()
    {
        var before = await BuildAsync("4");
        Assert.That(await RunAsync("4"), Is.EqualTo(ExitCode.Done), release.Output);
        release.Clone.Commit("service/file", "changed");
        var digest = await BuildAsync("5");
        Assert.That(await RunAsync("5"), Is.EqualTo(ExitCode.Done), release.Output);
        foreach (var tag in new[] { "2.5", "2-production", "latest" })
            Assert.That(await client.FindDigestAsync(release.Name(tag)), Is.EqualTo(digest), tag);
        Assert.That(await client.FindDigestAsync(release.Name("2.4")), Is.EqualTo(before));
        var certified = release.HandOver().Images.Single();
        Assert.That(
            certified,
            Is.EqualTo(new CertifiedImage("service", $"{registry.Host}/service", digest, "2.5", "2-production", before)));

        Assert.That(await RunAsync("5"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("certified already"));
        Assert.That(release.HandOver().Images.Single(), Is.EqualTo(certified),
            "what production pointed to before is still known");
        var summary = JsonNode.Parse((await client.ReadAttachedAsync(release.Name(digest), MediaTypes.InToto)).Single().Content)!;
        Assert.That((string?)summary["predicateType"], Is.EqualTo(PredicateTypes.VerificationSummary));
        Assert.That((string?)summary["predicate"]!["verificationResult"], Is.EqualTo("PASSED"));
        Assert.That(summary["predicate"]!["inputAttestations"]!.AsArray(), Has.Count.EqualTo(3));
    }

    [Test]
    public async Task An_older_chain_that_finishes_late_does_not_move_production_back()
    {
        var older = await BuildAsync("6");
        var first = release.Clone.Head;
        release.Clone.Commit("service/file", "newer");
        release.Clone.Push();
        var newer = await BuildAsync("7");
        Assert.That(await RunAsync("7"), Is.EqualTo(ExitCode.Done), release.Output);
        release.Clone.Git("reset", "--quiet", "--hard", first);
        await release.PassedAsync(older, "6");
        Assert.That(await RunAsync("6"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("superseded"));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.EqualTo(newer));
        Assert.That(await client.FindDigestAsync(release.Name("latest")), Is.EqualTo(newer));
        Assert.That(
            await client.FindDigestAsync(release.Name("2.6")), Is.EqualTo(older), "it was tested, so it keeps its version");
        Assert.That(release.HandOver().Images, Is.Empty);
        Assert.That(await RunAsync("6", "--allow-older"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.EqualTo(older));
    }

    [Test]
    public async Task Asks_the_origin_before_it_says_that_a_commit_is_unknown()
    {
        var older = await BuildAsync("8");
        release.Clone.Git("clone", "--quiet", release.Clone.Git("remote", "get-url", "origin"), release.Clone.Folder + "-other");
        var other = new GitClone(release.Clone.Folder + "-other");
        other.Commit("service/file", "by somebody else");
        var elsewhere = await Release.PutAsync(client, release.Name("x"), other.Head, "2.9-" + other.Head[..12]);
        await client.MoveTagAsync(release.Name("2-production"), (await client.FindManifestAsync(release.Name(elsewhere)))!, null);
        Assert.That(await RunAsync("8"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.unknown-commit").And.Contain("--allow-older"));
        other.Push();
        Assert.That(await RunAsync("8"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("superseded"));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.EqualTo(elsewhere));
        Assert.That(older, Is.Not.EqualTo(elsewhere));
    }

    [Test]
    public async Task Refuses_a_private_branch()
    {
        release.Clone.Branch("ci/x");
        await BuildAsync("9");
        Assert.That(await RunAsync("9"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.not-target-branch"));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.Null);
    }

    [TestCase("unit-test")]
    [TestCase("image-build")]
    [TestCase("integration-deploy")]
    public async Task Refuses_without_evidence_of_this_very_run(string missing)
    {
        var digest = await BuildAsync("10");
        // What is there is of another build: a leftover.
        await release.PassedAsync(digest, "11", but: missing);
        Assert.That(await RunAsync("11"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.no-evidence").And.Contain(missing));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.Null);
    }

    [Test]
    public async Task Refuses_a_digest_that_the_suite_did_not_test()
    {
        var digest = await BuildAsync("12");
        await release.PassedAsync(digest, "12", suiteDigest: "sha256:" + new string('a', 64));
        Assert.That(await RunAsync("12"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.no-evidence").And.Contain("smoke").And.Contain(digest));
    }

    [Test]
    public async Task Refuses_a_digest_that_is_not_in_the_registry()
    {
        await release.PassedAsync("sha256:" + new string('b', 64), "13");
        Assert.That(await RunAsync("13"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.digest-missing"));
    }

    [Test]
    public async Task Refuses_an_image_of_another_commit_and_one_of_the_branch_repository()
    {
        var foreign = await Release.PutAsync(client, release.Name("x"), new string('c', 40), "2.14-x");
        await release.PassedAsync(foreign, "14");
        Assert.That(await RunAsync("14"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.other-commit"));
        var branch = await Release.PutAsync(client, registry.Reference("ci/service"), release.Clone.Head, "2.15-x");
        await release.PassedAsync(branch, "15", repository: $"{registry.Host}/ci/service");
        Assert.That(await RunAsync("15"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.not-released"));
    }

    [Test]
    public async Task Never_moves_a_version_tag()
    {
        var digest = await BuildAsync("16");
        var other = await Release.PutAsync(client, release.Name("x"), release.Clone.Head, "2.16", "other");
        Assert.That(await RunAsync("16"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.version-taken").And.Contain(other));
        Assert.That(await client.FindDigestAsync(release.Name("2.16")), Is.EqualTo(other));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.Null, digest);
    }

    [Test]
    public async Task Refuses_a_barred_digest()
    {
        var digest = await BuildAsync("17");
        await client.PutManifestAsync(
            release.Name(ImageName.BarredTag(digest)), (await client.FindManifestAsync(release.Name(digest)))!);
        Assert.That(await RunAsync("17"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.barred").And.Contain("roll-back"));
    }

    [Test]
    public async Task Refuses_a_work_tree_with_uncommitted_changes()
    {
        await BuildAsync("18");
        release.Clone.Write("service/Dockerfile", "FROM scratch\n# changed\n");
        Assert.That(await RunAsync("18"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.dirty"));
    }

    [Test]
    public async Task Demands_signed_evidence_when_told_to()
    {
        await BuildAsync("19");
        Assert.That(await RunAsync("19", "--require-signed"), Is.EqualTo(ExitCode.Refused));
        Assert.That(release.Output, Does.Contain("certify.not-signed"));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        release.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        await BuildAsync("19");
        Assert.That(await RunAsync("19", "--require-signed"), Is.EqualTo(ExitCode.Done), release.Output);
    }

    [Test]
    public async Task Takes_no_evidence_that_another_key_signed_whether_or_not_it_demands_signatures()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        release.Environment["CISTEPS_SIGNING_KEY"] = other.ExportPkcs8PrivateKeyPem();
        await BuildAsync("30");
        release.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        Assert.That(await RunAsync("30"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("certify.bad-signature").And.Contain("unit-test"));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.Null);
    }

    [Test]
    public async Task Takes_no_evidence_of_a_run_that_did_not_know_its_base_or_of_another_branch()
    {
        await BuildAsync("31");
        var file = Path.Combine(release.Clone.Folder, ".ci-steps/evidence/image-build/statement.json");
        var text = await File.ReadAllTextAsync(file);
        await File.WriteAllTextAsync(file, text.Replace("\"baseUnknown\": false", "\"baseUnknown\": true"));
        Assert.That(await RunAsync("31"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("certify.base-unknown"));
        await File.WriteAllTextAsync(file, text.Replace("\"branch\": \"main\"", "\"branch\": \"ci/x\""));
        Assert.That(await RunAsync("31"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("certify.no-evidence").And.Contain("\"ci/x\""));
    }

    [Test]
    public async Task Judges_by_the_file_that_the_target_has_now()
    {
        await BuildAsync("32");
        var file = Path.Combine(release.Clone.Folder, "ci-steps.yaml");
        var (tested, yaml) = (release.Clone.Head, await File.ReadAllTextAsync(file));
        release.Clone.Commit("ci-steps.yaml",
            yaml + "\n  - { name: load, components: [service], class: small, tests: { run: x } }\n");
        release.Clone.Push();
        release.Clone.Checkout(tested);
        Assert.That(await RunAsync("32", "--branch", "main"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("certify.no-evidence").And.Contain("\"load\"").And.Contain("did not run"));
    }

    [Test]
    public async Task Demands_signed_provenance_of_this_commit_where_there_is_any_beside_the_image()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        release.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        var digest = await BuildAsync("22");
        await AttachAsync(digest, release.Clone.Head, null);
        Assert.That(await RunAsync("22", "--require-signed"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(
            release.Output,
            Does.Contain("certify.not-signed").And
                .Contain("no valid signature").And
                .Contain("with CISTEPS_SIGNING_KEY and a new build number"));
        await AttachAsync(digest, release.Clone.Head, other);
        Assert.That(await RunAsync("22", "--require-signed"), Is.EqualTo(ExitCode.Refused), release.Output);
        await AttachAsync(digest, new string('0', 40), key);
        Assert.That(await RunAsync("22", "--require-signed"), Is.EqualTo(ExitCode.Refused), release.Output);
        Assert.That(release.Output, Does.Contain("another commit"));
        Assert.That(await client.FindDigestAsync(release.Name("2-production")), Is.Null);
        await AttachAsync(digest, release.Clone.Head, key);
        Assert.That(await RunAsync("22", "--require-signed"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(
            await client.ListReferrersAsync(release.Name(digest), MediaTypes.Dsse),
            Has.Count.EqualTo(4),
            "certify's own summary is signed as well");
    }

    private async Task AttachAsync(string digest, string commit, ECDsa? key)
    {
        var before = release.Environment["CISTEPS_SIGNING_KEY"];
        release.Environment["CISTEPS_SIGNING_KEY"] = key?.ExportPkcs8PrivateKeyPem() ?? "";
        var statement = new JsonObject
        {
            ["subject"] = new JsonArray((JsonNode)new JsonObject { ["digest"] = new JsonObject { ["sha256"] = digest[7..] } }),
            ["predicateType"] = PredicateTypes.Provenance,
            ["predicate"] = new JsonObject
            {
                ["buildDefinition"] = new JsonObject
                {
                    ["resolvedDependencies"] = new JsonArray((JsonNode)new JsonObject
                    {
                        ["digest"] = new JsonObject { ["gitCommit"] = commit }
                    })
                },
            },
        };
        await release.RunAsync(new StepCommand("attach", "Attaches.", [], async (context, cancel) =>
        {
            await Attestation.AttachAsync(
                client,
                context,
                release.Name(digest),
                PredicateTypes.Provenance,
                System.Text.Encoding.UTF8.GetBytes(statement.ToJsonString()),
                cancel: cancel);
            return Outcome.Done("attached");
        }), "22");
        release.Environment["CISTEPS_SIGNING_KEY"] = before;
    }

    [Test]
    public async Task Has_nothing_to_do_when_no_component_changed()
    {
        var digest = await BuildAsync("20");
        Assert.That(await RunAsync("20"), Is.EqualTo(ExitCode.Done), release.Output);
        await release.PassedAsync(digest, "21", built: false);
        Assert.That(await RunAsync("21"), Is.EqualTo(ExitCode.Done), release.Output);
        Assert.That(release.Output, Does.Contain("nothing to certify"));
        Assert.That(await client.FindDigestAsync(release.Name("2.21")), Is.Null);
        Assert.That(release.HandOver().Images.Single().Digest, Is.EqualTo(digest),
            "promote can still bring it where it is missing");
    }

    private async Task<string> BuildAsync(string build)
    {
        var digest = await Release.PutAsync(
            client, release.Name("x"), release.Clone.Head, $"2.{build}-{release.Clone.Head[..12]}");
        await release.PassedAsync(digest, build);
        return digest;
    }

    private Task<int> RunAsync(string build, params string[] more) => release.RunAsync(CertifyCommand.Create(), build, more);
}
