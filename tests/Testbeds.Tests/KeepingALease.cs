using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Claims;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class KeepingALease
{
    private static readonly HeldTestbed Held = new("smoke", "small", "claim", "bed-1", 7);
    private static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(90);

    private readonly FakeTimeProvider time = new();

    [Test]
    public async Task A_holder_renews_three_times_in_a_lease_duration()
    {
        var renewals = 0;
        await using var leased = Lease(_ => { renewals++; return Task.FromResult<string?>(null); });

        await PassAsync(90);

        Assert.Multiple(() =>
        {
            Assert.That(renewals, Is.EqualTo(3));
            Assert.That(leased.Lost.IsCancellationRequested, Is.False);
        });
    }

    [Test]
    public async Task A_refused_renewal_is_a_lost_lease_with_its_reason()
    {
        await using var leased = Lease(_ => Task.FromResult<string?>("the claim has expired"));

        await PassAsync(30);

        Assert.Multiple(() =>
        {
            Assert.That(leased.Lost.IsCancellationRequested, Is.True);
            Assert.That(leased.LostBecause, Is.EqualTo("the claim has expired"));
        });
    }

    [Test]
    public async Task A_pool_out_of_reach_for_a_whole_lease_duration_is_a_lost_lease_and_not_earlier()
    {
        await using var leased = Lease(_ => throw new UnavailableException("cluster-unreachable", "no route"));

        await PassAsync(85);
        var before = leased.Lost.IsCancellationRequested;
        await PassAsync(20);

        Assert.Multiple(() =>
        {
            Assert.That(before, Is.False);
            Assert.That(leased.Lost.IsCancellationRequested, Is.True);
        });
    }

    [Test]
    public async Task A_pool_that_comes_back_in_time_keeps_the_lease()
    {
        var away = true;
        await using var leased = Lease(
            _ => away ? throw new UnavailableException("cluster-unreachable", "no route") : Task.FromResult<string?>(null));

        await PassAsync(60);
        away = false;
        await PassAsync(120);

        Assert.That(leased.Lost.IsCancellationRequested, Is.False);
    }

    [Test]
    public async Task A_put_away_lease_beats_no_more()
    {
        var renewals = 0;
        var leased = Lease(_ => { renewals++; return Task.FromResult<string?>(null); });
        await leased.DisposeAsync();

        await PassAsync(300);

        Assert.That(renewals, Is.Zero);
    }

    private LeasedTestbed Lease(Func<CancellationToken, Task<string?>> renew) =>
        new(Held, "kubeconfig", null, LeaseDuration, renew, time, BuildLog.Silent);

    // On a thread without a synchronisation context, where a timer's continuation runs before Advance returns.
    private Task PassAsync(int seconds) => Task.Run(() =>
    {
        for (var passed = 0; passed < seconds; passed++) time.Advance(TimeSpan.FromSeconds(1));
    });
}
