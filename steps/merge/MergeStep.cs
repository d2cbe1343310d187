using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.Merge;

internal sealed class MergeStep(StepContext context, ChainRun run, IOrigin origin)
{
    // Each lost race means that somebody else landed; with so many of them this branch is tested again rather than hurried in.
    private const int MostRounds = 5;
    private const int MostCommits = 20;

    private static readonly TimeSpan TimeForThePush = TimeSpan.FromSeconds(20);

    private readonly string target = run.Policy.Branches.Target;

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        if (Unfit() is { } unfit) return unfit;
        var (evidence, refusal) = ChainEvidence.Read(context, "merged", context.Options.Get(MergeCommand.RequireSigned));
        if (refusal is not null) return refusal;
        for (var round = 1; round <= MostRounds; round++)
        {
            var facts = await GatherAsync(evidence!, cancel);
            var plan = MergePlan.For(facts);
            context.Log.Info(plan.Text);
            if (plan.Act == MergeAct.Refuse) return Outcome.Refused(plan.Reason, plan.Text, plan.Fault);
            if (plan.Act == MergeAct.Nothing) return await AlreadyAsync(facts, plan, cancel);
            if (context.DryRun) return Outcome.Done(plan.Text);
            if (await LandAsync(facts, evidence!, cancel) is { } outcome) return outcome;
            context.Log.Info($"\"{target}\" moved while merging (round {round} of {MostRounds}); reading it again");
        }
        return Outcome.Refused("moved", $"\"{target}\" moved {MostRounds} times while \"{run.Identity.Branch}\" was being merged: run merge again when it is quieter");
    }

    private Outcome? Unfit()
    {
        var identity = run.Identity;
        if (identity.IsTargetBranch)
            return Outcome.Refused("default-branch", $"\"{identity.Branch}\" is the target branch itself; merge runs in the chain of a private branch ({run.Policy.Branches.Private})",
                Fault.Environment);
        if (!run.Policy.Branches.IsPrivate(identity.Branch))
            return Outcome.Refused("not-private", $"\"{identity.Branch}\" is not a private branch: its name does not fit \"{run.Policy.Branches.Private}\"; push the change to one that does");
        return identity.Dirty
            ? Outcome.Refused("dirty", "the work tree has changes that are not committed, so what was tested is not what would be merged; commit them and run the chain",
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
        var isMerged = targetTip is not null && await run.IsAncestorAsync(identity.Commit, targetTip, cancel);
        var facts = new MergeFacts(identity.Branch, identity.Commit, branchTip, target, targetTip, isMerged, HasMoved: false,
            repository.TreeId(identity.Commit), null, [], [], context.Options.Get(MergeCommand.Moved), null);
        if (targetTip is null || isMerged || branchTip != identity.Commit) return facts;

        var hasMoved = !await run.IsAncestorAsync(targetTip, identity.Commit, cancel);
        var from = hasMoved ? repository.MergeBase(targetTip, identity.Commit) : targetTip;
        // What judges is what the target says at the tip that is merged into, not what it said when the chain began.
        var policy = run.PolicyAt(targetTip);
        var changed = repository.ChangedPaths(from, identity.Commit);
        var merge = hasMoved ? TreeMerge.Of(repository, targetTip, identity.Commit) : new TreeMerge(facts.TestedTree, []);
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

    private async Task<Outcome?> LandAsync(MergeFacts facts, ChainEvidence evidence, CancellationToken cancel)
    {
        var identity = run.Identity;
        var commit = TreeMerge.Commit(run.Repository, facts.Merge!.Tree!, into: facts.TargetTip!, from: identity.Commit, Message(evidence),
            context.Options.Get(MergeCommand.CommitterName), context.Options.Get(MergeCommand.CommitterEmail), context.Time.GetUtcNow());
        cancel.ThrowIfCancellationRequested();
        context.Log.Progress($"pushing {ShortId.Of(commit)} to \"{target}\"");
        // A push that has begun may land whatever happens here: a stop waits for the answer, and what landed is the verdict.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForThePush, context.Time, cancel);
        PushResult push;
        try
        {
            push = await origin.PushAsync(commit, target, finishing.Token);
        }
        catch (OperationCanceledException) when (finishing.Token.IsCancellationRequested)
        {
            return Outcome.Cancelled($"stopped while {ShortId.Of(commit)} was pushed to \"{target}\", and the origin did not say " +
                "whether it landed: run merge again, it reads what is there");
        }
        switch (push.End)
        {
            case PushEnd.Accepted:
                return await LandedAsync(facts, commit, finishing.Token);
            case PushEnd.Moved:
                return null;
            case PushEnd.Network:
                // The push may have arrived before the connection broke: only reading shows it.
                context.Log.Warning($"the connection broke while pushing ({push.Text}); reading \"{target}\" again");
                if ((await origin.FetchAsync([target], finishing.Token))[0] is { } tip
                    && run.Repository.IsAncestor(commit, tip))
                    return await LandedAsync(facts, commit, finishing.Token);
                return Outcome.Unavailable("git-unreachable", $"\"{target}\" could not be pushed to {identity.Repository}: {push.Text}; nothing was merged, run merge again when it answers");
            case PushEnd.Protected:
                return Outcome.Refused("protected", $"\"{target}\" is protected on {identity.Repository}: {push.Text}; let the user of merge push to it, or bypass the rule");
            case PushEnd.Hook:
                return Outcome.Refused("hook", $"a hook of {identity.Repository} refused the merge into \"{target}\": {push.Text}");
            case PushEnd.Authentication:
                throw new UsageException($"the credentials of merge may not push \"{target}\" to {identity.Repository}: {push.Text}; " +
                    $"give a token that may in {OriginRemote.TokenVariable} (https), or a key that ssh uses");
            default:
                return Outcome.Refused("refused", $"{identity.Repository} refused the merge into \"{target}\": {push.Text}");
        }
    }

    private string Message(ChainEvidence evidence)
    {
        var identity = run.Identity;
        return $"""
            Merge {identity.Branch} (build {identity.BuildNumber}): {run.Repository.Subject(identity.Commit)}

            Tested-by: chain {identity.Chain} ({Summary(evidence)})
            Tested-commit: {identity.Commit}
            """;
    }

    private async Task<Outcome> LandedAsync(MergeFacts facts, string commit, CancellationToken cancel)
    {
        var outcome = Merged($"merged \"{facts.Branch}\" into \"{facts.Target}\" as {ShortId.Of(commit)}", facts.TargetTip!, commit, facts.TestedTree);
        return await DeletedAsync(facts, outcome, cancel);
    }

    private async Task<Outcome> AlreadyAsync(MergeFacts facts, MergePlan plan, CancellationToken cancel)
    {
        var (before, commit) = run.Repository.MergeThatBrought(facts.Tested, facts.TargetTip!) ?? (facts.TargetTip!, facts.TargetTip!);
        var outcome = Merged(plan.Text, before, commit, facts.TestedTree);
        return context.DryRun ? outcome : await DeletedAsync(facts, outcome, cancel);
    }

    private Outcome Merged(string text, string before, string commit, string testedTree) => Outcome.Done(text)
        .With("merge.commit", commit)
        .Attesting(PredicateTypes.StepOutcome, [], new Subject("git+" + run.Identity.Repository, "gitCommit", commit))
        .HandingOver(new MergeHandOver(target, before, commit, run.Repository.TreeId(commit), testedTree), HandOverJson.Default.MergeHandOver);

    private async Task<Outcome> DeletedAsync(MergeFacts facts, Outcome outcome, CancellationToken cancel)
    {
        if (!context.Options.Get(MergeCommand.DeleteBranch) || facts.BranchTip is null) return outcome;
        try
        {
            var gone = await origin.DeleteAsync(facts.Branch, facts.Tested, cancel);
            context.Log.Info(gone.End == PushEnd.Accepted ? $"removed \"{facts.Branch}\"" : $"\"{facts.Branch}\" stays: {gone.Text}");
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException or OperationCanceledException)
        {
            // The merge is done and stands, whatever becomes of the branch.
            context.Log.Warning($"\"{facts.Branch}\" stays: {failure.Message}");
        }
        return outcome;
    }
}
