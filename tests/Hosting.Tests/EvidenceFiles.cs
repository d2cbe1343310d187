using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Hosting.Tests;

public sealed class EvidenceFiles
{
    private TestFolder folder = null!;
    private TestStep step = null!;

    [SetUp]
    public void SetUp() => (folder, step) = (new TestFolder(), new TestStep());

    [TearDown]
    public void TearDown() => folder.Dispose();

    private string Statement => folder.Of(".ci-steps/evidence/test-step/statement.json");

    private Task<int> WriteAsync(Outcome? outcome = null, RunIdentity? run = null, params string[] more) => step.RunAsync(context =>
    {
        context.Run = run ?? TestStep.Run;
        return outcome ?? Outcome.Done("tested").HandingOver(new UnitTestHandOver("base", [new("api", true, "main.txt changed", 3, 0, 1, 0)]), HandOverJson.Default.UnitTestHandOver)
            .Attesting(PredicateTypes.TestResult, new JsonObject { ["result"] = "PASSED" }, Subject.Image("r/api", "sha256:" + new string('b', 64)));
    }, ["--work-tree", folder.Path, .. more]);

    private async Task<(StepEvidence? Evidence, string Why)> ReadAsync(RunIdentity? run = null, bool done = true)
    {
        (StepEvidence?, string) read = default;
        await step.RunAsync(context =>
        {
            context.Run = run ?? TestStep.Run;
            var why = "";
            read = (done ? context.Evidence.TryReadDone("test-step", out var evidence, out why) : context.Evidence.TryRead("test-step", out evidence, out why)) ? (evidence, why) : (null, why);
            // Without a run nothing is written, so that what was read stays as it is.
            context.Run = null;
            return Outcome.Done("read");
        }, "--work-tree", folder.Path);
        return read;
    }

    private static IEnumerable<TestCaseData> Endings()
    {
        yield return new TestCaseData(Outcome.Done("x"), "nobody");
        yield return new TestCaseData(Outcome.Refused("no", "x"), "change");
        yield return new TestCaseData(Outcome.Refused("superseded", "x", Fault.Nobody), "nobody");
        yield return new TestCaseData(Outcome.Unavailable("registry", "x"), "world");
        yield return new TestCaseData(Outcome.Usage("x"), "unknown");
    }

    [TestCaseSource(nameof(Endings))]
    public async Task Whose_fault_it_was_is_written_down(Outcome outcome, string fault)
    {
        await WriteAsync(outcome);
        Assert.That((string?)JsonNode.Parse(File.ReadAllText(Statement))!["predicate"]!["cisteps"]!["fault"], Is.EqualTo(fault));
        Assert.That((await ReadAsync(done: false)).Evidence!.Fault.Word(), Is.EqualTo(fault));
    }

    [TestCase(null)]
    [TestCase("whoever")]
    [TestCase("1")]
    public async Task Whose_fault_it_was_is_not_known_where_it_was_not_written_down(string? written)
    {
        await WriteAsync(Outcome.Refused("no", "x"));
        var statement = JsonNode.Parse(File.ReadAllText(Statement))!;
        var record = (JsonObject)statement["predicate"]!["cisteps"]!;
        if (written is null) record.Remove("fault");
        else record["fault"] = written;
        File.WriteAllText(Statement, statement.ToJsonString());
        Assert.That((await ReadAsync(done: false)).Evidence!.Fault, Is.EqualTo(Fault.Unknown));
    }

    [Test]
    public async Task A_setting_that_is_wrong_is_the_environments_fault()
    {
        await step.RunAsync(context =>
        {
            context.Run = TestStep.Run;
            context.Settings.Get(Settings.Setting.Duration("nothing-known", "a time"));
            return Outcome.Done("x");
        }, "--work-tree", folder.Path);
        Assert.That((await ReadAsync(done: false)).Evidence!.Fault, Is.EqualTo(Fault.Environment));
    }

