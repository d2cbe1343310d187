using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// Which nodes the pods that run already leave to a pod: required affinity and anti-affinity of both sides, and spreading; pure.
/// </summary>
/// <param name="pod">The pod to place.</param>
/// <param name="nodes">All nodes.</param>
/// <param name="placed">All pods that have a node and have not ended.</param>
/// <param name="namespaces">All namespaces.</param>
internal sealed class Neighbours(
    JsonObject pod, IReadOnlyList<JsonObject> nodes, IReadOnlyList<JsonObject> placed, IReadOnlyList<JsonObject> namespaces)
{
    public const string NotApart = "node(s) didn't match pod anti-affinity rules";
    public const string NotWanted = "node(s) didn't satisfy existing pods anti-affinity rules";
    public const string NotSpread = "node(s) didn't match pod topology spread constraints";

    private readonly ILookup<string, JsonObject> byNode = placed.ToLookup(p => p.Str("spec", "nodeName") ?? "");
    private readonly List<JsonObject> near = Required(pod, "podAffinity");
    private readonly List<JsonObject> apart = Required(pod, "podAntiAffinity");
    private readonly List<JsonObject> spread = [.. pod
        .Objs("spec", "topologySpreadConstraints")
        .Where(c => c.Str("whenUnsatisfiable") != "ScheduleAnyway")];
    private readonly List<JsonObject> wary = [.. placed.Where(p => p.Obj("spec", "affinity", "podAntiAffinity") is not null)];

    /// <summary>Why the pod must not run on this node, in Kubernetes' words; null when it may.</summary>
    public string? Problem(JsonObject node)
    {
        if (spread.Exists(c => node.Label(c.Str("topologyKey") ?? "") is null))
            return NotSpread + " (missing required label)";
        if (spread.Exists(c => !Spreads(c, node)))
            return NotSpread;
        if (!IsNear(node))
            return "node(s) didn't match pod affinity rules";
        if (apart.Exists(t => Around(node, t).Any(p => Means(t, pod, p))))
            return NotApart;
        return wary.Exists(p => Required(p, "podAntiAffinity").Exists(t => Around(node, t).Contains(p) && Means(t, p, pod)))
            ? NotWanted
            : null;
    }

    private bool IsNear(JsonObject node)
    {
        if (near.Count == 0)
            return true;
        if (near.TrueForAll(t => Around(node, t).Any(p => near.TrueForAll(n => Means(n, pod, p)))))
            return true;
        // The first of a group that wants to be together may run anywhere.
        return near.TrueForAll(t => node.Label(t.Str("topologyKey") ?? "") is not null && Means(t, pod, pod))
            && !placed.Any(p => near.TrueForAll(t => Means(t, pod, p)));
    }

    private bool Spreads(JsonObject constraint, JsonObject node)
    {
        var key = constraint.Str("topologyKey") ?? "";
        var counts = new Dictionary<string, int>();
        foreach (var other in nodes.Where(n => spread.TrueForAll(c => n.Label(c.Str("topologyKey") ?? "") is not null)))
        {
            if ((constraint.Str("nodeAffinityPolicy") != "Ignore" && !Fit.Selected(pod, other))
                || (constraint.Str("nodeTaintsPolicy") == "Honor" && !Fit.MayRun(pod, other)))
                continue;
            var domain = other.Label(key)!;
            counts[domain] = counts.GetValueOrDefault(domain)
                + byNode[other.Name()].Count(
                    p => !p.IsBeingDeleted() && p.Namespace() == pod.Namespace() && Selects(constraint, pod, p));
        }

        var least = counts.Count == 0 || counts.Count < constraint.Int(1, "minDomains") ? 0 : counts.Values.Min();
        return counts.GetValueOrDefault(node.Label(key)!)
            + (Selects(constraint, pod, pod) ? 1 : 0) - least <= constraint.Int(1, "maxSkew");
    }

    private static List<JsonObject> Required(JsonObject pod, string kind) =>
        [.. pod.Objs("spec", "affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution")];

    /// <summary>The pods on all nodes that share this node's value of the term's topology.</summary>
    private IEnumerable<JsonObject> Around(JsonObject node, JsonObject term)
    {
        var key = term.Str("topologyKey") ?? "";
        return node.Label(key) is not { } value ? [] : nodes.Where(n => n.Label(key) == value).SelectMany(n => byNode[n.Name()]);
    }

    /// <summary>Whether a term of the owner speaks of the other pod.</summary>
    private bool Means(JsonObject term, JsonObject owner, JsonObject other) =>
        Selects(term, owner, other) && InScope(term, owner, other.Namespace());

    private bool InScope(JsonObject term, JsonObject owner, string ns)
    {
        var selector = term.Obj("namespaceSelector");
        var names = term.Strs("namespaces").ToList();
        if (selector is null && names.Count == 0)
            return ns == owner.Namespace();
        return names.Contains(ns)
            || (selector is not null && namespaces.Any(n => n.Name() == ns && LabelSelector.FromObject(selector).Matches(n)));
    }

    // No selector selects nothing; an empty one everything.
    private static bool Selects(JsonObject rule, JsonObject owner, JsonObject other) => rule.Obj("labelSelector") is { } selector
        && LabelSelector.FromObject(selector).Matches(other)
        && rule.Strs("matchLabelKeys").All(k => owner.Label(k) is not { } value || other.Label(k) == value)
        && rule.Strs("mismatchLabelKeys").All(k => owner.Label(k) is not { } value || other.Label(k) != value);
}
