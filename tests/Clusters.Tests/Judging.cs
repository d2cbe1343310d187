using System.Text.Json.Nodes;

namespace CiSteps.Clusters.Tests;

[TestFixture]
internal sealed class Judging
{
    [Test]
    public void Is_done_when_only_new_ready_proved_pods_serve()
    {
        var state = Judge(Scene.View(
            Scene.Deployment(),
            [Scene.ReplicaSet()],
            [Scene.Pod("a"), Scene.Pod("b")],
            services: [Scene.Service()],
            slices: [Scene.Slice("a", "b")]));

        Assert.Multiple(() =>
        {
            Assert.That(state.IsDone, Is.True, state.Waiting);
            Assert.That(state.Pods, Is.EqualTo(new[] { "a", "b" }));
            Assert.That(state.RunningDigest, Is.EqualTo(Scene.Wanted));
        });
    }

    [Test]
    public void Takes_a_platform_manifests_digest_that_the_caller_knows()
    {
        var other = "sha256:" + new string('2', 64);
        var view = Scene.View(Scene.Deployment(1, 1, 1), [Scene.ReplicaSet()], [Scene.Pod("a", digest: other)]);

        Assert.Multiple(() =>
        {
            Assert.That(RolloutJudge.Judge(view, Scene.Target with { Digests = [Scene.Wanted, other] }).IsDone, Is.True);
            Assert.That(Judge(view).Troubles.Single().Failure.Reason, Is.EqualTo("wrong-image"));
        });
    }

    [Test]
    public void Waits_until_the_controller_has_seen_the_change() =>
        Assert.That(
            Judge(Scene.View(Scene.Deployment(observed: 1), [Scene.ReplicaSet()], [Scene.Pod("a"), Scene.Pod("b")])).Waiting,
            Does.Contain("generation 2"));

    [Test]
    public void Waits_for_old_pods_to_end_even_when_the_counts_are_right()
    {
        var old = Scene.Pod("old", "rs-1", Scene.Old);
        old["metadata"]!["deletionTimestamp"] = "2026-01-01T00:00:00Z";

        var state = Judge(Scene.View(
            Scene.Deployment(),
            [Scene.ReplicaSet(), Scene.ReplicaSet("rs-1", "1", Scene.Old)],
            [Scene.Pod("a"), Scene.Pod("b"), old]));

        Assert.That((state.IsDone, state.Waiting), Is.EqualTo((false, "1 old pod to end (old)")));
    }

    [Test]
    public void Waits_for_the_service_to_send_to_the_new_pods_only()
    {
        JsonObject[] pods = [Scene.Pod("a"), Scene.Pod("b")];

        var early = Judge(Scene.View(
            Scene.Deployment(), [Scene.ReplicaSet()], pods, services: [Scene.Service()], slices: [Scene.Slice("a")]));
        var late = Judge(Scene.View(
            Scene.Deployment(),
            [Scene.ReplicaSet()],
            pods,
            services: [Scene.Service()],
            slices: [Scene.Slice("a", "b", "gone")]));

        Assert.Multiple(() =>
        {
            Assert.That((early.IsDone, early.Waiting), Is.EqualTo((false, "service \"greeter\" to send to all new pods")));
            Assert.That((late.IsDone, late.Waiting), Is.EqualTo((false, "service \"greeter\" to forget pods that are gone")));
        });
    }

    [Test]
    public void Does_not_mistake_a_replica_set_of_the_old_revision_for_the_new_one()
    {
        var state = Judge(Scene.View(
            Scene.Deployment(),
            [Scene.ReplicaSet("rs-1", "1", Scene.Old)],
            [Scene.Pod("a", "rs-1", Scene.Old), Scene.Pod("b", "rs-1", Scene.Old)]));

        Assert.That((state.IsDone, state.Waiting), Is.EqualTo((false, "the new revision to be made")));
    }

    [Test]
    public void Ignores_what_is_wrong_with_old_pods()
    {
        var old = Scene.WaitingPod("old", "ImagePullBackOff", "manifest unknown");
        old["metadata"]!["ownerReferences"]![0]!["uid"] = "rs-1";

        Assert.That(Judge(Scene.View(Scene.Deployment(), [Scene.ReplicaSet()], [Scene.Pod("a"), old])).Troubles, Is.Empty);
    }

