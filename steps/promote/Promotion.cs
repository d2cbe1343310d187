using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>Does a plan: roll out, ask the gates, write down; and the way back when one of these fails.</summary>
internal sealed class Promotion(StepContext context, ChainRun run, IImages registry, OpenTargets clusters, Facts facts,
    Records records, Leases leases)
{
    // Going back has its own time and is not given up when the build is stopped: half a roll-out is worse than a late end.
    private static readonly TimeSpan TimeToReturn = TimeSpan.FromMinutes(10);

    // Of the half minute that a stopped step has: sending back takes a second, the rest is for seeing it healthy.
    private static readonly TimeSpan TimeToReturnWhenStopped = TimeSpan.FromSeconds(18);

    private static readonly TimeSpan TimeForHistory = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan TimeToDiagnose = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan SoakLimit = TimeSpan.FromSeconds(30);

    private readonly BuildLog log = context.Log;
    private readonly Dictionary<Destination, ManifestSet> snapshots = [];
    private readonly List<PlannedRollout> done = [];
    private PlannedRollout? current;

    private sealed record Setback(PlannedRollout Culprit, StepFailure Failure);

    public async Task<Outcome> RunAsync(ProductionDefinition production, PromotionPlan plan, CancellationToken cancel)
    {
        using var working = CancellationTokenSource.CreateLinkedTokenSource(cancel, leases.Lost);
        try
        {
            if (await TagForwardAsync(plan, working.Token) is { } behind) return await EndAsync(plan, behind);
            if (await ForwardAsync(production, plan, working.Token) is { } setback) return await BackAsync(plan, setback);
            var text = plan.Rollouts.Count == 0 ? "production runs these images already"
                : string.Join("; ", plan.Rollouts.Select(move =>
                    $"{move.Image.Component} runs {ShortId.Of(move.Image.Digest)} in {move.Destination.Target.Name}"));
            return (await EndAsync(plan, Outcome.Done(text)))
                .Attesting(PredicateTypes.StepOutcome, [],
                    [.. plan.Rollouts.Select(move => Subject.Image(move.Image.Repository, move.Image.Digest))
                    .DistinctBy(subject => subject.Digest)]);
        }
        catch (UnavailableException gone)
        {
            return await UnknownAsync(plan, gone);
        }
        catch (ClusterApiException refusal)
        {
            return await UnknownAsync(plan, new UnavailableException("cluster-refused",
                $"the cluster answered what was not expected: {refusal.Message}", refusal));
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested && leases.Lost.IsCancellationRequested)
        {
            return await UnknownAsync(plan, new UnavailableException("lease-lost",
                "the lease of a target could not be renewed, or somebody else has it now"));
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return await StoppedAsync(plan);
        }
    }

    /// <summary>Finishes what an earlier run did not take back to its end; the answer stays no.</summary>
    public async Task<Outcome> FinishBackAsync(PromotionPlan plan)
    {
        using var limit = new CancellationTokenSource(TimeToReturn, context.Time);
        var (said, failed) = (new List<string>(), new List<string>());
        foreach (var image in plan.HalfBack)
        {
            var back = await ReturnAsync(image.Image, isOwn: true, TimeToReturn, limit.Token);
            said.AddRange(back.Said);
            failed.AddRange(back.Failed);
        }
        var (reason, text, fault) = plan.Refusal!.Value;
        return await EndAsync(plan, failed.Count > 0 ? NotBack(text, said, failed)
            : Outcome.Refused(reason,
                $"{text}; an earlier run had not taken it back to the end, which is done now: {string.Join("; ", said)}", fault));
    }

    private async Task<Setback?> ForwardAsync(ProductionDefinition production, PromotionPlan plan, CancellationToken cancel)
    {
        foreach (var wave in production.Waves)
        {
            var inWave = plan.Rollouts.Where(move => move.Destination.Wave == wave.Name).ToList();
            var left = wave.Soak - SinceSettled(plan, wave, inWave);
            var later = plan.Rollouts.Any(move => move.Destination.Wave != wave.Name && !done.Contains(move));
            if (inWave.Count == 0 && (left <= TimeSpan.Zero || !later)) continue;
            using (log.Block($"wave {wave.Name}"))
            {
                foreach (var move in inWave)
                {
                    cancel.ThrowIfCancellationRequested();
                    current = move;
                    if (await MoveAsync(move, cancel) is { } failure) return new Setback(move, failure);
                    current = null;
                }
                if (left > TimeSpan.Zero && await SoakAsync(plan, wave, left, cancel) is { } late) return late;
            }
        }
        return null;
    }

    // How much of its soak a wave has behind it, whose places all were rolled out by an earlier run that did not come further.
    private TimeSpan SinceSettled(PromotionPlan plan, WaveDefinition wave, List<PlannedRollout> inWave)
    {
        if (inWave.Count > 0) return TimeSpan.Zero;
        var latest = plan.Settled.Where(place => place.Wave == wave.Name && place.History.Count > 0)
            .Select(place => DateTimeOffset.TryParse(place.History[0].When, System.Globalization.CultureInfo.InvariantCulture,
                System.Globalization.DateTimeStyles.AssumeUniversal, out var when) ? when : DateTimeOffset.MinValue)
                    .DefaultIfEmpty(DateTimeOffset.MinValue).Max();
        return context.Time.GetUtcNow() - latest;
    }

    private async Task<StepFailure?> MoveAsync(PlannedRollout move, CancellationToken cancel)
    {
        var place = facts.Of(move.Destination);
        var cluster = clusters[place.Target];
        var patience = new Patience(place.Component.Workload!.TimeLimit, log, context.Time);
        log.Info($"rolling {place.Component.Name} out to {place.Target.Name}, namespace \"{place.Target.Namespace}\"");
        var target = await patience.AskAsync(token => facts.TargetAsync(place, move.Image.Digest, token), cancel);
        // The first write says what is begun and what ran before: a run that comes after a kill finds both.
        await patience.DoAsync(token => records.WriteAsync(place, Entry(move, Results.RollingOut), token), cancel);
        try
        {
            snapshots[place] = await patience.AskAsync(token => cluster.SnapshotAsync(place.Manifests, token), cancel);
            var manifests = Records.Marked(place, place.Manifests, move.Image.Digest, run.Identity.Commit,
                run.Identity.BuildNumber, move.Destination.Fingerprint);
            if (await patience.AskAsync(token => cluster.ApplyAsync(manifests, place.Component.Workload.TimeLimit, token),
                cancel) is { } denied) return denied;
        }
        catch (UsageException wrong)
        {
            return new StepFailure("manifests", wrong.Message, wrong.Fault);
        }
        var rolled = await patience.AskAsync(token => cluster.RollOutAsync(target, token), cancel);
        if (rolled.Failure is { } failure) return failure;
        if (await HoldsAsync(place, target, place.Target.Gate, place.Target.Settle, soaks: false,
            cancel) is { } unhealthy) return unhealthy;
        // It runs and is healthy: a stop from here on waits for the history.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForHistory, context.Time, cancel);
        await records.TryWriteAsync(place, Entry(move, Results.Promoted), patience, finishing.Token);
        done.Add(move);
        return null;
    }

    // Its pods hold and its gate is healthy, both at once and to the end; whichever says no first.
    private async Task<StepFailure?> HoldsAsync(Destination place, RolloutTarget target, GateDefinition? gate, TimeSpan settle,
        bool soaks, CancellationToken cancel)
    {
        var cluster = clusters[place.Target];
        var patience = new Patience(place.Component.Workload!.TimeLimit, log, context.Time);
        using var watching = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var guard = patience.AskAsync<StepFailure?>(async token => await cluster.GuardAsync(target, token), watching.Token);
        var calm = CalmAsync(watching.Token);
        var first = await Task.WhenAny(guard, calm);
        await watching.CancelAsync();
        var late = default(StepFailure);
        try
        {
            late = await (first == guard ? calm : guard);
        }
        catch (Exception ended) when (ended is OperationCanceledException or UnavailableException or ClusterApiException)
        {
            // The first one's word counts.
        }
        return await first ?? late;

        async Task<StepFailure?> CalmAsync(CancellationToken token)
        {
            var started = context.Time.GetTimestamp();
            if (gate is not null && await Gates.PassAsync(cluster, gate, place.Target.Namespace, place.Target.Name, soaks, log,
                context.Time, token) is { } unhealthy) return unhealthy;
            var left = settle - context.Time.GetElapsedTime(started);
            if (left > TimeSpan.Zero) await Gates.WaitAsync(left, $"{place.Title} to settle", log, context.Time, token);
            return null;
        }
    }

    // Every place of the wave, also the one that an earlier run rolled out.
    private async Task<Setback?> SoakAsync(PromotionPlan plan, WaveDefinition wave, TimeSpan length, CancellationToken cancel)
    {
        log.Info($"wave {wave.Name} soaks for {Durations.Show(length)}");
        var soaking = plan.Rollouts.Where(move => move.Destination.Wave == wave.Name)
            .Concat(plan.Settled.Where(place => place.Wave == wave.Name)
                .Select(place => new PlannedRollout(place, facts.Of(place).Image, Before(place), null))).ToList();
        using var first = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var all = soaking.Select(async move =>
        {
            var place = facts.Of(move.Destination);
            var gate = place.Target.Gate is { } asked ? asked with { For = length, TimeLimit = SoakLimit } : null;
            var target = await facts.TargetAsync(place, move.Image.Digest, first.Token);
            return await HoldsAsync(place, target, gate, length, soaks: true, first.Token) is { } failure
                ? new Setback(move, failure) : null;
        }).ToList();
        Setback? found = null;
        Exception? outage = null;
        await foreach (var ended in Task.WhenEach(all))
        {
            try
            {
                found ??= await ended;
            }
            catch (Exception broken) when (broken is UnavailableException or ClusterApiException or OperationCanceledException)
            {
                if (!first.IsCancellationRequested) outage = broken;
            }
            if (found is not null || outage is not null) await first.CancelAsync();
        }
        cancel.ThrowIfCancellationRequested();
        if (found is null && outage is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(outage);
        return found;
    }

    private static string? Before(DestinationFacts place) => place.History.Count > 0 ? place.History[0].Previous : null;

    private async Task<Outcome> BackAsync(PromotionPlan plan, Setback setback)
    {
        var (culprit, failure) = setback;
        log.Warning($"{culprit.Destination.Title} failed: {failure.Text}");
        await DiagnoseAsync(culprit);
        using var limit = new CancellationTokenSource(TimeToReturn, context.Time);
        var back = await ReturnAsync(culprit.Image, failure.IsOwn, TimeToReturn, limit.Token);
        var text = $"{culprit.Image.Component} at {culprit.Image.Digest} failed in {culprit.Destination.Target.Name} " +
            $"({failure.Reason}): {failure.Text}";
        return await EndAsync(plan, back.Failed.Count > 0 ? NotBack(text, back.Said, back.Failed)
            : Outcome.Refused("rollout-failed",
                $"{text}; {back.Text}{(failure.IsOwn ? "" : "; when that is mended, run certify and promote again")}",
                failure.Fault));
    }

    // The loudest there is: production is not what anybody wants, and nobody but a person will change that.
    public static Outcome NotBack(string text, IReadOnlyList<string> said, IReadOnlyList<string> failed) =>
        Outcome.Refused("rollback-failed",
            $"PRODUCTION NEEDS A PERSON NOW: the way back did not end well: {string.Join("; ", failed)}. What led to it: " +
            $"{text}." + (said.Count == 0 ? "" : $" Done: {string.Join("; ", said)}.") +
            " Mend that, and run promote again: it goes on with the way back", Fault.Unknown);

    private async Task<Returned> ReturnAsync(CertifiedImage image, bool? isOwn, TimeSpan time, CancellationToken limit)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit, leases.Lost);
        return await new WayBack(context, run, registry, clusters, facts, records).RunAsync(image, isOwn, snapshots, time,
            null, either.Token);
    }

    private async Task<Outcome> StoppedAsync(PromotionPlan plan)
    {
        // Before the first write there is nothing to put back.
        if (current is null && done.Count == 0) return await EndAsync(plan,
            Outcome.Cancelled("stopped before anything was rolled out; run promote again to go on"));
        var (said, failed) = (new List<string>(), new List<string>());
        using var limit = new CancellationTokenSource(TimeToReturnWhenStopped, context.Time);
        foreach (var image in done.Append(current).OfType<PlannedRollout>().Select(move => move.Image).Distinct())
        {
            var back = await ReturnAsync(image, isOwn: null, TimeToReturnWhenStopped, limit.Token);
            said.AddRange(back.Said);
            failed.AddRange(back.Failed);
        }
        var when = current is null ? "while a wave soaked"
            : $"while {current.Image.Component} was rolled out to {current.Destination.Target.Name}";
        return await EndAsync(plan,
            Outcome.Cancelled(
                $"stopped {when}; {(said.Count + failed.Count == 0 ? "nothing was rolled out" : string.Join("; ", said))}" +
                (failed.Count == 0 ? "" : $"; NOT back: {string.Join("; ", failed)}") + "; run promote again to go on"));
    }

    // An outage is not a verdict: nothing is taken back or barred, and the next run finds out.
    private async Task<Outcome> UnknownAsync(PromotionPlan plan, UnavailableException gone)
    {
        var at = "";
        if (current is { } move)
        {
            using var limit = new CancellationTokenSource(TimeForHistory, context.Time);
            if (gone.Reason != "lease-lost") await records.TryWriteAsync(facts.Of(move.Destination),
                Entry(move, Results.Unknown), new Patience(Min(TimeForHistory, move.Destination.Component.Workload!.TimeLimit),
                log, context.Time), limit.Token);
            at = $"; whether {move.Destination.Title} serves {move.Image.Digest} is unknown: " +
                "nothing was taken back and nothing barred";
        }
        return await EndAsync(plan, Outcome.Unavailable(gone.Reason,
            $"{gone.Message}{at}; run promote again: it finds out and goes on or back"));
    }

    // The tags that an earlier run moved back with the image stand first where certify left them: what comes after is the same
    // then.
    private async Task<Outcome?> TagForwardAsync(PromotionPlan plan, CancellationToken cancel)
    {
        foreach (var behind in plan.TagsBehind)
        {
            var image = behind.Image;
            var production = ImageReference.Of(image.Repository, image.ProductionTag);
            var latest = await registry.FindDigestAsync(production.WithTag("latest"), cancel);
            foreach (var (tag, from) in new[] { (production, behind.Tagged), (production.WithTag("latest"), latest) })
                if ((tag == production || from == behind.Tagged) && !await registry.TagAsync(tag, image.Digest, from, cancel))
                    return Outcome.Refused("tag-moved",
                        $"\"{tag}\" could not be moved to {image.Digest}: somebody moved it at the same moment; see who, and " +
                        "certify again what should run", Fault.Unknown);
        }
        return null;
    }

    private async Task DiagnoseAsync(PlannedRollout culprit)
    {
        var target = culprit.Destination.Target;
        using var limit = new CancellationTokenSource(TimeToDiagnose, context.Time);
        try
        {
            await clusters[target].DiagnoseAsync(target.Namespace, Path.Combine(context.Evidence.FolderOf(context.Step),
                "diagnosis", target.Name), limit.Token);
        }
        catch (Exception broken) when (broken is UnavailableException or ClusterApiException or OperationCanceledException)
        {
            // The way back does not wait for it.
            log.Warning($"there is not a diagnosis of {target.Name}: {broken.Message}");
        }
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private HistoryEntry Entry(PlannedRollout move, string result) => records.Entry(move.Image.Digest, move.Previous,
        run.Identity.Commit, result);

    // What is said of production is read from it, after the last write.
    private async Task<Outcome> EndAsync(PromotionPlan plan, Outcome outcome)
    {
        var previous = plan.Rollouts.ToDictionary(move => facts.Of(move.Destination), move => move.Previous);
        foreach (var place in plan.Settled) previous.TryAdd(facts.Of(place), Before(place));
        return outcome.HandingOver(new PromoteHandOver(await records.StateAsync(facts, previous)),
            HandOverJson.Default.PromoteHandOver);
    }
}
