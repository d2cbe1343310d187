using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Tests.Load;

/// <summary>
/// 1,000 objects of 20 kinds and 200 watchers, over HTTPS; and namespace after namespace of objects that come and go.
/// </summary>
public sealed class ManyObjectsAndWatchers
{
    private const int Watchers = 200;
    private const int ObjectsPerKind = 50;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    [Test]
    public async Task Every_watcher_sees_every_change_of_its_kind_once_and_in_order()
    {
        Assert.That(ManyObjects.Kinds, Is.EqualTo(20));
        await using var cluster = await SandboxFixture.StartAsync("many");
        using var objects = new ManyObjects(cluster.Kubeconfig);
        using var limit = new CancellationTokenSource(Patience);
        await objects.MakeNamespaceAsync(limit.Token);
        var watching = await Task.WhenAll(Enumerable.Range(0, Watchers).Select(async number =>
            SeenAsync(await objects.WatchAsync(number % ManyObjects.Kinds, limit.Token))));

        await ManyObjects.ForAllAsync(ObjectsPerKind, objects.CreateAsync, limit.Token);
        await ManyObjects.ForAllAsync(
            ObjectsPerKind, (kind, number, end) => objects.ChangeAsync(kind, number, "yes", end), limit.Token);
        await ManyObjects.ForAllAsync(ObjectsPerKind, objects.DeleteAsync, limit.Token);
        await objects.CreateLastAsync(limit.Token);

        foreach (var seen in await Task.WhenAll(watching).WaitAsync(limit.Token))
        {
            Assert.That(seen.Select(change => change.Revision), Is.Ordered.Ascending.And.Unique);
            Assert.That(
                seen.GroupBy(change => change.Name).Select(changes => string.Join(' ', changes.Select(change => change.Type))),
                Is.EqualTo(Enumerable.Repeat("ADDED MODIFIED DELETED", ObjectsPerKind)));
        }
    }

    [Test]
    public async Task Memory_is_flat_over_cycles_of_creating_and_deleting()
    {
        // So little history that the warm-up fills it, and objects so large that keeping one in ten of them would show.
        await using var cluster = await SandboxCluster.StartAsync(new()
        {
            Name = "cycles",
            Pods = false,
            Controllers = true,
            Api = new() { ChangesKept = 32 }
        });
        var api = cluster.Api;
        using var limit = new CancellationTokenSource(Patience);
        for (var cycle = 0; cycle < 10; cycle++)
            await CycleAsync(api, limit.Token);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        const int cycles = 30;
        for (var cycle = 0; cycle < cycles; cycle++)
            await CycleAsync(api, limit.Token);
        // Controllers that are behind still hold what they have yet to look at.
        var allowed = cycles * CycleBytes / 10;
        using var settling = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        long grown;
        do grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        while (grown >= allowed && !settling.IsCancellationRequested);

        Assert.That(grown, Is.LessThan(allowed), "bytes kept after all that came has gone");
    }

    private const int PerCycle = 20;
    private static readonly string Ballast = new('x', 8000);
    private static readonly ResourceType[] Plain = [
        Kinds.ConfigMaps,
        Kinds.Secrets,
        Kinds.Services,
        Kinds.Deployments,
        Kinds.Roles
    ];
    private static readonly int CycleBytes = PerCycle * Plain.Length * Ballast.Length;

    // A namespace of its own with names of its own: what is kept by name grows too.
    private static async Task CycleAsync(ClusterApi api, CancellationToken cancel)
    {
        var ns = (string)api.Create(
            Kinds.Namespaces,
            null,
            new JsonObject { ["metadata"] = new JsonObject { ["generateName"] = "cycle-" } })["metadata"]!["name"]!;
        for (var i = 0; i < PerCycle; i++)
        {
            foreach (var type in Plain)
            {
                var obj = (JsonObject)JsonNode.Parse(type == Kinds.Deployments
                    ? """
                        {"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},
                         "template":{"metadata":{"labels":{"app":"a"}},
                         "spec":{"containers":[{"name":"c","image":"registry.example/none:1"}]}}}}
                        """
                    : type == Kinds.Services ? """{"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}""" : "{}")!;
                obj["metadata"] = new JsonObject
                {
                    ["generateName"] = "cycle-",
                    ["annotations"] = new JsonObject { ["ballast"] = Ballast }
                };
                api.Create(type, ns, obj);
            }
        }
        var from = api.List(Kinds.Namespaces).ResourceVersion;
        api.Delete(Kinds.Namespaces, null, ns);
        await foreach (var change in api.WatchAsync(Kinds.Namespaces, null, from, cancel))
        {
            if (change.Type == WatchEventType.Deleted && (string?)change.Object["metadata"]!["name"] == ns)
                return;
        }
    }

    private static async Task<List<WatchedChange>> SeenAsync(IAsyncEnumerable<WatchedChange> changes)
    {
        var seen = new List<WatchedChange>();
        await foreach (var change in changes)
        {
            // One more after all the others: by then nothing that was to come is missing, and nothing came twice.
            if (change.Name == ManyObjects.LastName)
                return seen;
            seen.Add(change);
        }
        throw new AssertionException($"a watch ended after {seen.Count} changes");
    }
}
