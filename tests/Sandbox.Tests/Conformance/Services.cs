using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Services: their names, where their traffic goes, and how it gets in.</summary>
[Category("NeedsDocker")]
internal sealed class Services
{
    private Space space = null!;

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace()
    {
        space = await Space.MakeAsync();
        await space.RunAsync("client", "sleep 1000");
        await space.UntilReadyAsync("client");
    }

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_service_is_found_by_all_of_its_names_and_leads_to_the_named_port()
    {
        await ServeAsync("named-pod", "named");
        await space.CreateAsync<V1Service>(
            "{metadata: {name: named}, spec: {selector: {app: named}, ports: [{name: first, port: 80, targetPort: http}, " +
            "{name: second, port: 8000, targetPort: 8080}]}}");
        await UntilEndpointsAsync("named", 1);

        foreach (var name in new[]
        {
            "named",
            $"named.{space.Name}",
            $"named.{space.Name}.svc",
            $"named.{space.Name}.svc.cluster.local"
        })
            await UntilAnsweredAsync(name, "named-pod");
        await UntilAnsweredAsync("named:8000", "named-pod");
        Assert.That((await AskAsync("absent")).Code, Is.Not.Zero);
        var through = await Client.CoreV1.ConnectGetNamespacedServiceProxyWithPathAsync("named:first", space.Name, "index.html");
        using var reader = new StreamReader(through);
        Assert.That(await reader.ReadToEndAsync(), Is.EqualTo("named-pod\n"));
    }

    [Test]
    public async Task Only_ready_pods_get_traffic()
    {
        await ServeAsync("spread-1", "spread");
        await ServeAsync("spread-2", "spread");
        await space.CreateAsync<V1Service>(
            "{metadata: {name: spread}, spec: {selector: {app: spread}, ports: [{port: 80, targetPort: http}]}}");
        await UntilEndpointsAsync("spread", 2);
        await UntilAnsweredAsync("spread", "spread-1");
        await UntilAnsweredAsync("spread", "spread-2");

        await space.ExecAsync("spread-1", "rm", "/tmp/ready");
        await UntilEndpointsAsync("spread", 1);

        // Whoever forwards the traffic learns of it a moment later; then the pod that is not ready is never asked again.
        await UntilAnsweredAsync("spread", "spread-2", timesInARow: 20);
        var slice = (await Client.DiscoveryV1.ListNamespacedEndpointSliceAsync(space.Name,
            labelSelector: "kubernetes.io/service-name=spread")).Items.Single();
        Assert.That(
            slice.Endpoints.Select(e => (e.TargetRef.Name, e.Conditions.Ready)),
            Is.EquivalentTo(new[] { ("spread-1", (bool?)false), ("spread-2", true) }));
        Assert.That(slice.Ports.Single().Port, Is.EqualTo(8080));
    }

    [Test]
    public async Task A_headless_service_names_its_pods()
    {
        await ServeAsync("head-1", "head");
        await ServeAsync("head-2", "head");
        await space.CreateAsync<V1Service>(
            "{metadata: {name: head}, spec: {clusterIP: None, selector: {app: head}, ports: [{port: 8080}]}}");
        var addresses = await Task.WhenAll(new[] { "head-1", "head-2" }.Select(
            async p => (await space.UntilReadyAsync(p)).Status.PodIP));
        await UntilEndpointsAsync("head", 2);

        using var limit = new CancellationTokenSource(Space.Patience);
        while (true)
        {
            var (_, output, _) = await space.ExecAsync("client", "nslookup", $"head.{space.Name}.svc.cluster.local");
            if (addresses.All(a => output.Contains(a, StringComparison.Ordinal)))
                break;
            limit.Token.ThrowIfCancellationRequested();
        }
    }

    [Test]
    public async Task A_service_that_is_another_name_leads_to_its_addresses()
    {
        var target = await space.CreateAsync<V1Service>("{metadata: {name: target}, spec: {ports: [{port: 80}]}}");
        await space.CreateAsync<V1Service>(
            "{metadata: {name: alias}, spec: {type: ExternalName, externalName: target.NAMESPACE.svc.cluster.local}}");

        using var limit = new CancellationTokenSource(Space.Patience);
        while (true)
        {
            var (_, output, _) = await space.ExecAsync("client", "nslookup", $"alias.{space.Name}.svc.cluster.local");
            if (output.Contains(target.Spec.ClusterIP, StringComparison.Ordinal))
                break;
            limit.Token.ThrowIfCancellationRequested();
        }
    }

    [Test]
    public async Task A_roll_out_loses_no_request()
    {
        await space.CreateAsync<V1Deployment>("""
            metadata: {name: web}
            spec:
              replicas: 2
              selector: {matchLabels: {app: web}}
              template:
                metadata: {labels: {app: web}}
                spec:
                  terminationGracePeriodSeconds: 30
                  containers:
                  - name: app
                    image: IMAGE
                    env: [{name: VERSION, value: one}]
                    command:
                    - sh
                    - -c
                    - "mkdir /tmp/w; echo $VERSION > /tmp/w/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /tmp/w & wait"
                    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
                    lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
            """);
        await space.CreateAsync<V1Service>(
            "{metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}");
        await UntilEndpointsAsync("web", 2);
        await UntilAnsweredAsync("web", "one");
        await space.RunAsync(
            "hammer",
            "until [ -f /tmp/stop ]; do if a=$(wget -q -O - http://web/); then echo $a; else echo lost; fi; done",
            pod: "restartPolicy: Never");
        await space.UntilReadyAsync("hammer");

        await space.KubectlAsync(null, "set", "env", "deploy/web", "VERSION=two");
        await space.KubectlAsync(null, "rollout", "status", "deploy/web", "--timeout=150s");

        await UntilAnsweredAsync("web", "two", timesInARow: 10);
        await space.ExecAsync("hammer", "touch", "/tmp/stop");
        await space.UntilEndedAsync("hammer");
        var answers = (await space.LogAsync("hammer"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .CountBy(a => a)
            .ToDictionary();
        Assert.That(answers.Keys, Is.EquivalentTo(new[] { "one", "two" }), string.Join(", ", answers));
    }

    private Task<V1Pod> ServeAsync(string pod, string app) => space.CreateAsync<V1Pod>($$$"""
        metadata: {name: {{{pod}}}, labels: {app: {{{app}}}}}
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - name: app
            image: IMAGE
            command: [sh, -c, "mkdir /tmp/w; hostname > /tmp/w/index.html; touch /tmp/ready; exec httpd -f -p 8080 -h /tmp/w"]
            ports: [{name: http, containerPort: 8080}]
            readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}
        """);

    private Task<V1EndpointSlice> UntilEndpointsAsync(string service, int ready) => space.UntilAnyAsync<V1EndpointSlice>(
        s => s.Metadata.Labels["kubernetes.io/service-name"] == service
            && s.Endpoints?.Count(e => e.Conditions.Ready == true) == ready,
        $"{ready} ready endpoints of '{service}'");

    private Task<(int Code, string Output, string Error)> AskAsync(string host) =>
        space.ExecAsync("client", "wget", "-q", "-O", "-", $"http://{host}/");

    private async Task UntilAnsweredAsync(string host, string answer, int timesInARow = 1)
    {
        using var limit = new CancellationTokenSource(Space.Patience);
        for (var row = 0; row < timesInARow;)
        {
            if (limit.IsCancellationRequested)
                throw new AssertionException($"http://{host}/ never answered '{answer}'; at last {await AskAsync(host)}");
            row = await AskAsync(host) is (0, var said, _) && said == answer + "\n" ? row + 1 : 0;
        }
    }
}
