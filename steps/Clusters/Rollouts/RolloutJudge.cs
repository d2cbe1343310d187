using System.Text.Json.Nodes;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;
using static CiSteps.Clusters.Reading;

namespace CiSteps.Clusters;

/// <summary>Decides what a roll-out is at. Pure: no clock, no network.</summary>
internal static class RolloutJudge
{
    public static RolloutState Judge(RolloutView view, RolloutTarget target)
    {
        if (view.Workload is not { } workload) return Waiting(view.Knows("workload") ? $"{target.Title} to exist" : "");
        if (!view.Knows("pods") || !view.Knows("replicasets") || !view.Knows("events") || !view.Knows("controllerrevisions"))
            return Waiting("the first list of its pods");
        var generation = Number(workload.Member("metadata", "generation"));
        if (Number(workload.Member("status", "observedGeneration")) < generation)
            return Waiting($"the cluster to take up generation {generation}");

        var selector = workload.Map("spec", "selector", "matchLabels");
        var revision = Revision.Of(view, target, workload);
        var all = view.Pods.Where(pod => Selects(selector, pod.Map("metadata", "labels")) && !IsOver(pod)).ToList();
        var fresh = revision is null ? [] : all.Where(revision.Includes).ToList();
        var old = all.Where(pod => !fresh.Contains(pod)).ToList();
        var failedFresh = revision is null ? [] : view.Pods.Where(pod => IsOver(pod) && revision.Includes(pod)).ToList();

        var ownUnready = fresh.Any(RunsUnready);
        var troubles = new List<Trouble>(WorkloadTroubles.Of(view, target, workload, revision, ownUnready));
        var nodes = view.Nodes.ToList();
        foreach (var pod in fresh.Concat(failedFresh))
        {
            var uid = pod.Uid();
            var events = view.Events.Where(item => Text(item.Member("involvedObject", "uid")) == uid)
                .OrderBy(When, StringComparer.Ordinal)
                .ToList();
            troubles.AddRange(PodTroubles.Of(pod, events, nodes, target.MostRestarts));
        }
        var names = fresh.Select(pod => pod.NameOf()).Order(StringComparer.Ordinal).ToList();
        string? digest = null;
        if (target is { Container: { } container, Digests.Count: > 0 })
        {
            foreach (var pod in fresh)
            {
                var status = Items(pod.Member("status", "containerStatuses")).FirstOrDefault(
                    each => Text(each["name"]) == container);
                if (DigestIn(Text(status?["imageID"])) is not { } runs) continue;
                digest = runs;
                if (!target.Digests.Contains(runs))
                    troubles.Add(new Trouble(
                        "digest",
                        true,
                        new StepFailure(
                            "wrong-image",
                            $"container \"{container}\" of pod \"{pod.NameOf()}\" runs {runs}, not {target.Digests.First()}; " +
                            "somebody else changes this workload, or the registry gives another image for the same name",
                            Fault.Unknown)));
            }
        }
        var missing = Missing(view, target, workload, revision, fresh, old);
        return new RolloutState(
            missing.Length == 0 && !troubles.Any(trouble => trouble.IsPermanent), missing, troubles, names, digest)
        {
            HasOwnUnready = ownUnready,
            Health = [.. failedFresh.Concat(fresh).Where(pod => !pod.IsBeingDeleted()).Select(PodHealth.Of)],
        };

        RolloutState Waiting(string what) => new(false, what.Length > 0 ? what : "the cluster's first answer", [], [], null);
    }

    // All of its containers run, and it is not ready all the same: its own doing.
    private static bool RunsUnready(JsonObject pod)
    {
        if (pod.IsBeingDeleted() || Conditions.Find(pod, "Ready") is { Status: "True" }) return false;
        var statuses = Items(pod.Member("status", "containerStatuses")).ToList();
        return statuses.Count > 0 && statuses.All(status => status.Member("state", "running") is not null);
    }

