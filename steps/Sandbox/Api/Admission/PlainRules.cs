using System.Text;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Defaults and checks of the kinds that need few.</summary>
internal static class PlainRules
{
    public static void Default(ResourceType type, JsonObject obj)
    {
        switch (type.StorageKey)
        {
            case "secrets":
                obj.Default("type", "Opaque");
                if (obj.Obj("stringData") is { } texts)
                {
                    var data = obj.Ensure("data");
                    foreach (var (key, value) in texts)
                        data[key] = Convert.ToBase64String(Encoding.UTF8.GetBytes(value.Str() ?? ""));
                    obj.Remove("stringData");
                }
                break;
            case "namespaces":
                obj.Ensure("spec").Default("finalizers", new JsonArray("kubernetes"));
                obj.Ensure("metadata", "labels")["kubernetes.io/metadata.name"] = obj.Str("metadata", "name");
                break;
            case "persistentvolumeclaims":
                obj.Ensure("spec").Default("volumeMode", "Filesystem");
                break;
            case "priorityclasses.scheduling.k8s.io":
                obj.Default("preemptionPolicy", "PreemptLowerPriority");
                break;
            case "networkpolicies.networking.k8s.io":
                var policy = obj.Ensure("spec");
                policy.Ensure("podSelector");
                policy.Default(
                    "policyTypes", policy["egress"] is null ? new JsonArray("Ingress") : new JsonArray("Ingress", "Egress"));
                break;
            case "endpoints":
                foreach (var port in obj.Objs("subsets").SelectMany(s => s.Objs("ports")))
                    port.Default("protocol", "TCP");
                break;
            case "endpointslices.discovery.k8s.io":
                foreach (var port in obj.Objs("ports"))
                {
                    port.Default("protocol", "TCP");
                    port.Default("name", "");
                }
                break;
        }
    }

    /// <summary>What a new object's status says before anybody has looked at it; null leaves it out.</summary>
    public static JsonObject? FirstStatus(ResourceType type) => type.StorageKey switch
    {
        "namespaces" => new JsonObject { ["phase"] = "Active" },
        "persistentvolumeclaims" => new JsonObject { ["phase"] = "Pending" },
        "services" => new JsonObject { ["loadBalancer"] = new JsonObject() },
        "statefulsets.apps" => new JsonObject { ["replicas"] = 0, ["availableReplicas"] = 0 },
        "daemonsets.apps" =>
            new JsonObject
            {
                ["currentNumberScheduled"] = 0,
                ["numberMisscheduled"] = 0,
                ["desiredNumberScheduled"] = 0,
                ["numberReady"] = 0
            },
        "deployments.apps" or "replicasets.apps" or "jobs.batch" => [],
        "resourcequotas" or "poddisruptionbudgets.policy" or "ingresses.networking.k8s.io" => [],
        _ => null,
    };

