using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Clusters.Tests;

/// <summary>Against the sandbox's API over HTTPS: what is applied, cleaned and counted really changes a cluster.</summary>
[TestFixture]
internal sealed class OnTheSandbox
{
    private static readonly IReadOnlyDictionary<string, string> Ours = new Dictionary<string, string>
    {
        [Labels.Chain] = "7-abc"
    };
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private SandboxFixture sandbox = null!;
    private Cluster cluster = null!;
    private StringWriter output = null!;

    [SetUp]
    public async Task SetUp()
    {
        sandbox = await SandboxFixture.StartAsync();
        output = new StringWriter();
        cluster = await Cluster.ConnectAsync(
            sandbox.KubeconfigPath, new BuildLog(TextWriter.Synchronized(output), forServer: false), TimeProvider.System);
    }

    [TearDown]
    public async Task TearDown()
    {
        cluster.Dispose();
        await output.DisposeAsync();
        await sandbox.DisposeAsync();
    }

    [Test]
    public async Task Applies_in_order_and_twice_without_a_change()
    {
        await cluster.CreateNamespaceAsync("tests", Ours, DateTimeOffset.UnixEpoch, Limit, default);
        var set = ManifestFiles.Parse("""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            spec: {selector: {matchLabels: {app: web}},
              template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}}
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: "1"}}
            """, "x.yaml").Into("tests", TestbedScope.Cluster, Ours);

        Assert.That(await cluster.ApplyAsync(set, dryRun: false, default), Is.Null);
        var first = await cluster.GetAsync(Kinds.Deployment.Path("tests", "web"), default);
        Assert.That(await cluster.ApplyAsync(set, dryRun: false, default), Is.Null);
        var second = await cluster.GetAsync(Kinds.Deployment.Path("tests", "web"), default);

        Assert.Multiple(() =>
        {
            Assert.That((string?)first["metadata"]!["labels"]![Labels.Chain], Is.EqualTo("7-abc"));
            Assert.That(
                (string?)second["metadata"]!["resourceVersion"], Is.EqualTo((string?)first["metadata"]!["resourceVersion"]));
        });
    }

    [Test]
    public async Task Keeps_nothing_of_a_dry_run()
    {
        await cluster.CreateNamespaceAsync("tests", Ours, null, Limit, default);
        var set = ManifestFiles
            .Parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}", "x")
            .Into("tests", TestbedScope.Cluster, Ours);

        await cluster.ApplyAsync(set, dryRun: true, default);

