using System.Text.Json.Nodes;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>
/// Refuses what a namespace's quotas have no room for. Usage is counted from the objects themselves, so it is never late.
/// </summary>
internal sealed class QuotaRules(ClusterApi api)
{
    private static readonly string[] MustBeStated = [
        "requests.cpu",
        "requests.memory",
        "limits.cpu",
        "limits.memory",
        "cpu",
        "memory"
    ];

    public void Check(ResourceType type, JsonObject? old, JsonObject obj)
    {
        if (!type.Namespaced || obj.Str("metadata", "namespace") is not { } ns)
            return;
        foreach (var stored in api.Store.List(Kinds.ResourceQuotas.StorageKey, ns))
        {
            var quota = stored.Copy();
            if (QuotaUsage.Applies(quota, type, obj))
                Check(quota, type, ns, old, obj);
        }
    }

    private void Check(JsonObject quota, ResourceType type, string ns, JsonObject? old, JsonObject obj)
    {
        var hard = quota.Obj("spec", "hard") ?? [];
        var asked = Sum(QuotaUsage.Of(type, obj));
        var had = old is null ? [] : Sum(QuotaUsage.Of(type, old));
        var name = obj.Str("metadata", "name") ?? "";
        var quotaName = quota.Str("metadata", "name");
        if (type == Kinds.Pods && old is null)
            DemandAmounts(hard, obj, name, quotaName);
        var wanted = hard.Where(h => asked.GetValueOrDefault(h.Key) > had.GetValueOrDefault(h.Key)).ToList();
        if (wanted.Count == 0)
            return;
        var used = Used(quota, type, ns, obj, wanted.Select(w => w.Key).ToHashSet());
        List<string> requested = [], present = [], limited = [];
        foreach (var (resource, limit) in wanted.OrderBy(w => w.Key, StringComparer.Ordinal))
        {
            var others = used.GetValueOrDefault(resource);
            if (others + asked[resource] <= (Amount.Of(limit) ?? 0))
                continue;
            requested.Add($"{resource}={QuotaUsage.Format(resource, asked[resource] - had.GetValueOrDefault(resource))}");
            present.Add($"{resource}={QuotaUsage.Format(resource, others + had.GetValueOrDefault(resource))}");
            limited.Add($"{resource}={limit.Str() ?? limit?.ToJsonString()}");
        }
        if (requested.Count > 0)
        {
            throw ApiException.Forbidden(type, name,
                $"exceeded quota: {quotaName}, requested: {string.Join(",", requested)}, used: {string.Join(",", present)}, " +
                $"limited: {string.Join(",", limited)}");
        }
    }

    /// <summary>Where cpu or memory is limited, each container has to say how much it takes.</summary>
    private static void DemandAmounts(JsonObject hard, JsonObject pod, string name, string? quotaName)
    {
        var missing = new List<string>();
        foreach (var resource in MustBeStated.Where(hard.ContainsKey).Order(StringComparer.Ordinal))
        {
            var (side, amount) = resource.Split('.') is [var s, var a] ? (s, a) : ("requests", resource);
            var silent = pod.Objs("spec", "containers")
                .Where(
                    c => c.At("resources", side, amount) is null
                        && (side == "limits" || c.At("resources", "limits", amount) is null))
                .Select(c => c.Str("name"))
                .ToList();
            if (silent.Count > 0)
                missing.Add($"{resource} for: {string.Join(",", silent)}");
        }
        if (missing.Count > 0)
            throw ApiException.Forbidden(Kinds.Pods, name,
                $"failed quota: {quotaName}: must specify {string.Join("; ", missing)}");
    }

    private Dictionary<string, decimal> Used(
        JsonObject quota, ResourceType type, string ns, JsonObject self, HashSet<string> resources)
    {
        // Only this kind's objects count for what this kind's object asks for.
        var total = new Dictionary<string, decimal>(StringComparer.Ordinal);
        foreach (var stored in api.Store.List(type.StorageKey, ns))
        {
            if (stored.Uid == self.Str("metadata", "uid"))
                continue;
            var other = stored.Copy();
            if (!QuotaUsage.Applies(quota, type, other))
                continue;
            foreach (var (resource, amount) in QuotaUsage.Of(type, other))
            {
                if (resources.Contains(resource))
                    total[resource] = total.GetValueOrDefault(resource) + amount;
            }
        }
        return total;
    }

    private static Dictionary<string, decimal> Sum(IEnumerable<KeyValuePair<string, decimal>> usage)
    {
        var total = new Dictionary<string, decimal>(StringComparer.Ordinal);
        foreach (var (resource, amount) in usage)
            total[resource] = total.GetValueOrDefault(resource) + amount;
        return total;
    }
}
