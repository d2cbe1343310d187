using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>One object in a cluster.</summary>
/// <param name="Kind">Kind, with group and plural.</param>
/// <param name="Namespace">Its namespace; null for a cluster-wide object.</param>
/// <param name="Name">metadata.name.</param>
/// <param name="Uid">Its uid: a second object of the same name is another one.</param>
public sealed record InventoryItem(Kind Kind, string? Namespace, string Name, string Uid)
{
    /// <summary>Path of the object.</summary>
    public string Path => Kind.Path(Namespace, Name);

    /// <inheritdoc/>
    public override string ToString() => Namespace is null ? $"{Kind.Name} \"{Name}\"" : $"{Kind.Name} \"{Namespace}/{Name}\"";
}

/// <summary>
/// What is in a cluster: kinds, names and uids, without contents. Two inventories are compared to see what was left behind.
/// </summary>
internal sealed class Inventory
{
    // Kinds that come and go by themselves, or that only show others' state.
    private static readonly HashSet<string> VolatileKinds = new(StringComparer.Ordinal)
    {
        "Event", "Lease", "Endpoints", "EndpointSlice", "ComponentStatus", "PodMetrics", "NodeMetrics", "Node", "CSINode",
        "CSIStorageCapacity", "TokenReview",
        "FlowSchema", "PriorityLevelConfiguration", "CertificateSigningRequest", "IPAddress", "ServiceCIDR", "APIService",
        "ControllerRevision",
    };

    // Written by the cluster itself into every namespace, or renewed by it.
    private static bool IsTheClustersOwn(Kind kind, string name) =>
        kind.Name == "ConfigMap" && name == "kube-root-ca.crt" || kind.Name == "ServiceAccount" && name == "default";

    // Pods of a replica set and the like come and go with their controller, which is in the inventory.
    private static bool IsMadeByAnother(JsonObject item) =>
        (item.List("metadata", "ownerReferences") ?? []).Any(owner => owner.Flag("controller") == true);

    private Inventory(IReadOnlyList<InventoryItem> items) => Items = items;

    /// <summary>An inventory known from elsewhere, such as a stored baseline.</summary>
    public static Inventory From(IEnumerable<InventoryItem> items) => new([.. items]);

    /// <summary>What there is.</summary>
    public IReadOnlyList<InventoryItem> Items { get; }

    /// <summary>
    /// Lists everything of all kinds that can be listed and deleted, without what clusters make by themselves (events, leases,
    /// endpoints).
    /// </summary>
    /// <param name="cluster">Cluster to list.</param>
    /// <param name="ns">Only this namespace's objects; null for all, cluster-wide objects too.</param>
    /// <param name="labels">Label selector; null for all.</param>
    /// <param name="cancel">Stops it.</param>
    public static async Task<Inventory> TakeAsync(
        Cluster cluster, string? ns = null, string? labels = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        var kinds = (await cluster.AllKindsAsync(cancel).ConfigureAwait(false))
            .Where(
                kind => kind.Verbs is { } verbs
                    && verbs.Contains("list")
                    && verbs.Contains("delete")
                    && !VolatileKinds.Contains(kind.Name)
                    && (ns is null || kind.Namespaced))
                .ToList();
        var items = new List<InventoryItem>();
        using var few = new SemaphoreSlim(8);
        await Task.WhenAll(kinds.Select(async kind =>
        {
            await few.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                var (found, _) = await cluster.ListAsync(kind.Collection(ns), labels, null, cancel).ConfigureAwait(false);
                lock (items)
                    items.AddRange(found.Where(item => !IsMadeByAnother(item))
                        .Select(
                            item => new InventoryItem(
                                kind,
                                item.Text("metadata", "namespace"),
                                item.Text("metadata", "name") ?? "",
                                item.Text("metadata", "uid") ?? ""))
                        .Where(item => !IsTheClustersOwn(kind, item.Name)));
            }
            catch (Exception error)
                when (error is ClusterApiException { Code: 404 or 405 } or UnavailableException { Reason: "cluster-forbidden" })
            {
                // Removed a moment ago, or not ours to see: then it is not ours to clean either.
            }
            finally
            {
                few.Release();
            }
        })).ConfigureAwait(false);
        return new Inventory([.. items.OrderBy(item => item.Kind.Name, StringComparer.Ordinal)
            .ThenBy(item => item.Namespace, StringComparer.Ordinal)
            .ThenBy(item => item.Name, StringComparer.Ordinal)]);
    }

    /// <summary>What is here and was not in the baseline (by uid).</summary>
    public IReadOnlyList<InventoryItem> Since(Inventory baseline)
    {
        ArgumentNullException.ThrowIfNull(baseline);
        var known = baseline.Items.Select(item => item.Uid).ToHashSet(StringComparer.Ordinal);
        return [.. Items.Where(item => !known.Contains(item.Uid))];
    }

    /// <summary>
    /// Deletes objects in an order that cannot block itself: first webhooks (they could deny the rest), then workloads and
    /// everything in namespaces, the namespaces,
    /// then custom objects before their definitions, rights and volumes last. Objects inside a namespace that goes anyway are
    /// left to it. Does not wait.
    /// </summary>
    /// <returns>What was deleted here.</returns>
    public static async Task<IReadOnlyList<InventoryItem>> DeleteAsync(
        Cluster cluster, IEnumerable<InventoryItem> items, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        var all = items.ToList();
        var namespaces = all.Where(item => item.Kind is { Name: "Namespace", Group: "" })
            .Select(item => item.Name)
            .ToHashSet(StringComparer.Ordinal);
        var deleted = new List<InventoryItem>();
        foreach (var item in all.Where(item => item.Namespace is null || !namespaces.Contains(item.Namespace))
            .OrderBy(Turn)
            .ToList())
            if (await cluster.DeleteAsync(item.Path, item.Uid.Length > 0 ? item.Uid : null, cancel).ConfigureAwait(false))
                deleted.Add(item);
        return deleted;
    }

    private static int Turn(InventoryItem item) => item.Kind.Name switch
    {
        "MutatingWebhookConfiguration" or "ValidatingWebhookConfiguration" or "ValidatingAdmissionPolicyBinding"
            or "ValidatingAdmissionPolicy" or "APIService" =>
            0,
        "Deployment" or "StatefulSet" or "DaemonSet" or "CronJob" or "Job" or "HorizontalPodAutoscaler" => 1,
        "ReplicaSet" or "ReplicationController" => 2,
        "CustomResourceDefinition" => 6,
        "Namespace" => 5,
        "ClusterRoleBinding" or "RoleBinding" => 7,
        "ClusterRole" or "Role" or "ServiceAccount" => 8,
        "PersistentVolume" or "StorageClass" or "PriorityClass" => 9,
        _ =>
            item.Kind.Group.EndsWith(".k8s.io", StringComparison.Ordinal)
                || !item.Kind.Group.Contains('.', StringComparison.Ordinal)
                ? 4
                : 3,
    };
}
