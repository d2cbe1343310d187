using System.Text.Json.Serialization;

namespace CiSteps.Hosting.Evidence;

/// <summary>What unit-test found about one component.</summary>
/// <param name="Component">Its name in ci-steps.yaml.</param>
/// <param name="Changed">Whether the change touches it.</param>
/// <param name="Reason">Why it counts as changed or not, for people.</param>
/// <param name="Passed">Tests passed.</param>
/// <param name="Failed">Tests failed.</param>
/// <param name="Skipped">Tests skipped.</param>
/// <param name="Flaky">Tests that failed first and passed on retry.</param>
public sealed record TestedComponent(string Component, bool Changed, string Reason, int Passed, int Failed, int Skipped,
    int Flaky)
{
    /// <summary>Names of the component's test runs that were done and passed; others may be asked for by the target
    /// branch.</summary>
    public IReadOnlyList<string> Runs { get; init; } = [];
}

/// <summary>unit-test's hand-over.</summary>
/// <param name="Base">Commit that the change was compared with; empty when each component has its own, or none.</param>
/// <param name="Components">All components, changed or not.</param>
public sealed record UnitTestHandOver(string Base, IReadOnlyList<TestedComponent> Components);

/// <summary>An image of one component, known by its digest from here on.</summary>
/// <param name="Component">Its name in ci-steps.yaml.</param>
/// <param name="Repository">Repository on the push host, <c>host/path</c>.</param>
/// <param name="Tag"><c>major.build-hash</c>.</param>
/// <param name="Digest"><c>sha256:…</c> of the manifest or index in the registry.</param>
/// <param name="Built">Whether this run built it; false for the certified image of an untouched component.</param>
public sealed record BuiltImage(string Component, string Repository, string Tag, string Digest, bool Built);

/// <summary>image-build's hand-over.</summary>
/// <param name="Images">One per component that has an image.</param>
public sealed record ImageBuildHandOver(IReadOnlyList<BuiltImage> Images);

/// <summary>A testbed held for one integration suite. No credentials: they are fetched anew from the claim.</summary>
/// <param name="Suite">The suite's name in ci-steps.yaml.</param>
/// <param name="Class">The testbed class.</param>
/// <param name="Claim">The claim's name, derived from the chain.</param>
/// <param name="Testbed">The testbed bound to the claim.</param>
/// <param name="Lease">The lease's rising number.</param>
public sealed record HeldTestbed(string Suite, string Class, string Claim, string Testbed, long Lease);

/// <summary>reserve-testbed's hand-over.</summary>
/// <param name="Testbeds">One per suite that has to run.</param>
public sealed record ReserveHandOver(IReadOnlyList<HeldTestbed> Testbeds);

/// <summary>A workload deployed beside the one under test, with the digest it was pinned to.</summary>
/// <param name="Name">The dependent's name in ci-steps.yaml.</param>
/// <param name="Image">Repository.</param>
/// <param name="Digest"><c>sha256:…</c>.</param>
/// <param name="Source">The tag that it was read from, or <c>bootstrap</c>.</param>
public sealed record PinnedDependent(string Name, string Image, string Digest, string Source);

/// <summary>One integration suite's result.</summary>
/// <param name="Suite">Its name in ci-steps.yaml.</param>
/// <param name="Components">The components under test.</param>
/// <param name="Images">Their images; the digests that really served.</param>
/// <param name="Dependents">What stood beside them.</param>
/// <param name="Passed">Tests passed.</param>
/// <param name="Failed">Tests failed.</param>
/// <param name="Skipped">Tests skipped.</param>
/// <param name="Succeeded">Whether the suite counts as passed.</param>
public sealed record SuiteResult(string Suite, IReadOnlyList<string> Components, IReadOnlyList<BuiltImage> Images,
    IReadOnlyList<PinnedDependent> Dependents, int Passed, int Failed, int Skipped, bool Succeeded);

/// <summary>integration-deploy's hand-over.</summary>
/// <param name="Suites">One per suite that ran.</param>
public sealed record IntegrationHandOver(IReadOnlyList<SuiteResult> Suites);

/// <summary>merge's hand-over.</summary>
/// <param name="Target">The branch merged into.</param>
/// <param name="Before">Its tip before.</param>
/// <param name="Merged">Its tip after; the merge commit.</param>
/// <param name="Tree">The merged tree's id.</param>
/// <param name="TestedTree">The tree that the chain tested.</param>
public sealed record MergeHandOver(string Target, string Before, string Merged, string Tree, string TestedTree);

/// <summary>One component's certification.</summary>
/// <param name="Component">Its name in ci-steps.yaml.</param>
/// <param name="Repository">Repository on the push host.</param>
/// <param name="Digest"><c>sha256:…</c>.</param>
/// <param name="VersionTag">The write-once tag.</param>
/// <param name="ProductionTag">The moving tag, <c>&lt;major&gt;-production</c>.</param>
/// <param name="PreviousDigest">What the moving tag pointed to before; null the first time.</param>
public sealed record CertifiedImage(string Component, string Repository, string Digest, string VersionTag, string ProductionTag,
    string? PreviousDigest);

/// <summary>certify's hand-over.</summary>
/// <param name="Images">One per certified component.</param>
public sealed record CertifyHandOver(IReadOnlyList<CertifiedImage> Images);

/// <summary>One workload in production.</summary>
/// <param name="Component">Its name in ci-steps.yaml.</param>
/// <param name="Target">The production target's name.</param>
/// <param name="Digest">What its workload there has now, read after the last write; null when nothing is there, or when it could
/// not be read (<see cref="State"/> says which).</param>
/// <param name="PreviousDigest">What ran there before; null the first time.</param>
public sealed record PromotedWorkload(string Component, string Target, string? Digest, string? PreviousDigest)
{
    /// <summary>How the last roll-out there ended, in the history's words: <c>promoted</c>, <c>rolled back</c>, <c>rolling
    /// out</c>; <c>unknown</c> when it could not be read, <c>nothing runs</c> when there is no workload.</summary>
    public string State { get; init; } = "promoted";
}

/// <summary>promote's hand-over.</summary>
/// <param name="Workloads">One per component and target.</param>
public sealed record PromoteHandOver(IReadOnlyList<PromotedWorkload> Workloads);

/// <summary>Source-generated serialisers of the hand-overs.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(UnitTestHandOver))]
[JsonSerializable(typeof(ImageBuildHandOver))]
[JsonSerializable(typeof(ReserveHandOver))]
[JsonSerializable(typeof(IntegrationHandOver))]
[JsonSerializable(typeof(MergeHandOver))]
[JsonSerializable(typeof(CertifyHandOver))]
[JsonSerializable(typeof(PromoteHandOver))]
[JsonSerializable(typeof(System.Text.Json.Nodes.JsonObject))]
public sealed partial class HandOverJson : JsonSerializerContext;
