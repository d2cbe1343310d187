using System.Globalization;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>Does a plan: roll out, ask the gates, write down; and the way back when one of these fails.</summary>
internal sealed class Promotion(StepContext context, ChainRun run, IImages registry, OpenTargets clusters, IReadOnlyList<Destination> places, IReadOnlyList<PlannedRollout> moves, IReadOnlyList<PromotedWorkload> kept)
{
    // Going back has its own time and is not given up when the build is stopped: half a roll-out is worse than a late end.
    private static readonly TimeSpan RollbackLimit = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan TimeForHistory = TimeSpan.FromSeconds(8);

    private const string StoppedReason = "stopped";

    private readonly BuildLog log = context.Log;
    private readonly List<Done> done = [];

    private sealed record Done(PlannedRollout Move, Destination Place, ManifestSet Before);

    public async Task<Outcome> RunAsync(ProductionDefinition production, CancellationToken cancel)
    {
        foreach (var wave in production.Waves)
        {
            var inWave = moves.Where(move => move.Destination.Wave == wave.Name).ToList();
            if (inWave.Count == 0) continue;
            using (log.Block($"wave {wave.Name}"))
            {
                try
                {
                    foreach (var move in inWave)
                    {
                        cancel.ThrowIfCancellationRequested();
                        if (await MoveAsync(move, cancel) is { } failure) return await BackAsync(move,
                            failure);
                    }
                    if (wave.Soak > TimeSpan.Zero && await SoakAsync(wave, inWave,
                        cancel) is var (culprit, why))
                        return await BackAsync(culprit, why);
                }
                catch (OperationCanceledException) when (cancel.IsCancellationRequested)
                {
                    // What is rolled out and healthy stays; the next run goes on from there.
                    return Stopped(inWave.Find(move => !done.Exists(each => each.Move == move)) is { } next
                        ? $"before {next.Image.Component} was rolled out to {next.Destination.Target.Name}"
                            : $"while wave {wave.Name} soaked");
                }
            }
        }
        return HandingOver(Outcome.Done(string.Join("; ", moves.Select(move =>
                $"{move.Image.Component} runs {ShortId.Of(move.Image.Digest)} in {move.Destination.Target.Name}"))),
                moves.Select(move => new PromotedWorkload(move.Image.Component, move.Destination.Target.Name, move.Image.Digest,
                    move.Previous)))
            .Attesting(PredicateTypes.StepOutcome, [], [.. moves.Select(move => Subject.Image(move.Image.Repository, move.Image.Digest)).DistinctBy(subject => subject.Digest)]);
    }

    private Outcome HandingOver(Outcome outcome, IEnumerable<PromotedWorkload> workloads) =>
        outcome.HandingOver(new PromoteHandOver([.. kept, .. workloads]), HandOverJson.Default.PromoteHandOver);

    // A roll-out that was stopped half-way is taken back; between two of them, and while a wave soaks, nothing is half done.
    private Outcome Stopped(string when)
    {
        var rolled = done.Select(each =>
            $"{each.Move.Image.Component} runs {ShortId.Of(each.Move.Image.Digest)} in {each.Place.Target.Name}").ToList();
        var left = moves.Except(done.Select(each => each.Move)).Select(move =>
            $"{move.Image.Component} in {move.Destination.Target.Name}").ToList();
        var text = $"stopped {when}; {(rolled.Count == 0 ? "nothing was rolled out" : string.Join(", ", rolled))}" +
            (left.Count == 0 ? "" : $"; not rolled out: {string.Join(", ", left)}") + "; run promote again to go on";
        return HandingOver(Outcome.Cancelled(text),
            done.Select(each => new PromotedWorkload(each.Move.Image.Component, each.Place.Target.Name, each.Move.Image.Digest,
                each.Move.Previous)));
    }

    private async Task<StepFailure?> MoveAsync(PlannedRollout move, CancellationToken cancel)
    {
        var place = places.First(place => place.Target == move.Destination.Target && place.Component == move.Destination.Component);
        var cluster = clusters[place.Target];
        var ns = place.Target.Namespace;
        log.Info($"rolling {place.Component.Name} out to {place.Target.Name}, namespace \"{ns}\"");
        done.Add(new Done(move, place, await cluster.SnapshotAsync(place.Manifests, cancel)));
        try
        {
            if (await cluster.ApplyAsync(Recorded(place, place.Manifests, move.Image.Digest, run.Identity.Commit, run.Identity.BuildNumber, move.Destination.Fingerprint), cancel) is { } denied) return denied;
            var rolled = await RollOutAsync(cluster, place, move.Image.Digest, cancel);
            if (rolled.Failure is { } failure) return failure;
            if (place.Target.Gate is { } gate && await Gates.PassAsync(cluster, gate, ns, place.Target.Name, log, context.Time, cancel) is { } unhealthy) return unhealthy;
        }
        catch (Exception broken) when (broken is UnavailableException or UsageException || broken is OperationCanceledException && cancel.IsCancellationRequested)
        {
            // Whatever the reason, what is half done must not stay.
            return broken switch
            {
                UnavailableException gone => new StepFailure(gone.Reason, gone.Message, Fault.World),
                UsageException wrong => new StepFailure("manifests", wrong.Message, wrong.Fault),
                _ => new StepFailure(StoppedReason, "the build was stopped during the roll-out", Fault.Nobody),
            };
        }
        // It runs and is healthy: a stop from here on waits for the history.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForHistory, context.Time, cancel);
        await RecordAsync(cluster, place, new HistoryEntry(move.Image.Digest, move.Previous, run.Identity.Commit,
            run.Identity.BuildNumber, Who, Now, "promoted"), finishing.Token);
        return null;
    }

