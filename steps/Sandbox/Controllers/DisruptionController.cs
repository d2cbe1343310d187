using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Shows in each pod disruption budget's status what it allows.</summary>
internal sealed class DisruptionController
{
    private readonly ClusterApi api;
    private readonly TimeProvider time;

    public DisruptionController(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report)
    {
        this.api = api;
        this.time = time;
        Loop = new("pod disruption budgets", time, report, Reconcile);
        feed.On(Kinds.PodDisruptionBudgets, (budget, _) => Loop.Add(budget.Key()));
        foreach (var type in (ResourceType[])[Kinds.Pods, Kinds.ReplicaSets, Kinds.StatefulSets, Kinds.Deployments])
        {
            feed.On(type, (obj, _) =>
            {
                foreach (var budget in api.List(Kinds.PodDisruptionBudgets, obj.Namespace()).Items)
                    Loop.Add(budget.Key());
            });
        }
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        if (api.Get(Kinds.PodDisruptionBudgets, key.Namespace, key.Name) is not { } budget || budget.IsBeingDeleted())
            return null;
        var now = DisruptionBudget.Of(api, budget);
        var status = budget.Obj("status")?.Copy() ?? new JsonObject();
        status["observedGeneration"] = budget.Generation();
        status["expectedPods"] = now.Expected;
        status["currentHealthy"] = now.Healthy;
        status["desiredHealthy"] = now.Needed;
        status["disruptionsAllowed"] = now.Allowed;
        status.SetCondition(
            "DisruptionAllowed",
            now.Allowed > 0,
            now.Allowed > 0 ? "SufficientPods" : "InsufficientPods",
            null,
            time.GetUtcNow());
        if (status.Condition("DisruptionAllowed") is { } condition)
            condition["observedGeneration"] = budget.Generation();
        if (JsonNode.DeepEquals(status, budget.Obj("status")))
            return null;
        budget["status"] = status;
        api.UpdateStatus(Kinds.PodDisruptionBudgets, budget);
        return null;
    }
}
