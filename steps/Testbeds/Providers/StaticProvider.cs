using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Testbeds.Cleaning;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Providers;

/// <summary>
/// Clusters that one already has, each known by an administrator's kubeconfig. What it cannot promise: a holder is
/// cluster-admin, so a holder who minted other credentials (a client certificate, say) keeps them beyond the lease.
/// </summary>
internal sealed class StaticProvider(Cluster management, PoolOptions options) : ITestbedProvider, IDisposable
{
    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, (string Kubeconfig, Cluster Cluster)> connections = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Members(TestbedClass its) =>
        [.. Entries(its).Select(member => member.Text("name") ?? "").Where(name => name.Length > 0)];

    public async Task<int> ProvisionAsync(TestbedClass its, Testbed testbed, CancellationToken cancel)
    {
        var (_, cluster) = await ConnectAsync(its, testbed, cancel).ConfigureAwait(false);
        await ProbeAsync(cluster, cancel).ConfigureAwait(false);
        // Accounts that an earlier registration left behind are nobody's now and must not get into the baseline.
        await LeaseAccounts.PrepareAsync(cluster, cancel).ConfigureAwait(false);
        await LeaseAccounts.RevokeAsync(cluster, null, options.RevocationLimit, cancel).ConfigureAwait(false);
        var items = await TestbedContents.TakeAsync(cluster, cancel).ConfigureAwait(false);
        await Baseline.WriteAsync(management, options.Namespace, testbed, items, cancel).ConfigureAwait(false);
        return items.Count;
    }

    public async Task<LeaseCredentials> IssueAsync(
        TestbedClass its, Testbed testbed, TestbedLease lease, TimeSpan validFor, CancellationToken cancel)
    {
        var (kubeconfig, cluster) = await ConnectAsync(its, testbed, cancel).ConfigureAwait(false);
        await ProbeAsync(cluster, cancel).ConfigureAwait(false);
        return new(
            await LeaseAccounts.IssueAsync(cluster, kubeconfig, testbed, lease, validFor, cancel).ConfigureAwait(false), null);
    }

    public async Task RevokeAsync(TestbedClass its, Testbed testbed, string? kubeconfig, CancellationToken cancel) =>
        await LeaseAccounts.RevokeAsync(
            (await ConnectAsync(its, testbed, cancel).ConfigureAwait(false)).Cluster,
            kubeconfig,
            options.RevocationLimit,
            cancel).ConfigureAwait(false);

    public async Task<string> CleanAsync(TestbedClass its, Testbed testbed, CancellationToken cancel)
    {
        var (_, cluster) = await ConnectAsync(its, testbed, cancel).ConfigureAwait(false);
        var baseline = await Baseline.ReadAsync(management, options.Namespace, testbed.Name, cancel).ConfigureAwait(false)
            ?? throw new TestbedBrokenException(
                $"the baseline \"{Baseline.NameOf(testbed.Name)}\" is gone; delete the testbed object to have it " +
                "registered anew");
        return await Cleaner.CleanAsync(cluster, baseline, its.CleaningLimit, cancel).ConfigureAwait(false);
    }

    public Task RemoveAsync(TestbedClass? its, Testbed testbed, CancellationToken cancel)
    {
        if (connections.TryRemove(testbed.Name, out var connection)) connection.Cluster.Dispose();
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        foreach (var (_, cluster) in connections.Values) cluster.Dispose();
        connections.Clear();
    }

    internal static async Task ProbeAsync(Cluster cluster, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(ProbeLimit);
        try
        {
            var (nodes, _) = await cluster.ListAsync(Kinds.Node.Collection(null), null, null, limit.Token).ConfigureAwait(false);
            if (nodes.Count > 0 && !nodes.Any(IsReady))
                throw new TestbedBrokenException($"none of its {nodes.Count} nodes is ready");
        }
        catch (OperationCanceledException late) when (!cancel.IsCancellationRequested)
        {
            throw new TestbedBrokenException(
                $"its API server {cluster.Server} gave no answer within {Hosting.Options.Durations.Show(ProbeLimit)}", late);
        }
    }

    private static bool IsReady(JsonObject node) =>
        (node.At("status", "conditions") as JsonArray ?? []).Any(
            c => c is JsonObject condition && condition.Text("type") == "Ready" && condition.Text("status") == "True");

    private async Task<(string Kubeconfig, Cluster Cluster)> ConnectAsync(
        TestbedClass its, Testbed testbed, CancellationToken cancel)
    {
        var member = Entries(its).FirstOrDefault(entry => entry.Text("name") == testbed.Member)
            ?? throw new TestbedBrokenException($"class \"{its.Name}\" has no member \"{testbed.Member}\" any more");
        var kubeconfig = await KubeconfigAsync(management, options, member, cancel).ConfigureAwait(false);
        if (connections.TryGetValue(testbed.Name, out var known) && known.Kubeconfig == kubeconfig) return known;
        var opened = Cluster.Open(kubeconfig, management.Log, management.Time);
        return connections[testbed.Name] = (kubeconfig, opened);
    }

    /// <summary>The kubeconfig that a part of a class names by Secret or path.</summary>
    internal static async Task<string> KubeconfigAsync(
        Cluster management, PoolOptions options, JsonObject from, CancellationToken cancel)
    {
        if (from.Text("secret") is { } secret)
            return (await management.ReadKubeconfigAsync(
                options.PrivateNamespace, secret, cancel).ConfigureAwait(false))?.Kubeconfig
                ?? throw new TestbedBrokenException(
                    $"there is no Secret \"{secret}\" with the key \"kubeconfig\" in namespace \"{options.PrivateNamespace}\"");
        if (from.Text("path") is not { } path)
            throw new TestbedBrokenException("the class names neither a secret nor a path for the kubeconfig");
        if (!options.AllowPaths)
            throw new TestbedBrokenException(
                $"the class names the path \"{path}\", which this controller does not read; use a Secret, " +
                "or start it with --allow-paths");
        try
        {
            return await File.ReadAllTextAsync(path, cancel).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new TestbedBrokenException($"the kubeconfig \"{path}\" cannot be read: {error.Message}", error);
        }
    }

    private static IEnumerable<JsonObject> Entries(TestbedClass its) =>
        (its.ProviderSpec["members"] as JsonArray ?? []).OfType<JsonObject>();
}
