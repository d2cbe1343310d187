using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Settings;

namespace CiSteps.IntegrationDeploy;

/// <summary>The real world behind the step's ports.</summary>
internal static class Adapters
{
    /// <summary>Settings of what is reached.</summary>
    public static IReadOnlyList<Setting> Settings { get; } = [];

    /// <summary>Registries, the pool and clusters as they are.</summary>
    public static World World { get; } = new(
        (_, _) => throw new UnavailableException("registry", "pending"),
        (_, _) => throw new UnavailableException("testbeds", "pending"),
        async (kubeconfig, log, time, cancel) => new TestCluster(await Cluster.ConnectAsync(kubeconfig, log, time, cancel).ConfigureAwait(false)));

    private sealed class TestCluster(Cluster cluster) : ITestCluster
    {
        private static readonly TimeSpan leftoverLimit = TimeSpan.FromMinutes(2);

        public async Task PrepareAsync(string ns, TestbedScope scope, IReadOnlyDictionary<string, string> labels, DateTimeOffset expires, CancellationToken cancel)
        {
            if (scope == TestbedScope.Namespace)
            {
                // The namespace is the pool's; only what an earlier run of this chain left in it is in the way.
                await CleanAsync(ns, scope, labels, leftoverLimit, cancel).ConfigureAwait(false);
                return;
            }
            if (await cluster.DeleteNamespaceAsync(ns, leftoverLimit, cancel).ConfigureAwait(false)) cluster.Log.Info($"removed what an earlier run left in namespace \"{ns}\"");
            await cluster.CreateNamespaceAsync(ns, labels, expires, leftoverLimit, cancel).ConfigureAwait(false);
        }

        public Task<DeployFailure?> ApplyAsync(ManifestSet manifests, CancellationToken cancel) => cluster.ApplyAsync(manifests, dryRun: false, cancel);

        public Task<RolloutResult> RollOutAsync(RolloutTarget target, BuildLog log, CancellationToken cancel) => Rollout.WatchAsync(cluster, target, log, cancel);

        public Task<TestJobResult> RunJobAsync(Manifest job, TimeSpan timeLimit, BuildLog log, Action<string> onLine, CancellationToken cancel) =>
            TestJob.RunAsync(cluster, job, timeLimit, log, onLine, cancel);

        public Task DiagnoseAsync(string ns, string folder, BuildLog log, CancellationToken cancel) => Diagnosis.CollectAsync(cluster, ns, folder, log, cancel);

        public async Task CleanAsync(string ns, TestbedScope scope, IReadOnlyDictionary<string, string> labels, TimeSpan limit, CancellationToken cancel)
        {
            var selector = $"{Labels.Chain}={labels[Labels.Chain]},{Labels.Suite}={labels[Labels.Suite]}";
            if (scope == TestbedScope.Namespace)
            {
                foreach (var item in await cluster.DeleteByLabelAsync(selector, ns, cancel).ConfigureAwait(false))
                    await cluster.AwaitGoneAsync(item.Kind, item.Namespace, item.Name, limit, cancel).ConfigureAwait(false);
                return;
            }
            // What the suite put outside its namespace carries its labels.
            await cluster.DeleteByLabelAsync(selector, null, cancel).ConfigureAwait(false);
            await cluster.DeleteNamespaceAsync(ns, limit, cancel).ConfigureAwait(false);
        }

        public void Dispose() => cluster.Dispose();
    }
}
