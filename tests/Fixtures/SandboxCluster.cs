using CiSteps.Sandbox;

namespace CiSteps.Fixtures;

/// <summary>A cluster of its own for a test: the API over HTTPS, without pods unless they are asked for.</summary>
public sealed class SandboxFixture : IAsyncDisposable
{
    private SandboxFixture(SandboxCluster cluster) => Cluster = cluster;

    /// <summary>The cluster.</summary>
    public SandboxCluster Cluster { get; }

    /// <summary>A kubeconfig for an administrator; the file goes with the cluster.</summary>
    public string KubeconfigPath => Cluster.KubeconfigPath;

    /// <summary>Text of the same.</summary>
    public string Kubeconfig => Cluster.Kubeconfig;

    /// <summary>Where the API is.</summary>
    public string Url => Cluster.Url;

    /// <summary>Brings a cluster up on a free port.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="pods">Whether pods really run, on the machine's engine.</param>
    /// <param name="time">Its clock.</param>
    /// <param name="controllers">Whether controllers run although pods do not.</param>
    public static async Task<SandboxFixture> StartAsync(
        string name = "test", bool pods = false, TimeProvider? time = null, bool controllers = false) =>
        new(await SandboxCluster.StartAsync(
            new SandboxOptions { Name = name, Pods = pods, Controllers = controllers, Log = Console.Error.WriteLine }, time));

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
