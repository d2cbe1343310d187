using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>Which node takes a pod, and in Kubernetes' words why none does: pure.</summary>
internal static class Fit
{
    /// <summary>The node with the most room among those that fit, or null and the reasons.</summary>
    /// <param name="pod">The pod to place.</param>
    /// <param name="nodes">All nodes.</param>
    /// <param name="placed">All pods that have a node and have not ended.</param>
    /// <param name="namespaces">All namespaces, for what selects other pods by them.</param>
    public static (string? Node, string Why) Choose(
        JsonObject pod, IReadOnlyList<JsonObject> nodes, IReadOnlyList<JsonObject> placed, IReadOnlyList<JsonObject> namespaces)
    {
        if (nodes.Count == 0)
            return (null, "no nodes available to schedule pods");
        var neighbours = new Neighbours(pod, nodes, placed, namespaces);
        var victims = 0;
        var reasons = new Dictionary<string, int>();
        string? best = null;
        var bestRoom = decimal.MinValue;
        foreach (var node in nodes)
        {
            var there = placed.Where(p => p.Str("spec", "nodeName") == node.Name()).ToList();
            var problems = Problems(pod, node, there);
            if (problems.Count == 0 && neighbours.Problem(node) is { } apart)
                problems = [apart];
            if (problems.Count == 0)
            {
                var room = Room(node, there);
                if (room > bestRoom)
                    (best, bestRoom) = (node.Name(), room);
                continue;
            }

            // Only what other pods take up or forbid could be had by evicting them.
            if (problems.TrueForAll(
                p => p.StartsWith("Insufficient", StringComparison.Ordinal)
                    || p is "Too many pods" or Neighbours.NotApart or Neighbours.NotWanted or Neighbours.NotSpread))
                victims++;
            foreach (var problem in problems)
                reasons[problem] = reasons.GetValueOrDefault(problem) + 1;
        }

        if (best is not null)
            return (best, "");
        return (
            null,
            $"0/{Text(nodes.Count)} nodes are available: " +
            $"{string.Join(", ", reasons.Select(r => $"{Text(r.Value)} {r.Key}").Order(StringComparer.Ordinal))}. "
                + $"no new claims to deallocate, preemption: 0/{Text(nodes.Count)} nodes are available: " +
                    $"{string.Join(", ", Preemption(victims, nodes.Count - victims))}.");
    }

