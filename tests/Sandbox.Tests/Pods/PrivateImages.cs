using System.Text;
using CiSteps.Fixtures;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>Images of a registry that asks for a login.</summary>
[Category("NeedsDocker")]
public sealed class PrivateImages
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    [Test]
    public async Task A_pull_secret_of_the_pod_or_its_account_opens_the_registry_and_the_status_names_the_digest()
    {
        await using var registry = await LocalRegistry.StartAsync(RegistryAccess.Basic);
        var reference = registry.Reference("team/app");
        await cluster.Engine.MakeBaseImageAsync(reference.Repository, "1");
        var pushed = await cluster.Engine.PushAsync(reference, LocalRegistry.Credential);
        await cluster.Engine.Engine.RemoveImageAsync(reference.ToString(), force: true);
        var pod =
            """
            {"metadata":{"name":"NAME"},"spec":{MORE"containers":[{"name":"app","image":"REF","command":["sleep","1000"]}],
             "terminationGracePeriodSeconds":0}}
            """.Replace("REF", reference.ToString());

        cluster.Create(Kinds.Pods, pod.Replace("NAME", "locked-out").Replace("MORE", ""));
        var refused = await cluster.UntilAsync(
            Kinds.Pods,
            "locked-out",
            p => p.Objs("status", "containerStatuses").Any(c => c.Str("state", "waiting", "reason") == "ErrImagePull"));
        Assert.That(
            refused.Objs("status", "containerStatuses").Single().Str("state", "waiting", "message"), Does.Contain("basic auth"));

        var auth = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{LocalRegistry.User}:{LocalRegistry.Password}"));
        var config = Convert.ToBase64String(Encoding.UTF8.GetBytes(
            $"{{\"auths\":{{\"http://{registry.Host}\":{{\"auth\":\"{auth}\"}}}}}}"));
        cluster.Create(
            Kinds.Secrets,
            """
            {"metadata":{"name":"pull"},"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"CONFIG"}}
            """.Replace("CONFIG", config));
        cluster.Create(Kinds.Pods, pod.Replace("NAME", "let-in").Replace("MORE", "\"imagePullSecrets\":[{\"name\":\"pull\"}],"));
        var running = await cluster.UntilReadyAsync("let-in");
        Assert.That(
            running.Objs("status", "containerStatuses").Single().Str("imageID"), Is.EqualTo($"{reference.Repository}@{pushed}"));

        cluster.Create(Kinds.ServiceAccounts, """{"metadata":{"name":"puller"},"imagePullSecrets":[{"name":"pull"}]}""");
        cluster.Create(Kinds.Pods, pod.Replace("NAME", "let-in-too").Replace("MORE", "\"serviceAccountName\":\"puller\","));
        await cluster.UntilReadyAsync("let-in-too");
    }
}
