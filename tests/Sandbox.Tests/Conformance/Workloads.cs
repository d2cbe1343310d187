using System.Net;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Deployments, stateful sets, daemon sets and jobs, with real pods.</summary>
[Category("NeedsDocker")]
internal sealed class Workloads
{
    private Space space = null!;

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_roll_out_surges_by_one_and_never_serves_with_less()
    {
        await space.CreateAsync<V1Deployment>("""
            metadata: {name: surge}
            spec:
              replicas: 2
              revisionHistoryLimit: 1
              strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
              selector: {matchLabels: {app: surge}}
              template:
                metadata: {labels: {app: surge}}
                spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE, command: [sh, -c, sleep 1000]}]}
            """);
        var served = await space.UntilAsync<V1Deployment>("surge", d => d.Status.AvailableReplicas == 2);
        using var limit = new CancellationTokenSource(Space.Patience);
        var watching = RolledAsync();
        var sets = await Client.AppsV1.ListNamespacedReplicaSetAsync(space.Name, labelSelector: "app=surge");
        var asking = AskedAsync();

        await Client.AppsV1.PatchNamespacedDeploymentAsync(
            new V1Patch("""{"spec":{"template":{"metadata":{"annotations":{"v":"2"}}}}}""", V1Patch.PatchType.MergePatch),
            "surge",
            space.Name);

        var states = await watching;
        Assert.That(await asking, Is.EqualTo(3),
            "pods that the replica sets were asked for together at most; how many there are follows a moment later");
        Assert.That(states.Select(s => s.Status.AvailableReplicas ?? 0), Is.All.GreaterThanOrEqualTo(2));
        var done = states[^1];
        Assert.That(
            done.Status.Conditions.Select(c => (c.Type, c.Status, c.Reason)),
            Is.EquivalentTo(
                new[] { ("Available", "True", "MinimumReplicasAvailable"), ("Progressing", "True", "NewReplicaSetAvailable") }));
        Assert.That(done.Metadata.Annotations["deployment.kubernetes.io/revision"], Is.EqualTo("2"));

        await Client.AppsV1.PatchNamespacedDeploymentAsync(
            new V1Patch("""{"spec":{"template":{"metadata":{"annotations":{"v":"3"}}}}}""", V1Patch.PatchType.MergePatch),
            "surge",
            space.Name);
        await space.UntilAsync<V1Deployment>(
            "surge",
            d => d.Metadata.Generation == d.Status.ObservedGeneration
                && d.Status is { UpdatedReplicas: 2, AvailableReplicas: 2, Replicas: 2 });
        IList<V1ReplicaSet> kept;
        do
        {
            kept = (await Client.AppsV1.ListNamespacedReplicaSetAsync(
                space.Name, labelSelector: "app=surge", cancellationToken: limit.Token)).Items;
        }
        while (kept.Count > 2);
        Assert.That(
            kept.Select(s => s.Metadata.Annotations["deployment.kubernetes.io/revision"]),
            Is.EquivalentTo(new[] { "2", "3" }),
            "the first revision is forgotten");

        // Until the old set is asked for none.
        async Task<int> AskedAsync()
        {
            var (asked, most) = (new Dictionary<string, int>(), 0);
            var old = sets.Items.Single().Metadata.Name;
            asked[old] = 2;
            await foreach (var (_, set) in Client.AppsV1.WatchListNamespacedReplicaSetAsync(
                space.Name,
                labelSelector: "app=surge",
                resourceVersion: sets.Metadata.ResourceVersion,
                cancellationToken: limit.Token))
            {
                asked[set.Metadata.Name] = set.Spec.Replicas ?? 0;
                most = Math.Max(most, asked.Values.Sum());
                if (asked[old] == 0)
                    break;
            }
            return most;
        }

        async Task<List<V1Deployment>> RolledAsync()
        {
            var seen = new List<V1Deployment>();
            await foreach (var (_, state) in Client.AppsV1.WatchListNamespacedDeploymentAsync(
                space.Name,
                fieldSelector: "metadata.name=surge",
                resourceVersion: served.Metadata.ResourceVersion,
                cancellationToken: limit.Token))
            {
                seen.Add(state);
                if (state.Metadata.Generation > served.Metadata.Generation
                    && state.Metadata.Generation == state.Status.ObservedGeneration
                    && state.Status.Conditions.Any(c => c.Reason == "NewReplicaSetAvailable")
                    && state.Status is { UpdatedReplicas: 2, Replicas: 2 })
                    break;
            }
            return seen;
        }
    }