    // What is still missing, the first thing first; empty when done.
    private static string Missing(
        RolloutView view,
        RolloutTarget target,
        JsonObject workload,
        Revision? revision,
        List<JsonObject> fresh,
        List<JsonObject> old)
    {
        var status = workload["status"] as JsonObject ?? [];
        var isDaemon = target.Kind == "DaemonSet";
        var desired = isDaemon ? Number(status["desiredNumberScheduled"]) : Number(workload.Member("spec", "replicas"), 1);
        if (revision is null && desired > 0) return "the new revision to be made";
        var updated = Number(status[isDaemon ? "updatedNumberScheduled" : "updatedReplicas"]);
        var ready = fresh.Count(pod => Conditions.Find(pod, "Ready") is { Status: "True" } && !pod.IsBeingDeleted());
        if (updated != desired || fresh.Count(pod => !pod.IsBeingDeleted()) < desired)
            return $"{updated} of {desired} new pods made{Of(old)}";
        if (ready < desired) return $"{ready} of {desired} new pods ready{Reasons(view, fresh)}{Of(old)}";
        var total = Number(status[isDaemon ? "numberReady" : "readyReplicas"]);
        if (total < desired) return $"{total} of {desired} pods counted as ready";
        var available = Number(status[isDaemon ? "numberAvailable" : "availableReplicas"]);
        if (available < desired) return $"{available} of {desired} pods available";
        if (target is { Container: { } container, Digests.Count: > 0 })
        {
            var unproved = fresh.Count(
                pod => DigestIn(Text(
                    Items(pod.Member("status", "containerStatuses")).FirstOrDefault(
                        each => Text(each["name"]) == container)?["imageID"])) is not { } runs
                    || !target.Digests.Contains(runs));
            if (unproved > 0) return $"{unproved} pods to show which image they run";
        }
        if (old.Count > 0)
            return $"{Count.Of(old.Count, "old pod")} to end " +
                $"({string.Join(", ", old.Select(pod => pod.NameOf()).Order(StringComparer.Ordinal).Take(3))})";
        if (!isDaemon && Number(status["replicas"]) != desired)
            return $"{desired} pods in all, {Number(status["replicas"])} counted";
        return Endpoints(view, workload, fresh);

        static string Of(List<JsonObject> old) => old.Count == 0 ? "" : $", {Count.Of(old.Count, "old pod")} still there";
    }

    // Services that select the new pods must send to them, to all of them, and to nothing else.
    private static string Endpoints(RolloutView view, JsonObject workload, List<JsonObject> fresh)
    {
        if (view.IsAbsent("endpointslices") || view.IsAbsent("services")) return "";
        if (!view.Knows("services") || !view.Knows("endpointslices")) return "the first list of the service endpoints";
        var labels = workload.Map("spec", "template", "metadata", "labels");
        var uids = fresh.Select(pod => pod.Uid()).ToHashSet(StringComparer.Ordinal);
        foreach (var service in view.Services)
        {
            if (!Selects(service.Map("spec", "selector"), labels)) continue;
            var name = service.NameOf();
            var endpoints = view.Slices.Where(slice => slice.Label("kubernetes.io/service-name") == name)
                .SelectMany(slice => Items(slice["endpoints"]))
                .ToList();
            // Dual-stack clusters have two slices: a pod counts once. Other workloads may share the service: only pods that are
            // no longer count as old.
            var serving = endpoints.Where(endpoint => endpoint.Flag("conditions", "ready") != false)
                .Select(endpoint => Text(endpoint.Member("targetRef", "uid")) ?? "")
                .ToHashSet(StringComparer.Ordinal);
            var known = view.Pods.Select(pod => pod.Uid()).ToHashSet(StringComparer.Ordinal);
            if (serving.Any(uid => uid.Length > 0 && !uids.Contains(uid) && !known.Contains(uid)))
                return $"service \"{name}\" to forget pods that are gone";
            if (uids.Any(uid => !serving.Contains(uid))) return $"service \"{name}\" to send to all new pods";
        }
        return "";
    }

    private static string Reasons(RolloutView view, List<JsonObject> fresh)
    {
        var words = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var pod in fresh.Where(pod => Conditions.Find(pod, "Ready") is not { Status: "True" }))
        {
            var waiting = Items(pod.Member("status", "initContainerStatuses"))
                .Concat(Items(pod.Member("status", "containerStatuses")))
                .Select(status => Text(status.Member("state", "waiting", "reason")))
                .OfType<string>()
                .ToList();
            if (waiting.Count > 0) words.UnionWith(waiting);
            else if (view.Events.LastOrDefault(
                item => Text(item.Member("involvedObject", "uid")) == pod.Uid()
                    && Text(item["reason"]) == "Unhealthy") is { } probe)
                words.Add((Text(probe["message"]) ?? "").Trim());
            else if (Text(pod.Member("status", "phase")) is { } phase) words.Add(phase);
        }
        return words.Count == 0 ? "" : $" ({string.Join(", ", words)})";
    }

    private static bool IsOver(JsonObject pod) => Text(pod.Member("status", "phase")) is "Succeeded" or "Failed";

    internal static string When(JsonObject item) =>
        Text(item["lastTimestamp"]) ?? Text(item["eventTime"]) ?? Text(item.Member("metadata", "creationTimestamp")) ?? "";
}