    private async Task<(PlannedRollout Culprit, StepFailure Why)?> SoakAsync(WaveDefinition wave, IReadOnlyList<PlannedRollout> inWave, CancellationToken cancel)
    {
        log.Info($"wave {wave.Name} soaks for {Durations.Show(wave.Soak)}");
        var gated = inWave.Where(move => move.Destination.Target.Gate is not null).ToList();
        foreach (var move in gated.Take(1))
        {
            var gate = move.Destination.Target.Gate! with { For = wave.Soak, TimeLimit = TimeSpan.FromSeconds(30) };
            if (await Gates.PassAsync(clusters[move.Destination.Target], gate, move.Destination.Target.Namespace, move.Destination.Target.Name, log, context.Time, cancel) is { } unhealthy) return (move, unhealthy);
        }
        if (gated.Count == 0) await Gates.WaitAsync(wave.Soak, $"wave {wave.Name} to soak", log, context.Time, cancel);
        // The roll-outs must still hold: a pod that crashes late shows here.
        foreach (var move in inWave)
        {
            var place = places.First(place => place.Target == move.Destination.Target && place.Component == move.Destination.Component);
            if ((await RollOutAsync(clusters[place.Target], place, move.Image.Digest, cancel)).Failure is { } failure) return (move, failure);
        }
        return null;
    }

    private async Task<RolloutResult> RollOutAsync(IProduction cluster, Destination place, string digest, CancellationToken cancel)
    {
        var digests = await registry.DigestsOfAsync(place.Pushed.WithDigest(digest), cancel);
        var workload = place.Component.Workload!;
        return await cluster.RollOutAsync(new RolloutTarget(workload.Kind, place.Target.Namespace, workload.Name, workload.Container, digests, workload.TimeLimit), cancel);
    }

    private async Task<Outcome> BackAsync(PlannedRollout culprit, StepFailure failure)
    {
        log.Warning($"{culprit.Image.Component} in {culprit.Destination.Target.Name} failed: {failure.Text}");
        using var limit = new CancellationTokenSource(RollbackLimit, context.Time);
        var cluster = clusters[culprit.Destination.Target];
        try
        {
            await cluster.DiagnoseAsync(culprit.Destination.Target.Namespace,
                Path.Combine(context.Evidence.FolderOf(context.Step), "diagnosis", culprit.Destination.Target.Name),
                limit.Token);
        }
        catch (Exception broken) when (broken is UnavailableException or ClusterApiException or OperationCanceledException)
        {
            // The way back does not wait for it.
            log.Warning($"no diagnosis of {culprit.Destination.Target.Name}: {broken.Message}");
        }
        // A digest that fails in one place is wanted in none.
        var results = new List<string>();
        foreach (var each in done.Where(each => each.Move.Image.Component == culprit.Image.Component).Reverse())
            results.Add(await UndoAsync(each, limit.Token));
        results.Add(await BarAsync(culprit.Image, failure, limit.Token));
        var state = new List<PromotedWorkload>();
        foreach (var each in done) state.Add(new PromotedWorkload(each.Move.Image.Component, each.Place.Target.Name,
            await LiveAsync(each, limit.Token), each.Move.Previous));
        var (component, place, undone) = (culprit.Image.Component, culprit.Destination.Target.Name, string.Join("; ", results));
        return HandingOver(failure.Reason == StoppedReason
            ? Outcome.Cancelled($"stopped while {component} was rolled out to {place}; {undone}")
            : Outcome.Refused("rollout-failed", $"{component} at {culprit.Image.Digest} failed in {place} " +
                $"({failure.Reason}): {failure.Text}; {undone}", failure.Fault), state);
    }

    // What is there, read after the last write; what was written where the cluster does not say.
    private async Task<string> LiveAsync(Done each, CancellationToken cancel)
    {
        try
        {
            var live = await clusters[each.Place.Target].FindAsync(each.Place.Component.Workload!, each.Place.Target.Namespace,
                cancel);
            if (live?.Digest is { } digest) return digest;
        }
        catch (Exception broken) when (broken is UnavailableException or UsageException or OperationCanceledException)
        {
            log.Warning($"it is not known what {each.Place.Component.Name} runs in {each.Place.Target.Name} now: " +
                broken.Message);
        }
        return each.Move.Image.Digest;
    }

