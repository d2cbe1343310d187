using System.Text.Json.Nodes;

namespace CiSteps.Clusters;

/// <content>Objects as they are, to be able to go back to them.</content>
public sealed partial class Cluster
{
    private static readonly string[] ServersOwn = [
        "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp",
        "deletionGracePeriodSeconds"
    ];

    /// <summary>
    /// The objects of a set as they are in the cluster now, without what the server owns, ready to be applied again. Those that
    /// are not there are left out.
    /// </summary>
    public async Task<ManifestSet> SnapshotAsync(ManifestSet manifests, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(manifests);
        var found = new List<Manifest>();
        foreach (var item in manifests.Items)
        {
            if (await FindKindAsync(item.ApiVersion, item.Kind, cancel).ConfigureAwait(false) is not { } kind) continue;
            if (await FindAsync(kind.Path(item.Namespace, item.Name), cancel).ConfigureAwait(false) is not { } live) continue;
            live["apiVersion"] ??= item.ApiVersion;
            live["kind"] ??= item.Kind;
            live.Remove("status");
            if (live["metadata"] is JsonObject metadata) foreach (var name in ServersOwn) metadata.Remove(name);
            found.Add(new Manifest(live, $"{item.Title} as it was"));
        }
        return ManifestSet.Of(found);
    }
}
