using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Close.Tests;

public sealed class What_a_chains_end_takes
{
    private static readonly RunIdentity Run = new("https://git.example/r", "ci/x", false, new string('a', 40), "7", false);

    private static readonly PipelineDefinition Policy = PipelineFile.Parse(Closing_a_chain.PipelineText, "ci-steps.yaml");

    private static ClosePlan Plan(IReadOnlyList<string> touched, params StepEvidence[] evidence)
    {
        var found = evidence.ToDictionary(one => one.Step);
        var missing = ChainVerdict.BranchSteps.Except(found.Keys).ToDictionary(step => step,
            step => new EvidenceFound(EvidenceState.Missing, null, $"there is no evidence of {step}"));
        return ClosePlan.For(new EndedChain(Run, ChainVerdict.BranchSteps, found, missing, Policy, touched, HasTestbeds: true));
    }

    private static StepEvidence Evidence(string step, Outcome outcome) =>
        new(
            step,
            Run,
            outcome.Exit,
            outcome.Reason,
            outcome.Text,
            [],
            "",
            [],
            outcome.HandOver,
            default,
            default)
        { Fault = outcome.Fault };

    [Test]
    public void Is_told_to_the_owners_of_what_unit_test_found_changed()
    {
        var (untouched, tested) = (
            new TestedComponent("greeter", false, "", 0, 0, 0, 0), new TestedComponent("quotes", true, "", 1, 0, 0, 0));
        var passed = Outcome
            .Done("passed")
            .HandingOver(new UnitTestHandOver("", [untouched, tested]), HandOverJson.Default.UnitTestHandOver);
        var plan = Plan(["greeter"], Evidence("unit-test", passed), Evidence("image-build", Outcome.Refused("build", "no")));
        Assert.That(plan.Recipients.Select(owner => owner.Name), Is.EqualTo(new[] { "quoters" }));
        Assert.That(plan.Components, Is.EqualTo(new[] { "quotes" }));
    }

    [Test]
    public void Is_told_to_the_owners_of_what_the_change_touches_when_unit_test_did_not_come_so_far()
    {
        var plan = Plan(["greeter"], Evidence("unit-test", Outcome.Refused("failed", "no")));
        Assert.That(plan.Recipients.Select(owner => owner.Name), Is.EqualTo(new[] { "greeters" }));
    }

    [Test]
    public void Is_reported_with_a_line_for_every_step_also_those_that_never_started()
    {
        var report = Plan([], Evidence("unit-test", Outcome.Done("passed"))).Report;
        Assert.That(report.Rows.Select(row => $"{row.Name} {row.Outcome}"),
            Is.EqualTo(new[]
            {
                "unit-test done", "image-build not started", "reserve-testbed not started", "integration-deploy not started",
                "merge not started",
            }));
        Assert.That(report.Rows.Where(row => row.IsProblem).Select(row => row.Name), Is.EqualTo(new[] { "image-build" }));
    }

    [TestCase("Nobody", 1, 0, 0, "nobody had to be told")]
    [TestCase("Change", 0, 0, 0, "nobody was told: no owner of it is known")]
    [TestCase("Change", 1, 0, 0, "the owners were told before")]
    [TestCase("Change", 1, 0, 1, "could not tell greeters")]
    [TestCase("Change", 2, 1, 1, "told greeters; could not tell greeters")]
    public void Says_whether_somebody_heard_of_it(string fault, int recipients, int told, int missed, string sentence)
    {
        IReadOnlyList<string> Names(int count) => [.. Enumerable.Repeat("greeters", count)];
        var verdict = new ChainVerdict("unit-test", "failed", "no", Enum.Parse<Fault>(fault));
        var owners = Names(recipients).Select(name => new OwnerDefinition(name, "env:A", null));
        var plan = new ClosePlan(verdict, GivesBack: false, [.. owners], [], new ChainReport("", false, "", []));
        Assert.That(plan.Heard(Names(told), Names(missed)), Is.EqualTo(sentence));
    }
}

