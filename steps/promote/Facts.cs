using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>Reads what a decision rests on: places as they are now.</summary>
internal sealed class Facts(IImages registry, OpenTargets clusters, IReadOnlyList<Destination> places)
{
    private readonly Dictionary<ImageReference, IReadOnlyCollection<string>> digests = [];

    /// <summary>All places, in the order of the waves.</summary>
    public IReadOnlyList<Destination> Places => places;

    /// <summary>The place that facts are of.</summary>
    public Destination Of(DestinationFacts facts) => places.First(place => place.Target == facts.Target
        && place.Component == facts.Component);

    /// <summary>All places as they are now.</summary>
    public async Task<IReadOnlyList<DestinationFacts>> ReadAsync(CancellationToken cancel)
    {
        var facts = new List<DestinationFacts>();
        foreach (var place in places) facts.Add(await ReadAsync(place, cancel));
        return facts;
    }

    private async Task<DestinationFacts> ReadAsync(Destination place, CancellationToken cancel)
    {
        var cluster = await clusters.OpenAsync(place.Target, cancel);
        var ns = place.Target.Namespace;
        var live = await cluster.FindAsync(place.Component.Workload!, ns, cancel);
        var history = await cluster.HistoryAsync(ns, place.Component.Name, cancel);
        // Asked only where it decides: whether what is there serves.
        var missing = live?.Digest == place.Image.Digest
            ? await cluster.LookAsync(await TargetAsync(place, place.Image.Digest, cancel), cancel) : null;
        return new DestinationFacts(place.Wave, place.Target, place.Component, live, place.Manifests.Fingerprint())
        {
            History =
            history,
            Missing = missing
        };
    }

    /// <summary>What is to be rolled out in a place, with all names that nodes may have for the digest. They are read before
    /// anything is applied: the registry is not needed in the middle of a roll-out.</summary>
    public async Task<RolloutTarget> TargetAsync(Destination place, string digest, CancellationToken cancel)
    {
        var image = ImageReference.Of(place.Image.Repository, digest);
        if (!digests.TryGetValue(image, out var known))
            digests[image] = known = await registry.DigestsOfAsync(image, cancel);
        return Target(place, known);
    }

    /// <summary>The same without the registry: no proof of the image is asked where its names are not known.</summary>
    public RolloutTarget TargetWithoutRegistry(Destination place, string digest) =>
        Target(place, digests.GetValueOrDefault(ImageReference.Of(place.Image.Repository, digest)) ?? []);

    private static RolloutTarget Target(Destination place, IReadOnlyCollection<string> digests)
    {
        var workload = place.Component.Workload!;
        return new RolloutTarget(workload.Kind, place.Target.Namespace, workload.Name, workload.Container, digests,
            workload.TimeLimit);
    }
}
