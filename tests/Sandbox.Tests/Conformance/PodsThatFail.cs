using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Pods in trouble: probes, ends, restarts, and the reasons that a kubelet and a scheduler give.</summary>
[Category("NeedsDocker")]
internal sealed class PodsThatFail
{
    private Space space = null!;

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_container_that_keeps_ending_is_restarted_with_back_off_and_shows_its_last_log()
    {
        await space.RunAsync("crash", "echo run; echo last words > /dev/termination-log; exit 7");
        var pod = await space.UntilWaitingAsync("crash", "CrashLoopBackOff");
        var container = pod.Status.ContainerStatuses.Single();

        Assert.That(
            container.State.Waiting.Message,
            Does.Match($@"^back-off \d+s restarting failed container=app pod=crash_{space.Name}\({pod.Metadata.Uid}\)$"));
        Assert.That(
            (
                container.LastState.Terminated.ExitCode,
                container.LastState.Terminated.Reason,
                container.LastState.Terminated.Message,
                pod.Status.Phase),
            Is.EqualTo((7, "Error", "last words\n", "Running")));
        Assert.That(container.RestartCount, Is.Positive);
        Assert.That(await space.LogAsync("crash", previous: true), Is.EqualTo("run\n"));
        await space.UntilEventAsync("crash", "BackOff");
    }

    [Test]
    public async Task A_pod_restarts_as_its_policy_says()
    {
        await space.RunAsync("never", "exit 3", pod: "restartPolicy: Never");
        await space.RunAsync(
            "on-failure",
            "[ -f /mark/1 ] && exit 0; touch /mark/1; exit 1",
            "volumeMounts: [{name: mark, mountPath: /mark}]",
            "restartPolicy: OnFailure, volumes: [{name: mark, emptyDir: {}}]");

        var never = await space.UntilEndedAsync("never");
        Assert.That(
            (
                never.Status.Phase,
                never.Status.ContainerStatuses.Single().RestartCount,
                never.Status.ContainerStatuses.Single().State.Terminated.ExitCode),
            Is.EqualTo(("Failed", 0, 3)));
        var again = await space.UntilEndedAsync("on-failure");
        Assert.That((again.Status.Phase, again.Status.ContainerStatuses.Single().RestartCount), Is.EqualTo(("Succeeded", 1)));
    }

    [Test]
    public async Task Memory_beyond_the_limit_is_OOMKilled()
    {
        await space.RunAsync("hungry", "tail /dev/zero", "resources: {limits: {memory: 32Mi}}", "restartPolicy: Never");
        var ended = (await space.UntilEndedAsync("hungry")).Status.ContainerStatuses.Single().State.Terminated;

        Assert.That((ended.Reason, ended.ExitCode), Is.EqualTo(("OOMKilled", 137)));
    }

    [Test]
    public async Task An_image_that_is_not_there_is_pulled_again_and_again()
    {
        await space.CreateAsync<V1Pod>(
            "{metadata: {name: noimage}, spec: {containers: [{name: app, image: registry.invalid/nothing:1}]}}");
        await space.UntilWaitingAsync("noimage", "ErrImagePull");
        var pod = await space.UntilWaitingAsync("noimage", "ImagePullBackOff");

        Assert.That(
            pod.Status.ContainerStatuses.Single().State.Waiting.Message,
            Does.StartWith("Back-off pulling image \"registry.invalid/nothing:1\""));
        Assert.That(pod.Status.Phase, Is.EqualTo("Pending"));
        Assert.That(
            (await space.UntilEventAsync("noimage", "BackOff")).Message,
            Does.StartWith("Back-off pulling image \"registry.invalid/nothing:1\""));
        await space.UntilAnyAsync<Corev1Event>(
            e => e.InvolvedObject.Name == "noimage"
                && e.Reason == "Failed"
                && e.Message.StartsWith("Failed to pull image \"registry.invalid/nothing:1\"", StringComparison.Ordinal));
    }

    [TestCase("invalid-name", "Not/A/Name", "IfNotPresent", "InvalidImageName")]
    [TestCase("never-pulled", "registry.invalid/nothing:1", "Never", "ErrImageNeverPull")]
    public async Task An_image_that_cannot_be_had_says_why(string name, string image, string policy, string reason)
    {
        await space.CreateAsync<V1Pod>(
            $"{{metadata: {{name: {name}}}, spec: {{containers: [{{name: app, image: \"{image}\", imagePullPolicy: " +
            $"{policy}}}]}}}}");

        await space.UntilWaitingAsync(name, reason);
    }

