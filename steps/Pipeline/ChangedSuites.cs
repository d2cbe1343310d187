namespace CiSteps.Pipeline;

/// <summary>
/// Which suites a change touches by what they are made of (manifests, those of their dependents, the files of their tests),
/// whatever
/// it does to components: such a suite has to run, on certified images where nothing was built.
/// </summary>
public static class ChangedSuites
{
    /// <summary>Decides.</summary>
    /// <param name="policy">The target branch's pipeline file, which says what a suite is made of.</param>
    /// <param name="changedPaths">Paths relative to the repository's root.</param>
    /// <returns>By the suite's name the first path of it that changed.</returns>
    public static IReadOnlyDictionary<string, string> Decide(PipelineDefinition policy, IReadOnlyCollection<string> changedPaths)
    {
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentNullException.ThrowIfNull(changedPaths);
        var touched = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var suite in policy.Suites)
        {
            var named = NamedPaths.Of(suite);
            if (changedPaths.FirstOrDefault(path => named.Matches(path)) is { } path) touched[suite.Name] = path;
        }
        return touched;
    }
}
