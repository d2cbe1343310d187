using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Keeps each service's EndpointSlice and Endpoints in line with its pods' readiness.</summary>
internal sealed class EndpointController
{
    private const string ServiceLabel = "kubernetes.io/service-name";
    private const string ManagedByLabel = "endpointslice.kubernetes.io/managed-by";
    private const string Manager = "endpointslice-controller.k8s.io";

    private readonly ClusterApi api;

    public EndpointController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        Loop = new("endpoints", time, report, Reconcile);
        feed.On(Kinds.Services, (service, _) => Loop.Add(service.Key()));
        feed.On(Kinds.Pods, (pod, _) =>
        {
            foreach (var service in api.List(Kinds.Services, pod.Namespace()).Items)
            {
                if (Selects(service, pod))
                    Loop.Add(service.Key());
            }
        });
    }

    public ReconcileLoop Loop { get; }

    private static bool Selects(JsonObject service, JsonObject pod) =>
        service.Obj("spec", "selector") is { Count: > 0 }
            && service.Map("spec", "selector").All(s => pod.Label(s.Key) == s.Value);

    private TimeSpan? Reconcile(ObjectKey key)
    {
        var service = api.Get(Kinds.Services, key.Namespace, key.Name);
        if (service is null || service.IsBeingDeleted())
        {
            // The slice follows by its owner reference; Endpoints have none and go with the service's name.
            if (api.Get(Kinds.Endpoints, key.Namespace, key.Name) is { } orphan
                && orphan.Label(ManagedByLabel) is null
                && service is null)
                Remove(Kinds.Endpoints, orphan);
            foreach (var slice in Slices(key).Where(
                s => service is null || Ownership.ControllerOf(s).Str("uid") == service.Uid()))
                Remove(Kinds.EndpointSlices, slice);
            return null;
        }

        if (service.Obj("spec", "selector") is not { Count: > 0 } || service.Str("spec", "type") == "ExternalName")
            return null;
        var pods = api.List(Kinds.Pods, key.Namespace, LabelSelector.Of(service.Map("spec", "selector"))).Items
            .Where(p => p.Str("status", "podIP") is not null && !PodReading.IsFinished(p))
            .OrderBy(p => p.Name(), StringComparer.Ordinal).ToList();
        // A named port may be another number in each pod: one group per set of numbers, as the real controller makes one slice
        // per set.
        var groups = pods.GroupBy(p => PortKey(service, p)).OrderBy(g => g.Key, StringComparer.Ordinal).ToList();
        WriteSlices(service, groups);
        WriteEndpoints(service, groups);
        return null;
    }

    private void WriteSlices(JsonObject service, List<IGrouping<string, JsonObject>> groups)
    {
        var present = Slices(service.Key())
            .Where(s => Ownership.ControllerOf(s).Str("uid") == service.Uid())
            .OrderBy(s => s.Name(), StringComparer.Ordinal)
            .ToList();
        var wanted = groups.Select(g => (Ports: PortsOf(service, g.First()), Pods: g.ToList())).ToList();
        if (wanted.Count == 0)
            wanted.Add((PortsOf(service, null), []));
        for (var i = 0; i < Math.Max(present.Count, wanted.Count); i++)
        {
            if (i >= wanted.Count)
            {
                Remove(Kinds.EndpointSlices, present[i]);
                continue;
            }

            var endpoints = Fields.ListOf(wanted[i].Pods.Select(p => (JsonNode)Endpoint(service, p)));
            var ports = Fields.ListOf(wanted[i].Ports.Select(
                p => (JsonNode)new JsonObject { ["name"] = p.Name, ["port"] = p.Port, ["protocol"] = p.Protocol }));
            if (i < present.Count)
            {
                if (JsonNode.DeepEquals(present[i]["endpoints"], endpoints) && JsonNode.DeepEquals(present[i]["ports"], ports))
                    continue;
                present[i]["endpoints"] = endpoints;
                present[i]["ports"] = ports;
                api.Update(Kinds.EndpointSlices, present[i]);
                continue;
            }

            var labels = Fields.MapOf(service.Map("metadata", "labels"));
            labels[ServiceLabel] = service.Name();
            labels[ManagedByLabel] = Manager;
            if (service.Str("spec", "clusterIP") == "None")
                labels["service.kubernetes.io/headless"] = "";
            api.Create(Kinds.EndpointSlices, service.Namespace(), new JsonObject
            {
                ["apiVersion"] = Kinds.EndpointSlices.ApiVersion,
                ["kind"] = Kinds.EndpointSlices.Kind,
                ["metadata"] = new JsonObject
                {
                    ["generateName"] = service.Name() + "-",
                    ["namespace"] = service.Namespace(),
                    ["labels"] = labels,
                    ["ownerReferences"] = Fields.ListOf([Ownership.Reference(service, Kinds.Services)]),
                },
                ["addressType"] = "IPv4",
                ["endpoints"] = endpoints,
                ["ports"] = ports,
            });
        }
    }

    private static JsonObject Endpoint(JsonObject service, JsonObject pod)
    {
        var serving = PodReading.IsReady(pod);
        var terminating = pod.IsBeingDeleted();
        var endpoint = new JsonObject
        {
            ["addresses"] = Fields.ListOf([pod.Str("status", "podIP")!]),
            ["conditions"] = new JsonObject
            {
                ["ready"] = service.Flag("spec", "publishNotReadyAddresses") || (serving && !terminating),
                ["serving"] = serving,
                ["terminating"] = terminating,
            },
            ["targetRef"] = PodReference(pod),
        };
        if (pod.Str("spec", "nodeName") is { } node)
            endpoint["nodeName"] = node;
        if (pod.Str("spec", "hostname") is { } hostname && pod.Str("spec", "subdomain") == service.Name())
            endpoint["hostname"] = hostname;
        return endpoint;
    }

    private static JsonObject PodReference(JsonObject pod) =>
        new() { ["kind"] = "Pod", ["name"] = pod.Name(), ["namespace"] = pod.Namespace(), ["uid"] = pod.Uid() };

    private void WriteEndpoints(JsonObject service, List<IGrouping<string, JsonObject>> groups)
    {
        var subsets = new JsonArray();
        foreach (var group in groups)
        {
            var all = service.Flag("spec", "publishNotReadyAddresses");
            var ready = group.Where(p => all || (PodReading.IsReady(p) && !p.IsBeingDeleted())).ToList();
            var notReady = group.Where(p => !ready.Contains(p) && !p.IsBeingDeleted()).ToList();
            if (ready.Count + notReady.Count == 0)
                continue;
            var subset = new JsonObject();
            if (ready.Count > 0)
                subset["addresses"] = Fields.ListOf(ready.Select(p => (JsonNode)Address(p)));
            if (notReady.Count > 0)
                subset["notReadyAddresses"] = Fields.ListOf(notReady.Select(p => (JsonNode)Address(p)));
            subset["ports"] = Fields.ListOf(PortsOf(service, group.First()).Select(p =>
            {
                var port = new JsonObject();
                if (p.Name.Length > 0)
                    port["name"] = p.Name;
                port["port"] = p.Port;
                port["protocol"] = p.Protocol;
                return (JsonNode)port;
            }));
            subsets.Add((JsonNode?)subset);
        }

        if (api.Get(Kinds.Endpoints, service.Namespace(), service.Name()) is { } present)
        {
            if (JsonNode.DeepEquals(present["subsets"] ?? new JsonArray(), subsets))
                return;
            if (subsets.Count == 0)
                present.Remove("subsets");
            else
                present["subsets"] = subsets;
            api.Update(Kinds.Endpoints, present);
            return;
        }

        var made = new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Endpoints",
            ["metadata"] = new JsonObject
            {
                ["name"] = service.Name(),
                ["namespace"] = service.Namespace(),
                ["labels"] = Fields.MapOf(service.Map("metadata", "labels"))
            },
        };
        if (subsets.Count > 0)
            made["subsets"] = subsets;
        api.Create(Kinds.Endpoints, service.Namespace(), made);
    }

    private static JsonObject Address(JsonObject pod)
    {
        var address = new JsonObject { ["ip"] = pod.Str("status", "podIP") };
        if (pod.Str("spec", "nodeName") is { } node)
            address["nodeName"] = node;
        address["targetRef"] = PodReference(pod);
        return address;
    }

    private static string PortKey(JsonObject service, JsonObject pod) =>
        string.Join(',', PortsOf(service, pod).Select(p => $"{p.Name}:{p.Port}/{p.Protocol}"));

    private static List<(string Name, int Port, string Protocol)> PortsOf(JsonObject service, JsonObject? pod)
    {
        var ports = new List<(string, int, string)>();
        foreach (var port in service.Objs("spec", "ports"))
        {
            var protocol = port.Str("protocol") ?? "TCP";
            var number = Resolve(port["targetPort"], port.Int(0, "port"), protocol, pod);
            if (number is { } found)
                ports.Add((port.Str("name") ?? "", found, protocol));
        }

        return ports;
    }

    private static int? Resolve(JsonNode? target, int port, string protocol, JsonObject? pod)
    {
        if (target.Num() is { } number)
            return number == 0 ? port : (int)number;
        if (target.Str() is not { Length: > 0 } name)
            return port;
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed))
            return parsed;
        return pod.Objs("spec", "containers").SelectMany(c => c.Objs("ports"))
            .Where(p => p.Str("name") == name && (p.Str("protocol") ?? "TCP") == protocol)
            .Select(p => (int?)p.Num("containerPort")).FirstOrDefault();
    }

    private IEnumerable<JsonObject> Slices(ObjectKey service) =>
        api.List(Kinds.EndpointSlices, service.Namespace, LabelSelector.Of([new(ServiceLabel, service.Name)])).Items
            .Where(s => s.Label(ManagedByLabel) == Manager);

    private void Remove(ResourceType type, JsonObject obj)
    {
        try
        {
            api.Delete(type, obj.Namespace(), obj.Name(), new() { PreconditionUid = obj.Uid() });
        }
        catch (ApiException e) when (e.Code == 404)
        {
            // Gone already.
        }
    }
}
