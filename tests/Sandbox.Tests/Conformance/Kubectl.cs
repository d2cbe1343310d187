using k8s;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>What a person with kubectl does, and may expect.</summary>
internal sealed class Kubectl
{
    private const string Web = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: c, image: "registry.invalid/web:1"}]}
        """;

    private string ns = "";

    [SetUp]
    public async Task Make_a_namespace() => ns = await ConformanceCluster.NewNamespaceAsync();

    [TearDown]
    public Task Remove_the_namespace() => ConformanceCluster.Client.CoreV1.DeleteNamespaceAsync(ns);

    [Test]
    public async Task Applies_compares_and_applies_again()
    {
        Assert.That(await Run(Web, "apply", "-f", "-"), Is.EqualTo("deployment.apps/web created\n"));
        Assert.That(await Run(Web, "apply", "-f", "-"), Is.EqualTo("deployment.apps/web unchanged\n"));
        var changed = Web.Replace("web:1", "web:2");
        var (code, output, error) = await ConformanceCluster.KubectlAsync(changed, "-n", ns, "diff", "-f", "-");
        Assert.That((code, output.Contains("+      - image: registry.invalid/web:2") || output.Contains("+        image: registry.invalid/web:2")), Is.EqualTo((1, true)), error + output);

        Assert.That(await Run(changed, "apply", "-f", "-"), Is.EqualTo("deployment.apps/web configured\n"));
        Assert.That(await Run(null, "get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"), Is.EqualTo("registry.invalid/web:2"));
    }

    [Test]
    public async Task Undoes_a_roll_out()
    {
        await Run(Web, "apply", "-f", "-");
        await UntilAsync("1");
        await Run(null, "set", "image", "deploy/web", "c=registry.invalid/web:2");
        await UntilAsync("2");

        await Run(null, "rollout", "undo", "deploy/web");

        Assert.That(await Run(null, "get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"), Is.EqualTo("registry.invalid/web:1"));

        Task<string> UntilAsync(string revision) =>
            Run(null, "wait", "deploy/web", "--for", $"jsonpath={{.metadata.annotations.deployment\\.kubernetes\\.io/revision}}={revision}", "--timeout", "60s");
    }

    [Test]
    public async Task Refuses_fields_that_do_not_exist()
    {
        var (code, _, error) = await ConformanceCluster.KubectlAsync(Web.Replace("image:", "imagee:"), "-n", ns, "apply", "-f", "-");

        Assert.That(code, Is.Not.Zero);
        Assert.That(error, Does.Contain("unknown field \"spec.template.spec.containers[0].imagee\""));
    }

    [Test]
    public async Task Tells_who_may_do_what()
    {
        await Run(null, "create", "sa", "reader");
        await Run(null, "create", "role", "reader", "--verb=get", "--resource=pods");
        await Run(null, "create", "rolebinding", "reader", "--role=reader", $"--serviceaccount={ns}:reader");

        Assert.That(await Run(null, "auth", "can-i", "get", "pods", "--as", $"system:serviceaccount:{ns}:reader"), Is.EqualTo("yes\n"));
        var (code, output, _) = await ConformanceCluster.KubectlAsync(null, "-n", ns, "auth", "can-i", "delete", "pods", "--as", $"system:serviceaccount:{ns}:reader");
        Assert.That((code, output), Is.EqualTo((1, "no\n")));
    }

    [Test]
    public async Task Deletes_a_deployment_with_what_it_owns()
    {
        await Run(Web, "apply", "-f", "-");
        await Run(null, "wait", "deploy/web", "--for", "jsonpath={.status.replicas}=2", "--timeout", "60s");

        await Run(null, "delete", "deploy", "web", "--cascade=foreground");

        Assert.That(await Run(null, "get", "rs,pods", "-o", "name"), Is.Empty);
    }

    private async Task<string> Run(string? input, params string[] arguments)
    {
        var (code, output, error) = await ConformanceCluster.KubectlAsync(input, ["-n", ns, .. arguments]);
        Assert.That(code, Is.Zero, $"kubectl {string.Join(' ', arguments)}: {error}");
        return output;
    }
}
