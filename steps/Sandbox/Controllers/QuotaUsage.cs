using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>How much of a resource quota is used: pure over the namespace's objects.</summary>
internal static class QuotaUsage
{
    /// <summary>
    /// What one object of a kind takes of the resources that a quota may name, such as "pods" or "requests.cpu". Finished pods
    /// take nothing but their count as objects.
    /// </summary>
    public static IEnumerable<KeyValuePair<string, decimal>> Of(ResourceType type, JsonObject obj)
    {
        yield return new($"count/{type.StorageKey}", 1);
        if (type == Kinds.Services)
        {
            yield return new("services", 1);
            if (obj.Str("spec", "type") is "NodePort" or "LoadBalancer")
                yield return new("services.nodeports", obj.Objs("spec", "ports").Count());
            if (obj.Str("spec", "type") == "LoadBalancer")
                yield return new("services.loadbalancers", 1);
        }
        else if (type.Group.Length == 0
            && type.Plural is "configmaps" or "secrets" or "resourcequotas" or "persistentvolumeclaims")
            yield return new(type.Plural, 1);

        if (type == Kinds.PersistentVolumeClaims)
            yield return new("requests.storage", Amount(obj.At("spec", "resources", "requests", "storage")));
        if (type != Kinds.Pods || PodReading.IsFinished(obj))
            yield break;
        yield return new("pods", 1);
        foreach (var side in (string[])["requests", "limits"])
        {
            foreach (var (resource, amount) in Sum(obj, side))
            {
                yield return new($"{side}.{resource}", amount);
                if (side == "requests" && resource is "cpu" or "memory" or "ephemeral-storage")
                    yield return new(resource, amount);
            }
        }
    }

    /// <summary>Whether the quota's scopes take the object in.</summary>
    public static bool Applies(JsonObject quota, ResourceType type, JsonObject obj)
    {
        foreach (var scope in quota.Strs("spec", "scopes"))
        {
            var terminating = obj.Num("spec", "activeDeadlineSeconds") is not null;
            var bestEffort = obj
                .Objs("spec", "containers")
                .All(
                    c => c.Obj("resources", "requests") is not { Count: > 0 }
                        && c.Obj("resources", "limits") is not { Count: > 0 });
            var fits = type == Kinds.Pods && scope switch
            {
                "Terminating" => terminating,
                "NotTerminating" => !terminating,
                "BestEffort" => bestEffort,
                "NotBestEffort" => !bestEffort,
                _ => false,
            };
            if (!fits)
                return false;
        }

        return true;
    }

    /// <summary>The canonical text of an amount of that resource.</summary>
    public static string Format(string resource, decimal amount) =>
        Quantity.Format(
            amount,
            binary: resource.EndsWith("memory", StringComparison.Ordinal)
                || resource.EndsWith("storage", StringComparison.Ordinal));

    private static Dictionary<string, decimal> Sum(JsonObject pod, string side)
    {
        var total = new Dictionary<string, decimal>();
        foreach (var container in pod
            .Objs("spec", "containers")
            .Concat(pod.Objs("spec", "initContainers").Where(c => c.Str("restartPolicy") == "Always")))
        {
            foreach (var (name, amount) in Declared(container, side))
                total[name] = total.GetValueOrDefault(name) + amount;
        }

        foreach (var container in pod.Objs("spec", "initContainers").Where(c => c.Str("restartPolicy") != "Always"))
        {
            foreach (var (name, amount) in Declared(container, side))
                total[name] = Math.Max(total.GetValueOrDefault(name), amount);
        }

        return total;
    }

    private static IEnumerable<KeyValuePair<string, decimal>> Declared(JsonObject container, string side)
    {
        var own = container.Obj("resources", side) ?? [];
        foreach (var (name, value) in own)
            yield return new(name, Amount(value));
        if (side != "requests")
            yield break;
        foreach (var (name, value) in container.Obj("resources", "limits") ?? [])
        {
            // A limit without a request is a request as well.
            if (!own.ContainsKey(name))
                yield return new(name, Amount(value));
        }
    }

    private static decimal Amount(JsonNode? value) => Quantity.Parse(value.Str() ?? value?.ToJsonString());
}
