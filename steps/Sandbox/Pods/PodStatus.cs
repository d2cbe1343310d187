using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>A pod's status from its containers' runs: pure, as the kubelet words it.</summary>
internal static class PodStatus
{
    /// <summary>The status to write over <paramref name="before"/>.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="before">Its present status; conditions of others are kept.</param>
    /// <param name="runs">All containers, init containers first.</param>
    /// <param name="network">The pod's address, or null before it has one.</param>
    /// <param name="hostAddress">The node's address.</param>
    /// <param name="forced">Phase Failed with reason and message, whatever the containers say.</param>
    /// <param name="now">The time of changes.</param>
    public static JsonObject Compose(
        JsonObject pod,
        JsonObject? before,
        IReadOnlyList<ContainerRun> runs,
        string? network,
        string hostAddress,
        (string Reason, string Message)? forced,
        DateTimeOffset now)
    {
        var status = before?.Copy() ?? new JsonObject();
        var phase = forced is not null ? "Failed" : Phase(pod, runs);
        status["phase"] = phase;
        if (forced is { } end)
        {
            status["reason"] = end.Reason;
            status["message"] = end.Message;
        }

        status["hostIP"] = hostAddress;
        status["hostIPs"] = Fields.ListOf([new JsonObject { ["ip"] = hostAddress }]);
        if (network is not null)
        {
            status["podIP"] = network;
            status["podIPs"] = Fields.ListOf([new JsonObject { ["ip"] = network }]);
        }

        if (status["startTime"] is null)
            status["startTime"] = JsonAccess.Stamp(now);
        status["qosClass"] = QualityClass(pod);
        SetConditions(pod, status, runs, phase, network is not null, now);
        var inits = runs.Where(r => r.Role != ContainerRole.App).ToList();
        if (inits.Count > 0)
            status["initContainerStatuses"] = Fields.ListOf(inits.Select(r => (JsonNode)ContainerStatus(r)));
        status["containerStatuses"] = Fields.ListOf(runs
            .Where(r => r.Role == ContainerRole.App)
            .Select(r => (JsonNode)ContainerStatus(r)));
        return status;
    }

    public static string Phase(JsonObject pod, IReadOnlyList<ContainerRun> runs)
    {
        var policy = pod.Str("spec", "restartPolicy") ?? "Always";
        var inits = runs.Where(r => r.Role == ContainerRole.Init).ToList();
        if (policy == "Never" && inits.Any(r => r.LatestEnd is { ExitCode: not 0 }))
            return "Failed";
        if (!IsInitialized(runs))
            return "Pending";
        var apps = runs.Where(r => r.Role == ContainerRole.App).ToList();
        if (apps.Any(r => r.State == RunState.Running))
            return "Running";
        if (apps.Any(r => !r.HasRun))
            return "Pending";
        if (apps.TrueForAll(r => r.State == RunState.Terminated && !r.IsBeingReplaced) && policy != "Always")
        {
            if (apps.TrueForAll(r => r.End!.ExitCode == 0))
                return "Succeeded";
            if (policy == "Never")
                return "Failed";
        }

        return "Running";
    }

    /// <summary>Whether every init container is done and every sidecar is up.</summary>
    public static bool IsInitialized(IReadOnlyList<ContainerRun> runs) => runs.All(r => r.Role switch
    {
        ContainerRole.Init => r.State == RunState.Terminated && r.End!.ExitCode == 0,
        ContainerRole.Sidecar => r.Started || r.State == RunState.Terminated || r.LastEnd is not null,
        _ => true,
    });

