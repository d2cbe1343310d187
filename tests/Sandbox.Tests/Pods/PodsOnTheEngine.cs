using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>Pods as containers of the real engine.</summary>
[Category("NeedsDocker")]
public sealed class PodsOnTheEngine
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    [Test]
    public async Task A_pod_runs_gets_an_address_and_shows_its_log()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"hello"},"spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sh","-c","echo hello from $(hostname); sleep 1000"]}]}}
            """);
        var pod = await cluster.UntilReadyAsync("hello");
        Assert.That(pod.Str("status", "podIP"), Does.StartWith("10."));
        Assert.That(pod.Str("status", "phase"), Is.EqualTo("Running"));
        var log = "";
        while (log.Length == 0)
            log = await cluster.LogAsync("hello");
        Assert.That(log, Is.EqualTo("hello from hello\n"));
        Assert.That(cluster.EventsOf("hello"), Has.Some.StartsWith("Scheduled: Successfully assigned default/hello to node-")
            .And.Some
                .StartsWith("Pulled: Container image").And.Some
                .EqualTo("Created: Created container: app").And.Some
                .EqualTo("Started: Started container app"));
    }

    [Test]
    public async Task A_deployment_rolls_over_without_a_lost_request()
    {
        cluster.Create(Kinds.Deployments, """
            {"metadata":{"name":"web"},
            "spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
            "spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
            "env":[{"name":"VERSION","value":"one"}],"ports":[{"name":"http","containerPort":8080}],
            "command":["sh","-c",
            "mkdir -p /tmp/www && echo $VERSION > /tmp/www/index.html && trap 'sleep 0.2; exit 0' TERM; httpd -f -p 8080 -h /tmp/www & wait"],
            "readinessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":1}}],"terminationGracePeriodSeconds":5}}}}
            """);
        var service = cluster.Create(
            Kinds.Services,
            """{"metadata":{"name":"web"},"spec":{"selector":{"app":"web"},"ports":[{"port":80,"targetPort":"http"}]}}""");
        await cluster.UntilAsync(Kinds.Deployments, "web", d => d.Int(0, "status", "availableReplicas") == 2);
        using var http = new HttpClient(new SocketsHttpHandler
        {
            PooledConnectionLifetime = TimeSpan.Zero
        })
        { Timeout = TimeSpan.FromSeconds(10) };
        var address = $"http://{service.Str("spec", "clusterIP")}/";
        Assert.That(await http.GetStringAsync(address), Is.EqualTo("one\n"));

        using var done = new CancellationTokenSource();
        var asking = Task.Run(async () =>
        {
            var answers = new List<string>();
            while (!done.IsCancellationRequested)
                answers.Add(await http.GetStringAsync(address));
            return answers;
        });
        var started = TimeProvider.System.GetTimestamp();
        cluster.Change(
            Kinds.Deployments,
            "web",
            d => d.Objs("spec", "template", "spec", "containers").First().Objs("env").First()["value"] = "two");
        await cluster.UntilAsync(
            Kinds.Deployments,
            "web",
            d => d.Obj("status").Condition("Progressing").Str("reason") == "NewReplicaSetAvailable"
                && (d.Num("status", "observedGeneration") ?? 0) == d.Generation()
                && d.Int(0, "status", "updatedReplicas") == 2);
        TestContext.Out.WriteLine($"rolled in {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.0} s");
        await done.CancelAsync();
        var seen = await asking;
        Assert.That(seen, Is.Not.Empty);
        Assert.That(await http.GetStringAsync(address), Is.EqualTo("two\n"));
        Assert.That(
            cluster.Api.List(Kinds.ReplicaSets, "default").Items.Count(s => s.Int(1, "spec", "replicas") == 0), Is.EqualTo(1));
    }

    [Test]
    public async Task A_service_is_found_by_its_names_from_a_pod()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"server","labels":{"app":"named"}},
             "spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sh","-c","mkdir /tmp/w; echo found > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w"],
             "readinessProbe":{"tcpSocket":{"port":80},"periodSeconds":1}}]}}
            """);
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"client"},
             "spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sleep","1000"]}]}}
            """);
        cluster.Create(
            Kinds.Services,
            """{"metadata":{"name":"named"},"spec":{"selector":{"app":"named"},"ports":[{"port":8000,"targetPort":80}]}}""");
        await cluster.UntilReadyAsync("server");
        await cluster.UntilReadyAsync("client");
        foreach (var name in new[] { "named", "named.default", "named.default.svc", "named.default.svc.cluster.local" })
        {
            var (code, output) = await cluster.ExecAsync("client", "wget", "-q", "-O", "-", $"http://{name}:8000/");
            Assert.That((code, output), Is.EqualTo((0, "found\n")), name);
        }

        var (missing, text) = await cluster.ExecAsync("client", "wget", "-q", "-O", "-", "http://absent:8000/");
        Assert.That(missing, Is.Not.Zero, text);
    }

    [Test]
    public async Task A_job_completes_and_another_reaches_its_backoff_limit()
    {
        cluster.Create(
            Kinds.Jobs,
            """
            {"metadata":{"name":"good"},"spec":{"template":{"spec":{"restartPolicy":"Never",
             "containers":[{"name":"t","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sh","-c","echo done"]}]}}}}
            """);
        cluster.Create(
            Kinds.Jobs,
            """
            {"metadata":{"name":"bad"},"spec":{"backoffLimit":0,"template":{"spec":{"restartPolicy":"Never",
             "containers":[{"name":"t","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sh","-c","exit 3"]}]}}}}
            """);
        var good = await cluster.UntilAsync(Kinds.Jobs, "good", j => j.Obj("status").IsTrue("Complete"));
        Assert.That(good.Int(0, "status", "succeeded"), Is.EqualTo(1));
        var bad = await cluster.UntilAsync(Kinds.Jobs, "bad", j => j.Obj("status").IsTrue("Failed"));
        Assert.That(bad.Obj("status").Condition("Failed").Str("reason"), Is.EqualTo("BackoffLimitExceeded"));
    }
}
