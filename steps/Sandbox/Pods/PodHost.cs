using System.Net;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Services;

namespace CiSteps.Sandbox.Pods;

/// <summary>How a cluster's pods are run.</summary>
public sealed record PodHostOptions
{
    /// <summary>The cluster's name; shown in labels.</summary>
    public required string Cluster { get; init; }

    /// <summary>The nodes; all of them are this machine.</summary>
    public IReadOnlyList<SandboxNode> Nodes { get; init; } = [new("node-1")];

    /// <summary>Issues tokens for pods; null to mount none.</summary>
    public IssueToken? Tokens { get; init; }

    /// <summary>The engine's address; null for the usual one.</summary>
    public string? Engine { get; init; }

    /// <summary>Takes one line per unforeseen failure.</summary>
    public Action<string>? Report { get; init; }
}

/// <summary>
/// One cluster's part of this machine's container engine: its network, its router, its pods. Disposing removes all of it.
/// </summary>
public sealed class PodHost : IAsyncDisposable
{
    private const string ClusterLabel = "dev.cisteps.sandbox";

    private readonly IContainerRuntime runtime;
    private readonly ClusterNetwork network;
    private readonly string session;
    private readonly string folder;
    private readonly Task<int> router;

    private PodHost(
        IContainerRuntime runtime,
        ClusterNetwork network,
        string session,
        string folder,
        Task<int> router,
        Func<ClusterApi, CancellationToken, Task> run)
    {
        this.runtime = runtime;
        this.network = network;
        this.session = session;
        this.folder = folder;
        this.router = router;
        Components = [new Everything(run)];
    }

    /// <summary>First three octets of all service addresses, with a dot at the end.</summary>
    public string ServiceIpPrefix => network.ServicePrefix;

    /// <summary>
    /// Nodes, scheduler, kubelet and service router; run these with the cluster and let them end before disposing.
    /// </summary>
    internal IReadOnlyList<IClusterComponent> Components { get; }

    /// <summary>Returns when the router runs, which <see cref="OpenAsync"/> does not wait for.</summary>
    /// <exception cref="UnavailableException">The engine does not start it.</exception>
    public async Task ReadyAsync(CancellationToken cancel = default)
    {
        try
        {
            await router.WaitAsync(cancel).ConfigureAwait(false);
        }
        catch (RuntimeRefusalException e)
        {
            throw new UnavailableException("engine", $"the engine does not run the sandbox's router: {e.Message}", e);
        }
    }

    /// <summary>
    /// Removes what sandboxes of dead processes left, makes this cluster's network and begins to start its router.
    /// </summary>
    /// <exception cref="UsageException">This is not Linux, not root, or the engine is another machine's.</exception>
    /// <exception cref="UnavailableException">No engine answers.</exception>
    public static async Task<PodHost> OpenAsync(
        PodHostOptions options, TimeProvider? time = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var clock = time ?? TimeProvider.System;
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess)
            throw new UsageException(
                "the sandbox needs Linux and root, because its services listen inside a container's network; run it with sudo, " +
                "or give a real cluster's kubeconfig");
        var engine = await ContainerEngine.ConnectAsync(options.Engine, cancel).ConfigureAwait(false);
        if (!engine.IsLocal)
        {
            engine.Dispose();
            throw new UsageException(
                $"the sandbox needs a container engine on this machine, and the one at {engine.Location} is another machine's; "
                    + $"set {EngineLocation.HostVariable} to one here, or give a real cluster's kubeconfig");
        }

