using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.Promote;

/// <summary>A component in a target, with the manifests that go there.</summary>
internal sealed record Destination(string Wave, ProductionTarget Target, ComponentDefinition Component, CertifiedImage Image,
    ManifestSet Manifests)
{
    /// <summary>Component and target, for people.</summary>
    public string Title => $"{Component.Name} in {Target.Name}";
}

/// <summary>Which components go where, with manifests read from the commit.</summary>
internal static class Destinations
{
    private static readonly IReadOnlyDictionary<string, string> Managed = new Dictionary<string,
        string> { [Labels.ManagedBy] = Cluster.FieldManager };

    /// <summary>All places in the order of the waves.</summary>
    /// <param name="run">The run.</param>
    /// <param name="production">The waves.</param>
    /// <param name="images">What certify handed over.</param>
    /// <param name="wanted">Targets by name; null for all.</param>
    /// <param name="until">The last wave that counts; null for all.</param>
    /// <param name="context">Where the manifests are.</param>
    /// <exception cref="UsageException">A manifest is missing or wrong.</exception>
    public static IReadOnlyList<Destination> Of(ChainRun run, ProductionDefinition production,
        IReadOnlyList<CertifiedImage> images, IReadOnlySet<string>? wanted, string? until, StepContext context)
    {
        var places = new List<Destination>();
        foreach (var wave in production.Waves.TakeWhile((_, at) => until is null || !production.Waves.Take(at)
            .Any(before => before.Name == until)))
            foreach (var target in wave.Targets.Where(target => wanted?.Contains(target.Name) != false)
                .Select(target => WithSecrets(target, context)).ToList())
                foreach (var component in run.Change.Components.Where(component => component.Workload is not null
                    && target.Components.Contains(component.Name)))
                    if (images.FirstOrDefault(image => image.Component == component.Name) is { } image)
                        places.Add(new Destination(wave.Name, target, component, image,
                            Prepare(ManifestSet.Load(context.WorkTree, component.Workload!.Manifests), component, target, image,
                                image.Digest, run.Policy.Registry)));
        return places;
    }

    // A gate's headers may be tokens: those stand in the environment.
    private static ProductionTarget WithSecrets(ProductionTarget target, StepContext context)
    {
        if (target.Gate is not { Headers.Count: > 0 } gate) return target;
        return target with { Gate = gate with { Headers = gate.Headers.ToDictionary(header => header.Key, header =>
            Value(header.Key, header.Value)) } };

        string Value(string name, string written)
        {
            if (!written.StartsWith("env:", StringComparison.Ordinal)) return written;
            if (context.Options.Environment.GetValueOrDefault(written[4..]) is not { Length: > 0 } value)
                throw new UsageException($"the gate of the production target \"{target.Name}\" takes its header \"{name}\" from " +
                    $"the environment variable {written[4..]}, which is not set");
            context.Log.Mask.Add(value);
            return value;
        }
    }

    /// <summary>The manifests of an earlier commit at an earlier digest; null when this clone does not have them.</summary>
    public static ManifestSet? AtCommit(ChainRun run, Destination place, string commit, string digest)
    {
        if (run.Repository.FindCommit(commit) is null) return null;
        try
        {
            var set = FromCommit(run.Repository, commit, place.Component.Workload!.Manifests);
            return set.Items.Count == 0 ? null : Prepare(set, place.Component, place.Target, place.Image, digest,
                run.Policy.Registry);
        }
        catch (UsageException)
        {
            // The manifests stood elsewhere then; the caller has another way.
            return null;
        }
    }

    private static ManifestSet Prepare(ManifestSet set, ComponentDefinition component, ProductionTarget target,
        CertifiedImage image, string digest, RegistryDefinition registry)
    {
        var workload = component.Workload!;
        var pair = RegistryPair.Parse(registry.Push, registry.Pull);
        return set.WithImage(workload.Kind, workload.Name, workload.Container, $"{image.PullRepository}@{digest}")
            .WithImages(name => name == component.Name || Means(name, image.Repository) || Means(name, image.PullRepository)
                ? $"{image.PullRepository}@{digest}"
                : pair.ToPull(name) is var pulled && pulled != name ? pulled : null)
            .RefusingMovingImages()
            .Into(target.Namespace, TestbedScope.Cluster, Managed, withNamespace: true);

        // Docker Hub's names have several forms: what they mean is compared.
        static bool Means(string name, string repository) =>
            ImageReference.TryParse(name, out var one, out _) && ImageReference.TryParse(repository, out var other, out _)
                && one == other;
    }

    private static ManifestSet FromCommit(WorkRepository repository, string commit, IReadOnlyList<string> paths)
    {
        var set = ManifestSet.Empty;
        foreach (var path in paths)
        {
            var inside = path.TrimEnd('/') + "/";
            foreach (var (file, _) in repository.Files(commit).Where(file => file.Path == path
                || file.Path.StartsWith(inside, StringComparison.Ordinal)
                && Path.GetExtension(file.Path) is ".yaml" or ".yml" or ".json").OrderBy(file => file.Path,
                StringComparer.Ordinal))
                set = set.And(ManifestSet.Parse(repository.ReadFile(commit, file) ?? "", $"{file} at {commit[..12]}"));
        }
        return set;
    }
}

/// <summary>Connections to the targets, one per kubeconfig.</summary>
internal sealed class OpenTargets(Ports world, StepContext context) : IDisposable
{
    private readonly Dictionary<string, IProduction> open = new(StringComparer.Ordinal);

    /// <summary>Connects to a target's cluster, or gives the connection there is.</summary>
    /// <exception cref="UsageException">The target's variable is not set.</exception>
    public async Task<IProduction> OpenAsync(ProductionTarget target, CancellationToken cancel)
    {
        if (open.TryGetValue(target.Kubeconfig, out var known)) return known;
        if (target.FindKubeconfig(context.Options.Environment) is not { } kubeconfig)
            throw new UsageException($"the target \"{target.Name}\" takes its kubeconfig from the environment variable " +
                $"{target.Kubeconfig}, which is not set; set it to the path of the kubeconfig, or to its content");
        return open[target.Kubeconfig] = await world.Connect(kubeconfig, context.Log, context.Time, cancel);
    }

    public IProduction this[ProductionTarget target] => open[target.Kubeconfig];

    public void Dispose()
    {
        foreach (var cluster in open.Values) cluster.Dispose();
    }
}