    [Test]
    public async Task A_paused_deployment_scales_but_does_not_roll()
    {
        await space.CreateAsync<V1Deployment>(
            "{metadata: {name: paused}, spec: {replicas: 1, selector: {matchLabels: {app: paused}}, template: {metadata: " +
            "{labels: {app: paused}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE, command: " +
            "[sh, -c, sleep 1000]}]}}}}");
        await space.UntilAsync<V1Deployment>("paused", d => d.Status.AvailableReplicas == 1);
        await Client.AppsV1.PatchNamespacedDeploymentAsync(
            new V1Patch(
                """{"spec":{"paused":true,"replicas":2,"template":{"metadata":{"annotations":{"v":"2"}}}}}""",
                V1Patch.PatchType.MergePatch),
            "paused",
            space.Name);
        var held = await space.UntilAsync<V1Deployment>("paused", d => d.Status.AvailableReplicas == 2);
        Assert.That(held.Status.UpdatedReplicas ?? 0, Is.Zero);

        await space.KubectlAsync(null, "rollout", "resume", "deploy/paused");

        await space.UntilAsync<V1Deployment>(
            "paused",
            d => d.Metadata.Generation == d.Status.ObservedGeneration
                && d.Status is { UpdatedReplicas: 2, Replicas: 2, AvailableReplicas: 2 });
    }

    [Test]
    public async Task A_deployment_in_a_full_namespace_says_what_is_in_the_way()
    {
        var fenced = await Space.MakeAsync();
        await fenced.CreateAsync<V1ResourceQuota>("""{metadata: {name: q}, spec: {hard: {pods: "1"}}}""");
        await fenced.UntilAsync<V1ResourceQuota>("q", q => q.Status.Used?.ContainsKey("pods") == true);
        await fenced.CreateAsync<V1Deployment>(
            "{metadata: {name: wide}, spec: {replicas: 2, selector: {matchLabels: {app: wide}}, template: {metadata: {labels: " +
            "{app: wide}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE, command: [sh, -c, " +
            "sleep 1000]}]}}}}");

        var held = await fenced.UntilAsync<V1Deployment>(
            "wide", d => d.Status.Conditions?.Any(c => c.Type == "ReplicaFailure") == true && d.Status.AvailableReplicas == 1);

        var failure = held.Status.Conditions.Single(c => c.Type == "ReplicaFailure");
        Assert.That((failure.Status, failure.Reason), Is.EqualTo(("True", "FailedCreate")));
        Assert.That(failure.Message, Does.Contain("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"));
        await fenced.UntilAnyAsync<Corev1Event>(e => e.Reason == "FailedCreate");
        await Space.RemoveAsync(fenced);
    }

