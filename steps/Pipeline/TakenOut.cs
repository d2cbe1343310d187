namespace CiSteps.Pipeline;

/// <summary>Components that a suite of the target tests and that a change does not have any more, or not as something that can
/// be deployed: what the change does not have cannot be judged, and it does not choose what judges it.</summary>
public static class TakenOut
{
    /// <summary>Names of the suite's components that have image and workload at the target and not in the change.</summary>
    /// <param name="suite">A suite of the target's file.</param>
    /// <param name="policy">The target's file.</param>
    /// <param name="change">The change's file.</param>
    public static IReadOnlyList<string> Of(SuiteDefinition suite, PipelineDefinition policy, PipelineDefinition change)
    {
        ArgumentNullException.ThrowIfNull(suite);
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentNullException.ThrowIfNull(change);
        return [.. policy.Components.Where(component => IsDeployed(component)
                && (suite.Components.Count == 0 || suite.Components.Contains(component.Name))
                && !change.Components.Any(own => own.Name == component.Name && IsDeployed(own)))
            .Select(component => component.Name)];
    }

    /// <summary>Says that a component has no result of a suite.</summary>
    public static string Sentence(string suite, string component) =>
        $"the target's component \"{component}\" has no result of suite \"{suite}\": the change takes it, its image or its " +
            "workload out, or renames it, or is older than it; remove it from the suites on the target first";

    private static bool IsDeployed(ComponentDefinition component) => component is { Image: not null, Workload: not null };
}
