using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;
using static CiSteps.Clusters.Reading;

namespace CiSteps.Clusters;

/// <summary>What is wrong with one pod, in words that say what to do. Pure: the pod, its events, the nodes.</summary>
internal static class PodTroubles
{
    public static IEnumerable<Trouble> Of(
        JsonObject pod, IReadOnlyList<JsonObject> events, IReadOnlyList<JsonObject> nodes, int mostRestarts)
    {
        if (pod.IsBeingDeleted()) yield break;
        var name = pod.NameOf();
        foreach (var trouble in Scheduling(pod, name, events, nodes)) yield return trouble;
        foreach (var trouble in Mounting(pod, name, events)) yield return trouble;
        if (Text(pod.Member("status", "phase")) == "Failed" && Text(pod.Member("status", "reason")) is { } reason)
            yield return Maybe("pod-" + reason + pod.Uid(), "pod-failed",
                $"pod \"{name}\" was ended by the cluster: {reason}, {Text(pod.Member("status", "message"))}; " +
                "look at the nodes' memory and disk");
        foreach (var part in (string[])["initContainerStatuses", "containerStatuses"])
            foreach (var status in Items(pod.Member("status", part)))
                foreach (var trouble in Containers(pod, name, status, events, mostRestarts)) yield return trouble;
    }

    private static IEnumerable<Trouble> Scheduling(
        JsonObject pod, string name, IReadOnlyList<JsonObject> events, IReadOnlyList<JsonObject> nodes)
    {
        if (Conditions.Find(pod, "PodScheduled") is not { Status: "False", Reason: "Unschedulable" } unschedulable) yield break;
        var spec = pod["spec"] as JsonObject ?? [];
        var comes = events.Any(item => Text(item["reason"]) == "TriggeredScaleUp");
        var never = comes ? null : Unschedulable.ForEver(spec, nodes);
        yield return never is not null
            ? Permanent("unschedulable" + name, "unschedulable",
                $"pod \"{name}\" fits on no node: {never} ({unschedulable.Message}); ask for less, " +
                "or use a testbed class with bigger nodes")
            : Maybe("unschedulable", "unschedulable",
                $"pod \"{name}\" finds no node: {unschedulable.Message}; free the nodes, or use a testbed class with more");
    }

    private static IEnumerable<Trouble> Mounting(JsonObject pod, string name, IReadOnlyList<JsonObject> events)
    {
        if (Text(pod.Member("status", "phase")) != "Pending") yield break;
        foreach (var item in events)
            if (Text(item["reason"]) is "FailedMount" or "FailedAttachVolume")
                yield return Maybe("mount", "volume",
                    $"pod \"{name}\" cannot mount a volume: {Text(item["message"])}; deploy what it mounts, or correct the name");
            else if (Text(item["reason"]) is "FailedCreatePodSandBox")
                yield return Maybe("sandbox", "node",
                    $"the node cannot start pod \"{name}\": {Text(item["message"])}; look at the node's network and runtime");
    }

    private static IEnumerable<Trouble> Containers(
        JsonObject pod, string podName, JsonObject status, IReadOnlyList<JsonObject> events, int mostRestarts)
    {
        var container = Text(status["name"]) ?? "";
        var who = $"container \"{container}\" of pod \"{podName}\"";
        var image = Text(status["image"]) ?? "";
        if (SpecImage(pod, container) is { } asked) image = asked;
        var waiting = status.Map("state", "waiting");
        var reason = Text(waiting?["reason"]) ?? "";
        var message = Text(waiting?["message"]) ?? "";
        var restarts = Number(status["restartCount"]);
        var last = (status.Member("state", "terminated") ?? status.Member("lastState", "terminated")) as JsonObject;
        switch (reason)
        {
            case "InvalidImageName":
                yield return Permanent(reason + container, "invalid-image-name",
                    $"the image name \"{image}\" of {who} is not valid: {message}; correct it in the manifest");
                break;
            case "ErrImageNeverPull":
                yield return Permanent(reason + container, "image-not-there",
                    $"the image \"{image}\" of {who} is not on the node and imagePullPolicy is Never; load it, " +
                    "or let it be pulled");
                break;
            case "ErrImagePull" or "ImagePullBackOff" or "RegistryUnavailable" or "ImageInspectError"
                or "SignatureValidationFailed":
                yield return PullTroubles.Of(image, who, container, PullWords(message, container, events));
                break;
            case "CreateContainerConfigError":
                yield return Permanent(reason + container, "container-config",
                    $"{who} cannot be configured: {message}; deploy the missing object, or correct the reference");
                break;
            case "CreateContainerError" or "RunContainerError":
                yield return CannotStart(message)
                    ? Own(Permanent(reason + container, "container-start",
                        $"{who} cannot start: {message}; correct its command or the image's entry point"))
                    : Maybe(reason + container, "container-start",
                        $"{who} cannot start: {message}; look at the container's settings");
                break;
        }
        if (Text(last?["reason"]) is "StartError" or "ContainerCannotRun" && CannotStart(Text(last!["message"]) ?? ""))
            yield return Own(Permanent("start" + container, "container-start",
                $"{who} cannot start: {Text(last["message"])}; correct its command or the image's entry point"));
        else if (restarts >= mostRestarts && (reason == "CrashLoopBackOff" || restarts > mostRestarts))
            yield return Own(Permanent("crash" + container, "crash-loop",
                $"{who} crashed {restarts + (status.Member("state", "terminated") is null ? 0 : 1)} times, " +
                $"last with {Ending(last)}{Probe(events, container)}; its log is in the diagnosis"));
        else if (restarts > 0 || last is not null && Number(last["exitCode"]) != 0)
            yield return Own(Maybe("crashes" + container, "crashing",
                $"{who} crashed with {Ending(last)}{Probe(events, container)} and does not come up; " +
                "its log is in the diagnosis"));
    }

