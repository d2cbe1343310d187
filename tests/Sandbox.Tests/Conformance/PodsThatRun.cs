using System.Net.WebSockets;
using System.Text;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Pods in good order: what their containers find, say and answer.</summary>
[Category("NeedsDocker")]
internal sealed class PodsThatRun
{
    private Space space = null!;

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_pod_goes_through_its_conditions_and_names_its_image_by_digest()
    {
        await space.RunAsync("plain", "sleep 1000", "resources: {limits: {cpu: 100m, memory: 32Mi}}");
        var pod = await space.UntilReadyAsync("plain");

        Assert.That(
            new[] { "PodScheduled", "Initialized", "ContainersReady", "Ready" }.Select(c => Space.Condition(pod, c)?.Status),
            Is.All.EqualTo("True"));
        Assert.That((pod.Status.Phase, pod.Status.QosClass), Is.EqualTo(("Running", "Guaranteed")));
        Assert.That(pod.Status.PodIPs.Select(i => i.Ip), Has.Some.EqualTo(pod.Status.PodIP));
        var container = pod.Status.ContainerStatuses.Single();
        Assert.That(
            (container.Ready, container.Started, container.RestartCount, container.State.Running is not null),
            Is.EqualTo((true, (bool?)true, 0, true)));
        Assert.That(container.ImageID, Does.Match("sha256:[0-9a-f]{64}$"));
        foreach (var reason in new[] { "Scheduled", "Created", "Started" })
            await space.UntilEventAsync("plain", reason);
    }

    [Test]
    public async Task Init_containers_run_one_after_the_other_before_the_rest()
    {
        await space.RunAsync("prepared", "cat /data/steps", "volumeMounts: [{name: work, mountPath: /data}]", """
            restartPolicy: Never, volumes: [{name: work, emptyDir: {}}], initContainers: [
            {name: one, image: IMAGE, command: [sh, -c, "sleep 1; echo one >> /data/steps"],
             volumeMounts: [{name: work, mountPath: /data}]},
            {name: two, image: IMAGE, command: [sh, -c, "echo two >> /data/steps"],
             volumeMounts: [{name: work, mountPath: /data}]}]
            """);
        var pod = await space.UntilEndedAsync("prepared");

        Assert.That((pod.Status.Phase, await space.LogAsync("prepared")), Is.EqualTo(("Succeeded", "one\ntwo\n")));
        Assert.That(
            pod.Status.InitContainerStatuses.Select(c => (c.Name, c.State.Terminated.Reason)),
            Is.EqualTo(new[] { ("one", "Completed"), ("two", "Completed") }));
    }

    [Test]
    public async Task The_environment_comes_from_values_fields_maps_and_secrets()
    {
        await space.CreateAsync<V1ConfigMap>("{metadata: {name: settings}, data: {COLOUR: red, SIZE: big}}");
        await space.CreateAsync<V1Secret>("{metadata: {name: hidden}, stringData: {word: open}}");
        await space.RunAsync(
            "informed",
            "echo $GREETING; echo $NAME in $SPACE on $NODE at $IP; echo $MEMORY; echo $SECRET; " +
            "echo $MY_COLOUR $MY_SIZE; echo ${ABSENT-none}",
            """
            resources: {limits: {memory: 64Mi}}, envFrom: [{prefix: MY_, configMapRef: {name: settings}}], env: [
            {name: WORD, value: hello}, {name: GREETING, value: $(WORD) $$(WORD)},
            {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}},
            {name: SPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}},
            {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}},
            {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}},
            {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}},
            {name: SECRET, valueFrom: {secretKeyRef: {name: hidden, key: word}}},
            {name: ABSENT, valueFrom: {configMapKeyRef: {name: nowhere, key: k, optional: true}}}]
            """, "restartPolicy: Never");
        var pod = await space.UntilEndedAsync("informed");

        Assert.That(
            await space.LogAsync("informed"),
            Is.EqualTo(
                $"hello $(WORD)\ninformed in {space.Name} on {pod.Spec.NodeName} at {pod.Status.PodIP}\n67108864\nopen\nred " +
                "big\nnone\n"));
    }

