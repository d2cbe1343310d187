using System.Text.Json.Nodes;
using CiSteps.Hosting;

namespace CiSteps.Clusters.Tests;

[TestFixture]
internal sealed class RollingOut
{
    private FakeApiServer server = null!;
    private Cluster cluster = null!;
    private StringWriter output = null!;
    private BuildLog log = null!;

    [SetUp]
    public async Task SetUp()
    {
        server = await FakeApiServer.StartAsync();
        cluster = await Cluster.ConnectAsync(server.Kubeconfig, BuildLog.Silent, new ImpatientTime());
        output = new StringWriter();
        log = new BuildLog(TextWriter.Synchronized(output), forServer: false);
    }

    [TearDown]
    public async Task TearDown()
    {
        cluster.Dispose();
        await output.DisposeAsync();
        await server.DisposeAsync();
    }

    [Test]
    public async Task Follows_a_roll_out_to_its_end()
    {
        Put(Kinds.Deployment, Scene.Deployment(ready: 1));
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.Pod("a"));
        Put(Kinds.Pod, Scene.Pod("b", ready: false));
        var rollout = Rollout.WatchAsync(cluster, Scene.Target, log, default);
        await WatchedAsync();

        Put(Kinds.Pod, Scene.Pod("b"));
        Put(Kinds.Deployment, Scene.Deployment());
        var result = await rollout.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Multiple(() =>
        {
            Assert.That(result.Failure, Is.Null);
            Assert.That(result.Pods, Is.EqualTo(new[] { "a", "b" }));
            Assert.That(result.RunningDigest, Is.EqualTo(Scene.Wanted));
        });
    }

    [Test]
    public async Task Looks_once_whether_it_serves()
    {
        Put(Kinds.Deployment, Scene.Deployment());
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.Pod("a"));
        Put(Kinds.Pod, Scene.Pod("b"));
        Assert.That(await Rollout.LookAsync(cluster, Scene.Target, default), Is.Null);

        Put(Kinds.Pod, Scene.Pod("b", ready: false));
        Assert.That(await Rollout.LookAsync(cluster, Scene.Target, default), Does.Contain("1 of 2 new pods ready"));
        Put(Kinds.Deployment, Scene.Deployment(observed: 1));
        Assert.That(await Rollout.LookAsync(cluster, Scene.Target, default), Does.Contain("generation 2"));
    }

    [TestCase("restarted")]
    [TestCase("ended")]
    [TestCase("unready")]
    public async Task Guards_what_is_rolled_out(string how)
    {
        Put(Kinds.Deployment, Scene.Deployment());
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        // What was started again before it served is forgiven.
        Put(Kinds.Pod, Restarted(Scene.Pod("a"), 1));
        Put(Kinds.Pod, Scene.Pod("b"));
        var guard = Rollout.GuardAsync(cluster, Scene.Target, default);
        await WatchedAsync();
        Assert.That(guard.IsCompleted, Is.False);

        var broken = how == "restarted" ? Restarted(Scene.Pod("a"), 2) : Scene.Pod("b", ready: false);
        if (how == "ended")
            broken["status"]!["containerStatuses"]![0]!["state"] = Scene.Json("""{"terminated":{"exitCode":3} }""");
        Put(Kinds.Pod, broken);
        var failure = await guard.WaitAsync(TimeSpan.FromSeconds(30));

        Assert.That((failure.Reason, failure.IsOwn), Is.EqualTo(("does-not-hold", true)));
        Assert.That(
            failure.Text,
            Does.Contain(how switch { "restarted" => "started again", "ended" => "exit code 3", _ => "not ready any more" }));
    }

    [Test]
    public async Task Guards_until_it_is_told_to_end()
    {
        Put(Kinds.Deployment, Scene.Deployment());
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.Pod("a"));
        Put(Kinds.Pod, Scene.Pod("b"));
        using var stop = new CancellationTokenSource();
        var guard = Rollout.GuardAsync(cluster, Scene.Target, stop.Token);
        await WatchedAsync();

        await stop.CancelAsync();
        Assert.That(async () => await guard.WaitAsync(TimeSpan.FromSeconds(10)), Throws.InstanceOf<OperationCanceledException>());
    }

    private static JsonObject Restarted(JsonObject pod, int times)
    {
        pod["status"]!["containerStatuses"]![0]!["restartCount"] = times;
        return pod;
    }

    [Test]
    public async Task Fails_at_once_for_what_waiting_cannot_help()
    {
        var real = await Cluster.ConnectAsync(server.Kubeconfig, BuildLog.Silent, TimeProvider.System);
        using var _ = real;
        Put(Kinds.Deployment, Scene.Deployment(updated: 1, ready: 0));
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        var rollout = Rollout.WatchAsync(real, Scene.Target, log, default);
        await WatchedAsync();

        var decided = TimeProvider.System.GetTimestamp();
        Put(Kinds.Pod, Scene.WaitingPod("a", "ErrImagePull", "manifest unknown"));
        var result = await rollout.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Multiple(() =>
        {
            Assert.That(result.Failure!.Reason, Is.EqualTo("image-not-found"));
            Assert.That(TimeProvider.System.GetElapsedTime(decided), Is.LessThan(TimeSpan.FromSeconds(5)));
        });
    }

    [Test]
    public async Task Gives_what_may_mend_itself_its_time_and_no_more()
    {
        Put(Kinds.Deployment, Scene.Deployment(updated: 1, ready: 0));
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.WaitingPod("a", "ErrImagePull", "dial tcp: i/o timeout"));

        var result = await Rollout
            .WatchAsync(cluster, Scene.Target with { Grace = TimeSpan.FromSeconds(30) }, log, default)
            .WaitAsync(TimeSpan.FromSeconds(20));

        Assert.That(result.Failure!.Reason, Is.EqualTo("image-pull"));
        Assert.That(output.ToString(), Does.Contain("waiting 30s for it to pass"));
    }

    [Test]
    public async Task Ends_with_the_time_and_says_what_it_waited_for()
    {
        Put(Kinds.Deployment, Scene.Deployment(ready: 1));
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.Pod("a"));
        Put(Kinds.Pod, Scene.Pod("b", ready: false));
        Put(Kinds.Event, Scene.Event("b", "Unhealthy", "Readiness probe failed: connection refused"));

        var result = await Rollout
            .WatchAsync(cluster, Scene.Target with { TimeLimit = TimeSpan.FromSeconds(40) }, log, default)
            .WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Multiple(() =>
        {
            Assert.That(result.Failure!.Reason, Is.EqualTo("rollout-timeout"));
            Assert.That(result.Failure.Text, Does.Contain("1 of 2 new pods ready (Readiness probe failed: connection refused)"));
            Assert.That(
                output.ToString().Split('\n').Count(line => line.Contains("waiting for 1 of 2", StringComparison.Ordinal)),
                Is.GreaterThan(2),
                "never silent for more than ten seconds");
        });
    }

    [Test]
    public async Task Survives_dropped_watches_and_expired_versions()
    {
        Put(Kinds.Deployment, Scene.Deployment(ready: 1));
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.Pod("a"));
        var rollout = Rollout.WatchAsync(cluster, Scene.Target, log, default);
        await WatchedAsync();
        server.DropWatches();
        await WatchedAsync();
        server.Shout(Kinds.Pod.Collection(Scene.Namespace), "ERROR", new JsonObject { ["code"] = 410 });

        Put(Kinds.Pod, Scene.Pod("b"));
        Put(Kinds.Deployment, Scene.Deployment());

        Assert.That((await rollout.WaitAsync(TimeSpan.FromSeconds(20))).Failure, Is.Null);
    }

    [Test]
    public async Task Does_without_what_it_may_not_see()
    {
        server.Answer = request => request.Path.Value!.EndsWith("/nodes", StringComparison.Ordinal)
            || request.Path.Value.EndsWith("/endpointslices", StringComparison.Ordinal)
            ? (403, FakeApiServer.Status(403, "Forbidden", "nodes is forbidden")) : null;
        Put(Kinds.Deployment, Scene.Deployment());
        Put(Kinds.ReplicaSet, Scene.ReplicaSet());
        Put(Kinds.Pod, Scene.Pod("a"));
        Put(Kinds.Pod, Scene.Pod("b"));
        Put(Kinds.Service, Scene.Service());

        Assert.That(
            (await Rollout.WatchAsync(cluster, Scene.Target, log, default).WaitAsync(TimeSpan.FromSeconds(20))).Failure, Is.Null);
    }

    [Test]
    public async Task Stops_when_asked_to()
    {
        using var stop = new CancellationTokenSource();
        var rollout = Rollout.WatchAsync(cluster, Scene.Target, log, stop.Token);
        await WatchedAsync();

        await stop.CancelAsync();

        Assert.That(async () => await rollout, Throws.InstanceOf<OperationCanceledException>());
    }

    private void Put(Kind kind, JsonObject item) => server.Put(kind.Path(Scene.Namespace, item.NameOf()), item);

    private Task WatchedAsync() =>
        server.WatchedAsync(
            Kinds.Deployment.Collection(Scene.Namespace),
            Kinds.ReplicaSet.Collection(Scene.Namespace),
            Kinds.Pod.Collection(Scene.Namespace),
            Kinds.Service.Collection(Scene.Namespace));
}