        var runtime = new EngineRuntime(engine);
        var session = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));
        var folder = SandboxRemains.FolderOf(session);
        var memory = SandboxRemains.MemoryFolderOf(session);
        var labels = new Dictionary<string, string>
        {
            [ClusterLabel] = options.Cluster,
            [SandboxRemains.SessionLabel] = session,
            [SandboxRemains.OwnerLabel] = SandboxOwner.Current,
            [SandboxRemains.FolderLabel] = folder,
        };
        try
        {
            var asking = engine.VersionAsync(cancel);
            var report = options.Report ?? (static _ => { });
            try
            {
                await SandboxRemains.SweepAsync(runtime, cancel).ConfigureAwait(false);
            }
            catch (UnavailableException e) when (e.InnerException is RuntimeRefusalException or IOException)
            {
                // Somebody holds on to it; that is not a reason not to start.
                report(e.Message);
            }

            var version = await asking.ConfigureAwait(false);
            var network = await CreateNetworkAsync(runtime, session, labels, cancel).ConfigureAwait(false);
            // After the network, by whose label the next start finds the folders when this process is killed.
            SandboxRemains.MakePrivate(folder);
            if (memory is not null)
                SandboxRemains.MakePrivate(memory);
            // Half of what a start takes, so it goes on while the API starts.
            var router = StartRouterAsync(runtime, network, session, labels, cancel);
            return new(runtime, network, session, folder, router, async (api, ct) =>
            {
                var process = await router.ConfigureAwait(false);
                var events = new EventRecorder(api, "kubelet", clock);
                var tokens = options.Tokens is { } issue ? new PodTokens(issue, clock) : null;
                var context = new KubeletContext(
                    api,
                    runtime,
                    network,
                    events,
                    clock,
                    folder,
                    memory ?? Path.Combine(folder, "memory"),
                    labels,
                    tokens,
                    report);
                await Task.WhenAll(
                    new Nodes(options.Nodes, network, version, clock).RunAsync(api, ct),
                    new Scheduler(clock, report).RunAsync(api, ct),
                    new Kubelet(context, $"{SandboxRemains.SessionLabel}={session}").RunAsync(api, ct),
                    new ServiceRouter(network, process, clock, report).RunAsync(api, ct)).ConfigureAwait(false);
            });
        }
        catch
        {
            await SandboxRemains.RemoveAsync(runtime, session, folder).ConfigureAwait(false);
            await runtime.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await ((Task)router).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await SandboxRemains.RemoveAsync(runtime, session, folder).ConfigureAwait(false);
        await runtime.RemoveImagesAsync(PauseImage.Label, CancellationToken.None).ConfigureAwait(false);
        await runtime.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Removes everything on the engine that sandboxes of dead processes left.</summary>
    /// <returns>How many containers and networks that were.</returns>
    /// <exception cref="UnavailableException">No engine answers.</exception>
    public static async Task<int> SweepAsync(CancellationToken cancel = default)
    {
        await using var runtime = new EngineRuntime(await ContainerEngine.ConnectAsync(cancel: cancel).ConfigureAwait(false));
        var before = await CountAsync().ConfigureAwait(false);
        await SandboxRemains.SweepAsync(runtime, cancel).ConfigureAwait(false);
        await runtime.RemoveImagesAsync(PauseImage.Label, cancel).ConfigureAwait(false);
        return before - await CountAsync().ConfigureAwait(false);

        async Task<int> CountAsync() =>
            (await runtime.ListAsync(SandboxRemains.OwnerLabel, cancel).ConfigureAwait(false))
                .Concat<object>(await runtime.ListNetworksAsync(SandboxRemains.OwnerLabel, cancel).ConfigureAwait(false))
                .Count();
    }

    private static async Task<int> StartRouterAsync(
        EngineRuntime runtime, ClusterNetwork network, string session, Dictionary<string, string> labels, CancellationToken ct)
    {
        var router = await PauseImage.CreateAsync(runtime, new($"ci-steps-router-{session}", PauseImage.Reference)
        {
            Network = network.Name,
            Address = network.RouterAddress,
            Labels = labels,
        }, ct).ConfigureAwait(false);
        await runtime.StartAsync(router, ct).ConfigureAwait(false);
        return (await runtime.InspectAsync(router, ct).ConfigureAwait(false))?.Pid
            ?? throw new RuntimeRefusalException("it ended at once");
    }

    private static async Task<ClusterNetwork> CreateNetworkAsync(
        EngineRuntime runtime, string session, Dictionary<string, string> labels, CancellationToken ct)
    {
        var taken = NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(i => i.GetIPProperties().UnicastAddresses)
            .Select(a => a.Address.ToString())
            .ToList();
        // A different start for each process, so that two that start together seldom try the same.
        var start = RandomNumberGenerator.GetInt32(0, 864);
        for (var i = 0; i < 864; i++)
        {
            var slot = (start + i) % 864;
            var network = new ClusterNetwork($"ci-steps-{session}", $"10.{201 + (slot / 16)}", slot % 16 * 16);
            if (taken.Exists(
                a => a.StartsWith(network.First + ".", StringComparison.Ordinal)
                    && IPNetwork.Parse(network.Subnet).Contains(IPAddress.Parse(a))))
                continue;
            if (await runtime.TryCreateNetworkAsync(
                new(network.Name, network.Subnet, network.PodRange, network.Gateway, labels), ct).ConfigureAwait(false))
                return network;
        }

        throw new UnavailableException("engine",
            "no free address range for a sandbox network between 10.201.0.0 and 10.254.255.255; " +
            "stop other sandboxes or remove unused networks of the engine");
    }

    private sealed class Everything(Func<ClusterApi, CancellationToken, Task> run) : IClusterComponent
    {
        public Task RunAsync(ClusterApi api, CancellationToken cancel) => run(api, cancel);
    }
}