    [Test]
    public async Task What_a_step_states_the_next_one_reads()
    {
        await WriteAsync();

        var (evidence, why) = await ReadAsync();

        Assert.That(evidence, Is.Not.Null, why);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(evidence!.Run, Is.EqualTo(TestStep.Run));
            Assert.That((evidence.Exit, evidence.Reason, evidence.Text), Is.EqualTo((ExitCode.Done, "done", "tested")));
            Assert.That(evidence.PredicateType, Is.EqualTo(PredicateTypes.TestResult));
            Assert.That(evidence.Subjects, Does.Contain(new Subject("git+" + TestStep.Run.Repository, "gitCommit", TestStep.Run.Commit)).And.Contain(new Subject("r/api", "sha256", new string('b', 64))));
            Assert.That(evidence.HandOverAs(HandOverJson.Default.UnitTestHandOver)!.Components.Single().Passed, Is.EqualTo(3));
            Assert.That(() => evidence.HandOverAs(HandOverJson.Default.ImageBuildHandOver), Is.Null.Or.Property("Images").Null.Or.Property("Images").Empty);
            Assert.That(evidence.FinishedOn, Is.GreaterThanOrEqualTo(evidence.StartedOn));
            Assert.That(File.ReadAllText(folder.Of(".ci-steps/.gitignore")), Is.EqualTo("*\n"));
        }
    }

    [Test]
    public async Task Evidence_of_another_commit_or_build_is_a_leftover()
    {
        await WriteAsync();

        var (otherBuild, why) = await ReadAsync(TestStep.Run with { BuildNumber = "8" });
        var (otherCommit, _) = await ReadAsync(TestStep.Run with { Commit = new string('c', 40) });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(otherBuild, Is.Null);
            Assert.That(otherCommit, Is.Null);
            Assert.That(why, Does.Contain("build 7").And.Contain("build 8"));
        }
    }

    [Test]
    public async Task A_refusal_is_evidence_but_not_of_success()
    {
        await WriteAsync(Outcome.Refused("tests-failed", "1 of 2 failed"));

        var (done, why) = await ReadAsync();
        var (any, _) = await ReadAsync(done: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(done, Is.Null);
            Assert.That(why, Does.Contain("tests-failed").And.Contain("1 of 2 failed"));
            Assert.That(any!.Exit, Is.EqualTo(ExitCode.Refused));
        }
    }

    [TestCase("")]
    [TestCase("{")]
    [TestCase("[]")]
    [TestCase("{\"_type\":\"https://in-toto.io/Statement/v1\"}")]
    [TestCase("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"cisteps\":{\"step\":\"test-step\",\"commit\":1,\"buildNumber\":\"7\",\"exit\":0}}}")]
    [TestCase("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"cisteps\":{\"step\":\"test-step\",\"commit\":\"c\",\"buildNumber\":\"7\",\"exit\":\"0\"}}}")]
    [TestCase("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"cisteps\":[]}}")]
    [TestCase("{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":{},\"predicate\":{\"cisteps\":{\"step\":\"s\",\"commit\":\"c\",\"buildNumber\":\"7\",\"exit\":{}}}}")]
    public async Task What_is_no_statement_is_none_with_a_reason(string text)
    {
        folder.Write(".ci-steps/evidence/test-step/statement.json", text);

        var (evidence, why) = await ReadAsync();

        Assert.That(evidence, Is.Null);
        Assert.That(why, Does.Contain("test-step"));
    }

    [Test]
    public async Task A_statement_in_another_steps_folder_is_not_that_steps()
    {
        await WriteAsync();
        Directory.Move(folder.Of(".ci-steps/evidence/test-step"), folder.Of(".ci-steps/evidence/certify"));

        var read = true;
        var why = "";
        await step.RunAsync(context =>
        {
            context.Run = TestStep.Run;
            read = context.Evidence.TryRead("certify", out _, out why);
            context.Run = null;
            return Outcome.Done("read");
        }, "--work-tree", folder.Path);

        Assert.That(read, Is.False);
        Assert.That(why, Does.Contain("test-step"));
    }

    [Test]
    public async Task A_dry_run_and_explaining_write_nothing([Values("--dry-run", "--explain-options")] string option)
    {
        var exit = await WriteAsync(more: option);

        Assert.That(exit, Is.EqualTo(ExitCode.Done));
        Assert.That(Directory.GetFileSystemEntries(folder.Path), Is.Empty);
    }

    [Test]
    public async Task Signed_statements_are_known_as_signed_and_changed_ones_are_not()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        step.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        await WriteAsync();
        step.Environment.Remove("CISTEPS_SIGNING_KEY");
        var unchecked_ = (await ReadAsync()).Evidence!.IsSigned;
        step.Environment["CISTEPS_VERIFICATION_KEY"] = other.ExportSubjectPublicKeyInfoPem();
        var byOther = (await ReadAsync()).Evidence!.IsSigned;
        step.Environment["CISTEPS_VERIFICATION_KEY"] = key.ExportSubjectPublicKeyInfoPem();
        var bySigner = (await ReadAsync()).Evidence!.IsSigned;
        var envelope = File.ReadAllText(folder.Of(".ci-steps/evidence/test-step/statement.dsse.json"));
        File.WriteAllText(Statement, File.ReadAllText(Statement).Replace("\"passed\": 3", "\"passed\": 4", StringComparison.Ordinal));
        var forged = (await ReadAsync()).Evidence!.IsSigned;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(unchecked_, Is.False, "without a key nothing is proven");
            Assert.That(byOther, Is.False);
            Assert.That(bySigner, Is.True);
            Assert.That(forged, Is.False);
            Assert.That((string?)JsonNode.Parse(envelope)!["payloadType"], Is.EqualTo("application/vnd.in-toto+json"));
        }
    }

    [TestCase("{}")]
    [TestCase("{")]
    [TestCase("[]")]
    [TestCase("{\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"!!\",\"signatures\":[{\"sig\":\"!!\"}]}")]
    public async Task A_broken_envelope_is_no_signature(string envelope)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        step.Environment["CISTEPS_VERIFICATION_KEY"] = key.ExportSubjectPublicKeyInfoPem();
        await WriteAsync();
        folder.Write(".ci-steps/evidence/test-step/statement.dsse.json", envelope);

        var (evidence, _) = await ReadAsync();

        Assert.That(evidence is null || !evidence.IsSigned, Is.True);
    }

    [Test]
    public async Task A_run_without_a_key_removes_the_envelope_of_an_earlier_one()
    {
        folder.Write(".ci-steps/evidence/test-step/statement.dsse.json", "{}");

        await WriteAsync();

        Assert.That(File.Exists(folder.Of(".ci-steps/evidence/test-step/statement.dsse.json")), Is.False);
    }

    [Test]
    public async Task A_key_that_is_none_is_said_and_the_verdict_stands()
    {
        step.Environment["CISTEPS_SIGNING_KEY"] = "no key at all";

        var exit = await WriteAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done));
        Assert.That(step.Output, Does.Contain("CISTEPS_SIGNING_KEY holds no ECDSA key"));
    }
}
