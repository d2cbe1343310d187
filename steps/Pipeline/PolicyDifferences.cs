using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace CiSteps.Pipeline;

/// <summary>Keys that the target branch decides (see <see cref="KeyDecisions"/>) and that two pipeline files have differently, by
/// name.</summary>
internal static class PolicyDifferences
{
    /// <summary>All of them, such as <c>registry.push</c>, <c>integration "smoke"</c> or <c>quarantine of the unit tests "unit"
    /// of "api"</c>.</summary>
    public static IReadOnlyList<string> Between(PipelineDefinition one, PipelineDefinition other) =>
    [
        .. Registry(one.Registry, other.Registry),
        .. When(one.Branches.Target != other.Branches.Target, "branches.target"),
        .. When(one.Branches.Private != other.Branches.Private, "branches.private"),
        .. one.Suites.Concat(other.Suites).Select(suite => suite.Name).Distinct(StringComparer.Ordinal)
            .Where(name => !SameSuite(name, one, other)).Select(name => $"integration \"{name}\""),
        .. When(Differ(one.Production, other.Production, PipelineJson.Default.ProductionDefinition), "production"),
        .. When(Differ(one.Notifications, other.Notifications, PipelineJson.Default.NotificationsDefinition), "notifications"),
        .. other.Components.SelectMany(component =>
            one.Components.FirstOrDefault(same => same.Name == component.Name) is not { } same ? []
            : When(!same.Owners.SequenceEqual(component.Owners), $"owners of \"{component.Name}\"")
                .Concat(TestRules(same, component))),
    ];

    /// <summary>Whether a suite is asked for in the same way.</summary>
    public static bool SameSuite(string name, PipelineDefinition one, PipelineDefinition other) =>
        !Differ(one.Suites.FirstOrDefault(suite => suite.Name == name), other.Suites.FirstOrDefault(suite => suite.Name == name),
            PipelineJson.Default.SuiteDefinition);

    /// <summary>What excuses failures of a component's tests differently: retry and quarantine, by name.</summary>
    public static IEnumerable<string> TestRules(ComponentDefinition one, ComponentDefinition other) =>
        one.UnitTests.Select(run => run.Name).Union(other.UnitTests.Select(run => run.Name), StringComparer.Ordinal)
            .SelectMany(name =>
        {
            var (first, second) = (one.UnitTests.FirstOrDefault(run => run.Name == name),
                other.UnitTests.FirstOrDefault(run => run.Name == name));
            return When(Differ(first?.Retry, second?.Retry, PipelineJson.Default.RetryDefinition),
                $"retry of the unit tests \"{name}\" of \"{one.Name}\"")
                .Concat(When(!(first?.Quarantine ?? []).SequenceEqual(second?.Quarantine ?? []),
                    $"quarantine of the unit tests \"{name}\" of \"{one.Name}\""))
                .Concat(When(first is null && second is not null, $"unit tests \"{name}\" of \"{one.Name}\""));
        });

    /// <summary>Unit tests that a change does not have and that two of the target's files define differently, by name: they run
    /// as
    /// the target has them.</summary>
    public static IEnumerable<string> RunsTakenOut(string component, PipelineDefinition change, PipelineDefinition one,
        PipelineDefinition other)
    {
        var own = RunsOf(change).Select(run => run.Name).ToHashSet(StringComparer.Ordinal);
        return RunsOf(other).Where(run => !own.Contains(run.Name)
                && Differ(RunsOf(one).FirstOrDefault(before => before.Name == run.Name), run,
                    PipelineJson.Default.TestRunDefinition))
            .Select(run => $"unit tests \"{run.Name}\" of \"{component}\"");

        IReadOnlyList<TestRunDefinition> RunsOf(PipelineDefinition file) =>
            file.Components.FirstOrDefault(each => each.Name == component)?.UnitTests ?? [];
    }

    private static IEnumerable<string> Registry(RegistryDefinition one, RegistryDefinition other) =>
    [
        .. When(one.Push != other.Push, $"registry.push (\"{one.Push}\" and \"{other.Push}\")"),
        // The pull host is the push host unless it is given.
        .. When(one.Pull != other.Pull && (one.Pull != one.Push || other.Pull != other.Push),
            $"registry.pull (\"{one.Pull}\" and \"{other.Pull}\")"),
        .. When(one.BranchPrefix != other.BranchPrefix, "registry.branch-prefix"),
        .. When(one.PlainHttp != other.PlainHttp, "registry.plain-http"),
    ];

    private static IEnumerable<string> When(bool differs, string name) => differs ? [name] : [];

    private static bool Differ<T>(T? one, T? other, JsonTypeInfo<T> type) where T : class =>
        (one is null ? "" : JsonSerializer.Serialize(one, type)) != (other is null ? "" : JsonSerializer.Serialize(other, type));
}

/// <summary>Parts of the pipeline file as text, to compare them whole.</summary>
[JsonSerializable(typeof(SuiteDefinition))]
[JsonSerializable(typeof(ProductionDefinition))]
[JsonSerializable(typeof(NotificationsDefinition))]
[JsonSerializable(typeof(RetryDefinition))]
[JsonSerializable(typeof(TestRunDefinition))]
internal sealed partial class PipelineJson : JsonSerializerContext;
