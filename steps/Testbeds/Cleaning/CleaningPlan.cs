namespace CiSteps.Testbeds.Cleaning;

/// <summary>What is there too much and what is missing, compared with the baseline.</summary>
/// <param name="Leftovers">To be removed, in this order.</param>
/// <param name="Missing">Ids of baseline objects that are gone.</param>
internal sealed record CleaningPlan(IReadOnlyList<TestbedObject> Leftovers, IReadOnlyList<string> Missing)
{
    public bool IsClean => Leftovers.Count == 0 && Missing.Count == 0;

    public static CleaningPlan For(IReadOnlyList<TestbedObject> present, IReadOnlySet<string> baseline)
    {
        var leftNamespaces = present.Where(item => item.Kind is { Name: "Namespace", Group: "" } && !baseline.Contains(item.Id))
            .Select(item => item.Name).ToHashSet(StringComparer.Ordinal);
        // What stands in a leftover namespace goes with it.
        var leftovers = present.Where(
            item => !baseline.Contains(item.Id) && (item.Namespace is null || !leftNamespaces.Contains(item.Namespace)))
            .OrderBy(Rank).ThenBy(item => item.Id, StringComparer.Ordinal);
        var ids = present.Select(item => item.Id).ToHashSet(StringComparer.Ordinal);
        return new CleaningPlan([.. leftovers], [.. baseline.Where(id => !ids.Contains(id)).Order(StringComparer.Ordinal)]);
    }

    /// <summary>
    /// Webhooks first, lest they forbid the rest; custom objects and their definitions while their controllers live; then what
    /// runs, and last what is cluster-wide.
    /// </summary>
    private static int Rank(TestbedObject item) => item.Kind.Name switch
    {
        "ValidatingWebhookConfiguration" or "MutatingWebhookConfiguration" or "ValidatingAdmissionPolicyBinding"
            or "ValidatingAdmissionPolicy" =>
            0,
        "CustomResourceDefinition" => 2,
        "Namespace" => 4,
        "PersistentVolume" => 6,
        _ when item.Kind.Group.Contains('.', StringComparison.Ordinal)
            && !item.Kind.Group.EndsWith(".k8s.io", StringComparison.Ordinal) =>
            1,
        _ => item.Namespace is null ? 5 : 3,
    };
}