    [Test]
    public async Task A_missing_key_holds_the_container_until_it_comes()
    {
        await space.RunAsync("waits", "sleep 1000",
            "env: [{name: COLOUR, valueFrom: {configMapKeyRef: {name: late-map, key: colour}}}]");
        var pod = await space.UntilWaitingAsync("waits", "CreateContainerConfigError");
        Assert.That(pod.Status.ContainerStatuses.Single().State.Waiting.Message, Is.EqualTo("configmap \"late-map\" not found"));

        await space.CreateAsync<V1ConfigMap>("{metadata: {name: late-map}, data: {colour: red}}");

        await space.UntilReadyAsync("waits");
    }

    [Test]
    public async Task A_missing_volume_source_holds_the_pod_until_it_comes()
    {
        await space.RunAsync("unmounted", "sleep 1000", "volumeMounts: [{name: s, mountPath: /s}]",
            "volumes: [{name: s, secret: {secretName: late-secret}}]");
        Assert.That(
            (await space.UntilEventAsync("unmounted", "FailedMount")).Message,
            Is.EqualTo("MountVolume.SetUp failed for volume \"s\" : secret \"late-secret\" not found"));

        await space.CreateAsync<V1Secret>("{metadata: {name: late-secret}, stringData: {k: v}}");

        await space.UntilReadyAsync("unmounted");
        Assert.That((await space.ExecAsync("unmounted", "cat", "/s/k")).Output, Is.EqualTo("v"));
    }

    [Test]
    public async Task A_command_that_does_not_exist_cannot_start()
    {
        await space.CreateAsync<V1Pod>(
            "{metadata: {name: nocommand}, spec: {restartPolicy: Never, containers: [{name: app, image: IMAGE, command: " +
            "[/no/such/program]}]}}");
        var ended = (await space.UntilEndedAsync("nocommand")).Status.ContainerStatuses.Single().State.Terminated;

        Assert.That(
            (ended.Reason, ended.Message.Contains("/no/such/program", StringComparison.Ordinal)),
            Is.EqualTo(("StartError", true)),
            ended.Message);
    }

    [Test]
    public async Task A_pod_that_fits_nowhere_is_unschedulable()
    {
        await space.RunAsync("huge", "sleep 1000", "resources: {requests: {cpu: 10000}}");
        await space.RunAsync("picky", "sleep 1000", pod: "nodeSelector: {conformance.cisteps.dev/absent: yes-please}");

        foreach (var (name, reason) in new[]
        {
            ("huge", "Insufficient cpu"),
            ("picky", "node(s) didn't match Pod's node affinity/selector")
        })
        {
            var pod = await space.UntilAsync<V1Pod>(name, p => Space.Condition(p, "PodScheduled")?.Reason == "Unschedulable");
            Assert.That(
                Space.Condition(pod, "PodScheduled")!.Message, Does.Match(@"^0/\d+ nodes are available: ").And.Contain(reason));
            Assert.That((await space.UntilEventAsync(name, "FailedScheduling")).Message, Does.Contain(reason));
            Assert.That(pod.Status.Phase, Is.EqualTo("Pending"));
        }
    }

    [TestCase("exec-probed", "exec: {command: [cat, /tmp/w/ok]}")]
    [TestCase("http-probed", "httpGet: {path: /ok, port: 8080}")]
    [TestCase("tcp-probed", "tcpSocket: {port: 8080}")]
    public async Task Readiness_comes_and_goes_with_its_probe(string name, string probe)
    {
        await space.RunAsync(
            name,
            "mkdir /tmp/w; touch /tmp/w/ok; while sleep 0.2; do [ -f /tmp/w/ok ] && httpd -f -p 8080 -h /tmp/w & p=$!; " +
            "while [ -f /tmp/w/ok ]; do sleep 0.2; done; kill $p; done",
            $"readinessProbe: {{{probe}, periodSeconds: 1, failureThreshold: 1}}");
        await space.UntilReadyAsync(name);

        await space.ExecAsync(name, "rm", "/tmp/w/ok");

        var pod = await space.UntilAsync<V1Pod>(name, p => Space.Condition(p, "Ready")?.Status == "False");
        Assert.That(
            (Space.Condition(pod, "Ready")!.Reason, Space.Condition(pod, "Ready")!.Message),
            Is.EqualTo(("ContainersNotReady", "containers with unready status: [app]")));
        Assert.That(pod.Status.ContainerStatuses.Single().RestartCount, Is.Zero);
        Assert.That((await space.UntilEventAsync(name, "Unhealthy")).Message, Does.StartWith("Readiness probe "));
    }

