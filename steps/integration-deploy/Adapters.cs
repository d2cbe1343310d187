using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Testbeds.Claims;

namespace CiSteps.IntegrationDeploy;

/// <summary>The real world behind the step's ports.</summary>
internal static class Adapters
{
    /// <summary>Settings of what is reached.</summary>
    public static IReadOnlyList<StepOption> Options { get; } = [RegistryOptions.CertificateAuthority, .. TestbedAccess.Options];

    /// <summary>Registries, the pool and clusters as they are.</summary>
    public static Ports World { get; } = new(
        (context, pipeline) => new Registry(RegistryClient.Open(
            context, pipeline.Registry.PlainHttp, pipeline.Registry.Push, pipeline.Registry.Pull)),
        async (context, cancel) => new Pool(await TestbedAccess.OpenAsync(context, cancel), context),
        async (kubeconfig, log, time, cancel) => new TestCluster(await Cluster.ConnectAsync(kubeconfig, log, time, cancel)));

    private sealed class Registry(RegistryClient client) : IImages
    {
        public Task<string?> FindDigestAsync(ImageReference image, CancellationToken cancel) =>
            client.FindDigestAsync(image, cancel);

        public async Task<IReadOnlyCollection<string>> DigestsOfAsync(ImageReference image, CancellationToken cancel) =>
            await client.FindImageAsync(image, cancel) is { } found
                ? [image.Digest!, .. found.KnownAs.Where(other => other != image.Digest)] : [image.Digest!];

        public void Dispose() => client.Dispose();
    }

    private sealed class Pool(ITestbeds testbeds, StepContext context) : IPool
    {
        // reserve-testbed did the long waiting; here only a lapsed lease is repaired.
        private static readonly TimeSpan RepairWait = TimeSpan.FromMinutes(5);

        public async Task<ITestbed> PickUpAsync(HeldTestbed held, CancellationToken cancel) =>
            new Testbed(testbeds, await testbeds.PickUpAsync(held, context.Run!, RepairWait, context.Log, cancel));

        public void Dispose() => testbeds.Dispose();
    }

    private sealed class Testbed(ITestbeds testbeds, LeasedTestbed leased) : ITestbed
    {
        public HeldTestbed Held => leased.Held;

        public string Kubeconfig => leased.Kubeconfig;

        public TestbedScope Scope => leased.Scope;

        public string? Namespace => leased.Namespace;

        public CancellationToken Lost { get; } = leased.Lost;

        public async Task ReleaseAsync(CancellationToken cancel) => await testbeds.ReleaseAsync(leased.Held.Claim, cancel);

        public ValueTask DisposeAsync() => leased.DisposeAsync();
    }

    private sealed class TestCluster(Cluster cluster) : ITestCluster
    {
        private static readonly TimeSpan LeftoverLimit = TimeSpan.FromMinutes(2);

        public async Task PrepareAsync(
            string ns,
            TestbedScope scope,
            IReadOnlyDictionary<string, string> labels,
            DateTimeOffset expires,
            CancellationToken cancel)
        {
            if (scope == TestbedScope.Namespace)
            {
                // The namespace is the pool's; only what an earlier run of this chain left in it is in the way.
                await CleanAsync(ns, scope, labels, LeftoverLimit, cancel);
                return;
            }
            if (await cluster.DeleteNamespaceAsync(ns, LeftoverLimit, cancel))
                cluster.Log.Info($"removed what an earlier run left in namespace \"{ns}\"");
            await cluster.CreateNamespaceAsync(ns, labels, expires, LeftoverLimit, cancel);
        }

        public Task<StepFailure?> ApplyAsync(ManifestSet manifests, CancellationToken cancel) =>
            cluster.ApplyAsync(manifests, dryRun: false, cancel);

        public Task<RolloutResult> RollOutAsync(RolloutTarget target, BuildLog log, CancellationToken cancel) =>
            Rollout.WatchAsync(cluster, target, log, cancel);

        public Task<TestJobResult> RunJobAsync(
            Manifest job, TimeSpan timeLimit, BuildLog log, Action<string> onLine, CancellationToken cancel) =>
            TestJob.RunAsync(cluster, job, timeLimit, log, onLine, cancel);

        public Task DiagnoseAsync(string ns, string folder, BuildLog log, CancellationToken cancel) =>
            Diagnosis.CollectAsync(cluster, ns, folder, log, cancel);

        public async Task CleanAsync(
            string ns, TestbedScope scope, IReadOnlyDictionary<string, string> labels, TimeSpan limit, CancellationToken cancel)
        {
            var selector = $"{Labels.Chain}={labels[Labels.Chain]},{Labels.Suite}={labels[Labels.Suite]}";
            if (scope == TestbedScope.Namespace)
            {
                foreach (var item in await cluster.DeleteByLabelAsync(selector, ns, cancel))
                    await cluster.AwaitGoneAsync(item.Kind, item.Namespace, item.Name, limit, cancel);
                return;
            }
            // What the suite put outside its namespace carries its labels.
            await cluster.DeleteByLabelAsync(selector, null, cancel);
            await cluster.DeleteNamespaceAsync(ns, limit, cancel);
        }

        public void Dispose() => cluster.Dispose();
    }
}
