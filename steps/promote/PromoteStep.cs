using CiSteps.Hosting;
using CiSteps.Hosting.Display;
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
        if (context.Options.Get(PromoteCommand.History)) return await ShowHistoryAsync(run, cancel);
        if (Unfit(run) is { } unfit) return unfit;
        if (context.Options.Get(PromoteCommand.RollBack)) return await RollBackAsync(run, cancel);
        if (context.Options.Find(PromoteCommand.To) is not null) throw new UsageException(
            "--to says where --roll-back goes back to; give both");
        if (!context.Evidence.TryReadDone("certify", out var certified, out var why)) return Outcome.Refused("no-evidence",
            $"{why}; only what certify tagged in this run is promoted",
                Fault.Environment);
        if (!certified.Run.IsTargetBranch)
            return Outcome.Refused("not-certified", $"certify's evidence is of branch \"{certified.Run.Branch}\"; only " +
                "committed work of the target branch reaches production", Fault.Environment);
        if (ChainEvidence.Unfit(certified, context.Options.Get(PromoteCommand.RequireSigned)) is { } unusable) return unusable;
        var handOver = certified.RequiredHandOverAs(HandOverJson.Default.CertifyHandOver).Images;
        if (handOver.Count == 0) return Done("nothing to promote: certify tagged no image", []);
        if (run.Policy.Production is not { } production) return Done("nothing to promote: ci-steps.yaml names no production " +
            "targets", []);

        using var registry = world.Images(context, run.Policy);
        var allowed = context.Options.Find(PromoteCommand.AllowBarred);
        // What is wrong with the images alone is said before a cluster is asked, and before a target has to be named.
        if (PromotionPlan.AboutImages(await ReadAsync(registry, run, handOver, cancel), allowed) is { } early) return Early(
            early);
        var places = Destinations.Of(run, production, handOver, Wanted(production), Until(production), context);
        using var clusters = new OpenTargets(world, context);
        var facts = new Facts(registry, clusters, places);
        var plan = await PlanAsync();
        if (Forbidden(production, plan) is { } forbidden) return forbidden;
        if (!plan.Writes || context.DryRun) return Say(plan, facts);
        await CheckRightsAsync(places, clusters, cancel);

        await using var leases = await Leases.TakeAsync(places, clusters, Holder(run),
            context.Options.Get(PromoteCommand.Lease), cancel);
        // What was read before may have been somebody else's work under way.
        plan = await PlanAsync();
        if (Forbidden(production, plan) is { } since) return since;
        if (!plan.Writes) return Say(plan, facts);
        foreach (var settled in plan.Settled) context.Log.Info($"{settled.Title} runs {settled.Live!.Digest} already");
        foreach (var move in plan.Rollouts)
        {
            context.Log.Info(move.ToString());
            if (move.Drift is not null) context.Log.Warning(move.Drift);
        }
        var promotion = new Promotion(context, run, registry, clusters, facts, new Records(context, run, clusters), leases);
        return plan.Refusal is null ? await promotion.RunAsync(production, plan, cancel)
            : await promotion.FinishBackAsync(plan);

        async Task<PromotionPlan> PlanAsync()
        {
            var images = await ReadAsync(registry, run, handOver, cancel);
            return PromotionPlan.AboutImages(images, allowed)
                ?? PromotionPlan.For(images, await facts.ReadAsync(cancel), run.Identity.Commit, allowed);
        }
    }

    private async Task<Outcome> RollBackAsync(ChainRun run, CancellationToken cancel)
    {
        if (run.Policy.Production is not { } production) return Done("nothing to roll back: ci-steps.yaml names no production " +
            "targets", []);
        var to = context.Options.Find(PromoteCommand.To);
        if (to is not null && !ImageReference.IsDigest(to)) throw new UsageException(
            $"--to \"{to}\" is not a digest; write sha256:…, as --history shows it");
        using var registry = world.Images(context, run.Policy);
        using var clusters = new OpenTargets(world, context);
        return await new RollBack(context, run, registry, clusters).RunAsync(production, Wanted(production), to,
            places => Leases.TakeAsync(places, clusters, Holder(run), context.Options.Get(PromoteCommand.Lease), cancel), cancel);
    }

    // What a person decided about when, and in which order. The way back is never forbidden.
    private Outcome? Forbidden(ProductionDefinition production, PromotionPlan plan)
    {
        if (plan.Rollouts.Count == 0) return null;
        var overridden = context.Options.Find(PromoteCommand.OverrideFreeze);
        if (overridden is not null && !production.Freezes.Any(freeze => freeze.Name == overridden))
            throw new UsageException($"--override-freeze names \"{overridden}\", and ci-steps.yaml has no such freeze; it has " +
                $"{string.Join(", ", production.Freezes.Select(freeze => $"\"{freeze.Name}\""))}");
        if (production.Freezes.FirstOrDefault(freeze => freeze.Holds(context.Time.GetUtcNow())
            && freeze.Name != overridden) is { } frozen)
            return Outcome.Refused("frozen",
                $"production is frozen by \"{frozen.Name}\" until {frozen.Until.UtcDateTime:yyyy-MM-dd HH:mm}Z; run promote " +
                $"again then, or with --override-freeze {frozen.Name}", Fault.Nobody);
        return context.Options.Find(PromoteCommand.OnlyWave) is { } only && plan.Rollouts.FirstOrDefault(move =>
            move.Destination.Wave != only) is { } earlier
            ? Outcome.Refused("wave-order",
                $"wave \"{only}\" comes after wave \"{earlier.Destination.Wave}\", where {earlier.Destination.Title} is not " +
                "settled; roll that out first", Fault.Environment) : null;
    }

    // Before the first write: half a roll-out is a bad time to learn of a missing right.
    private static async Task CheckRightsAsync(IReadOnlyList<Destination> places, OpenTargets clusters, CancellationToken cancel)
    {
        var lack = new List<string>();
        foreach (var place in places)
            lack.AddRange((await clusters[place.Target].LackAsync(place, cancel))
                .Select(right => $"{right} (target \"{place.Target.Name}\")"));
        if (lack.Count > 0)
            throw new UsageException("the kubeconfig of production lacks rights that promote needs, so nothing was touched: " +
                $"{string.Join(", ", lack.Distinct())}; give its user those")
            { Fault = Fault.Environment };
    }

    private async Task<Outcome> ShowHistoryAsync(ChainRun run, CancellationToken cancel)
    {
        if (run.Policy.Production is not { } production) return Outcome.Done("ci-steps.yaml names no production targets");
        using var clusters = new OpenTargets(world, context);
        var rows = new List<string[]>();
        foreach (var target in production.Waves.SelectMany(wave => wave.Targets))
            foreach (var component in target.Components)
                foreach (var entry in await (await clusters.OpenAsync(target, cancel)).HistoryAsync(target.Namespace,
                    component, cancel))
                    rows.Add([target.Name, component, entry.When, entry.Result, ShortId.Of(entry.Digest),
                        $"build {entry.Build}", entry.Who]);
        foreach (var line in Table.Lines(rows)) context.Log.Info(line);
        return Outcome.Done($"{Count.Of(rows.Count, "line")} of history");
    }

    private static Outcome Early(PromotionPlan plan) => plan.Refusal is { } no ? Outcome.Refused(no)
        : Done(plan.Superseded!, []);

    // What there is without a write.
    private Outcome Say(PromotionPlan plan, Facts facts)
    {
        foreach (var settled in plan.Settled) context.Log.Info($"{settled.Title} runs {settled.Live!.Digest} already");
        foreach (var move in plan.Rollouts)
        {
            context.Log.Info(move.ToString());
            if (move.Drift is not null) context.Log.Warning(move.Drift);
        }
        if (plan.Refusal is not null || plan.Superseded is not null) return Early(plan);
        if (plan.Rollouts.Count > 0) return Outcome.Done($"would roll out: {string.Join("; ", plan.Rollouts)}");
        if (plan.TagsBehind.Count > 0) return Outcome.Done(
            $"would move the tags of {string.Join(", ", plan.TagsBehind.Select(behind => behind.Image.Component))} to what runs");
        return Done(facts.Places.Count == 0 ? "nothing to promote: no production target takes these components"
            : "production runs these images already",
            [.. plan.Settled.Select(settled => new PromotedWorkload(settled.Component.Name, settled.Target.Name,
                settled.Live!.Digest, settled.History[0].Previous))]);
    }

    // Another each time: an earlier process of the same build may live on.
    private string Holder(ChainRun run) => $"build {run.Identity.BuildNumber} of {run.Identity.ShortCommit} by " +
        $"{context.Options.Find(PromoteCommand.Who) ?? Environment.UserName} on {Environment.MachineName} ({Guid.NewGuid():N})";

    private static async Task<IReadOnlyList<CertifiedFacts>> ReadAsync(IImages registry, ChainRun run,
        IReadOnlyList<CertifiedImage> images, CancellationToken cancel)
    {
        var facts = new List<CertifiedFacts>();
        foreach (var image in images) facts.Add(await DescribeAsync(registry, run, image, cancel));
        return facts;
    }

    private static Outcome? Unfit(ChainRun run)
    {
        var identity = run.Identity;
        if (!identity.IsTargetBranch) return Outcome.Refused("not-target-branch",
            $"branch \"{identity.Branch}\" is not promoted: only \"{run.Policy.Branches.Target}\" reaches production; merge it " +
            "first", Fault.Environment);
        if (identity.Dirty) return Outcome.Refused("dirty",
            "the work tree has uncommitted changes; only committed work of the target branch reaches production",
            Fault.Environment);
        return null;
    }

    private static async Task<CertifiedFacts> DescribeAsync(IImages registry, ChainRun run, CertifiedImage image,
        CancellationToken cancel)
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

    private string? Until(ProductionDefinition production)
    {
        if (context.Options.Find(PromoteCommand.OnlyWave) is not { } only) return null;
        return production.Waves.Any(wave => wave.Name == only) ? only
            : throw new UsageException($"--only-wave names \"{only}\", and ci-steps.yaml has no such wave; it has " +
                $"{string.Join(", ", production.Waves.Select(wave => $"\"{wave.Name}\""))}");
    }

    private IReadOnlySet<string>? Wanted(ProductionDefinition production)
    {
        var named = context.Options.Find(PromoteCommand.Target)?.Split(',',
            StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToHashSet(StringComparer.Ordinal);
        var known = production.Waves.SelectMany(wave => wave.Targets).Select(target => target.Name).ToList();
        if (named is null)
            return context.IsOnServer || context.DryRun ? null
                : throw new UsageException("promote touches production, and on a laptop only by name: give --target " +
                $"{string.Join(',', known)}, or --dry-run to see what would happen");
        if (named.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw new UsageException($"there is no production target \"{unknown}\" in ci-steps.yaml; it has " +
                $"{string.Join(", ", known.Select(name => $"\"{name}\""))}");
        return named;
    }

    private static Outcome Done(string text, IReadOnlyList<PromotedWorkload> workloads) =>
        Outcome.Done(text).HandingOver(new PromoteHandOver(workloads), HandOverJson.Default.PromoteHandOver);
}