    [Test]
    public async Task A_failing_liveness_probe_restarts_the_container()
    {
        await space.RunAsync("sick", "touch /tmp/ok; sleep 1000",
            "livenessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 1}");
        await space.UntilReadyAsync("sick");

        await space.ExecAsync("sick", "rm", "/tmp/ok");

        var pod = await space.UntilAsync<V1Pod>("sick", p => p.Status.ContainerStatuses.Single().RestartCount == 1);
        Assert.That(pod.Status.ContainerStatuses.Single().LastState.Terminated.ExitCode, Is.EqualTo(137));
        Assert.That(
            (await space.UntilEventAsync("sick", "Killing")).Message,
            Is.EqualTo("Container app failed liveness probe, will be restarted"));
        Assert.That((await space.UntilEventAsync("sick", "Unhealthy")).Message, Does.StartWith("Liveness probe failed: "));
    }

    [Test]
    public async Task A_startup_probe_holds_the_others_back()
    {
        await space.RunAsync("slow", "sleep 4; touch /tmp/up; sleep 1000", """
            startupProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 60},
            livenessProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 1}
            """);
        var pod = await space.UntilReadyAsync("slow");

        Assert.That(
            (pod.Status.ContainerStatuses.Single().Started, pod.Status.ContainerStatuses.Single().RestartCount),
            Is.EqualTo(((bool?)true, 0)));
    }