    public static void Check(ResourceType type, JsonObject? old, JsonObject obj, FieldErrors errors)
    {
        switch (type.StorageKey)
        {
            case "configmaps":
                Data(old, obj, ["data", "binaryData"], errors);
                break;
            case "secrets":
                Data(old, obj, ["data"], errors);
                Secret(old, obj, errors);
                break;
            case "resourcequotas":
                foreach (var (name, amount) in obj.Obj("spec", "hard") ?? [])
                {
                    if (!IsCountable(name))
                        errors.Invalid($"spec.hard[{name}]", name, "must be a standard resource for quota");
                    if (Amount.Of(amount) is null)
                        errors.Invalid($"spec.hard[{name}]", amount?.DeepClone(),
                            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
                }
                break;
            case "endpointslices.discovery.k8s.io":
                if (obj.Str("addressType") is not ("IPv4" or "IPv6" or "FQDN"))
                    errors.Unsupported("addressType", obj["addressType"]?.DeepClone(), "FQDN", "IPv4", "IPv6");
                if (old is not null)
                    errors.Immutable("addressType", old["addressType"], obj["addressType"]?.DeepClone());
                break;
            case "persistentvolumeclaims":
                if (!obj.Strs("spec", "accessModes").Any())
                    errors.Required("spec.accessModes", "at least 1 access mode is required");
                if (Amount.Of(obj.At("spec", "resources", "requests", "storage")) is null)
                    errors.Required("spec.resources[storage]");
                break;
            case "poddisruptionbudgets.policy":
                if (obj.At("spec", "minAvailable") is { } least && obj.At("spec", "maxUnavailable") is not null)
                    errors.Invalid("spec", least.DeepClone(), "minAvailable and maxUnavailable cannot be both set");
                break;
            case "leases.coordination.k8s.io":
                if (obj.Num("spec", "leaseDurationSeconds") is { } seconds and <= 0)
                    errors.Invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
                if (obj.Num("spec", "leaseTransitions") is { } transitions and < 0)
                    errors.Invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0");
                break;
            case "events":
                if (old is null
                    && obj.Str("involvedObject", "namespace") is { Length: > 0 } about
                    && about != obj.Str("metadata", "namespace"))
                    errors.Invalid("involvedObject.namespace", about, "does not match event.namespace");
                break;
        }
    }

    private static readonly HashSet<string> Countable =
    [
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
        "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
        "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims",
        "services.nodeports", "services.loadbalancers",
    ];

    // With a domain (or a count of something) it is somebody else's resource, which a quota may name.
    private static bool IsCountable(string resource) =>
        resource.Contains('/')
            || resource.StartsWith("hugepages-", StringComparison.Ordinal)
            || resource.StartsWith("requests.hugepages-", StringComparison.Ordinal)
            || Countable.Contains(resource);

    private static void Data(JsonObject? old, JsonObject obj, string[] fields, FieldErrors errors)
    {
        long size = 0;
        foreach (var field in fields)
        {
            foreach (var (key, value) in obj.Obj(field) ?? [])
            {
                size += value.Str()?.Length ?? 0;
                if (!Names.IsDataKey(key))
                    errors.Invalid($"{field}[{key}]", key,
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', " +
                        " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
            }
        }
        if (size > 1 << 20)
            errors.TooLong("", "may not be more than 1048576 bytes");
        if (old is null || !old.Flag("immutable"))
            return;
        if (!obj.Flag("immutable"))
            errors.Forbidden("immutable", "field is immutable when `immutable` is set");
        foreach (var field in fields)
        {
            if (!JsonNode.DeepEquals(old[field], obj[field]))
                errors.Forbidden(field, "field is immutable when `immutable` is set");
        }
    }

    private static void Secret(JsonObject? old, JsonObject secret, FieldErrors errors)
    {
        if (old is not null)
            errors.Immutable("type", old["type"], secret["type"]?.DeepClone());
        void Demand(string key)
        {
            if (secret.At("data", key) is null)
                errors.Required($"data[{key}]");
        }
        switch (secret.Str("type"))
        {
            case "kubernetes.io/dockerconfigjson":
                Demand(".dockerconfigjson");
                if (secret.Str("data", ".dockerconfigjson") is { } text && !IsJson(text))
                    errors.Invalid("data[.dockerconfigjson]", "<secret contents redacted>", "invalid character in the document");
                break;
            case "kubernetes.io/dockercfg":
                Demand(".dockercfg");
                break;
            case "kubernetes.io/basic-auth":
                if (secret.At("data", "username") is null && secret.At("data", "password") is null)
                {
                    Demand("username");
                    Demand("password");
                }
                break;
            case "kubernetes.io/ssh-auth":
                Demand("ssh-privatekey");
                break;
            case "kubernetes.io/tls":
                Demand("tls.crt");
                Demand("tls.key");
                break;
            case "kubernetes.io/service-account-token":
                if (secret.Str("metadata", "annotations", "kubernetes.io/service-account.name") is not { Length: > 0 })
                    errors.Required("metadata.annotations[kubernetes.io/service-account.name]");
                break;
        }
    }

    private static bool IsJson(string base64)
    {
        try
        {
            return JsonNode.Parse(Convert.FromBase64String(base64)) is JsonObject;
        }
        catch (Exception e) when (e is FormatException or System.Text.Json.JsonException)
        {
            return false;
        }
    }
}
