using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.IntegrationDeploy;

/// <summary>The manifests of one suite with every image decided; only the namespace and the labels are still open.</summary>
/// <param name="First">Deployed before everything else.</param>
/// <param name="Dependents">Services beside the one under test.</param>
/// <param name="Services">Services under test.</param>
/// <param name="Job">The test job; null for a command.</param>
internal sealed record SuiteDeployment(
    ManifestSet First,
    IReadOnlyList<(PlannedDependent Dependent, ManifestSet Manifests)> Dependents,
    IReadOnlyList<ServiceDeployment> Services,
    Manifest? Job)
{
    /// <summary>Reads the manifests of the change.</summary>
    /// <exception cref="UsageException">One is missing or wrong, or names an image that moves.</exception>
    public static SuiteDeployment Read(PlannedSuite plan, ChainRun run, string workTree)
    {
        var suite = plan.Suite;
        var registry = run.Policy.Registry;
        var pair = RegistryPair.Parse(registry.Push, registry.Pull);
        ManifestSet Pinned(ManifestSet set) => set.WithImages(image => Pin(image, plan, registry, pair)).RefusingMovingImages();

        var first = Pinned(ManifestFiles.Load(workTree, suite.Manifests));
        var dependents = plan.Dependents
            .Select(each => (each, Pinned(ManifestFiles.Load(workTree, each.Dependent.Workload.Manifests)
            .WithImage(
                each.Dependent.Workload.Kind,
                each.Dependent.Workload.Name,
                each.Dependent.Workload.Container,
                each.Image.ToString()))))
                .ToList();
        var services = plan.Services.Select(service =>
        {
            var manifests = ManifestFiles.Load(workTree, service.Workload.Manifests);
            var now = Pinned(Image(manifests, service.Workload, service.Pulled.ToString()));
            var start = service.BaseDigest is null
                ? null
                : Pinned(Image(Earlier(run, service.Workload) ?? manifests, service.Workload,
                    pair.ToPull(IntegrationPlan.ReleaseRepository(registry, service.Component.Name)
                        .WithDigest(service.BaseDigest)).ToString()));
            return new ServiceDeployment(service, start, now);
        }).ToList();
        return new SuiteDeployment(
            first, dependents, services, suite.Tests.Job is { } path ? ReadJob(workTree, path, Pinned) : null);

        static ManifestSet Image(ManifestSet set, WorkloadDefinition workload, string image) =>
            set.WithImage(workload.Kind, workload.Name, workload.Container, image);
    }

    private static Manifest ReadJob(string workTree, string path, Func<ManifestSet, ManifestSet> pinned)
    {
        var set = pinned(ManifestFiles.Load(workTree, [path]));
        return set.Items is [var job]
            ? TestJob.Once(job)
            : throw new UsageException(
                $"\"{path}\" has {Count.Of(set.Items.Count, "object")}; the tests' manifest holds one Job, " +
                "and what it needs goes to the suite's manifests");
    }

    // Production runs the target's manifests with the production image: that is what the roll-out starts from.
    private static ManifestSet? Earlier(ChainRun run, WorkloadDefinition workload)
    {
        if (run.Identity.IsTargetBranch) return null;
        try
        {
            var set = ManifestFiles.LoadFrom(run.Repository.Files(run.TargetTip).Select(file => file.Path),
                file => run.Repository.ReadFile(run.TargetTip, file), ShortId.Of(run.TargetTip), workload.Manifests);
            return set.Has(workload.Kind, workload.Name)
                ? set.WithImage(workload.Kind, workload.Name, workload.Container, "checked")
                : null;
        }
        catch (UsageException)
        {
            // The target had other manifests, or none: then the change's own have to do.
            return null;
        }
    }

    // A service's or dependent's repository without tag and digest stands for what this chain decided; what lies on the push host
    // is pulled from the pull host.
    private static string? Pin(string image, PlannedSuite plan, RegistryDefinition registry, RegistryPair pair)
    {
        if (ImageReference.TryParse(image, out var name, out _) && name.IsRepository)
        {
            if (plan.Services.FirstOrDefault(
                service => image == service.Component.Name || name.Repository == service.Pushed.Repository
                    || name.Repository == service.Pulled.Repository
                    || name == IntegrationPlan.ReleaseRepository(registry, service.Component.Name)) is { } own)
                return own.Pulled.ToString();
            if (plan.Dependents.FirstOrDefault(each =>
                image == each.Dependent.Name
                    || Is(each.Dependent.Image)
                    || name.Repository == each.Image.Repository) is { } other)
                return other.Image.ToString();
        }
        return pair.ToPull(image) is var pulled && pulled != image ? pulled : null;

        // Docker Hub's names have several forms: what they mean is compared.
        bool Is(string repository) => ImageReference.TryParse(repository, out var other, out _) && other == name;
    }
}

/// <summary>A service's manifests.</summary>
/// <param name="Service">What is under test, and from which image the roll-out starts.</param>
/// <param name="Start">With the image that the roll-out starts from; null when it is deployed afresh.</param>
/// <param name="New">With the image under test.</param>
internal sealed record ServiceDeployment(ServiceUnderTest Service, ManifestSet? Start, ManifestSet New);
