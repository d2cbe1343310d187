using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;

namespace CiSteps.Testbeds.Claims;

/// <summary>
/// How a step reaches the testbeds: a pool's management cluster, or else one cluster under a lock. The settings are the same in
/// every step that uses testbeds.
/// </summary>
public static class TestbedAccess
{
    /// <summary>Variable that holds the management cluster's kubeconfig itself, where a file is impractical.</summary>
    public const string PoolKubeconfigVariable = "CISTEPS_POOL_KUBECONFIG_CONTENT";

    /// <summary>The pool's management cluster.</summary>
    public static StepOption<string> PoolKubeconfig { get; } =
        StepOption.Text(
            "pool-kubeconfig",
            "path of the kubeconfig of the testbed pool's management cluster; its content may stand in " +
            $"{PoolKubeconfigVariable} instead",
            null,
            "cisteps.pool.kubeconfig");

    /// <summary>The pool's namespace there.</summary>
    public static StepOption<string> PoolNamespace { get; } =
        StepOption.Text(
            "pool-namespace",
            "namespace of the testbed pool in the management cluster",
            "cisteps-testbeds",
            "cisteps.pool.namespace");

    /// <summary>One cluster without a pool.</summary>
    public static StepOption<string> Kubeconfig { get; } =
        StepOption.Text("kubeconfig",
            "without a testbed pool: path of the kubeconfig of one cluster that chains use by turns, " +
            "under a lock in that cluster");

    /// <summary>All of them, for a step's list.</summary>
    public static IReadOnlyList<StepOption> Options { get; } = [PoolKubeconfig, PoolNamespace, Kubeconfig];

    /// <summary>Opens what the settings name.</summary>
    /// <exception cref="UsageException">They name nothing, or something unreadable.</exception>
    /// <exception cref="UnavailableException">The cluster does not answer.</exception>
    public static async Task<ITestbeds> OpenAsync(StepContext context, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(context);
        if ((context.FindSecret(PoolKubeconfigVariable) ?? context.Options.Find(PoolKubeconfig)) is { } management)
        {
            var cluster = await Cluster.ConnectAsync(management, context.Log, context.Time, cancel).ConfigureAwait(false);
            return new TestbedClaims(cluster, context.Options.Get(PoolNamespace), owned: true);
        }
        if (context.Options.Find(Kubeconfig) is not { } path)
            throw new UsageException(
                $"no testbeds to claim from: give --{PoolKubeconfig.Name} or {PoolKubeconfig.Variable} (a testbed pool), " +
                $"or --{Kubeconfig.Name} (one cluster, used by turns)");
        var one = await Cluster.ConnectAsync(path, context.Log, context.Time, cancel).ConfigureAwait(false);
        // The connection has just read it.
        return new ClusterLock(
            one,
            path.Contains('\n', StringComparison.Ordinal)
                ? path
                : await File.ReadAllTextAsync(path, cancel).ConfigureAwait(false),
            owned: true);
    }
}
