using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Services;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Sandbox.Tests.Controllers;

/// <summary>What a cluster that stands for long meets: far delays, errors that pass, jobs that come and go.</summary>
public sealed class LongWaits
{
    private static readonly ObjectKey Key = new("default", "x");

    [Test]
    public void A_delay_of_years_is_a_wait()
    {
        using var queue = new WorkQueue(TimeProvider.System);
        Assert.That(() => queue.AddAfter(Key, TimeSpan.FromSeconds(int.MaxValue)), Throws.Nothing);
        Assert.That(queue.Ready.TryRead(out _), Is.False);
    }

    [Test]
    public void A_key_that_waits_for_years_is_looked_at_each_day()
    {
        var time = new FakeTimeProvider();
        using var queue = new WorkQueue(time);
        queue.AddAfter(Key, TimeSpan.FromSeconds(int.MaxValue));
        time.Advance(TimeSpan.FromDays(1));
        Assert.That(queue.Ready.TryRead(out var key) ? key : default, Is.EqualTo(Key));
    }

    [Test]
    public void A_pod_that_outlives_its_job_brings_no_tally_back()
    {
        var tallies = new JobTallies();
        var job = Job("one");
        Assert.That(tallies.Of(job), Is.SameAs(tallies.Find(job.Key(), "one")));
        tallies.Forget(job.Key());
        Assert.That((tallies.Find(job.Key(), "one"), tallies.Count), Is.EqualTo(((JobTally?)null, 0)));
    }

    [Test]
    public void A_new_job_of_the_same_name_counts_from_nothing()
    {
        var tallies = new JobTallies();
        tallies.Of(Job("one")).Note(JsonNode.Parse("""{"metadata":{"uid":"p"},"status":{"phase":"Succeeded"}}""")!, gone: false);
        Assert.That(tallies.Of(Job("one")).Succeeded, Is.EqualTo(1));
        Assert.That(
            (tallies.Of(Job("two")).Succeeded, tallies.Find(Job("one").Key(), "one"), tallies.Count),
            Is.EqualTo((0, (JobTally?)null, 1)));
    }

    [Test]
    public async Task A_connection_that_fails_does_not_end_the_taking_of_others()
    {
        using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        var served = new TaskCompletionSource();
        var calls = 0;
        var taking = Accepting.RunAsync(
            ct => ++calls == 1 ? throw new SocketException((int)SocketError.TooManyOpenSockets) : listener.AcceptSocketAsync(ct),
            socket =>
            {
                socket.Dispose();
                served.SetResult();
            },
            TimeProvider.System, stop.Token);
        await served.Task.WaitAsync(stop.Token);
        await stop.CancelAsync();
        await taking;
        Assert.That(calls, Is.GreaterThanOrEqualTo(2));
    }

    private static JsonObject Job(string uid) =>
        new() { ["metadata"] = new JsonObject { ["namespace"] = "default", ["name"] = "job", ["uid"] = uid } };
}
