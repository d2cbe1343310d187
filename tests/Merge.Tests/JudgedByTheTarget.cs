using System.Text.Json.Nodes;
using System.Security.Cryptography;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Repositories;
using Moq;

namespace CiSteps.Merge.Tests;

/// <summary>What judges is the target's file at the tip that is merged into, and evidence is of this very run or it is
/// nothing.</summary>
public sealed class A_merge_is_judged
{
    private Chain chain = null!;
    private GitClone clone = null!;

    [SetUp]
    public void A_service()
    {
        chain = new Chain();
        clone = chain.Branch("ci/x", "app/a", "changed\n");
    }

    [TearDown]
    public void Removed() => chain.Dispose();

    private string Statement(string step) => Path.Combine(clone.Folder, ".ci-steps/evidence", step, "statement.json");

    private void Edit(string step, string what, string by)
    {
        var text = File.ReadAllText(Statement(step));
        Assert.That(text, Does.Contain(what));
        File.WriteAllText(Statement(step), text.Replace(what, by, StringComparison.Ordinal));
    }

    private async Task RefusedAsync(string reason, params string[] says)
    {
        var main = chain.Main;
        (await Chain.Merge(clone, "--when-moved", "merge")).Was(ExitCode.Refused, [$"merge.{reason}", .. says]);
        Assert.That(chain.Main, Is.EqualTo(main), "nothing landed");
    }

    [Test]
    public async Task By_a_suite_that_the_target_asks_for_since_the_chain_tested()
    {
        await Chain.Passed(clone);
        chain.MoveMain("ci-steps.yaml", Chain.File + "\n  - { name: load, components: [app], class: small, tests: { run: x } }");
        await RefusedAsync("not-tested", "suite \"load\"", "did not run");
    }

    [Test]
    public async Task By_a_suite_that_is_another_one_now()
    {
        await Chain.Passed(clone);
        chain.MoveMain("ci-steps.yaml", Chain.File.Replace("tests: { run: x }", "tests: { run: y }"));
        await RefusedAsync("not-tested", "suite \"smoke\" is another one");
    }

    [Test]
    public async Task By_unit_tests_that_the_target_asks_for_since()
    {
        await Chain.Passed(clone);
        chain.MoveMain("ci-steps.yaml", Chain.File.Replace("paths: [app/**],",
            "paths: [app/**], unit-tests: [{ name: fast, run: x }],"));
        await RefusedAsync("not-tested", "unit tests \"fast\" of \"app\"");
    }

    [Test]
    public async Task By_a_quarantine_that_the_target_has_ended_since()
    {
        const string paths = "paths: [app/**],";
        const string owners = "\nnotifications: { owners: { o: { email: o@example.org } } }";
        chain.MoveMain("ci-steps.yaml", Chain.File.Replace(paths, paths +
            " unit-tests: [{ name: fast, run: x, quarantine: [{ test: t, owner: o, until: 2099-01-01 }] }],") + owners);
        clone.Commit("ci-steps.yaml", Chain.File.Replace(paths, paths + " unit-tests: [{ name: fast, run: x }],") + owners);
        clone.Push();
        await Chain.Passed(clone);
        chain.MoveMain("ci-steps.yaml", Chain.File.Replace(paths, paths + " unit-tests: [{ name: fast, run: x }],") + owners);
        await RefusedAsync("not-tested", "quarantine of the unit tests \"fast\" of \"app\"");
    }

    [Test]
    public async Task By_what_the_target_takes_for_the_components_paths()
    {
        var other = chain.Branch("ci/y", "web/page", "1");
        clone = other;
        await Chain.Passed(clone, built: false, suite: false);
        chain.MoveMain("ci-steps.yaml", Chain.File.Replace("paths: [other/**]", "paths: [other/**, web/**]"));
        await RefusedAsync("not-tested", "component \"other\" counts as changed", "took it for unchanged");
    }

