using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>A component in a target, with the manifests that go there.</summary>
/// <param name="Wave">The wave's name.</param>
/// <param name="Target">Cluster, namespace and gate.</param>
/// <param name="Component">Its workload, by the change's file.</param>
/// <param name="Image">What certify handed over.</param>
/// <param name="Pushed">The certified image as steps name it, by digest.</param>
/// <param name="Pulled">The same as the target's nodes pull it.</param>
/// <param name="Manifests">What is applied.</param>
internal sealed record Destination(string Wave, ProductionTarget Target, ComponentDefinition Component, CertifiedImage Image,
    ImageReference Pushed, ImageReference Pulled, ManifestSet Manifests)
{
    /// <summary>Component and target, for people.</summary>
    public string Title => $"{Component.Name} in {Target.Name}";
}

/// <summary>Which components go where, with manifests read from the commit.</summary>
internal static class Destinations
{
    private static readonly IReadOnlyDictionary<string, string> Managed = new Dictionary<string, string>
    {
        [Labels.ManagedBy] = Cluster.FieldManager
    };

    /// <summary>All places in the order of the waves.</summary>
    /// <param name="run">The run.</param>
    /// <param name="production">The waves.</param>
    /// <param name="images">What certify handed over.</param>
    /// <param name="wanted">Targets by name; null for all.</param>
    /// <param name="until">The last wave that counts; null for all.</param>
    /// <param name="context">Where the manifests are.</param>
    /// <exception cref="UsageException">A manifest is missing or wrong.</exception>
    public static IReadOnlyList<Destination> Of(
        ChainRun run,
        ProductionDefinition production,
        IReadOnlyList<CertifiedImage> images,
        IReadOnlySet<string>? wanted,
        string? until,
        StepContext context)
    {
        var places = new List<Destination>();
        var registry = RegistryPair.Parse(run.Policy.Registry.Push, run.Policy.Registry.Pull);
        foreach (var wave in production.Waves.TakeWhile((_, at) =>
            until is null || !production.Waves.Take(at).Any(before => before.Name == until)))
            foreach (var target in wave.Targets.Where(target => wanted?.Contains(target.Name) != false)
                .Select(target => WithSecrets(target, context)).ToList())
                foreach (var component in run.Change.Components.Where(
                    component => component.Workload is not null && target.Components.Contains(component.Name)))
                    if (images.FirstOrDefault(image => image.Component == component.Name) is { } image)
                    {
                        var pushed = ImageReference.Of(image.Repository, image.Digest);
                        var manifests = ManifestFiles.Load(context.WorkTree, component.Workload!.Manifests);
                        places.Add(new Destination(wave.Name, target, component, image, pushed, registry.ToPull(pushed),
                            Prepare(manifests, component, target, pushed, image.Digest, registry)));
                    }
        return places;
    }

    // A gate's headers may be tokens: those stand in the environment.
    private static ProductionTarget WithSecrets(ProductionTarget target, StepContext context)
    {
        if (target.Gate is not { Headers.Count: > 0 } gate) return target;
        return target with
        {
            Gate = gate with
            {
                Headers = gate.Headers.ToDictionary(header => header.Key, header =>
            Value(header.Key, header.Value))
            }
        };

        string Value(string name, string written)
        {
            if (!written.StartsWith("env:", StringComparison.Ordinal)) return written;
            if (context.Options.Environment.GetValueOrDefault(written[4..]) is not { Length: > 0 } value)
                throw new UsageException(
                    $"the gate of the production target \"{target.Name}\" takes its header \"{name}\" from " +
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
            var set = ManifestFiles.LoadFrom(run.Repository.Files(commit).Select(file => file.Path),
                file => run.Repository.ReadFile(commit, file), ShortId.Of(commit), place.Component.Workload!.Manifests);
            return set.Items.Count == 0 ? null : Prepare(set, place.Component, place.Target, place.Pushed, digest,
                RegistryPair.Parse(run.Policy.Registry.Push, run.Policy.Registry.Pull));
        }
        catch (UsageException)
        {
            // The manifests stood elsewhere then; the caller has another way.
            return null;
        }
    }

    private static ManifestSet Prepare(ManifestSet set, ComponentDefinition component, ProductionTarget target,
        ImageReference pushed, string digest, RegistryPair registry)
    {
        var workload = component.Workload!;
        var pulled = registry.ToPull(pushed).WithDigest(digest);
        return set.WithImage(workload.Kind, workload.Name, workload.Container, pulled.ToString())
            .WithImages(name => name == component.Name || Means(name) ? pulled.ToString()
                : registry.ToPull(name) is var other && other != name ? other : null)
            .RefusingMovingImages()
            .Into(target.Namespace, TestbedScope.Cluster, Managed, withNamespace: true);

        // Docker Hub's names have several forms: what they mean is compared.
        bool Means(string name) => ImageReference.TryParse(name, out var one, out _) && one.IsRepository
            && (one.Repository == pushed.Repository || one.Repository == pulled.Repository);
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
            throw new UsageException(
                $"the target \"{target.Name}\" takes its kubeconfig from the environment variable {target.Kubeconfig}, " +
                "which is not set; set it to the path of the kubeconfig, or to its content");
        return open[target.Kubeconfig] = await world.Connect(kubeconfig, context.Log, context.Time, cancel);
    }

    public IProduction this[ProductionTarget target] => open[target.Kubeconfig];

    public void Dispose()
    {
        foreach (var cluster in open.Values) cluster.Dispose();
    }
}