    private static string? SpecImage(JsonObject pod, string container) =>
        Items(pod.Member("spec", "containers"))
            .Concat(Items(pod.Member("spec", "initContainers")))
            .Where(each => Text(each["name"]) == container)
            .Select(each => Text(each["image"]))
            .FirstOrDefault();

    // "Back-off pulling image" says nothing: the event of the failed pull says why.
    private static string PullWords(string message, string container, IReadOnlyList<JsonObject> events)
    {
        if (!message.StartsWith("Back-off", StringComparison.Ordinal)
            || message.Contains("ErrImagePull", StringComparison.Ordinal))
            return message;
        var said = events.Where(
            item => Text(item["reason"]) == "Failed"
                && (Text(item["message"]) ?? "").StartsWith("Failed to pull image", StringComparison.Ordinal)
                    && (Text(item.Member("involvedObject", "fieldPath")) is not { } path
                        || path.Contains("{" + container + "}", StringComparison.Ordinal)))
            .Select(item => Text(item["message"])!).LastOrDefault();
        return said ?? message;
    }

    private static string Ending(JsonObject? terminated)
    {
        if (terminated is null) return "an unknown end";
        var reason = Text(terminated["reason"]) ?? "";
        if (reason == "OOMKilled") return "OOMKilled (more memory than its limit)";
        var text = Text(terminated["message"]) is { Length: > 0 } message ? $": {message.Trim()}" : "";
        return $"exit code {Number(terminated["exitCode"])}{(reason is "" or "Error" ? "" : $" ({reason})")}{text}";
    }

    private static string Probe(IReadOnlyList<JsonObject> events, string container)
    {
        var said = events.LastOrDefault(item => Text(item["reason"]) == "Unhealthy"
            && (Text(item.Member("involvedObject", "fieldPath")) is not { } path
                || path.Contains("{" + container + "}", StringComparison.Ordinal)));
        return said is null ? "" : $" (probe: {Text(said["message"])?.Trim()})";
    }

    private static bool CannotStart(string message) =>
        message.Contains("no such file or directory", StringComparison.Ordinal)
            || message.Contains("executable file not found", StringComparison.Ordinal)
        || message.Contains("permission denied", StringComparison.Ordinal)
            || message.Contains("exec format error", StringComparison.Ordinal)
        || message.Contains("no command specified", StringComparison.OrdinalIgnoreCase);

    // What the container itself did.
    private static Trouble Own(Trouble trouble) => trouble with { Failure = trouble.Failure with { IsOwn = true } };

    private static Trouble Permanent(string key, string reason, string text) => new(key, true, new StepFailure(reason, text));

    private static Trouble Maybe(string key, string reason, string text) => new(key, false, new StepFailure(reason, text));
}

/// <summary>Why an image cannot be pulled, from the runtime's words.</summary>
internal static class PullTroubles
{
    public static Trouble Of(string image, string who, string container, string message)
    {
        var key = "pull" + container;
        if (Says("server gave HTTP response to HTTPS client") || Says("http: server gave HTTP response"))
            return Permanent("registry-plain-http",
                $"the node asked the registry of \"{image}\" over HTTPS and it speaks plain HTTP ({message}); " +
                "give the registry a certificate, or configure the nodes to take it as insecure registry");
        if (Says("x509:") || Says("tls: ") || Says("certificate"))
            return Permanent("registry-certificate",
                $"the node does not trust the registry of \"{image}\" ({message}); put its certificate authority on the nodes");
        if (Says("unauthorized")
            || Says("authentication required")
            || Says("no basic auth")
            || Says("403 Forbidden")
            || Says("401 Unauthorized")
            || Says("access denied")
            || Says("access forbidden")
            || Says("pull access denied"))
            return Permanent("image-unauthorized",
                $"{who} may not pull \"{image}\": {message}; give its service account an imagePullSecret for that registry");
        if (Says("manifest unknown") || Says("not found") || Says("name unknown") || Says("NotFound") || Says("does not exist"))
            return Permanent("image-not-found",
                $"the image \"{image}\" of {who} does not exist: {message}; check that it was pushed, " +
                "and that the registry's pull host in ci-steps.yaml is the one that nodes reach");
        if (Says("no matching manifest") || Says("no match for platform") || Says("exec format"))
            return Permanent("image-platform",
                $"the image \"{image}\" has nothing for the node's platform: {message}; build it for that platform");
        return new Trouble(
            key,
            false,
            new StepFailure(
                "image-pull",
                $"{who} cannot pull \"{image}\": {message}; check that the nodes reach the registry",
                Fault.Unknown));

        bool Says(string words) => message.Contains(words, StringComparison.OrdinalIgnoreCase);

        Trouble Permanent(string reason, string text) => new(key, true, new StepFailure(reason, text));
    }
}