    private static void SetConditions(
        JsonObject pod, JsonObject status, IReadOnlyList<ContainerRun> runs, string phase, bool hasNetwork, DateTimeOffset now)
    {
        status.SetCondition(
            "PodReadyToStartContainers", hasNetwork && phase is not ("Succeeded" or "Failed"), null, null, now, LastProbe);
        var done = phase is "Succeeded" or "Failed";
        var waitingInits = runs.Where(
            r => r.Role == ContainerRole.Init && !(r.State == RunState.Terminated && r.End!.ExitCode == 0)
                || r.Role == ContainerRole.Sidecar && !r.Started && !r.HasRun).Select(r => r.Name).ToList();
        if (phase == "Succeeded")
            status.SetCondition("Initialized", true, "PodCompleted", null, now, LastProbe);
        else if (waitingInits.Count > 0)
            status.SetCondition(
                "Initialized",
                false,
                "ContainersNotInitialized",
                $"containers with incomplete status: [{string.Join(' ', waitingInits)}]",
                now,
                LastProbe);
        else
            status.SetCondition("Initialized", true, null, null, now, LastProbe);

        var unready = runs.Where(r => r.Role != ContainerRole.Init && !(r.State == RunState.Running && r.Ready))
            .Select(r => r.Name)
            .ToList();
        var (ready, reason, message) = phase switch
        {
            "Succeeded" => (false, "PodCompleted", null),
            "Failed" when done => (false, "PodFailed", null),
            _ when unready.Count > 0 =>
                (false, "ContainersNotReady", $"containers with unready status: [{string.Join(' ', unready)}]"),
            _ => (true, (string?)null, (string?)null),
        };
        status.SetCondition("ContainersReady", ready, reason, message, now, LastProbe);
        if (ready)
        {
            var gates = pod.Objs("spec", "readinessGates")
                .Select(g => g.Str("conditionType") ?? "")
                .Where(g => !status.IsTrue(g))
                .ToList();
            if (gates.Count > 0)
                (ready, reason, message) = (false, "ReadinessGatesNotReady",
                    $"the status of pod readiness gate {string.Join(", ", gates.Select(g => $"\"{g}\""))} is not \"True\"");
        }

        status.SetCondition("Ready", ready, reason, message, now, LastProbe);
        foreach (var condition in status.Objs("conditions"))
            condition[LastProbe] = null;
    }

    // Pods' conditions show it, always null.
    private const string LastProbe = "lastProbeTime";

    private static JsonObject ContainerStatus(ContainerRun run)
    {
        var status = new JsonObject { ["name"] = run.Name, ["state"] = State(run), ["lastState"] = new JsonObject() };
        if (run.LastEnd is { } last)
            status["lastState"] = new JsonObject { ["terminated"] = Terminated(last) };
        status["ready"] = run.Role == ContainerRole.Init ? run.State == RunState.Terminated && run.End!.ExitCode == 0 : run.Ready;
        status["restartCount"] = run.Restarts;
        status["image"] = run.ImageText;
        status["imageID"] = run.ImageId;
        if (run.Id is { } id)
            status["containerID"] = "docker://" + id;
        status["started"] = run.Started;
        return status;
    }

    private static JsonObject State(ContainerRun run)
    {
        switch (run.State)
        {
            case RunState.Running:
                return new() { ["running"] = new JsonObject { ["startedAt"] = JsonAccess.Stamp(run.StartedAt) } };
            case RunState.Terminated:
                return new() { ["terminated"] = Terminated(run.End!) };
            default:
                var waiting = new JsonObject { ["reason"] = run.WaitingReason };
                if (run.WaitingMessage is not null)
                    waiting["message"] = run.WaitingMessage;
                return new() { ["waiting"] = waiting };
        }
    }

    private static JsonObject Terminated(Termination end)
    {
        var terminated = new JsonObject
        {
            ["exitCode"] = end.ExitCode,
            ["reason"] = end.Reason,
            ["startedAt"] = JsonAccess.Stamp(end.StartedAt),
            ["finishedAt"] = JsonAccess.Stamp(end.FinishedAt),
        };
        if (!string.IsNullOrEmpty(end.Message))
            terminated["message"] = end.Message;
        if (end.ContainerId is not null)
            terminated["containerID"] = "docker://" + end.ContainerId;
        return terminated;
    }

    private static string QualityClass(JsonObject pod)
    {
        var containers = pod.Objs("spec", "containers").Concat(pod.Objs("spec", "initContainers")).ToList();
        var any = containers.Any(
            c => c.Obj("resources", "requests") is { Count: > 0 } || c.Obj("resources", "limits") is { Count: > 0 });
        if (!any)
            return "BestEffort";
        var guaranteed = containers.TrueForAll(c => Fixed(c, "cpu") && Fixed(c, "memory"));
        return guaranteed ? "Guaranteed" : "Burstable";
    }

    private static bool Fixed(JsonNode container, string resource) =>
        Amount(container, "limits", resource) is { } limit && (Amount(container, "requests", resource) ?? limit) == limit;

    private static decimal? Amount(JsonNode container, string side, string resource) =>
        container.At("resources", side, resource) is { } node ? Quantity.Parse(node.Str() ?? node.ToJsonString()) : null;
}
