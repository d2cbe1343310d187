using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Reports;

/// <summary>What a step handed over, for people: read from the evidence among a build's artifacts.</summary>
public static class HandOvers
{
    /// <summary>One short phrase per thing handed over; empty when there is no evidence.</summary>
    public static IReadOnlyList<string> Of(string artifactsFolder, string step)
    {
        var store = new EvidenceStore(Path.Combine(artifactsFolder, ".ci-steps", "evidence"));
        return store.TryReadAny(step, out var evidence, out _) ? Of(evidence) : [];
    }

    /// <summary>The step's own sentence; empty when there is no evidence.</summary>
    public static StepEvidence? Evidence(string artifactsFolder, string step) =>
        new EvidenceStore(Path.Combine(artifactsFolder, ".ci-steps", "evidence")).TryReadAny(step, out var evidence, out _)
            ? evidence
            : null;

    /// <summary>As the other, for evidence at hand.</summary>
    public static IReadOnlyList<string> Of(StepEvidence evidence)
    {
        var json = HandOverJson.Default;
        try
        {
            return evidence.Step switch
            {
                "unit-test" => Each(evidence.HandOverAs(json.UnitTestHandOver)?.Components, component =>
                    component.Changed
                        ? $"{component.Component}: {component.Passed} passed" +
                            (component.Failed > 0 ? $", {component.Failed} failed" : "")
                        : $"{component.Component}: untouched"),
                "image-build" => Each(evidence.HandOverAs(json.ImageBuildHandOver)?.Images, image =>
                    $"{image.Component}:{image.Tag}@{ShortId.Of(image.Digest)}" + (image.Built ? "" : " (not built)")),
                "reserve-testbed" =>
                    Each(
                        evidence.HandOverAs(json.ReserveHandOver)?.Testbeds,
                        held => $"{held.Testbed} for {held.Suite} (lease {held.Lease})"),
                "integration-deploy" => Each(evidence.HandOverAs(json.IntegrationHandOver)?.Suites, suite =>
                    $"{suite.Suite}: {suite.Passed} passed" + (suite.Failed > 0 ? $", {suite.Failed} failed" : "")),
                "merge" =>
                    evidence.HandOverAs(json.MergeHandOver) is { } merged
                        ? [$"{merged.Target} -> {ShortId.Of(merged.Merged)}"]
                        : [],
                "certify" =>
                    Each(
                        evidence.HandOverAs(json.CertifyHandOver)?.Images,
                        image => $"{image.Component}@{ShortId.Of(image.Digest)} as {image.VersionTag}, {image.ProductionTag}"),
                "promote" => Each(evidence.HandOverAs(json.PromoteHandOver)?.Workloads, Promoted),
                _ => [],
            };
        }
        catch (UsageException)
        {
            // Another version's evidence: the sentence still stands.
            return [];
        }
    }

    private static string Promoted(PromotedWorkload workload) =>
        $"{workload.Component}{(workload.Digest is null ? "" : $"@{ShortId.Of(workload.Digest)}")} in {workload.Target}" +
        (workload.State == "promoted" ? "" : $" ({workload.State})");

    private static IReadOnlyList<string> Each<T>(IReadOnlyList<T>? items, Func<T, string> show) =>
        items is null ? [] : [.. items.Select(show)];
}
