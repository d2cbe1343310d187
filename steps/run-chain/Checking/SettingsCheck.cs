using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>All rules over one settings tree.</summary>
internal static class SettingsCheck
{
    /// <summary>Findings in the order of files and lines.</summary>
    public static IReadOnlyList<Finding> Run(SettingsTree tree) =>
        [.. tree.Findings.Concat(ReferenceRules.Check(tree)).Concat(ValueRules.Check(tree)).Concat(ChainRules.Check(tree)).Concat(TrustRules.Check(tree)).Concat(ToolRules.Check(tree))
            .Distinct().OrderBy(finding => finding.At.File, StringComparer.Ordinal).ThenBy(finding => finding.At.Line).ThenBy(finding => finding.Rule, StringComparer.Ordinal)];
}
