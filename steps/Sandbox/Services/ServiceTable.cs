using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Services;

/// <summary>An endpoint of a service.</summary>
/// <param name="Address">Its address.</param>
/// <param name="Hostname">Its stable name under a headless service, or null.</param>
/// <param name="Ready">Whether it takes new connections.</param>
/// <param name="Serving">Whether it would, were it not ending.</param>
/// <param name="Ports">Port numbers by the names of the service's ports.</param>
internal sealed record ServiceEndpoint(
    IPAddress Address,
    string? Hostname,
    bool Ready,
    bool Serving,
    IReadOnlyDictionary<string, int> Ports);

/// <summary>
/// All services and their endpoints as last seen; read by the proxy for each connection and by the name server for each question.
/// </summary>
internal sealed class ServiceTable
{
    private readonly ConcurrentDictionary<ObjectKey, JsonObject> services = [];
    private readonly ConcurrentDictionary<ObjectKey, ConcurrentDictionary<string, IReadOnlyList<ServiceEndpoint>>> slices = [];

    public IEnumerable<JsonObject> Services => services.Values;

    public JsonObject? Find(ObjectKey key) => services.GetValueOrDefault(key);

    public void Set(JsonObject service, bool gone)
    {
        if (gone)
            services.TryRemove(service.Key(), out _);
        else
            services[service.Key()] = service;
    }

    /// <summary>Takes in a slice and gives the service that it belongs to.</summary>
    public ObjectKey? SetSlice(JsonObject slice, bool gone)
    {
        if (slice.Label("kubernetes.io/service-name") is not { } name)
            return null;
        var key = new ObjectKey(slice.Namespace(), name);
        var slices = this.slices.GetOrAdd(key, _ => new());
        if (!gone)
            slices[slice.Name()] = Read(slice);
        else if (slices.TryRemove(slice.Name(), out _) && slices.IsEmpty)
            this.slices.TryRemove(key, out _);
        return key;
    }

    public IEnumerable<ServiceEndpoint> Endpoints(ObjectKey service) =>
        this.slices.TryGetValue(service, out var slices) ? slices.Values.SelectMany(e => e) : [];

    /// <summary>Where new connections to a port go: ready endpoints; when all are ending, those that still serve.</summary>
    public IReadOnlyList<IPEndPoint> Targets(ObjectKey service, string port)
    {
        var all = Endpoints(service).Where(e => e.Ports.ContainsKey(port)).ToList();
        var ready = all.Where(e => e.Ready).ToList();
        return [.. (ready.Count > 0 ? ready : all.Where(e => e.Serving)).Select(e => new IPEndPoint(e.Address, e.Ports[port]))];
    }

    private static List<ServiceEndpoint> Read(JsonObject slice)
    {
        var ports = slice.Objs("ports").Where(p => (p.Str("protocol") ?? "TCP") == "TCP" && p.Num("port") is not null)
            .GroupBy(p => p.Str("name") ?? "").ToDictionary(g => g.Key, g => g.First().Int(0, "port"));
        var endpoints = new List<ServiceEndpoint>();
        foreach (var endpoint in slice.Objs("endpoints"))
        {
            var conditions = endpoint.Obj("conditions");
            // Absent means true for readiness.
            var ready = conditions.At("ready") is null || conditions.Flag("ready");
            var serving = conditions.At("serving") is null ? ready : conditions.Flag("serving");
            foreach (var text in endpoint.Strs("addresses"))
            {
                if (IPAddress.TryParse(text, out var address))
                    endpoints.Add(new(address, endpoint.Str("hostname"), ready, serving, ports));
            }
        }

        return endpoints;
    }
}
