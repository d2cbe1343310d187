using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>Where the pipeline file that judges a change comes from.</summary>
internal static class PolicySource
{
    /// <summary>The target branch's tip; null when this clone knows no such branch.</summary>
    public static string? TargetTip(WorkRepository repository, string target, RunIdentity identity)
    {
        var tip = repository.FindTip(target);
        if (!identity.IsDefaultBranch) return tip;
        // A clone that fetched only the built commit knows an older tip, or none.
        return tip is null || tip != identity.Commit && repository.IsAncestor(tip, identity.Commit) ? identity.Commit : tip;
    }

    public static PipelineDefinition Read(StepContext context, WorkRepository repository, RunIdentity identity, PipelineDefinition change,
        string target, string? tip, string path, RegistryOverride registry)
    {
        RefuseMovedTarget(context, repository, identity, change, target, path, registry);
        var text = tip is null ? null : repository.ReadFile(tip, path);
        if (text is null)
        {
            context.Log.Warning(tip is null
                ? $"there is no branch \"{target}\" in this clone yet, so the change's own {path} judges it"
                : $"\"{target}\" has no {path} yet, so the change's own judges it");
            return change;
        }
        PipelineDefinition policy;
        try
        {
            policy = PipelineFile.Parse(text, $"{path} at {target} ({tip![..12]})", registry);
        }
        catch (UsageException failure) when (!identity.IsDefaultBranch)
        {
            // Otherwise the change that mends the target's file could never pass.
            context.Log.Warning($"the pipeline file of \"{target}\" is wrong, so the change's own judges it: {failure.Message}");
            return change;
        }
        if (context.Settings.Find(ChainRun.TargetBranch) is not null) return policy.Targeting(target);
        return policy.Branches.Target == target ? policy : throw Moved(change, target, target, policy.Branches.Target);
    }

    // A change must not choose who judges it: where the clone knows the origin's default branch, and that branch names another target, that counts.
    private static void RefuseMovedTarget(StepContext context, WorkRepository repository, RunIdentity identity, PipelineDefinition change, string target, string path, RegistryOverride registry)
    {
        if (identity.IsDefaultBranch || context.Settings.Find(ChainRun.TargetBranch) is not null) return;
        if (repository.OriginDefaultBranch is not { } known || known == target || repository.FindRemoteTip(known) is not { } tip) return;
        if (repository.ReadFile(tip, path) is not { } text) return;
        string judged;
        try
        {
            judged = PipelineFile.Parse(text, path, registry).Branches.Target;
        }
        catch (UsageException)
        {
            return;
        }
        if (judged != target) throw Moved(change, target, known, judged);
    }

    private static UsageException Moved(PipelineDefinition change, string target, string judge, string judged) =>
        new($"the change sets branches.target to \"{target}\" (in {change.Source}), but the file of \"{judge}\" says \"{judged}\": a change does not choose the branch that judges it; " +
            $"move the target in a change of its own, run with --target-branch {judged}");
}
