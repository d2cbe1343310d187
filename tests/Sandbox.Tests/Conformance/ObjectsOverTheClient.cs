using System.Net;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>What Kubernetes documents about objects, asked through its C# client.</summary>
internal sealed class ObjectsOverTheClient
{
    private Space space = null!;
    private string ns = "";

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace()
    {
        space = await Space.MakeAsync();
        ns = space.Name;
    }

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_stale_update_conflicts()
    {
        var map = await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("stale"), ns);
        map.Data["k"] = "2";
        await Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "stale", ns);

        var (code, _) = await Space.RefusedAsync(() => Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "stale", ns));

        Assert.That(code, Is.EqualTo(HttpStatusCode.Conflict));
    }

    [Test]
    public async Task What_is_not_there_is_told_with_its_kind_and_name()
    {
        var (code, status) = await Space.RefusedAsync(() => Client.CoreV1.ReadNamespacedConfigMapAsync("nobody", ns));

        Assert.That(
            (code, status.Reason, status.Details.Kind, status.Details.Name),
            Is.EqualTo((HttpStatusCode.NotFound, "NotFound", "configmaps", "nobody")));
    }

    [Test]
    public async Task Pages_show_each_object_once()
    {
        for (var i = 0; i < 5; i++)
            await Client.CoreV1.CreateNamespacedConfigMapAsync(Map($"page-{i}", "paged"), ns);
        var names = new List<string>();
        string? next = null;
        do
        {
            var page = await Client.CoreV1.ListNamespacedConfigMapAsync(
                ns, labelSelector: "set=paged", limit: 2, continueParameter: next);
            Assert.That(page.Items, Has.Count.LessThanOrEqualTo(2));
            names.AddRange(page.Items.Select(m => m.Metadata.Name));
            next = page.Metadata.ContinueProperty;
        }
        while (!string.IsNullOrEmpty(next));

        Assert.That(names, Is.EqualTo(Enumerable.Range(0, 5).Select(i => $"page-{i}")));
    }

    [Test]
    public async Task Appliers_of_the_same_field_conflict_until_one_forces()
    {
        static V1Patch Patch(string value) =>
            new(
                $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"k":"{{{value}}}"}}""",
                V1Patch.PatchType.ApplyPatch);
        await Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("1"), "applied", ns, fieldManager: "one");

        var (code, _) = await Space.RefusedAsync(
            () => Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("2"), "applied", ns, fieldManager: "two"));
        Assert.That(code, Is.EqualTo(HttpStatusCode.Conflict));

        var forced = await Client.CoreV1.PatchNamespacedConfigMapAsync(
            Patch("2"), "applied", ns, fieldManager: "two", force: true);
        Assert.That(forced.Data["k"], Is.EqualTo("2"));
        Assert.That(
            forced.Metadata.ManagedFields.Where(m => m.Operation == "Apply").Select(m => m.Manager), Is.EqualTo(new[] { "two" }));
    }

    [Test]
    public async Task An_applier_that_leaves_a_field_out_removes_it()
    {
        static V1Patch Patch(string data) =>
            new(
                $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"left-out"},"data":{{{data}}}}""",
                V1Patch.PatchType.ApplyPatch);
        await Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("""{"a":"1","b":"1"}"""), "left-out", ns, fieldManager: "one");

        var after = await Client.CoreV1.PatchNamespacedConfigMapAsync(
            Patch("""{"a":"1"}"""),
            "left-out",
            ns,
            fieldManager: "one");

        Assert.That(after.Data.Keys, Is.EqualTo(new[] { "a" }));
    }

    [Test]
    public async Task A_dry_run_changes_nothing()
    {
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("dry"), ns, dryRun: "All");

        var (code, _) = await Space.RefusedAsync(() => Client.CoreV1.ReadNamespacedConfigMapAsync("dry", ns));

        Assert.That(code, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task A_service_gets_an_address_and_keeps_it()
    {
        var made = await Client.CoreV1.CreateNamespacedServiceAsync(
            new() { Metadata = new() { Name = "kept" }, Spec = new() { Ports = [new() { Port = 80 }] } }, ns);
        Assert.That(IPAddress.TryParse(made.Spec.ClusterIP, out _), Is.True);

        made.Spec.ClusterIP = null;
        made.Spec.ClusterIPs = null;
        var replaced = await Client.CoreV1.ReplaceNamespacedServiceAsync(made, "kept", ns);

        Assert.That(IPAddress.TryParse(replaced.Spec.ClusterIP, out _), Is.True);
    }

    [Test]
    public async Task A_list_shows_one_moment_over_all_of_its_pages()
    {
        for (var i = 0; i < 3; i++)
            await Client.CoreV1.CreateNamespacedConfigMapAsync(Map($"moment-{i}"), ns);
        var first = await Client.CoreV1.ListNamespacedConfigMapAsync(ns, limit: 1);
        var rest = first.Metadata.RemainingItemCount;
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("moment-too-late"), ns);

        var second = await Client.CoreV1.ListNamespacedConfigMapAsync(
            ns, limit: 500, continueParameter: first.Metadata.ContinueProperty);

        Assert.That(second.Items.Select(m => m.Metadata.Name), Has.None.EqualTo("moment-too-late"));
        Assert.That(second.Items, Has.Count.EqualTo(rest));
        Assert.That(second.Metadata.ResourceVersion, Is.EqualTo(first.Metadata.ResourceVersion));
    }

    [Test]
    public async Task A_name_is_taken_once_and_generated_ones_never_collide()
    {
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("taken"), ns);
        var (code, status) = await Space.RefusedAsync(() => Client.CoreV1.CreateNamespacedConfigMapAsync(Map("taken"), ns));
        Assert.That(
            (code, status.Reason, status.Message),
            Is.EqualTo((HttpStatusCode.Conflict, "AlreadyExists", "configmaps \"taken\" already exists")));

        V1ConfigMap generated = new() { Metadata = new() { GenerateName = "run-" } };
        var made = await Task.WhenAll(Enumerable
            .Range(0, 5)
            .Select(_ => Client.CoreV1.CreateNamespacedConfigMapAsync(generated, ns)));
        Assert.That(made.Select(m => m.Metadata.Name), Is.Unique.And.All.Match("^run-[a-z0-9]{5}$"));
        Assert.That(made.Select(m => m.Metadata.Uid), Is.Unique);
    }

    [Test]
    public async Task The_three_kinds_of_patch_do_what_each_is_for()
    {
        await space.CreateAsync<V1Deployment>("""
            metadata: {name: patched}
            spec:
              replicas: 0
              selector: {matchLabels: {app: patched}}
              template:
                metadata: {labels: {app: patched}}
                spec: {containers: [{name: a, image: "registry.invalid/a:1"}, {name: b, image: "registry.invalid/b:1"}]}
            """);
        Task<V1Deployment> Patch(string body, V1Patch.PatchType type) =>
            Client.AppsV1.PatchNamespacedDeploymentAsync(new V1Patch(body, type), "patched", ns);

        var strategic = await Patch(
            """{"spec":{"template":{"spec":{"containers":[{"name":"b","image":"registry.invalid/b:2"}]}}}}""",
            V1Patch.PatchType.StrategicMergePatch);
        Assert.That(
            strategic.Spec.Template.Spec.Containers.Select(c => c.Image),
            Is.EqualTo(new[] { "registry.invalid/a:1", "registry.invalid/b:2" }));
        Assert.That(strategic.Metadata.Generation, Is.EqualTo(2));

        var merged = await Patch(
            """
            {"metadata":{"labels":{"x":"y"}},
             "spec":{"template":{"spec":{"containers":[{"name":"a","image":"registry.invalid/a:3"}]}}}}
            """,
            V1Patch.PatchType.MergePatch);
        Assert.That(merged.Spec.Template.Spec.Containers.Select(c => c.Image), Is.EqualTo(new[] { "registry.invalid/a:3" }));

        var listed = await Patch(
            """
            [{"op":"test","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"},
             {"op":"add","path":"/spec/paused","value":true}]
            """,
            V1Patch.PatchType.JsonPatch);
        Assert.That((listed.Spec.Paused, listed.Metadata.Labels?.ContainsKey("x") ?? false), Is.EqualTo(((bool?)true, false)));
        var (code, _) = await Space.RefusedAsync(
            () => Patch("""[{"op":"test","path":"/spec/paused","value":false}]""", V1Patch.PatchType.JsonPatch));
        Assert.That(code, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
    }

    [Test]
    public async Task Status_and_scale_have_doors_of_their_own()
    {
        var made = await space.CreateAsync<V1ReplicaSet>(
            "{metadata: {name: doors}, spec: {replicas: 0, selector: {matchLabels: {app: doors}}, template: {metadata: " +
            "{labels: {app: doors}}, spec: {containers: [{name: a, image: IMAGE}]}}}}");
        await space.UntilAsync<V1ReplicaSet>("doors", s => s.Status.ObservedGeneration == made.Metadata.Generation);
        var scale = await Client.AppsV1.ReadNamespacedReplicaSetScaleAsync("doors", ns);
        Assert.That((scale.Spec.Replicas ?? 0, scale.Status.Selector), Is.EqualTo((0, "app=doors")));
        await Client.AppsV1.PatchNamespacedReplicaSetStatusAsync(
            new V1Patch(
                """{"spec":{"replicas":9},"status":{"conditions":[{"type":"Tested","status":"True"}]}}""",
                V1Patch.PatchType.MergePatch),
            "doors",
            ns);
        var after = await Client.AppsV1.ReadNamespacedReplicaSetAsync("doors", ns);
        Assert.That(
            (after.Spec.Replicas, after.Status.Conditions.Single().Type, after.Metadata.Generation),
            Is.EqualTo(((int?)0, "Tested", made.Metadata.Generation)));

        await Client.AppsV1.PatchNamespacedReplicaSetAsync(
            new V1Patch("""{"status":{"conditions":null},"metadata":{"labels":{"seen":"yes"}}}""", V1Patch.PatchType.MergePatch),
            "doors",
            ns);
        Assert.That(
            (await Client.AppsV1.ReadNamespacedReplicaSetAsync("doors", ns)).Status.Conditions,
            Has.Count.EqualTo(1),
            "an ordinary patch leaves the status alone");
    }

    [Test]
    public async Task A_delete_keeps_its_preconditions()
    {
        var made = await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("guarded"), ns);
        var (code, status) = await Space.RefusedAsync(
            () => Client.CoreV1.DeleteNamespacedConfigMapAsync(
                "guarded", ns, new() { Preconditions = new() { Uid = "somebody-else" } }));
        Assert.That((code, status.Reason), Is.EqualTo((HttpStatusCode.Conflict, "Conflict")));

        await Client.CoreV1.DeleteNamespacedConfigMapAsync(
            "guarded",
            ns,
            new() { Preconditions = new() { Uid = made.Metadata.Uid, ResourceVersion = made.Metadata.ResourceVersion } });
    }

    [Test]
    public async Task Mistakes_are_told_field_by_field()
    {
        var (code, status) = await Space.RefusedAsync(
            () => space.CreateAsync<V1Deployment>(
                "{metadata: {name: Wrong}, spec: {replicas: -1, selector: {matchLabels: {app: a}}, template: {metadata: " +
                "{labels: {app: b}}, spec: {containers: [{name: c, image: x}]}}}}"));

        Assert.That(
            (code, status.Reason, status.Details.Group, status.Details.Kind),
            Is.EqualTo((HttpStatusCode.UnprocessableEntity, "Invalid", "apps", "Deployment")));
        Assert.That(
            status.Details.Causes.Select(c => c.Field),
            Is.EquivalentTo(new[] { "metadata.name", "spec.replicas", "spec.template.metadata.labels" }));
    }

    private static V1ConfigMap Map(string name, string set = "none") =>
        new()
        {
            Metadata = new() { Name = name, Labels = new Dictionary<string, string> { ["set"] = set } },
            Data = new Dictionary<string, string> { ["k"] = "1" }
        };
}
