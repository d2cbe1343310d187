using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Clusters;

namespace CiSteps.Testbeds.Pool;

/// <summary>Conditional writes to the pool's objects: who reads an older version loses, and knows it.</summary>
internal static class PoolWrites
{
    /// <summary>Writes an object's status if nobody changed the object since it was read.</summary>
    /// <returns>The object as it is now; null when somebody was faster or it is gone.</returns>
    public static async Task<JsonObject?> WriteStatusAsync(
        this Cluster cluster, Kind kind, string ns, JsonObject item, CancellationToken cancel)
    {
        try
        {
            return await cluster.ReplaceAsync(kind.Path(ns, item.Name()) + "/status", item, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException lost) when (lost.Code is 404 or 409)
        {
            return null;
        }
    }

    /// <summary>Writes an object if nobody changed it since it was read.</summary>
    /// <returns>The object as it is now; null when somebody was faster or it is gone.</returns>
    public static async Task<JsonObject?> TryReplaceAsync(
        this Cluster cluster, Kind kind, string ns, JsonObject item, CancellationToken cancel)
    {
        try
        {
            return await cluster.ReplaceAsync(kind.Path(ns, item.Name()), item, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException lost) when (lost.Code is 404 or 409)
        {
            return null;
        }
    }

    /// <summary>Creates an object.</summary>
    /// <returns>The object; null when one of that name is there.</returns>
    public static async Task<JsonObject?> TryCreateAsync(
        this Cluster cluster, Kind kind, string? ns, JsonObject item, CancellationToken cancel)
    {
        try
        {
            return await cluster.CreateAsync(kind.Collection(ns), item, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException exists) when (exists is { Code: 409, Reason: "AlreadyExists" })
        {
            return null;
        }
    }

    /// <summary>Creates an object or gives it this content.</summary>
    public static async Task PutAsync(this Cluster cluster, Kind kind, string ns, JsonObject item, CancellationToken cancel)
    {
        if (await cluster.TryCreateAsync(kind, ns, item, cancel).ConfigureAwait(false) is null)
            await cluster.ReplaceAsync(kind.Path(ns, item.Name()), item, cancel).ConfigureAwait(false);
    }

    /// <summary>A Secret with a kubeconfig, and for a leased namespace its name.</summary>
    public static JsonObject KubeconfigSecret(
        string name, string ns, string kubeconfig, string? leased = null, string? testbed = null)
    {
        var metadata = new JsonObject { ["name"] = name, ["namespace"] = ns };
        if (testbed is not null) metadata["labels"] = new JsonObject { [PoolKinds.TestbedLabel] = testbed };
        var data = new JsonObject { ["kubeconfig"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(kubeconfig)) };
        if (leased is not null) data["namespace"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(leased));
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Secret",
            ["metadata"] = metadata,
            ["type"] = "Opaque",
            ["data"] = data
        };
    }

    /// <summary>The kubeconfig in a Secret, and the namespace that it is for; null when there is no such Secret or key.</summary>
    public static async Task<(string Kubeconfig, string? Leased)?> ReadKubeconfigAsync(
        this Cluster cluster, string ns, string secret, CancellationToken cancel)
    {
        var found = await cluster.FindAsync(Kinds.Secret.Path(ns, secret), cancel).ConfigureAwait(false);
        return found is not null && Text("kubeconfig") is { } kubeconfig ? (kubeconfig, Text("namespace")) : null;

        string? Text(string key) =>
            found.Text("data", key) is { } data ? Encoding.UTF8.GetString(Convert.FromBase64String(data)) : null;
    }
}
