using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.Promote.Tests;

[TestFixture]
internal sealed class Planning
{
    private const string New = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    private const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    private const string Other = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    private static readonly CertifiedImage Image = new("greeter", "r/greeter", New, "1.7", "1-production", Old);
    private static readonly ComponentDefinition Component = new("greeter", [], [], 1, [], [], null, null,
        new WorkloadDefinition([], "Deployment", "greeter", "greeter", TimeSpan.FromMinutes(1)));

    [Test]
    public void Goes_on_when_the_tag_points_to_what_was_certified() =>
        Assert.That(PromotionPlan.AboutImages([Facts(New)], null), Is.Null);

    [Test]
    public void Is_done_when_a_newer_commit_is_certified()
    {
        var plan = PromotionPlan.AboutImages([Facts(Old, newer: true, commit: "abcdef0123456789")], null)!;

        Assert.That(plan.Refusal, Is.Null);
        Assert.That(plan.Superseded, Does.StartWith("superseded by abcdef012345"));
    }

    [Test]
    public void Refuses_a_tag_that_points_to_something_that_nobody_expects() =>
        Assert.That(PromotionPlan.AboutImages([Facts(Other)], null)!.Refusal!.Value.Reason, Is.EqualTo("tag-moved"));

    [TestCase(Old, false, "tag-moved")]
    [TestCase(New, true, "barred")]
    public void Refuses_what_the_registry_does_not_bear_out(string? tagged, bool barred, string expected) =>
        Assert.That(PromotionPlan.For([Facts(tagged, barred: barred)], [Place(new LiveWorkload(Old, Old, "f"))],
            "c").Refusal!.Value.Reason, Is.EqualTo(expected));

    [Test]
    public void Goes_on_where_an_earlier_run_itself_moved_the_tag_back()
    {
        var plan = PromotionPlan.For([Facts(Old)],
            [Place(new LiveWorkload(Old, Old, "f"), Line(Old, New, Results.RolledBack))], "c");

        Assert.That((plan.Refusal, plan.Rollouts.Count, plan.TagsBehind.Count), Is.EqualTo((default(Refusal?), 1, 1)));
    }

    [Test]
    public void Takes_a_barred_digest_only_by_its_own_name()
    {
        var places = new[] { Place(new LiveWorkload(Old, Old, "f")) };
        Assert.Multiple(() =>
        {
            Assert.That(PromotionPlan.For([Facts(New, barred: true)], places, "c", New).Refusal, Is.Null);
            Assert.That(PromotionPlan.For([Facts(New, barred: true)], places, "c", Old).Refusal!.Value.Reason,
                Is.EqualTo("barred"));
        });
    }

    [Test]
    public void Moves_what_is_not_there_or_not_the_same_or_never_passed_or_does_not_serve()
    {
        var passed = Line(New, Old, Results.Promoted);
        Assert.Multiple(() =>
        {
            Assert.That(For(null).Rollouts.Single().Previous, Is.Null);
            Assert.That(For(new LiveWorkload(Old, Old, "f")).Rollouts.Single().Previous, Is.EqualTo(Old));
            Assert.That(For(new LiveWorkload(New, New, "other"), passed with { Commit = "earlier" }).Rollouts.Single()
                .ToString(), Does.EndWith("new manifests"));
            Assert.That(For(new LiveWorkload(New, New, "f"), passed).Rollouts, Is.Empty);
            Assert.That(For(new LiveWorkload(New, New, "f"), passed).Settled, Has.Count.EqualTo(1));
            Assert.That(For(new LiveWorkload(New, New, "f")).Rollouts, Has.Count.EqualTo(1), "nobody saw it pass");
            foreach (var way in new[] { Results.RollingOut, Results.Unknown })
                Assert.That(For(new LiveWorkload(New, New, "f"), Line(New, Old, way)).Rollouts.Single().Previous,
                    Is.EqualTo(Old), way);
            Assert.That(PromotionPlan.For([Facts(New)],
                [Place(new LiveWorkload(New, New, "f"), passed) with { Missing = "it crashes" }],
                "c").Rollouts.Single().Previous, Is.EqualTo(Old));
        });
    }