/// <summary><c>close</c> as an agent runs it, on a real clone; the webhooks are handed to it.</summary>
public sealed class Closing_a_chain
{
    internal const string PipelineText = """
        registry: { push: registry.example }
        components:
          - { name: greeter, paths: [greeter/**], owners: [greeters], major: 1 }
          - { name: quotes, paths: [quotes/**], owners: [quoters], major: 1 }
        notifications:
          owners:
            greeters: { webhook: "env:GREETERS" }
            quoters: { webhook: "env:QUOTERS" }
        """;

    private Dictionary<string, string> environment = null!;
    private GitRepositories git = null!;
    private GitClone clone = null!;
    private Webhooks webhooks = null!;
    private string output = "";

    private string CloseFolder => Path.Combine(clone.Folder, ".ci-steps", "evidence", "close");

    [SetUp]
    public void Make_a_private_branch()
    {
        environment = new() { ["GREETERS"] = "http://hook.example/greeters" };
        (git, webhooks) = (new GitRepositories(), new Webhooks());
        clone = git.Clone();
        clone.Commit("ci-steps.yaml", PipelineText);
        clone.Push();
        clone.Branch("ci/x");
        clone.Commit("greeter/greeting.txt", "hello");
        clone.Push();
    }

    [TearDown]
    public void Remove_it()
    {
        webhooks.Dispose();
        git.Dispose();
    }

    [Test]
    public async Task Tells_the_owners_of_a_failure_once_and_reports_it()
    {
        await StateAsync("unit-test", Outcome.Refused("failed", "2 tests failed"));
        Assert.That(await RunAsync(), Is.Zero);
        Assert.That(webhooks.Posted, Is.EqualTo(new[] { "/greeters" }));
        Assert.That(output, Does.Contain("the chain failed at unit-test (failed); no testbed was held; told greeters"));
        Assert.That(
            File.ReadAllText(Path.Combine(CloseFolder, "report.html")),
            Does.Contain("2 tests failed").And.Contain("not started"));

        Assert.That(await RunAsync(), Is.Zero);
        Assert.That(webhooks.Posted, Has.Count.EqualTo(1), "a second run tells nobody again");
        Assert.That(output, Does.Contain("the owners were told before"));
    }

    [Test]
    public async Task Records_at_the_origin_that_the_target_is_red_and_that_it_is_no_more_when_it_is_told_to()
    {
        clone.Checkout("main");
        await StateAsync("unit-test", Outcome.Refused("failed", "2 tests failed"));
        Assert.That(await RunAsync(), Is.Zero, output);
        Assert.That(git.Git("for-each-ref", "refs/ci-steps"), Is.Empty, "nobody asked for it");
        Assert.That(await RunAsync("--record-release"), Is.Zero, output);
        Assert.That(git.Git("rev-parse", "refs/ci-steps/red/main"), Is.EqualTo(clone.Head));
        foreach (var step in CiSteps.Reports.ChainVerdict.ReleaseSteps) await StateAsync(step, Outcome.Done("done"));
        Assert.That(await RunAsync("--record-release"), Is.Zero, output);
        Assert.That(git.Git("for-each-ref", "refs/ci-steps"), Is.Empty, output);
    }

    [TestCase("no json", "unreadable", "unit-test left no readable evidence", "unreadable")]
    [TestCase("another build", "other-run", "no evidence of this run", "not started")]
    [TestCase("another key", "bad-signature", "is not signed as it has to be", "wrong signature")]
    public async Task Tells_evidence_that_is_no_use_from_a_step_that_never_started(string what, string reason, string says,
        string row)
    {
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        using var other = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        environment["CISTEPS_SIGNING_KEY"] = (what == "another key" ? other : key).ExportPkcs8PrivateKeyPem();
        await StateAsync("unit-test", Outcome.Done("passed"), what == "another build" ? "8" : "7");
        environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();
        if (what == "no json")
            await File.WriteAllTextAsync(Path.Combine(clone.Folder, ".ci-steps/evidence/unit-test/statement.json"), "{");

        Assert.That(await RunAsync(), Is.Zero, output);
        Assert.That(output, Does.Contain($"unit-test failed ({reason})").And.Contain(says).And.Not.Contain("never started"));
        Assert.That(File.ReadAllText(Path.Combine(CloseFolder, "report.html")), Does.Contain(row));
    }

