using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>
/// Whose report a file is. Components are tested at the same time: one must not take, or clear away, what another has just
/// written.
/// </summary>
internal sealed class ReportOwners(string root, IReadOnlyList<PlannedComponent> tested)
{
    private readonly List<(string Component, ReportFiles Files)> owners =
        [.. tested.SelectMany(
            planned => planned.Runs
                .Where(run => run.Reports.Count > 0)
                .Select(run => (planned.Component.Name, new ReportFiles(root, run.Reports))))];

    /// <summary>Another component whose report globs name the file too; null when there is none.</summary>
    public string? Other(ComponentDefinition component, string path) =>
        owners.Find(owner => owner.Component != component.Name && owner.Files.Matches(path)).Component;

    /// <summary>Clears away the reports of earlier runs, before the first command starts.</summary>
    public IReadOnlyList<string> DeleteLeftovers(Func<string, bool> keep) =>
        [.. owners.SelectMany(owner => owner.Files.DeleteLeftovers(keep)).Distinct().Order(StringComparer.Ordinal)];
}