    [Test]
    public async Task A_stateful_set_has_names_of_its_own_in_order_and_updates_from_the_last()
    {
        await space.CreateAsync<V1Service>(
            "{metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80, name: http}]}}");
        await space.CreateAsync<V1StatefulSet>("""
            metadata: {name: db}
            spec:
              replicas: 2
              serviceName: db
              selector: {matchLabels: {app: db}}
              template:
                metadata: {labels: {app: db}}
                spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE,
                  command: [sh, -c, "hostname -f > /tmp/name; sleep 1000"],
                  readinessProbe: {exec: {command: [cat, /tmp/name]}, periodSeconds: 1}}]}
            """);
        await space.UntilAsync<V1StatefulSet>("db", s => s.Status.ReadyReplicas == 2);
        var (first, second) = (await PodAsync("db-0"), await PodAsync("db-1"));
        Assert.That(
            second.Metadata.CreationTimestamp,
            Is.GreaterThanOrEqualTo(Space.Condition(first, "Ready")!.LastTransitionTime!),
            "one after the other");
        Assert.That(
            (await space.ExecAsync("db-1", "cat", "/tmp/name")).Output, Is.EqualTo($"db-1.db.{space.Name}.svc.cluster.local\n"));
        Assert.That(
            (await space.ExecAsync("db-0", "nslookup", $"db-1.db.{space.Name}.svc.cluster.local")).Output,
            Does.Contain(second.Status.PodIP));

        await Client.AppsV1.PatchNamespacedStatefulSetAsync(
            new V1Patch("""{"spec":{"template":{"metadata":{"annotations":{"v":"2"}}}}}""", V1Patch.PatchType.MergePatch),
            "db",
            space.Name);
        await space.KubectlAsync(null, "rollout", "status", "sts/db", "--timeout=150s");
        var (newFirst, newSecond) = (await PodAsync("db-0"), await PodAsync("db-1"));
        Assert.That((newFirst.Metadata.Annotations["v"], newSecond.Metadata.Annotations["v"]), Is.EqualTo(("2", "2")));
        Assert.That(newFirst.Metadata.CreationTimestamp, Is.GreaterThanOrEqualTo(newSecond.Metadata.CreationTimestamp!));

        await space.KubectlAsync(null, "scale", "sts/db", "--replicas=1");
        await space.UntilGoneAsync("pod/db-1");
        Assert.That((await PodAsync("db-0")).Metadata.Uid, Is.EqualTo(newFirst.Metadata.Uid));
    }

    [Test]
    public async Task A_daemon_set_has_a_pod_on_each_node_it_fits()
    {
        await space.CreateAsync<V1DaemonSet>(
            "{metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: " +
            "agent}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE, command: [sh, -c, " +
            "sleep 1000]}]}}}}");
        var set = await space.UntilAsync<V1DaemonSet>(
            "agent",
            d => d.Status.ObservedGeneration == d.Metadata.Generation
                && d.Status.DesiredNumberScheduled > 0
                && d.Status.NumberAvailable == d.Status.DesiredNumberScheduled);
        var pods = (await Client.CoreV1.ListNamespacedPodAsync(space.Name, labelSelector: "app=agent")).Items;
        Assert.That(pods.Select(p => p.Spec.NodeName).ToList(), Is.Unique.And.Count.EqualTo(set.Status.DesiredNumberScheduled));

        await space.KubectlAsync(null, "rollout", "restart", "ds/agent");
        await space.KubectlAsync(null, "rollout", "status", "ds/agent", "--timeout=150s");
        // An old pod may be in the list for a while yet, as one that ends.
        foreach (var old in pods) await space.UntilGoneAsync("pod/" + old.Metadata.Name);
        Assert.That(
            (await Client.CoreV1.ListNamespacedPodAsync(space.Name, labelSelector: "app=agent")).Items
                .Select(p => p.Metadata.Uid)
                .ToList(),
            Is.Not.SubsetOf(pods.Select(p => p.Metadata.Uid)).And.Count.EqualTo(pods.Count));
    }

