using System.Collections.ObjectModel;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Http;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox;

/// <summary>A running sandbox cluster. Disposing it stops everything that it started.</summary>
public sealed class SandboxCluster : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> running = [];
    private readonly SandboxOptions options;
    private readonly TimeProvider time;
    private readonly Authority authority;
    private readonly PodHost? pods;
    private string? ownFolder;
    private ApiServer? server;

    private SandboxCluster(SandboxOptions options, TimeProvider time, Authority authority, ClusterApi api, PodHost? pods) =>
        (this.options, this.time, this.authority, Api, this.pods) = (options, time, authority, api, pods);

    /// <summary>The cluster's objects, in process.</summary>
    internal ClusterApi Api { get; }

    /// <summary>Name of the cluster.</summary>
    public string Name => options.Name;

    /// <summary>Where the API is, without a slash at the end.</summary>
    public string Url => server!.Url;

    /// <summary>Text of a kubeconfig for an administrator. It holds a private key.</summary>
    public string Kubeconfig { get; private set; } = "";

    /// <summary>The file that holds <see cref="Kubeconfig"/>, readable by its owner only.</summary>
    public string KubeconfigPath { get; private set; } = "";

    /// <summary>
    /// Brings a cluster up: the API first, then its components. Throws <see cref="IOException"/> when the port is taken
    /// or the kubeconfig cannot be written; then nothing is left running.
    /// </summary>
    public static async Task<SandboxCluster> StartAsync(
        SandboxOptions options, TimeProvider? time = null, CancellationToken cancel = default)
    {
        time ??= TimeProvider.System;
        // Beside the engine's part, which mostly waits for the engine.
        var preparing = Task.Run(() =>
        {
            var authority = new Authority(options.Name, time);
            return (
                Authority: authority, Api: new ClusterApi(options.Api, time) { RootCertificatePem = authority.CertificatePem });
        }, CancellationToken.None);
        // Pods need tokens of an API that takes its addresses from the pods' network: the knot is tied when both are there.
        SandboxCluster? started = null;
        PodHost? pods = null;
        if (options.Pods)
        {
            try
            {
                pods = await PodHost.OpenAsync(new PodHostOptions
                {
                    Cluster = options.Name,
                    Nodes = options.Nodes,
                    Report = options.Log,
                    Tokens = (ns, account, audience, life, pod, uid) => started!.Api.IssueToken(
                        ns, account, audience, life, pod, uid),
                }, time, cancel).ConfigureAwait(false);
            }
            catch
            {
                var (unusedAuthority, unusedApi) = await preparing.ConfigureAwait(false);
                unusedApi.Dispose();
                unusedAuthority.Dispose();
                throw;
            }
        }
        var (authority, api) = await preparing.ConfigureAwait(false);
        if (pods is not null)
            api.ServiceIpPrefix = pods.ServiceIpPrefix;
        var cluster = started = new SandboxCluster(options, time, authority, api, pods);
        try
        {
            await cluster.StartAsync(cancel).ConfigureAwait(false);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// A kubeconfig for somebody else: a certificate of the cluster's authority with this user and these groups.
    /// </summary>
    public string CreateKubeconfig(string user, params IReadOnlyList<string> groups) =>
        Sandbox.Kubeconfig.Text(Name, Url, authority.CertificatePem, authority.IssueClient(user, groups));

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(running).ConfigureAwait(false);
        if (server is not null)
            await server.DisposeAsync().ConfigureAwait(false);
        if (pods is not null)
            await pods.DisposeAsync().ConfigureAwait(false);
        Api.Dispose();
        authority.Dispose();
        stop.Dispose();
        if (KubeconfigPath.Length > 0)
            File.Delete(KubeconfigPath);
        if (ownFolder is not null)
            Directory.Delete(ownFolder, true);
    }

    private async Task StartAsync(CancellationToken cancel)
    {
        server = await ApiServer.StartAsync(
            Api, authority, options.Port, ReadOnlyDictionary<string, UserInfo>.Empty, options.Log, cancel).ConfigureAwait(false);
        Kubeconfig = CreateKubeconfig("kubernetes-admin", "system:masters");
        var path = options.KubeconfigPath;
        if (path is null)
        {
            ownFolder = Directory.CreateTempSubdirectory("cisteps-sandbox-").FullName;
            path = Path.Combine(ownFolder, "kubeconfig");
        }
        Sandbox.Kubeconfig.Write(path, Kubeconfig);
        KubeconfigPath = Path.GetFullPath(path);
        Run(ClusterApi.CreateComponents());
        if (options.Controllers || options.Pods)
            Run([new ControllerSet(time, options.Log, authority.CertificatePem)]);
        if (pods is not null)
            Services.ApiService.Publish(Api, new Uri(Url));
        if (pods is not null)
            await pods.ReadyAsync(cancel).ConfigureAwait(false);
        Run(pods?.Components ?? []);
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
