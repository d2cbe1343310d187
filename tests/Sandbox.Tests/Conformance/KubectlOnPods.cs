using System.Text.RegularExpressions;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>What a person with kubectl does with what runs.</summary>
[Category("NeedsDocker")]
internal sealed class KubectlOnPods
{
    private const string Web = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 2
          progressDeadlineSeconds: 5
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              terminationGracePeriodSeconds: 1
              containers:
              - name: app
                image: "IMAGE"
                command: [sh, -c, "mkdir -p /tmp/w; hostname > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"]
                ports: [{name: http, containerPort: 8080}]
                readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
        """;

    private Space space = null!;

    [OneTimeSetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task Rolls_out_waits_describes_and_tells_when_a_roll_out_is_stuck()
    {
        await Run(Web.Replace("progressDeadlineSeconds: 5", "progressDeadlineSeconds: 120"), "apply", "-f", "-");
        Assert.That(
            await Run(null, "rollout", "status", "deploy/web", "--timeout=150s"),
            Does.EndWith("deployment \"web\" successfully rolled out\n"));
        await Run(null, "wait", "--for=condition=Available", "deploy/web", "--timeout=60s");
        Assert.That(await Run(null, "get", "deploy", "web", "--no-headers"), Does.Match(@"^web\s+2/2\s+2\s+2\s+"));
        Assert.That(
            await Run(null, "get", "pods", "-l", "app=web", "--no-headers"),
            Does.Match(@"^(web-[a-z0-9]+-[a-z0-9]{5}\s+1/1\s+Running\s+0\s+\S+\n){2}$"));
        Assert.That(
            await Run(null, "describe", "deploy", "web"),
            Does.Match(@"Replicas:\s+2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable").And
                .Contain("NewReplicaSetAvailable").And
                .Contain("ScalingReplicaSet"));
        var pod = (await Run(null, "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")).Trim();
        Assert.That(
            await Run(null, "describe", "pod", pod),
            Does.Contain("Successfully assigned").And
                .Contain("Readiness:").And
                .Match(@"Status:\s+Running").And
                .Match(@"\s+Pulled\s+").And
                .Match(@"\s+Started\s+"));
        Assert.That(await Run(null, "describe", "svc", "web"), Does.Match(@"Endpoints:\s+\S+:8080,\S+:8080"));
        Assert.That(
            await Run(null, "get", "all", "-o", "name"),
            Does.Contain("service/web").And.Contain("deployment.apps/web").And.Contain("replicaset.apps/web-"));

        await Run(null, "rollout", "restart", "deploy/web");
        await Run(null, "rollout", "status", "deploy/web", "--timeout=150s");
        await space.UntilGoneAsync($"pod/{pod}");

        await Run(
            null,
            "patch",
            "deploy",
            "web",
            "-p",
            """
            {"spec":{"progressDeadlineSeconds":5,
             "template":{"spec":{"containers":[{"name":"app","image":"registry.invalid/none:1"}]}}}}
            """);
        var (code, _, error) = await space.TryKubectlAsync(null, "rollout", "status", "deploy/web", "--timeout=150s");
        Assert.That((code, error), Is.EqualTo((1, "error: deployment \"web\" exceeded its progress deadline\n")));
        Assert.That(
            await Run(null, "get", "deploy", "web", "--no-headers"),
            Does.Match(@"^web\s+2/2\s+1\s+2\s+"),
            "the old pods still serve");

        await Run(null, "rollout", "undo", "deploy/web");
        await Run(null, "rollout", "status", "deploy/web", "--timeout=150s");
        Assert.That(await Run(null, "scale", "deploy/web", "--replicas=1"), Is.EqualTo("deployment.apps/web scaled\n"));
        await space.UntilAsync<V1Deployment>("web", d => d.Status.Replicas == 1);
    }

    [Test]
    public async Task Follows_a_log_to_its_end()
    {
        await space.RunAsync(
            "steps", "echo first; until [ -f /tmp/go ]; do sleep 0.2; done; echo last", pod: "restartPolicy: Never");
        await space.UntilReadyAsync("steps");
        await using var following = space.StartKubectl("logs", "-f", "steps");
        Assert.That(await following.LineAsync(), Is.EqualTo("first"));

        await Run(null, "exec", "steps", "--", "touch", "/tmp/go");

        var (code, rest, error) = await following.EndAsync();
        Assert.That((code, rest), Is.EqualTo((0, "last\n")), error);
        Assert.That(await Run(null, "logs", "steps", "--tail=1"), Is.EqualTo("last\n"));
        await space.UntilEndedAsync("steps");
        Assert.That(await Run(null, "get", "pod", "steps", "--no-headers"), Does.Match(@"^steps\s+0/1\s+Completed\s+0\s+"));
    }

    [Test]
    public async Task Runs_commands_in_a_pod_with_input_and_passes_their_exit_code_on()
    {
        await space.RunAsync("shell", "sleep 1000");
        await space.UntilReadyAsync("shell");

        Assert.That(await Run("some input", "exec", "-i", "shell", "--", "cat"), Is.EqualTo("some input"));
        var (code, output, error) = await space.TryKubectlAsync(
            null, "exec", "shell", "--", "sh", "-c", "echo out; echo err >&2; exit 7");
        Assert.That((code, output), Is.EqualTo((7, "out\n")));
        Assert.That(error, Does.Contain("err\n").And.Contain("command terminated with exit code 7"));
        Assert.That((await space.TryKubectlAsync(null, "exec", "shell", "--", "no-such-command")).Code, Is.Not.Zero);
        Assert.That(
            (await space.TryKubectlAsync(null, "exec", "shell", "-c", "nobody", "--", "true")).Error,
            Does.Contain("container nobody"));
    }

    [Test]
    public async Task Copies_files_both_ways()
    {
        await space.RunAsync("files", "sleep 1000");
        await space.UntilReadyAsync("files");
        var folder = Directory.CreateTempSubdirectory("conformance-").FullName;
        var (there, back) = (Path.Combine(folder, "there"), Path.Combine(folder, "back"));
        var content = new byte[300_000];
        Random.Shared.NextBytes(content);
        await File.WriteAllBytesAsync(there, content);

        await Run(null, "cp", there, "files:/tmp/file");
        await Run(null, "cp", "files:/tmp/file", back);

        Assert.That(await File.ReadAllBytesAsync(back), Is.EqualTo(content));
        Directory.Delete(folder, true);
    }

    [Test]
    public async Task Forwards_a_port_to_a_pod_and_to_a_service()
    {
        await space.RunAsync("inner", "mkdir /tmp/w; echo inside > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w",
            "readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}, ports: [{name: http, containerPort: 8080}]");
        await space.CreateAsync<V1Service>(
            "{metadata: {name: inner}, spec: {selector: {app: inner}, ports: [{port: 80, targetPort: http}]}}");
        await space.UntilReadyAsync("inner");
        using var http = new HttpClient();
        foreach (var target in new[] { ("pod/inner", 8080), ("svc/inner", 80) })
        {
            await using var forwarding = space.StartKubectl("port-forward", target.Item1, $":{target.Item2}");
            var port = Regex.Match(await forwarding.LineAsync() ?? "", @"127\.0\.0\.1:(\d+)").Groups[1].Value;
            for (var i = 0; i < 3; i++)
                Assert.That(await http.GetStringAsync($"http://127.0.0.1:{port}/"), Is.EqualTo("inside\n"), target.Item1);
        }
    }

    [Test]
    public async Task Runs_a_pod_for_one_command_and_removes_it()
    {
        var output = await Run(
            null,
            "run",
            "once",
            "--image=IMAGE",
            "--restart=Never",
            "--rm",
            "-i",
            "--quiet",
            "--",
            "sh",
            "-c",
            "sleep 2; echo said");

        Assert.That(output, Does.StartWith("said\n"));
        Assert.That((await space.TryKubectlAsync(null, "get", "pod", "once")).Error, Does.Contain("NotFound"));
    }

    [Test]
    public async Task Waits_for_a_value()
    {
        await space.RunAsync("brief", "sleep 1", pod: "restartPolicy: Never");

        await Run(null, "wait", "pod/brief", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s");

        Assert.That(await Run(null, "get", "pod", "brief", "-o", "jsonpath={.status.phase}"), Is.EqualTo("Succeeded"));
    }

    [Test]
    public async Task Waits_for_a_deletion()
    {
        await space.RunAsync("short", "sleep 1000");
        await space.UntilReadyAsync("short");

        await Run(null, "delete", "pod", "short", "--wait=false");
        await space.UntilGoneAsync("pod/short");

        Assert.That((await space.TryKubectlAsync(null, "get", "pod", "short")).Error, Does.Contain("NotFound"));
    }

    private Task<string> Run(string? input, params string[] arguments) => space.KubectlAsync(input, arguments);
}
