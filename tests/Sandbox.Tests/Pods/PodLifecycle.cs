using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>Probes, hooks, ends and logs.</summary>
[Category("NeedsDocker")]
public sealed class PodLifecycle
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    [Test]
    public async Task Readiness_comes_and_goes_with_its_probe()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"moody","labels":{"app":"moody"}},"spec":{"containers":[{"name":"app","image":"IMAGE",
             "imagePullPolicy":"IfNotPresent",
             "command":["sh","-c","mkdir /tmp/w; touch /tmp/w/ok; exec httpd -f -p 80 -h /tmp/w"],
             "readinessProbe":{"httpGet":{"path":"/ok","port":80},"periodSeconds":1,"failureThreshold":1}}]}}
            """);
        cluster.Create(
            Kinds.Services,
            """{"metadata":{"name":"moody"},"spec":{"selector":{"app":"moody"},"ports":[{"port":80}]}}""");
        await cluster.UntilReadyAsync("moody");
        await cluster.UntilAsync(Kinds.Endpoints, "moody", e => e.Objs("subsets").Any(s => s.Objs("addresses").Any()));
        await cluster.ExecAsync("moody", "rm", "/tmp/w/ok");
        var pod = await cluster.UntilAsync(Kinds.Pods, "moody", p => p.Obj("status").Condition("Ready").Str("status") == "False");
        Assert.That(pod.Obj("status").Condition("Ready").Str("message"), Is.EqualTo("containers with unready status: [app]"));
        await cluster.UntilAsync(Kinds.Endpoints, "moody", e => e.Objs("subsets").Any(s => s.Objs("notReadyAddresses").Any()));
        Assert.That(
            cluster.EventsOf("moody"),
            Has.Some.EqualTo("Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404"));
    }

    [Test]
    public async Task A_deadline_of_years_lets_a_pod_live_and_end()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"patient"},"spec":{"restartPolicy":"Never","activeDeadlineSeconds":2147483647,
             "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sh","-c","while ! test -e /tmp/go; do sleep 0.1; done"]}]}}
            """);
        await cluster.UntilReadyAsync("patient");
        await cluster.ExecAsync("patient", "touch", "/tmp/go");
        await cluster.UntilAsync(Kinds.Pods, "patient", p => p.Str("status", "phase") == "Succeeded");
    }

    [Test]
    public async Task Logs_can_be_cut_by_lines_bytes_and_time()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"chatty"},"spec":{"restartPolicy":"Never","containers":[{"name":"app","image":"IMAGE",
             "imagePullPolicy":"IfNotPresent","command":["sh","-c","seq 1 5; sleep 1; echo err >&2"]}]}}
            """);
        await cluster.UntilAsync(Kinds.Pods, "chatty", p => p.Str("status", "phase") == "Succeeded");
        Assert.That(await cluster.LogAsync("chatty"), Is.EqualTo("1\n2\n3\n4\n5\nerr\n"));
        Assert.That(await cluster.LogAsync("chatty", new() { TailLines = 2 }), Is.EqualTo("5\nerr\n"));
        Assert.That(await cluster.LogAsync("chatty", new() { LimitBytes = 3 }), Is.EqualTo("1\n2"));
        Assert.That(
            await cluster.LogAsync("chatty", new() { TailLines = 1, Timestamps = true }),
            Does.Match(@"^\d{4}-\d\d-\d\dT[0-9:.]+Z err\n$"));
        Assert.That(await cluster.LogAsync("chatty", new() { SinceTime = DateTimeOffset.UtcNow.AddMinutes(5) }), Is.Empty);
        Assert.That(
            async () => await cluster.LogAsync("chatty", new() { Container = "nobody" }),
            Throws.TypeOf<ApiException>().With.Message.EqualTo("container nobody is not valid for pod chatty"));
    }
}
