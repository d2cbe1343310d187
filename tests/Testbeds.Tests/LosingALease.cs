using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class LosingALease
{
    private static readonly LeaseTimes Brief = new(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(2), TimeSpan.FromMinutes(1));

    private RunningPool pool = null!;
    private TestbedClaims claims = null!;

    [SetUp]
    public async Task SetUp()
    {
        pool = await RunningPool.StartAsync(beds: 1, Brief);
        claims = pool.Claims();
    }

    [TearDown]
    public async Task TearDown()
    {
        claims?.Dispose();
        if (pool is not null) await pool.DisposeAsync();
    }

    [Test]
    public async Task A_holder_that_dies_without_a_word_loses_the_testbed_which_is_cleaned_for_the_next()
    {
        var held = await pool.ClaimAsync(claims, "1");
        var leased = await claims.TryPickUpAsync(held, default);
        using var dead = pool.Connect(leased!.Kubeconfig);
        await dead.CreateAsync(Kinds.Namespace.Collection(null), BorrowingATestbed.Thing("v1", "Namespace", "left"), default);
        // As after SIGKILL: no renewal any more, and nothing given back.
        await leased.DisposeAsync();

        var expired = await pool.ClaimPhaseAsync(held.Claim, ClaimPhase.Expired);
        await pool.PhaseAsync("bed-1", TestbedPhase.Free);

        await Assert.MultipleAsync(async () =>
        {
            Assert.That(expired.Reason, Is.EqualTo("Silent"));
            Assert.That(await pool.Beds["bed-1"].FindAsync(Kinds.Namespace.Path(null, "left"), default), Is.Null);
            Assert.That(
                async () => await dead.ListAsync(Kinds.Secret.Collection(null), null, null, default),
                Throws.TypeOf<UnavailableException>());
            Assert.That(await claims.TryPickUpAsync(held, default), Is.Null);
        });
    }

    [Test]
    public async Task Renewals_keep_the_lease_for_many_times_its_length()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await using var leased = await claims.TryPickUpAsync(held, default);

        Assert.That(() => leased!.Lost.IsCancellationRequested, Is.False.After(5).Seconds, pool.Output.ToString());

        Assert.That(await claims.FindAsync(RunningPool.Run("1"), default), Is.EqualTo(new[] { held }));
    }

    [Test]
    public async Task A_reservation_that_nobody_picks_up_ends_and_the_same_chain_can_claim_anew()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await pool.ClaimPhaseAsync(held.Claim, ClaimPhase.Expired);

        var anew = await pool.ClaimAsync(claims, "1");

        Assert.Multiple(() =>
        {
            Assert.That(anew.Claim, Is.EqualTo(held.Claim));
            Assert.That(anew.Lease, Is.EqualTo(held.Lease + 1));
        });
    }

    [Test]
    public async Task A_holder_is_told_when_its_claim_is_deleted_under_it()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await using var leased = await claims.TryPickUpAsync(held, default);

        await pool.Management.DeleteAsync(PoolKinds.Claim.Path(RunningPool.Namespace, held.Claim), null, default);

        Assert.That(() => leased!.LostBecause, Is.EqualTo("the claim was released").After(10).Seconds.PollEvery(50).MilliSeconds);
    }

    [Test]
    public async Task A_new_controller_goes_on_where_the_old_one_stopped()
    {
        var held = await pool.ClaimAsync(claims, "1");
        await using var leased = await claims.TryPickUpAsync(held, default);
        await pool.StopControllerAsync();
        await claims.ReleaseAsync(held.Claim, default);
        var before = new Testbed(
            (await pool.Management.FindAsync(PoolKinds.Testbed.Path(RunningPool.Namespace, "bed-1"), default))!);

        pool.StartController();
        var after = await pool.PhaseAsync("bed-1", TestbedPhase.Free);

        Assert.Multiple(() =>
        {
            Assert.That(before.Phase, Is.EqualTo(TestbedPhase.Leased));
            Assert.That(after.LeaseNumber, Is.EqualTo(held.Lease));
        });
    }
}