    private static IEnumerable<string> Preemption(int none, int useless)
    {
        if (none > 0)
            yield return $"{Text(none)} No preemption victims found for incoming pod";
        if (useless > 0)
            yield return $"{Text(useless)} Preemption is not helpful for scheduling";
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Whether the node's taints and labels allow the pod at all, however full the node is.</summary>
    public static bool MayRun(JsonObject pod, JsonObject node) => Bars(pod, node) is null;

    private static List<string> Problems(JsonObject pod, JsonObject node, List<JsonObject> there)
    {
        if (Bars(pod, node) is { } bar)
            return [bar];

        var problems = new List<string>();
        if (there.Count >= (int)Amount(node.At("status", "allocatable", "pods"), 110))
            problems.Add("Too many pods");
        foreach (var (resource, wanted) in Requests(pod))
        {
            if (wanted <= 0)
                continue;
            var used = there.Sum(p => Requests(p).GetValueOrDefault(resource));
            if (used + wanted > Amount(node.At("status", "allocatable", resource), 0))
                problems.Add($"Insufficient {resource}");
        }

        return problems;
    }

    private static string? Bars(JsonObject pod, JsonObject node)
    {
        if (node.Flag("spec", "unschedulable") && !Tolerates(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule"))
            return "node(s) were unschedulable";
        if (!node.Obj("status").IsTrue("Ready"))
            return "node(s) were not ready";
        foreach (var taint in node.Objs("spec", "taints").Where(t => t.Str("effect") is "NoSchedule" or "NoExecute"))
        {
            var (key, value, effect) = (taint.Str("key") ?? "", taint.Str("value") ?? "", taint.Str("effect")!);
            if (!Tolerates(pod, key, value, effect))
                return $"node(s) had untolerated taint {{{key}: {value}}}";
        }

        if (!Selected(pod, node))
            return "node(s) didn't match Pod's node affinity/selector";

        return null;
    }

    /// <summary>What a pod asks for: its containers together, or its largest init container, whichever is more.</summary>
    public static Dictionary<string, decimal> Requests(JsonObject pod)
    {
        var total = new Dictionary<string, decimal>();
        foreach (var container in pod
            .Objs("spec", "containers")
            .Concat(pod.Objs("spec", "initContainers").Where(c => c.Str("restartPolicy") == "Always")))
        {
            foreach (var (name, amount) in Declared(container.Obj("resources")))
                total[name] = total.GetValueOrDefault(name) + amount;
        }

        foreach (var container in pod.Objs("spec", "initContainers").Where(c => c.Str("restartPolicy") != "Always"))
        {
            foreach (var (name, amount) in Declared(container.Obj("resources")))
                total[name] = Math.Max(total.GetValueOrDefault(name), amount);
        }

        return total;
    }

    private static Dictionary<string, decimal> Declared(JsonObject? resources)
    {
        var amounts = new Dictionary<string, decimal>();
        foreach (var side in (ReadOnlySpan<string>)["limits", "requests"])
        {
            // A limit without a request is a request as well.
            foreach (var (name, value) in resources.Obj(side) ?? [])
                amounts[name] = Amount(value, 0);
        }

        return amounts;
    }

    private static decimal Room(JsonObject node, List<JsonObject> there)
    {
        decimal room = 0;
        foreach (var resource in (ReadOnlySpan<string>)["cpu", "memory"])
        {
            var all = Amount(node.At("status", "allocatable", resource), 1);
            room += (all - there.Sum(p => Requests(p).GetValueOrDefault(resource))) / all;
        }

        return room - (there.Count / 100m);
    }

    private static bool Tolerates(JsonObject pod, string key, string value, string effect) =>
        pod.Objs("spec", "tolerations").Any(t =>
            (t.Str("effect") is null or "" || t.Str("effect") == effect)
            && (t.Str("operator") == "Exists"
                ? t.Str("key") is null or "" || t.Str("key") == key
                : t.Str("key") == key && (t.Str("value") ?? "") == value));

    /// <summary>Whether the pod's node selector and required node affinity take the node.</summary>
    public static bool Selected(JsonObject pod, JsonObject node)
    {
        if (!pod.Map("spec", "nodeSelector").All(s => node.Label(s.Key) == s.Value))
            return false;
        var required = pod.Obj("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
        if (required is null)
            return true;
        return required.Objs("nodeSelectorTerms").Any(term =>
            term.Objs("matchExpressions").All(e => Matches(e, node.Label(e.Str("key") ?? "")))
            && term.Objs("matchFields").All(e => Matches(e, e.Str("key") == "metadata.name" ? node.Name() : null))
            && (term.Objs("matchExpressions").Any() || term.Objs("matchFields").Any()));
    }

    private static bool Matches(JsonObject expression, string? value) => expression.Str("operator") switch
    {
        "In" => value is not null && expression.Strs("values").Contains(value),
        "NotIn" => value is null || !expression.Strs("values").Contains(value),
        "Exists" => value is not null,
        "DoesNotExist" => value is null,
        "Gt" =>
            long.TryParse(value, out var v)
                && long.TryParse(expression.Strs("values").FirstOrDefault(), out var than)
                && v > than,
        "Lt" =>
            long.TryParse(value, out var v)
                && long.TryParse(expression.Strs("values").FirstOrDefault(), out var than)
                && v < than,
        _ => false,
    };

    private static decimal Amount(JsonNode? value, decimal otherwise) =>
        value is null ? otherwise : Quantity.TryParse(value.Str() ?? value.ToJsonString(), out var amount) ? amount : otherwise;
}
