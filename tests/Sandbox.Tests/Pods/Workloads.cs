using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>Controllers with real pods.</summary>
[Category("NeedsDocker")]
public sealed class Workloads
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    [Test]
    public async Task A_stateful_set_has_stable_names_in_order_and_updates_from_the_last()
    {
        cluster.Create(
            Kinds.Services,
            """
            {"metadata":{"name":"db"},"spec":{"clusterIP":"None","selector":{"app":"db"},"ports":[{"port":80,"name":"http"}]}}
            """);
        cluster.Create(
            Kinds.StatefulSets,
            """
            {"metadata":{"name":"db"},"spec":{"replicas":2,"serviceName":"db","selector":{"matchLabels":{"app":"db"}},
             "template":{"metadata":{"labels":{"app":"db"}},"spec":SLEEPER}}}
            """);
        var set = await cluster.UntilAsync(Kinds.StatefulSets, "db", s => s.Int(0, "status", "readyReplicas") == 2);
        Assert.That(cluster.PodsOf("db").Select(p => p.Name()), Is.EqualTo(new[] { "db-0", "db-1" }));
        cluster.Create(Kinds.Pods, """{"metadata":{"name":"db-client"},"spec":SLEEPER}""");
        await cluster.UntilReadyAsync("db-client");
        var address = cluster.PodsOf("db")[1].Str("status", "podIP")!;
        var (code, output) = await cluster.ExecAsync("db-client", "nslookup", "db-1.db.default.svc.cluster.local");
        Assert.That(output, Does.Contain(address), $"exit {code}");
        Assert.That(
            (await cluster.ExecAsync("db-client", "nslookup", "db.default.svc.cluster.local")).Output, Does.Contain(address));

        var before = set.Str("status", "updateRevision");
        cluster.Change(
            Kinds.StatefulSets,
            "db",
            s => s.Ensure("spec").Ensure("template").Ensure("metadata").Ensure("annotations")["v"] = "2");
        set = await cluster.UntilAsync(
            Kinds.StatefulSets,
            "db",
            s => s.Str("status", "currentRevision") is { } c
                && c != before
                && c == s.Str("status", "updateRevision")
                && s.Int(0, "status", "readyReplicas") == 2);
        Assert.That(cluster.PodsOf("db").Select(p => p.Annotation("v")), Is.All.EqualTo("2"));
        var created = cluster.PodsOf("db").ToDictionary(p => p.Name(), p => p.Created());
        Assert.That(created["db-1"], Is.LessThanOrEqualTo(created["db-0"]));
        Assert.That(
            cluster.Api
                .List(Kinds.ControllerRevisions, "default").Items
                .Count(r => Ownership.ControllerOf(r).Str("uid") == set.Uid()),
            Is.EqualTo(2));

        cluster.Change(Kinds.StatefulSets, "db", s => s.Obj("spec")!["replicas"] = 1);
        await cluster.UntilGoneAsync(Kinds.Pods, "db-1");
        Assert.That(cluster.PodsOf("db").Select(p => p.Name()), Is.EqualTo(new[] { "db-0" }));
    }

    [Test]
    public async Task A_stuck_roll_out_exceeds_its_deadline_keeps_serving_and_is_undone_by_its_old_template()
    {
        cluster.Create(
            Kinds.Deployments,
            """
            {"metadata":{"name":"stuck"},"spec":{"replicas":2,"progressDeadlineSeconds":2,
             "selector":{"matchLabels":{"app":"stuck"}},"template":{"metadata":{"labels":{"app":"stuck"}},"spec":SLEEPER}}}
            """);
        await cluster.UntilAsync(Kinds.Deployments, "stuck", d => d.Int(0, "status", "availableReplicas") == 2);
        cluster.Change(
            Kinds.Deployments,
            "stuck",
            d => d.Objs("spec", "template", "spec", "containers").First()["image"] = "localhost:1/absent:1");
        var failed = await cluster.UntilAsync(
            Kinds.Deployments,
            "stuck",
            d => d.Obj("status").Condition("Progressing").Str("reason") == "ProgressDeadlineExceeded");
        Assert.That(
            failed.Obj("status").Condition("Progressing").Str("message"),
            Does.Match("^ReplicaSet \"stuck-[a-z0-9]+\" has timed out progressing.$"));
        Assert.That(failed.Int(0, "status", "availableReplicas"), Is.EqualTo(2));
        Assert.That(failed.Annotation("deployment.kubernetes.io/revision"), Is.EqualTo("2"));
        cluster.Change(
            Kinds.Deployments, "stuck", d => d.Objs("spec", "template", "spec", "containers").First()["image"] = cluster.Image);
        var undone = await cluster.UntilAsync(
            Kinds.Deployments,
            "stuck",
            d => d.Obj("status").Condition("Progressing").Str("reason") == "NewReplicaSetAvailable"
                && d.Num("status", "observedGeneration") == d.Generation()
                && d.Int(0, "status", "updatedReplicas") == 2);
        Assert.That(undone.Annotation("deployment.kubernetes.io/revision"), Is.EqualTo("3"));
        var sets = cluster.Api.List(Kinds.ReplicaSets, "default", LabelSelector.Of([new("app", "stuck")])).Items;
        Assert.That(sets, Has.Count.EqualTo(2), "the first set serves again, under a new revision");
        Assert.That(
            sets.Single(s => s.Int(1, "spec", "replicas") == 2).Annotation("deployment.kubernetes.io/revision-history"),
            Is.EqualTo("1"));
    }

    [Test]
    public async Task Recreate_ends_all_old_pods_before_the_new_ones_start()
    {
        cluster.Create(
            Kinds.Deployments,
            """
            {"metadata":{"name":"again"},"spec":{"replicas":2,"strategy":{"type":"Recreate"},
             "selector":{"matchLabels":{"app":"again"}},"template":{"metadata":{"labels":{"app":"again"}},"spec":SLEEPER}}}
            """);
        await cluster.UntilAsync(Kinds.Deployments, "again", d => d.Int(0, "status", "availableReplicas") == 2);
        var most = 0;
        using var stop = new CancellationTokenSource();
        var counting = Task.Run(async () =>
        {
            try
            {
                await foreach (var _ in cluster.Api.WatchAsync(Kinds.Pods, "default", 0, stop.Token))
                    most = Math.Max(most, cluster.PodsOf("again").Count);
            }
            catch (OperationCanceledException)
            {
                // Enough.
            }
        });
        cluster.Change(
            Kinds.Deployments,
            "again",
            d => d.Ensure("spec").Ensure("template").Ensure("metadata").Ensure("annotations")["v"] = "2");
        await cluster.UntilAsync(
            Kinds.Deployments,
            "again",
            d => d.Num("status", "observedGeneration") == d.Generation()
                && d.Int(0, "status", "updatedReplicas") == 2
                && d.Int(0, "status", "availableReplicas") == 2);
        await stop.CancelAsync();
        await counting;
        Assert.That(most, Is.EqualTo(2));
    }

    [TestCase(0, 1)]
    [TestCase(2, 2)]
    public async Task A_job_gives_up_at_its_limit_of_restarts(int limit, int restarts)
    {
        var name = $"restarts-{limit}";
        cluster.Create(
            Kinds.Jobs,
            $$$"""
            {"metadata":{"name":"{{{name}}}"},"spec":{"backoffLimit":{{{limit}}},"template":{"spec":{"schedulerName":"nobody",
             "restartPolicy":"OnFailure","containers":[{"name":"t","image":"IMAGE"}]} } } }
            """);
        await cluster.UntilAsync(Kinds.Jobs, name, j => j.Num("status", "active") == 1);
        var pod = cluster.Api.List(Kinds.Pods, "default").Items.Single(p => p.Label("job-name") == name);
        pod["status"] = JsonNode.Parse(
            """{"phase":"Running","containerStatuses":[{"name":"t","restartCount":COUNT}]}""".Replace("COUNT", $"{restarts}"));
        cluster.Api.UpdateStatus(Kinds.Pods, pod);

        var job = await cluster.UntilAsync(Kinds.Jobs, name, j => j.Obj("status").Condition("FailureTarget") is not null);
        Assert.That(job.Obj("status").Condition("FailureTarget").Str("reason"), Is.EqualTo("BackoffLimitExceeded"));
    }

    [Test]
    public void A_job_that_wants_what_nobody_acts_on_is_refused() => Assert.That(
        () => cluster.Create(
            Kinds.Jobs,
            """
            {"metadata":{"name":"picky"},"spec":{"backoffLimitPerIndex":1,"completions":2,"completionMode":"Indexed",
             "template":{"spec":{"restartPolicy":"Never","containers":[{"name":"t","image":"IMAGE"}]}}}}
            """),
        Throws
            .TypeOf<ApiException>().With.Message
            .Contains("spec.backoffLimitPerIndex: Forbidden: the sandbox does not act on it"));

    [Test]
    public async Task Jobs_run_in_parallel_retry_and_expire()
    {
        cluster.Create(
            Kinds.Jobs,
            """
            {"metadata":{"name":"many"},"spec":{"completions":3,"parallelism":2,"completionMode":"Indexed",
             "ttlSecondsAfterFinished":1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"t","image":"IMAGE",
             "imagePullPolicy":"IfNotPresent","command":["sh","-c","echo $JOB_COMPLETION_INDEX"]}]}}}}
            """);
        cluster.Create(
            Kinds.Jobs,
            """
            {"metadata":{"name":"slow"},
             "spec":{"activeDeadlineSeconds":1,"template":{"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":0,
             "containers":[{"name":"t","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sleep","1000"]}]}}}}
            """);
        var many = await cluster.UntilAsync(Kinds.Jobs, "many", j => j.Obj("status").IsTrue("Complete"));
        Assert.That((many.Int(0, "status", "succeeded"), many.Str("status", "completedIndexes")), Is.EqualTo((3, "0-2")));
        var slow = await cluster.UntilAsync(Kinds.Jobs, "slow", j => j.Obj("status").IsTrue("Failed"));
        Assert.That(slow.Obj("status").Condition("Failed").Str("reason"), Is.EqualTo("DeadlineExceeded"));
        await cluster.UntilGoneAsync(Kinds.Jobs, "many");
    }

    [Test]
    public async Task A_quota_shows_what_is_used()
    {
        cluster.Create(Kinds.Namespaces, """{"metadata":{"name":"fenced"}}""", "");
        cluster.Create(
            Kinds.ResourceQuotas,
            """{"metadata":{"name":"q"},"spec":{"hard":{"pods":"4","requests.memory":"1Gi","count/configmaps":"5"}}}""",
            "fenced");
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"p"},"spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sleep","1000"],"resources":{"requests":{"memory":"128Mi"}}}]}}
            """,
            "fenced");
        var quota = await cluster.UntilAsync(Kinds.ResourceQuotas, "q", q => q.Str("status", "used", "pods") == "1", "fenced");
        Assert.That(quota.Str("status", "used", "requests.memory"), Is.EqualTo("128Mi"));
    }
}
