using System.Text.Json.Nodes;
using static CiSteps.Sandbox.Api.Printing.Cells;

namespace CiSteps.Sandbox.Api.Printing;

/// <summary>The columns of the built-in kinds.</summary>
internal static class BuiltInLayouts
{
    private const Column? AgeHere = null;

    public static IReadOnlyDictionary<string, TableLayout> All { get; } = new Dictionary<string, TableLayout>
    {
        ["namespaces"] = TableLayout.Of(Raw("Status", o => o.Str("status", "phase")), AgeHere),
        ["pods"] = TableLayout.Of(
            Raw("Ready", PodCells.Ready), Raw("Status", PodCells.Status), Time("Restarts", PodCells.Restarts), AgeHere,
            Text("IP", o => o.Str("status", "podIP"), 1), Text("Node", o => o.Str("spec", "nodeName"), 1),
            Text("Nominated Node", o => o.Str("status", "nominatedNodeName"), 1), Text("Readiness Gates", ReadinessGates, 1)),
        ["services"] = TableLayout.Of(
            Raw("Type", o => o.Str("spec", "type")),
            Text("Cluster-IP", o => o.Str("spec", "clusterIP")),
            Text("External-IP", ExternalIp),
            Text("Port(s)", ServicePorts), AgeHere, Text("Selector", o => Labels(o.At("spec", "selector")), 1)),
        ["endpoints"] = TableLayout.Of(Text("Endpoints", Endpoints), AgeHere),
        ["endpointslices.discovery.k8s.io"] = TableLayout.Of(
            Raw("AddressType", o => o.Str("addressType")), Text("Ports", SlicePorts), Text("Endpoints", SliceEndpoints), AgeHere),
        ["configmaps"] = TableLayout.Of(
            Number("Data", o => (o.Obj("data")?.Count ?? 0) + (o.Obj("binaryData")?.Count ?? 0)), AgeHere),
        ["secrets"] = TableLayout.Of(Raw("Type", o => o.Str("type")), Number("Data", o => o.Obj("data")?.Count ?? 0), AgeHere),
        ["serviceaccounts"] = TableLayout.Of(Number("Secrets", o => o.Objs("secrets").Count()), AgeHere),
        ["events"] = EventLayout(),
        ["resourcequotas"] = TableLayout.Of(
            Raw("Request", o => Usage(o, k => !k.StartsWith("limits.", StringComparison.Ordinal))),
            Raw("Limit", o => Usage(o, k => k.StartsWith("limits.", StringComparison.Ordinal))), AgeHere),
        ["persistentvolumeclaims"] = TableLayout.Of(
            Raw("Status", o => o.Str("status", "phase")),
            Raw("Volume", o => o.Str("spec", "volumeName")),
            Raw("Capacity", o => Plain(o.At("status", "capacity", "storage"))),
            Raw("Access Modes", o => string.Join(",", o.Strs("status", "accessModes"))),
            Raw("StorageClass", o => o.Str("spec", "storageClassName")),
            AgeHere),
        ["nodes"] = NodeLayout(),
        ["deployments.apps"] = TableLayout.Of(
            Raw("Ready", o => $"{o.Num("status", "readyReplicas") ?? 0}/{o.Num("spec", "replicas") ?? 0}"),
            Number("Up-to-date", o => o.Num("status", "updatedReplicas")),
            Number("Available", o => o.Num("status", "availableReplicas")),
            AgeHere,
            PodColumn("Containers", Containers),
            PodColumn("Images", ImageNames),
            Text("Selector", o => Selector(o.At("spec", "selector")), 1)),
        ["replicasets.apps"] = TableLayout.Of(
            Number("Desired", o => o.Num("spec", "replicas")),
            Number("Current", o => o.Num("status", "replicas")),
            Number("Ready", o => o.Num("status", "readyReplicas")),
            AgeHere,
            PodColumn("Containers", Containers),
            PodColumn("Images", ImageNames),
            Text("Selector", o => Selector(o.At("spec", "selector")), 1)),
        ["statefulsets.apps"] = TableLayout.Of(
            Raw("Ready", o => $"{o.Num("status", "readyReplicas") ?? 0}/{o.Num("spec", "replicas") ?? 0}"), AgeHere,
            PodColumn("Containers", Containers), PodColumn("Images", ImageNames)),
        ["daemonsets.apps"] = TableLayout.Of(
            Number("Desired", o => o.Num("status", "desiredNumberScheduled")),
            Number("Current", o => o.Num("status", "currentNumberScheduled")),
            Number("Ready", o => o.Num("status", "numberReady")),
            Number("Up-to-date", o => o.Num("status", "updatedNumberScheduled")),
            Number("Available", o => o.Num("status", "numberAvailable")),
            Text("Node Selector", o => Labels(o.At("spec", "template", "spec", "nodeSelector"))), AgeHere,
            PodColumn("Containers", Containers),
            PodColumn("Images", ImageNames),
            Text("Selector", o => Selector(o.At("spec", "selector")), 1)),
        ["controllerrevisions.apps"] = TableLayout.Of(
            Text(
                "Controller",
                o => o.Objs("metadata", "ownerReferences")
                    .Where(r => r.Flag("controller"))
                    .Select(r => $"{r.Str("kind")?.ToLowerInvariant()}/{r.Str("name")}")
                    .FirstOrDefault()),
            Number("Revision", o => o.Num("revision")), AgeHere),
        ["jobs.batch"] = TableLayout.Of(
            Raw("Status", JobStatus), Raw("Completions", JobCompletions), Time("Duration", JobDuration), AgeHere,
            PodColumn("Containers", Containers),
            PodColumn("Images", ImageNames),
            Text("Selector", o => Selector(o.At("spec", "selector")), 1)),
        ["leases.coordination.k8s.io"] = TableLayout.Of(Raw("Holder", o => o.Str("spec", "holderIdentity")), AgeHere),
        ["poddisruptionbudgets.policy"] = TableLayout.Of(
            Raw("Min Available", o => Plain(o.At("spec", "minAvailable")) ?? "N/A"),
            Raw("Max Unavailable", o => Plain(o.At("spec", "maxUnavailable")) ?? "N/A"),
            Number("Allowed Disruptions", o => o.Num("status", "disruptionsAllowed")), AgeHere),
        ["ingresses.networking.k8s.io"] = TableLayout.Of(
            Text("Class", o => o.Str("spec", "ingressClassName")),
            Raw(
                "Hosts",
                o => o.Objs("spec", "rules").Any() ? Joined(o.Objs("spec", "rules").Select(r => r.Str("host") ?? "*")) : "*"),
            Raw(
                "Address",
                o => string.Join(
                    ",", o.Objs("status", "loadBalancer", "ingress").Select(i => i.Str("ip") ?? i.Str("hostname") ?? ""))),
            Raw("Ports", o => o.Objs("spec", "tls").Any() ? "80, 443" : "80"), AgeHere),
        ["networkpolicies.networking.k8s.io"] = TableLayout.Of(
            Text("Pod-Selector", o => Selector(o.At("spec", "podSelector"))), AgeHere),
        ["priorityclasses.scheduling.k8s.io"] = TableLayout.Of(
            Number("Value", o => o.Num("value")),
            Raw("Global-Default", o => o.Flag("globalDefault") ? "true" : "false"),
            AgeHere,
            Raw("PreemptionPolicy", o => o.Str("preemptionPolicy"))),
        ["roles.rbac.authorization.k8s.io"] = TableLayout.Of(Time(
            "Created At", (o, _) => o.Str("metadata", "creationTimestamp"))),
        ["clusterroles.rbac.authorization.k8s.io"] = TableLayout.Of(Time(
            "Created At", (o, _) => o.Str("metadata", "creationTimestamp"))),
        ["rolebindings.rbac.authorization.k8s.io"] = BindingLayout(),
        ["clusterrolebindings.rbac.authorization.k8s.io"] = BindingLayout(),
        ["customresourcedefinitions.apiextensions.k8s.io"] = TableLayout.Of(Time(
            "Created At", (o, _) => o.Str("metadata", "creationTimestamp"))),
    };

