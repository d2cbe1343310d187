using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>
/// What a pod disruption budget allows just now: pure over the namespace's objects, for its status and for each eviction alike.
/// </summary>
/// <param name="Expected">How many pods there should be.</param>
/// <param name="Healthy">How many are ready and stay.</param>
/// <param name="Needed">How many must stay so.</param>
internal readonly record struct DisruptionBudget(int Expected, int Healthy, int Needed)
{
    /// <summary>How many pods may be evicted now.</summary>
    public int Allowed => Expected == 0 ? 0 : Math.Max(0, Healthy - Needed);

    /// <summary>
    /// Whether a budget is about a pod. One without a selector is about none, one with an empty selector about all.
    /// </summary>
    public static bool Selects(JsonObject budget, JsonObject pod) =>
        budget.Obj("spec", "selector") is { } selector && LabelSelector.FromObject(selector).Matches(pod);

    public static DisruptionBudget Of(ClusterApi api, JsonObject budget)
    {
        var pods = api.List(Kinds.Pods, budget.Namespace()).Items.Where(p => Selects(budget, p)).ToList();
        var healthy = pods.Count(p => !p.IsBeingDeleted() && PodReading.IsReady(p));
        if (budget.At("spec", "maxUnavailable") is { } most)
        {
            var expected = Scale(api, pods);
            return new(expected, healthy, Math.Max(0, expected - Fields.IntOrPercent(most, expected, 0, roundUp: true)));
        }
        var least = budget.At("spec", "minAvailable");
        var total = least.Str() is null ? pods.Count : Scale(api, pods);
        return new(total, healthy, Fields.IntOrPercent(least, total, 0, roundUp: true));
    }

    // What the pods' controllers are asked for, each once: a deployment speaks for its replica sets. Other kinds have no scale
    // and count for nothing.
    private static int Scale(ClusterApi api, List<JsonObject> pods)
    {
        var scales = new Dictionary<string, int>();
        foreach (var pod in pods)
        {
            var controller = Controller(api, pod, Kinds.ReplicaSets) ?? Controller(api, pod, Kinds.StatefulSets);
            if (controller is not null && Controller(api, controller, Kinds.Deployments) is { } deployment)
                controller = deployment;
            if (controller is not null)
                scales[controller.Uid()] = controller.Int(0, "spec", "replicas");
        }

        return scales.Values.Sum();
    }

    private static JsonObject? Controller(ClusterApi api, JsonObject obj, ResourceType type) =>
        Ownership.ControllerKey(obj, type) is { } key ? api.Get(type, key.Namespace, key.Name) : null;
}
