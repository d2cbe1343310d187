using System.Net;
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>What Kubernetes documents about objects, asked through its C# client.</summary>
internal sealed class ObjectsOverTheClient
{
    private string ns = "";

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace() => ns = await ConformanceCluster.NewNamespaceAsync();

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Client.CoreV1.DeleteNamespaceAsync(ns);

    [Test]
    public async Task A_stale_update_conflicts()
    {
        var map = await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("stale"), ns);
        map.Data["k"] = "2";
        await Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "stale", ns);

        var refusal = (await Assert.ThrowsAsync<HttpOperationException>(() => Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "stale", ns)))!;

        Assert.That(refusal.Response.StatusCode, Is.EqualTo(HttpStatusCode.Conflict));
    }

    [Test]
    public async Task What_is_not_there_is_told_with_its_kind_and_name()
    {
        var refusal = (await Assert.ThrowsAsync<HttpOperationException>(() => Client.CoreV1.ReadNamespacedConfigMapAsync("nobody", ns)))!;
        var status = JsonSerializer.Deserialize<JsonElement>(refusal.Response.Content);

        Assert.That(refusal.Response.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That(status.GetProperty("reason").GetString(), Is.EqualTo("NotFound"));
        Assert.That(status.GetProperty("details").GetProperty("kind").GetString(), Is.EqualTo("configmaps"));
        Assert.That(status.GetProperty("details").GetProperty("name").GetString(), Is.EqualTo("nobody"));
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
            var page = await Client.CoreV1.ListNamespacedConfigMapAsync(ns, labelSelector: "set=paged", limit: 2, continueParameter: next);
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
        static V1Patch Patch(string value) => new($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"k":"{{{value}}}"}}""", V1Patch.PatchType.ApplyPatch);
        await Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("1"), "applied", ns, fieldManager: "one");

        var refusal = (await Assert.ThrowsAsync<HttpOperationException>(() => Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("2"), "applied", ns, fieldManager: "two")))!;
        Assert.That(refusal.Response.StatusCode, Is.EqualTo(HttpStatusCode.Conflict));

        var forced = await Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("2"), "applied", ns, fieldManager: "two", force: true);
        Assert.That(forced.Data["k"], Is.EqualTo("2"));
        Assert.That(forced.Metadata.ManagedFields.Where(m => m.Operation == "Apply").Select(m => m.Manager), Is.EqualTo(new[] { "two" }));
    }

    [Test]
    public async Task An_applier_that_leaves_a_field_out_removes_it()
    {
        static V1Patch Patch(string data) => new($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"left-out"},"data":{{{data}}}}""", V1Patch.PatchType.ApplyPatch);
        await Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("""{"a":"1","b":"1"}"""), "left-out", ns, fieldManager: "one");

        var after = await Client.CoreV1.PatchNamespacedConfigMapAsync(Patch("""{"a":"1"}"""), "left-out", ns, fieldManager: "one");

        Assert.That(after.Data.Keys, Is.EqualTo(new[] { "a" }));
    }

    [Test]
    public async Task A_dry_run_changes_nothing()
    {
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("dry"), ns, dryRun: "All");

        var refusal = (await Assert.ThrowsAsync<HttpOperationException>(() => Client.CoreV1.ReadNamespacedConfigMapAsync("dry", ns)))!;

        Assert.That(refusal.Response.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task A_token_speaks_for_its_account_until_the_account_goes()
    {
        await Client.CoreV1.CreateNamespacedServiceAccountAsync(new() { Metadata = new() { Name = "robot" } }, ns);
        var token = await Client.CoreV1.CreateNamespacedServiceAccountTokenAsync(new() { Spec = new() { Audiences = [], ExpirationSeconds = 600 } }, "robot", ns);
        Task<V1TokenReview> Review() => Client.AuthenticationV1.CreateTokenReviewAsync(new() { Spec = new() { Token = token.Status.Token } });
        var before = await Review();
        Assert.That(before.Status.User.Username, Is.EqualTo($"system:serviceaccount:{ns}:robot"));

        await Client.CoreV1.DeleteNamespacedServiceAccountAsync("robot", ns);

        Assert.That((await Review()).Status.Authenticated, Is.Not.True);
    }

    [Test]
    public async Task A_service_gets_an_address_and_keeps_it()
    {
        var made = await Client.CoreV1.CreateNamespacedServiceAsync(new() { Metadata = new() { Name = "kept" }, Spec = new() { Ports = [new() { Port = 80 }] } }, ns);
        Assert.That(IPAddress.TryParse(made.Spec.ClusterIP, out _), Is.True);

        made.Spec.ClusterIP = null;
        made.Spec.ClusterIPs = null;
        var replaced = await Client.CoreV1.ReplaceNamespacedServiceAsync(made, "kept", ns);

        Assert.That(IPAddress.TryParse(replaced.Spec.ClusterIP, out _), Is.True);
    }

    private static V1ConfigMap Map(string name, string set = "none") =>
        new() { Metadata = new() { Name = name, Labels = new Dictionary<string, string> { ["set"] = set } }, Data = new Dictionary<string, string> { ["k"] = "1" } };
}
