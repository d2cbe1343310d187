using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>How much the branches that are known can be relied on.</summary>
internal enum OriginAnswer
{
    /// <summary>The origin said so just now.</summary>
    Now,

    /// <summary>The build server's checkout fetched all branches for this build; the step itself may not ask.</summary>
    AtCheckout,

    /// <summary>The clone has no origin: its own branches are all there are.</summary>
    OwnBranches,

    /// <summary>A laptop without an answer: what the clone remembers may be long past.</summary>
    Unknown,
}

/// <summary>The origin's branches as a step sees them.</summary>
/// <param name="Remote">The origin; null when there is none.</param>
/// <param name="Tips">Branches of the origin with their commits, as it answered or the clone remembers them.</param>
/// <param name="Answer">How much they can be relied on.</param>
/// <param name="Why">Why there was no answer; empty when there was one.</param>
/// <param name="MustKnow">Whether the step ends where there is no answer: on a build server, and where it has no business without
/// one.</param>
internal sealed record OriginView(OriginRemote? Remote, OriginTips Tips, OriginAnswer Answer, string Why, bool MustKnow)
{
    private const string AllHeads = "teamcity.git.fetchAllHeads";

    /// <summary>Asks.</summary>
    /// <exception cref="UsageException">On a build server: there is no origin, or it does not let this step read.</exception>
    /// <exception cref="UnavailableException">On a build server: the origin does not answer.</exception>
    public static async Task<OriginView> AskAsync(StepContext context, WorkRepository repository, string target, bool mustKnow,
        CancellationToken cancel)
    {
        if (repository.OriginUrl is not { } url)
        {
            return context.IsOnServer
                ? throw new UsageException($"the tip of \"{target}\", which judges this change, cannot be had: " +
                    $"\"{repository.Folder}\" has no remote \"origin\"; " +
                    "let the build server check out on the agent, or add it (git remote add origin URL)")
                : new OriginView(null, new OriginTips(repository.LocalTips, null), OriginAnswer.OwnBranches, "", mustKnow);
        }
        var remote = new OriginRemote(repository, ChainRun.Access(context), context.Time, context.Log);
        try
        {
            var tips = mustKnow ? await remote.AskAsync(cancel).ConfigureAwait(false)
                : await remote.HintAsync(cancel).ConfigureAwait(false);
            return new OriginView(remote, tips, OriginAnswer.Now, "", mustKnow);
        }
        catch (UsageException refused) when (mustKnow)
        {
            // The checkout's own rights do not reach a step; what it has fetched for this very build is as good as an answer of
            // then.
            if (context.Options.Properties.Find(AllHeads) == "true" && repository.RememberedTips is { Count: > 0 } fetched)
            {
                context.Log.Info($"{url} does not let this step read, so its branches count as the checkout fetched them " +
                    $"({AllHeads})");
                return new OriginView(remote, new OriginTips(fetched, repository.OriginDefaultBranch), OriginAnswer.AtCheckout,
                    refused.Message, mustKnow);
            }
            throw new UsageException($"the tip of \"{target}\", which judges this change, cannot be read from {url}: " +
                $"{refused.Message}; give this step {OriginRemote.TokenVariable} with the right to read, or let the checkout " +
                $"fetch all branches (in TeamCity the parameter {AllHeads}=true)", refused);
        }
        catch (Exception failure) when (!mustKnow && failure is UsageException or UnavailableException)
        {
            return new OriginView(remote, Remembered(repository), OriginAnswer.Unknown, failure.Message, mustKnow);
        }
    }

    /// <summary>The same with a branch's tip in the clone; its tip is the newer one when it has moved meanwhile.</summary>
    /// <exception cref="UsageException">On a build server: it cannot be fetched with this step's rights.</exception>
    /// <exception cref="UnavailableException">On a build server: the origin does not answer.</exception>
    public async Task<OriginView> HavingAsync(string branch, StepContext context, WorkRepository repository,
        CancellationToken cancel)
    {
        if (Answer != OriginAnswer.Now || !Tips.Branches.TryGetValue(branch, out var tip)
            || repository.FindCommit(tip) is not null) return this;
        context.Log.Info($"\"{branch}\" at {ShortId.Of(tip)} is not in this clone; fetching it from {Remote!.Url}");
        try
        {
            var fetched = await Remote.FetchAsync(branch, cancel).ConfigureAwait(false);
            var branches = new Dictionary<string, string>(Tips.Branches, StringComparer.Ordinal);
            if (fetched is null) branches.Remove(branch);
            else branches[branch] = fetched;
            return this with { Tips = Tips with { Branches = branches } };
        }
        catch (Exception failure) when (!MustKnow && failure is UsageException or UnavailableException)
        {
            return this with { Tips = Remembered(repository), Answer = OriginAnswer.Unknown, Why = failure.Message };
        }
    }

    private static OriginTips Remembered(WorkRepository repository)
    {
        var branches = new Dictionary<string, string>(repository.LocalTips, StringComparer.Ordinal);
        foreach (var (branch, tip) in repository.RememberedTips) branches[branch] = tip;
        return new OriginTips(branches, repository.OriginDefaultBranch);
    }
}
