using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class ManyAtOnce
{
    private const int Workers = 12;
    private const int Rounds = 3;

    [TestCase(1)]
    [TestCase(2)]
    public async Task Never_do_two_hold_one_testbed_however_many_workers_and_controllers_there_are(int controllers)
    {
        await using var pool = await RunningPool.StartAsync(beds: 3);
        for (var more = 1; more < controllers; more++) pool.StartController();
        var leases = new System.Collections.Concurrent.ConcurrentBag<(string Testbed, long Number)>();
        var overlaps = new System.Collections.Concurrent.ConcurrentBag<string>();

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            using var claims = pool.Claims();
            for (var round = 0; round < Rounds; round++)
            {
                // Every third worker needs two testbeds at once.
                string[] suites = worker % 3 == 0 ? ["smoke", "load"] : ["smoke"];
                var held = await claims.ClaimAsync(
                    RunningPool.Request($"{worker}.{round}", suites), TimeSpan.FromMinutes(2), default);
                foreach (var one in held)
                {
                    leases.Add((one.Testbed, one.Lease));
                    await using var leased = await claims.TryPickUpAsync(one, default);
                    using var bed = pool.Connect(leased!.Kubeconfig);
                    // Only the holder may have a flag here, and the one before must have been cleaned away.
                    if (await bed.TryCreateAsync(
                        Kinds.ConfigMap, "default", BorrowingATestbed.Thing("v1", "ConfigMap", "flag"), default) is null)
                        overlaps.Add($"{one.Testbed} under lease {one.Lease}");
                }
                foreach (var one in held) await claims.ReleaseAsync(one.Claim, default);
            }
        })));

        Assert.Multiple(() =>
        {
            Assert.That(overlaps, Is.Empty);
            Assert.That(leases, Is.Unique);
            Assert.That(leases, Has.Count.EqualTo((Workers + Workers / 3) * Rounds));
            foreach (var bed in leases.GroupBy(lease => lease.Testbed))
                Assert.That(bed.Select(lease => lease.Number).Distinct().Count(), Is.EqualTo(bed.Count()), bed.Key);
        });
    }

    [Test]
    public async Task Of_many_writers_with_the_same_version_one_wins()
    {
        await using var pool = await RunningPool.StartAsync(beds: 1);
        var free = await pool.PhaseAsync("bed-1", TestbedPhase.Free);

        var written = await Task.WhenAll(Enumerable
            .Range(0, 20)
            .Select(number => pool.Management.WriteStatusAsync(PoolKinds.Testbed, RunningPool.Namespace,
            free.In(TestbedPhase.Cleaning, DateTimeOffset.UnixEpoch, $"writer {number}").Json, default)));

        Assert.That(written.Count(item => item is not null), Is.EqualTo(1));
    }
}