    [TestCase("InvalidImageName", "couldn't parse image reference", "invalid-image-name", true)]
    [TestCase("ErrImagePull", "manifest for r/greeter:1 not found: manifest unknown: manifest unknown", "image-not-found", true)]
    [TestCase(
        "ImagePullBackOff",
        "Back-off pulling image \"r/greeter\": ErrImagePull: pull access denied for r/greeter, repository does not exist",
        "image-unauthorized",
        true)]
    [TestCase("ErrImagePull", "Head \"https://r/v2/greeter/manifests/1\": unauthorized", "image-unauthorized", true)]
    [TestCase("ErrImagePull", "http: server gave HTTP response to HTTPS client", "registry-plain-http", true)]
    [TestCase(
        "ErrImagePull",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "registry-certificate",
        true)]
    [TestCase("ErrImagePull", "no matching manifest for linux/arm64 in the manifest list entries", "image-platform", true)]
    [TestCase("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", "image-pull", false)]
    [TestCase("ImagePullBackOff", "Back-off pulling image \"r/greeter\"", "image-pull", false)]
    [TestCase("CreateContainerConfigError", "configmap \"settings\" not found", "container-config", true)]
    [TestCase("RunContainerError", "exec: \"/app/gone\": stat /app/gone: no such file or directory", "container-start", true)]
    [TestCase("CreateContainerError", "context deadline exceeded", "container-start", false)]
    [TestCase("ErrImageNeverPull", "Container image is not present with pull policy of Never", "image-not-there", true)]
    public void Knows_what_waiting_cannot_help(string reason, string message, string expected, bool permanent)
    {
        var trouble = Judge(Scene.View(
            Scene.Deployment(), [Scene.ReplicaSet()], [Scene.WaitingPod("a", reason, message)])).Troubles.Single();

        Assert.Multiple(() =>
        {
            Assert.That((trouble.Failure.Reason, trouble.IsPermanent), Is.EqualTo((expected, permanent)));
            Assert.That(trouble.Failure.Text, Does.Contain("\"a\"").Or.Contain("r/greeter"));
        });
    }

    [Test]
    public void Finds_the_cause_of_a_back_off_in_the_events()
    {
        var trouble = Judge(Scene.View(
            Scene.Deployment(),
            [Scene.ReplicaSet()],
            [Scene.WaitingPod("a", "ImagePullBackOff", "Back-off pulling image \"r/greeter\"")],
            [Scene.Event("a", "Failed", "Failed to pull image \"r/greeter\": manifest unknown")])).Troubles.Single();

        Assert.That((trouble.Failure.Reason, trouble.IsPermanent), Is.EqualTo(("image-not-found", true)));
    }

    [TestCase(0, false)]
    [TestCase(1, false)]
    [TestCase(2, true)]
    public void Gives_up_on_a_container_that_keeps_crashing(int restarts, bool permanent)
    {
        var pod = Scene.WaitingPod("a", "CrashLoopBackOff", "back-off 20s restarting failed container", restarts);
        pod["status"]!["containerStatuses"]![0]!["lastState"] = new JsonObject
        {
            ["terminated"] = new JsonObject { ["exitCode"] = 3, ["reason"] = "Error" }
        };

        var trouble = Judge(Scene.View(Scene.Deployment(), [Scene.ReplicaSet()], [pod])).Troubles.Single();

        Assert.That(trouble.IsPermanent, Is.EqualTo(permanent));
        Assert.That(trouble.Failure.Text, Does.Contain("exit code 3"));
    }

    [Test]
    public void Names_memory_and_probes_as_the_cause_of_a_crash()
    {
        var pod = Scene.WaitingPod("a", "CrashLoopBackOff", "", 3);
        pod["status"]!["containerStatuses"]![0]!["lastState"] = new JsonObject
        {
            ["terminated"] = new JsonObject { ["exitCode"] = 137, ["reason"] = "OOMKilled" }
        };

        var text = Judge(Scene.View(
            Scene.Deployment(),
            [Scene.ReplicaSet()],
            [pod],
            [Scene.Event("a", "Unhealthy",
                "Liveness probe failed: HTTP probe failed with statuscode: 500")])).Troubles.Single().Failure.Text;

        Assert.That(text, Does.Contain("OOMKilled").And.Contain("Liveness probe failed"));
    }