    [Test]
    public async Task A_daemon_set_may_put_the_new_pod_beside_the_old_one()
    {
        await space.CreateAsync<V1DaemonSet>(
            "{metadata: {name: surge}, spec: {updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}, selector: " +
            "{matchLabels: {app: surge}}, template: {metadata: {labels: {app: surge}}, spec: {terminationGracePeriodSeconds: " +
            "1, containers: [{name: app, image: IMAGE, command: [sh, -c, sleep 1000]}]}}}}");
        await space.KubectlAsync(null, "rollout", "status", "ds/surge", "--timeout=150s");
        var old = (await Client.CoreV1.ListNamespacedPodAsync(space.Name, labelSelector: "app=surge")).Items[0];

        await space.KubectlAsync(null, "set", "image", "ds/surge", "app=registry.invalid/nothing:1");
        await space.UntilAnyAsync<V1Pod>(
            p => p.Spec.NodeName == old.Spec.NodeName
                && p.Metadata.Labels["app"] == "surge"
                && p.Spec.Containers[0].Image == "registry.invalid/nothing:1"
                && p.Status.ContainerStatuses?.Any(c => c.State.Waiting is not null) == true);
        Assert.That(
            (await Client.CoreV1.ReadNamespacedPodAsync(old.Metadata.Name, space.Name)).Metadata.DeletionTimestamp,
            Is.Null,
            "the new one is not ready yet");

        await space.KubectlAsync(null, "rollout", "undo", "ds/surge");
        await space.KubectlAsync(null, "rollout", "restart", "ds/surge");
        await space.KubectlAsync(null, "rollout", "status", "ds/surge", "--timeout=150s");
        await space.KubectlAsync(null, "wait", "--for=delete", $"pod/{old.Metadata.Name}", "--timeout=60s");
    }

    [Test]
    public async Task A_job_completes_once_per_index_and_goes_when_its_time_is_over()
    {
        await space.CreateAsync<V1Job>("""
            metadata: {name: many}
            spec:
              completions: 3
              parallelism: 2
              completionMode: Indexed
              ttlSecondsAfterFinished: 5
              template: {spec: {restartPolicy: Never,
                containers: [{name: app, image: IMAGE, command: [sh, -c, "echo $JOB_COMPLETION_INDEX"]}]}}
            """);
        var done = await space.UntilAsync<V1Job>("many", j => Has(j, "Complete"));
        Assert.That(
            (done.Status.Succeeded, done.Status.CompletedIndexes, done.Status.CompletionTime is not null),
            Is.EqualTo(((int?)3, "0-2", true)));

        await space.UntilGoneAsync("job/many");
        using var limit = new CancellationTokenSource(Space.Patience);
        while ((await Client.CoreV1.ListNamespacedPodAsync(
            space.Name, labelSelector: "batch.kubernetes.io/job-name=many", cancellationToken: limit.Token)).Items.Count > 0)
            limit.Token.ThrowIfCancellationRequested();
    }

    [TestCase("hopeless", "backoffLimit: 1", "exit 3", "BackoffLimitExceeded")]
    [TestCase("endless", "activeDeadlineSeconds: 3", "sleep 1000", "DeadlineExceeded")]
    public async Task A_job_gives_up_and_says_why(string name, string limit, string script, string reason)
    {
        await space.CreateAsync<V1Job>(
            $"{{metadata: {{name: {name}}}, spec: {{{limit}, template: {{spec: {{terminationGracePeriodSeconds: 1, " +
            $"restartPolicy: Never, containers: [{{name: app, image: IMAGE, command: [sh, -c, {script}]}}]}}}}}}}}");
        var failed = await space.UntilAsync<V1Job>(name, j => Has(j, "Failed"));

        Assert.That(failed.Status.Conditions.Single(c => c.Type == "Failed").Reason, Is.EqualTo(reason));
        Assert.That((failed.Status.Failed ?? 0, failed.Status.Active ?? 0), Is.EqualTo((name == "hopeless" ? 2 : 1, 0)));
    }