    private async Task<string> UndoAsync(Done each, CancellationToken cancel)
    {
        var (move, place, before) = each;
        var cluster = clusters[place.Target];
        var where = $"{place.Component.Name} in {place.Target.Name}";
        try
        {
            var history = await cluster.HistoryAsync(place.Target.Namespace, place.Component.Name, cancel);
            // A run that was killed in the middle left the bad image live: then the last good one is in the history.
            var good = move.Previous is not null && move.Previous != move.Image.Digest ? move.Previous
                : history.FirstOrDefault(entry => entry.Result == "promoted" && entry.Digest != move.Image.Digest)?.Digest;
            if (good is null) return $"{where} has no earlier version to go back to and stays as it is";
            var entry = history.FirstOrDefault(entry => entry.Digest == good && entry.Result == "promoted");
            var workload = place.Component.Workload!;
            var earlier = (entry is null ? null : Destinations.AtCommit(run, place, entry.Commit, good)) is { } written
                ? Recorded(place, written, good, entry!.Commit, entry.Build, written.Fingerprint())
                : before.Has(workload.Kind, workload.Name)
                    ? before.WithImage(workload.Kind, workload.Name, workload.Container, place.Pulled.WithDigest(good).ToString()) : null;
            if (earlier is null) return $"{where} could not go back to {good}: its manifests are neither in this clone nor in the cluster";
            log.Progress($"rolling {where} back to {good}");
            if (await cluster.ApplyAsync(earlier, cancel) is { } denied) return $"{where} could NOT be rolled back: {denied.Text}";
            var rolled = await RollOutAsync(cluster, place, good, cancel);
            var unhealthy = rolled.Failure ?? (place.Target.Gate is { } gate ? await Gates.PassAsync(cluster, gate, place.Target.Namespace, place.Target.Name, log, context.Time, cancel) : null);
            await RecordAsync(cluster, place, new HistoryEntry(good, move.Image.Digest, entry?.Commit ?? "", run.Identity.BuildNumber, Who, Now, unhealthy is null ? "rolled back" : "rolled back, unhealthy"), cancel);
            return unhealthy is null ? $"{where} is rolled back to {good} and healthy" : $"{where} is rolled back to {good} and NOT healthy: {unhealthy.Text}";
        }
        catch (Exception broken) when (broken is UnavailableException or UsageException or OperationCanceledException)
        {
            return $"{where} could NOT be rolled back: {(broken is OperationCanceledException ? $"no end within {Durations.Show(RollbackLimit)}" : broken.Message)}";
        }
    }

    // A stopped build or a silent cluster says nothing about the image.
    private async Task<string> BarAsync(CertifiedImage image, StepFailure failure, CancellationToken cancel)
    {
        if (!failure.IsVerdict) return $"{image.Digest} is not barred, since the failure is not its own";
        try
        {
            var barred = ImageReference.Of(image.Repository, PromotionPlan.BarTag(image.Digest));
            await registry.TagAsync(barred, image.Digest, null, cancel);
            var back = image.PreviousDigest is { } previous && previous != image.Digest
                && await registry.TagAsync(barred.WithTag(image.ProductionTag), previous, image.Digest, cancel);
            return $"the digest is barred{(back ? $" and \"{image.ProductionTag}\" points to {image.PreviousDigest} again" : "")}";
        }
        catch (Exception broken) when (broken is UnavailableException or UsageException or OperationCanceledException)
        {
            return $"the digest could not be barred: {broken.Message}";
        }
    }

    private async Task RecordAsync(IProduction cluster, Destination place, HistoryEntry entry, CancellationToken cancel)
    {
        try
        {
            await cluster.RecordAsync(place.Target.Namespace, place.Component.Name, entry, cancel);
        }
        catch (Exception broken) when (broken is UnavailableException or OperationCanceledException)
        {
            // What runs is right; that it is not written down is worth a line, not a rollback.
            log.Warning($"the history of {place.Component.Name} in {place.Target.Name} could not be written: " +
                (broken is UnavailableException ? broken.Message : "stopped before the cluster answered"));
        }
    }

    private static ManifestSet Recorded(Destination place, ManifestSet manifests, string digest, string commit, string build, string fingerprint) =>
        manifests.WithAnnotations(place.Component.Workload!.Kind, place.Component.Workload.Name, new Dictionary<string, string>
        {
            [Annotations.Digest] = digest,
            [Annotations.Commit] = commit,
            [Annotations.Build] = build,
            [Annotations.Manifests] = fingerprint,
        });

    private string Who => context.Options.Find(PromoteCommand.Who) ?? Environment.UserName;

    private string Now => context.Time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}

/// <summary>What promote writes on a workload.</summary>
internal static class Annotations
{
    public const string Digest = "cisteps.dev/promoted-digest";
    public const string Commit = "cisteps.dev/promoted-commit";
    public const string Build = "cisteps.dev/promoted-build";
    public const string Manifests = "cisteps.dev/promoted-manifests";
}
