using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Providers;

/// <summary>
/// Fenced namespaces on a shared cluster: as many as the class keeps warm, each with a quota, closed to its neighbours' traffic,
/// and a lease that is
/// administrator of that namespace and nothing else. Cleaning makes the namespace anew. No CRDs, no cluster roles, no second
/// namespace: the class says its scope.
/// </summary>
internal sealed class NamespaceProvider(Cluster management, PoolOptions options) : ITestbedProvider, IDisposable
{
    private static readonly Kind NetworkPolicy = new("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true);

    private readonly ConcurrentDictionary<string, (string Kubeconfig, Cluster Cluster)> connections = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Members(TestbedClass its) =>
        [.. Enumerable.Range(1, its.Warm).Select(number => $"{its.Name}-{number.ToString(CultureInfo.InvariantCulture)}")];

    public async Task<int> ProvisionAsync(TestbedClass its, Testbed testbed, CancellationToken cancel)
    {
        var (_, cluster) = await ConnectAsync(its, cancel).ConfigureAwait(false);
        await StaticProvider.ProbeAsync(cluster, cancel).ConfigureAwait(false);
        return await FenceAsync(cluster, its, testbed, cancel).ConfigureAwait(false);
    }

    public async Task<LeaseCredentials> IssueAsync(
        TestbedClass its, Testbed testbed, TestbedLease lease, TimeSpan validFor, CancellationToken cancel)
    {
        var (kubeconfig, cluster) = await ConnectAsync(its, cancel).ConfigureAwait(false);
        await StaticProvider.ProbeAsync(cluster, cancel).ConfigureAwait(false);
        var ns = NameOf(testbed);
        var name = $"cisteps-lease-{lease.Number.ToString(CultureInfo.InvariantCulture)}";
        await cluster.TryCreateAsync(
            Kinds.ServiceAccount, ns, Labelled(Kinds.ServiceAccount, name, ns, lease), cancel).ConfigureAwait(false);
        var binding = Labelled(PoolKinds.RoleBinding, name, ns, lease);
        binding["roleRef"] = new JsonObject
        {
            ["apiGroup"] = "rbac.authorization.k8s.io",
            ["kind"] = "ClusterRole",
            ["name"] = "admin"
        };
        binding["subjects"] = new JsonArray((JsonNode)new JsonObject
        {
            ["kind"] = "ServiceAccount",
            ["name"] = name,
            ["namespace"] = ns
        });
        await cluster.TryCreateAsync(PoolKinds.RoleBinding, ns, binding, cancel).ConfigureAwait(false);
        return new(
            await LeaseAccounts.TokenAsync(
                cluster, kubeconfig, ns, name, testbed.Name, ns, validFor, cancel).ConfigureAwait(false),
            ns);
    }

    public async Task RevokeAsync(TestbedClass its, Testbed testbed, string? kubeconfig, CancellationToken cancel)
    {
        var (_, cluster) = await ConnectAsync(its, cancel).ConfigureAwait(false);
        var ns = NameOf(testbed);
        // All bindings, not only the lease's: whoever is administrator of a namespace may have bound others in it.
        foreach (var kind in new[] { PoolKinds.RoleBinding, Kinds.ServiceAccount })
            foreach (var item in (await cluster.ListAsync(kind.Collection(ns), null, null, cancel).ConfigureAwait(false)).Items)
                await cluster.DeleteAsync(kind.Path(ns, item.Name()), item.Uid(), cancel).ConfigureAwait(false);
        if (kubeconfig is not null)
            await LeaseAccounts.RefusedAsync(
                cluster, kubeconfig, Kinds.Secret.Collection(ns), options.RevocationLimit, cancel).ConfigureAwait(false);
    }

    public async Task<string> CleanAsync(TestbedClass its, Testbed testbed, CancellationToken cancel)
    {
        var (_, cluster) = await ConnectAsync(its, cancel).ConfigureAwait(false);
        await cluster.DeleteNamespaceAsync(NameOf(testbed), its.CleaningLimit, cancel).ConfigureAwait(false);
        await FenceAsync(cluster, its, testbed, cancel).ConfigureAwait(false);
        return "the namespace is new";
    }

    public async Task RemoveAsync(TestbedClass? its, Testbed testbed, CancellationToken cancel)
    {
        // Without its class nobody knows the cluster any more; the namespace bears the testbed's name for whoever looks.
        if (its is null) return;
        var (_, cluster) = await ConnectAsync(its, cancel).ConfigureAwait(false);
        await cluster.DeleteNamespaceAsync(NameOf(testbed), its.CleaningLimit, cancel).ConfigureAwait(false);
    }

    public void Dispose()
    {
        foreach (var (_, cluster) in connections.Values) cluster.Dispose();
        connections.Clear();
    }

    internal static string NameOf(Testbed testbed) => "testbed-" + testbed.Name;

    private static async Task<int> FenceAsync(Cluster cluster, TestbedClass its, Testbed testbed, CancellationToken cancel)
    {
        var ns = NameOf(testbed);
        await cluster.CreateNamespaceAsync(ns, new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [PoolKinds.TestbedLabel] = testbed.Name,
            ["pod-security.kubernetes.io/enforce"] = "baseline",
        }, null, its.CleaningLimit, cancel).ConfigureAwait(false);
        var made = 1;
        if (its.ProviderSpec["quota"] is JsonObject { Count: > 0 } quota)
        {
            var fence = Object(Kinds.ResourceQuota, "testbed", ns);
            fence["spec"] = new JsonObject { ["hard"] = quota.DeepClone() };
            await cluster.TryCreateAsync(Kinds.ResourceQuota, ns, fence, cancel).ConfigureAwait(false);
            made++;
        }
        var policy = Object(NetworkPolicy, "testbed", ns);
        policy["spec"] = new JsonObject
        {
            ["podSelector"] = new JsonObject(),
            ["policyTypes"] = new JsonArray("Ingress"),
            ["ingress"] = new JsonArray((JsonNode)new JsonObject
            {
                ["from"] = new JsonArray((JsonNode)new JsonObject { ["podSelector"] = new JsonObject() })
            }),
        };
        try
        {
            await cluster.TryCreateAsync(NetworkPolicy, ns, policy, cancel).ConfigureAwait(false);
            made++;
        }
        catch (ClusterApiException absent) when (absent.Code == 404)
        {
            cluster.Log.Warning($"{cluster.Server} has no network policies: neighbours can reach what runs in \"{ns}\"");
        }
        return made;
    }

    private async Task<(string Kubeconfig, Cluster Cluster)> ConnectAsync(TestbedClass its, CancellationToken cancel)
    {
        var kubeconfig = await StaticProvider.KubeconfigAsync(
            management, options, its.ProviderSpec, cancel).ConfigureAwait(false);
        if (connections.TryGetValue(its.Name, out var known) && known.Kubeconfig == kubeconfig) return known;
        return connections[its.Name] = (kubeconfig, Cluster.Open(kubeconfig, management.Log, management.Time));
    }

    private static JsonObject Labelled(Kind kind, string name, string ns, TestbedLease lease)
    {
        var item = Object(kind, name, ns);
        item["metadata"]!["labels"] = new JsonObject
        {
            [PoolKinds.AccountLabel] = lease.Number.ToString(CultureInfo.InvariantCulture)
        };
        return item;
    }

    private static JsonObject Object(Kind kind, string name, string ns) => new()
    {
        ["apiVersion"] = kind.ApiVersion,
        ["kind"] = kind.Name,
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns },
    };
}
