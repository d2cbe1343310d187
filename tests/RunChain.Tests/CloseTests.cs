using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.RunChain.Closing;

namespace CiSteps.RunChain.Tests;

public sealed class The_end_of_a_chain
{
    private static readonly RunIdentity Run = new("https://git.example/r", "ci/x", false, new string('a', 40), "7", false);

    private static StepEvidence Evidence(string step, int exit, string reason = "done") =>
        new(step, Run, exit, reason, $"{step} says so", [], "", [], null, default, default);

    private static CloseVerdict Judge(params StepEvidence[] evidence) =>
        CloseVerdict.For(CloseVerdict.BranchSteps, evidence.ToDictionary(one => one.Step), new Dictionary<string, string>());

    [Test]
    public void Is_good_when_every_step_is_done() => Assert.That(Judge([.. CloseVerdict.BranchSteps.Select(step => Evidence(step, ExitCode.Done))]).Succeeded, Is.True);

    [TestCase(ExitCode.Refused, "failed", "Owners")]
    [TestCase(ExitCode.Usage, "usage", "Owners")]
    [TestCase(ExitCode.Unavailable, "registry", "Platform")]
    [TestCase(ExitCode.Bug, "bug", "Platform")]
    [TestCase(ExitCode.Cancelled, "cancelled", "Nobody")]
    [TestCase(ExitCode.Refused, "superseded", "Nobody")]
    public void Names_the_first_step_that_failed_and_whom_it_concerns(int exit, string reason, string audience)
    {
        var verdict = Judge(Evidence("unit-test", ExitCode.Done), Evidence("image-build", exit, reason));
        Assert.That((verdict.FailedStep, verdict.Reason, verdict.Audience.ToString()), Is.EqualTo(("image-build", reason, audience)));
    }

    [Test]
    public void Takes_a_step_without_a_word_for_a_fault_of_the_platform()
    {
        var verdict = Judge(Evidence("unit-test", ExitCode.Done));
        Assert.That((verdict.FailedStep, verdict.Reason, verdict.Audience), Is.EqualTo(("image-build", "missing", Audience.Platform)));
    }

    [TestCase("greeter", "Owners", "greeters")]
    [TestCase("quotes", "Owners", "quoters")]
    [TestCase("", "Owners", "greeters quoters", Description = "what changed is not known: all owners")]
    [TestCase("greeter", "Platform", "platform")]
    [TestCase("greeter", "Nobody", "")]
    public void Tells_whom_it_concerns(string changed, string audience, string told)
    {
        var policy = PipelineFile.Parse("""
            registry: { push: registry.example }
            components:
              - { name: greeter, paths: [greeter/**], owners: [greeters], major: 1 }
              - { name: quotes, paths: [quotes/**], owners: [quoters], major: 1 }
            notifications:
              owners: { greeters: { webhook: "env:A" }, quoters: { webhook: "env:B" }, platform: { webhook: "env:C" } }
              platform: platform
            """, "ci-steps.yaml");
        var verdict = new CloseVerdict("unit-test", "failed", "no", Enum.Parse<Audience>(audience));
        var plan = ClosePlan.For(verdict, policy, changed.Length == 0 ? [] : [changed]);
        Assert.That(string.Join(' ', plan.Recipients.Select(owner => owner.Name)), Is.EqualTo(told));
    }

    [Test]
    public async Task Is_told_by_one_post_that_a_receiver_can_know_again()
    {
        var verdict = new CloseVerdict("unit-test", "failed", "2 tests failed", Audience.Owners);
        var notification = Notification.Of(new OwnerDefinition("greeters", "env:A", null), verdict, Run, ["greeter"], new Dictionary<string, string> { ["build"] = "http://tc/1" });
        using var receiver = new Receiver(503, 200);
        using var http = new HttpClient(receiver);
        var log = new StringWriter();
        Assert.That(await notification.SendAsync("http://hook.example/x", http, new BuildLog(log, forServer: false), TimeProvider.System, CancellationToken.None), Is.True);
        Assert.That(receiver.Bodies, Has.Count.EqualTo(2), "a fault that passes is tried again");
        var body = JsonNode.Parse(receiver.Bodies[1])!;
        Assert.That((string?)body["id"], Is.EqualTo(receiver.Keys[1]).And.EqualTo(Notification.Of(notification.Owner, verdict, Run, [], new Dictionary<string, string>()).Id));
        Assert.That((string?)body["step"], Is.EqualTo("unit-test"));
        Assert.That((string?)body["text"], Does.Contain("2 tests failed"));
        Assert.That((string?)body["again"], Does.Contain("ci/x"));
    }

    [TestCase("Nobody", 1, 0, 0, "nobody had to be told")]
    [TestCase("Owners", 0, 0, 0, "nobody was told: no owner of it is known")]
    [TestCase("Owners", 1, 0, 0, "the owners were told before")]
    [TestCase("Owners", 1, 0, 1, "could not tell greeters")]
    [TestCase("Owners", 2, 1, 1, "told greeters; could not tell greeters")]
    public void Says_whether_somebody_heard_of_it(string audience, int recipients, int told, int missed, string sentence)
    {
        IReadOnlyList<string> Names(int count) => [.. Enumerable.Repeat("greeters", count)];
        var plan = new ClosePlan(new CloseVerdict("unit-test", "failed", "no", Enum.Parse<Audience>(audience)), [.. Names(recipients).Select(name => new OwnerDefinition(name, "env:A", null))], []);
        Assert.That(CloseStep.Told(plan, (Names(told), Names(missed))), Is.EqualTo(sentence));
    }

    [TestCase("http://hook.example/x", 404)]
    [TestCase("ftp://hook.example/x", 200)]
    public async Task Stays_as_it_is_when_nobody_can_be_told(string address, int status)
    {
        var notification = Notification.Of(new OwnerDefinition("greeters", null, null), new CloseVerdict("unit-test", "failed", "no", Audience.Owners), Run, [], new Dictionary<string, string>());
        using var receiver = new Receiver(status);
        using var http = new HttpClient(receiver);
        var log = new StringWriter();
        Assert.That(await notification.SendAsync(address, http, new BuildLog(log, forServer: false), TimeProvider.System, CancellationToken.None), Is.False);
        Assert.That(log.ToString(), Does.Contain("warning"));
    }

    private sealed class Receiver(params int[] answers) : HttpMessageHandler
    {
        public List<string> Bodies { get; } = [];

        public List<string> Keys { get; } = [];

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Bodies.Add(await request.Content!.ReadAsStringAsync(cancellationToken));
            Keys.Add(request.Headers.GetValues("Idempotency-Key").Single());
            return new HttpResponseMessage((System.Net.HttpStatusCode)answers[Math.Min(Bodies.Count, answers.Length) - 1]);
        }
    }
}
