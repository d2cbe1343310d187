using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>What a person with kubectl does with objects, and may expect.</summary>
internal sealed class KubectlOnObjects
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
            spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: "registry.invalid/web:1"}]}
        """;

    private Space space = null!;

    [SetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [TearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task Applies_compares_and_applies_again()
    {
        Assert.That(await Run(Web, "apply", "-f", "-"), Is.EqualTo("deployment.apps/web created\n"));
        Assert.That(await Run(Web, "apply", "-f", "-"), Is.EqualTo("deployment.apps/web unchanged\n"));
        Assert.That((await space.TryKubectlAsync(Web, "diff", "-f", "-")).Code, Is.Zero, "nothing differs");
        var changed = Web.Replace("web:1", "web:2");
        var (code, output, error) = await space.TryKubectlAsync(changed, "diff", "-f", "-");
        Assert.That((code, output), Is.EqualTo((1, output)), error);
        Assert.That(
            output,
            Does.Match(@"(?m)^-\s+- image: registry.invalid/web:1$").And.Match(@"(?m)^\+\s+- image: registry.invalid/web:2$"));

        Assert.That(await Run(changed, "apply", "-f", "-"), Is.EqualTo("deployment.apps/web configured\n"));
        Assert.That(await Image(), Is.EqualTo("registry.invalid/web:2"));
    }

    [Test]
    public async Task Applies_on_the_server_and_tells_who_else_owns_a_field()
    {
        Assert.That(
            await Run(Web, "apply", "--server-side", "--field-manager=one", "-f", "-"),
            Is.EqualTo("deployment.apps/web serverside-applied\n"));
        var changed = Web.Replace("web:1", "web:2");
        var (code, _, error) = await space.TryKubectlAsync(changed, "apply", "--server-side", "--field-manager=two", "-f", "-");
        Assert.That(code, Is.Not.Zero);
        Assert.That(error, Does.Contain("conflict with \"one\"").And.Contain(".spec.template.spec.containers[name=\"c\"].image"));

        await Run(changed, "apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-");

        Assert.That(await Image(), Is.EqualTo("registry.invalid/web:2"));
    }

    [Test]
    public async Task A_structure_that_is_not_applied_any_more_goes_with_its_defaults()
    {
        var probed = Web.Replace("web:1\"}", "web:1\", readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}}");
        await Run(probed, "apply", "--server-side", "-f", "-");
        Assert.That(
            await Run(null, "get", "deployment", "web", "-o", "jsonpath={..readinessProbe.failureThreshold}"),
            Is.EqualTo("3"),
            "a default that nobody stated");

        Assert.That(await Run(Web, "apply", "--server-side", "-f", "-"), Is.EqualTo("deployment.apps/web serverside-applied\n"));

        Assert.That(await Run(null, "get", "deployment", "web", "-o", "jsonpath={..readinessProbe}{.metadata.labels}"), Is.Empty);
        Assert.That(await Image(), Is.EqualTo("registry.invalid/web:1"));
    }

    [Test]
    public async Task A_structure_stays_where_somebody_else_states_a_part_of_it()
    {
        var probed = Web.Replace("web:1\"}", "web:1\", readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}}");
        await Run(probed, "apply", "--server-side", "--field-manager=one", "-f", "-");
        await Run(probed, "apply", "--server-side", "--field-manager=two", "-f", "-");

        await Run(Web, "apply", "--server-side", "--field-manager=one", "-f", "-");

        Assert.That(
            await Run(null, "get", "deployment", "web", "-o", "jsonpath={..readinessProbe.periodSeconds}"), Is.EqualTo("1"));
    }

    [Test]
    public async Task An_apply_removes_what_an_earlier_one_had_set_and_leaves_what_others_set()
    {
        const string kept = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"},"data":DATA}""";
        await Run(kept.Replace("DATA", """{"a":"1","b":"1"}"""), "apply", "-f", "-");
        await Run(null, "patch", "cm", "kept", "--type=merge", "-p", """{"data":{"other":"x"}}""");

        await Run(kept.Replace("DATA", """{"a":"2"}"""), "apply", "-f", "-");

        Assert.That(await Run(null, "get", "cm", "kept", "-o", "jsonpath={.data}"), Is.EqualTo("""{"a":"2","other":"x"}"""));
    }

    [Test]
    public async Task A_dry_run_on_the_server_checks_and_changes_nothing()
    {
        Assert.That(
            await Run(Web, "apply", "--dry-run=server", "-f", "-"), Is.EqualTo("deployment.apps/web created (server dry run)\n"));
        var (code, _, error) = await space.TryKubectlAsync(
            Web.Replace("replicas: 2", "replicas: -2"), "apply", "--dry-run=server", "-f", "-");
        Assert.That((code, error), Is.EqualTo((1, error)));
        Assert.That(error, Does.Contain("spec.replicas: Invalid value: -2: must be greater than or equal to 0"));

        Assert.That(await Run(null, "get", "deploy", "-o", "name"), Is.Empty);
    }

    [Test]
    public async Task Undoes_a_roll_out_and_lists_its_history()
    {
        await Run(Web, "apply", "-f", "-");
        await UntilRevisionAsync("1");
        await Run(null, "set", "image", "deploy/web", "c=registry.invalid/web:2");
        await UntilRevisionAsync("2");
        Assert.That(
            (await Run(null, "rollout", "history", "deploy/web"))
                .Split('\n')
                .Where(l => l.Length > 0 && char.IsDigit(l[0]))
                .Select(l => l[0]),
            Is.EqualTo("12"));

        await Run(null, "rollout", "undo", "deploy/web");
        await UntilRevisionAsync("3");
        Assert.That(await Image(), Is.EqualTo("registry.invalid/web:1"));

        await Run(null, "rollout", "undo", "deploy/web", "--to-revision=2");
        Assert.That(await Image(), Is.EqualTo("registry.invalid/web:2"));
    }

    [Test]
    public async Task Refuses_fields_that_do_not_exist()
    {
        var (code, _, error) = await space.TryKubectlAsync(Web.Replace("image:", "imagee:"), "apply", "-f", "-");

        Assert.That(code, Is.Not.Zero);
        Assert.That(error, Does.Contain("imagee"));
    }

    [Test]
    public async Task Tells_who_may_do_what()
    {
        await Run(null, "create", "sa", "reader");
        await Run(null, "create", "role", "reader", "--verb=get", "--resource=pods");
        await Run(null, "create", "rolebinding", "reader", "--role=reader", "--serviceaccount=NAMESPACE:reader");
        const string reader = "system:serviceaccount:NAMESPACE:reader";

        await space.UntilAllowedAsync("reader", "get", "pods");
        Assert.That(await Run(null, "auth", "can-i", "get", "pods", "--as", reader), Is.EqualTo("yes\n"));
        var (code, output, _) = await space.TryKubectlAsync(null, "auth", "can-i", "delete", "pods", "--as", reader);
        Assert.That((code, output), Is.EqualTo((1, "no\n")));
        Assert.That(
            await Run(null, "auth", "can-i", "--list", "--as", reader), Does.Match(@"(?m)^pods\s+\[\]\s+\[\]\s+\[get\]$"));
        var (_, _, refusal) = await space.TryKubectlAsync(null, "get", "secrets", "--as", reader);
        Assert.That(
            refusal,
            Does.Contain(
                $"secrets is forbidden: User \"system:serviceaccount:{space.Name}:reader\" cannot list resource \"secrets\" in " +
                $"API group \"\" in the namespace \"{space.Name}\""));
    }

    [Test]
    public async Task Deletes_a_deployment_with_what_it_owns()
    {
        await Run(Web, "apply", "-f", "-");
        await space.UntilAsync<V1Deployment>("web", d => d.Status.Replicas == 2);

        await Run(null, "delete", "deploy", "web", "--cascade=foreground");

        Assert.That(await Run(null, "get", "rs", "-o", "name"), Is.Empty);
    }

    [Test]
    public async Task An_orphaning_delete_leaves_the_replica_set()
    {
        await Run(Web, "apply", "-f", "-");
        await space.UntilAsync<V1Deployment>("web", d => d.Status.Replicas == 2);

        await Run(null, "delete", "deploy", "web", "--cascade=orphan");

        Assert.That(await Run(null, "get", "rs", "-o", "jsonpath={.items[*].spec.replicas}"), Is.EqualTo("2"));
        Assert.That(await Run(null, "get", "rs", "-o", "jsonpath={.items[*].metadata.ownerReferences}"), Is.Empty);
    }

    [Test]
    public async Task Lists_by_labels_and_fields_in_tables_and_other_forms()
    {
        foreach (var (name, tier) in new[] { ("a", "front"), ("b", "front"), ("c", "back") })
            await Run(null, "create", "cm", name, "--from-literal=k=v");
        await Run(null, "label", "cm", "a", "b", "tier=front");
        await Run(null, "label", "cm", "c", "tier=back");

        Assert.That(
            await Run(null, "get", "cm", "-l", "tier in (front)", "-o", "name"), Is.EqualTo("configmap/a\nconfigmap/b\n"));
        Assert.That(await Run(null, "get", "cm", "-l", "tier,tier!=front", "-o", "name"), Is.EqualTo("configmap/c\n"));
        Assert.That(
            await Run(null, "get", "cm", "--field-selector", "metadata.name=b", "-o", "name"), Is.EqualTo("configmap/b\n"));
        Assert.That(
            await Run(null, "get", "cm", "-l", "tier", "-L", "tier", "--no-headers"),
            Does.Match(@"^a\s+1\s+\d+s\s+front\nb\s+1\s+\d+s\s+front\nc\s+1\s+\d+s\s+back\n$"));
        Assert.That(
            await Run(null, "get", "cm", "-l", "tier", "-o", "custom-columns=N:.metadata.name,V:.data.k", "--chunk-size=2"),
            Does.Match(@"^N +V\na +v\nb +v\nc +v\n$"));
        Assert.That(
            await Run(null, "delete", "cm", "-l", "tier=front"),
            Is
                .EqualTo("configmap \"a\" deleted\nconfigmap \"b\" deleted\n").Or
                .EqualTo(
                    $"configmap \"a\" deleted from {space.Name} namespace\nconfigmap \"b\" deleted from {space.Name} " +
                    "namespace\n"));
    }

    [Test]
    public async Task Explains_and_lists_what_is_served()
    {
        Assert.That(
            await Run(null, "explain", "deployment.spec.strategy.rollingUpdate"),
            Does.Contain("maxSurge").And.Contain("maxUnavailable"));
        Assert.That(
            await Run(null, "api-resources", "--no-headers"),
            Does.Match(@"(?m)^deployments\s+deploy\s+apps/v1\s+true\s+Deployment$"));
        Assert.That(await Run(null, "api-versions"), Does.Contain("\nbatch/v1\n"));
        Assert.That(await Run(null, "get", "--raw", "/readyz"), Is.EqualTo("ok"));
        Assert.That(await Run(null, "version"), Does.Match("Server Version: "));
    }

    [Test]
    public async Task What_is_not_served_is_unknown()
    {
        var (code, _, error) = await space.TryKubectlAsync(null, "get", "unicorns");
        Assert.That((code, error), Is.EqualTo((1, "error: the server doesn't have a resource type \"unicorns\"\n")));
    }

    [Test]
    public async Task A_deleted_namespace_takes_everything_along()
    {
        var other = await Space.MakeAsync();
        await other.KubectlAsync(null, "create", "cm", "inside", "--from-literal=k=v");

        await other.KubectlAsync(null, "delete", "ns", other.Name);

        var (_, _, error) = await other.TryKubectlAsync(null, "get", "cm", "inside");
        Assert.That(error, Does.StartWith("Error from server (NotFound): "));
    }

    private Task<string> Run(string? input, params string[] arguments) => space.KubectlAsync(input, arguments);

    private Task<string> Image() => Run(null, "get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}");

    private Task<V1Deployment> UntilRevisionAsync(string revision) =>
        space.UntilAsync<V1Deployment>(
            "web",
            d => d.Metadata.Annotations.TryGetValue("deployment.kubernetes.io/revision", out var r)
                && r == revision
                && d.Status.ObservedGeneration == d.Metadata.Generation);
}
