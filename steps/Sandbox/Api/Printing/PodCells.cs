using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Printing;

/// <summary>The summary of a pod that people know from <c>kubectl get pods</c>.</summary>
internal static class PodCells
{
    public static string Ready(JsonObject pod) =>
        $"{pod
            .Objs("status", "containerStatuses")
            .Count(c => c.Flag("ready") && c.Obj("state", "running") is not null)}/{pod.Objs("spec", "containers").Count()}";

    public static string Restarts(JsonObject pod, DateTimeOffset now)
    {
        var statuses = pod.Objs("status", "containerStatuses").ToList();
        var count = statuses.Sum(c => c.Num("restartCount") ?? 0);
        var last = statuses.Select(c => c.Time("lastState", "terminated", "finishedAt")).Max();
        return count > 0 && last is not null ? $"{count} ({Age.Since(last, now)} ago)" : count.ToString();
    }

    public static string Status(JsonObject pod)
    {
        var reason = pod.Str("status", "reason") ?? pod.Str("status", "phase") ?? "";
        if (pod.Objs("status", "conditions").Any(c => c.Str("type") == "PodScheduled" && c.Str("reason") == "SchedulingGated"))
            reason = "SchedulingGated";
        var initializing = false;
        var index = -1;
        foreach (var container in pod.Objs("status", "initContainerStatuses"))
        {
            index++;
            var terminated = container.Obj("state", "terminated");
            if (terminated is not null && terminated.Num("exitCode") == 0)
                continue;
            if (container.Flag("started") && IsRestartable(pod, container.Str("name")))
                continue;
            var waiting = container.Str("state", "waiting", "reason");
            reason = terminated is not null ? "Init:" + Terminated(terminated)
                : waiting is { Length: > 0 } and not "PodInitializing" ? "Init:" + waiting
                : $"Init:{index}/{pod.Objs("spec", "initContainers").Count()}";
            initializing = true;
            break;
        }
        if (!initializing)
            reason = OfContainers(pod, reason);
        if (pod.Str("metadata", "deletionTimestamp") is null)
            return reason;
        return pod.Str("status", "reason") == "NodeLost"
            ? "Unknown"
            : pod.Str("status", "phase") is "Succeeded" or "Failed" ? reason : "Terminating";
    }

    private static string OfContainers(JsonObject pod, string reason)
    {
        var running = false;
        foreach (var container in pod.Objs("status", "containerStatuses").Reverse())
        {
            if (container.Str("state", "waiting", "reason") is { Length: > 0 } waiting)
                reason = waiting;
            else if (container.Obj("state", "terminated") is { } terminated)
                reason = Terminated(terminated);
            else if (container.Flag("ready") && container.Obj("state", "running") is not null)
                running = true;
        }
        if (reason == "Completed" && running)
            reason = pod.Objs("status", "conditions").Any(c => c.Str("type") == "Ready" && c.Str("status") == "True")
                ? "Running"
                : "NotReady";
        return reason;
    }

    private static bool IsRestartable(JsonObject pod, string? name) =>
        pod.Objs("spec", "initContainers").Any(c => c.Str("name") == name && c.Str("restartPolicy") == "Always");

    private static string Terminated(JsonObject terminated) =>
        terminated.Str("reason") is { Length: > 0 } reason ? reason
        : terminated.Num("signal") is > 0 and var signal ? $"Signal:{signal}"
        : $"ExitCode:{terminated.Num("exitCode") ?? 0}";
}
