using CiSteps.Testbeds.Pool;
using static CiSteps.Testbeds.Tests.PoolObjects;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class AssigningTestbeds
{
    private static readonly TestbedClass[] Small = [Class("small", "a", "b", "c")];

    [Test]
    public void A_free_testbed_goes_to_the_waiting_claim()
    {
        var plan = Plan(Small, [Testbed("a")], [Claim("one")]);

        Assert.That(Pairs(plan), Is.EqualTo(new[] { "one:a" }));
    }

    [TestCase(TestbedPhase.Provisioning)]
    [TestCase(TestbedPhase.Cleaning)]
    [TestCase(TestbedPhase.Leased)]
    [TestCase(TestbedPhase.Revoking)]
    [TestCase(TestbedPhase.Quarantined)]
    public void Only_a_free_testbed_is_ever_handed_out(TestbedPhase phase)
    {
        var plan = Plan(Small, [Testbed("a", phase)], [Claim("one")]);

        Assert.That(plan.Assignments, Is.Empty);
    }

    [Test]
    public void Higher_priority_is_served_first_and_equal_priority_by_age()
    {
        var plan = Plan(Small, [Testbed("a", sinceMinutes: 2), Testbed("b", sinceMinutes: 1)],
            [
                Claim("young", priority: 5, ageSeconds: 10),
                Claim("old", priority: 5, ageSeconds: 20),
                Claim("urgent", priority: 9)
            ]);

        Assert.That(Pairs(plan), Is.EqualTo(new[] { "urgent:a", "old:b" }));
    }

    [Test]
    public void Waiting_long_enough_beats_priority_so_that_nobody_starves()
    {
        var hours = (int)(PoolPlan.Ageing * 101).TotalSeconds;

        var plan = Plan(
            Small, [Testbed("a")], [Claim("release", priority: 100), Claim("patient", priority: 0, ageSeconds: hours)]);

        Assert.That(Pairs(plan), Is.EqualTo(new[] { "patient:a" }));
    }

    [Test]
    public void A_set_gets_all_of_its_testbeds_or_none()
    {
        TestbedClaim[] set = [Claim("s1", set: "s", size: 2, ageSeconds: 9), Claim("s2", set: "s", size: 2, ageSeconds: 9)];

        Assert.Multiple(() =>
        {
            Assert.That(Plan(Small, [Testbed("a"), Testbed("b", TestbedPhase.Cleaning)], set).Assignments, Is.Empty);
            Assert.That(Pairs(Plan(Small, [Testbed("a"), Testbed("b")], set)), Is.EquivalentTo(new[] { "s1:a", "s2:b" }));
        });
    }

    [Test]
    public void A_set_is_not_served_before_all_of_its_claims_are_there()
    {
        var plan = Plan(Small, [Testbed("a"), Testbed("b")], [Claim("s1", set: "s", size: 2)]);

        Assert.That(plan.Assignments, Is.Empty);
    }

    [Test]
    public void Who_comes_later_does_not_take_what_an_earlier_set_waits_for()
    {
        var plan = Plan(Small, [Testbed("a"), Testbed("b", TestbedPhase.Cleaning)],
            [Claim("s1", set: "s", size: 2, ageSeconds: 60), Claim("s2", set: "s", size: 2, ageSeconds: 60), Claim("later")]);

        Assert.That(plan.Assignments, Is.Empty);
    }

    [Test]
    public void A_set_that_quarantine_makes_impossible_does_not_hold_up_the_others()
    {
        var plan = Plan([Class("small", "a", "b")], [Testbed("a"), Testbed("b", TestbedPhase.Quarantined)],
            [Claim("s1", set: "s", size: 2, ageSeconds: 60), Claim("s2", set: "s", size: 2, ageSeconds: 60), Claim("later")]);

        Assert.That(Pairs(plan), Is.EqualTo(new[] { "later:a" }));
    }

    [Test]
    public void Two_half_served_sets_do_not_wait_for_each_other()
    {
        var s1 = Claim("s1", set: "s", size: 2, ageSeconds: 60);
        var t1 = Claim("t1", set: "t", size: 2, ageSeconds: 30);

        var plan = Plan(
            [Class("small", "a", "b")],
            [Testbed("a", TestbedPhase.Leased, of: s1), Testbed("b", TestbedPhase.Leased, of: t1)],
            [s1, Claim("s2", set: "s", size: 2, ageSeconds: 60), t1, Claim("t2", set: "t", size: 2, ageSeconds: 30)]);

        Assert.That(plan.Reclaims.Select(reclaim => reclaim.Testbed.Name), Is.EquivalentTo(new[] { "a", "b" }));
    }

    [Test]
    public void A_claim_of_an_unknown_class_is_told_which_classes_there_are()
    {
        var plan = Plan(Small, [Testbed("a")], [Claim("one", its: "large")]);

        Assert.That(
            plan.Notices.Single(), Has.Property("Reason").EqualTo("NoSuchClass").And.Property("Message").Contains("small"));
    }

    [Test]
    public void A_set_larger_than_its_class_is_told_so_and_not_left_waiting()
    {
        var plan = Plan([Class("small", "a")], [Testbed("a")], [Claim("s1", set: "s", size: 2), Claim("s2", set: "s", size: 2)]);

        Assert.Multiple(() =>
        {
            Assert.That(plan.Notices.Select(notice => notice.Reason), Is.EqualTo(new[] { "TooManyAsked", "TooManyAsked" }));
            Assert.That(plan.Assignments, Is.Empty);
        });
    }

    [Test]
    public void A_claim_is_told_once_that_it_waits()
    {
        var told = Claim("one").With(ClaimPhase.Pending, "Waiting", "");

        Assert.Multiple(() =>
        {
            Assert.That(Plan(Small, [], [Claim("one")]).Notices, Has.Count.EqualTo(1));
            Assert.That(Plan(Small, [], [told]).Notices, Is.Empty);
        });
    }

    [Test]
    public void A_claim_is_bound_only_when_the_credentials_of_its_whole_set_are_issued()
    {
        var s1 = Claim("s1", set: "s", size: 2);
        var s2 = Claim("s2", set: "s", size: 2);

        var half = Plan(
            Small,
            [Testbed("a", TestbedPhase.Leased, of: s1), Testbed("b", TestbedPhase.Leased, of: s2, issued: false)],
            [s1, s2]);
        var whole = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: s1), Testbed("b", TestbedPhase.Leased, of: s2)], [s1, s2]);

        Assert.Multiple(() =>
        {
            Assert.That(half.Bindings, Is.Empty);
            Assert.That(
                whole.Bindings.Select(binding => $"{binding.Claim.Name}:{binding.Testbed.Name}"),
                Is.EqualTo(new[] { "s1:a", "s2:b" }));
        });
    }

    [Test]
    public void No_plan_gives_one_testbed_to_two_claims()
    {
        var random = new Random(20260301);
        for (var round = 0; round < 500; round++)
        {
            var testbeds = Enumerable.Range(0, random.Next(1, 12))
                .Select(i => Testbed($"t{i}", (TestbedPhase)random.Next(6), random.Next(2) == 0 ? "small" : "large"))
                .ToList();
            var claims = Enumerable.Range(0, random.Next(0, 15))
                .Select(
                    i => Claim(
                        $"c{i}",
                        random.Next(2) == 0 ? "small" : "large",
                        random.Next(3),
                        random.Next(600),
                        $"s{random.Next(8)}",
                        random.Next(1, 3)))
                .ToList();

            var plan = Plan([Class("small", "x", "y"), Class("large", "z")], testbeds, claims);

            Assert.Multiple(() =>
            {
                Assert.That(plan.Assignments.Select(a => a.Testbed.Name), Is.Unique, $"round {round}");
                Assert.That(plan.Assignments.Select(a => a.Claim.Name), Is.Unique, $"round {round}");
                Assert.That(
                    plan.Assignments.All(a => a.Testbed.Phase == TestbedPhase.Free && a.Testbed.Class == a.Claim.Class),
                    Is.True,
                    $"round {round}");
                foreach (var set in claims.GroupBy(c => c.Set))
                    Assert.That(
                        plan.Assignments.Count(a => a.Claim.Set == set.Key),
                        Is.Zero.Or.EqualTo(set.Count()),
                        $"round {round}, set {set.Key}");
            });
        }
    }

    private static IEnumerable<string> Pairs(PoolPlan plan) => plan.Assignments.Select(a => $"{a.Claim.Name}:{a.Testbed.Name}");
}
