using CiSteps.Sandbox;
using CiSteps.Sandbox.Api;

namespace CiSteps.Fixtures;

/// <summary>A cluster of its own for a test: the API over HTTPS, without nodes unless components are given.</summary>
public sealed class SandboxFixture : IAsyncDisposable
{
    private SandboxFixture(SandboxCluster cluster) => Cluster = cluster;

    /// <summary>The cluster; its <c>Api</c> reads and writes objects in process.</summary>
    public SandboxCluster Cluster { get; }

    /// <summary>A kubeconfig for an administrator; the file goes with the cluster.</summary>
    public string KubeconfigPath => Cluster.KubeconfigPath;

    /// <summary>Text of the same.</summary>
    public string Kubeconfig => Cluster.Kubeconfig;

    /// <summary>Where the API is.</summary>
    public string Url => Cluster.Url;

    /// <summary>Brings a cluster up on a free port.</summary>
    public static async Task<SandboxFixture> StartAsync(
        string name = "test", Func<SandboxOptions, IReadOnlyList<IClusterComponent>>? components = null, TimeProvider? time = null) =>
        new(await SandboxCluster.StartAsync(new SandboxOptions { Name = name, Components = components, Log = Console.Error.WriteLine }, time));

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