    private static Column PodColumn(string name, Func<JsonObject, string> value) =>
        Text(name, o => o.Obj("spec", "template", "spec") is { } spec ? value(spec) : null, 1);

    private static TableLayout EventLayout() => new(
    [
        Time(
            "Last Seen",
            (o, now) => Age.Since(
                o.Time("series", "lastObservedTime")
                    ?? o.Time("lastTimestamp")
                    ?? o.Time("eventTime")
                    ?? o.Time("metadata", "creationTimestamp"),
                now)),
        Raw("Type", o => o.Str("type")), Raw("Reason", o => o.Str("reason")),
        Raw("Object", o => $"{o.Str("involvedObject", "kind")?.ToLowerInvariant()}/{o.Str("involvedObject", "name")}"),
        Raw("Subobject", o => o.Str("involvedObject", "fieldPath"), 1),
        Raw(
            "Source",
            o => string.Join(
                ", ",
                new[]
                {
                    o.Str("source", "component") ?? o.Str("reportingComponent"),
                    o.Str("source", "host") ?? o.Str("reportingInstance")
                }.Where(s => s is { Length: > 0 })),
            1),
        Raw("Message", o => o.Str("message")?.Trim()),
        Time(
            "First Seen",
            (o, now) => Age.Since(
                o.Time("firstTimestamp") ?? o.Time("eventTime") ?? o.Time("metadata", "creationTimestamp"), now),
            1),
        Number("Count", o => o.Num("series", "count") ?? o.Num("count") ?? 1, 1),
        Raw("Name", o => o.Str("metadata", "name"), 1) with { Format = "name" },
    ]);

