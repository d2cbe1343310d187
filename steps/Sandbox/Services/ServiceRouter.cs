using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox.Services;

/// <summary>
/// The cluster's services: a TCP proxy on each service's address and node port, and the name server. One container owns all
/// service addresses; its
/// sockets are served from this process. TCP only.
/// </summary>
/// <param name="network">The cluster's network.</param>
/// <param name="processId">The process of the container that owns the service addresses.</param>
/// <param name="time">The clock of retries.</param>
/// <param name="report">Takes one line per port that cannot be served; each attempt is an event of the service besides.</param>
internal sealed class ServiceRouter(ClusterNetwork network, int processId, TimeProvider time, Action<string> report)
    : IClusterComponent
{
    private readonly NetworkNamespace ns = new(processId);
    private readonly ServiceTable table = new();
    private readonly Dictionary<ObjectKey, Dictionary<IPEndPoint, (string PortName, ServiceListener Listener)>> listeners = [];
    private readonly HashSet<(ObjectKey Service, IPEndPoint Address)> refused = [];
    private readonly Dictionary<ObjectKey, int> turns = [];

    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        using var changed = new WorkQueue(time);
        var feed = new ClusterFeed(api, time);
        feed.On(Kinds.Services, (service, gone) =>
        {
            table.Set(service, gone);
            changed.Add(service.Key());
        });
        feed.On(Kinds.EndpointSlices, (slice, gone) => table.SetSlice(slice, gone));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        try
        {
            await ns.OwnAsync(IPAddress.Parse(network.ServicePrefix + "0"), 24).ConfigureAwait(false);
            await using var names = await NameServer.StartAsync(ns, network, table, time, cancel).ConfigureAwait(false);
            await Task.WhenAll(
                feed.RunAsync(cancel), FollowAsync(changed, new(api, "service-router", time), end.Token)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The cluster stops.
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            foreach (var (_, listener) in listeners.Values.SelectMany(l => l.Values))
                await listener.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task FollowAsync(WorkQueue changed, EventRecorder events, CancellationToken end)
    {
        await foreach (var key in changed.Ready.ReadAllAsync(end).ConfigureAwait(false))
        {
            changed.Begin(key);
            if (!await ServeAsync(key, table.Find(key), events, end).ConfigureAwait(false))
                changed.Retry(key);
            else
                changed.Succeeded(key);
        }
    }

    /// <summary>Listens where the service asks for it; false when that has to be tried again.</summary>
    private async Task<bool> ServeAsync(ObjectKey key, JsonObject? service, EventRecorder events, CancellationToken end)
    {
        var wanted = service is null ? [] : Wanted(service);
        var complete = true;
        if (!listeners.TryGetValue(key, out var present))
            listeners[key] = present = [];
        foreach (var (address, entry) in present
            .Where(p => !wanted.TryGetValue(p.Key, out var name) || name != p.Value.PortName)
            .ToList())
        {
            present.Remove(address);
            await entry.Listener.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var (address, portName) in wanted.Where(w => !present.ContainsKey(w.Key)))
        {
            try
            {
                var socket = IsServiceAddress(address) ? await ns.ListenAsync(address).ConfigureAwait(false) : Listen(address);
                present[address] = (portName, new ServiceListener(socket, client => Targets(key, portName, client), time, end));
                refused.Remove((key, address));
            }
            catch (SocketException e)
            {
                complete = false;
                if (refused.Add((key, address)))
                    report($"service {key}: cannot listen on {address}, trying on: {e.Message}");
                events.Warning(service!, "FailedToListen", $"cannot listen on {address}: {e.Message}");
            }
        }

        if (service is null)
        {
            listeners.Remove(key);
            refused.RemoveWhere(r => r.Service == key);
            lock (turns)
                turns.Remove(key);
        }

        return complete;
    }

    private Dictionary<IPEndPoint, string> Wanted(JsonObject service)
    {
        var wanted = new Dictionary<IPEndPoint, string>();
        foreach (var port in service.Objs("spec", "ports").Where(p => (p.Str("protocol") ?? "TCP") == "TCP"))
        {
            var name = port.Str("name") ?? "";
            if (IPAddress.TryParse(service.Str("spec", "clusterIP"), out var address))
                wanted[new(address, port.Int(0, "port"))] = name;
            if (service.Str("spec", "type") is "NodePort" or "LoadBalancer" && port.Num("nodePort") is { } node and > 0)
            {
                // From this machine under either name of a node; the bridge's own address is reachable from here and from pods
                // only.
                wanted[new(IPAddress.Loopback, (int)node)] = name;
                wanted[new(IPAddress.Parse(network.Gateway), (int)node)] = name;
            }
        }

        return wanted;
    }

    private bool IsServiceAddress(IPEndPoint address) =>
        address.Address.ToString().StartsWith(network.ServicePrefix, StringComparison.Ordinal);

    private static Socket Listen(IPEndPoint address)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // No ReuseAddress: here it would let another sandbox share the node port and take half of its connections.
            socket.Bind(address);
            socket.Listen(512);
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Ready endpoints, each time beginning with the next one; with client affinity always in the client's own order.
    /// </summary>
    private IReadOnlyList<IPEndPoint> Targets(ObjectKey key, string portName, IPEndPoint? client)
    {
        var targets = table.Targets(key, portName);
        if (targets.Count < 2)
            return targets;
        int first;
        if (table.Find(key).Str("spec", "sessionAffinity") == "ClientIP" && client is not null)
            first = (client.Address.GetHashCode() & int.MaxValue) % targets.Count;
        else
        {
            lock (turns)
                first = (turns[key] = (turns.GetValueOrDefault(key) + 1) & int.MaxValue) % targets.Count;
        }

        return [.. targets.Skip(first), .. targets.Take(first)];
    }
}
