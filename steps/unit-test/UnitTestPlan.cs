using CiSteps.Hosting.Display;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>What of one component is to be done.</summary>
/// <param name="Component">By the change's pipeline file.</param>
/// <param name="Changed">Whether the change touches it.</param>
/// <param name="Reason">Why, or why not.</param>
/// <param name="Runs">Test runs to do, with the quarantine that counts; none when it is not tested.</param>
/// <param name="Owners">Who is told of a failure.</param>
internal sealed record PlannedComponent(
    ComponentDefinition Component,
    bool Changed,
    string Reason,
    IReadOnlyList<TestRunDefinition> Runs,
    IReadOnlyList<string> Owners);

/// <summary>Which components are tested, and why.</summary>
/// <param name="Components">All components of the pipeline file.</param>
/// <param name="Base">The commit compared with; empty when each component has its own, or none.</param>
/// <param name="Warnings">What a person should know.</param>
internal sealed record UnitTestPlan(IReadOnlyList<PlannedComponent> Components, string Base, IReadOnlyList<string> Warnings)
{
    /// <summary>Decides which components are tested, with which runs, and why the others are not.</summary>
    /// <param name="changes">What the change touches.</param>
    /// <param name="change">The change's pipeline file: which commands run.</param>
    /// <param name="policy">The target branch's pipeline file: whose quarantine, retry and owners count, and which runs there
    /// have to be.</param>
    /// <param name="all">Test everything.</param>
    /// <param name="only">Test just these; empty: what changed.</param>
    /// <param name="baseCommit">The commit compared with.</param>
    public static UnitTestPlan For(IReadOnlyList<ComponentChange> changes, PipelineDefinition change, PipelineDefinition policy,
        bool all, IReadOnlyList<string> only, string baseCommit)
    {
        var warnings = new List<string>();
        var components = new List<PlannedComponent>();
        foreach (var (component, changed, reason) in changes)
        {
            var judged = policy.Components.FirstOrDefault(one => one.Name == component.Name);
            var tested = only.Count > 0 ? only.Contains(component.Name) : all || changed;
            var runs = RunsOf(component, judged, ReferenceEquals(change, policy), tested ? warnings : []);
            if (tested && runs.Count == 0) warnings.Add($"{component.Name}: no unit tests configured");
            if (!tested && changed && runs.Count > 0) warnings.Add($"{component.Name}: changed, and left out as asked");
            components.Add(new PlannedComponent(component, changed || all,
                changed ? reason : tested ? "asked for by " + (only.Count > 0 ? "--component" : "--all") : reason,
                tested ? runs : [],
                judged?.Owners ?? component.Owners));
        }
        return new UnitTestPlan(components, baseCommit, warnings);
    }

    /// <summary>
    /// A changed component with tests that is not tested, because only others were asked for; null when there is none.
    /// </summary>
    public string? LeftOut =>
        Components.FirstOrDefault(
            planned => planned.Changed && planned.Runs.Count == 0 && planned.Component.UnitTests.Count > 0)?.Component.Name;

    /// <summary>The plan as lines for people.</summary>
    public IEnumerable<string> Lines()
    {
        return Table.Lines([.. Components.Select(Row)], gap: 2);

        static string[] Row(PlannedComponent planned)
        {
            var work = planned.Runs.Count > 0 ? "test: " + string.Join(", ", planned.Runs.Select(run => run.Name))
                : planned.Component.UnitTests.Count == 0 && planned.Changed ? "no tests" : "skip";
            return [planned.Component.Name, work, $"({planned.Reason})"];
        }
    }

    // How tests run is the change's; what excuses their failures is the target's, and so is which runs there have to be.
    private static IReadOnlyList<TestRunDefinition> RunsOf(ComponentDefinition component, ComponentDefinition? judged,
        bool isOwnJudge, List<string> warnings)
    {
        if (isOwnJudge) return component.UnitTests;
        var runs = component.UnitTests.Select(run =>
        {
            var counting = judged?.UnitTests.FirstOrDefault(one => one.Name == run.Name);
            foreach (var added in run.Quarantine.Where(entry => counting?.Quarantine.Contains(entry) != true))
                warnings.Add($"the quarantine of \"{added.Test}\" is new in this change and counts once it is on the target " +
                    "branch");
            if (run.Retry is not null && counting?.Retry is null)
                warnings.Add($"the retry of \"{run.Name}\" of {component.Name} is new in this change and counts once it is on " +
                    "the target branch");
            return run with { Quarantine = counting?.Quarantine ?? [], Retry = counting?.Retry };
        }).ToList();
        foreach (var removed in judged?.UnitTests.Where(one => !component.UnitTests.Any(run => run.Name == one.Name)) ?? [])
        {
            warnings.Add($"{component.Name}: this change takes out its unit tests \"{removed.Name}\", which the target branch " +
                "asks for; they run as it has them " +
                "(to be rid of them take out the entry first, and what it runs in a later change)");
            runs.Add(removed);
        }
        return runs;
    }
}
