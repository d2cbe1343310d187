using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Providers;

/// <summary>
/// A lease's own credentials on a whole cluster: a service account bound to cluster-admin, with a token that ends with the lease.
/// </summary>
internal static class LeaseAccounts
{
    // Servers refuse shorter tokens.
    private static readonly TimeSpan ShortestToken = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>Makes the namespace that accounts live in.</summary>
    public static async Task PrepareAsync(Cluster cluster, CancellationToken cancel) =>
        await cluster.TryCreateAsync(Kinds.Namespace, null, new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Namespace",
            ["metadata"] = new JsonObject { ["name"] = PoolKinds.LeaseNamespace },
        }, cancel).ConfigureAwait(false);

    /// <summary>Makes the account, its rights and its token.</summary>
    /// <param name="cluster">The testbed, as administrator.</param>
    /// <param name="administrators">The administrator's kubeconfig: address and authority are taken from it.</param>
    /// <param name="testbed">Testbed whose cluster gets the account.</param>
    /// <param name="lease">Lease that the account is named after and ends with.</param>
    /// <param name="validFor">How long the token is good for at most.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>A kubeconfig with the token.</returns>
    public static async Task<string> IssueAsync(
        Cluster cluster, string administrators, Testbed testbed, TestbedLease lease, TimeSpan validFor, CancellationToken cancel)
    {
        // The claim's uid keeps names apart when a testbed is registered anew and counts from one again.
        var name = $"lease-{lease.Number}-{lease.ClaimUid.Replace("-", "", StringComparison.Ordinal) switch
        {
            { Length: > 8 } uid => uid[..8],
            var uid => uid
        }}";
        await PrepareAsync(cluster, cancel).ConfigureAwait(false);
        await cluster.TryCreateAsync(
            Kinds.ServiceAccount,
            PoolKinds.LeaseNamespace,
            Labelled("v1", "ServiceAccount", name, PoolKinds.LeaseNamespace, lease),
            cancel).ConfigureAwait(false);
        var binding = Labelled(PoolKinds.ClusterRoleBinding.ApiVersion, "ClusterRoleBinding", "cisteps-" + name, null, lease);
        binding["roleRef"] = new JsonObject
        {
            ["apiGroup"] = "rbac.authorization.k8s.io",
            ["kind"] = "ClusterRole",
            ["name"] = "cluster-admin"
        };
        binding["subjects"] = new JsonArray((JsonNode)new JsonObject
        {
            ["kind"] = "ServiceAccount",
            ["name"] = name,
            ["namespace"] = PoolKinds.LeaseNamespace
        });
        await cluster.TryCreateAsync(PoolKinds.ClusterRoleBinding, null, binding, cancel).ConfigureAwait(false);
        return await TokenAsync(
            cluster, administrators, PoolKinds.LeaseNamespace, name, testbed.Name, null, validFor, cancel).ConfigureAwait(false);
    }

    /// <summary>A token of an account, as a kubeconfig.</summary>
    public static async Task<string> TokenAsync(
        Cluster cluster,
        string administrators,
        string ns,
        string account,
        string context,
        string? defaultNamespace,
        TimeSpan validFor,
        CancellationToken cancel)
    {
        var answer = await cluster.CreateAsync(Kinds.ServiceAccount.Path(ns, account) + "/token", new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenRequest",
            ["spec"] = new JsonObject
            {
                ["expirationSeconds"] = (long)(validFor > ShortestToken ? validFor : ShortestToken).TotalSeconds
            },
        }, cancel).ConfigureAwait(false);
        var token = answer.Text("status", "token")
            ?? throw new TestbedBrokenException($"the API server {cluster.Server} answered a token request without a token");
        // A connection and a log of its own: the mask of the pool's log would grow by each lease's token for ever.
        using var writer = Cluster.Open(administrators, new BuildLog(TextWriter.Null, forServer: false), cluster.Time);
        return writer.KubeconfigWith(token, context, defaultNamespace);
    }

    /// <summary>
    /// Unbinds and removes the accounts of all leases, then waits until the given credentials are refused: servers remember
    /// tokens for some seconds.
    /// </summary>
    /// <exception cref="TestbedBrokenException">They still work after the limit.</exception>
    public static async Task RevokeAsync(Cluster cluster, string? kubeconfig, TimeSpan limit, CancellationToken cancel)
    {
        var bindings = PoolKinds.ClusterRoleBinding.Collection(null);
        foreach (var binding in (await cluster.ListAsync(
            bindings, PoolKinds.AccountLabel, null, cancel).ConfigureAwait(false)).Items)
            await cluster.DeleteAsync(
                PoolKinds.ClusterRoleBinding.Path(null, binding.Name()), binding.Uid(), cancel).ConfigureAwait(false);
        foreach (var account in (await cluster.ListAsync(
            Kinds.ServiceAccount.Collection(PoolKinds.LeaseNamespace),
            PoolKinds.AccountLabel,
            null,
            cancel).ConfigureAwait(false)).Items)
            await cluster.DeleteAsync(
                Kinds.ServiceAccount.Path(PoolKinds.LeaseNamespace, account.Name()), account.Uid(), cancel).ConfigureAwait(false);
        if (kubeconfig is not null)
            await RefusedAsync(cluster, kubeconfig, Kinds.Secret.Collection("kube-system"), limit, cancel).ConfigureAwait(false);
    }

    /// <summary>Asks with the given credentials until the server says 401 or 403.</summary>
    public static async Task RefusedAsync(
        Cluster cluster, string kubeconfig, string path, TimeSpan limit, CancellationToken cancel)
    {
        // A connection and a log of its own, as above.
        using var lease = Cluster.Open(kubeconfig, new BuildLog(TextWriter.Null, forServer: false), cluster.Time);
        var started = cluster.Time.GetTimestamp();
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                await lease.GetAsync(path + "?limit=1", cancel).ConfigureAwait(false);
            }
            catch (UnavailableException refused) when (refused.Reason is "cluster-unauthorized" or "cluster-forbidden")
            {
                return;
            }
            if (cluster.Time.GetElapsedTime(started) > limit)
                throw new TestbedBrokenException(
                    $"the credentials of the last lease still work {Hosting.Options.Durations.Show(limit)} after they " +
                    "were revoked");
            await Task.Delay(pause, cluster.Time, cancel).ConfigureAwait(false);
        }
    }

    private static JsonObject Labelled(string apiVersion, string kind, string name, string? ns, TestbedLease lease)
    {
        var metadata = new JsonObject
        {
            ["name"] = name,
            ["labels"] = new JsonObject
            {
                [PoolKinds.AccountLabel] = lease.Number.ToString(System.Globalization.CultureInfo.InvariantCulture)
            },
            ["annotations"] = new JsonObject { [PoolKinds.Group + "/claim"] = lease.Claim },
        };
        if (ns is not null) metadata["namespace"] = ns;
        return new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = kind, ["metadata"] = metadata };
    }
}
