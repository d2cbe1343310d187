using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Cleaning;

/// <summary>One object on a testbed.</summary>
/// <param name="Kind">Kind, with group and plural.</param>
/// <param name="Namespace">Its namespace; null for a cluster-wide one.</param>
/// <param name="Name">metadata.name.</param>
/// <param name="Uid">The server's id of this very object: one made anew under the name has another.</param>
/// <param name="Finalizers">What holds up its deletion.</param>
/// <param name="IsTerminating">Whether it is being deleted already.</param>
internal sealed record TestbedObject(
    Kind Kind,
    string? Namespace,
    string Name,
    string Uid,
    IReadOnlyList<string> Finalizers,
    bool IsTerminating)
{
    /// <summary>What it is known by in a baseline: the same over versions of an API.</summary>
    public string Id => $"{Kind.Group}/{Kind.Name} {Namespace ?? "-"} {Name}";

    public string Title => Namespace is null ? $"{Kind.Name} \"{Name}\"" : $"{Kind.Name} \"{Namespace}/{Name}\"";
}

/// <summary>
/// What is on a cluster, as far as a user of it makes it: what clusters make and remove by themselves is left out, and what
/// belongs to an owner goes with the owner.
/// </summary>
internal static class TestbedContents
{
    private const int AtOnce = 8;

    private static readonly HashSet<string> OwnMatter = new(StringComparer.Ordinal)
    {
        "Event", "Endpoints", "EndpointSlice", "Node", "CSINode", "IPAddress", "ServiceCIDR", "ComponentStatus", "FlowSchema",
        "PriorityLevelConfiguration", "APIService", "LeaseCandidate", "NodeMetrics", "PodMetrics", "CertificateSigningRequest",
        "VolumeAttachment",
    };

    public static async Task<IReadOnlyList<TestbedObject>> TakeAsync(Cluster cluster, CancellationToken cancel)
    {
        var found = new ConcurrentBag<(Kind Kind, JsonObject Json)>();
        var kinds = (await cluster.AllKindsAsync(cancel).ConfigureAwait(false))
            .Where(kind => kind.Verbs is { } verbs && verbs.Contains("list") && verbs.Contains("delete"));
        await Parallel.ForEachAsync(
            kinds,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel },
            async (kind, token) =>
            {
                try
                {
                    foreach (var item in (await cluster.ListAsync(
                        kind.Collection(null), null, null, token).ConfigureAwait(false)).Items)
                        found.Add((kind, item));
                }
                catch (ClusterApiException gone) when (gone.Code is 404 or 405)
                {
                    // A kind that was discovered a moment ago and is gone now.
                }
            }).ConfigureAwait(false);
        var uids = found.Select(item => item.Json.Uid()).ToHashSet(StringComparer.Ordinal);
        return [.. found.Where(item => !IsOwnMatter(item.Kind, item.Json) && !BelongsToAnother(item.Json, uids))
            .Select(
                item => new TestbedObject(item.Kind, item.Json.Text("metadata", "namespace"), item.Json.Name(), item.Json.Uid(),
                    [.. (item.Json.At("metadata", "finalizers") as JsonArray ?? [])
                        .Concat(item.Json.At("spec", "finalizers") as JsonArray ?? [])
                        .Select(f => (string?)f ?? "")],
                    item.Json.Text("metadata", "deletionTimestamp") is not null))
            .OrderBy(item => item.Id, StringComparer.Ordinal)];
    }

    // What a cluster makes and removes by itself, and what it puts into each namespace.
    private static bool IsOwnMatter(Kind kind, JsonObject item) =>
        OwnMatter.Contains(kind.Name) || (kind.Name, item.Name()) switch
        {
            ("ConfigMap", "kube-root-ca.crt") or ("ServiceAccount", "default") => true,
            ("Service", "kubernetes") => item.Text("metadata", "namespace") == "default",
            ("Lease", _) => item.Text("metadata", "namespace")?.StartsWith("kube-", StringComparison.Ordinal) == true,
            ("Secret", _) => item.Text("type") == "kubernetes.io/service-account-token",
            _ => false,
        };

    private static bool BelongsToAnother(JsonObject item, HashSet<string> uids) =>
        (item.At("metadata", "ownerReferences") as JsonArray ?? []).Any(
            owner => (owner as JsonObject)?.Text("uid") is { } uid && uids.Contains(uid));
}
