using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Sandbox;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Cli.Sandboxes;

/// <summary>Which clusters stand in for real ones.</summary>
/// <param name="Clusters">Names; with a pool, <see cref="Management"/> is among them.</param>
/// <param name="Pool">Testbed clusters by class; empty for no pool.</param>
internal sealed record SandboxPlan(IReadOnlyList<string> Clusters, IReadOnlyDictionary<string, IReadOnlyList<string>> Pool)
{
    public const string Management = "management";
    public const string Production = "production";

    /// <summary>
    /// The plan for given names: with a pool, every cluster but management and production is a testbed of the one class.
    /// </summary>
    /// <exception cref="UsageException">A name is wrong or double, or a pool lacks a part.</exception>
    public static SandboxPlan For(IReadOnlyList<string> names, bool pool, string poolClass)
    {
        if (names.Count == 0)
            throw new UsageException("no sandbox cluster is named; --clusters takes names with commas between them");
        foreach (var name in names)
            if (name.Length is 0 or > 40
                || !name.All(unit => char.IsAsciiLetterLower(unit) || char.IsAsciiDigit(unit) || unit == '-')
                || !char.IsAsciiLetterLower(name[0]))
                throw new UsageException(
                    $"\"{name}\" is not a name for a sandbox cluster: lower-case letters, digits and -, a letter first, " +
                    "at most 40");
        if (names.GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } doubled)
            throw new UsageException($"the sandbox cluster \"{doubled.Key}\" is named twice");
        if (!pool) return new(names, new Dictionary<string, IReadOnlyList<string>>());
        var testbeds = names.Where(name => name is not (Management or Production)).ToList();
        if (!names.Contains(Management) || testbeds.Count == 0)
            throw new UsageException(
                $"a testbed pool needs a cluster \"{Management}\" and at least one testbed; " +
                $"give --clusters {Management},testbed-1");
        return new(names, new Dictionary<string, IReadOnlyList<string>> { [poolClass] = testbeds });
    }
}

/// <summary>Running sandbox clusters, and the testbed pool over them. Disposing stops everything.</summary>
internal sealed class SandboxHost : IAsyncDisposable
{
    private readonly List<SandboxCluster> clusters = [];
    private readonly CancellationTokenSource stop = new();
    private readonly string folder;
    private Cluster? management;
    private Task pool = Task.CompletedTask;

    private SandboxHost(string folder) => this.folder = folder;

    /// <summary>Path of a cluster's kubeconfig.</summary>
    public static string KubeconfigOf(string folder, string cluster) => Path.Combine(folder, cluster + ".kubeconfig");

    /// <summary>Brings the clusters up, and the pool.</summary>
    /// <param name="plan">Which.</param>
    /// <param name="folder">Where kubeconfigs go.</param>
    /// <param name="log">Told of components that fail.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="cancel">Gives up, and takes down what is up.</param>
    public static async Task<SandboxHost> StartAsync(
        SandboxPlan plan, string folder, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        SandboxState.MakeFolder(folder);
        var host = new SandboxHost(folder);
        try
        {
            var starting = plan.Clusters
                .Select(
                    name => SandboxCluster.StartAsync(
                        new SandboxOptions { Name = name, KubeconfigPath = KubeconfigOf(folder, name), Log = log.Info },
                        time,
                        cancel))
                .ToList();
            try
            {
                await Task.WhenAll(starting);
            }
            finally
            {
                host.clusters.AddRange(starting.Where(task => task.IsCompletedSuccessfully).Select(task => task.Result));
            }
            if (plan.Pool.Count > 0) await host.StartPoolAsync(plan, log, time, cancel);
            return host;
        }
        catch (IOException failure)
        {
            await host.DisposeAsync();
            throw new UsageException($"a sandbox cluster cannot be brought up: {failure.Message}", failure);
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await pool.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        management?.Dispose();
        await Task.WhenAll(clusters.Select(cluster => cluster.DisposeAsync().AsTask()));
        foreach (var cluster in clusters) File.Delete(KubeconfigOf(folder, cluster.Name));
        clusters.Clear();
        stop.Dispose();
    }

    private async Task StartPoolAsync(SandboxPlan plan, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        var options = new PoolOptions();
        management = await Cluster.ConnectAsync(KubeconfigOf(folder, SandboxPlan.Management), log, time, cancel);
        await PoolInstallation.ApplyAsync(management, options, cancel);
        foreach (var (name, members) in plan.Pool)
        {
            var kubeconfigs = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var member in members)
                kubeconfigs[member] = await File.ReadAllTextAsync(KubeconfigOf(folder, member), cancel);
            await PoolInstallation.PutStaticClassAsync(management, options, name, kubeconfigs, cancel: cancel);
        }
        pool = Task.Run(
            () => PoolController.RunAsync(management, options with { Install = false }, stop.Token), CancellationToken.None);
    }
}
