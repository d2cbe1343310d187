using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>All rules over one settings tree.</summary>
public static class SettingsCheck
{
    /// <summary>Findings in the order of files and lines.</summary>
    /// <param name="tree">All projects, configurations, templates and recipes, as they were read.</param>
    /// <param name="strict">Also what is only suspicious: names that nobody is known to write.</param>
    public static IReadOnlyList<Finding> Run(SettingsTree tree, bool strict = false)
    {
        var effective = new EffectiveTree(tree);
        return [.. tree.Findings.Concat(ReferenceRules.Check(effective))
            .Concat(ValueRules.Check(effective))
            .Concat(ParameterRules.Check(effective))
            .Concat(SecretRules.Check(effective))
            .Concat(ChainRules.Check(effective)).Concat(TrustRules.Check(effective)).Concat(ToolRules.Check(effective))
            .Concat(strict ? VocabularyRules.Check(effective) : [])
            .Distinct()
                .OrderBy(finding => finding.At.File, StringComparer.Ordinal)
                .ThenBy(finding => finding.At.Line)
                .ThenBy(finding => finding.Rule, StringComparer.Ordinal)];
    }
}