    [TestCase("unit-test")]
    [TestCase("integration-deploy")]
    public async Task By_the_pipeline_file_that_this_step_reads_and_by_no_other(string step)
    {
        await Chain.Passed(clone);
        var statement = JsonNode.Parse(File.ReadAllText(Statement(step)))!;
        statement["predicate"]!["configuration"] = new JsonArray(new JsonObject { ["name"] = "ci-steps.yaml" });
        File.WriteAllText(Statement(step), statement.ToJsonString());
        var easy = JsonNode.Parse(statement.ToJsonString())!;
        easy["predicate"]!["configuration"]![0]!["name"] = "easy.yaml";
        File.WriteAllText(Statement(step), easy.ToJsonString());
        await RefusedAsync("not-tested", $"\"{step}\" read the pipeline file \"easy.yaml\"", "give all steps the same --config");
        File.WriteAllText(Statement(step), statement.ToJsonString());
        (await Chain.Merge(clone)).Was(ExitCode.Done);
    }

    // Of the ancestor that is found first the change has changed nothing; of the other it takes something out of the target.
    [Test]
    public async Task By_all_merge_bases_where_change_and_target_merged_each_other([Values] bool changeIsOlder)
    {
        string At(int hour, string file, string text)
        {
            clone.Write(file, text);
            clone.Git("add", file);
            GitRepositories.Run(clone.Folder, "env", $"GIT_COMMITTER_DATE=2026-11-01T{hour:00}:00:00Z",
                "git", "commit", "--quiet", "--message", text);
            return clone.Head;
        }

        clone.Git("checkout", "--quiet", "-B", "ci/x", "origin/main");
        var own = At(changeIsOlder ? 2 : 3, "other/o", "after\n");
        clone.Git("checkout", "--quiet", "-B", "main", "origin/main");
        var others = At(changeIsOlder ? 3 : 2, "README", "moved");
        clone.Git("merge", "--quiet", "--no-ff", "--no-edit", own);
        clone.Commit("elsewhere", "so that what would land is not the tree that was tested");
        clone.Git("push", "--quiet", "origin", "HEAD:main");
        clone.Checkout("ci/x");
        clone.Git("merge", "--quiet", "--no-ff", "--no-edit", others);
        clone.Commit("other/o", "1\n");
        clone.Git("push", "--quiet", "--force", "origin", "HEAD:ci/x");
        await Chain.Passed(clone, built: false, suite: false);
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "merge.moved", "both changed \"other\"");
    }

    [Test]
    public async Task By_the_suite_that_the_change_deletes([Values] bool singleBranch)
    {
        clone.Commit("ci-steps.yaml", Chain.File[..Chain.File.IndexOf("integration:", StringComparison.Ordinal)]);
        clone.Push();
        if (singleBranch) clone = chain.Git.Clone("agent", "--single-branch", "--branch=ci/x");
        await Chain.Passed(clone, suite: false);
        var ended = await Chain.Merge(clone);
        ended.Was(ExitCode.Refused, "merge.not-tested", "suite \"smoke\"", "differ in what \"main\" decides",
            "integration \"smoke\"");
    }

    [Test]
    public async Task By_the_targets_file_and_not_by_the_one_that_judged_before_it_had_one()
    {
        await Chain.Passed(clone);
        var text = File.ReadAllText(Statement("unit-test"));
        Edit("unit-test", $"\"policyCommit\": \"{chain.Start}\"", "\"policyCommit\": null");
        await RefusedAsync("not-tested", "\"unit-test\" was judged by the change's own");
        File.WriteAllText(Statement("unit-test"), text);
        Edit("unit-test", $"\"policyCommit\": \"{chain.Start}\"", $"\"policyCommit\": \"{clone.Head}\"");
        await RefusedAsync("not-tested", "which is not in the history of \"main\"");
    }

    [TestCase("unit-test")]
    [TestCase("image-build")]
    [TestCase("integration-deploy")]
    public async Task Not_on_evidence_of_a_run_that_did_not_know_the_target(string step)
    {
        await Chain.Passed(clone);
        Edit(step, "\"baseUnknown\": false", "\"baseUnknown\": true");
        await RefusedAsync("base-unknown", step);
    }

    [Test]
    public async Task Not_on_evidence_of_another_branch_or_repository()
    {
        await Chain.Passed(clone);
        var text = File.ReadAllText(Statement("unit-test"));
        Edit("unit-test", "\"branch\": \"ci/x\"", "\"branch\": \"ci/y\"");
        await RefusedAsync("no-evidence", "\"ci/y\"", "\"ci/x\"");
        File.WriteAllText(Statement("unit-test"), text);
        Edit("unit-test", $"\"repository\": \"file://{chain.Git.Origin}\"", "\"repository\": \"https://example.org/other.git\"");
        await RefusedAsync("no-evidence", "https://example.org/other.git", chain.Git.Origin);
    }

    [TestCase("unit-test")]
    [TestCase("image-build")]
    [TestCase("integration-deploy")]
    public async Task Not_on_a_missing_hand_over_as_if_nothing_had_been_built(string step)
    {
        await Chain.Passed(clone, but: [step]);
        await clone.StateAsync(step, "17", Outcome.Done("done"));
        (await Chain.Merge(clone)).Was(ExitCode.Usage, $"\"{step}\"", "handed nothing over");
        Assert.That(chain.Main, Is.EqualTo(chain.Start));
    }

    [Test]
    public async Task By_the_known_key_where_there_is_one()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await Chain.Passed(clone);
        var environment = new Dictionary<string, string> { ["CISTEPS_VERIFICATION_KEY"] = key.ExportSubjectPublicKeyInfoPem() };

        (await Chain.MergeIn(clone, environment, "--require-signed", "--dry-run"))
            .Was(ExitCode.Refused, "merge.not-signed", "unit-test");
        (await Chain.MergeIn(clone, environment, "--dry-run")).Was(ExitCode.Done);

        await Chain.Passed(clone, key: other.ExportPkcs8PrivateKeyPem());
        (await Chain.MergeIn(clone, environment, "--dry-run")).Was(ExitCode.Refused, "merge.bad-signature", "unit-test");

        await Chain.Passed(clone, key: key.ExportPkcs8PrivateKeyPem());
        Edit("image-build", "\"built\": true", "\"built\": false");
        (await Chain.MergeIn(clone, environment, "--dry-run")).Was(ExitCode.Refused, "merge.bad-signature", "image-build");

        await Chain.Passed(clone, key: key.ExportPkcs8PrivateKeyPem());
        (await Chain.MergeIn(clone, environment, "--require-signed")).Was(ExitCode.Done);
    }

    [Test]
    public async Task By_the_targets_attributes()
    {
        clone.Commit(".gitattributes", "* merge=union\n");
        clone.Push();
        await Chain.Passed(clone);
        chain.MoveMain("app/a", "changed otherwise\n");
        await RefusedAsync("conflict", "\"app/a\"");
    }

    [Test]
    public async Task On_what_a_shallow_checkout_can_know()
    {
        clone = chain.Git.Clone("shallow", "--depth=1", "--branch=ci/x");
        await Chain.Passed(clone);
        var moved = chain.MoveMain("other/o", "moved");
        (await Chain.Merge(clone)).Was(ExitCode.Done);
        Assert.That(chain.Git.Git("rev-parse", "main^1", "main^2"), Is.EqualTo($"{moved}\n{clone.Head}"));
        Assert.That(chain.Git.Git("fsck", "--no-dangling"), Is.Empty, "nothing that is shallow reached the origin");
    }

    [Test]
    public async Task As_merged_when_it_is_stopped_while_it_pushes_and_the_push_lands()
    {
        await Chain.Passed(clone);
        using var stop = new CancellationTokenSource();
        var origin = new Mock<IOrigin>();
        var main = chain.Start;
        origin.Setup(one => one.FetchAsync(It.IsAny<IReadOnlyList<string>>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((IReadOnlyList<string> branches, CancellationToken _) =>
                [.. branches.Select(branch => branch == "main" ? main : clone.Head)]);
        origin.Setup(one => one.PushAsync(It.IsAny<string>(), "main", chain.Start, It.IsAny<CancellationToken>()))
            .Returns(async (string commit, string _, string _, CancellationToken cancel) =>
        {
            await stop.CancelAsync();
            cancel.ThrowIfCancellationRequested();
            main = commit;
            return new PushResult(PushEnd.Accepted, "");
        });
        var ended = await Chain.MergeIn(clone, new() { ["TEAMCITY_VERSION"] = "1" }, origin.Object, stop.Token, "--branch",
            "ci/x");
        ended.Was(ExitCode.Done, "merged \"ci/x\" into \"main\"", "publishArtifacts '.ci-steps/evidence/merge/**");
        Assert.That(Chain.HandOver(clone), Is.Not.Null);
    }

    [Test]
    public async Task By_what_the_target_has_now_where_the_change_takes_tests_out()
    {
        const string paths = "paths: [app/**],";
        var asked = Chain.File.Replace(paths, paths + " unit-tests: [{ name: fast, run: x }],");
        chain.MoveMain("ci-steps.yaml", asked);
        clone.Git("fetch", "--quiet", "origin", "main");
        clone.Git("merge", "--quiet", "--no-edit", "origin/main");
        clone.Commit("ci-steps.yaml", Chain.File, "Take the tests out");
        clone.Push();
        await Chain.Passed(clone, alsoRan: "fast");
        chain.MoveMain("ci-steps.yaml", asked.Replace("run: x }],", "run: thorough }],"));
        await RefusedAsync("not-tested", "has changed the unit tests \"fast\" of \"app\"", "ran as it had them");
    }

    [Test]
    public async Task Without_a_word_on_how_tests_run_where_the_change_has_them_itself()
    {
        const string paths = "paths: [app/**],";
        var asked = Chain.File.Replace(paths, paths + " unit-tests: [{ name: fast, run: x }],");
        chain.MoveMain("ci-steps.yaml", asked);
        clone.Git("fetch", "--quiet", "origin", "main");
        clone.Git("merge", "--quiet", "--no-edit", "origin/main");
        clone.Push();
        await Chain.Passed(clone);
        chain.MoveMain("ci-steps.yaml", asked.Replace("run: x }],", "run: thorough, time-limit: 1m }],"));
        (await Chain.Merge(clone, "--when-moved", "merge")).Was(ExitCode.Done, "merged \"ci/x\"");
    }

    [Test]
    public async Task By_a_suite_whose_own_files_it_changes()
    {
        chain.MoveMain("ci-steps.yaml", Chain.File.Replace("class: small, tests: { run: x }",
            "class: small, tests: { job: it/job.yaml }"));
        var suites = chain.Branch("ci/suite", "it/job.yaml", "changed\n");
        await Chain.Passed(suites, suite: false, built: false);
        (await Chain.Merge(suites)).Was(ExitCode.Refused,
            "suite \"smoke\" counts as changed (it/job.yaml changed) and did not run");
        await Chain.Passed(suites, suite: true, built: false);
        (await Chain.Merge(suites)).Was(ExitCode.Done, "merged \"ci/suite\"");
    }

    [Test]
    public async Task Once_and_stays_merged_when_it_is_stopped_while_it_removes_the_branch()
    {
        await Chain.Passed(clone);
        using var stop = new CancellationTokenSource();
        var origin = new Mock<IOrigin>();
        var main = chain.Start;
        origin.Setup(one => one.FetchAsync(It.IsAny<IReadOnlyList<string>>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((IReadOnlyList<string> branches, CancellationToken _) =>
                [.. branches.Select(branch => branch == "main" ? main : clone.Head)]);
        origin.Setup(one => one.PushAsync(It.IsAny<string>(), "main", chain.Start, It.IsAny<CancellationToken>()))
            .ReturnsAsync((string commit, string _, string _, CancellationToken _) =>
            {
                main = commit;
                return new PushResult(PushEnd.Accepted, "");
            });
        origin.Setup(one => one.DeleteAsync("ci/x", clone.Head, It.IsAny<CancellationToken>()))
            .Returns(async (string _, string _, CancellationToken cancel) =>
        {
            await stop.CancelAsync();
            cancel.ThrowIfCancellationRequested();
            return new PushResult(PushEnd.Accepted, "");
        });
        var ended = await Chain.MergeIn(clone, new() { ["TEAMCITY_VERSION"] = "1" }, origin.Object, stop.Token, "--delete-branch",
            "--branch", "ci/x");
        ended.Was(ExitCode.Done, "merged \"ci/x\" into \"main\"", "publishArtifacts '.ci-steps/evidence/merge/**");
        Assert.That(Chain.HandOver(clone), Is.Not.Null);
    }

    private const string Paths = "paths: [app/**],";
    private static readonly string Asked = Chain.File.Replace(Paths, Paths + " unit-tests: [{ name: fast, run: x }],");

    [Test]
    public async Task By_the_suite_of_a_component_that_it_renames_or_strips(
        [Values(
            "name: app,|name: new,",
            ", workload: { manifests: [app/k8s] }|",
            ", image: { context: app }, workload: { manifests: [app/k8s] }|")]
        string what)
    {
        var (old, by) = (what.Split('|')[0], what.Split('|')[1]);
        var file = Chain.File[..Chain.File.IndexOf("integration:", StringComparison.Ordinal)].Replace(old, by);
        clone.Commit("ci-steps.yaml", file, "Strip");
        clone.Push();
        await Chain.Passed(clone, suite: false, built: false);
        await RefusedAsync("not-tested", "the target's component \"app\" has no result of suite \"smoke\"",
            "remove it from the suites on the target first");
    }

    [Test]
    public async Task By_the_unit_tests_of_a_component_that_it_takes_out_unless_all_its_files_go()
    {
        const string line = "  - { name: tool, paths: [tool/**], unit-tests: [{ name: fast, run: x }] }\n";
        var with = Chain.File.Replace("integration:", line + "integration:");
        chain.MoveMain("tool/t", "1\n");
        chain.MoveMain("ci-steps.yaml", with);
        var other = chain.Branch("ci/tool", "ci-steps.yaml", Chain.File);
        clone = other;
        await Chain.Passed(clone);
        await RefusedAsync("not-tested", "the target's component \"tool\" has no result of its unit tests \"fast\"");
        clone.Git("rm", "--quiet", "tool/t");
        clone.Commit("Remove its files");
        clone.Push();
        await Chain.Passed(clone);
        (await Chain.Merge(clone)).Was(ExitCode.Done);
    }

    [Test]
    public async Task By_the_new_name_that_the_target_has_given_a_component_since()
    {
        await Chain.Passed(clone);
        chain.MoveMain("ci-steps.yaml", Asked[..Asked.IndexOf("integration:", StringComparison.Ordinal)]
            .Replace("name: app,", "name: new,"));
        await RefusedAsync("not-tested", "the target's component \"new\" has no result of its unit tests \"fast\"");
    }

    [TestCase("\"passed\": 12", "\"passed\": -12", "fewer than 0 tests of \"app\"")]
    [TestCase("/step-outcome/v1", "/other/v1", "predicateType")]
    [TestCase("\"gitCommit\": \"", "\"gitCommit\": \"0", "its subject is not the commit")]
    public async Task Not_on_a_statement_that_contradicts_itself(string what, string by, string says)
    {
        await Chain.Passed(clone);
        Edit("unit-test", what, by);
        (await Chain.Merge(clone)).Was(ExitCode.Usage, says);
        Assert.That(chain.Main, Is.EqualTo(chain.Start));
    }

    [Test]
    public async Task Not_on_a_failed_result_nor_on_bytes_that_are_not_text()
    {
        await Chain.Passed(clone);
        var text = File.ReadAllText(Statement("unit-test"));
        File.WriteAllText(Statement("unit-test"), text.Replace("https://cisteps.dev/step-outcome/v1",
            "https://in-toto.io/attestation/test-result/v0.1")
                .Replace("\"predicate\": {", "\"predicate\": { \"result\": \"FAILED\","));
        (await Chain.Merge(clone)).Was(ExitCode.Usage, "\"FAILED\" contradicts its exit code 0");
        var bytes = System.Text.Encoding.UTF8.GetBytes(text.Replace("\"text\": \"passed\"", "\"text\": \"pass~d\""));
        bytes[Array.IndexOf(bytes, (byte)'~')] = 0xff;
        File.WriteAllBytes(Statement("unit-test"), bytes);
        (await Chain.Merge(clone)).Was(ExitCode.Usage, "not valid UTF-8");
    }
}
