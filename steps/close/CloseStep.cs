using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Json;
using CiSteps.Notifications;
using CiSteps.Pipeline;
using CiSteps.Reports;
using CiSteps.Repositories;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Close;

/// <summary>
/// Gathers the evidence there is, decides how the chain ended, gives testbeds back, reports, tells. A second run tells nobody
/// again.
/// </summary>
internal sealed class CloseStep(StepContext context, HttpClient? http)
{
    internal const string ToldFile = "told.json";
    private const string ReportFile = "report.html";

    private static readonly TimeSpan TimeForTestbeds = TimeSpan.FromSeconds(12);
    private static readonly TimeSpan TimeForOwners = TimeSpan.FromSeconds(8);

    // What a step refused for (a broken ci-steps.yaml, say); it must not keep the end of the chain from coming.
    private Exception? unreadable;

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var chain = await GatherAsync(cancel);
        var plan = ClosePlan.For(chain);
        var verdict = plan.Verdict;
        context.Log.Info(verdict.Succeeded ? verdict.Text : $"{verdict.FailedStep} failed ({verdict.Reason}): {verdict.Text}");
        foreach (var owner in plan.Recipients) context.Log.Info($"to be told: {owner.Name}");
        if (context.DryRun) return Outcome.Done(plan.Sentence("nothing was given back, nobody was told"));

