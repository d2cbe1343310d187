using System.Net.NetworkInformation;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Services: defaults, checks, cluster IPs and node ports.</summary>
internal sealed class ServiceRules(ClusterApi api)
{
    public static void Default(JsonObject service)
    {
        var spec = service.Ensure("spec");
        spec.Default("type", "ClusterIP");
        spec.Default("sessionAffinity", "None");
        if (spec.Str("type") == "ExternalName")
            return;
        spec.Default("internalTrafficPolicy", "Cluster");
        if (spec.Str("type") is "NodePort" or "LoadBalancer")
            spec.Default("externalTrafficPolicy", "Cluster");
        if (spec.Str("type") == "LoadBalancer")
            spec.Default("allocateLoadBalancerNodePorts", true);
        spec.Default("ipFamilies", new JsonArray("IPv4"));
        spec.Default("ipFamilyPolicy", "SingleStack");
        foreach (var port in spec.Objs("ports"))
        {
            port.Default("protocol", "TCP");
            port.Default("targetPort", port["port"]?.DeepClone());
        }
    }

    /// <summary>Takes over what an update leaves out and Kubernetes keeps.</summary>
    public static void Keep(JsonObject old, JsonObject service)
    {
        var spec = service.Ensure("spec");
        if (old.Str("spec", "type") == "ExternalName" || spec.Str("type") == "ExternalName")
            return;
        foreach (var field in new[] { "clusterIP", "clusterIPs" })
        {
            if (spec[field] is null or JsonArray { Count: 0 } || spec.Str(field) == "")
                spec[field] = old.At("spec", field)?.DeepClone();
        }
        if (spec.Str("type") is not ("NodePort" or "LoadBalancer"))
            return;
        foreach (var port in spec.Objs("ports").Where(p => p.Num("nodePort") is null or 0))
        {
            var same = old
                .Objs("spec", "ports")
                .FirstOrDefault(
                    p => p.Num("port") == port.Num("port") && (p.Str("protocol") ?? "TCP") == (port.Str("protocol") ?? "TCP"));
            if (same?["nodePort"] is { } kept)
                port["nodePort"] = kept.DeepClone();
        }
    }

    public void Allocate(JsonObject service, FieldErrors errors)
    {
        var spec = service.Ensure("spec");
        if (spec.Str("type") == "ExternalName")
            return;
        var others = api.List(Kinds.Services).Items
            .Where(s => s.Str("metadata", "uid") != service.Str("metadata", "uid"))
            .ToList();
        if (spec.Str("clusterIP") is not { Length: > 0 } ip)
            spec["clusterIP"] = ip = FreeIp(others.SelectMany(o => o.Strs("spec", "clusterIPs")).ToHashSet());
        else if (ip != "None" && !ip.StartsWith(api.ServiceIpPrefix, StringComparison.Ordinal))
            errors.Invalid("spec.clusterIPs", new JsonArray(ip),
                "failed to allocate IP " + ip + ": the provided network does not match the current range");
        else if (ip != "None" && others.Any(o => o.Str("spec", "clusterIP") == ip))
            errors.Invalid("spec.clusterIPs", new JsonArray(ip),
                "failed to allocate IP " + ip + ": provided IP is already allocated");
        spec["clusterIPs"] = new JsonArray(ip);
        if (spec.Str("type") is not ("NodePort" or "LoadBalancer"))
        {
            // Who turns back into a plain service gives the ports back.
            foreach (var port in spec.Objs("ports"))
                port.Remove("nodePort");
            return;
        }
        var taken = others.SelectMany(o => o.Objs("spec", "ports")).Select(p => p.Num("nodePort") ?? 0).ToHashSet();
        var index = 0;
        foreach (var port in spec.Objs("ports"))
        {
            if (port.Num("nodePort") is > 0 and var wanted)
            {
                if (wanted < api.Options.NodePortFirst || wanted > api.Options.NodePortLast)
                    errors.Invalid($"spec.ports[{index}].nodePort", wanted,
                        "provided port is not in the valid range. The range of valid ports is " +
                        $"{api.Options.NodePortFirst}-{api.Options.NodePortLast}");
                else if (!taken.Add(wanted))
                    errors.Invalid($"spec.ports[{index}].nodePort", wanted, "provided port is already allocated");
            }
            else
            {
                var free = FreeNodePort(taken);
                port["nodePort"] = free;
                taken.Add(free);
            }
            index++;
        }
    }

