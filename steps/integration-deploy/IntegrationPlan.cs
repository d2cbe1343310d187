using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.IntegrationDeploy;

/// <summary>What is known before anything is decided. Only reads led here.</summary>
/// <param name="Change">The change's pipeline file: components and workloads.</param>
/// <param name="Policy">The target branch's pipeline file: suites.</param>
/// <param name="Images">What image-build handed over.</param>
/// <param name="Production">Digest behind each production tag that matters, by <see cref="ProductionName"/>; null where there is
/// none, or where that digest is barred.</param>
/// <param name="Testbeds">What reserve-testbed handed over.</param>
internal sealed record IntegrationFacts(
    PipelineDefinition Change,
    PipelineDefinition Policy,
    IReadOnlyList<BuiltImage> Images,
    IReadOnlyDictionary<ImageReference, string?> Production,
    IReadOnlyList<HeldTestbed> Testbeds)
{
    /// <summary>Suites that the change touches by what they are made of.</summary>
    public IReadOnlySet<string> ChangedSuites { get; init; } = new HashSet<string>();

    /// <summary>The target's components that the change touches.</summary>
    public IReadOnlySet<string> Touched { get; init; } = new HashSet<string>();
}

/// <summary>A service under test.</summary>
/// <param name="Component">Its paths, image and workload, by the change's file.</param>
/// <param name="Image">Its image of this chain.</param>
/// <param name="Pushed">That image as steps name it, by digest.</param>
/// <param name="Pulled">The same as cluster nodes pull it.</param>
/// <param name="BaseDigest">What production runs now and the roll-out starts from; null when there is none, or the same.</param>
internal sealed record ServiceUnderTest(
    ComponentDefinition Component,
    BuiltImage Image,
    ImageReference Pushed,
    ImageReference Pulled,
    string? BaseDigest)
{
    public WorkloadDefinition Workload => Component.Workload!;
}

/// <summary>A service that stands beside the one under test.</summary>
/// <param name="Dependent">Image, major version and workload, by the target's file.</param>
/// <param name="Image">The pinned image as cluster nodes pull it.</param>
/// <param name="Pinned">What it is pinned to.</param>
internal sealed record PlannedDependent(DependentDefinition Dependent, ImageReference Image, PinnedDependent Pinned);

/// <summary>One suite to run.</summary>
internal sealed record PlannedSuite(
    SuiteDefinition Suite,
    IReadOnlyList<ServiceUnderTest> Services,
    IReadOnlyList<PlannedDependent> Dependents,
    HeldTestbed Testbed,
    RegistryDefinition Registry)
{
    public override string ToString() =>
        $"suite \"{Suite.Name}\" on testbed \"{Testbed.Testbed}\", namespace \"{Suite.Namespace}\": "
        + string.Concat(Dependents.Select(
            each => $"{each.Dependent.Name} at {ShortId.Of(each.Pinned.Digest)} ({each.Pinned.Source}), "))
        + string.Join(
            ", ",
            Services.Select(
                each => each.BaseDigest is null
                    ? $"{each.Component.Name} at {ShortId.Of(each.Image.Digest)}"
                    : $"{each.Component.Name} rolled from {ShortId.Of(each.BaseDigest)} to {ShortId.Of(each.Image.Digest)}"))
        + $", then {(Suite.Tests.Job is { } job ? $"the job {job}" : string.Join(' ', Suite.Tests.Command!.Run))}";
}

