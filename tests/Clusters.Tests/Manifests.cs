using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Clusters.Tests;

[TestFixture]
internal sealed class Manifests
{
    private static readonly IReadOnlyDictionary<string, string> Labels = new Dictionary<string, string>
    {
        ["cisteps.dev/chain"] = "7-abc"
    };

    private const string Deployment = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: { name: greeter }
        spec:
          template:
            metadata: { labels: { app: greeter } }
            spec:
              initContainers: [{ name: prepare, image: "tools:1.2" }]
              containers:
                - { name: greeter, image: registry.example/greeter }
                - { name: side, image: "side:3" }
        """;

    [TestCase("a: yes", "true")]
    [TestCase("a: 'yes'", "\"yes\"")]
    [TestCase("a: 0644", "420")]
    [TestCase("a: 0x1f", "31")]
    [TestCase("a: 1_000", "1000")]
    [TestCase("a: -7", "-7")]
    [TestCase("a: 1.5", "1.5")]
    [TestCase("a: 1e3", "1000")]
    [TestCase("a: 1.2.3", "\"1.2.3\"")]
    [TestCase("a: 2026-01-02", "\"2026-01-02\"")]
    [TestCase("a: 08", "8")]
    [TestCase("a: ~", "null")]
    [TestCase("a:", "null")]
    [TestCase("a: 100m", "\"100m\"")]
    [TestCase("a: .inf", "\".inf\"")]
    [TestCase("a:\n- ", "[null]")]
    [TestCase("a: !!str 7", "\"7\"")]
    [TestCase("a: |\n  one\n  two\n", "\"one\\ntwo\\n\"")]
    [TestCase("a: {b: &x [1], c: *x}", "{\"b\":[1],\"c\":[1]}")]
    public void Reads_values_as_kubectl_reads_them(string yaml, string expected)
    {
        var value = YamlDocuments.Parse(yaml, "x.yaml")[0].Value["a"];

        Assert.That(value?.ToJsonString() ?? "null", Is.EqualTo(expected));
    }

    [Test]
    public void Merges_defaults_under_what_is_said()
    {
        var value = YamlDocuments.Parse("base: &base {a: 1, b: 2}\nuse: {<<: *base, b: 3}\n", "x.yaml")[0].Value["use"]!;

        Assert.That(value.ToJsonString(), Is.EqualTo("""{"b":3,"a":1}"""));
    }

    [Test]
    public void Takes_any_number_of_documents_and_no_empty_ones()
    {
        var set = ManifestFiles.Parse(
            "---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\nkind: List\napiVersion: " +
            "v1\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n---\n",
            "x.yaml");

        Assert.That(set.Items.Select(item => item.Title), Is.EqualTo(new[] { "ConfigMap \"a\"", "Secret \"b\"" }));
        Assert.That(set.Items[0].Source, Is.EqualTo("x.yaml:4"));
    }

    [TestCase("kind: Pod\n", "x.yaml:1: the Pod needs \"apiVersion\"")]
    [TestCase("\n\napiVersion: v1\nkind: Pod\nmetadata: {}\n", "x.yaml:3: the Pod needs \"metadata.name\"")]
    [TestCase("a: [\n", "x.yaml:")]
    [TestCase("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n- 1\n", "x.yaml:5: this is not a manifest")]
    [TestCase("a: &a [*a]\n", "x.yaml:")]
    public void Says_where_a_manifest_is_wrong(string yaml, string expected)
    {
        var failure = Assert.Throws<UsageException>(() => ManifestFiles.Parse(yaml, "x.yaml"));
        Assert.That(failure.Fault, Is.EqualTo(Fault.Change));

        Assert.That(failure!.Message, Does.StartWith(expected));
    }

    [Test]
    public void Reads_folders_in_order_and_stays_in_the_checkout()
    {
        using var folder = new TestFolder();
        folder.Write("k8s/b.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}");
        folder.Write("k8s/a/a.json", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}""");
        folder.Write("k8s/README.md", "not a manifest");

        Assert.Multiple(() =>
        {
            Assert.That(ManifestFiles.Load(folder.Path, ["k8s"]).Items.Select(item => item.Name), Is.EqualTo(new[] { "a", "b" }));
            Assert.That(
                () => ManifestFiles.Load(folder.Path, ["../elsewhere"]),
                Throws.TypeOf<UsageException>().With.Message.Contains("outside the checkout"));
            Assert.That(
                () => ManifestFiles.Load(folder.Path, ["gone.yaml"]),
                Throws.TypeOf<UsageException>().With.Message.Contains("\"gone.yaml\" do not exist"));
        });
    }

    [Test]
    public void Pins_the_one_container_and_refuses_what_moves()
    {
        var set = ManifestFiles.Parse(Deployment, "greeter.yaml");

        Assert.That(
            () => set.RefusingMovingImages(),
            Throws.TypeOf<UsageException>().With.Message.Contains("\"registry.example/greeter\""));
        var pinned = set
            .WithImage("Deployment", "greeter", "greeter", "registry.example/greeter@sha256:1")
            .RefusingMovingImages();
        Assert.That(
            pinned.Items[0].Containers.Select(each => (string?)each.Container["image"]),
            Is.EqualTo(new[] { "tools:1.2", "registry.example/greeter@sha256:1", "side:3" }));
        Assert.That(
            (string?)set.Items[0].Containers.ElementAt(1).Container["image"],
            Is.EqualTo("registry.example/greeter"),
            "the set that was pinned stays as it was");
    }

    [TestCase("busybox", true)]
    [TestCase("busybox:latest", true)]
    [TestCase("localhost:5000/busybox", true)]
    [TestCase("localhost:5000/busybox:1", false)]
    [TestCase("busybox@sha256:aa", false)]
    public void Knows_which_images_move(string image, bool moves)
    {
        var set = ManifestFiles.Parse(
            $"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{containers: [{{name: a, image: \"{image}\"}}]}}}}",
            "x");

        Assert.That(() => set.RefusingMovingImages(), moves ? Throws.TypeOf<UsageException>() : Throws.Nothing);
    }

    [Test]
    public void Says_which_workload_or_container_is_missing()
    {
        var set = ManifestFiles.Parse(Deployment, "greeter.yaml");

        Assert.Multiple(() =>
        {
            Assert.That(
                () => set.WithImage("Deployment", "other", "greeter", "x"),
                Throws.TypeOf<UsageException>().With.Message.Contains("no Deployment \"other\""));
            Assert.That(
                () => set.WithImage("Deployment", "greeter", "main", "x"),
                Throws.TypeOf<UsageException>().With.Message.Contains("it has \"prepare\", \"greeter\", \"side\""));
        });
    }

    [Test]
    public void Puts_objects_into_the_namespace_and_labels_them_and_their_pods()
    {
        var set = ManifestFiles.Parse(
            Deployment +
                "\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: tests}}\n---\n{apiVersion: v1, kind: ConfigMap, " +
                "metadata: {name: c, namespace: elsewhere}}",
            "x.yaml");

        var there = set.Into("tests", TestbedScope.Cluster, Labels);

        Assert.Multiple(() =>
        {
            Assert.That(
                there.Items.Select(item => (item.Kind, item.Namespace)),
                Is.EqualTo(new[] { ("Deployment", "tests"), ("ConfigMap", "elsewhere") }));
            Assert.That((string?)there.Items[0].Json["metadata"]!["labels"]!["cisteps.dev/chain"], Is.EqualTo("7-abc"));
            Assert.That((string?)there.Items[0].PodTemplate!["metadata"]!["labels"]!["cisteps.dev/chain"], Is.EqualTo("7-abc"));
            Assert.That((string?)there.Items[0].PodTemplate!["metadata"]!["labels"]!["app"], Is.EqualTo("greeter"));
        });
    }

    [TestCase(
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x.y.z}}", "is cluster-wide")]
    [TestCase("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r}}", "is cluster-wide")]
    [TestCase("{apiVersion: v1, kind: Namespace, metadata: {name: other}}", "is cluster-wide")]
    [TestCase(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: elsewhere}}", "asks for the namespace \"elsewhere\"")]
    public void Keeps_a_fenced_testbed_fenced(string yaml, string expected)
    {
        var set = ManifestFiles.Parse(yaml, "x.yaml");

        Assert.That(
            () => set.Into("tests", TestbedScope.Namespace, Labels),
            Throws.TypeOf<UsageException>().With.Message.Contains(expected));
    }

    [Test]
    public void Orders_kinds_as_a_cluster_can_take_them()
    {
        string[] kinds = [
            "Deployment", "MyResource", "ClusterRole", "Service", "ConfigMap", "Namespace", "CustomResourceDefinition", "Job"
        ];
        var set = kinds
            .Select(kind => ManifestFiles.Parse($"{{apiVersion: v1, kind: {kind}, metadata: {{name: a}}}}", "x"))
            .Aggregate((all, next) => all.And(next));

        Assert.That(
            set.InKindOrder().Items.Select(item => item.Kind),
            Is.EqualTo(
                new[] {
                    "Namespace", "CustomResourceDefinition", "ClusterRole", "ConfigMap", "Service", "Deployment", "Job",
                    "MyResource"
                }));
    }

    [Test]
    public void Shows_no_secret()
    {
        var text = ManifestFiles
            .Parse(
                "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {password: aHVudGVyMg==}, stringData: {key: hunter3}}",
                "x")
            .ToText();

        Assert.That(text, Does.Not.Contain("aHVudGVyMg==").And.Not.Contain("hunter3"));
        Assert.That(text, Does.Contain("password"));
    }

    [Test]
    public void Makes_a_test_job_run_once()
    {
        var job = ManifestFiles.Parse(
            "{apiVersion: batch/v1, kind: Job, metadata: {name: t}, spec: {backoffLimit: 6, ttlSecondsAfterFinished: 1, " +
            "template: {spec: {restartPolicy: OnFailure, containers: [{name: t, image: \"t:1\"}]}}}}",
            "x").Items[0];

        var once = TestJob.Once(job);

        Assert.That(
            once.Json["spec"]!.AsObject().Where(pair => pair.Key != "template").Select(pair => $"{pair.Key}={pair.Value}"),
            Is.EquivalentTo(new[] { "backoffLimit=0", "completions=1", "parallelism=1" }));
        Assert.That((string?)once.PodSpec!["restartPolicy"], Is.EqualTo("Never"));
    }

    [Test]
    public void Gives_the_same_fingerprint_to_the_same_manifests_only()
    {
        var one = ManifestFiles.Parse(Deployment, "a.yaml");
        var other = one.WithImage("Deployment", "greeter", "side", "side:4");

        Assert.Multiple(() =>
        {
            Assert.That(one.Fingerprint(), Is.EqualTo(ManifestFiles.Parse(Deployment, "elsewhere.yaml").Fingerprint()));
            Assert.That(one.Fingerprint(), Is.Not.EqualTo(other.Fingerprint()));
        });
    }
}
