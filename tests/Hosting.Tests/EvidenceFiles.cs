using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Options;
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

    // How the step that reads ended.
    private int readExit;

    private string Statement => folder.Of(".ci-steps/evidence/test-step/statement.json");

    private Task<int> WriteAsync(Outcome? outcome = null, RunIdentity? run = null, params string[] more) =>
        step.RunAsync(context =>
        {
            context.Run = run ?? TestStep.Run;
            return outcome
                ?? Outcome.Done("tested")
                    .HandingOver(
                        new UnitTestHandOver("base", [new("api", true, "main.txt changed", 3, 0, 1, 0)]),
                        HandOverJson.Default.UnitTestHandOver)
                    .Attesting(
                        PredicateTypes.TestResult,
                        new JsonObject { ["result"] = "PASSED" },
                        Subject.Image("r/api", "sha256:" + new string('b', 64)));
        }, ["--work-tree", folder.Path, .. more]);

    private async Task<(StepEvidence? Evidence, string Why)> ReadAsync(RunIdentity? run = null, bool done = true)
    {
        (StepEvidence?, string) read = default;
        // Another step reads it.
        readExit = await step.RunAsync(TestStep.Command((context, _) => Task.FromResult(Body(context))) with { Name = "reader" },
            default, "--work-tree", folder.Path);
        return read;

        Outcome Body(StepContext context)
        {
            context.Run = run ?? TestStep.Run;
            string why;
            read = (done
                ? context.Evidence.TryReadDone("test-step", out var evidence, out why)
                : context.Evidence.TryRead("test-step", out evidence, out why))
                ? (evidence, why)
                : (null, why);
            // Without a run nothing is written, so that what was read stays as it is.
            context.Run = null;
            return Outcome.Done("read");
        }
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
            context.Options.Get(StepOption.Duration("nothing-known", "a time"));
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
            Assert.That(
                evidence.Subjects,
                Does
                    .Contain(new Subject("git+" + TestStep.Run.Repository, "gitCommit", TestStep.Run.Commit)).And
                    .Contain(new Subject("r/api", "sha256", new string('b', 64))));
            Assert.That(evidence.HandOverAs(HandOverJson.Default.UnitTestHandOver)!.Components.Single().Passed, Is.EqualTo(3));
            Assert.That(() => evidence.HandOverAs(HandOverJson.Default.ImageBuildHandOver),
                Throws.TypeOf<UsageException>().With.Message.Contains("images"), "what is missing is not empty");
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
        var (otherBranch, whyBranch) = await ReadAsync(TestStep.Run with { Branch = "ci/y" });
        var (otherRepository, whyRepository) = await ReadAsync(
            TestStep.Run with { Repository = "https://example.org/other.git" });

        using (Assert.EnterMultipleScope())
        {
            Assert.That((otherBranch, otherRepository), Is.EqualTo(((StepEvidence?)null, (StepEvidence?)null)));
            Assert.That(whyBranch, Does.Contain("\"ci/x\"").And.Contain("\"ci/y\""));
            Assert.That(whyRepository, Does.Contain("https://example.org/shop.git").And.Contain("https://example.org/other.git"));
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

    private const string Sound = """
        {"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"n","digest":{"gitCommit":"c"}}],
        "predicateType":"https://cisteps.dev/step-outcome/v1","predicate":{"cisteps":{"step":"test-step","repository":"r",
        "branch":"b","targetBranch":false,"commit":"c","buildNumber":"7","dirty":false,"baseUnknown":false,
        "startedOn":"2030-01-01T00:00:00Z","finishedOn":"2030-01-01T00:00:00Z",
        "exit":0,"reason":"done","text":"t","handOver":null}}}
        """;

    private static IEnumerable<TestCaseData> Broken()
    {
        TestCaseData Named(string name, string text) => new TestCaseData(text).SetArgDisplayNames(name);
        foreach (var text in new[] { "", "{", "[]", "null", "{}" }) yield return Named($"\"{text}\"", text);
        yield return Named("without our record", "{\"_type\":\"https://in-toto.io/Statement/v1\"}");
        yield return Named("a list for our record",
            "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"cisteps\":[]}}");
        yield return Named("another type", Sound.Replace("Statement/v1", "Statement/v0"));
        yield return Named("a number for a text", Sound.Replace("\"commit\":\"c\"", "\"commit\":1"));
        yield return Named("a text for a number", Sound.Replace("\"exit\":0", "\"exit\":\"0\""));
        yield return Named("half a number", Sound.Replace("\"exit\":0", "\"exit\":0.5"));
        yield return Named("a text for true", Sound.Replace("\"dirty\":false", "\"dirty\":\"false\""));
        yield return Named("without baseUnknown", Sound.Replace("\"baseUnknown\":false,", ""));
        yield return Named("no date", Sound.Replace("\"startedOn\":\"2030", "\"startedOn\":\"x"));
        yield return Named("a name twice", Sound.Replace("\"exit\":0", "\"exit\":1,\"exit\":0"));
        yield return Named("a name twice, deep",
            Sound.Replace("\"handOver\":null", "\"handOver\":{\"images\":[],\"images\":[]}"));
        yield return Named("half a surrogate pair", Sound.Replace("\"text\":\"t\"", "\"text\":\"\\ud800\""));
        yield return Named("half a surrogate pair, deep",
            Sound.Replace("\"handOver\":null", "\"handOver\":{\"images\":[\"\\ud800\"]}"));
        yield return Named("a null in a list", Sound.Replace("\"handOver\":null", "\"handOver\":{\"images\":[null]}"));
        yield return Named("too deep", Sound.Replace("\"handOver\":null", "\"handOver\":" + new string('[', 100) +
            new string(']', 100)));
        yield return Named("a digest that is a list", Sound.Replace("{\"gitCommit\":\"c\"}", "[]"));
        yield return Named("of another step", Sound.Replace("\"step\":\"test-step\"", "\"step\":\"certify\""));
        yield return Named("too large", Sound + new string(' ', 33 * 1024 * 1024));
    }

    [Test]
    public async Task A_sound_statement_is_read()
    {
        folder.Write(".ci-steps/evidence/test-step/statement.json", Sound);
        Assert.That((await ReadAsync(new RunIdentity("r", "b", false, "c", "7", false))).Evidence, Is.Not.Null);
    }

    [TestCaseSource(nameof(Broken))]
    public async Task What_is_no_statement_is_one_clear_line(string text)
    {
        folder.Write(".ci-steps/evidence/test-step/statement.json", text);

        Assert.That((await ReadAsync(new RunIdentity("r", "b", false, "c", "7", false))).Evidence, Is.Null);
        Assert.That(readExit, Is.EqualTo(ExitCode.Usage), step.Error);
        Assert.That(step.Output, Does.Contain("test-step").And.Contain("again"));
        Assert.That(step.Error, Is.Empty, "no trace");
    }

    [Test]
    public async Task A_named_pipe_is_not_waited_for([Values("statement.json", "statement.dsse.json")] string name)
    {
        if (OperatingSystem.IsWindows()) Assert.Pass("there are none there");
        folder.Write(".ci-steps/evidence/test-step/statement.json", Sound);
        File.Delete(folder.Of(".ci-steps/evidence/test-step/" + name));
        using (var made = System.Diagnostics.Process.Start("mkfifo",
            [folder.Of(".ci-steps/evidence/test-step/" + name)])) await made.WaitForExitAsync();

        Assert.That((await ReadAsync(new RunIdentity("r", "b", false, "c", "7", false)).WaitAsync(TimeSpan.FromSeconds(30)))
            .Evidence, Is.Null);
        Assert.That((readExit, step.Output.Contains("not a regular file")), Is.EqualTo((ExitCode.Usage, true)), step.Output);
    }

    [Test]
    public async Task What_an_earlier_run_left_is_not_taken_for_this_runs()
    {
        await WriteAsync(Outcome.Refused("tests-failed", "1 of 2 failed"));
        foreach (var left in new[] { "tests.xml", "diagnosis/pod.log",
            "told.json" }) folder.Write(".ci-steps/evidence/test-step/" + left, "of then");
        string? earlier = null;

        await step.RunAsync(TestStep.Command((context, _) =>
        {
            context.Run = TestStep.Run;
            earlier = context.Evidence.TryRead("test-step", out var evidence, out var why) ? evidence.Text : why;
            return Task.FromResult(Outcome.Done("tested"));
        }) with
        { Keeps = ["told.json"] }, default, "--work-tree", folder.Path);

        Assert.That(earlier, Is.EqualTo("1 of 2 failed"), "the step itself still knows what its run before stated");
        Assert.That(Directory.GetFileSystemEntries(folder.Of(".ci-steps/evidence/test-step")).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "statement.json", "told.json" }));
    }

    [Test]
    public async Task What_an_earlier_run_left_stays_as_it_is_on_a_dry_run()
    {
        await WriteAsync();
        folder.Write(".ci-steps/evidence/test-step/tests.xml", "of then");
        await WriteAsync(more: "--dry-run");
        Assert.That(File.Exists(folder.Of(".ci-steps/evidence/test-step/tests.xml")), Is.True);
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
        var byOther = (await ReadAsync()).Evidence;
        var (exitOfOther, saidOfOther) = (readExit, step.Output);
        step.Environment["CISTEPS_VERIFICATION_KEY"] = key.ExportSubjectPublicKeyInfoPem();
        var bySigner = (await ReadAsync()).Evidence!.IsSigned;
        var envelope = File.ReadAllText(folder.Of(".ci-steps/evidence/test-step/statement.dsse.json"));
        File.WriteAllText(
            Statement, File.ReadAllText(Statement).Replace("\"passed\": 3", "\"passed\": 4", StringComparison.Ordinal));
        var forged = (await ReadAsync()).Evidence;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(unchecked_, Is.False, "without a key nothing is proven");
            Assert.That((byOther, exitOfOther), Is.EqualTo(((StepEvidence?)null, ExitCode.Refused)));
            Assert.That(saidOfOther, Does.Contain("bad-signature").And.Contain("test-step"));
            Assert.That(bySigner, Is.True);
            Assert.That((forged, readExit), Is.EqualTo(((StepEvidence?)null, ExitCode.Refused)));
            Assert.That((string?)JsonNode.Parse(envelope)!["payloadType"], Is.EqualTo("application/vnd.in-toto+json"));
        }
    }

    [Test]
    public async Task A_missing_signature_is_no_wrong_one()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await WriteAsync();
        step.Environment["CISTEPS_VERIFICATION_KEY"] = key.ExportSubjectPublicKeyInfoPem();
        Assert.That((await ReadAsync()).Evidence?.IsSigned, Is.False);
    }

    [Test]
    public async Task What_another_run_signed_with_another_key_is_a_leftover_and_no_forgery()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        step.Environment["CISTEPS_SIGNING_KEY"] = other.ExportPkcs8PrivateKeyPem();
        await WriteAsync();
        step.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        var (evidence, why) = await ReadAsync(TestStep.Run with { BuildNumber = "8" });
        Assert.That((evidence, why.Contains("build 7"), readExit), Is.EqualTo(((StepEvidence?)null, true, ExitCode.Done)));
    }

    [TestCase("{}")]
    [TestCase("{")]
    [TestCase("[]")]
    [TestCase("{\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"!!\",\"signatures\":[{\"sig\":\"!!\"}]}")]
    [TestCase("{\"payloadType\":1}")]
    [TestCase("{\"payloadType\":\"x\",\"payloadType\":\"x\"}")]
    public async Task A_broken_envelope_is_refused(string envelope)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        step.Environment["CISTEPS_VERIFICATION_KEY"] = key.ExportSubjectPublicKeyInfoPem();
        await WriteAsync();
        folder.Write(".ci-steps/evidence/test-step/statement.dsse.json", envelope);

        Assert.That((await ReadAsync()).Evidence, Is.Null);
        Assert.That(readExit, Is.EqualTo(ExitCode.Refused), step.Output);
    }

    [Test]
    public async Task A_run_without_a_key_removes_the_envelope_of_an_earlier_one()
    {
        folder.Write(".ci-steps/evidence/test-step/statement.dsse.json", "{}");

        await WriteAsync();

        Assert.That(File.Exists(folder.Of(".ci-steps/evidence/test-step/statement.dsse.json")), Is.False);
    }

    [TestCase("CISTEPS_SIGNING_KEY")]
    [TestCase("CISTEPS_VERIFICATION_KEY")]
    public async Task A_wrong_key_is_said_before_anything_is_done(string variable)
    {
        step.Environment[variable] = "no key at all";

        Assert.That(await WriteAsync(), Is.EqualTo(ExitCode.Usage));
        Assert.That(step.Output, Does.Contain(variable + " holds no ECDSA key"));
        Assert.That(Directory.GetFileSystemEntries(folder.Path), Is.Empty);
    }

    [Test]
    public async Task A_public_key_does_not_sign()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        step.Environment["CISTEPS_SIGNING_KEY"] = key.ExportSubjectPublicKeyInfoPem();

        Assert.That((await WriteAsync(), step.Output.Contains("cannot sign")), Is.EqualTo((ExitCode.Usage, true)), step.Output);
    }

    [TestCase(ExitCode.Done, ExitCode.Usage)]
    [TestCase(ExitCode.Refused, ExitCode.Refused)]
    public async Task Without_evidence_no_step_is_green(int reached, int ended)
    {
        var exit = await step.RunAsync(context =>
        {
            context.Run = TestStep.Run;
            folder.Write(".ci-steps/evidence/test-step/statement.json/in-its-place", "x");
            return reached == ExitCode.Done ? Outcome.Done("it is done") : Outcome.Refused("no", "the answer is no");
        }, "--work-tree", folder.Path);

        Assert.That(exit, Is.EqualTo(ended), step.Output);
        Assert.That(
            step.Output, Does.Contain("could not be written").And.Contain(reached == ExitCode.Done ? "it is done" : "is no"));
    }

    [Test]
    public async Task A_link_in_a_folders_place_is_refused_and_what_it_points_to_stays(
        [Values(".ci-steps", ".ci-steps/evidence", ".ci-steps/evidence/test-step")] string place, [Values] bool duringTheRun)
    {
        using var elsewhere = new TestFolder();
        elsewhere.Write("kept.txt", "kept");
        elsewhere.Write("evidence/test-step/kept.txt", "kept");
        elsewhere.Write("test-step/kept.txt", "kept");
        var before = All();
        if (!duringTheRun) Link();

        var exit = await step.RunAsync(context =>
        {
            context.Run = TestStep.Run;
            if (duringTheRun) Link();
            return Outcome.Done("it is done");
        }, "--work-tree", folder.Path);

        Assert.That(exit, Is.EqualTo(ExitCode.Usage), step.Output);
        Assert.That(step.Output, Does.Contain($"\"{folder.Of(place)}\" is a link").And.Contain("remove the link"));
        Assert.That(All(), Is.EqualTo(before));

        void Link()
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder.Of(place))!);
            Directory.CreateSymbolicLink(folder.Of(place), elsewhere.Path);
        }

        List<string> All() => [.. Directory.GetFileSystemEntries(elsewhere.Path, "*", SearchOption.AllDirectories).Order()];
    }

    // Sound evidence, of this very run: but who put it behind the link nobody knows.
    [TestCase(".ci-steps")]
    [TestCase(".ci-steps/evidence")]
    [TestCase(".ci-steps/evidence/earlier")]
    public async Task Evidence_behind_a_linked_folder_is_not_read(string place)
    {
        var found = new List<EvidenceFound>();
        await step.RunAsync(new StepCommand("earlier", "Tests.", [], (context, _) =>
        {
            context.Run = TestStep.Run;
            return Task.FromResult(Outcome.Done("it is done"));
        }), default, "--work-tree", folder.Path);

        await step.RunAsync(context =>
        {
            context.Run = TestStep.Run;
            found.Add(context.Evidence.Find("earlier"));
            Directory.Move(folder.Of(place), folder.Of("moved"));
            Directory.CreateSymbolicLink(folder.Of(place), folder.Of("moved"));
            found.Add(context.Evidence.Find("earlier"));
            return Outcome.Done("it is done");
        }, "--work-tree", folder.Path);

        Assert.That(found.Select(one => one.State), Is.EqualTo(new[] { EvidenceState.Sound, EvidenceState.Unreadable }));
        Assert.That(found[1].Why, Does.Contain(folder.Of(place)).And.Contain("it is a link, not a folder of this work tree"));
    }

    [Test]
    public async Task A_link_among_what_an_earlier_run_left_is_deleted_and_not_followed()
    {
        using var elsewhere = new TestFolder();
        elsewhere.Write("kept.txt", "kept");
        var inside = folder.Of(".ci-steps/evidence/test-step/deep");
        Directory.CreateDirectory(inside);
        foreach (var link in new[] { "deep/link", "link", "told.json" })
            Directory.CreateSymbolicLink(folder.Of(".ci-steps/evidence/test-step/" + link), elsewhere.Path);
        foreach (var link in new[] { ".ci-steps/.gitignore", ".ci-steps/evidence/test-step/statement.json.tmp" })
            File.CreateSymbolicLink(folder.Of(link), Path.Combine(elsewhere.Path, "not-there"));

        var exit = await step.RunAsync(TestStep.Command((context, _) =>
        {
            context.Run = TestStep.Run;
            return Task.FromResult(Outcome.Done("it is done"));
        }) with
        { Keeps = ["told.json"] }, default, "--work-tree", folder.Path);

        Assert.That(exit, Is.EqualTo(ExitCode.Done), step.Output);
        Assert.That(Directory.GetFileSystemEntries(elsewhere.Path).Select(Path.GetFileName), Is.EqualTo(new[] { "kept.txt" }));
        Assert.That(Directory.GetFileSystemEntries(folder.Of(".ci-steps/evidence/test-step")).Select(Path.GetFileName),
            Is.EqualTo(new[] { "statement.json" }));
    }

    [Test]
    public async Task What_stands_in_a_files_place_is_refused_by_name(
        [Values("statement.json", "statement.dsse.json")] string name,
        [Values("/dev/zero", "folder", "nothing", "empty")] string what)
    {
        if (OperatingSystem.IsWindows()) Assert.Pass("there are no devices there");
        folder.Write(".ci-steps/evidence/test-step/statement.json", Sound);
        var path = folder.Of(".ci-steps/evidence/test-step/" + name);
        File.Delete(path);
        if (what == "folder") Directory.CreateDirectory(path);
        else if (what == "empty") File.WriteAllText(path, "");
        else File.CreateSymbolicLink(path, what);

        Assert.That((await ReadAsync(new RunIdentity("r", "b", false, "c", "7", false)).WaitAsync(TimeSpan.FromSeconds(30)))
            .Evidence, Is.Null);
        Assert.That((readExit, step.Output.Contains("not a regular file")), Is.EqualTo((ExitCode.Usage, true)), step.Output);
        Assert.That(step.Output, Does.Contain($"in {path} cannot be read"));
    }

    [Test]
    public void A_link_to_a_device_is_not_read()
    {
        if (OperatingSystem.IsWindows()) Assert.Pass("there are no devices there");
        File.CreateSymbolicLink(folder.Of("zero"), "/dev/zero");
        Assert.That(() => Json.OutsideJson.ReadFile(folder.Of("zero")),
            Throws.TypeOf<Json.OutsideJsonException>().With.Message.Contains("not a regular file"));
    }
}
