using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>What a pod's status and events say when something is wrong, in Kubernetes' words.</summary>
[Category("NeedsDocker")]
public sealed class PodFailures
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    private static JsonObject? Container(JsonObject pod) => pod.Objs("status", "containerStatuses").FirstOrDefault();

    private static string? Waiting(JsonObject pod) => Container(pod).Str("state", "waiting", "reason");

    [Test]
    public async Task A_container_that_keeps_ending_is_restarted_and_then_backed_off()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"crash"},"spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sh","-c","echo run; echo last words > /dev/termination-log; exit 7"]}]}}
            """);
        var pod = await cluster.UntilAsync(Kinds.Pods, "crash", p => Waiting(p) == "CrashLoopBackOff");
        Assert.That(Container(pod).Int(0, "restartCount"), Is.EqualTo(1), "the first restart is immediate");
        Assert.That(
            Container(pod).Str("state", "waiting", "message"),
            Does.StartWith("back-off 10s restarting failed container=app pod=crash_default("));
        Assert.That(Container(pod).Num("lastState", "terminated", "exitCode"), Is.EqualTo(7));
        Assert.That(Container(pod).Str("lastState", "terminated", "reason"), Is.EqualTo("Error"));
        Assert.That(Container(pod).Str("lastState", "terminated", "message"), Is.EqualTo("last words\n"));
        Assert.That(pod.Str("status", "phase"), Is.EqualTo("Running"));
        Assert.That(await cluster.LogAsync("crash", new() { Previous = true }), Is.EqualTo("run\n"));
        Assert.That(
            cluster.EventsOf("crash"),
            Has.Some.StartsWith("BackOff: Back-off restarting failed container app in pod crash_default("));
    }

    [Test]
    public async Task A_command_that_does_not_exist_is_a_RunContainerError()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"nocommand"},"spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["/no/such/program"]}]}}
            """);
        var pod = await cluster.UntilAsync(Kinds.Pods, "nocommand", p => Waiting(p) == "RunContainerError");
        Assert.That(Container(pod).Str("lastState", "terminated", "reason"), Is.EqualTo("StartError"));
        Assert.That(Container(pod).Str("state", "waiting", "message"), Does.Contain("/no/such/program"));
        await cluster.UntilAsync(Kinds.Pods, "nocommand", p => Waiting(p) == "CrashLoopBackOff");
    }

    [Test]
    public async Task A_pod_that_fits_nowhere_is_unschedulable_until_room_is_made()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"huge"},"spec":{"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sleep","1000"],"resources":{"requests":{"cpu":"64"}}}]}}
            """);
        var pod = await cluster.UntilAsync(
            Kinds.Pods, "huge", p => p.Obj("status").Condition("PodScheduled").Str("reason") == "Unschedulable");
        Assert.That(
            pod.Obj("status").Condition("PodScheduled").Str("message"),
            Is.EqualTo(
                "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: " +
                "0/2 nodes are available: 2 No preemption victims found for incoming pod."));
        Assert.That(
            cluster.EventsOf("huge"), Has.Some.StartsWith("FailedScheduling: 0/2 nodes are available: 2 Insufficient cpu."));
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"elsewhere"},"spec":{"nodeSelector":{"disk":"ssd"},
             "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sleep","1000"]}]}}
            """);
        await cluster.UntilAsync(
            Kinds.Pods,
            "elsewhere",
            p => p.Obj("status").Condition("PodScheduled").Str("message")?.StartsWith(
                "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, " +
                "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.") == true);
        cluster.Change(Kinds.Nodes, "node-2", n => n.Ensure("metadata").Ensure("labels")["disk"] = "ssd", "");
        var placed = await cluster.UntilReadyAsync("elsewhere");
        Assert.That(placed.Str("spec", "nodeName"), Is.EqualTo("node-2"));
    }

    [Test]
    public async Task A_pod_waits_for_its_claim()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"claims"},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"app","image":"IMAGE",
             "imagePullPolicy":"IfNotPresent","command":["sleep","1000"],"volumeMounts":[{"name":"data","mountPath":"/data"}]}],
             "volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"later"}}]}}
            """);
        var pod = await cluster.UntilAsync(
            Kinds.Pods, "claims", p => p.Obj("status").Condition("PodScheduled").Str("status") == "False");
        Assert.That(
            pod.Obj("status").Condition("PodScheduled").Str("message"),
            Does.StartWith("0/2 nodes are available: persistentvolumeclaim \"later\" not found. "));
        cluster.Create(
            Kinds.PersistentVolumeClaims,
            """
            {"metadata":{"name":"later"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
            """);
        await cluster.UntilAsync(Kinds.Pods, "claims", p => p.Obj("status").IsTrue("Ready"));
    }
}