    [Test]
    public async Task A_deleted_pod_gets_its_hook_and_its_grace()
    {
        await space.CreateAsync<V1Pod>("""
            metadata: {name: polite}
            spec:
              terminationGracePeriodSeconds: 60
              containers:
              - {name: app, image: IMAGE, command: [sh, -c, "trap 'echo term; exit 0' TERM; echo up; sleep 1000 & wait"],
                  lifecycle: {preStop: {exec: {command: [sh, -c, "echo hook > /proc/1/fd/1"]}}}}
            """);
        await space.UntilReadyAsync("polite");
        await using var log = await Client.CoreV1.ReadNamespacedPodLogAsync("polite", space.Name, follow: true);
        using var reader = new StreamReader(log);
        Assert.That(await reader.ReadLineAsync(), Is.EqualTo("up"));
        var started = TimeProvider.System.GetTimestamp();

        var deleted = await Client.CoreV1.DeleteNamespacedPodAsync("polite", space.Name);

        Assert.That(
            (deleted.Metadata.DeletionTimestamp is not null, deleted.Metadata.DeletionGracePeriodSeconds),
            Is.EqualTo((true, (long?)60)));
        Assert.That(await reader.ReadToEndAsync(), Is.EqualTo("hook\nterm\n"));
        await space.UntilGoneAsync("pod/polite");
        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.LessThan(TimeSpan.FromSeconds(55)), "it went by itself");
    }

    [Test]
    public async Task A_deaf_container_is_killed_after_its_grace()
    {
        await space.CreateAsync<V1Pod>(
            """
            {metadata: {name: deaf}, spec: {terminationGracePeriodSeconds: 3,
             containers: [{name: app, image: IMAGE, command: [sh, -c, "trap '' TERM; while true; do sleep 1; done"]}]}}
            """);
        await space.UntilReadyAsync("deaf");
        var started = TimeProvider.System.GetTimestamp();

        await space.KubectlAsync(null, "delete", "pod", "deaf");

        // Far below the 30 s that a pod has where it does not say.
        Assert.That(TimeProvider.System.GetElapsedTime(started).TotalSeconds, Is.InRange(2, 25));
    }

    [Test]
    public async Task A_pod_beyond_its_deadline_fails()
    {
        await space.RunAsync("late", "sleep 1000", pod: "activeDeadlineSeconds: 2");
        var pod = await space.UntilEndedAsync("late");

        Assert.That((pod.Status.Phase, pod.Status.Reason), Is.EqualTo(("Failed", "DeadlineExceeded")));
    }

    [Test]
    public async Task A_probe_that_cannot_be_made_fails_and_hides_no_end()
    {
        await space.RunAsync(
            "odd-probe",
            "sleep 4; exit 3",
            "readinessProbe: {httpGet: {host: not a host, port: 80}, periodSeconds: 1}",
            "restartPolicy: Never");
        await space.RunAsync("plain-probe", "mkdir /tmp/w; touch /tmp/w/ok; exec httpd -f -p 8080 -h /tmp/w",
            "readinessProbe: {httpGet: {host: '', path: /ok, port: 8080}, periodSeconds: 1}");

        Assert.That((await space.UntilEventAsync("odd-probe", "Unhealthy")).Message, Does.StartWith("Readiness probe "));
        Assert.That(
            (await space.UntilEndedAsync("odd-probe")).Status.ContainerStatuses.Single().State.Terminated.ExitCode,
            Is.EqualTo(3));
        await space.UntilReadyAsync("plain-probe");
    }

    [Test]
    public async Task Another_image_replaces_the_container()
    {
        await space.RunAsync("renewed", "sleep 1000");
        await space.UntilReadyAsync("renewed");

        await space.KubectlAsync(null, "set", "image", "pod/renewed", "app=registry.invalid/nothing:1");
        Assert.That(
            (await space.UntilEventAsync("renewed", "Killing")).Message,
            Is.EqualTo("Container app definition changed, will be restarted"));
        await space.UntilEventAsync("renewed", "Failed");
        await space.KubectlAsync(null, "set", "image", "pod/renewed", "app=IMAGE");

        await space.UntilAsync<V1Pod>(
            "renewed",
            p => Space.Condition(p, "Ready")?.Status == "True" && p.Status.ContainerStatuses.Single().RestartCount == 1);
    }

    [Test]
    public async Task A_pod_on_a_node_that_is_not_there_does_not_run()
    {
        await space.RunAsync("nowhere", "exit 0", pod: "nodeName: nowhere, restartPolicy: Never");
        await space.RunAsync("somewhere", "exit 0", pod: "restartPolicy: Never");
        await space.UntilEndedAsync("somewhere");

        Assert.That((await Client.CoreV1.ReadNamespacedPodAsync("nowhere", space.Name)).Status.Phase, Is.EqualTo("Pending"));
    }

    [TestCase(
        "no-claim",
        "volumes: [{name: data, persistentVolumeClaim: {claimName: absent}}]",
        "persistentvolumeclaim \"absent\" not found")]
    [TestCase(
        "lonely",
        "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, " +
        "labelSelector: {matchLabels: {app: nobody}}}]}}",
        "node(s) didn't match pod affinity rules")]
    [TestCase(
        "unspread",
        "topologySpreadConstraints: [{topologyKey: example.org/absent, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, " +
        "labelSelector: {}}]",
        "node(s) didn't match pod topology spread constraints (missing required label)")]
    public async Task A_pod_that_no_node_takes_says_why(string name, string more, string why)
    {
        await space.RunAsync(name, "sleep 1000", pod: more);
        var pod = await space.UntilAsync<V1Pod>(name, p => Space.Condition(p, "PodScheduled")?.Status == "False");

        Assert.That((pod.Status.Phase, Space.Condition(pod, "PodScheduled")!.Reason), Is.EqualTo(("Pending", "Unschedulable")));
        Assert.That(Space.Condition(pod, "PodScheduled")!.Message, Does.StartWith("0/").And.Contain(why));
    }

    [Test]
    public async Task Pods_that_must_be_apart_do_not_share_a_node()
    {
        const string apart =
            "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: " +
            "kubernetes.io/hostname, labelSelector: {matchLabels: {app: first}}}]}}";
        await space.RunAsync("first", "sleep 1000", pod: apart);
        var first = await space.UntilReadyAsync("first");
        var node = await Client.CoreV1.ReadNodeAsync(first.Spec.NodeName);

        await space.RunAsync("second", "sleep 1000",
            pod: $"nodeSelector: {{kubernetes.io/hostname: {node.Metadata.Labels["kubernetes.io/hostname"]}}}, {apart}");
        var second = await space.UntilAsync<V1Pod>("second", p => Space.Condition(p, "PodScheduled")?.Status == "False");
        Assert.That(
            Space.Condition(second, "PodScheduled")!.Message, Does.Contain("1 node(s) didn't match pod anti-affinity rules"));

        await space.KubectlAsync(null, "delete", "pod", "first");
        await space.UntilReadyAsync("second");
    }
}
