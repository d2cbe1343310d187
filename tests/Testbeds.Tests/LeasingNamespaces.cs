using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class LeasingNamespaces
{
    private RunningPool pool = null!;
    private SandboxFixture shared = null!;
    private Cluster admin = null!;
    private TestbedClaims claims = null!;

    [OneTimeSetUp]
    public async Task SetUp()
    {
        pool = await RunningPool.StartAsync(beds: 1);
        shared = await SandboxFixture.StartAsync("shared");
        admin = pool.Connect(shared.Kubeconfig);
        claims = pool.Claims();
        await pool.Management.PutAsync(
            Kinds.Secret, "cisteps-pool", PoolWrites.KubeconfigSecret("shared", "cisteps-pool", shared.Kubeconfig), default);
        await pool.Management.CreateAsync(PoolKinds.Class.Collection(RunningPool.Namespace), (JsonObject)JsonNode.Parse("""
            {"apiVersion":"cisteps.dev/v1alpha1","kind":"TestbedClass","metadata":{"name":"slice"},
             "spec":{"provider":"namespace","scope":"Namespace","warm":2,
              "namespace":{"secret":"shared","quota":{"pods":"5","configmaps":"20"}}}}
            """)!, default);
        await pool.PhaseAsync("slice-1", TestbedPhase.Free);
        await pool.PhaseAsync("slice-2", TestbedPhase.Free);
    }

    [OneTimeTearDown]
    public async Task TearDown()
    {
        claims?.Dispose();
        admin?.Dispose();
        if (shared is not null) await shared.DisposeAsync();
        if (pool is not null) await pool.DisposeAsync();
    }

    [Test]
    public async Task A_lease_is_good_for_its_namespace_and_nothing_else()
    {
        var held = await ClaimAsync("1");
        await using var leased = await claims.TryPickUpAsync(held, default);
        using var holder = pool.Connect(leased!.Kubeconfig);

        var made = await holder.CreateAsync(
            Kinds.ConfigMap.Collection(leased.Namespace), BorrowingATestbed.Thing("v1", "ConfigMap", "mine"), default);
        await claims.ReleaseAsync(held.Claim, default);

        Assert.Multiple(() =>
        {
            Assert.That(leased.Scope, Is.EqualTo(TestbedScope.Namespace));
            Assert.That(made.Name(), Is.EqualTo("mine"));
            Assert.That(
                async () => await holder.ListAsync(Kinds.ConfigMap.Collection("default"), null, null, default),
                Throws.TypeOf<UnavailableException>());
            Assert.That(
                async () => await holder.CreateAsync(
                    Kinds.Namespace.Collection(null), BorrowingATestbed.Thing("v1", "Namespace", "more"), default),
                Throws.TypeOf<UnavailableException>());
        });
    }

    [Test]
    public async Task The_next_holder_finds_a_new_namespace_with_its_fence()
    {
        var held = await ClaimAsync("2");
        var ns = "testbed-" + held.Testbed;
        await using (var leased = await claims.TryPickUpAsync(held, default))
        {
            using var holder = pool.Connect(leased!.Kubeconfig);
            await holder.CreateAsync(Kinds.ConfigMap.Collection(ns), BorrowingATestbed.Thing("v1", "ConfigMap", "left"), default);
        }
        var before = await admin.GetAsync(Kinds.Namespace.Path(null, ns), default);

        await claims.ReleaseAsync(held.Claim, default);
        await pool.PhaseAsync(held.Testbed, TestbedPhase.Free);

        await Assert.MultipleAsync(async () =>
        {
            Assert.That((await admin.GetAsync(Kinds.Namespace.Path(null, ns), default)).Uid(), Is.Not.EqualTo(before.Uid()));
            Assert.That(await admin.FindAsync(Kinds.ConfigMap.Path(ns, "left"), default), Is.Null);
            Assert.That(
                (await admin.GetAsync(Kinds.ResourceQuota.Path(ns, "testbed"), default)).Text("spec", "hard", "pods"),
                Is.EqualTo("5"));
        });
    }

    [Test]
    public async Task A_class_that_keeps_fewer_warm_gives_the_rest_up()
    {
        await pool.ChangeAsync(PoolKinds.Class, "slice", its => its["spec"]!["warm"] = 3);
        await pool.PhaseAsync("slice-3", TestbedPhase.Free);

        await pool.ChangeAsync(PoolKinds.Class, "slice", its => its["spec"]!["warm"] = 2);

        Assert.That(
            async () => await admin.FindAsync(Kinds.Namespace.Path(null, "testbed-slice-3"), default),
            Is.Null.After(20).Seconds.PollEvery(100).MilliSeconds);
    }

    private async Task<Hosting.Evidence.HeldTestbed> ClaimAsync(string build) =>
        (await claims.ClaimAsync(
            ClaimRequest.Of(RunningPool.Run(build), [new TestbedWish("smoke", "slice")]), TimeSpan.FromSeconds(30), default))[0];
}