    [Test]
    public async Task Volumes_bring_maps_secrets_fields_and_a_token()
    {
        await space.CreateAsync<V1ConfigMap>("{metadata: {name: files}, data: {a.txt: first, b.txt: second}}");
        await space.CreateAsync<V1Secret>("{metadata: {name: key}, stringData: {id: private}}");
        await space.RunAsync(
            "mounted",
            "cd /v; cat map/renamed secret/id all/a.txt all/id all/name; ls map; stat -L -c %a secret/id; " +
            "test -s all/token && echo token; (echo x > map/new) 2> /dev/null || echo kept",
            """
            volumeMounts: [{name: map, mountPath: /v/map}, {name: secret, mountPath: /v/secret, readOnly: true},
             {name: all, mountPath: /v/all}]
            """, """
            restartPolicy: Never, volumes: [{name: map, configMap: {name: files, items: [{key: b.txt, path: renamed}]}},
            {name: secret, secret: {secretName: key, defaultMode: 0400}},
            {name: all, projected: {sources: [{configMap: {name: files}},
             {secret: {name: key}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}},
             {serviceAccountToken: {path: token, expirationSeconds: 600}}]}}]
            """);
        await space.UntilEndedAsync("mounted");

        Assert.That(await space.LogAsync("mounted"), Is.EqualTo("secondprivatefirstprivatemountedrenamed\n400\ntoken\nkept\n"));
    }

