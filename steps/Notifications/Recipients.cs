using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Notifications;

/// <summary>Who is told of a chain's end: decided from its verdict, from the policy's owners and from what changed.</summary>
public static class Recipients
{
    /// <summary>Teams to tell, each once; empty when nobody has to be told, or no owner is known.</summary>
    /// <param name="verdict">How the chain ended.</param>
    /// <param name="policy">The pipeline file that names owners; null when it cannot be read.</param>
    /// <param name="changed">Names of the changed components; empty when that is not known: then all owners are meant.</param>
    public static IReadOnlyList<OwnerDefinition> For(
        ChainVerdict verdict, PipelineDefinition? policy, IReadOnlyList<string> changed)
    {
        if (verdict.Audience == Audience.Nobody || policy is null) return [];
        var owners = policy.Components
            .Where(component => changed.Count == 0 || changed.Contains(component.Name))
            .SelectMany(component => component.Owners).ToList();
        // A new component's owners are not in the policy yet, and a change may touch nothing that anybody owns.
        if (owners.Count == 0) owners = [.. policy.Components.SelectMany(component => component.Owners)];
        IEnumerable<string> names = (verdict.Audience, policy.Notifications.Platform) switch
        {
            (Audience.Platform, { } platform) => [platform],
            (Audience.Everybody, { } platform) => [.. owners, platform],
            _ when owners.Count == 0 && policy.Notifications.Platform is { } platform => [platform],
            _ => owners,
        };
        var known = policy.Notifications.Owners;
        return [.. names.Distinct(StringComparer.Ordinal)
            .Select(name => known.GetValueOrDefault(name))
            .OfType<OwnerDefinition>()];
    }
}
