using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>
/// Which run of which chain a step is part of, and the two pipeline files that matter to it. The first call of every step.
/// </summary>
public sealed class ChainRun : IDisposable
{
    private readonly StepContext context;
    private readonly PolicySource source;
    private readonly OriginView view;
    private readonly bool hasTarget;
    private IReadOnlyList<string>? bases;

    private ChainRun(StepContext context, WorkRepository repository, PipelineDefinition change, JudgingFile policy,
        PolicySource source, OriginView view, string? targetTip)
    {
        (this.context, Repository, Change, this.source, this.view) = (context, repository, change, source, view);
        (Policy, hasTarget, TargetTip) = (policy.File, targetTip is not null, targetTip ?? Identity.Commit);
    }

    /// <summary>The registry that steps push to, above the file's.</summary>
    public static StepOption<string> Registry { get; } = StepOption.Text("registry",
        "registry to push to, host[:port][/prefix], instead of the pipeline file's registry.push");

    /// <summary>The registry that cluster nodes pull from, above the file's.</summary>
    public static StepOption<string> PullRegistry { get; } = StepOption.Text("registry-pull",
        "registry that cluster nodes pull from, instead of the pipeline file's registry.pull");

    /// <summary>The target branch, above the file's.</summary>
    public static StepOption<string> TargetBranch { get; } = StepOption.Text(
        "target-branch",
        "branch that releases come from, instead of the pipeline file's branches.target",
        null,
        "cisteps.target.branch");

    /// <summary>The settings read here; every step lists them among its own.</summary>
    public static IReadOnlyList<StepOption> Options { get; } = [Registry, PullRegistry, TargetBranch];

    /// <summary>The checkout's repository.</summary>
    public WorkRepository Repository { get; }

    /// <summary>Which run this is, as the step's context has it.</summary>
    public RunIdentity Identity => context.Run!;

    /// <summary>The work tree's pipeline file: what builds the change.</summary>
    public PipelineDefinition Change { get; }

    /// <summary>The pipeline file at the target branch's tip: what judges the change (steps/README.md has the table). The
    /// change's own when the target has none yet, which is logged.</summary>
    public PipelineDefinition Policy { get; }

    /// <summary>The target branch's tip on the origin when this run was opened; the built commit when there is no target branch
    /// yet. On a laptop that could not ask (<see cref="RunIdentity.BaseUnknown"/>) the tip that the clone remembers.</summary>
    public string TargetTip { get; }

    /// <summary>
    /// Paths that differ between any of these commits and what is checked out, files that are not committed included, sorted.
    /// </summary>
    public IReadOnlyList<string> ChangedSince(IReadOnlyList<string> commits)
    {
        var changed = Repository.ChangedPaths(commits, Identity.Commit);
        return Identity.Dirty
            ? [.. changed
                .Union(ChainIdentity.Uncommitted(context, Repository, Change), StringComparer.Ordinal)
                .Order(StringComparer.Ordinal)]
            : changed;
    }

    /// <summary>The commits that a private branch's change is compared with: its merge bases with <see cref="TargetTip"/>, more
    /// than one where each merged the other; a history that is cut off is deepened for them. Null on the target branch, where
    /// each component is compared with its own last certified commit, where there is no target branch yet, and on a laptop where
    /// it is not known: then everything counts as changed.</summary>
    /// <exception cref="UsageException">There is none, or on a build server the history cannot be deepened with this step's
    /// rights.</exception>
    /// <exception cref="UnavailableException">On a build server: the origin does not answer.</exception>
    public async Task<IReadOnlyList<string>?> BasesAsync(CancellationToken cancel)
    {
        if (Identity.IsTargetBranch || Identity.BaseUnknown || !hasTarget) return null;
        if (bases is not null) return bases;
        try
        {
            await DeepenAsync(() => Repository.FindMergeBases(TargetTip, Identity.Commit).Count > 0, cancel)
                .ConfigureAwait(false);
        }
        catch (Exception failure) when (!view.MustKnow && failure is UsageException or UnavailableException)
        {
            context.Run = Identity with { BaseUnknown = true };
            SayUnknown(context, failure.Message);
            return null;
        }
        return bases = Repository.MergeBases(TargetTip, Identity.Commit);
    }