    [TestCase("pods \"greeter-x\" is forbidden: exceeded quota: small, requested: memory=1Gi", "quota", true)]
    [TestCase("pods \"greeter-x\" is forbidden: violates PodSecurity \"restricted:latest\"", "pod-security", true)]
    [TestCase("admission webhook \"policy.example\" denied the request: no", "denied", true)]
    [TestCase("error looking up service account shop/greeter: serviceaccount \"greeter\" not found", "service-account", false)]
    public void Sees_that_pods_are_never_made(string message, string expected, bool permanent)
    {
        var set = Scene.ReplicaSet();
        set["status"]!["conditions"] = new JsonArray(new JsonObject
        {
            ["type"] = "ReplicaFailure",
            ["status"] = "True",
            ["reason"] = "FailedCreate",
            ["message"] = message
        });

        var trouble = Judge(Scene.View(Scene.Deployment(updated: 0, ready: 0), [set], [])).Troubles.Single();

        Assert.That((trouble.Failure.Reason, trouble.IsPermanent), Is.EqualTo((expected, permanent)));
    }

    [TestCase("""{"cpu":"64"}""", null, true)]
    [TestCase("""{"memory":"100Gi"}""", null, true)]
    [TestCase("""{"cpu":"500m"}""", null, false)]
    [TestCase("""{"cpu":"500m"}""", """{"disk":"ssd"}""", true)]
    [TestCase("""{"cpu":"500m"}""", """{"zone":"a"}""", false)]
    public void Tells_a_full_cluster_from_one_that_can_never_take_the_pod(string requests, string? selector, bool permanent)
    {
        var pod = Scene.Pod("a", ready: false);
        pod["status"] = Scene.Json(
            """
            {"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable",
             "message":"0/1 nodes are available: 1 Insufficient cpu."}]}
            """);
        pod["spec"]!["containers"]![0]!["resources"] = new JsonObject { ["requests"] = JsonNode.Parse(requests) };
        if (selector is not null) pod["spec"]!["nodeSelector"] = JsonNode.Parse(selector);
        var node = Scene.Json(
            """
            {"metadata":{"name":"n","uid":"n","labels":{"zone":"a"} },"status":{"allocatable":{"cpu":"4","memory":"8Gi"} } }
            """);

        var trouble = Judge(Scene.View(Scene.Deployment(), [Scene.ReplicaSet()], [pod], nodes: [node])).Troubles.Single();

        Assert.That((trouble.Failure.Reason, trouble.IsPermanent), Is.EqualTo(("unschedulable", permanent)));
    }

    [Test]
    public void Follows_a_stateful_set_by_its_update_revision()
    {
        var set = Scene.Json($$"""
            {"metadata":{"name":"store","namespace":"shop","uid":"ss","generation":3},
             "spec":{"replicas":1,"selector":{"matchLabels":{"app":"greeter"} },
              "template":{"metadata":{"labels":{"app":"greeter"} } } },
             "status":{"observedGeneration":3,"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,
              "currentRevision":"store-1","updateRevision":"store-2"} }
            """);
        var fresh = Scene.Pod("store-0", "x");
        fresh["metadata"]!["labels"]!["controller-revision-hash"] = "store-2";
        var old = Scene.Pod("store-0", "x", Scene.Old);
        old["metadata"]!["labels"]!["controller-revision-hash"] = "store-1";
        var target = Scene.Target with { Kind = "StatefulSet", Name = "store" };

        Assert.Multiple(() =>
        {
            Assert.That(RolloutJudge.Judge(Scene.View(set, [], [fresh]), target).IsDone, Is.True);
            Assert.That(RolloutJudge.Judge(Scene.View(set, [], [old]), target).IsDone, Is.False);
        });
    }