        Assert.That(await cluster.FindAsync(Kinds.ConfigMap.Path("tests", "settings"), default), Is.Null);
    }

    [TestCase("{apiVersion: v1, kind: Gadget, metadata: {name: g}}", "does not know the kind Gadget")]
    [TestCase("{apiVersion: shop.example/v1, kind: Gadget, metadata: {name: g}}", "does not know the kind Gadget")]
    [TestCase(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}",
        "does not take Deployment \"web\"")]
    // A comma that should have been quoted makes a field of a text; a real server answers that with 500.
    [TestCase(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, note: one, two}}",
        "field not declared in schema; correct the manifest")]
    [TestCase("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: nowhere}}", "\"nowhere\" must exist")]
    public async Task Says_which_manifest_the_cluster_does_not_take(string yaml, string expected)
    {
        await cluster.CreateNamespaceAsync("tests", Ours, null, Limit, default);
        var set = ManifestFiles.Parse(yaml, "x.yaml").Into("tests", TestbedScope.Cluster, Ours);

        var failure = await Assert.ThrowsAsync<UsageException>(() => cluster.ApplyAsync(set, dryRun: false, default));

        Assert.That(failure!.Message, Does.Contain("x.yaml:1").And.Contain(expected));
    }

    [Test]
    public async Task Waits_for_a_definition_before_its_objects()
    {
        var set = ManifestFiles.Parse("""
            {apiVersion: shop.example/v1, kind: Gadget, metadata: {name: g, namespace: default}, size: 3}
            ---
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: gadgets.shop.example}
            spec:
              group: shop.example
              scope: Namespaced
              names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
              versions: [{name: v1, served: true, storage: true,
                schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
            """, "x.yaml");

        Assert.That(await cluster.ApplyAsync(set, dryRun: false, default), Is.Null);

        Assert.That(await cluster.FindAsync("/apis/shop.example/v1/namespaces/default/gadgets/g", default), Is.Not.Null);
    }

    [Test]
    public async Task Removes_a_namespace_until_it_is_gone()
    {
        await cluster.CreateNamespaceAsync("tests", Ours, DateTimeOffset.UnixEpoch, Limit, default);
        var made = await cluster.GetAsync(Kinds.Namespace.Path(null, "tests"), default);

        Assert.That((string?)made["metadata"]!["annotations"]![Labels.Expires], Is.EqualTo("1970-01-01T00:00:00Z"));
        Assert.That(await cluster.DeleteNamespaceAsync("tests", Limit, default), Is.True);
        Assert.That(await cluster.FindAsync(Kinds.Namespace.Path(null, "tests"), default), Is.Null);
        Assert.That(await cluster.DeleteNamespaceAsync("tests", Limit, default), Is.False);
    }

    [Test]
    public async Task Names_the_finalizer_that_holds_a_namespace()
    {
        await cluster.CreateNamespaceAsync("tests", Ours, null, Limit, default);
        await cluster.CreateAsync(
            Kinds.ConfigMap.Collection("tests"),
            Scene.Json("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","finalizers":["example.org/hold"]} }"""),
            default);

        var failure = await Assert.ThrowsAsync<UnavailableException>(
            () => cluster.DeleteNamespaceAsync("tests", TimeSpan.FromSeconds(2), default));

        Assert.That(failure!.Reason, Is.EqualTo("cleanup-stuck"));
        Assert.That(failure.Message, Does.Contain("\"tests\"").And.Contain("example.org/hold"));
    }

    [Test]
    public async Task Waits_for_a_namespace_to_go_before_it_makes_it_again()
    {
        await cluster.CreateNamespaceAsync("tests", Ours, null, Limit, default);
        var uid = (await cluster.GetAsync(Kinds.Namespace.Path(null, "tests"), default)).Uid();
        await cluster.CreateAsync(
            Kinds.ConfigMap.Collection("tests"),
            Scene.Json("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","finalizers":["example.org/hold"]} }"""),
            default);
        await cluster.DeleteAsync(Kinds.Namespace.Path(null, "tests"), null, default);

        var making = cluster.CreateNamespaceAsync("tests", Ours, null, Limit, default);
        await cluster.MergeAsync(
            Kinds.ConfigMap.Path("tests", "c"),
            Scene.Json("""{"metadata":{"finalizers":null} }"""),
            default);
        await making;

        Assert.That((await cluster.GetAsync(Kinds.Namespace.Path(null, "tests"), default)).Uid(), Is.Not.EqualTo(uid));
    }

    [Test]
    public async Task Finds_and_removes_exactly_what_was_left_behind()
    {
        var baseline = await Inventory.TakeAsync(cluster);
        await cluster.CreateNamespaceAsync("left", Ours, null, Limit, default);
        await cluster.CreateAsync(
            Kinds.ConfigMap.Collection("left"),
            Scene.Json("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"} }"""),
            default);
        await cluster.CreateAsync(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            Scene.Json(
                """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"left"},"rules":[]}"""),
            default);

        var left = (await Inventory.TakeAsync(cluster)).Since(baseline);
        await Inventory.DeleteAsync(cluster, left, default);
        await cluster.AwaitGoneAsync(Kinds.Namespace, null, "left", Limit, default);

        Assert.Multiple(async () =>
        {
            Assert.That(
                left.Select(item => item.ToString()),
                Is.EquivalentTo(new[] { "Namespace \"left\"", "ConfigMap \"left/c\"", "ClusterRole \"left\"" }));
            Assert.That((await Inventory.TakeAsync(cluster)).Since(baseline), Is.Empty);
        });
    }

    [Test]
    public async Task Deletes_by_label_across_the_cluster_and_nothing_else()
    {
        await cluster.CreateNamespaceAsync("mine", Ours, null, Limit, default);
        await cluster.CreateNamespaceAsync(
            "other", new Dictionary<string, string> { [Labels.Chain] = "8-def" }, null, Limit, default);

        await cluster.DeleteByLabelAsync($"{Labels.Chain}=7-abc", null, default);
        await cluster.AwaitGoneAsync(Kinds.Namespace, null, "mine", Limit, default);

        Assert.That(await cluster.FindAsync(Kinds.Namespace.Path(null, "other"), default), Is.Not.Null);
    }

    [Test]
    public async Task Goes_back_to_what_was_there()
    {
        var before = ManifestFiles.Parse(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: default}, data: {a: one}}", "x");
        await cluster.ApplyAsync(before, dryRun: false, default);
        var after = ManifestFiles.Parse(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: default}, data: {a: two}}\n---\n{apiVersion: v1, " +
            "kind: ConfigMap, metadata: {name: new, namespace: default}}",
            "x");

        var snapshot = await cluster.SnapshotAsync(after, default);
        await cluster.ApplyAsync(after, dryRun: false, default);
        await cluster.ApplyAsync(snapshot, dryRun: false, default);

        Assert.That(snapshot.Items, Has.Count.EqualTo(1));
        Assert.That(
            (string?)(await cluster.GetAsync(Kinds.ConfigMap.Path("default", "c"), default))["data"]!["a"], Is.EqualTo("one"));
    }

    private static ManifestSet Migrated(string command) => ManifestFiles.Parse($$$$$$$$"""
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: default}, spec: {
         selector: {matchLabels: {app: web}},
         template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}}}
        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default}, data: {a: "1"}}
        ---
        {apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: default}, spec: {
         template: {spec: {restartPolicy: Never, containers: [{name: m, image: "m:1", command: [{{{{{{{{command}}}}}}}}]}]}}}}
        """, "x.yaml");

    [Test]
    public async Task Waits_for_jobs_before_the_workloads_and_replaces_one_that_has_another_template()
    {
        var applying = cluster.ApplyAfterJobsAsync(Migrated("up"), Limit, default);
        var first = await EndJobAsync("Complete", "CompletionsReached", beforeTheWorkload: true);
        Assert.That(await applying, Is.Null, output.ToString());
        Assert.That(await cluster.FindAsync(Kinds.Deployment.Path("default", "web"), default), Is.Not.Null);

        Assert.That(
            await cluster.ApplyAfterJobsAsync(Migrated("up"), Limit, default), Is.Null, "it has run: it is not run again");
        Assert.That(output.ToString(), Does.Contain("has succeeded already"));

        var again = cluster.ApplyAfterJobsAsync(Migrated("further"), Limit, default);
        var second = await EndJobAsync("Failed", "BackoffLimitExceeded", beforeTheWorkload: false, other: first);
        var failure = await again;
        Assert.That((failure!.Reason, failure.IsOwn), Is.EqualTo(("job-failed", true)));
        Assert.That(failure.Text, Does.Contain("migrate").And.Contain("BackoffLimitExceeded"));
        Assert.That(output.ToString(), Does.Contain("another template now: the old one is replaced"));
        Assert.That(second, Is.Not.EqualTo(first));
    }

    [Test]
    public async Task A_job_that_does_not_end_is_not_the_images_fault()
    {
        var failure = await cluster.ApplyAfterJobsAsync(Migrated("up"), TimeSpan.FromMilliseconds(300), default);

        Assert.That((failure!.Reason, failure.IsOwn), Is.EqualTo(("job-timeout", false)));
        Assert.That(await cluster.FindAsync(Kinds.Deployment.Path("default", "web"), default), Is.Null);
    }

    private async Task<string> EndJobAsync(string condition, string reason, bool beforeTheWorkload, string? other = null)
    {
        using var limit = new CancellationTokenSource(Limit);
        await foreach (var change in cluster.WatchAsync(Kinds.Job.Collection("default"), null, null, limit.Token))
        {
            if (change.Kind != ChangeKind.Present || (string?)change.Item["metadata"]!["uid"] is not { } uid || uid == other)
                continue;
            if (beforeTheWorkload)
                Assert.That(
                    await cluster.FindAsync(Kinds.Deployment.Path("default", "web"), default), Is.Null, "the job comes first");
            Assert.That(
                await cluster.FindAsync(Kinds.ConfigMap.Path("default", "settings"), default),
                Is.Not.Null,
                "and what it needs before it");
            await cluster.MergeAsync(
                Kinds.Job.Path("default", "migrate") + "/status",
                (JsonObject)JsonNode.Parse(
                    $$"""
                    {"status":{"conditions":[{"type":"{{condition}}","status":"True","reason":"{{reason}}","message":"said"}] } }
                    """)!,
                default);
            return uid;
        }
        throw new InvalidOperationException("the job did not come");
    }

    [Test]
    public async Task Knows_what_its_user_may_do()
    {
        using var nobody = await Cluster.ConnectAsync(
            sandbox.Cluster.CreateKubeconfig("nobody"), BuildLog.Silent, TimeProvider.System);

        Assert.Multiple(async () =>
        {
            Assert.That(await cluster.MayAsync("create", "", "namespaces", null, default), Is.True);
            Assert.That(await nobody.MayAsync("create", "", "namespaces", null, default), Is.False);
            var failure = await Assert.ThrowsAsync<UnavailableException>(
                () => nobody.ListAsync(Kinds.Pod.Collection("default"), null, null, default));
            Assert.That(failure!.Reason, Is.EqualTo("cluster-forbidden"));
        });
    }
}
