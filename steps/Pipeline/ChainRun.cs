using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>Which run of which chain a step is part of, and the two pipeline files that matter to it. The first call of every step.</summary>
public sealed class ChainRun : IDisposable
{
    private readonly StepContext context;
    private string? baseCommit;

    private ChainRun(StepContext context, WorkRepository repository, RunIdentity identity, PipelineDefinition change, PipelineDefinition policy, string targetTip) =>
        (this.context, Repository, Identity, Change, Policy, TargetTip) = (context, repository, identity, change, policy, targetTip);

    /// <summary>The registry that steps push to, above the file's.</summary>
    public static Setting<string> Registry { get; } = Setting.Text("registry", "registry to push to, host[:port][/prefix], instead of the pipeline file's registry.push");

    /// <summary>The registry that cluster nodes pull from, above the file's.</summary>
    public static Setting<string> PullRegistry { get; } = Setting.Text("registry-pull", "registry that cluster nodes pull from, instead of the pipeline file's registry.pull");

    /// <summary>The target branch, above the file's.</summary>
    public static Setting<string> TargetBranch { get; } = Setting.Text("target-branch", "branch that releases come from, instead of the pipeline file's branches.target", null, "cisteps.target.branch");

    /// <summary>The settings read here; every step lists them among its own.</summary>
    public static IReadOnlyList<Setting> Settings { get; } = [Registry, PullRegistry, TargetBranch];

    /// <summary>The checkout's repository.</summary>
    public WorkRepository Repository { get; }

    /// <summary>Which run this is; the step context has it too.</summary>
    public RunIdentity Identity { get; }

    /// <summary>The work tree's pipeline file: what builds the change.</summary>
    public PipelineDefinition Change { get; }

    /// <summary>The pipeline file at the target branch's tip: what judges the change (suites, gates, targets, owners). The change's own when the target has none yet, which is logged.</summary>
    public PipelineDefinition Policy { get; }

    /// <summary>The target branch's tip as this clone knows it; on the target branch itself the built commit, when that is newer. The built commit when there is no target branch yet.</summary>
    public string TargetTip { get; }

    /// <summary>The commit that a private branch's change is compared with: its merge base with <see cref="TargetTip"/>. On the target branch null: each component is compared with its own last certified commit.</summary>
    /// <exception cref="UsageException">The clone's history is cut off before it, or there is none.</exception>
    public string? Base => Identity.IsDefaultBranch ? null : baseCommit ??= Repository.MergeBase(TargetTip, Identity.Commit);

    /// <summary>Paths that differ between a commit and what is checked out, files that are not committed included, sorted.</summary>
    public IReadOnlyList<string> ChangedSince(string commit)
    {
        var changed = Repository.ChangedPaths(commit, Identity.Commit);
        return Identity.Dirty ? [.. changed.Union(ChainIdentity.Uncommitted(context, Repository, Change), StringComparer.Ordinal).Order(StringComparer.Ordinal)] : changed;
    }

    /// <summary>Reads the work tree, decides which run this is, and reads both pipeline files.</summary>
    /// <exception cref="UsageException">No work tree, another commit than the one asked for, no or a wrong pipeline file, no way to tell the branch.</exception>
    public static ChainRun Open(StepContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var repository = WorkRepository.Open(context.WorkTree);
        try
        {
            // Paths of ci-steps.yaml count from the root, and so do evidence and what steps run.
            if (!Path.Exists(Path.Combine(context.WorkTree, ".git")))
                throw new UsageException($"\"{context.WorkTree}\" is a folder inside the work tree \"{repository.Folder}\": run the step there, or give --work-tree");
            return Open(context, repository);
        }
        catch
        {
            repository.Dispose();
            throw;
        }
    }

    /// <summary>Whether the private branch has moved on since this chain began: the outcome to end with, or null to go on. Never on the target branch; on a laptop it is only said.</summary>
    public async Task<Outcome?> SupersededAsync(CancellationToken cancel)
    {
        if (Identity.IsDefaultBranch || Repository.OriginUrl is null) return null;
        string? tip;
        try
        {
            tip = await new OriginRemote(Repository, Access(context), context.Time, context.Log).HintOfTipAsync(Identity.Branch, cancel).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException)
        {
            // The checkout's credentials do not reach a step: not knowing is no reason to stop here, and merge asks with its own.
            context.Log.Info($"not known whether \"{Identity.Branch}\" has moved on: {failure.Message}");
            return null;
        }
        if (tip is null || tip == Identity.Commit || Repository.FindCommit(tip) is not null && Repository.IsAncestor(tip, Identity.Commit)) return null;
        var text = $"superseded by {tip[..12]}: \"{Identity.Branch}\" has moved on since this chain began with {Identity.ShortCommit}; the chain of the newer commit goes on";
        if (context.IsOnServer) return Outcome.Refused("superseded", text, Fault.Nobody);
        context.Log.Warning(text);
        return null;
    }

    /// <summary>The rights for https from the environment; null when none are given.</summary>
    public static RemoteAccess? Access(StepContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.FindSecret(OriginRemote.TokenVariable) is { } token
            ? new RemoteAccess(context.Settings.Environment.GetValueOrDefault("CISTEPS_GIT_USER") is { Length: > 0 } user ? user : "x-access-token", token)
            : null;
    }

    /// <inheritdoc/>
    public void Dispose() => Repository.Dispose();

    private static ChainRun Open(StepContext context, WorkRepository repository)
    {
        var commit = ChainIdentity.Commit(context, repository);
        var path = context.Settings.Get(StepCommand.Configuration);
        var registry = new RegistryOverride(context.Settings.Find(Registry), context.Settings.Find(PullRegistry));
        PipelineDefinition change;
        try
        {
            change = PipelineFile.Read(Path.Combine(repository.Folder, path), path, registry);
        }
        catch (UsageException)
        {
            // So that the failure leaves evidence, with the branch judged as well as it can be without the file.
            context.Run = ChainIdentity.Of(context, repository, commit, context.Settings.Find(TargetBranch) ?? repository.OriginDefaultBranch ?? "main", null);
            throw;
        }
        if (context.Settings.Find(TargetBranch) is { } named) change = change.Targeting(named);
        var target = change.Branches.Target;
        var identity = ChainIdentity.Of(context, repository, commit, target, change);
        context.Run = identity;
        context.Log.Info($"{identity.Branch} at {identity.ShortCommit}, build {identity.BuildNumber}{(identity.Dirty ? ", with uncommitted changes" : "")}");
        var tip = PolicySource.TargetTip(repository, target, identity);
        return new ChainRun(context, repository, identity, change, PolicySource.Read(context, repository, identity, change, target, tip, path, registry), tip ?? commit);
    }
}