    [Test]
    public async Task A_pod_holds_a_token_of_its_own_that_ends_with_it()
    {
        await space.RunAsync("holder", "sleep 1000");
        await space.UntilReadyAsync("holder");
        var (_, token, _) = await space.ExecAsync("holder", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token");
        Assert.That(
            (await space.ExecAsync("holder", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/namespace")).Output,
            Is.EqualTo(space.Name));
        Task<V1TokenReview> Review() => Client.AuthenticationV1.CreateTokenReviewAsync(new() { Spec = new() { Token = token } });
        var review = await Review();
        Assert.That(
            (review.Status.User.Username, review.Status.User.Extra["authentication.kubernetes.io/pod-name"]),
            Is.EqualTo(($"system:serviceaccount:{space.Name}:default", new[] { "holder" })));

        await space.KubectlAsync(null, "delete", "pod", "holder");

        using var limit = new CancellationTokenSource(Space.Patience);
        while ((await Review()).Status.Authenticated == true)
            limit.Token.ThrowIfCancellationRequested();
    }

    [Test]
    public async Task Containers_of_a_pod_share_its_network_and_volumes()
    {
        await space.CreateAsync<V1Pod>("""
            metadata: {name: pair}
            spec:
              terminationGracePeriodSeconds: 1
              volumes: [{name: shared, emptyDir: {}}]
              containers:
              - {name: app, image: IMAGE, command: [sh, -c, "sleep 1000"], volumeMounts: [{name: shared, mountPath: /s}]}
              - {name: web, image: IMAGE, command: [sh, -c, "echo shared > /s/index.html; exec httpd -f -p 127.0.0.1:8080 -h /s"],
                  volumeMounts: [{name: shared, mountPath: /s}],
                 readinessProbe: {exec: {command: [wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"]}, periodSeconds: 1}}
            """);
        await space.UntilReadyAsync("pair");

        Assert.That(
            await space.ExecAsync("pair", "wget", "-q", "-O", "-", "http://localhost:8080/"),
            Is.EqualTo((0, "shared\n", "")));
        var refusal = await Space.RefusedAsync(() => Client.CoreV1.ReadNamespacedPodLogAsync("pair", space.Name));
        Assert.That(
            refusal.Status.Message, Does.Contain("a container name must be specified for pod pair, choose one of: [app web]"));
    }

    [Test]
    public async Task A_log_is_read_whole_by_its_end_and_while_it_grows()
    {
        await space.RunAsync(
            "chatty", "seq 1 5; until [ -f /tmp/go ]; do sleep 0.2; done; echo six", pod: "restartPolicy: Never");
        await space.UntilReadyAsync("chatty");
        await using var log = await Client.CoreV1.ReadNamespacedPodLogAsync("chatty", space.Name, follow: true);
        using var reader = new StreamReader(log);
        for (var i = 1; i <= 5; i++)
            Assert.That(await reader.ReadLineAsync(), Is.EqualTo($"{i}"));
        Assert.That(await space.LogAsync("chatty", tail: 2), Is.EqualTo("4\n5\n"));

        await space.ExecAsync("chatty", "touch", "/tmp/go");

        Assert.That(await reader.ReadToEndAsync(), Is.EqualTo("six\n"));
        await using var stamped = await Client.CoreV1.ReadNamespacedPodLogAsync(
            "chatty", space.Name, tailLines: 1, timestamps: true);
        using var stampedReader = new StreamReader(stamped);
        Assert.That(
            await stampedReader.ReadToEndAsync(), Does.Match(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) six\n$"));
        await using var cut = await Client.CoreV1.ReadNamespacedPodLogAsync("chatty", space.Name, limitBytes: 3);
        using var cutReader = new StreamReader(cut);
        Assert.That(await cutReader.ReadToEndAsync(), Is.EqualTo("1\n2"));
    }

    [Test]
    public async Task A_command_runs_in_a_container_and_its_exit_code_comes_back()
    {
        await space.RunAsync("shell", "sleep 1000");
        await space.UntilReadyAsync("shell");

        Assert.That(await space.ExecAsync("shell", "sh", "-c", "echo out; echo err >&2"), Is.EqualTo((0, "out\n", "err\n")));
        Assert.That((await space.ExecAsync("shell", "sh", "-c", "exit 3")).Code, Is.EqualTo(3));
    }

    [Test]
    public async Task A_port_is_forwarded_over_the_client()
    {
        await space.RunAsync(
            "inner",
            "mkdir /tmp/w; echo inside > /tmp/w/index.html; exec httpd -f -p 127.0.0.1:8080 -h /tmp/w",
            """readinessProbe: {exec: {command: [wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"]}, periodSeconds: 1}""");
        await space.UntilReadyAsync("inner");
        using var socket = await Client.WebSocketNamespacedPodPortForwardAsync("inner", space.Name, [8080], "v4.channel.k8s.io");
        using var channels = new StreamDemuxer(socket, StreamType.PortForward);
        channels.Start();
        await using var stream = channels.GetStream((byte?)0, (byte?)0);
        await stream.WriteAsync("GET / HTTP/1.0\r\n\r\n"u8.ToArray());

        var answer = new StringBuilder();
        var buffer = new byte[1000];
        using var limit = new CancellationTokenSource(Space.Patience);
        while (!answer.ToString().EndsWith("inside\n", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer, limit.Token);
            Assert.That(read, Is.Positive, answer.ToString());
            answer.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }
        Assert.That(answer.ToString(), Does.Match("^HTTP/1.[01] 200 OK"));
        Assert.That(socket.State, Is.Not.EqualTo(WebSocketState.Aborted));
    }

    [Test]
    public async Task A_downward_volume_follows_the_labels()
    {
        await space.RunAsync(
            "labelled",
            "until grep -q new /info/labels; do sleep 0.2; done",
            "volumeMounts: [{name: info, mountPath: /info}]",
            "restartPolicy: Never, volumes: [{name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: " +
            "metadata.labels}}]}}]");
        await space.UntilReadyAsync("labelled");

        await space.KubectlAsync(null, "label", "pod", "labelled", "state=new");

        Assert.That((await space.UntilEndedAsync("labelled")).Status.Phase, Is.EqualTo("Succeeded"));
    }
}
