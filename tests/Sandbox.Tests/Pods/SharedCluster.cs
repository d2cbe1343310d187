namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>One cluster for all tests of this namespace: two nodes, the second one smaller.</summary>
[SetUpFixture]
public sealed class SharedCluster
{
    internal static RunningCluster Cluster { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => Cluster = await RunningCluster.StartAsync([new("node-1"), new("node-2", 2, 2L << 30)]);

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        var reports = Cluster.Reports.ToList();
        await Cluster.DisposeAsync();
        Assert.That(reports, Is.Empty, "controllers and kubelet had nothing unforeseen to report");
    }
}