    [Test]
    public async Task Says_its_word_also_when_it_is_stopped_while_it_says_it()
    {
        await StateAsync("unit-test", Outcome.Refused("failed", "2 tests failed"));
        using var stop = new CancellationTokenSource();
        webhooks.Asked = () => stop.Cancel();
        using var http = new HttpClient(webhooks, disposeHandler: false);

        var exit = await RunAsync(CloseCommand.Create(http), [], stop: stop.Token);

        Assert.That(exit, Is.Zero, output);
        Assert.That(output, Does.Contain("told greeters"));
        Assert.That(webhooks.Posted, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Touches_nothing_on_a_dry_run()
    {
        await StateAsync("unit-test", Outcome.Refused("failed", "2 tests failed"));
        Assert.That(await RunAsync("--dry-run"), Is.Zero);
        Assert.That(output, Does.Contain("to be told: greeters").And.Contain("nothing was given back, nobody was told"));
        Assert.That(webhooks.Posted, Is.Empty);
        Assert.That(Directory.Exists(CloseFolder), Is.False);
    }

    [Test]
    public async Task Ends_the_chain_of_a_change_that_broke_the_pipeline_file()
    {
        clone.Commit("ci-steps.yaml", "components: 1");
        Assert.That(await RunAsync(), Is.Zero);
        Assert.That(output, Does.Contain("owners are not known").And.Contain("the chain failed at unit-test (missing)"));
        Assert.That(File.Exists(Path.Combine(CloseFolder, "report.html")), Is.True);
    }

    [Test]
    public async Task Tells_the_others_and_reports_when_a_team_has_no_webhook_here()
    {
        environment["GREETERS_FILE"] = Path.Combine(git.Folder, "gone");
        environment.Remove("GREETERS");
        environment["QUOTERS"] = "http://hook.example/quoters";
        clone.Commit("quotes/quote.txt", "a quote");
        await StateAsync("unit-test", Outcome.Refused("failed", "2 tests failed"));
        Assert.That(await RunAsync(), Is.Zero);
        Assert.That(webhooks.Posted, Is.EqualTo(new[] { "/quoters" }));
        Assert.That(output, Does.Contain("told quoters; could not tell greeters"));
    }

    [Test]
    public async Task Says_that_testbeds_may_still_be_held_when_their_pool_cannot_be_asked()
    {
        environment["CISTEPS_POOL_KUBECONFIG"] = Path.Combine(git.Folder, "gone");
        await StateAsync("unit-test", Outcome.Refused("failed", "2 tests failed"));
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Unavailable));
        Assert.That(
            output, Does.Contain("the chain's testbeds could not be given back").And.Contain("their leases end by themselves"));
        Assert.That(webhooks.Posted, Is.EqualTo(new[] { "/greeters" }), "the owners are told all the same");
    }

    private Task StateAsync(string step, Outcome outcome, string build = "7") =>
        clone.StateAsync(step, build, outcome, environment);

    private async Task<int> RunAsync(params string[] more)
    {
        using var http = new HttpClient(webhooks, disposeHandler: false);
        return await RunAsync(CloseCommand.Create(http), more);
    }

    private async Task<int> RunAsync(StepCommand step, string[] more, string build = "7", CancellationToken stop = default)
    {
        (var exit, output) = await clone.RunAsync(step, build, environment, more, stop: stop);
        return exit;
    }

    private sealed class Webhooks : HttpMessageHandler
    {
        public List<string> Posted { get; } = [];

        public Action? Asked { get; set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Asked?.Invoke();
            cancellationToken.ThrowIfCancellationRequested();
            Posted.Add(request.RequestUri!.AbsolutePath);
            return Task.FromResult(new HttpResponseMessage());
        }
    }
}
