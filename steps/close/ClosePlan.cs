using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Close;

/// <summary>Whom to tell about a verdict, decided from the policy's owners and from what changed.</summary>
/// <param name="Verdict">How the chain ended.</param>
/// <param name="Recipients">Teams to tell, each once.</param>
/// <param name="Components">The changed components.</param>
internal sealed record ClosePlan(ChainVerdict Verdict, IReadOnlyList<OwnerDefinition> Recipients, IReadOnlyList<string> Components)
{
    /// <summary>Decides.</summary>
    /// <param name="verdict">How the chain ended.</param>
    /// <param name="policy">The pipeline file that names owners; null when it cannot be read.</param>
    /// <param name="changed">Names of the changed components; empty when that is not known.</param>
    public static ClosePlan For(ChainVerdict verdict, PipelineDefinition? policy, IReadOnlyList<string> changed)
    {
        if (verdict.Audience == Audience.Nobody || policy is null) return new(verdict, [], changed);
        var owners = policy.Components.Where(component => changed.Count == 0 || changed.Contains(component.Name)).SelectMany(component => component.Owners).ToList();
        // A new component's owners are not in the policy yet, and a change may touch nothing that anybody owns.
        if (owners.Count == 0) owners = [.. policy.Components.SelectMany(component => component.Owners)];
        IEnumerable<string> names = (verdict.Audience, policy.Notifications.Platform) switch
        {
            (Audience.Platform, { } platform) => [platform],
            _ when owners.Count == 0 && policy.Notifications.Platform is { } platform => [platform],
            _ => owners,
        };
        return new(verdict, [.. names.Distinct(StringComparer.Ordinal).Select(name => policy.Notifications.Owners.GetValueOrDefault(name)).OfType<OwnerDefinition>()], changed);
    }

    /// <summary>What unit-test found changed, if it came so far.</summary>
    public static IReadOnlyList<string> ChangedBy(StepEvidence? unitTest)
    {
        try
        {
            return [.. (unitTest?.HandOverAs(HandOverJson.Default.UnitTestHandOver)?.Components ?? []).Where(component => component.Changed).Select(component => component.Component)];
        }
        catch (CiSteps.Hosting.UsageException)
        {
            return [];
        }
    }
}
