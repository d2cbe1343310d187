using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>How a way back ended.</summary>
/// <param name="Said">What was done, a part per place and for the tags.</param>
/// <param name="Failed">What a person has to do now; empty when all is back.</param>
internal sealed record Returned(IReadOnlyList<string> Said, IReadOnlyList<string> Failed)
{
    public string Text => string.Join("; ", Said);
}

/// <summary>Takes an image back everywhere: bars it when it said no itself, goes back to what ran before, and has the tags
/// follow.</summary>
internal sealed class WayBack(StepContext context, ChainRun run, IImages registry, OpenTargets clusters, Facts facts,
    Records records)
{
    private readonly BuildLog log = context.Log;

    /// <summary>Does it; whatever goes wrong in one place does not keep the others from going back.</summary>
    /// <param name="image">The image.</param>
    /// <param name="isOwn">Whether its own pods or its own gate said no; null when nobody did, since the build was
    /// stopped.</param>
    /// <param name="snapshots">What was in the places before this run's first write, as far as it wrote.</param>
    /// <param name="time">How long all of it may take.</param>
    /// <param name="to">The version that a person wants back; null: what ran before.</param>
    /// <param name="cancel">Ends when that is over, or when the leases are lost.</param>
    public async Task<Returned> RunAsync(CertifiedImage image, bool? isOwn,
        IReadOnlyDictionary<Destination, ManifestSet> snapshots, TimeSpan time,
        string? to, CancellationToken cancel)
    {
        var (said, failed) = (new List<string>(), new List<string>());
        var patience = new Patience(time, log, context.Time);
        ReturnPlan plan;
        try
        {
            var now = await patience.AskAsync(facts.ReadAsync, cancel);
            plan = ReturnPlan.For(image, [.. now.Where(place => place.Component.Name == image.Component)], run.Identity.Commit,
                isOwn == true, to);
        }
        catch (Exception broken) when (IsOutside(broken))
        {
            failed.Add($"what {image.Component} runs could not be read, so nothing was taken back: {Why(broken)}");
            return new Returned(failed, failed);
        }
        // Nothing was begun, and nobody said no: the tags are as certify left them.
        if (isOwn != true && !plan.Returns.Any(back => back.IsNeeded)) return new Returned(said, failed);
        if (isOwn is { } no) await BarAsync(image, plan, no, patience, said, failed, cancel);
        // All are sent back before one is waited for: a stop leaves little time.
        var sent = new List<Return>();
        foreach (var back in plan.Returns.Where(back => back.IsNeeded))
            if (await SendBackAsync(image, back, snapshots, patience, said, failed, cancel)) sent.Add(back);
        await TagsAsync(image, plan, patience, said, failed, cancel);
        foreach (var back in sent) await SeeBackAsync(image, back, patience, said, failed, cancel);
        return new Returned(said, failed);
    }

    private async Task BarAsync(CertifiedImage image, ReturnPlan plan, bool isOwn, Patience patience, List<string> said,
        List<string> failed, CancellationToken cancel)
    {
        if (!plan.Bars)
        {
            said.Add(isOwn ? $"{image.Digest} is not barred, since it runs well with its earlier manifests"
                : $"{image.Digest} is not barred, since the failure is not its own");
            return;
        }
        try
        {
            var barred = ImageReference.Of(image.Repository, PromotionPlan.BarTag(image.Digest));
            if (await patience.AskAsync(token => registry.TagAsync(barred, image.Digest, null, token), cancel)) said.Add(
                "the digest is barred");
            else failed.Add($"{image.Digest} could not be barred: \"{barred}\" points to something else");
        }
        catch (Exception broken) when (IsOutside(broken))
        {
            failed.Add($"{image.Digest} could not be barred: {Why(broken)}");
        }
    }

    private async Task<bool> SendBackAsync(CertifiedImage image, Return back,
        IReadOnlyDictionary<Destination, ManifestSet> snapshots, Patience patience, List<string> said,
        List<string> failed, CancellationToken cancel)
    {
        var place = facts.Of(back.Place);
        var cluster = clusters[place.Target];
        if (back.Kind == ReturnKind.Stays)
        {
            failed.Add($"{place.Title} stays at {image.Digest}: it is not known what ran there before");
            return false;
        }
        try
        {
            await records.TryWriteAsync(place, records.Entry(back.Digest ?? "", image.Digest, back.Written?.Commit ?? "",
                Results.RollingBack), patience, cancel);
            if (back.Kind == ReturnKind.ToNothing)
            {
                await patience.DoAsync(token => cluster.RemoveAsync(place.Component.Workload!, place.Target.Namespace, token),
                    cancel);
                await records.TryWriteAsync(place, records.Entry(image.Digest, null, run.Identity.Commit, Results.Removed),
                    patience, cancel);
                said.Add($"{place.Title} had no earlier version: its workload is taken away");
                return false;
            }
            var good = back.Digest!;
            if (await EarlierAsync(place, back, snapshots, patience, cancel) is not { } earlier)
            {
                failed.Add($"{place.Title} could NOT go back to {good}: its manifests are neither in this clone nor in the " +
                    "cluster");
                return false;
            }
            log.Progress($"rolling {place.Title} back to {good}");
            if (await patience.AskAsync(token => cluster.ApplyAsync(earlier, place.Component.Workload!.TimeLimit, token),
                cancel) is not { } denied) return true;
            failed.Add($"{place.Title} could NOT be rolled back to {good}: {denied.Text}");
        }
        catch (Exception broken) when (IsOutside(broken))
        {
            failed.Add($"{place.Title} could NOT be rolled back{(back.Digest is null ? "" : $" to {back.Digest}")}: " +
                $"{Why(broken)}");
        }
        return false;
    }

    // As they were written down when it served; else as they were in the cluster before, with the earlier image.
    private async Task<ManifestSet?> EarlierAsync(Destination place, Return back,
        IReadOnlyDictionary<Destination, ManifestSet> snapshots, Patience patience, CancellationToken cancel)
    {
        var (workload, good) = (place.Component.Workload!, back.Digest!);
        // A migration of an earlier version is not run backwards.
        if (back.Written is { Commit.Length: > 0 } entry && Destinations.AtCommit(run, place, entry.Commit, good) is { } written)
            return Records.Marked(place, written.Where(item => item.Kind != "Job"), good, entry.Commit, entry.Build,
                written.Fingerprint());
        var before = snapshots.GetValueOrDefault(place)
            ?? await patience.AskAsync(token => clusters[place.Target].SnapshotAsync(place.Manifests, token), cancel);
        return before.Has(workload.Kind, workload.Name)
            ? Records.Marked(place, before.Where(item => item.Kind != "Job").WithImage(workload.Kind, workload.Name,
                workload.Container, place.Pulled.WithDigest(good).ToString()), good, "", "", "")
            : null;
    }

    private async Task SeeBackAsync(CertifiedImage image, Return back, Patience patience, List<string> said,
        List<string> failed, CancellationToken cancel)
    {
        var place = facts.Of(back.Place);
        var (cluster, good) = (clusters[place.Target], back.Digest!);
        try
        {
            var target = await TargetAsync(place, good, cancel);
            var rolled = await patience.AskAsync(token => cluster.RollOutAsync(target, token), cancel);
            var unhealthy = rolled.Failure ?? (place.Target.Gate is { } gate
                ? await patience.AskAsync(token => Gates.PassAsync(cluster, gate, place.Target.Namespace, place.Target.Name,
                    soaks: false, log, context.Time, token), cancel) : null);
            await records.TryWriteAsync(place, records.Entry(good, image.Digest, back.Written?.Commit ?? "", unhealthy is null
                ? Results.RolledBack : Results.Unhealthy), patience, cancel);
            if (unhealthy is null) said.Add($"{place.Title} is rolled back to {good} and healthy");
            else failed.Add($"{place.Title} is rolled back to {good} and NOT healthy: {unhealthy.Text}");
        }
        catch (Exception broken) when (IsOutside(broken))
        {
            failed.Add($"{place.Title} is on its way back to {good} and was not seen to be healthy: {Why(broken)}");
        }
    }

    private async Task<RolloutTarget> TargetAsync(Destination place, string digest, CancellationToken cancel)
    {
        try
        {
            return await facts.TargetAsync(place, digest, cancel);
        }
        catch (UnavailableException gone)
        {
            log.Warning($"{gone.Message}; {place.Title} goes back without the proof of its digest");
            return facts.TargetWithoutRegistry(place, digest);
        }
    }

    // What the dependents of an integration take is what runs, and never what was taken back.
    private async Task TagsAsync(CertifiedImage image, ReturnPlan plan, Patience patience, List<string> said,
        List<string> failed, CancellationToken cancel)
    {
        var goals = plan.Returns.Select(back => back.Kind == ReturnKind.NotNeeded && back.Place.Live?.Digest != image.Digest
            ? back.Place.Live?.Digest : back.Digest)
            .OfType<string>().Distinct(StringComparer.Ordinal).ToList();
        var runs = goals.Count == 1 ? goals[0] : image.PreviousDigest ?? goals.FirstOrDefault();
        if (goals.Contains(image.Digest)) return;
        foreach (var (tag, goal) in new[] { (image.ProductionTag, image.PreviousDigest is null ? null : runs), ("latest", runs) })
        {
            var reference = ImageReference.Of(image.Repository, tag);
            try
            {
                var now = await patience.AskAsync(token => registry.FindDigestAsync(reference, token), cancel);
                if (now is null || now == goal || now != image.Digest && goal is not null) continue;
                if (goal is null)
                {
                    if (await patience.AskAsync(token => registry.UntagAsync(reference, image.Digest, token), cancel) is { } why)
                        failed.Add($"\"{reference}\" still points to {now} and could not be taken away: {why}; take it away by " +
                            "hand");
                    else said.Add($"\"{tag}\" is taken away, since nothing ran before");
                }
                else if (await patience.AskAsync(token => registry.TagAsync(reference, goal, image.Digest, token), cancel))
                    said.Add($"\"{tag}\" points to {goal} again");
                else
                    failed.Add($"\"{reference}\" could not be moved back to {goal}: somebody moved it, or that image is not in " +
                        "the registry");
            }
            catch (Exception broken) when (IsOutside(broken))
            {
                failed.Add($"\"{reference}\" could not be {(goal is null ? "taken away" : $"moved back to {goal}")}: " +
                    $"{Why(broken)}");
            }
        }
    }

    private static bool IsOutside(Exception broken) =>
        broken is UnavailableException or UsageException or RefusedException or ClusterApiException or OperationCanceledException;

    private static string Why(Exception broken) => broken is OperationCanceledException ? "the time for it was over"
        : broken.Message;
}