    [TestCase("minAvailable: 2", 2)]
    [TestCase("maxUnavailable: 0", 2)]
    [TestCase("minAvailable: 60%", 2)]
    public async Task A_disruption_budget_refuses_an_eviction_that_it_cannot_afford(string budget, int needed)
    {
        var name = "kept" + Guid.NewGuid().ToString("n")[..5];
        await space.CreateAsync<V1PodDisruptionBudget>($$"""
            metadata: {name: {{name}} }
            spec: {selector: {matchLabels: {app: {{name}} } }, {{budget}} }
            """);
        await space.CreateAsync<V1Deployment>($$"""
            metadata: {name: {{name}} }
            spec:
              replicas: 2
              selector: {matchLabels: {app: {{name}} } }
              template:
                metadata: {labels: {app: {{name}} } }
                spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE, command: [sh, -c, sleep 1000]}]}
            """);
        var full = await space.UntilAsync<V1PodDisruptionBudget>(name, b => b.Status is { ExpectedPods: 2, CurrentHealthy: 2 });
        Assert.That((full.Status.DesiredHealthy, full.Status.DisruptionsAllowed), Is.EqualTo((needed, 0)));
        Assert.That(full.Status.Conditions.Single(c => c.Type == "DisruptionAllowed").Reason, Is.EqualTo("InsufficientPods"));
        var pod = (await Client.CoreV1.ListNamespacedPodAsync(space.Name, labelSelector: "app=" + name)).Items[0].Metadata.Name;

        var (code, refusal) = await Space.RefusedAsync(Evict);
        Assert.That(
            (code, refusal.Reason, refusal.Message),
            Is.EqualTo(
                (HttpStatusCode.TooManyRequests, "TooManyRequests",
                    "Cannot evict pod as it would violate the pod's disruption budget.")));
        Assert.That(
            refusal.Details.Causes.Single().Message,
            Is.EqualTo($"The disruption budget {name} needs {needed} healthy pods and has 2 currently"));

        await Client.PolicyV1.PatchNamespacedPodDisruptionBudgetAsync(
            new V1Patch("""{"spec":{"minAvailable":null,"maxUnavailable":1}}""", V1Patch.PatchType.MergePatch),
            name,
            space.Name);
        await space.UntilAsync<V1PodDisruptionBudget>(name, b => b.Status is { DisruptionsAllowed: 1, DesiredHealthy: 1 });
        await Evict();
        await space.UntilGoneAsync("pod/" + pod);

        Task Evict() =>
            Client.CoreV1.CreateNamespacedPodEvictionAsync(
                new() { Metadata = new() { Name = pod, NamespaceProperty = space.Name } }, pod, space.Name);
    }

    [Test]
    public async Task An_eviction_ends_a_pod_and_its_set_makes_another()
    {
        await space.CreateAsync<V1ReplicaSet>(
            "{metadata: {name: evicted}, spec: {replicas: 1, selector: {matchLabels: {app: evicted}}, template: {metadata: " +
            "{labels: {app: evicted}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE, " +
            "command: [sh, -c, sleep 1000]}]}}}}");
        await space.UntilAsync<V1ReplicaSet>("evicted", s => s.Status.ReadyReplicas == 1);
        var pod = (await Client.CoreV1.ListNamespacedPodAsync(space.Name, labelSelector: "app=evicted")).Items.Single();

        await Client.CoreV1.CreateNamespacedPodEvictionAsync(
            new() { Metadata = new() { Name = pod.Metadata.Name, NamespaceProperty = space.Name } },
            pod.Metadata.Name,
            space.Name);

        await space.UntilGoneAsync($"pod/{pod.Metadata.Name}");
        await space.UntilAnyAsync<V1Pod>(
            p => p.Metadata.Labels?.TryGetValue("app", out var app) == true
                && app == "evicted"
                && p.Metadata.Uid != pod.Metadata.Uid
                && Space.Condition(p, "Ready")?.Status == "True");
        Assert.That(
            (await Space.RefusedAsync(
                () => Client.CoreV1.CreateNamespacedPodEvictionAsync(
                    new() { Metadata = new() { Name = "nobody" } }, "nobody", space.Name))).Code,
            Is.EqualTo(HttpStatusCode.NotFound));
    }

    private Task<V1Pod> PodAsync(string name) => Client.CoreV1.ReadNamespacedPodAsync(name, space.Name);

    private static bool Has(V1Job job, string condition) =>
        job.Status.Conditions?.Any(c => c.Type == condition && c.Status == "True") == true;
}
