using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>Rolls certified images out to production: gather, decide, act.</summary>
internal sealed class PromoteStep(Ports world, StepContext context)
{
    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        using var run = await ChainRun.OpenAsync(context, cancel, mustKnow: true);
        if (Unfit(run) is { } unfit) return unfit;
        if (!context.Evidence.TryReadDone("certify", out var certified, out var why)) return Outcome.Refused("no-evidence", $"{why}; only what certify tagged in this run is promoted", Fault.Environment);
        if (!certified.Run.IsTargetBranch)
            return Outcome.Refused("not-certified", $"certify's evidence is of branch \"{certified.Run.Branch}\"; only " +
                "committed work of the target branch reaches production", Fault.Environment);
        if (ChainEvidence.Unfit(certified, context.Options.Get(PromoteCommand.RequireSigned)) is { } unusable) return unusable;
        var handOver = certified.RequiredHandOverAs(HandOverJson.Default.CertifyHandOver).Images;
        if (handOver.Count == 0) return Done("nothing to promote: certify tagged no image", []);
        if (run.Policy.Production is not { } production) return Done("nothing to promote: ci-steps.yaml names no production targets", []);

        using var registry = world.Images(context, run.Policy);
        var images = new List<CertifiedFacts>();
        foreach (var image in handOver) images.Add(await DescribeAsync(registry, run, image, cancel));
        if (PromotionPlan.AboutImages(images, context.Options.Find(PromoteCommand.AllowBarred)) is { } early)
            return early.Refusal is { } no ? Outcome.Refused(no) : Done(early.Superseded!, []);

        var places = Destinations.Of(run, production, handOver, Wanted(production), context);
        using var clusters = new OpenTargets(world, context);
        var facts = new List<DestinationFacts>();
        foreach (var place in places)
        {
            var cluster = await clusters.OpenAsync(place.Target, cancel);
            facts.Add(new DestinationFacts(place.Wave, place.Target, place.Component, await cluster.FindAsync(place.Component.Workload!, place.Target.Namespace, cancel), place.Manifests.Fingerprint()));
        }
        var plan = PromotionPlan.For(images, facts);
        foreach (var settled in plan.Settled) context.Log.Info($"{settled.Component.Name} in {settled.Target.Name} runs {settled.Live!.Digest} already");
        foreach (var move in plan.Rollouts)
        {
            context.Log.Info(move.ToString());
            if (move.Drift is not null) context.Log.Warning(move.Drift);
        }
        var kept = plan.Settled.Select(settled => new PromotedWorkload(settled.Component.Name, settled.Target.Name, settled.Live!.Digest!, settled.Live.Digest)).ToList();
        if (plan.Rollouts.Count == 0) return Done(places.Count == 0 ? "nothing to promote: no production target takes these components" : "production runs these images already", kept);
        if (context.DryRun) return Outcome.Done($"would roll out: {string.Join("; ", plan.Rollouts)}");

        return await new Promotion(context, run, registry, clusters, places, plan.Rollouts, kept).RunAsync(production, cancel);
    }

    private static Outcome? Unfit(ChainRun run)
    {
        var identity = run.Identity;
        if (!identity.IsTargetBranch) return Outcome.Refused("not-target-branch", $"branch \"{identity.Branch}\" is not promoted: only \"{run.Policy.Branches.Target}\" reaches production; merge it first", Fault.Environment);
        if (identity.Dirty) return Outcome.Refused("dirty", "the work tree has uncommitted changes; only committed work of the target branch reaches production", Fault.Environment);
        return null;
    }

    private static async Task<CertifiedFacts> DescribeAsync(IImages registry, ChainRun run, CertifiedImage image, CancellationToken cancel)
    {
        var production = ImageReference.Of(image.Repository, image.ProductionTag);
        var tagged = await registry.FindDigestAsync(production, cancel);
        var barred = await registry.FindDigestAsync(
            production.WithTag(PromotionPlan.BarTag(image.Digest)), cancel) == image.Digest;
        string? commit = null;
        var newer = false;
        if (tagged is not null && tagged != image.Digest)
        {
            commit = await registry.CommitOfAsync(production.WithDigest(tagged), cancel);
            newer = commit is not null && commit != run.Identity.Commit
                && await run.FindCommitAsync(commit, cancel) is not null
                && await run.IsAncestorAsync(run.Identity.Commit, commit, cancel);
        }
        return new CertifiedFacts(image, tagged, newer, commit, barred);
    }

    private IReadOnlySet<string>? Wanted(ProductionDefinition production)
    {
        var named = context.Options.Find(PromoteCommand.Target)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToHashSet(StringComparer.Ordinal);
        var known = production.Waves.SelectMany(wave => wave.Targets).Select(target => target.Name).ToList();
        if (named is null)
            return context.IsOnServer || context.DryRun ? null : throw new UsageException($"promote touches production, and on a laptop only by name: give --target {string.Join(',', known)}, or --dry-run to see what would happen");
        if (named.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw new UsageException($"there is no production target \"{unknown}\" in ci-steps.yaml; it has {string.Join(", ", known.Select(name => $"\"{name}\""))}");
        return named;
    }

    private static Outcome Done(string text, IReadOnlyList<PromotedWorkload> workloads) =>
        Outcome.Done(text).HandingOver(new PromoteHandOver(workloads), HandOverJson.Default.PromoteHandOver);
}
