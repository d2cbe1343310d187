using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>How controllers read a pod's state.</summary>
internal static class PodReading
{
    public static string Phase(JsonNode pod) => pod.Str("status", "phase") ?? "Pending";

    public static bool IsFinished(JsonNode pod) => Phase(pod) is "Succeeded" or "Failed";

    /// <summary>Neither finished nor on its way out.</summary>
    public static bool IsActive(JsonNode pod) => !IsFinished(pod) && !pod.IsBeingDeleted();

    public static bool IsReady(JsonNode pod) => pod.Obj("status").IsTrue("Ready");

    /// <summary>Ready for at least that many seconds.</summary>
    public static bool IsAvailable(JsonNode pod, int minReadySeconds, DateTimeOffset now) =>
        IsReady(pod) && (minReadySeconds == 0 || ReadyAt(pod) + TimeSpan.FromSeconds(minReadySeconds) <= now);

    /// <summary>How long until the first ready pod that is not available yet becomes available; null when none will.</summary>
    public static TimeSpan? NextAvailable(IEnumerable<JsonObject> pods, int minReadySeconds, DateTimeOffset now)
    {
        if (minReadySeconds == 0)
            return null;
        TimeSpan? next = null;
        foreach (var pod in pods.Where(p => IsReady(p) && !IsAvailable(p, minReadySeconds, now)))
        {
            var left = ReadyAt(pod) + TimeSpan.FromSeconds(minReadySeconds) - now;
            if (next is null || left < next)
                next = left;
        }

        return next;
    }

    public static int Restarts(JsonNode pod) =>
        pod.Objs("status", "containerStatuses")
            .Concat(pod.Objs("status", "initContainerStatuses"))
            .Sum(c => c.Int(0, "restartCount"));

    /// <summary>Orders pods so that those come first that are least worth keeping, as replica sets rank them.</summary>
    public static IEnumerable<JsonObject> LeastWorthFirst(IEnumerable<JsonObject> pods) => pods
        .OrderBy(p => p.Str("spec", "nodeName") is null ? 0 : 1)
        .ThenBy(p => Phase(p) switch { "Pending" => 0, "Unknown" => 1, _ => 2 })
        .ThenBy(p => IsReady(p) ? 1 : 0)
        .ThenBy(p => long.TryParse(p.Annotation("controller.kubernetes.io/pod-deletion-cost"), out var cost) ? cost : 0)
        .ThenByDescending(p => IsReady(p) ? ReadyAt(p) : DateTimeOffset.MinValue)
        .ThenByDescending(Restarts)
        .ThenByDescending(p => p.Created());

    private static DateTimeOffset ReadyAt(JsonNode pod) =>
        pod.Obj("status").Condition("Ready").Time("lastTransitionTime") ?? DateTimeOffset.MinValue;
}