/// <summary>The revision that is being rolled out, and how its pods are known.</summary>
internal sealed record Revision(string Label, string Value, JsonObject? ReplicaSet)
{
    public bool Includes(JsonObject pod) => ReplicaSet is { } set ? pod.IsOwnedBy(set.Uid()) : pod.Label(Label) == Value;

    public static Revision? Of(RolloutView view, RolloutTarget target, JsonObject workload)
    {
        var uid = workload.Uid();
        switch (target.Kind)
        {
            case "Deployment":
                var wanted = workload.Annotation("deployment.kubernetes.io/revision");
                var set = view.ReplicaSets.Where(item => item.IsOwnedBy(uid) && !item.IsBeingDeleted())
                    .FirstOrDefault(
                        item => wanted is not null
                            && item.Annotation("deployment.kubernetes.io/revision") == wanted
                            && SameImages(item, workload));
                return set is null ? null : new Revision("pod-template-hash", set.Label("pod-template-hash") ?? "", set);
            case "StatefulSet":
                return Text(workload.Member("status", "updateRevision")) is { Length: > 0 } update
                    ? new Revision("controller-revision-hash", update, null)
                    : null;
            default:
                var newest = view.Revisions.Where(item => item.IsOwnedBy(uid)).MaxBy(item => Number(item["revision"]));
                var hash = newest?.Label("controller-revision-hash");
                return hash is null ? null : new Revision("controller-revision-hash", hash, null);
        }
    }

    private static bool SameImages(JsonObject set, JsonObject workload) =>
        Images(set).SequenceEqual(Images(workload), StringComparer.Ordinal);

    private static IEnumerable<string> Images(JsonObject item) =>
        Items(item.Member("spec", "template", "spec", "initContainers"))
            .Concat(Items(item.Member("spec", "template", "spec", "containers")))
            .Select(container => Text(container["image"]) ?? "");
}

/// <summary>What is wrong with the workload itself: its pods are denied, or its controller gave up.</summary>
internal static class WorkloadTroubles
{
    public static IEnumerable<Trouble> Of(RolloutView view, RolloutTarget target, JsonObject workload, Revision? revision,
        bool hasOwnUnready)
    {
        if (revision?.ReplicaSet is { } set && Conditions.Find(set, "ReplicaFailure") is { Status: "True" } failed)
            yield return Denied(target, failed.Message);
        else if (Conditions.Find(workload, "ReplicaFailure") is { Status: "True" } whole)
            yield return Denied(target, whole.Message);
        else if (target.Kind != "Deployment")
        {
            var uid = workload.Uid();
            if (view.Events.Where(
                item => Text(item.Member("involvedObject", "uid")) == uid && Text(item["reason"]) == "FailedCreate")
                .OrderBy(RolloutJudge.When, StringComparer.Ordinal)
                .LastOrDefault() is { } said
                && (Number(workload.Member("status", "currentReplicas")) == 0
                    || Number(workload.Member("status", "updatedReplicas")) < Number(workload.Member("spec", "replicas"), 1)))
                yield return Denied(target, Text(said["message"]) ?? "");
        }
        if (Conditions.Find(workload, "Progressing") is { Status: "False", Reason: "ProgressDeadlineExceeded" } late)
            yield return new Trouble(
                "deadline",
                true,
                new StepFailure("progress-deadline",
                    $"{target.Title} made no progress within its progressDeadlineSeconds: {late.Message}; " +
                    "the diagnosis says what its pods wait for")
                {
                    IsOwn = hasOwnUnready
                });
    }

    private static Trouble Denied(RolloutTarget target, string message)
    {
        bool Says(string words) => message.Contains(words, StringComparison.OrdinalIgnoreCase);
        if (Says("exceeded quota") || Says("failed quota"))
            return new Trouble(
                "denied",
                true,
                new StepFailure("quota",
                    $"pods of {target.Title} do not fit the quota: {message}; ask for less, or raise the quota"));
        if (Says("violates PodSecurity"))
            return new Trouble(
                "denied",
                true,
                new StepFailure("pod-security",
                    $"pods of {target.Title} break the namespace's pod security level: {message}; " +
                    "tighten the pod's securityContext"));
        if (Says("serviceaccount") && Says("not found"))
            return new Trouble(
                "account",
                false,
                new StepFailure("service-account",
                    $"pods of {target.Title} cannot be made: {message}; deploy the service account with the manifests"));
        if (Says("denied the request") || Says("admission webhook") || Says("is forbidden") || Says("is invalid"))
            return new Trouble(
                "denied",
                true,
                new StepFailure("denied",
                    $"pods of {target.Title} are denied: {message}; change the pod template or the policy"));
        return new Trouble(
            "create", false, new StepFailure("pods-not-made", $"pods of {target.Title} cannot be made: {message}"));
    }
}
