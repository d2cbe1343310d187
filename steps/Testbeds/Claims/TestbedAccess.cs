using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Settings;

namespace CiSteps.Testbeds.Claims;

/// <summary>How a step reaches the testbeds: a pool's management cluster, or else one cluster under a lock. The settings are the same in every step that uses testbeds.</summary>
public static class TestbedAccess
{
    /// <summary>Variable that holds the management cluster's kubeconfig itself, where a file is impractical.</summary>
    public const string ContentVariable = "CISTEPS_TESTBED_KUBECONFIG_CONTENT";

    /// <summary>The pool's management cluster.</summary>
    public static Setting<string> Management { get; } =
        Setting.Text("testbed-kubeconfig", $"path of the kubeconfig of the testbed pool's management cluster; its content may stand in {ContentVariable} instead", null, "cisteps.testbed.kubeconfig");

    /// <summary>The pool's namespace there.</summary>
    public static Setting<string> Namespace { get; } =
        Setting.Text("testbed-namespace", "namespace of the testbed pool in the management cluster", "cisteps-testbeds", "cisteps.testbed.namespace");

    /// <summary>One cluster without a pool.</summary>
    public static Setting<string> Kubeconfig { get; } =
        Setting.Text("kubeconfig", "without a testbed pool: path of the kubeconfig of one cluster that chains use by turns, under a lock in that cluster");

    /// <summary>All of them, for a step's list.</summary>
    public static IReadOnlyList<Setting> Settings { get; } = [Management, Namespace, Kubeconfig];

    /// <summary>Opens what the settings name.</summary>
    /// <exception cref="UsageException">They name nothing, or something unreadable.</exception>
    /// <exception cref="UnavailableException">The cluster does not answer.</exception>
    public static async Task<ITestbeds> OpenAsync(StepContext context, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(context);
        if ((context.FindSecret(ContentVariable) ?? context.Settings.Find(Management)) is { } management)
        {
            var cluster = await Cluster.ConnectAsync(management, context.Log, context.Time, cancel).ConfigureAwait(false);
            return new TestbedClaims(cluster, context.Settings.Get(Namespace), owned: true);
        }
        if (context.Settings.Find(Kubeconfig) is not { } path)
            throw new UsageException($"no testbeds to claim from: give --{Management.Name} or {Management.Variable} (a testbed pool), or --{Kubeconfig.Name} (one cluster, used by turns)");
        var one = await Cluster.ConnectAsync(path, context.Log, context.Time, cancel).ConfigureAwait(false);
        // The connection has just read it.
        return new ClusterLock(one, path.Contains('\n', StringComparison.Ordinal) ? path : await File.ReadAllTextAsync(path, cancel).ConfigureAwait(false), owned: true);
    }
}
