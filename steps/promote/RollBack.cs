using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>The way back that a person asks for: what runs goes, what ran before comes, and the tags follow. No certificate is
/// needed for it.</summary>
internal sealed class RollBack(StepContext context, ChainRun run, IImages registry, OpenTargets clusters)
{
    private static readonly TimeSpan TimeToReturn = TimeSpan.FromMinutes(10);

    /// <summary>Takes back what runs in the destinations.</summary>
    /// <param name="production">Where.</param>
    /// <param name="wanted">Targets by name; null for all.</param>
    /// <param name="to">The version to go back to; null: what ran before.</param>
    /// <param name="take">Takes the leases, once it is known what of.</param>
    /// <param name="cancel">Stops it before it has begun.</param>
    public async Task<Outcome> RunAsync(ProductionDefinition production, IReadOnlySet<string>? wanted, string? to,
        Func<IReadOnlyList<Destination>, Task<Leases>> take, CancellationToken cancel)
    {
        var images = new List<CertifiedImage>();
        foreach (var component in run.Change.Components.Where(component => component.Workload is not null))
            if (await RunningAsync(component, production, wanted, cancel) is { } image) images.Add(image);
        var places = Destinations.Of(run, production, images, wanted, null, context);
        var facts = new Facts(registry, clusters, places);
        var now = await facts.ReadAsync(cancel);
        var planned = images.Select(image => (Image: image, Plan: ReturnPlan.For(image, Of(image, now), run.Identity.Commit,
            isOwn: false, to))).ToList();
        var needed = planned.SelectMany(one => one.Plan.Returns).Where(back => back.IsNeeded).ToList();
        if (needed.Count == 0) return Outcome.Done("nothing to roll back: nothing that was promoted runs there");
        if (needed.Find(back => back.Kind != ReturnKind.ToEarlier) is { } unknown)
            return Outcome.Refused("no-earlier-version",
                $"{unknown.Place.Title} has no earlier version in its history; name one with --to sha256:…", Fault.Nobody);
        var text = string.Join("; ", needed.Select(back => $"{back.Place.Title} to {back.Digest}"));
        if (context.DryRun) return Outcome.Done($"would roll back: {text}");

        await using var leases = await take(places);
        using var limit = new CancellationTokenSource(TimeToReturn, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, leases.Lost);
        var records = new Records(context, run, clusters);
        var (said, failed) = (new List<string>(), new List<string>());
        foreach (var (image, plan) in planned)
        {
            // The tags go to where the workloads go.
            var goal = plan.Returns.Select(back => back.Digest).OfType<string>().FirstOrDefault();
            var back = await new WayBack(context, run, registry, clusters, facts, records)
                .RunAsync(image with { PreviousDigest = goal }, isOwn: null, new Dictionary<Destination, ManifestSet>(),
                    TimeToReturn, to, either.Token);
            said.AddRange(back.Said);
            failed.AddRange(back.Failed);
        }
        var previous = now.ToDictionary(facts.Of, place => place.Live?.Digest);
        return (failed.Count > 0 ? Promotion.NotBack($"a person rolled back {text}", said, failed)
            : Outcome.Done($"rolled back: {string.Join("; ", said)}"))
            .HandingOver(new PromoteHandOver(await records.StateAsync(facts, previous)), HandOverJson.Default.PromoteHandOver);
    }

    private static IReadOnlyList<DestinationFacts> Of(CertifiedImage image, IReadOnlyList<DestinationFacts> places) =>
        [.. places.Where(place => place.Component.Name == image.Component)];

    // What a component runs, as certify would have handed it over; null when it runs nowhere.
    private async Task<CertifiedImage?> RunningAsync(ComponentDefinition component, ProductionDefinition production,
        IReadOnlySet<string>? wanted, CancellationToken cancel)
    {
        var running = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var target in production.Waves.SelectMany(wave => wave.Targets)
            .Where(target => wanted?.Contains(target.Name) != false && target.Components.Contains(component.Name)))
            if (await (await clusters.OpenAsync(target, cancel)).FindAsync(component.Workload!, target.Namespace,
                cancel) is { Digest: { } digest }) running.Add(digest);
        if (running.Count == 0) return null;
        if (running.Count > 1)
            throw new UsageException($"{component.Name} runs {string.Join(" and ", running)} in different targets; roll one of " +
                "them back with --target")
            { Fault = Fault.Environment };
        var definition = run.Policy.Registry;
        var release = ImageName.Repository(definition.Push, definition.BranchPrefix, component.Name, isDefaultBranch: true);
        return new CertifiedImage(component.Name, release.Repository,
            running.Min!, "", ImageName.ProductionTag(component.Major), null);
    }
}
