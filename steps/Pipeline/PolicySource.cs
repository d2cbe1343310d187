using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>The pipeline file that judges a change.</summary>
/// <param name="File">As read.</param>
/// <param name="Commit">Commit of the target branch that it was read at; null when the change's own file judges, as the target
/// has none that can be read.</param>
public sealed record JudgingFile(PipelineDefinition File, string? Commit);

/// <summary>Where the pipeline file that judges a change comes from.</summary>
internal sealed class PolicySource(StepContext context, WorkRepository repository, string path, RegistryOverride registry)
{
    /// <summary>Which branch judges, with the origin's default branch in the clone where it was asked for. What the change says
    /// counts only where the default branch has no file of its own yet.</summary>
    /// <exception cref="UsageException">The change names another than the default branch's file, or nothing says which it
    /// is.</exception>
    public async Task<(string Target, OriginView View)> TargetAsync(OriginView view, PipelineDefinition change,
        CancellationToken cancel)
    {
        if (context.Options.Find(ChainRun.TargetBranch) is { } named) return (named, view);
        var target = change.Branches.Target;
        // Where the origin answered, what the clone remembers does not count: it may be of any age, or of the change's own tests.
        if ((view.Tips.DefaultBranch
            ?? (view.Answer == OriginAnswer.Now ? null : repository.OriginDefaultBranch)) is not { } known)
        {
            return context.IsOnServer
                ? throw new UsageException($"{repository.OriginUrl} does not say which branch is its default (its HEAD), and " +
                    "the change alone may not name the branch that judges it: " +
                    "give --target-branch (in TeamCity the parameter cisteps.target.branch), or set the default branch there")
                : (target, view);
        }
        view = await view.HavingAsync(known, context, repository, cancel).ConfigureAwait(false);
        if (!view.Tips.Branches.TryGetValue(known, out var tip) || repository.ReadFile(tip, path) is not { } text) return (target,
            view);
        string judged;
        try
        {
            judged = PipelineFile.Parse(text, $"{path} at {known} ({ShortId.Of(tip)})", registry).Branches.Target;
        }
        catch (UsageException) when (target == known)
        {
            // Whose file judges then is decided where it is read.
            return (target, view);
        }
        return judged == target ? (target, view) : throw Moved(change, target, known, judged);
    }

    /// <summary>The file at the target branch's tip; the change's own where there is none that can be read, which is
    /// said.</summary>
    /// <exception cref="UsageException">The target's file names another target, or is wrong where nobody could mend it in a
    /// change.</exception>
    public JudgingFile Read(RunIdentity identity, PipelineDefinition change, string target, string? tip)
    {
        if ((tip is null ? null : repository.ReadFile(tip, path)) is not { } text)
        {
            context.Log.Warning(tip is null && identity.BaseUnknown
                ? $"this clone does not have \"{target}\" of the origin, so the change's own {path} judges it"
                : tip is null
                ? $"there is no branch \"{target}\" on the origin yet, so the change's own {path} judges it"
                : $"\"{target}\" has no {path} yet, so the change's own judges it");
            return new JudgingFile(change, null);
        }
        PipelineDefinition policy;
        try
        {
            policy = PipelineFile.Parse(text, $"{path} at {target} ({ShortId.Of(tip!)})", registry);
        }
        catch (UsageException failure) when (!identity.IsTargetBranch)
        {
            // Otherwise the change that mends the target's file could never pass.
            context.Log.Warning($"the pipeline file of \"{target}\" is wrong, so the change's own judges it: {failure.Message}");
            return new JudgingFile(change, null);
        }
        if (context.Options.Find(ChainRun.TargetBranch) is not null) policy = policy.Targeting(target);
        else if (policy.Branches.Target != target) throw Moved(change, target, target, policy.Branches.Target);
        return new JudgingFile(policy, tip);
    }

    private static UsageException Moved(PipelineDefinition change, string target, string judge, string judged) =>
        new($"the change sets branches.target to \"{target}\" (in {change.Source}), " +
            $"but the file of \"{judge}\" says \"{judged}\": a change does not choose the branch that judges it; " +
            $"move the target in a change of its own, run with --target-branch {judged}");
}
