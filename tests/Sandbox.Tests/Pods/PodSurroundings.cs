using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>What a container finds around it: environment, volumes, users, init containers, sidecars.</summary>
[Category("NeedsDocker")]
public sealed class PodSurroundings
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    [Test]
    public async Task The_environment_comes_from_literals_fields_resources_maps_and_secrets()
    {
        cluster.Create(Kinds.ConfigMaps, """{"metadata":{"name":"env-map"},"data":{"ONE":"1","TWO":"2"}}""");
        cluster.Create(Kinds.Secrets, """{"metadata":{"name":"env-secret"},"data":{"PASSWORD":"aHVudGVyMg=="}}""");
        cluster.Create(Kinds.Pods, """
            {"metadata":{"name":"env","labels":{"color":"blue"},"annotations":{"note":"n1"}},
            "spec":{"restartPolicy":"Never","containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
            "command":["sh","-c","env | sort"],"args":[],"resources":{"limits":{"memory":"64Mi","cpu":"500m"}},
            "envFrom":[{"prefix":"M_","configMapRef":{"name":"env-map"}},{"configMapRef":{"name":"absent","optional":true}}],
            "env":[{"name":"A","value":"a"},{"name":"B","value":"$(A)-$(UNKNOWN)-$$(A)"},
            {"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
            {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
            {"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}},
            {"name":"COLOR","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['color']"}}},
            {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
            {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
            {"name":"PASSWORD","valueFrom":{"secretKeyRef":{"name":"env-secret","key":"PASSWORD"}}}]}]}}
            """);
        var pod = await cluster.UntilAsync(Kinds.Pods, "env", p => p.Str("status", "phase") == "Succeeded");
        var lines = (await cluster.LogAsync("env")).Split('\n');
        Assert.That(lines, Is.SupersetOf(new[]
        {
            "A=a", "B=a-$(UNKNOWN)-$(A)", "POD=env", "COLOR=blue", "MEM=64", "CPU=1", "PASSWORD=hunter2", "M_ONE=1", "M_TWO=2",
            $"IP={pod.Str("status", "podIP")}", $"NODE={pod.Str("spec", "nodeName")}", "HOSTNAME=env",
        }));
        Assert.That(pod.Str("status", "qosClass"), Is.EqualTo("Guaranteed"));
        Assert.That(pod.Obj("status").Condition("Ready").Str("reason"), Is.EqualTo("PodCompleted"));
    }

    [Test]
    public async Task Volumes_are_shared_projected_and_follow_changes()
    {
        cluster.Create(Kinds.ConfigMaps, """{"metadata":{"name":"files"},"data":{"a.txt":"first","b.txt":"bee"}}""");
        cluster.Create(Kinds.Secrets, """{"metadata":{"name":"keys"},"data":{"id":"c2VjcmV0"}}""");
        cluster.Create(Kinds.Pods, """
            {"metadata":{"name":"vols","labels":{"l":"x"}},
            "spec":{"initContainers":[{"name":"init","image":"IMAGE","imagePullPolicy":"IfNotPresent",
            "command":["sh","-c","echo from-init > /scratch/file"],"volumeMounts":[{"name":"work","mountPath":"/scratch"}]}],
            "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sleep","1000"],
            "volumeMounts":[{"name":"work","mountPath":"/scratch"},{"name":"map","mountPath":"/map"},
            {"name":"map","mountPath":"/single","subPath":"b.txt"},{"name":"all","mountPath":"/all"}]}],
            "volumes":[{"name":"work","emptyDir":{}},{"name":"map","configMap":{"name":"files"}},
            {"name":"all","projected":{"sources":[{"secret":{"name":"keys","items":[{"key":"id","path":"deep/id","mode":256}]}},
            {"downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}}]}}
            """);
        await cluster.UntilReadyAsync("vols");
        Assert.That(
            await cluster.ExecAsync("vols", "cat", "/scratch/file", "/map/a.txt", "/single", "/all/deep/id", "/all/labels"),
            Is.EqualTo((0, "from-init\nfirstbeesecretl=\"x\"")));
        Assert.That(
            (await cluster.ExecAsync("vols", "stat", "-L", "-c", "%a", "/map/a.txt", "/all/deep/id")).Output,
            Is.EqualTo("644\n400\n"));
        Assert.That(
            (await cluster.ExecAsync("vols", "sh", "-c", "echo x > /map/a.txt")).Code,
            Is.Not.Zero,
            "projected volumes are read-only");

        cluster.Change(Kinds.ConfigMaps, "files", m => m.Obj("data")!["a.txt"] = "second");
        var text = "";
        while (text != "second")
            text = (await cluster.ExecAsync("vols", "cat", "/map/a.txt")).Output;
        Assert.That((await cluster.ExecAsync("vols", "cat", "/single")).Output, Is.EqualTo("bee"));
    }

    [Test]
    public async Task A_container_runs_as_told()
    {
        cluster.Create(Kinds.Pods, """
            {"metadata":{"name":"secured"},"spec":{"restartPolicy":"Never",
            "securityContext":{"runAsUser":1234,"runAsGroup":2345,"fsGroup":3456},
            "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","workingDir":"/data",
            "command":["sh","-c","id -u; id -g; pwd; touch /x 2>/dev/null || echo read-only; touch /data/y && echo writable"],
            "securityContext":{"readOnlyRootFilesystem":true},"volumeMounts":[{"name":"d","mountPath":"/data"}]}],
            "volumes":[{"name":"d","emptyDir":{}}]}}
            """);
        await cluster.UntilAsync(Kinds.Pods, "secured", p => p.Str("status", "phase") == "Succeeded");
        Assert.That(await cluster.LogAsync("secured"), Is.EqualTo("1234\n2345\n/data\nread-only\nwritable\n"));
    }

    [Test]
    public async Task Init_containers_run_in_order_before_the_rest_and_sidecars_beside_it()
    {
        cluster.Create(Kinds.Pods, """
            {"metadata":{"name":"ordered"},"spec":{"restartPolicy":"Never","initContainers":[
            {"name":"one","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sh","-c","echo 1 >> /w/order"],
             "volumeMounts":[{"name":"w","mountPath":"/w"}]},
            {"name":"side","image":"IMAGE","imagePullPolicy":"IfNotPresent","restartPolicy":"Always",
             "command":["sh","-c","echo side >> /w/order; trap 'exit 0' TERM; sleep 1000 & wait"],
             "startupProbe":{"exec":{"command":["grep","side","/w/order"]},"periodSeconds":1},
             "volumeMounts":[{"name":"w","mountPath":"/w"}]},
            {"name":"two","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sh","-c","echo 2 >> /w/order"],
             "volumeMounts":[{"name":"w","mountPath":"/w"}]}],
            "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["cat","/w/order"],
            "volumeMounts":[{"name":"w","mountPath":"/w"}]}],"volumes":[{"name":"w","emptyDir":{}}]}}
            """);
        var pod = await cluster.UntilAsync(Kinds.Pods, "ordered", p => p.Str("status", "phase") == "Succeeded");
        Assert.That(await cluster.LogAsync("ordered", new() { Container = "app" }), Is.EqualTo("1\nside\n2\n"));
        Assert.That(
            pod.Objs("status", "initContainerStatuses").Select(s => s.Str("name")), Is.EqualTo(new[] { "one", "side", "two" }));
        Assert.That(pod.Obj("status").IsTrue("Initialized"));
    }

    [Test]
    public async Task A_failed_init_container_fails_the_pod_when_nothing_restarts()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"badinit"},"spec":{"restartPolicy":"Never",
             "initContainers":[{"name":"init","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sh","-c","exit 4"]}],
             "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sleep","1000"]}]}}
            """);
        var pod = await cluster.UntilAsync(Kinds.Pods, "badinit", p => p.Str("status", "phase") == "Failed");
        Assert.That(
            pod.Objs("status", "containerStatuses").Single().Str("state", "waiting", "reason"), Is.EqualTo("PodInitializing"));
        Assert.That(
            pod.Obj("status").Condition("Initialized").Str("message"), Is.EqualTo("containers with incomplete status: [init]"));
    }
}
