using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class BorrowingATestbed
{
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(30);

    private RunningPool pool = null!;
    private TestbedClaims claims = null!;

    [SetUp]
    public async Task SetUp()
    {
        pool = await RunningPool.StartAsync(beds: 2);
        claims = pool.Claims();
    }

    [TearDown]
    public async Task TearDown()
    {
        claims?.Dispose();
        if (pool is not null) await pool.DisposeAsync();
    }

    [Test]
    public async Task A_claim_is_bound_picked_up_and_given_back_and_the_testbed_is_clean_and_free_again()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await using var leased = await claims.TryPickUpAsync(held, default);
        using var bed = pool.Connect(leased!.Kubeconfig);
        await MakeAMessAsync(bed);

        await claims.ReleaseAsync(held.Claim, default);
        var free = await pool.PhaseAsync(held.Testbed, TestbedPhase.Free);

        var admin = pool.Beds[held.Testbed];
        await Assert.MultipleAsync(async () =>
        {
            Assert.That(held.Lease, Is.EqualTo(1));
            Assert.That(free.LeaseNumber, Is.EqualTo(1));
            Assert.That(free.Lease, Is.Null);
            Assert.That(await admin.FindAsync(Kinds.Namespace.Path(null, "shop"), default), Is.Null);
            Assert.That(await admin.FindAsync(Kinds.ConfigMap.Path("default", "stray"), default), Is.Null);
            Assert.That(
                await admin.FindAsync(Kinds.CustomResourceDefinition.Path(null, "widgets.example.com"), default), Is.Null);
            Assert.That(await admin.FindAsync("/apis/rbac.authorization.k8s.io/v1/clusterroles/stray", default), Is.Null);
            Assert.That(
                (await admin.ListAsync(
                    Kinds.ServiceAccount.Collection(PoolKinds.LeaseNamespace), PoolKinds.AccountLabel, null, default)).Items,
                Is.Empty);
            Assert.That(
                await pool.Management.FindAsync(
                    Kinds.Secret.Path(RunningPool.Namespace, Testbed.SecretOf(held.Testbed, 1)), default),
                Is.Null);
        });
    }

    [Test]
    public async Task Credentials_of_a_lease_are_refused_before_the_testbed_is_leased_again()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await using var leased = await claims.TryPickUpAsync(held, default);
        using var zombie = pool.Connect(leased!.Kubeconfig);
        await zombie.ListAsync(Kinds.Secret.Collection(null), null, null, default);
        var other = await pool.ClaimAsync(claims, "2");

        await claims.ReleaseAsync(held.Claim, default);
        var next = await pool.ClaimAsync(claims, "3");

        Assert.Multiple(() =>
        {
            Assert.That(next.Testbed, Is.EqualTo(held.Testbed).And.Not.EqualTo(other.Testbed));
            Assert.That(next.Lease, Is.EqualTo(held.Lease + 1));
            Assert.That(async () => await zombie.ListAsync(Kinds.Secret.Collection(null), null, null, default),
                Throws.TypeOf<UnavailableException>().With.Property("Reason").AnyOf("cluster-unauthorized", "cluster-forbidden"));
        });
    }

    [Test]
    public async Task A_set_is_bound_as_a_whole_and_a_second_call_keeps_what_is_held()
    {
        var first = await claims.ClaimAsync(RunningPool.Request("1", "smoke", "load"), Wait, default);
        var second = await claims.ClaimAsync(RunningPool.Request("1", "smoke", "load"), Wait, default);

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(first.Select(held => held.Suite), Is.EqualTo(new[] { "smoke", "load" }));
            Assert.That(first.Select(held => held.Testbed), Is.Unique);
            Assert.That(second, Is.EqualTo(first));
            Assert.That(await claims.FindAsync(RunningPool.Run("1"), default), Is.EquivalentTo(first));
        });
    }

    [Test]
    public async Task None_free_in_time_says_who_holds_what_and_withdraws_the_claims()
    {
        await pool.ClaimAsync(claims, "1");

        var refusal = await Assert.ThrowsAsync<UnavailableException>(
            () => claims.ClaimAsync(RunningPool.Request("2", "smoke", "load"), TimeSpan.FromSeconds(1), default));

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(refusal!.Reason, Is.EqualTo("no-testbed-free"));
            Assert.That(refusal.Message, Does.Contain("is held by build 1 of ci/greeting until").And.Contain("is free"));
            Assert.That(
                (await pool.Management.ListAsync(PoolKinds.Claim.Collection(RunningPool.Namespace), null, null, default)).Items,
                Has.Count.EqualTo(1));
        });
    }

    [Test]
    public async Task A_cancelled_wait_withdraws_its_claims()
    {
        await claims.ClaimAsync(RunningPool.Request("1", "smoke", "load"), Wait, default);
        using var stop = new CancellationTokenSource();

        var waiting = claims.ClaimAsync(RunningPool.Request("2", "smoke"), Wait, stop.Token);
        await pool.ClaimPhaseAsync(ClaimNames.Of(RunningPool.Run("2"), "smoke"), ClaimPhase.Pending);
        await stop.CancelAsync();

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(async () => await waiting, Throws.InstanceOf<OperationCanceledException>());
            Assert.That(
                await pool.Management.FindAsync(
                    PoolKinds.Claim.Path(RunningPool.Namespace, ClaimNames.Of(RunningPool.Run("2"), "smoke")), default),
                Is.Null);
        });
    }

    [Test]
    public void A_class_that_the_pool_does_not_have_is_refused_at_once_with_those_it_has()
    {
        var request = ClaimRequest.Of(RunningPool.Run("1"), [new TestbedWish("smoke", "huge")]);

        Assert.That(
            async () => await claims.ClaimAsync(request, Wait, default),
            Throws.TypeOf<UsageException>().With.Message.Contains("there is no testbed class \"huge\"; there are: small"));
    }

    [Test]
    public void More_testbeds_at_once_than_there_are_is_refused_at_once() =>
        Assert.That(
            async () => await claims.ClaimAsync(RunningPool.Request("1", "a", "b", "c"), Wait, default),
            Throws.TypeOf<UsageException>().With.Message.Contains("the class has 2"));

    [Test]
    public async Task A_second_holder_of_the_same_chain_takes_over_and_the_first_is_told()
    {
        await pool.ChangeAsync(PoolKinds.Class, "small", its => its["spec"]!["lease"]!["leaseDurationSeconds"] = 3);
        var held = await pool.ClaimAsync(claims, "1");
        await using var first = await claims.TryPickUpAsync(held, default);
        using var others = pool.Claims();

        await using var second = await others.TryPickUpAsync(held, default);

        Assert.That(() => first!.LostBecause, Does.Contain("has taken it over").After(10).Seconds.PollEvery(50).MilliSeconds);
    }

    [Test]
    public async Task A_released_claim_cannot_be_picked_up_and_is_taken_anew_when_asked()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await claims.ReleaseAsync(held.Claim, default);

        var lapsed = await claims.TryPickUpAsync(held, default);
        await using var anew = await claims.PickUpAsync(held, RunningPool.Run("1"), Wait, BuildLog.Silent, default);

        Assert.Multiple(() =>
        {
            Assert.That(lapsed, Is.Null);
            Assert.That(anew.Held.Claim, Is.EqualTo(held.Claim));
            Assert.That(anew.Held, Is.Not.EqualTo(held));
        });
    }

    [Test]
    public async Task Tells_which_chains_hold_testbeds()
    {
        await pool.ClaimAsync(claims, "1");

        var during = await claims.ChainsAsync(default);
        await claims.ReleaseAllAsync(RunningPool.Run("1"), default);
        var after = await claims.ChainsAsync(default);

        Assert.That((string.Join(' ', during), after.Count), Is.EqualTo((ClaimNames.ChainOf(RunningPool.Run("1")), 0)));
    }

    [Test]
    public async Task Releasing_twice_is_the_same_as_once()
    {
        var held = await pool.ClaimAsync(claims, "1");

        var releases = new[]
        {
            await claims.ReleaseAllAsync(RunningPool.Run("1"), default),
            await claims.ReleaseAllAsync(RunningPool.Run("1"), default)
        };

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(releases[0], Is.EqualTo(new[] { held.Claim }));
            Assert.That(releases[1], Is.Empty);
            Assert.That(await claims.ReleaseAsync(held.Claim, default), Is.False);
        });
    }

    private static async Task MakeAMessAsync(Cluster bed)
    {
        await bed.CreateAsync(Kinds.Namespace.Collection(null), Thing("v1", "Namespace", "shop"), default);
        await bed.CreateAsync(Kinds.ConfigMap.Collection("shop"), Thing("v1", "ConfigMap", "inside"), default);
        await bed.CreateAsync(Kinds.ConfigMap.Collection("default"), Thing("v1", "ConfigMap", "stray"), default);
        await bed.CreateAsync(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            Thing("rbac.authorization.k8s.io/v1", "ClusterRole", "stray"),
            default);
        var definition = Thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com");
        definition["spec"] = JsonNode.Parse("""
            {"group":"example.com","scope":"Namespaced",
             "names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
             "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}
            """);
        await bed.CreateAsync(Kinds.CustomResourceDefinition.Collection(null), definition, default);
    }

    internal static JsonObject Thing(string apiVersion, string kind, string name) =>
        new() { ["apiVersion"] = apiVersion, ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = name } };
}
