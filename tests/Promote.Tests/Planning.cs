using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.Promote.Tests;

[TestFixture]
internal sealed class Planning
{
    private const string New = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    private const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    private static readonly CertifiedImage Image = new("greeter", "r/greeter", New, "1.7", "1-production", Old);
    private static readonly ComponentDefinition Component = new("greeter", [], [], 1, [], [], null, null, new WorkloadDefinition([], "Deployment", "greeter", "greeter", TimeSpan.FromMinutes(1)));

    [Test]
    public void Goes_on_when_the_tag_points_to_what_was_certified() => Assert.That(PromotionPlan.AboutImages([Facts(New)], null), Is.Null);

    [Test]
    public void Is_done_when_a_newer_commit_is_certified()
    {
        var plan = PromotionPlan.AboutImages([Facts(Old, newer: true, commit: "abcdef0123456789")], null)!;

        Assert.That(plan.Refusal, Is.Null);
        Assert.That(plan.Superseded, Does.StartWith("superseded by abcdef012345"));
    }

    [TestCase(null, false, "not-certified")]
    [TestCase(Old, false, "tag-moved")]
    [TestCase(New, true, "barred")]
    public void Refuses_what_the_registry_does_not_bear_out(string? tagged, bool barred, string expected) =>
        Assert.That(PromotionPlan.AboutImages([Facts(tagged, barred: barred)], null)!.Refusal!.Value.Reason, Is.EqualTo(expected));

    [Test]
    public void Takes_a_barred_digest_only_by_its_own_name()
    {
        Assert.Multiple(() =>
        {
            Assert.That(PromotionPlan.AboutImages([Facts(New, barred: true)], New), Is.Null);
            Assert.That(PromotionPlan.AboutImages([Facts(New, barred: true)], Old)!.Refusal!.Value.Reason, Is.EqualTo("barred"));
        });
    }

    [Test]
    public void Moves_what_is_not_there_or_not_the_same()
    {
        Assert.Multiple(() =>
        {
            Assert.That(For(null).Rollouts.Single().Previous, Is.Null);
            Assert.That(For(new LiveWorkload(Old, Old, "f")).Rollouts.Single().Previous, Is.EqualTo(Old));
            Assert.That(For(new LiveWorkload(New, New, "other")).Rollouts.Single().ToString(), Does.EndWith("new manifests"));
            Assert.That(For(new LiveWorkload(New, New, "f")).Rollouts, Is.Empty);
            Assert.That(For(new LiveWorkload(New, New, "f")).Settled, Has.Count.EqualTo(1));
        });
    }

    [Test]
    public void Sees_what_somebody_changed_by_hand()
    {
        Assert.That(For(new LiveWorkload(Old, New, "f")).Rollouts.Single().Drift, Does.Contain("by hand"));
        Assert.That(For(new LiveWorkload(Old, Old, "f")).Rollouts.Single().Drift, Is.Null);
    }

    private static PromotionPlan For(LiveWorkload? live) =>
        PromotionPlan.For([Facts(New)], [new DestinationFacts("all", new ProductionTarget("shop", "K", "shop", [], null), Component, live, "f")]);

    private static CertifiedFacts Facts(string? tagged, bool newer = false, string? commit = null, bool barred = false) => new(Image, tagged, newer, commit, barred);
}