        // The chain's last word: a stop shortens it, but nobody comes after this step who would say it.
        var (back, failure) = await GiveBackInTimeAsync(plan, chain.Run, cancel);
        Write(plan.Report);
        using var telling = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForOwners, context.Time, cancel);
        await RecordAsync(chain.Run, verdict.Succeeded, telling.Token);
        var (told, missed) = await TellAsync(plan, chain.Run, telling.Token);
        if (failure is not null)
        {
            return Outcome.Unavailable("testbeds",
                $"the chain's testbeds could not be given back: {failure}; their leases end by themselves, or run close again");
        }
        if (verdict.Succeeded && unreadable is UnavailableException silent)
            return Outcome.Unavailable(silent.Reason, silent.Message);
        if (verdict.Succeeded && unreadable is UsageException wrong) return Outcome.Usage(wrong.Message, wrong.Fault);
        var given = back.Count == 0 ? "no testbed was held" : $"gave back {string.Join(", ", back)}";
        return Outcome.Done(plan.Sentence($"{given}; {plan.Heard(told, missed)}"));
    }

    // For merge, which lands nothing on a red target. What cannot be recorded keeps nobody from being told.
    private async Task RecordAsync(RunIdentity run, bool isGreen, CancellationToken cancel)
    {
        if (!context.Options.Get(CloseCommand.RecordRelease) || !run.IsTargetBranch || run.Dirty) return;
        try
        {
            using var repository = WorkRepository.Open(context.WorkTree);
            var origin = new OriginRemote(repository, ChainRun.Access(context), context.Time, context.Log);
            context.Log.Info(await ReleaseMark.WriteAsync(origin, repository, run.Branch, run.Commit, isGreen, cancel));
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException
            || failure is OperationCanceledException && cancel.IsCancellationRequested)
        {
            context.Log.Warning($"whether \"{run.Branch}\" is red could not be recorded: {failure.Message}");
        }
    }

    private async Task<EndedChain> GatherAsync(CancellationToken cancel)
    {
        PipelineDefinition? policy = null;
        IReadOnlyList<string> touched = [];
        try
        {
            using var chain = await ChainRun.OpenAsync(context, cancel);
            policy = chain.Policy;
            touched = await TouchedAsync(chain, cancel);
        }
        catch (Exception broken) when (context.Run is not null && broken is UsageException or UnavailableException)
        {
            unreadable = broken;
            context.Log.Warning($"owners are not known: {broken.Message}");
        }
        var run = context.Run!;
        var steps = context.Options.Find(CloseCommand.Steps) is { } named
            ? named.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : run.IsTargetBranch ? ChainVerdict.ReleaseSteps : ChainVerdict.BranchSteps;
        var evidence = new Dictionary<string, StepEvidence>(StringComparer.Ordinal);
        var missing = new Dictionary<string, EvidenceFound>(StringComparer.Ordinal);
        foreach (var step in steps)
        {
            var found = context.Evidence.Find(step);
            if (found.Evidence is { } stated) evidence[step] = stated;
            else missing[step] = found;
        }
        return new(run, steps, evidence, missing, policy, touched, HasTestbeds());
    }

    private bool HasTestbeds()
    {
        try
        {
            return context.Options.Find(TestbedAccess.PoolKubeconfig) is not null
                || context.Options.Find(TestbedAccess.Kubeconfig) is not null
                || context.FindSecret(TestbedAccess.PoolKubeconfigVariable) is not null;
        }
        catch (UsageException)
        {
            // Given, and not to be read: giving back will say so.
            return true;
        }
    }

    private async Task<IReadOnlyList<string>> TouchedAsync(ChainRun chain, CancellationToken cancel)
    {
        try
        {
            var paths = await chain.BasesAsync(cancel) is { } from ? chain.ChangedSince(from) : [];
            if (paths.Count == 0) return [];
            var changes = ChangedComponents.Decide(chain.Policy, paths, context.Options.Get(StepCommand.PipelineFile));
            return [.. changes.Where(change => change.Changed).Select(change => change.Component.Name)];
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException)
        {
            // A clone without the history: then all owners are meant.
            return [];
        }
    }

    private async Task<(IReadOnlyList<string> Claims, string? Failure)> GiveBackInTimeAsync(
        ClosePlan plan, RunIdentity run, CancellationToken cancel)
    {
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForTestbeds, context.Time, cancel);
        try
        {
            return await GiveBackAsync(plan, run, finishing.Token);
        }
        catch (OperationCanceledException) when (finishing.Token.IsCancellationRequested)
        {
            return ([], "stopped before their pool answered");
        }
    }

    private async Task<(IReadOnlyList<string> Claims, string? Failure)> GiveBackAsync(
        ClosePlan plan, RunIdentity run, CancellationToken cancel)
    {
        if (!plan.GivesBack)
        {
            context.Log.Info("no testbed pool is configured here, so there is nothing to give back");
            return ([], null);
        }
        try
        {
            using var testbeds = await TestbedAccess.OpenAsync(context, cancel);
            return (await testbeds.ReleaseAllAsync(run, cancel), null);
        }
        catch (Exception failure) when (failure is UnavailableException or UsageException or ClusterApiException)
        {
            context.Log.Warning($"testbeds: {failure.Message}");
            return ([], failure.Message);
        }
    }

    private void Write(ChainReport report)
    {
        try
        {
            report.Write(Path.Combine(context.Evidence.FolderOf(context.Step), ReportFile));
            context.Log.Publish($".ci-steps/evidence/{context.Step}/{ReportFile}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            context.Log.Warning($"the report could not be written: {error.Message}");
        }
    }

    private async Task<(IReadOnlyList<string> Told, IReadOnlyList<string> Missed)> TellAsync(
        ClosePlan plan, RunIdentity run, CancellationToken cancel)
    {
        if (plan.Recipients.Count == 0) return ([], []);
        var links = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (context.Options.Environment.GetValueOrDefault("BUILD_URL") is { Length: > 0 } build) links["build"] = build;
        var known = Known();
        var (told, missed) = (new List<string>(), new List<string>());
        using var own = http is null ? new HttpClient() : null;
        var client = http ?? own!;
        foreach (var owner in plan.Recipients)
        {
            var notification = Notification.Of(owner, plan.Verdict, run, plan.Components, links);
            if (known.Contains(notification.Id))
            {
                context.Log.Info($"{owner.Name} was told already");
                continue;
            }
            if (AddressOf(owner) is not { } address || !await PostedAsync(notification, address, client,
                cancel))
            {
                missed.Add(owner.Name);
                continue;
            }
            told.Add(owner.Name);
            known.Add(notification.Id);
            Remember(known);
        }
        return (told, missed);
    }

    private async Task<bool> PostedAsync(Notification notification, string address, HttpClient client, CancellationToken cancel)
    {
        try
        {
            return await Webhook.PostAsync(notification, address, client, context.Log, context.Time,
                cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            context.Log.Warning($"stopped before the webhook of {notification.Owner.Name} answered");
            return false;
        }
    }

    private string? AddressOf(OwnerDefinition owner)
    {
        string why;
        try
        {
            if (Webhook.AddressOf(owner, context.FindSecret, out why) is { } address) return address;
        }
        catch (UsageException unread)
        {
            why = unread.Message;
        }
        context.Log.Warning(why);
        return null;
    }

    private HashSet<string> Known()
    {
        var file = Path.Combine(context.Evidence.FolderOf(context.Step), ToldFile);
        try
        {
            return File.Exists(file) ? [.. OutsideJson.Read(OutsideJson.ReadFile(file), file).Texts()] : [];
        }
        catch (Exception error) when (error is OutsideJsonException or IOException)
        {
            return [];
        }
    }

    private void Remember(IEnumerable<string> known)
    {
        WholeFile.Write(
            Path.Combine(context.Evidence.FolderOf(context.Step), ToldFile),
            new JsonArray([.. known.Select(id => (JsonNode)id)]).ToJsonString());
    }
}