    public static void Check(JsonObject? old, JsonObject service, FieldErrors errors)
    {
        var spec = service.Obj("spec") ?? [];
        var type = spec.Str("type");
        if (type is not ("ClusterIP" or "ExternalName" or "LoadBalancer" or "NodePort"))
            errors.Unsupported("spec.type", spec["type"], "ClusterIP", "ExternalName", "LoadBalancer", "NodePort");
        var ports = spec.Objs("ports").ToList();
        if (ports.Count == 0 && type != "ExternalName" && spec.Str("clusterIP") != "None")
            errors.Required("spec.ports");
        if (type == "ExternalName" && spec.Str("externalName") is not { Length: > 0 })
            errors.Required("spec.externalName");
        if (spec.Str("sessionAffinity") is not ("ClientIP" or "None"))
            errors.Unsupported("spec.sessionAffinity", spec["sessionAffinity"], "ClientIP", "None");
        Names.CheckLabels("spec.selector", spec.Obj("selector"), errors);
        var names = new HashSet<string>(StringComparer.Ordinal);
        var numbers = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < ports.Count; i++)
        {
            var field = $"spec.ports[{i}]";
            if (ports[i].Str("name") is { Length: > 0 } name)
            {
                Names.CheckLabel($"{field}.name", name, errors);
                if (!names.Add(name))
                    errors.Duplicate($"{field}.name", name);
            }
            else if (ports.Count > 1)
                errors.Required($"{field}.name");
            if (ports[i].Num("port") is not (>= 1 and <= 65535))
                errors.Invalid($"{field}.port", ports[i]["port"] ?? 0, "must be between 1 and 65535, inclusive");
            if (ports[i].Str("protocol") is not ("SCTP" or "TCP" or "UDP"))
                errors.Unsupported($"{field}.protocol", ports[i]["protocol"], "SCTP", "TCP", "UDP");
            if (ports[i]["targetPort"] is { } target && target.Num() is { } number and not (>= 1 and <= 65535))
                errors.Invalid($"{field}.targetPort", number, "must be between 1 and 65535, inclusive");
            if (!numbers.Add($"{ports[i].Num("port")}/{ports[i].Str("protocol")}"))
                errors.Duplicate(
                    field,
                    new JsonObject
                    {
                        ["port"] = ports[i]["port"]?.DeepClone(),
                        ["protocol"] = ports[i]["protocol"]?.DeepClone()
                    });
        }
        if (old is not null
            && type != "ExternalName"
            && old.Str("spec", "type") != "ExternalName"
            && old.Str("spec", "clusterIP") is { Length: > 0 } before
            && before != spec.Str("clusterIP"))
            errors.Invalid("spec.clusterIPs[0]", spec["clusterIP"], "may not change once set");
    }

    /// <summary>
    /// Anywhere in the range, so that clusters beside each other seldom choose the same, and none that this machine listens on.
    /// </summary>
    private int FreeNodePort(HashSet<long> taken)
    {
        var busy = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Select(l => (long)l.Port).ToHashSet();
        var (first, count) = (api.Options.NodePortFirst, api.Options.NodePortLast - api.Options.NodePortFirst + 1);
        var start = Random.Shared.Next(count);
        for (var i = 0; i < count; i++)
        {
            var port = first + ((start + i) % count);
            if (!taken.Contains(port) && !busy.Contains(port))
                return port;
        }
        throw new ApiException(500, "InternalError", "failed to allocate a nodePort: range is full");
    }

    private string FreeIp(HashSet<string> taken)
    {
        var prefix = api.ServiceIpPrefix;
        var whole = prefix.Count(c => c == '.') == 2;
        // The first address is the API's own, the tenth that of name resolution.
        for (var i = 2; i < (whole ? 65535 : 255); i++)
        {
            var ip = whole ? $"{prefix}{i >> 8}.{i & 255}" : prefix + i;
            if (i != 10 && (i & 255) is not (0 or 255) && !taken.Contains(ip))
                return ip;
        }
        throw new ApiException(500, "InternalError", "failed to allocate a serviceIP: range is full");
    }
}
