using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Notifications.Tests;

public sealed class The_end_of_a_chain
{
    [TestCase("greeter", "Change", "greeters")]
    [TestCase("quotes", "Change", "quoters")]
    [TestCase("", "Change", "greeters quoters", Description = "what changed is not known: all owners")]
    [TestCase("greeter", "World", "platform")]
    [TestCase("greeter", "Environment", "platform")]
    [TestCase("greeter", "Unknown", "greeters platform")]
    [TestCase("greeter", "Nobody", "")]
    public void Is_told_to_whom_it_concerns(string changed, string fault, string told)
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
        var verdict = new ChainVerdict("unit-test", "failed", "no", Enum.Parse<Fault>(fault));
        var recipients = Recipients.For(verdict, policy, changed.Length == 0 ? [] : [changed]);
        Assert.That(string.Join(' ', recipients.Select(owner => owner.Name)), Is.EqualTo(told));
    }

    [Test]
    public void Is_told_to_nobody_when_no_owner_is_known() =>
        Assert.That(Recipients.For(new ChainVerdict("unit-test", "failed", "no", Fault.Change), null, []), Is.Empty);
}

public sealed class A_teams_webhook
{
    [TestCase("http://hook.example/x", "http://hook.example/x", "")]
    [TestCase("env:SET", "http://hook.example/secret", "")]
    [TestCase(
        "env:UNSET",
        null,
        "the variable UNSET, which has the webhook of \"greeters\", is not set here; tell greeters@example.org")]
    [TestCase(null, null, "\"greeters\" has no webhook; tell greeters@example.org")]
    public void Is_found_as_written_or_in_the_environment(string? webhook, string? expected, string why)
    {
        var owner = new OwnerDefinition("greeters", webhook, "greeters@example.org");
        var address = Webhook.AddressOf(owner, name => name == "SET" ? "http://hook.example/secret" : null, out var said);
        Assert.That((address, said), Is.EqualTo((expected, why)));
    }
}
