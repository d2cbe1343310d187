using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>
/// Binds each persistent volume claim at once: its volume is a folder of this machine that lives as long as the cluster.
/// </summary>
internal sealed class ClaimBinder
{
    private readonly ClusterApi api;

    public ClaimBinder(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        Loop = new("volume claims", time, report, Reconcile);
        feed.On(Kinds.PersistentVolumeClaims, (claim, _) => Loop.Add(claim.Key()));
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.PersistentVolumeClaims, key.Namespace, key.Name) is not { } claim
            || claim.IsBeingDeleted()
            || claim.Str("status", "phase") == "Bound")
            return null;
        claim["status"] = new JsonObject
        {
            ["phase"] = "Bound",
            ["accessModes"] = claim.At("spec", "accessModes")?.DeepClone(),
            ["capacity"] = claim.At("spec", "resources", "requests")?.DeepClone(),
        };
        api.UpdateStatus(Kinds.PersistentVolumeClaims, claim);
        return null;
    }
}
