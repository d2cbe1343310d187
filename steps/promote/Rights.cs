using CiSteps.Clusters;

namespace CiSteps.Promote;

/// <summary>What promote's user must be allowed to do.</summary>
internal static class Rights
{
    // What a roll-out is followed by; the rest it can do without (see Rollout).
    private static readonly (string Group, string Resource, string[] Verbs)[] Always =
    [
        ("", "pods", ["list", "watch"]),
        ("", "configmaps", ["get", "create", "update"]),
        ("coordination.k8s.io", "leases", ["get", "list", "watch", "create", "update"]),
    ];

    /// <summary>Those that are missing, such as <c>patch deployments.apps</c>.</summary>
    public static async Task<IReadOnlyList<string>> LackAsync(Cluster cluster, Destination place, CancellationToken cancel)
    {
        var needs = new List<(string Group, string Resource, string Verb, string? Namespace)>();
        foreach (var (group, resource, verbs) in Always) needs.AddRange(verbs.Select(verb =>
            (group, resource, verb, (string?)place.Target.Namespace)));
        var workload = Kinds.Workload(place.Component.Workload!.Kind);
        var revisions = place.Component.Workload.Kind switch
        {
            "Deployment" => Kinds.ReplicaSet,
            "DaemonSet" =>
            Kinds.ControllerRevision,
            _ => null
        };
        foreach (var kind in new[] { workload, revisions }.OfType<Kind>())
            needs.AddRange(((string[])["list", "watch"])
                .Select(verb => (kind.Group, kind.Plural, verb, (string?)place.Target.Namespace)));
        foreach (var item in place.Manifests.Items.DistinctBy(item => (item.ApiVersion, item.Kind, item.Namespace)))
        {
            // A kind whose definition comes with the manifests is not known yet; the apply says so when it is not there then.
            if (await cluster.FindKindAsync(item.ApiVersion, item.Kind, cancel) is not { } kind) continue;
            string[] verbs = item.Kind == "Job" ? ["get", "list", "watch", "patch", "create", "delete"]
                : ["get", "patch", "create"];
            needs.AddRange(verbs.Select(verb => (kind.Group, kind.Plural, verb, kind.Namespaced ? item.Namespace : null)));
        }
        var answers = await Task.WhenAll(needs.Distinct().Select(async need =>
            (need, May: await cluster.MayAsync(need.Verb, need.Group, need.Resource, need.Namespace, cancel))));
        return [.. answers.Where(answer => !answer.May)
            .Select(
                answer =>
                    $"{answer.need.Verb} {answer.need.Resource}{(answer.need.Group.Length == 0
                        ? ""
                        : "." + answer.need.Group)}")];
    }
}
