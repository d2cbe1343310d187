using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.Merge;

internal sealed class MergeStep(StepContext context, ChainRun run, IOrigin origin)
{
    private const int MostCommits = 20;

    // An origin that breaks off is tried again, since the old value in the push keeps it from landing twice.
    private const int MostOutages = 3;

    private static readonly TimeSpan TimeForThePush = TimeSpan.FromSeconds(20);

    private readonly string target = run.Policy.Branches.Target;

    private int outages;

    // The newest tip of the target that this run has read; the run itself gives the built commit where there was no target yet.
    private string? lastTip = run.TargetTip == run.Identity.Commit ? null : run.TargetTip;

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        if (Unfit() is { } unfit) return unfit;
        var (evidence, refusal) = ChainEvidence.Read(context, "merged", context.Options.Get(MergeCommand.RequireSigned));
        if (refusal is not null) return refusal;
        // A signature that cannot be made is a matter of settings, and is said before anything is read.
        var signing = MergeOptions.Signing(context);
        var (silence, limit) = (context.Options.Get(MergeCommand.SilenceLimit), context.Options.Get(MergeCommand.RaceLimit));
        context.Log.Info($"a silent origin is waited for {Durations.Show(silence)} (--{MergeCommand.SilenceLimit.Name}), " +
            $"others that land first for {Durations.Show(limit)} (--{MergeCommand.RaceLimit.Name})");
        var began = context.Time.GetTimestamp();
        for (var attempt = 1; ; attempt++)
        {
            var attemptBegan = context.Time.GetTimestamp();
            var facts = await GatherAsync(evidence!, cancel);
            var plan = MergePlan.For(facts);
            context.Log.Info(plan.Text);
            if (plan.Act == MergeAct.Refuse) return Outcome.Refused(plan.Reason, plan.Text, plan.Fault);
            if (plan.Act == MergeAct.Nothing) return await AlreadyAsync(facts, plan, cancel);
            if (context.DryRun) return Outcome.Done(plan.Text);
            if (await LandAsync(facts, evidence!, signing, attempt, cancel) is { } outcome) return outcome;
            // Each lost race means that somebody else landed, so that all land in the end; the pause keeps them from being in
            // each other's way.
            var pause = RacePause.For(attempt, context.Time.GetElapsedTime(attemptBegan), Random.Shared.NextDouble());
            if (context.Time.GetElapsedTime(began) + pause > limit)
                return Outcome.Refused("moved", $"\"{run.Identity.Branch}\" did not land in \"{target}\" in {attempt} " +
                    $"attempts, because others landed first, for {Durations.Show(context.Time.GetElapsedTime(began))}: run " +
                    $"merge again when it is quieter, or give it longer (--{MergeCommand.RaceLimit.Name})");
            context.Log.Info($"attempt {attempt} did not land; attempt {attempt + 1} follows in {Durations.Show(pause)}");
            await Task.Delay(pause, context.Time, cancel);
        }
    }

    private Outcome? Unfit()
    {
        var identity = run.Identity;
        if (identity.IsTargetBranch)
            return Outcome.Refused(
                "default-branch",
                $"\"{identity.Branch}\" is the target branch itself; merge runs in the chain of a private branch " +
                $"({run.Policy.Branches.Private})",
                Fault.Environment);
        if (!run.Policy.Branches.IsPrivate(identity.Branch))
            return Outcome.Refused("not-private",
                $"\"{identity.Branch}\" is not a private branch: its name does not fit \"{run.Policy.Branches.Private}\"; " +
                "push the change to one that does");
        return identity.Dirty
            ? Outcome.Refused(
                "dirty",
                "the work tree has changes that are not committed, so what was tested is not what would be merged; " +
                "commit them and run the chain",
                Fault.Environment)
            : null;
    }

    private async Task<MergeFacts> GatherAsync(ChainEvidence evidence, CancellationToken cancel)
    {
        var identity = run.Identity;
        var repository = run.Repository;
        context.Log.Progress($"reading \"{target}\" and \"{identity.Branch}\" from the origin");
        var tips = await origin.FetchAsync([target, identity.Branch], cancel);
        var (targetTip, branchTip) = (tips[0], tips[1]);
        var method = context.Options.Get(MergeCommand.Method);
        // One commit that was made of the change does not have it in its history.
        var isMerged = targetTip is not null && (await run.IsAncestorAsync(identity.Commit, targetTip, cancel)
            || method == MergeMethod.Squash && repository.MergeThatBrought(identity.Commit, targetTip) is not null);
        var facts = new MergeFacts(identity.Branch, identity.Commit, branchTip, target, targetTip, isMerged, HasMoved: false,
            repository.TreeId(identity.Commit), null, [], [], context.Options.Get(MergeCommand.Moved), null, Method: method);
        if (targetTip is null || isMerged || branchTip != identity.Commit) return facts;
        facts = facts with { TakenBack = await TakenBackAsync(targetTip, cancel) };
        lastTip = targetTip;
        if (facts.TakenBack is not null) return facts;
        facts = facts with { Red = await RedAsync(targetTip, cancel) };
        if (facts.Red is not null) return facts;

        var hasMoved = !await run.IsAncestorAsync(targetTip, identity.Commit, cancel);
        var from = hasMoved ? repository.MergeBases(targetTip, identity.Commit) : [targetTip];
        // What judges is what the target says at the tip that is merged into, not what it said when the chain began.
        var policy = run.PolicyAt(targetTip);
        var changed = repository.ChangedPaths(from, identity.Commit);
        var merge = hasMoved
            ? await TreeMerge.OfAsync(repository, targetTip, identity.Commit, context.Log, cancel)
            : new TreeMerge(facts.TestedTree, []);
        facts = facts with { Merge = merge, Lack = evidence.Lack(run, policy, changed, merge.Tree) };
        if (!hasMoved) return facts;
        var overlap = Touched(policy.File, changed).Intersect(Touched(policy.File, repository.ChangedPaths(from, targetTip)),
            StringComparer.Ordinal);
        return facts with
        {
            HasMoved = true,
            Overlap = [.. overlap],
            OtherCommits = repository.Commits(of: targetTip, notIn: identity.Commit, merge.Conflicts, MostCommits),
        };
    }

    // A target that is rewound has something taken out of it; a change that was made on top of that would bring it back.
    private async Task<string?> TakenBackAsync(string targetTip, CancellationToken cancel)
    {
        if (lastTip is null || await run.IsAncestorAsync(lastTip, targetTip, cancel)) return null;
        context.Log.Warning($"\"{target}\" was rewound from {ShortId.Of(lastTip)} to {ShortId.Of(targetTip)}");
        foreach (var shared in run.Repository.FindMergeBases(lastTip, run.Identity.Commit))
            if (!await run.IsAncestorAsync(shared, targetTip, cancel)) return shared;
        return null;
    }

    private async Task<string?> RedAsync(string targetTip, CancellationToken cancel)
    {
        if (context.Options.Get(MergeCommand.Red) == WhenRed.Merge
            || await origin.RedAsync(target, cancel) is not { } red) return null;
        if (!ReleaseMark.IsMended(run.Repository, red, run.Identity.Commit, targetTip)) return red;
        context.Log.Info($"the release chain of \"{target}\" at {ShortId.Of(red)} is red, and this change says that it mends it");
        return null;
    }

    // By the target's idea of the components and by the change's own: either may be the one that knows the paths.
    private IEnumerable<string> Touched(PipelineDefinition policy, IReadOnlyList<string> paths)
    {
        var configuration = context.Options.Get(StepCommand.PipelineFile);
        return ChangedComponents.Decide(policy, paths, configuration)
            .Concat(ChangedComponents.Decide(run.Change, paths, configuration))
            .Where(change => change.Changed).Select(change => change.Component.Name)
            // A suite that is another one says other things of its components.
            .Concat(ChangedSuites.Decide(policy, paths).Keys
                .SelectMany(name => policy.Suites.First(suite => suite.Name == name).Components))
            .Distinct(StringComparer.Ordinal);
    }

    private static string Summary(ChainEvidence evidence) =>
        string.Join(", ", evidence.Integration.Suites.Select(suite => $"{suite.Suite} {suite.Passed} passed")
        .Prepend($"unit-test {evidence.UnitTests.Components.Sum(component => component.Passed)} passed"));

    private async Task<Outcome?> LandAsync(
        MergeFacts facts, ChainEvidence evidence, CommitSigning? signing, int attempt, CancellationToken cancel)
    {
        var identity = run.Identity;
        var commit = facts.Method == MergeMethod.FastForward ? identity.Commit
            : await Commit(facts, evidence).WriteAsync(run.Repository, signing, cancel);
        cancel.ThrowIfCancellationRequested();
        context.Log.Progress(
            $"attempt {attempt}: pushing {ShortId.Of(commit)} to \"{target}\", from {ShortId.Of(facts.TargetTip!)} " +
                $"and from nowhere else");
        // A push that has begun may land whatever happens here: a stop waits for the answer, and what landed is the verdict.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForThePush, context.Time, cancel);
        PushResult push;
        try
        {
            push = await origin.PushAsync(commit, target, facts.TargetTip!, finishing.Token);
        }
        catch (OperationCanceledException) when (finishing.Token.IsCancellationRequested)
        {
            return Outcome.Cancelled(
                $"stopped while {ShortId.Of(commit)} was pushed to \"{target}\", and the origin did not say " +
                    "whether it landed: run merge again, it reads what is there");
        }
        switch (push.End)
        {
            case PushEnd.Accepted:
            case PushEnd.Network:
                return await ReadBackAsync(facts, commit, push, finishing.Token);
            case PushEnd.Moved:
                context.Log.Info($"\"{target}\" moved while merging: {push.Text}");
                return null;
            case PushEnd.Authentication:
                throw new UsageException($"the rights of merge do not suffice to push \"{target}\" to " +
                    $"{identity.Repository}: {push.Text}; " +
                    $"give a token that may in {OriginRemote.TokenVariable} (https), or a key that ssh uses");
            default:
                return PushRefusal.Of(push, target, identity.Repository);
        }
    }

    // What the server says is one thing, what the branch holds another; and without a whole answer only reading shows it.
    private async Task<Outcome?> ReadBackAsync(MergeFacts facts, string commit, PushResult push, CancellationToken cancel)
    {
        var isTaken = push.End == PushEnd.Accepted;
        var said = isTaken ? "the origin said that it took it" : $"the origin's answer was not a verdict ({push.Text})";
        if (!isTaken) context.Log.Warning($"{said}; reading \"{target}\" again");
        string? tip;
        try
        {
            tip = (await origin.FetchAsync([target], cancel))[0];
            if (tip is not null && await run.IsAncestorAsync(commit, tip, cancel))
                return await LandedAsync(facts, commit, cancel);
        }
        catch (UnavailableException failure)
        {
            return Outcome.Unavailable("git-unreachable", $"{ShortId.Of(commit)} was pushed to \"{target}\" ({said}), and it " +
                $"could not be read whether it is there: {failure.Message}; run merge again, it reads what is there");
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return Outcome.Cancelled(
                $"stopped after {ShortId.Of(commit)} was pushed to \"{target}\" ({said}) and before it was read whether " +
                    "it is there: run merge again, it reads what is there");
        }
        var holds = tip is null ? $"\"{target}\" is gone" : $"\"{target}\" is at {ShortId.Of(tip)} without it";
        if (!isTaken && ++outages < MostOutages)
        {
            context.Log.Info($"{holds}: nothing was merged up to now");
            return null;
        }
        return isTaken
            ? Outcome.Unavailable("not-there", $"{ShortId.Of(commit)} was pushed to \"{target}\" and {said}, " +
                $"but {holds}: somebody may have rewound it in that moment, or the server is broken; look " +
                "what happened there before merge runs again")
            : Outcome.Unavailable("git-unreachable", $"\"{target}\" could not be pushed to {run.Identity.Repository}: " +
                $"{push.Text}; {holds}, so nothing was merged up to now: run merge again when it answers");
    }

    private NewCommit Commit(MergeFacts facts, ChainEvidence evidence)
    {
        var (identity, repository) = (run.Identity, run.Repository);
        var isSquash = facts.Method == MergeMethod.Squash;
        var committer = new CommitPerson(
            context.Options.Get(MergeCommand.CommitterName), context.Options.Get(MergeCommand.CommitterEmail));
        var author = (context.Options.Find(MergeCommand.AuthorIs) ?? (isSquash ? "change" : "committer")) == "change"
            ? repository.Author(identity.Commit) : committer;
        var authors = repository.Authors(of: identity.Commit, notIn: facts.TargetTip!);
        var subject = repository.Subject(identity.Commit);
        var message = repository.Message(identity.Commit).ReplaceLineEndings("\n");
        var template = context.Options.Find(MergeCommand.Message) ?? (isSquash ? MergeMessage.OfSquash : MergeMessage.OfMerge);
        var text = MergeMessage.Of(template, new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["authors"] = string.Join(", ", authors),
            ["body"] = message.IndexOf("\n\n", StringComparison.Ordinal) is var gap and >= 0 ? message[gap..].Trim() : "",
            ["branch"] = identity.Branch,
            ["build"] = identity.BuildNumber,
            ["chain"] = identity.Chain,
            ["co-authors"] = MergeMessage.CoAuthors(authors, author),
            ["commit"] = identity.Commit,
            ["subject"] = subject,
            ["target"] = target,
            ["tests"] = Summary(evidence),
        });
        string[] parents = isSquash ? [facts.TargetTip!] : [facts.TargetTip!, identity.Commit];
        return new NewCommit(facts.Merge!.Tree!, parents, text, author, committer, context.Time.GetUtcNow());
    }

    private async Task<Outcome> LandedAsync(MergeFacts facts, string commit, CancellationToken cancel)
    {
        var outcome = Merged(
            $"merged \"{facts.Branch}\" into \"{facts.Target}\" as {ShortId.Of(commit)}",
            facts.TargetTip!,
            commit,
            facts.TestedTree);
        return await DeletedAsync(facts, outcome, cancel);
    }

    private async Task<Outcome> AlreadyAsync(MergeFacts facts, MergePlan plan, CancellationToken cancel)
    {
        var (before, commit) = run.Repository.MergeThatBrought(facts.Tested, facts.TargetTip!)
            ?? (facts.TargetTip!, facts.TargetTip!);
        var outcome = Merged(plan.Text, before, commit, facts.TestedTree);
        return context.DryRun ? outcome : await DeletedAsync(facts, outcome, cancel);
    }

    private Outcome Merged(string text, string before, string commit, string testedTree) => Outcome.Done(text)
        .With("merge.commit", commit)
        .Attesting(PredicateTypes.StepOutcome, [], new Subject("git+" + run.Identity.Repository, "gitCommit", commit))
        .HandingOver(
            new MergeHandOver(target, before, commit, run.Repository.TreeId(commit), testedTree),
            HandOverJson.Default.MergeHandOver);

    private async Task<Outcome> DeletedAsync(MergeFacts facts, Outcome outcome, CancellationToken cancel)
    {
        if (!context.Options.Get(MergeCommand.DeleteBranch) || facts.BranchTip is null) return outcome;
        try
        {
            var gone = await origin.DeleteAsync(facts.Branch, facts.Tested, cancel);
            context.Log.Info(
                gone.End == PushEnd.Accepted ? $"removed \"{facts.Branch}\"" : $"\"{facts.Branch}\" stays: {gone.Text}");
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException or OperationCanceledException)
        {
            // The merge is done and stands, whatever becomes of the branch.
            context.Log.Warning($"\"{facts.Branch}\" stays: {failure.Message}");
        }
        return outcome;
    }
}
