using CiSteps.Testbeds.Pool;
using static CiSteps.Testbeds.Tests.PoolObjects;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class EndingLeases
{
    private static readonly TestbedClass[] Small = [Class("small", "a")];

    [TestCase(9, false)]
    [TestCase(11, true)]
    public void A_claim_that_nobody_picks_up_ends_after_its_grace(int minutes, bool ends)
    {
        var claim = Claim("one").Bound("a", minutesAgo: minutes);

        var plan = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: claim)], [claim]);

        Assert.That(plan.Expiries.Select(expiry => expiry.Reason), ends ? Is.EqualTo(new[] { "NotPickedUp" }) : Is.Empty);
    }

    [TestCase(80, false)]
    [TestCase(100, true)]
    public void A_silent_holder_loses_the_lease(int seconds, bool ends)
    {
        var claim = Claim("one").Bound("a", minutesAgo: 30, holder: "agent");

        var plan = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: claim)], [claim], ("one", TimeSpan.FromSeconds(seconds)));

        Assert.That(plan.Expiries.Select(expiry => expiry.Reason), ends ? Is.EqualTo(new[] { "Silent" }) : Is.Empty);
    }

    [Test]
    public void A_lively_holder_still_ends_with_the_time_to_live()
    {
        var claim = Claim("one").Bound("a", minutesAgo: 121, holder: "agent");

        var plan = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: claim)], [claim], ("one", TimeSpan.Zero));

        Assert.That(plan.Expiries.Single().Reason, Is.EqualTo("TimeToLive"));
    }

    [Test]
    public void The_claim_ends_first_and_the_testbed_only_after_that_is_written()
    {
        var claim = Claim("one").Bound("a", minutesAgo: 11);
        var testbed = Testbed("a", TestbedPhase.Leased, of: claim);

        var before = Plan(Small, [testbed], [claim]);
        var after = Plan(Small, [testbed], [claim.With(ClaimPhase.Expired, "NotPickedUp", "")]);

        Assert.Multiple(() =>
        {
            Assert.That(before.Reclaims, Is.Empty, "a sign of life may still win the write");
            Assert.That(after.Reclaims.Single().Testbed.Name, Is.EqualTo("a"));
        });
    }

    [Test]
    public void A_testbed_whose_claim_is_gone_is_taken_back()
    {
        var plan = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: Claim("gone"))], []);

        Assert.That(plan.Reclaims.Single().Why, Does.Contain("\"gone\""));
    }

    [Test]
    public void A_claim_of_the_same_name_made_later_holds_nothing()
    {
        var old = Claim("one");
        var anew = Claim("one");
        anew.Json["metadata"]!["uid"] = "another";

        var plan = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: old)], [new TestbedClaim(anew.Json)]);

        Assert.That(plan.Reclaims, Has.Count.EqualTo(1));
    }

    [Test]
    public void A_second_testbed_for_a_bound_claim_is_taken_back()
    {
        var claim = Claim("one").Bound("a", lease: 4);

        var plan = Plan(
            [Class("small", "a", "b")],
            [Testbed("a", TestbedPhase.Leased, of: claim, number: 4), Testbed("b", TestbedPhase.Leased, of: claim, number: 7)],
            [claim]);

        Assert.That(plan.Reclaims.Select(reclaim => reclaim.Testbed.Name), Is.EqualTo(new[] { "b" }));
    }

    [Test]
    public void A_claim_whose_claimant_died_waiting_ends_a_little_after_its_wait()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Plan(Small, [], [Claim("one", ageSeconds: 80, wait: 60)]).Expiries, Is.Empty);
            Assert.That(
                Plan(Small, [], [Claim("one", ageSeconds: 95, wait: 60)]).Expiries.Single().Reason, Is.EqualTo("WaitedTooLong"));
        });
    }

    [TestCase(59, 0)]
    [TestCase(61, 1)]
    public void An_expired_claim_can_be_seen_for_an_hour(int minutes, int forgotten)
    {
        var claim = Claim("one", ageSeconds: 9000).With(
            ClaimPhase.Expired, "Silent", "", status => status["endedAt"] = (Now - TimeSpan.FromMinutes(minutes)).AsText());

        Assert.That(Plan(Small, [], [claim]).Forgotten, Has.Count.EqualTo(forgotten));
    }

    [Test]
    public void The_pool_wakes_up_at_the_next_deadline()
    {
        var claim = Claim("one").Bound("a", minutesAgo: 4);

        var plan = Plan(Small, [Testbed("a", TestbedPhase.Leased, of: claim)], [claim]);

        Assert.That(plan.NextDeadline, Is.EqualTo(Now + TimeSpan.FromMinutes(6)));
    }

    [Test]
    public void A_leased_testbed_never_becomes_free_without_revocation_and_cleaning()
    {
        var allowed = from before in Enum.GetValues<TestbedPhase>()
                      from after in Enum.GetValues<TestbedPhase>()
                      where before != after && TestbedPhases.MayFollow(before, after)
                      select (before, after);

        Assert.Multiple(() =>
        {
            Assert.That(
                allowed.Where(way => way.before == TestbedPhase.Leased).Select(way => way.after),
                Is.EqualTo(new[] { TestbedPhase.Revoking }));
            Assert.That(
                allowed.Where(way => way.after == TestbedPhase.Free).Select(way => way.before),
                Is.EqualTo(new[] { TestbedPhase.Cleaning }));
            Assert.That(
                allowed.Where(way => way.after == TestbedPhase.Leased).Select(way => way.before),
                Is.EqualTo(new[] { TestbedPhase.Free }));
            Assert.That(() => Testbed("a", TestbedPhase.Leased).In(TestbedPhase.Free, Now, ""), Throws.InvalidOperationException);
        });
    }

    [Test]
    public void A_claim_may_ask_for_less_than_its_class_allows_and_never_for_more()
    {
        var claim = Claim("one");
        claim.Json["spec"]!["lease"] = new System.Text.Json.Nodes.JsonObject
        {
            ["leaseDurationSeconds"] = 5,
            ["timeToLiveSeconds"] = 999999
        };

        var times = new TestbedClaim(claim.Json).Times(Small[0]);

        Assert.Multiple(() =>
        {
            Assert.That(times.LeaseDuration, Is.EqualTo(TimeSpan.FromSeconds(5)));
            Assert.That(times.TimeToLive, Is.EqualTo(TimeSpan.FromHours(2)));
        });
    }

    [Test]
    public void Silence_is_measured_by_the_pools_own_clock_from_the_last_change()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var watch = new HolderWatch(time);
        var claim = Claim("one").Bound("a", holder: "agent");
        // A holder whose clock is a year ahead.
        claim.Json["spec"]!["holder"]!["renewTime"] = "2027-03-01T00:00:00Z";

        watch.Observe([new TestbedClaim(claim.Json)]);
        time.Advance(TimeSpan.FromSeconds(40));
        var silent = watch.Observe([new TestbedClaim(claim.Json)])[claim.Uid];
        claim.Json["spec"]!["holder"]!["renewTime"] = "2027-03-01T00:00:30Z";
        var alive = watch.Observe([new TestbedClaim(claim.Json)])[claim.Uid];

        Assert.Multiple(() =>
        {
            Assert.That(silent, Is.EqualTo(TimeSpan.FromSeconds(40)));
            Assert.That(alive, Is.EqualTo(TimeSpan.Zero));
        });
    }
}