    [Test]
    public void Follows_a_daemon_set_by_its_newest_controller_revision()
    {
        var set = Scene.Json("""
            {"metadata":{"name":"agent","namespace":"shop","uid":"ds","generation":3},
             "spec":{"selector":{"matchLabels":{"app":"greeter"} },"template":{"metadata":{"labels":{"app":"greeter"} } } },
             "status":{"observedGeneration":3,"desiredNumberScheduled":1,"updatedNumberScheduled":1,
              "numberReady":1,"numberAvailable":1} }
            """);
        var pod = Scene.Pod("agent-x", "x");
        pod["metadata"]!["labels"]!["controller-revision-hash"] = "b";
        var view = Scene.View(set, [], [pod]);
        foreach (var (hash, number) in new[] { ("a", 1), ("b", 2) })
            view.Take(
                "controllerrevisions",
                new Change(
                    ChangeKind.Present,
                    Scene.Json(
                        $$"""
                        {"metadata":{"name":"agent-{{hash}}","uid":"{{hash}}","labels":{"controller-revision-hash":"{{hash}}"},
                         "ownerReferences":[{"uid":"ds"}]},"revision":{{number}} }
                        """)));

        Assert.That(RolloutJudge.Judge(view, Scene.Target with { Kind = "DaemonSet", Name = "agent" }).IsDone, Is.True);
    }

    [Test]
    public void Has_nothing_to_wait_for_in_a_workload_scaled_to_nothing() =>
        Assert.That(Judge(Scene.View(Scene.Deployment(0, 0, 0), [Scene.ReplicaSet()], [])).IsDone, Is.True);

    [TestCase("docker-pullable://r/greeter@sha256:aa", "sha256:aa")]
    [TestCase("docker://sha256:bb", "sha256:bb")]
    [TestCase("sha256:cc", "sha256:cc")]
    [TestCase("localhost:5000/x@sha256:dd", "sha256:dd")]
    [TestCase("", null)]
    [TestCase("r/greeter:1", null)]
    public void Reads_every_runtimes_image_id(string imageId, string? expected) =>
        Assert.That(Reading.DigestIn(imageId), Is.EqualTo(expected));

    [Test]
    public void Knows_what_the_containers_themselves_did_from_what_kept_them_from_running()
    {
        var crashed = Scene.WaitingPod("a", "CrashLoopBackOff", "back-off", restarts: 3);
        crashed["status"]!["containerStatuses"]![0]!["lastState"] = Scene.Json(
            """{"terminated":{"exitCode":4,"reason":"Error"} }""");
        var quota = Scene.ReplicaSet();
        quota["status"]!["conditions"] = new JsonArray(Scene.Json(
            """{"type":"ReplicaFailure","status":"True","message":"exceeded quota: small"}"""));
        var late = Scene.Deployment(updated: 2, ready: 1);
        late["status"]!["conditions"] = new JsonArray(Scene.Json(
            """{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"timed out"}"""));

        bool Own(JsonObject workload, JsonObject set, params JsonObject[] pods) =>
            Judge(Scene.View(workload, [set], pods)).Troubles[0].Failure.IsOwn;
        Assert.Multiple(() =>
        {
            Assert.That(Own(Scene.Deployment(ready: 1), Scene.ReplicaSet(), crashed, Scene.Pod("b")), Is.True, "it crashed");
            Assert.That(
                Own(late, Scene.ReplicaSet(), Scene.Pod("a", ready: false), Scene.Pod("b")),
                Is.True,
                "it runs and does not get ready");
            Assert.That(
                Own(late, Scene.ReplicaSet(), Scene.WaitingPod("a", "ContainerCreating", ""), Scene.Pod("b")),
                Is.False,
                "the node did not come to start it");
            Assert.That(Own(Scene.Deployment(updated: 1, ready: 1), quota, Scene.Pod("a")), Is.False, "a quota");
            foreach (var waits in new[] { "ErrImagePull", "CreateContainerConfigError", "InvalidImageName" })
                Assert.That(
                    Own(
                        Scene.Deployment(ready: 1),
                        Scene.ReplicaSet(),
                        Scene.WaitingPod("a", waits, "manifest unknown"),
                        Scene.Pod("b")),
                    Is.False,
                    waits);
        });
    }

    private static RolloutState Judge(RolloutView view) => RolloutJudge.Judge(view, Scene.Target);
}
