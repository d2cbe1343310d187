using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Shows in each resource quota's status what is used of it.</summary>
internal sealed class QuotaController
{
    private static readonly ResourceType[] Counted =
    [
        Kinds.Pods, Kinds.Services, Kinds.ConfigMaps, Kinds.Secrets, Kinds.ServiceAccounts, Kinds.PersistentVolumeClaims,
        Kinds.ResourceQuotas,
        Kinds.Deployments, Kinds.ReplicaSets, Kinds.StatefulSets, Kinds.DaemonSets, Kinds.Jobs, Kinds.Leases, Kinds.Ingresses,
    ];

    private readonly ClusterApi api;

    public QuotaController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        Loop = new("resource quotas", time, report, Reconcile);
        feed.On(Kinds.ResourceQuotas, (quota, _) => Loop.Add(quota.Key()));
        foreach (var type in Counted.Where(t => t != Kinds.ResourceQuotas && t != Kinds.Leases))
        {
            feed.On(type, (obj, _) =>
            {
                foreach (var quota in api.List(Kinds.ResourceQuotas, obj.Namespace()).Items)
                    Loop.Add(quota.Key());
            });
        }
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.ResourceQuotas, key.Namespace, key.Name) is not { } quota || quota.IsBeingDeleted())
            return null;
        var used = new Dictionary<string, decimal>();
        foreach (var type in Counted)
        {
            foreach (var obj in api.List(type, key.Namespace).Items.Where(o => QuotaUsage.Applies(quota, type, o)))
            {
                foreach (var (resource, amount) in QuotaUsage.Of(type, obj))
                    used[resource] = used.GetValueOrDefault(resource) + amount;
            }
        }

        var hard = quota.Obj("spec", "hard")?.Copy() ?? new JsonObject();
        var status = new JsonObject
        {
            ["hard"] = hard,
            ["used"] = Fields.MapOf(hard.Select(
                h => KeyValuePair.Create(h.Key, QuotaUsage.Format(h.Key, used.GetValueOrDefault(h.Key))))),
        };
        if (JsonNode.DeepEquals(status, quota.Obj("status")))
            return null;
        quota["status"] = status;
        api.UpdateStatus(Kinds.ResourceQuotas, quota);
        return null;
    }
}
