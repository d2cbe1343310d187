using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>A kind of object and where the API server keeps it.</summary>
/// <param name="ApiVersion"><c>v1</c> or <c>group/version</c>.</param>
/// <param name="Name">The kind, such as <c>Deployment</c>.</param>
/// <param name="Plural">Path segment, such as <c>deployments</c>.</param>
/// <param name="Namespaced">Whether its objects live in namespaces.</param>
public sealed record Kind(string ApiVersion, string Name, string Plural, bool Namespaced)
{
    /// <summary>What the server lets one do with it; null when it was not asked.</summary>
    public IReadOnlyList<string>? Verbs { get; init; }

    /// <summary>API group; empty for the core group.</summary>
    public string Group =>
        ApiVersion.Contains('/', StringComparison.Ordinal) ? ApiVersion[..ApiVersion.IndexOf('/', StringComparison.Ordinal)] : "";

    /// <summary>Path of the collection, in a namespace or over all of them.</summary>
    public string Collection(string? ns)
    {
        var root = Group.Length == 0 ? "/api/" + ApiVersion : "/apis/" + ApiVersion;
        return Namespaced && ns is not null ? $"{root}/namespaces/{ns}/{Plural}" : $"{root}/{Plural}";
    }

    /// <summary>Path of one object.</summary>
    public string Path(string? ns, string name) => $"{Collection(ns)}/{name}";

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({ApiVersion})";
}

/// <summary>The kinds that the chain itself works with.</summary>
public static class Kinds
{
#pragma warning disable CS1591 // The names say it.
    public static readonly Kind Namespace = new("v1", "Namespace", "namespaces", false);
    public static readonly Kind Node = new("v1", "Node", "nodes", false);
    public static readonly Kind Pod = new("v1", "Pod", "pods", true);
    public static readonly Kind Service = new("v1", "Service", "services", true);
    public static readonly Kind Event = new("v1", "Event", "events", true);
    public static readonly Kind ConfigMap = new("v1", "ConfigMap", "configmaps", true);
    public static readonly Kind Secret = new("v1", "Secret", "secrets", true);
    public static readonly Kind ServiceAccount = new("v1", "ServiceAccount", "serviceaccounts", true);
    public static readonly Kind ResourceQuota = new("v1", "ResourceQuota", "resourcequotas", true);
    public static readonly Kind PersistentVolumeClaim = new("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true);
    public static readonly Kind Deployment = new("apps/v1", "Deployment", "deployments", true);
    public static readonly Kind ReplicaSet = new("apps/v1", "ReplicaSet", "replicasets", true);
    public static readonly Kind StatefulSet = new("apps/v1", "StatefulSet", "statefulsets", true);
    public static readonly Kind DaemonSet = new("apps/v1", "DaemonSet", "daemonsets", true);
    public static readonly Kind ControllerRevision = new("apps/v1", "ControllerRevision", "controllerrevisions", true);
    public static readonly Kind Job = new("batch/v1", "Job", "jobs", true);
    public static readonly Kind EndpointSlice = new("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true);
    public static readonly Kind Lease = new("coordination.k8s.io/v1", "Lease", "leases", true);
    public static readonly Kind CustomResourceDefinition = new(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false);
#pragma warning restore CS1591

    /// <summary>The workload kind of that name.</summary>
    /// <exception cref="UsageException">It is none of Deployment, StatefulSet and DaemonSet.</exception>
    public static Kind Workload(string kind) => kind switch
    {
        "Deployment" => Deployment,
        "StatefulSet" => StatefulSet,
        "DaemonSet" => DaemonSet,
        _ =>
            throw new UsageException(
                $"workload kind \"{kind}\" cannot be rolled out; give Deployment, StatefulSet or DaemonSet")
            {
                Fault = Fault.Change
            },
    };
}

/// <content>Discovery: which kinds the server has.</content>
public sealed partial class Cluster
{
    private readonly Dictionary<string, IReadOnlyList<Kind>> discovered = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim discovering = new(1, 1);

    /// <summary>Where the server keeps objects of a kind.</summary>
    /// <returns>Null when it does not know the kind.</returns>
    public async Task<Kind?> FindKindAsync(string apiVersion, string kind, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(apiVersion);
        var known = await KindsOfAsync(apiVersion, fresh: false, cancel).ConfigureAwait(false);
        if (Match(known) is { } found) return found;
        // A definition may have been applied a moment ago.
        return Match(await KindsOfAsync(apiVersion, fresh: true, cancel).ConfigureAwait(false));

        Kind? Match(IReadOnlyList<Kind> kinds) => kinds.FirstOrDefault(candidate => candidate.Name == kind);
    }

    /// <summary>
    /// All kinds that the server lists, in the version it prefers; kinds served by several groups count once per group.
    /// </summary>
    public async Task<IReadOnlyList<Kind>> AllKindsAsync(CancellationToken cancel)
    {
        var versions = new List<string> { "v1" };
        var groups = await GetAsync("/apis", cancel).ConfigureAwait(false);
        foreach (var group in groups.Objects("groups"))
            if (group.Text("preferredVersion", "groupVersion") is { } preferred) versions.Add(preferred);
        var all = new List<Kind>();
        foreach (var version in versions) all.AddRange(await KindsOfAsync(version, fresh: true, cancel).ConfigureAwait(false));
        return all;
    }

    private async Task<IReadOnlyList<Kind>> KindsOfAsync(string apiVersion, bool fresh, CancellationToken cancel)
    {
        await discovering.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (!fresh && discovered.TryGetValue(apiVersion, out var known)) return known;
            var path = apiVersion.Contains('/', StringComparison.Ordinal) ? "/apis/" + apiVersion : "/api/" + apiVersion;
            var kinds = new List<Kind>();
            if (await FindAsync(path, cancel).ConfigureAwait(false) is { } list)
            {
                foreach (var resource in list.Objects("resources"))
                {
                    var name = resource.Text("name") ?? "";
                    if (name.Length == 0 || name.Contains('/', StringComparison.Ordinal)) continue;
                    kinds.Add(new Kind(apiVersion, resource.Text("kind") ?? "", name, resource.Flag("namespaced") ?? false)
                    {
                        Verbs = [.. resource.Texts("verbs")],
                    });
                }
            }
            return discovered[apiVersion] = kinds;
        }
        finally
        {
            discovering.Release();
        }
    }
}
