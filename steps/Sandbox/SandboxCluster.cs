using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox;

/// <summary>A running sandbox cluster. Disposing it stops everything that it started.</summary>
public sealed class SandboxCluster : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> running = [];
    private readonly SandboxOptions options;

    private SandboxCluster(SandboxOptions options, TimeProvider time)
    {
        this.options = options;
        Api = new ClusterApi(options.Api, time);
    }

    /// <summary>The cluster's objects, in process.</summary>
    public ClusterApi Api { get; }

    /// <summary>Name of the cluster.</summary>
    public string Name => options.Name;

    /// <summary>Brings a cluster up: the API first, then its components.</summary>
    public static Task<SandboxCluster> StartAsync(SandboxOptions options, TimeProvider? time = null, CancellationToken cancel = default)
    {
        cancel.ThrowIfCancellationRequested();
        var cluster = new SandboxCluster(options, time ?? TimeProvider.System);
        cluster.Run(ClusterApi.CreateComponents());
        cluster.Run(options.Components?.Invoke(options) ?? []);
        return Task.FromResult(cluster);
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(running).ConfigureAwait(false);
        stop.Dispose();
    }

    private void Run(IEnumerable<IClusterComponent> components)
    {
        foreach (var component in components)
            running.Add(Task.Run(() => RunAsync(component)));
    }

    private async Task RunAsync(IClusterComponent component)
    {
        try
        {
            await component.RunAsync(Api, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The way it is meant to end.
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // One broken component must not take the others or the host down; the log names it.
            options.Log?.Invoke($"sandbox component {component.GetType().Name} ended: {e}");
        }
    }
}
