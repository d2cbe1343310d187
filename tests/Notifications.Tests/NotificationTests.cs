using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Notifications.Tests;

public sealed class A_notification
{
    private static readonly RunIdentity Run = new("https://git.example/r", "ci/x", false, new string('a', 40), "7", false);

    [Test]
    public async Task Is_told_by_one_post_that_a_receiver_can_know_again()
    {
        var verdict = new ChainVerdict("unit-test", "failed", "2 tests failed", Fault.Change);
        var notification = Notification.Of(
            new OwnerDefinition("greeters", "env:A", null),
            verdict,
            Run,
            ["greeter"],
            new Dictionary<string, string> { ["build"] = "http://tc/1" });
        using var receiver = new Receiver(503, 200);
        using var http = new HttpClient(receiver);
        var log = new StringWriter();
        Assert.That(
            await Webhook.PostAsync(
                notification,
                "http://hook.example/x",
                http,
                new BuildLog(log, forServer: false),
                TimeProvider.System,
                CancellationToken.None),
            Is.True);
        Assert.That(receiver.Bodies, Has.Count.EqualTo(2), "a fault that passes is tried again");
        var body = JsonNode.Parse(receiver.Bodies[1])!;
        Assert.That(
            (string?)body["id"],
            Is
                .EqualTo(receiver.Keys[1]).And
                .EqualTo(Notification.Of(notification.Owner, verdict, Run, [], new Dictionary<string, string>()).Id));
        Assert.That((string?)body["step"], Is.EqualTo("unit-test"));
        Assert.That((string?)body["text"], Does.Contain("2 tests failed"));
        Assert.That((string?)body["again"], Does.Contain("ci/x"));
    }

    [TestCase(Fault.Change, "owners", "mend it")]
    [TestCase(Fault.World, "platform", "run unit-test again")]
    [TestCase(Fault.Unknown, "everybody", "run unit-test again")]
    public void Says_whose_fault_it_was_and_what_can_be_done(Fault fault, string audience, string again)
    {
        var verdict = new ChainVerdict("unit-test", "failed", "no", fault);
        var body = Notification.Of(
            new OwnerDefinition("greeters", null, null), verdict, Run, [], new Dictionary<string, string>()).Body;
        Assert.That(((string?)body["fault"], (string?)body["audience"]), Is.EqualTo((fault.Word(), audience)));
        Assert.That((string?)body["again"], Does.Contain(again));
        Assert.That(
            (string?)body["text"],
            fault == Fault.Unknown ? Does.Contain("whose fault it was is not known") : Does.Not.Contain("fault"));
    }

    [TestCase("http://hook.example/x", 404)]
    [TestCase("ftp://hook.example/x", 200)]
    public async Task Stays_as_it_is_when_nobody_can_be_told(string address, int status)
    {
        var notification = Notification.Of(
            new OwnerDefinition("greeters", null, null),
            new ChainVerdict("unit-test", "failed", "no", Fault.Change),
            Run,
            [],
            new Dictionary<string, string>());
        using var receiver = new Receiver(status);
        using var http = new HttpClient(receiver);
        var log = new StringWriter();
        Assert.That(
            await Webhook.PostAsync(
                notification, address, http, new BuildLog(log, forServer: false), TimeProvider.System, CancellationToken.None),
            Is.False);
        Assert.That(log.ToString(), Does.Contain("warning"));
    }

    private sealed class Receiver(params int[] answers) : HttpMessageHandler
    {
        public List<string> Bodies { get; } = [];

        public List<string> Keys { get; } = [];

        protected override async Task<HttpResponseMessage> SendAsync(
            HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Bodies.Add(await request.Content!.ReadAsStringAsync(cancellationToken));
            Keys.Add(request.Headers.GetValues("Idempotency-Key").Single());
            return new HttpResponseMessage((System.Net.HttpStatusCode)answers[Math.Min(Bodies.Count, answers.Length) - 1]);
        }
    }
}
