using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class QuarantiningATestbed
{
    private RunningPool pool = null!;
    private TestbedClaims claims = null!;

    [SetUp]
    public async Task SetUp()
    {
        pool = await RunningPool.StartAsync(beds: 1, change: its =>
        {
            its["spec"]!["quarantineAfter"] = 2;
            its["spec"]!["cleaningLimitSeconds"] = 1;
        });
        claims = pool.Claims();
    }

    [TearDown]
    public async Task TearDown()
    {
        claims?.Dispose();
        if (pool is not null) await pool.DisposeAsync();
    }

    [Test]
    public async Task What_cannot_be_cleaned_is_quarantined_with_the_finalizer_that_holds_it_and_comes_back_when_mended_and_asked()
    {
        var held = await pool.ClaimAsync(claims, "1");
        var stuck = BorrowingATestbed.Thing("v1", "ConfigMap", "stuck");
        stuck["metadata"]!["finalizers"] = new JsonArray("example.com/never");
        await pool.Beds["bed-1"].CreateAsync(Kinds.ConfigMap.Collection("default"), stuck, default);
        await claims.ReleaseAsync(held.Claim, default);

        var quarantined = await pool.PhaseAsync("bed-1", TestbedPhase.Quarantined);
        await pool.Beds["bed-1"].MergeAsync(
            Kinds.ConfigMap.Path("default", "stuck"),
            new JsonObject { ["metadata"] = new JsonObject { ["finalizers"] = null } },
            default);
        await PoolInstallation.RetryAsync(pool.Management, RunningPool.Namespace, "bed-1", default);
        var mended = await pool.PhaseAsync("bed-1", TestbedPhase.Free);

        Assert.Multiple(() =>
        {
            Assert.That(quarantined.Message, Does.Contain("default/stuck").And.Contain("example.com/never"));
            Assert.That(quarantined.Failures, Is.EqualTo(2));
            Assert.That(mended.Failures, Is.Zero);
            Assert.That(mended.IsRetryAsked, Is.False);
        });
    }

    [Test]
    public async Task A_testbed_that_lost_part_of_its_baseline_is_quarantined_and_the_part_is_named()
    {
        await pool.Beds["bed-1"].DeleteAsync(Kinds.Namespace.Path(null, "kube-node-lease"), null, default);
        var held = await pool.ClaimAsync(claims, "1");
        await claims.ReleaseAsync(held.Claim, default);

        var quarantined = await pool.PhaseAsync("bed-1", TestbedPhase.Quarantined);

        Assert.That(quarantined.Message, Does.Contain("object of the baseline is gone").And.Contain("kube-node-lease"));
    }

    [Test]
    public async Task A_waiting_claim_is_told_that_its_class_has_only_quarantined_testbeds()
    {
        await pool.Beds["bed-1"].DeleteAsync(Kinds.Namespace.Path(null, "kube-node-lease"), null, default);
        var held = await pool.ClaimAsync(claims, "1");
        await claims.ReleaseAsync(held.Claim, default);
        await pool.PhaseAsync("bed-1", TestbedPhase.Quarantined);

        Assert.That(async () => await claims.ClaimAsync(RunningPool.Request("2", "smoke"), TimeSpan.FromSeconds(1), default),
            Throws.TypeOf<Hosting.UnavailableException>().With.Message.Contains("bed-1 is quarantined"));
    }
}