    /// <summary>Which components the change touches. What is not known counts as changed.</summary>
    /// <param name="certified">On the target branch: the last certified commit of each component with an image, where this clone
    /// has it.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>All components in the order of the change's pipeline file.</returns>
    /// <exception cref="UsageException">As <see cref="BasesAsync"/>.</exception>
    /// <exception cref="UnavailableException">As <see cref="BasesAsync"/>.</exception>
    public async Task<IReadOnlyList<ComponentChange>> ChangesAsync(IReadOnlyDictionary<string, string?> certified,
        CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(certified);
        if (Identity.IsTargetBranch) return SinceCertified(certified);
        if (await BasesAsync(cancel).ConfigureAwait(false) is { } since) return ChangedComponents.Decide(Change,
            ChangedSince(since), ConfigurationPath);
        var why = Identity.BaseUnknown ? "it is not known what it has to be compared with"
            : $"there is no branch \"{Change.Branches.Target}\" on the origin to compare with";
        return [.. Change.Components.Select(component => new ComponentChange(component, true, why))];
    }

    /// <summary>The target's suites that the change touches by what they are made of, whatever it does to components. All of them
    /// where it is not known what changed; none on the target branch, where only new images are judged.</summary>
    /// <exception cref="UsageException">As <see cref="BasesAsync"/>.</exception>
    /// <exception cref="UnavailableException">As <see cref="BasesAsync"/>.</exception>
    public async Task<IReadOnlySet<string>> ChangedSuitesAsync(CancellationToken cancel)
    {
        if (Identity.IsTargetBranch) return new HashSet<string>();
        var names = await BasesAsync(cancel).ConfigureAwait(false) is { } since
            ? ChangedSuites.Decide(Policy, ChangedSince(since)).Keys : Policy.Suites.Select(suite => suite.Name);
        return names.ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Names of the target's components that the change touches, by the target's idea of them; those that the change's
    /// file does not have any more too. All of them where it is not known what changed; none on the target branch.</summary>
    /// <exception cref="UsageException">As <see cref="BasesAsync"/>.</exception>
    /// <exception cref="UnavailableException">As <see cref="BasesAsync"/>.</exception>
    public async Task<IReadOnlySet<string>> TouchedOfTargetAsync(CancellationToken cancel)
    {
        if (Identity.IsTargetBranch) return new HashSet<string>();
        var names = await BasesAsync(cancel).ConfigureAwait(false) is { } since
            ? ChangedComponents.Decide(Policy, ChangedSince(since), ConfigurationPath).Where(change => change.Changed)
                .Select(change => change.Component.Name)
            : Policy.Components.Select(component => component.Name);
        return names.ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The full id of a commit; a history that is cut off is deepened for it. Null when neither the clone nor the
    /// origin's history has it.</summary>
    public async Task<string?> FindCommitAsync(string id, CancellationToken cancel)
    {
        await TryDeepenAsync(() => Repository.FindCommit(id) is not null, cancel).ConfigureAwait(false);
        return Repository.FindCommit(id);
    }

    /// <summary>Whether a commit is in the history of another; a history that is cut off is deepened before the answer is
    /// no.</summary>
    public async Task<bool> IsAncestorAsync(string ancestor, string commit, CancellationToken cancel)
    {
        await TryDeepenAsync(() => Repository.IsAncestor(ancestor, commit), cancel).ConfigureAwait(false);
        return Repository.IsAncestor(ancestor, commit);
    }

    /// <summary>Reads the work tree, asks the origin, decides which run this is, and reads both pipeline files.</summary>
    /// <param name="context">The step that asks: its options, log, clock and environment.</param>
    /// <param name="cancel">Stops it.</param>
    /// <param name="mustKnow">Whether the step has no business without the target branch's tip: then a laptop is as strict as a
    /// build server.</param>
    /// <exception cref="UsageException">No work tree, another commit than the one asked for, no or a wrong pipeline file, no way
    /// to tell the branch; on a build server also when the target branch's tip cannot be had with this step's rights.</exception>
    /// <exception cref="UnavailableException">On a build server: the origin does not answer.</exception>
    public static async Task<ChainRun> OpenAsync(StepContext context, CancellationToken cancel, bool mustKnow = false)
    {
        ArgumentNullException.ThrowIfNull(context);
        var repository = WorkRepository.Open(context.WorkTree);
        try
        {
            // Paths of ci-steps.yaml count from the root, and so do evidence and what steps run.
            if (!Path.Exists(Path.Combine(context.WorkTree, ".git")))
                throw new UsageException(
                    $"\"{context.WorkTree}\" is a folder inside the work tree \"{repository.Folder}\": run the step there, " +
                    "or give --work-tree");
            return await OpenAsync(context, repository, mustKnow || context.IsOnServer, cancel).ConfigureAwait(false);
        }
        catch
        {
            repository.Dispose();
            throw;
        }
    }

    /// <summary>The pipeline file that judges the change when the target branch's tip is this one.</summary>
    /// <param name="targetTip">A commit that this clone has.</param>
    /// <exception cref="UsageException">The target's file names another target, or is wrong where nobody could mend it in a
    /// change.</exception>
    public JudgingFile PolicyAt(string targetTip) => source.Read(Identity, Change, Policy.Branches.Target, targetTip);

    /// <summary>
    /// Whether the private branch has moved on since this chain began: the outcome to end with, or null to go on. Never on the
    /// target branch; on a laptop it is only said.
    /// </summary>
    public async Task<Outcome?> SupersededAsync(CancellationToken cancel)
    {
        if (Identity.IsTargetBranch || view.Answer == OriginAnswer.OwnBranches) return null;
        if (view.Answer != OriginAnswer.Now)
        {
            // Not knowing is not a reason to stop here: merge asks with rights of its own.
            context.Log.Info($"not known whether \"{Identity.Branch}\" has moved on: {view.Why}");
            return null;
        }
        if (!view.Tips.Branches.TryGetValue(Identity.Branch, out var tip) || tip == Identity.Commit) return null;
        if (Repository.FindCommit(tip) is not null
            && await IsAncestorAsync(tip, Identity.Commit, cancel).ConfigureAwait(false)) return null;
        var text =
            $"superseded by {ShortId.Of(tip)}: \"{Identity.Branch}\" has moved on since this chain began with " +
            $"{Identity.ShortCommit}; the chain of the newer commit goes on";
        if (context.IsOnServer) return Outcome.Refused("superseded", text, Fault.Nobody);
        context.Log.Warning(text);
        return null;
    }

    /// <summary>The rights for https from the environment; null when none are given.</summary>
    public static RemoteAccess? Access(StepContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.FindSecret(OriginRemote.TokenVariable) is { } token
            ? new RemoteAccess(
                context.Options.Environment.GetValueOrDefault("CISTEPS_GIT_USER") is { Length: > 0 } user
                    ? user
                    : "x-access-token",
                token)
            : null;
    }

    /// <inheritdoc/>
    public void Dispose() => Repository.Dispose();

    private static async Task<ChainRun> OpenAsync(StepContext context, WorkRepository repository, bool mustKnow,
        CancellationToken cancel)
    {
        var commit = ChainIdentity.Commit(context, repository);
        var path = context.Options.Get(StepCommand.PipelineFile);
        var registry = new RegistryOverride(context.Options.Find(Registry), context.Options.Find(PullRegistry));
        PipelineDefinition change;
        try
        {
            RequireCommitted(context, repository, commit, path);
            change = PipelineFile.Read(Path.Combine(repository.Folder, path), path, registry);
        }
        catch (UsageException)
        {
            // So that the failure leaves evidence, with the branch judged as well as it can be without the file.
            context.Run = ChainIdentity.Of(context, repository, commit, context.Options.Find(TargetBranch)
                ?? repository.OriginDefaultBranch ?? "main", null) with
            { BaseUnknown = true };
            throw;
        }
        if (context.Options.Find(TargetBranch) is { } named) change = change.Targeting(named);
        // Until the origin has answered: a failure on the way leaves evidence too.
        var identity = ChainIdentity.Of(context, repository, commit, change.Branches.Target, change);
        context.Run = identity with { BaseUnknown = true };
        context.Log.Info(
            $"{identity.Branch} at {identity.ShortCommit}, build " +
            $"{identity.BuildNumber}{(identity.Dirty ? ", with uncommitted changes" : "")}");

        var source = new PolicySource(context, repository, path, registry);
        var view = await OriginView.AskAsync(context, repository, change.Branches.Target, mustKnow, cancel).ConfigureAwait(false);
        (var target, view) = await source.TargetAsync(view, change, cancel).ConfigureAwait(false);
        view = await view.HavingAsync(target, context, repository, cancel).ConfigureAwait(false);
        var tip = view.Tips.Branches.GetValueOrDefault(target);
        if (view.Answer == OriginAnswer.Unknown) SayUnknown(context, view.Why);
        identity = identity with { BaseUnknown = view.Answer == OriginAnswer.Unknown };
        var policy = source.Read(identity, change, target, tip);
        identity = identity with { PolicyCommit = policy.Commit };
        context.Run = identity;
        if (policy.Commit is not null && PolicyDifferences.Between(change, policy.File) is { Count: > 0 } differences)
            context.Log.Warning(
                $"{path} here and at \"{target}\" ({ShortId.Of(policy.Commit)}) differ in what \"{target}\" decides, " +
                    $"and its file counts: {string.Join(", ", differences)}");
        return new ChainRun(context, repository, change, policy, source, view, tip);
    }

    // The file that judges is read from a commit. Of one that is in the work tree alone, or that a link leads to, the target's
    // commit has nothing, and the change's own would judge for ever.
    private static void RequireCommitted(StepContext context, WorkRepository repository, string commit, string path)
    {
        if (repository.FindLink(commit, path) is { } link)
            throw new UsageException($"\"{link}\" is a symbolic link in {ShortId.Of(commit)}, and the pipeline file is read " +
                $"from commits, which have nothing behind a link: make \"{path}\" a file, or say with --config where it is");
        if (context.IsOnServer && repository.ObjectId(commit, path) is null
            && File.Exists(Path.Combine(repository.Folder, path)))
            throw new UsageException($"\"{path}\" is in the checkout and not in {ShortId.Of(commit)}: commit it, in this " +
                "spelling; what is not committed judges nothing");
    }

    private static void SayUnknown(StepContext context, string why) => context.Log.Warning(
        "it is not known what the target branch has now, so everything counts as changed, and merge, certify and promote will " +
            $"not take this run's evidence: {why}");

    /// <summary>The pipeline file's path; a change of it touches every component.</summary>
    internal string ConfigurationPath => context.Options.Get(StepCommand.PipelineFile);

    // Each component, its dependencies included, since its own certified commit. What has no image is never certified by
    // itself: whatever chain certified something last had tested it up to there.
    private IReadOnlyList<ComponentChange> SinceCertified(IReadOnlyDictionary<string, string?> certified)
    {
        var newest = certified.Values.OfType<string>().Distinct().DefaultIfEmpty()
            .Aggregate((one, other) => one is not null && Repository.IsAncestor(one, other!) ? other : one);
        var decided = new Dictionary<string, IReadOnlyList<ComponentChange>>(StringComparer.Ordinal);
        return [.. Change.Components.Select((component, at) =>
        {
            if ((component.Image is null ? newest : certified.GetValueOrDefault(component.Name)) is not { } since)
                return new ComponentChange(component, true, "there is no certified commit to compare with");
            if (!decided.TryGetValue(since, out var changes))
                decided[since] = changes = ChangedComponents.Decide(Change, ChangedSince([since]), ConfigurationPath);
            return changes[at];
        })];
    }

    private async Task DeepenAsync(Func<bool> isEnough, CancellationToken cancel)
    {
        if (!Repository.IsShallow || isEnough() || view is not { Answer: OriginAnswer.Now, Remote: { } remote }) return;
        await remote.DeepenAsync([.. new[] { Policy.Branches.Target, Identity.Branch }.Distinct(StringComparer.Ordinal)],
            isEnough, cancel).ConfigureAwait(false);
    }

    // For questions whose "no" is the safe answer.
    private async Task TryDeepenAsync(Func<bool> isEnough, CancellationToken cancel)
    {
        try
        {
            await DeepenAsync(isEnough, cancel).ConfigureAwait(false);
        }
        catch (Exception failure) when (!view.MustKnow && failure is UsageException or UnavailableException)
        {
            context.Log.Info($"the history could not be deepened: {failure.Message}");
        }
    }
}