    private static TableLayout NodeLayout() => TableLayout.Of(
        Raw("Status", NodeStatus),
        Text("Roles", NodeRoles),
        AgeHere,
        Raw("Version", o => o.Str("status", "nodeInfo", "kubeletVersion")),
        Text("Internal-IP", o => Address(o, "InternalIP"), 1), Text("External-IP", o => Address(o, "ExternalIP"), 1),
        Text("OS-Image", o => o.Str("status", "nodeInfo", "osImage"), 1),
        Text("Kernel-Version", o => o.Str("status", "nodeInfo", "kernelVersion"), 1),
        Text("Container-Runtime", o => o.Str("status", "nodeInfo", "containerRuntimeVersion"), 1));

    private static TableLayout BindingLayout() => TableLayout.Of(
        Raw("Role", o => $"{o.Str("roleRef", "kind")}/{o.Str("roleRef", "name")}"), AgeHere,
        Raw("Users", o => Subjects(o, "User"), 1),
        Raw("Groups", o => Subjects(o, "Group"), 1),
        Raw("ServiceAccounts", o => Subjects(o, "ServiceAccount"), 1));

    private static string Subjects(JsonObject binding, string kind) =>
        string.Join(", ", binding.Objs("subjects").Where(s => s.Str("kind") == kind)
            .Select(s => kind == "ServiceAccount" ? $"{s.Str("namespace")}/{s.Str("name")}" : s.Str("name") ?? ""));

