using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Close.Tests;

public sealed class The_end_of_a_chain
{
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
        var verdict = new ChainVerdict("unit-test", "failed", "no", Enum.Parse<Audience>(audience));
        var plan = ClosePlan.For(verdict, policy, changed.Length == 0 ? [] : [changed]);
        Assert.That(string.Join(' ', plan.Recipients.Select(owner => owner.Name)), Is.EqualTo(told));
    }

    [TestCase("Nobody", 1, 0, 0, "nobody had to be told")]
    [TestCase("Owners", 0, 0, 0, "nobody was told: no owner of it is known")]
    [TestCase("Owners", 1, 0, 0, "the owners were told before")]
    [TestCase("Owners", 1, 0, 1, "could not tell greeters")]
    [TestCase("Owners", 2, 1, 1, "told greeters; could not tell greeters")]
    public void Says_whether_somebody_heard_of_it(string audience, int recipients, int told, int missed, string sentence)
    {
        IReadOnlyList<string> Names(int count) => [.. Enumerable.Repeat("greeters", count)];
        var plan = new ClosePlan(new ChainVerdict("unit-test", "failed", "no", Enum.Parse<Audience>(audience)), [.. Names(recipients).Select(name => new OwnerDefinition(name, "env:A", null))], []);
        Assert.That(CloseStep.Told(plan, (Names(told), Names(missed))), Is.EqualTo(sentence));
    }
}