/// <summary>What integration-deploy will do.</summary>
/// <param name="Suites">Suites to run.</param>
/// <param name="Skipped">Suites left out, and why.</param>
/// <param name="Refusal">Why it cannot be done; null when it can.</param>
internal sealed record IntegrationPlan(
    IReadOnlyList<PlannedSuite> Suites, IReadOnlyList<(string Suite, string Why)> Skipped, Refusal? Refusal)
{
    /// <summary>How a production tag is asked for and remembered.</summary>
    public static ImageReference ProductionName(ImageReference repository, int major) =>
        repository.WithTag(ImageName.ProductionTag(major));

    /// <summary>Repository of a component's released images on the push host.</summary>
    public static ImageReference ReleaseRepository(RegistryDefinition registry, string component) =>
        ImageName.Repository(registry.Push, registry.BranchPrefix, component, isDefaultBranch: true);

    /// <summary>The components that a suite tests, as far as the change still has them as workloads.</summary>
    public static IReadOnlyList<ComponentDefinition> ComponentsOf(SuiteDefinition suite, PipelineDefinition change) =>
    [
        .. change.Components.Where(
            component => component.Workload is not null && component.Image is not null && suite.Covers(component.Name)),
    ];

    /// <summary>Whether one of the suite's components has an image that this chain built, or the change touches the suite
    /// itself.</summary>
    public static bool Concerns(SuiteDefinition suite, PipelineDefinition change, IReadOnlyList<BuiltImage> images,
        IReadOnlySet<string> changedSuites) =>
        ComponentsOf(suite, change) is { Count: > 0 } components && (changedSuites.Contains(suite.Name)
            || components.Any(component => images.Any(image => image.Component == component.Name && image.Built)));

    /// <summary>Decides. Pure.</summary>
    /// <exception cref="UsageException">A dependent's image is not an image reference.</exception>
    public static IntegrationPlan For(IntegrationFacts facts)
    {
        var registry = RegistryPair.Parse(facts.Policy.Registry.Push, facts.Policy.Registry.Pull);
        var suites = new List<PlannedSuite>();
        var skipped = new List<(string, string)>();
        foreach (var suite in facts.Policy.Suites)
        {
            var components = ComponentsOf(suite, facts.Change);
            if (TakenOut.Of(suite, facts.Policy, facts.Change).FirstOrDefault(facts.Touched.Contains) is { } missing)
                return Refuse("component-taken-out", TakenOut.Sentence(suite.Name, missing), Fault.Change);
            if (components.Count == 0)
            {
                skipped.Add((suite.Name, "the change has none of its components"));
                continue;
            }
            if (!Concerns(suite, facts.Change, facts.Images, facts.ChangedSuites))
            {
                skipped.Add((suite.Name, $"nothing new of {string.Join(", ", components.Select(component => component.Name))}"));
                continue;
            }
            var services = new List<ServiceUnderTest>();
            foreach (var component in components)
            {
                if (facts.Images.FirstOrDefault(image => image.Component == component.Name) is not { } image)
                    return Refuse(
                        "no-image",
                        $"suite \"{suite.Name}\" needs the component \"{component.Name}\", " +
                        "and image-build handed over no image of it: it was neither built by this chain nor certified before; " +
                        "change it once so that it is built, or take it out of the suite",
                        Fault.Change);
                var production = facts.Production.GetValueOrDefault(ProductionName(ReleaseRepository(facts.Policy.Registry,
                    component.Name), component.Major));
                var pushed = ImageReference.Of(image.Repository, image.Digest);
                services.Add(new ServiceUnderTest(component, image, pushed, registry.ToPull(pushed),
                    image.Built && production is not null && production != image.Digest ? production : null));
            }
            var dependents = new List<PlannedDependent>();
            foreach (var dependent in suite.Dependents)
            {
                var tag = ImageName.ProductionTag(dependent.Major);
                var image = ImageReference.Parse(dependent.Image);
                var bootstrap = dependent.Bootstrap is null ? null : ImageReference.Parse(dependent.Bootstrap);
                if (facts.Production.GetValueOrDefault(ProductionName(image, dependent.Major)) is { } digest)
                    dependents.Add(Pinned(dependent, image, digest, tag));
                else if (bootstrap is not null && facts.Production.GetValueOrDefault(bootstrap) is { } first)
                    dependents.Add(Pinned(dependent, bootstrap, first, "bootstrap"));
                else if (dependent.Bootstrap is { } absent)
                    return Refuse(
                        "dependent-not-ready",
                        $"suite \"{suite.Name}\" needs \"{dependent.Name}\", and neither the tag \"{tag}\" of " +
                        $"\"{dependent.Image}\" nor its bootstrap image \"{absent}\" exists; push the bootstrap image",
                        Fault.World);
                else
                    return Refuse(
                        "dependent-not-ready",
                        $"suite \"{suite.Name}\" needs \"{dependent.Name}\", and \"{dependent.Image}\" has no tag \"{tag}\": " +
                        "no image of it is production ready yet; certify one, or name a bootstrap image for it in ci-steps.yaml",
                        Fault.World);
            }
            if (facts.Testbeds.FirstOrDefault(held => held.Suite == suite.Name) is not { } testbed)
                return Refuse(
                    "no-testbed",
                    $"reserve-testbed of this run holds no testbed for suite \"{suite.Name}\"; run reserve-testbed again",
                    Fault.Environment);
            suites.Add(new PlannedSuite(suite, services, dependents, testbed, facts.Policy.Registry));
        }
        return new IntegrationPlan(suites, skipped, null);

        IntegrationPlan Refuse(string reason, string text, Fault fault) => new(suites, skipped, new Refusal(reason, text, fault));

        PlannedDependent Pinned(DependentDefinition dependent, ImageReference image, string digest, string source) =>
            new(dependent, registry.ToPull(image).WithDigest(digest),
                new PinnedDependent(dependent.Name, image.Repository, digest, source));
    }
}