    [Test]
    public void Sees_what_somebody_changed_by_hand()
    {
        Assert.That(For(new LiveWorkload(Old, New, "f")).Rollouts.Single().Drift, Does.Contain("by hand"));
        Assert.That(For(new LiveWorkload(Old, Old, "f")).Rollouts.Single().Drift, Is.Null);
    }

    [Test]
    public void Goes_back_to_what_ran_before_and_only_where_it_was_begun()
    {
        var before = Line(Old, Other, Results.Promoted);
        Assert.Multiple(() =>
        {
            Assert.That(Back(new LiveWorkload(Old, Old, "f"), before).Kind, Is.EqualTo(ReturnKind.NotNeeded));
            Assert.That(Back(new LiveWorkload(New, New, "f"), Line(New, Old, Results.RollingOut), before),
                Is.EqualTo((ReturnKind.ToEarlier, Old)));
            Assert.That(Back(new LiveWorkload(New, New, "f"), Line(New, Old, Results.Promoted), before),
                Is.EqualTo((ReturnKind.ToEarlier, Old)));
            // The line is written first: the apply may not have come.
            Assert.That(Back(new LiveWorkload(Old, Old, "f"), Line(New, Old, Results.RollingOut), before),
                Is.EqualTo((ReturnKind.ToEarlier, Old)));
            Assert.That(Back(new LiveWorkload(Old, Old, "f"), Line(Old, New, Results.RollingBack), before),
                Is.EqualTo((ReturnKind.ToEarlier, Old)));
            Assert.That(Back(new LiveWorkload(Old, Old, "f"), Line(Old, New, Results.RolledBack), before).Kind,
                Is.EqualTo(ReturnKind.NotNeeded));
            // Somebody put the bad one there again.
            Assert.That(Back(new LiveWorkload(New, New, "f"), Line(Old, New, Results.RolledBack), before),
                Is.EqualTo((ReturnKind.ToEarlier, Old)));
            Assert.That(Back(new LiveWorkload(New, New, "f"), Line(New, null, Results.RollingOut)),
                Is.EqualTo((ReturnKind.ToNothing, default(string))));
            Assert.That(Back(new LiveWorkload(New, New, "f")), Is.EqualTo((ReturnKind.Stays, default(string))));
        });
    }

    [Test]
    public void Bars_only_what_said_no_itself_and_never_what_it_goes_back_to()
    {
        var begun = Place(new LiveWorkload(New, New, "f"), Line(New, Old, Results.RollingOut));
        var manifests = Place(new LiveWorkload(New, New, "f"), Line(New, New, Results.RollingOut),
            Line(New, Old, Results.Promoted) with { Commit = "earlier" });
        Assert.Multiple(() =>
        {
            Assert.That(ReturnPlan.For(Image, [begun], "c", isOwn: true).Bars, Is.True);
            Assert.That(ReturnPlan.For(Image, [begun], "c", isOwn: false).Bars, Is.False);
            Assert.That(ReturnPlan.For(Image, [manifests], "c", isOwn: true).Bars, Is.False,
                "the image runs well with its earlier manifests");
            Assert.That(ReturnPlan.For(Image, [manifests], "c", isOwn: true).Returns.Single().Written!.Commit,
                Is.EqualTo("earlier"));
        });
    }

    private static (ReturnKind Kind, string? Digest) Back(LiveWorkload live, params HistoryEntry[] history)
    {
        var back = ReturnPlan.For(Image, [Place(live, history)], "c", isOwn: true).Returns.Single();
        return (back.Kind, back.Digest);
    }

    private static HistoryEntry Line(string digest, string? previous, string result) => new(digest, previous, "c", "7", "who",
        "2026-01-01T00:00:00Z", result);

    private static DestinationFacts Place(LiveWorkload? live, params HistoryEntry[] history) =>
        new("all", new ProductionTarget("shop", "K", "shop", [], null), Component, live, "f") { History = history };

    private static PromotionPlan For(LiveWorkload? live, params HistoryEntry[] history) =>
        PromotionPlan.For([Facts(New)], [Place(live, history)], "c");

    private static CertifiedFacts Facts(string? tagged, bool newer = false, string? commit = null, bool barred = false) =>
        new(Image, tagged, newer, commit, barred);
}