    private static string ReadinessGates(JsonObject pod)
    {
        var gates = pod.Objs("spec", "readinessGates").Select(g => g.Str("conditionType")).ToList();
        return gates.Count == 0
            ? ""
            : $"{gates.Count(
                g => pod.Objs("status", "conditions").Any(c => c.Str("type") == g && c.Str("status") == "True"))}/{gates.Count}";
    }

    private static string ExternalIp(JsonObject service) => service.Str("spec", "type") switch
    {
        "LoadBalancer" =>
            Joined(service
                .Objs("status", "loadBalancer", "ingress")
                .Select(i => i.Str("ip") ?? i.Str("hostname") ?? "")) is var ip
                && ip == None
                ? "<pending>"
                : ip,
        "ExternalName" => service.Str("spec", "externalName") ?? "",
        _ => Joined(service.Strs("spec", "externalIPs")),
    };

    private static string ServicePorts(JsonObject service) => Joined(service.Objs("spec", "ports").Select(p =>
        p.Num("nodePort") is > 0 and var node
            ? $"{p.Num("port")}:{node}/{p.Str("protocol")}"
            : $"{p.Num("port")}/{p.Str("protocol")}"));

    private static string Endpoints(JsonObject endpoints)
    {
        var all = endpoints.Objs("subsets").SelectMany(s => s.Objs("ports").Any()
            ? s.Objs("ports").SelectMany(p => s.Objs("addresses").Select(a => $"{a.Str("ip")}:{p.Num("port")}"))
            : s.Objs("addresses").Select(a => a.Str("ip") ?? "")).ToList();
        return all.Count > 3 ? $"{string.Join(",", all.Take(3))} + {all.Count - 3} more..." : Joined(all);
    }

    private static string SlicePorts(JsonObject slice) =>
        slice.Objs("ports").Any()
            ? Joined(slice.Objs("ports").Select(p => p.Num("port")?.ToString() ?? p.Str("name") ?? "*"))
            : "<unset>";

    private static string SliceEndpoints(JsonObject slice)
    {
        var all = slice.Objs("endpoints").SelectMany(e => e.Strs("addresses")).ToList();
        return all.Count > 3
            ? $"{string.Join(",", all.Take(3))} + {all.Count - 3} more..."
            : all.Count == 0 ? "<unset>" : Joined(all);
    }

    private static string Usage(JsonObject quota, Func<string, bool> take) =>
        string.Join(", ", (quota.Obj("status", "hard") ?? quota.Obj("spec", "hard") ?? [])
            .Where(p => take(p.Key))
                .OrderBy(p => p.Key, StringComparer.Ordinal)
                .Select(p => $"{p.Key}: {Plain(quota.At("status", "used", p.Key)) ?? "0"}/{Plain(p.Value)}"));

    private static string NodeStatus(JsonObject node)
    {
        var ready = node.Objs("status", "conditions").FirstOrDefault(c => c.Str("type") == "Ready")?.Str("status");
        var text = ready == "True" ? "Ready" : ready is null ? "Unknown" : "NotReady";
        return node.Flag("spec", "unschedulable") ? text + ",SchedulingDisabled" : text;
    }

    private static string NodeRoles(JsonObject node) => string.Join(",", (node.Obj("metadata", "labels") ?? [])
        .Select(l => l.Key)
            .Where(k => k.StartsWith("node-role.kubernetes.io/", StringComparison.Ordinal))
            .Select(k => k["node-role.kubernetes.io/".Length..])
            .Order(StringComparer.Ordinal));

    private static string? Address(JsonObject node, string type) =>
        node.Objs("status", "addresses").FirstOrDefault(a => a.Str("type") == type)?.Str("address");

    private static string JobStatus(JsonObject job)
    {
        bool Is(string type) => job.Objs("status", "conditions").Any(c => c.Str("type") == type && c.Str("status") == "True");
        return Is("Complete")
            ? "Complete"
            : Is("Failed")
                ? "Failed"
                : job.Str("metadata", "deletionTimestamp") is not null ? "Terminating" : Is("Suspended") ? "Suspended"
                    : Is("FailureTarget") ? "FailureTarget" : Is("SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running";
    }

    private static string JobCompletions(JsonObject job)
    {
        var done = job.Num("status", "succeeded") ?? 0;
        if (job.Num("spec", "completions") is { } wanted)
            return $"{done}/{wanted}";
        var parallelism = job.Num("spec", "parallelism") ?? 1;
        return parallelism > 1 ? $"{done}/1 of {parallelism}" : $"{done}/1";
    }

    private static string? JobDuration(JsonObject job, DateTimeOffset now) =>
        job.Time("status", "startTime") is not { } start ? "" : Age.Human((job.Time("status", "completionTime")
            ?? job.Objs("status", "conditions")
                .Where(c => c.Str("type") == "Failed" && c.Str("status") == "True")
                .Select(c => c.Time("lastTransitionTime"))
                .FirstOrDefault()
                ?? now) - start);
}
