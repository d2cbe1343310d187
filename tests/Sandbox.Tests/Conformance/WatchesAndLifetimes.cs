using System.Net;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Watches, and how objects end, asked through the C# client.</summary>
internal sealed class WatchesAndLifetimes
{
    private Space space = null!;

    private static Kubernetes Client => ConformanceCluster.Client;

    private string Ns => space.Name;

    [OneTimeSetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_watch_resumes_behind_a_list_and_sees_each_change_once()
    {
        var list = await Client.CoreV1.ListNamespacedConfigMapAsync(Ns, labelSelector: "set=watched");
        var map = await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("seen", "watched"), Ns);
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("unseen", "other"), Ns);
        map.Data["k"] = "2";
        map = await Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "seen", Ns);
        map.Metadata.Labels["set"] = "other";
        map = await Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "seen", Ns);
        map.Metadata.Labels["set"] = "watched";
        await Client.CoreV1.ReplaceNamespacedConfigMapAsync(map, "seen", Ns);
        await Client.CoreV1.DeleteNamespacedConfigMapAsync("seen", Ns);

        var seen = await TakeAsync(
            5,
            Client.CoreV1.WatchListNamespacedConfigMapAsync(
                Ns, labelSelector: "set=watched", resourceVersion: list.Metadata.ResourceVersion));

        Assert.That(
            seen.Select(e => e.Item1),
            Is.EqualTo(
                new[]
                {
                    WatchEventType.Added,
                    WatchEventType.Modified,
                    WatchEventType.Deleted,
                    WatchEventType.Added,
                    WatchEventType.Deleted
                }),
            "what leaves the selection is deleted to its watchers, and comes back as added");
        Assert.That(seen.Select(e => long.Parse(e.Item2.Metadata.ResourceVersion)), Is.Ordered.Ascending.And.Unique);
    }

    [Test]
    public async Task A_watch_without_a_version_begins_with_what_is_there()
    {
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("there-1", "there"), Ns);
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("there-2", "there"), Ns);

        var seen = await TakeAsync(2, Client.CoreV1.WatchListNamespacedConfigMapAsync(Ns, labelSelector: "set=there"));

        Assert.That(
            seen.Select(e => (e.Item1, e.Item2.Metadata.Name)),
            Is.EquivalentTo(new[] { (WatchEventType.Added, "there-1"), (WatchEventType.Added, "there-2") }));
    }

    [Test]
    public async Task A_watch_ends_when_its_time_is_over()
    {
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("brief", "brief"), Ns);

        var seen = await TakeAsync(
            2, Client.CoreV1.WatchListNamespacedConfigMapAsync(Ns, labelSelector: "set=brief", timeoutSeconds: 1));

        Assert.That(seen.Select(e => e.Item2.Metadata.Name), Is.EqualTo(new[] { "brief" }));
    }

    [Test]
    public async Task A_finalizer_keeps_an_object_until_it_is_taken_off()
    {
        var map = Map("held", "held");
        map.Metadata.Finalizers = ["example.com/hold"];
        await Client.CoreV1.CreateNamespacedConfigMapAsync(map, Ns);
        await Client.CoreV1.DeleteNamespacedConfigMapAsync("held", Ns);
        var held = await Client.CoreV1.ReadNamespacedConfigMapAsync("held", Ns);
        Assert.That(held.Metadata.DeletionTimestamp, Is.Not.Null);

        await Client.CoreV1.PatchNamespacedConfigMapAsync(
            new V1Patch("""{"metadata":{"finalizers":null}}""", V1Patch.PatchType.MergePatch),
            "held",
            Ns);

        Assert.That(
            (await Space.RefusedAsync(() => Client.CoreV1.ReadNamespacedConfigMapAsync("held", Ns))).Code,
            Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task What_an_object_owns_goes_with_it_unless_it_is_orphaned()
    {
        var owner = await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("owner", "family"), Ns);
        var keeper = await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("keeper", "family"), Ns);
        foreach (var (name, parent) in new[] { ("child", owner), ("orphan", keeper) })
        {
            var owned = Map(name, "family");
            owned.Metadata.OwnerReferences = [new()
            {
                ApiVersion = "v1",
                Kind = "ConfigMap",
                Name = parent.Metadata.Name,
                Uid = parent.Metadata.Uid
            }];
            await Client.CoreV1.CreateNamespacedConfigMapAsync(owned, Ns);
        }

        await Client.CoreV1.DeleteNamespacedConfigMapAsync("owner", Ns, propagationPolicy: "Background");
        await Client.CoreV1.DeleteNamespacedConfigMapAsync("keeper", Ns, propagationPolicy: "Orphan");

        await space.UntilGoneAsync("cm/child");
        await space.UntilGoneAsync("cm/keeper");
        var orphan = await space.UntilAsync<V1ConfigMap>("orphan", m => m.Metadata.OwnerReferences is null or []);
        Assert.That(orphan.Metadata.DeletionTimestamp, Is.Null);
    }

    [Test]
    public async Task A_collection_is_deleted_by_its_labels()
    {
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("many-1", "many"), Ns);
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("many-2", "many"), Ns);
        await Client.CoreV1.CreateNamespacedConfigMapAsync(Map("few", "few"), Ns);

        await Client.CoreV1.DeleteCollectionNamespacedConfigMapAsync(Ns, labelSelector: "set=many");

        Assert.That(
            (await Client.CoreV1.ListNamespacedConfigMapAsync(
                Ns, labelSelector: "set in (many, few)")).Items.Select(m => m.Metadata.Name),
            Is.EqualTo(new[] { "few" }));
    }

    [Test]
    public async Task A_namespace_that_ends_takes_nothing_new_and_waits_for_finalizers()
    {
        var ending = await Space.MakeAsync();
        var map = Map("held", "held");
        map.Metadata.Finalizers = ["example.com/hold"];
        await Client.CoreV1.CreateNamespacedConfigMapAsync(map, ending.Name);
        await Space.RemoveAsync(ending);

        var (code, status) = await Space.RefusedAsync(
            () => Client.CoreV1.CreateNamespacedConfigMapAsync(Map("late", "late"), ending.Name));
        Assert.That(
            (code, status.Reason, status.Details.Causes.Single().Reason),
            Is.EqualTo((HttpStatusCode.Forbidden, "Forbidden", "NamespaceTerminating")));
        await ending.KubectlAsync(
            null, "wait", "ns", ending.Name, "--for=condition=NamespaceFinalizersRemaining", "--timeout=120s");
        Assert.That((await Client.CoreV1.ReadNamespaceAsync(ending.Name)).Status.Phase, Is.EqualTo("Terminating"));

        await Client.CoreV1.PatchNamespacedConfigMapAsync(
            new V1Patch("""{"metadata":{"finalizers":null}}""", V1Patch.PatchType.MergePatch),
            "held",
            ending.Name);
        await ending.UntilGoneAsync($"ns/{ending.Name}");
    }

    [Test]
    public async Task A_quota_is_enforced_counted_and_given_back()
    {
        var fenced = await Space.MakeAsync();
        await fenced.CreateAsync<V1ResourceQuota>("""{metadata: {name: q}, spec: {hard: {count/secrets: "1"}}}""");
        await fenced.UntilAsync<V1ResourceQuota>("q", q => q.Status.Used?.ContainsKey("count/secrets") == true);
        await fenced.CreateAsync<V1Secret>("{metadata: {name: one}}");

        var (code, status) = await Space.RefusedAsync(() => fenced.CreateAsync<V1Secret>("{metadata: {name: two}}"));
        Assert.That(
            (code, status.Message),
            Is.EqualTo(
                (HttpStatusCode.Forbidden,
                    "secrets \"two\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, " +
                    "limited: count/secrets=1")));

        await Client.CoreV1.DeleteNamespacedSecretAsync("one", fenced.Name);
        await fenced.UntilAsync<V1ResourceQuota>("q", q => q.Status.Used["count/secrets"].ToString() == "0");
        await fenced.CreateAsync<V1Secret>("{metadata: {name: two}}");
        await Space.RemoveAsync(fenced);
    }

    private static async Task<IReadOnlyList<(WatchEventType, V1ConfigMap)>> TakeAsync(
        int count, IAsyncEnumerable<(WatchEventType, V1ConfigMap)> events)
    {
        using var limit = new CancellationTokenSource(Space.Patience);
        var taken = new List<(WatchEventType, V1ConfigMap)>();
        await foreach (var change in events.WithCancellation(limit.Token))
        {
            taken.Add(change);
            if (taken.Count == count)
                break;
        }
        return taken;
    }

    private static V1ConfigMap Map(string name, string set) =>
        new()
        {
            Metadata = new() { Name = name, Labels = new Dictionary<string, string> { ["set"] = set } },
            Data = new Dictionary<string, string> { ["k"] = "1" }
        };
}
