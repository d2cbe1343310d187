using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Notifications;
using CiSteps.Pipeline;
using CiSteps.Reports;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Close;

/// <summary>
/// Gathers the evidence there is, decides how the chain ended, gives testbeds back, reports, tells. A second run tells nobody again.
/// </summary>
internal sealed class CloseStep(StepContext context, HttpClient? http)
{
    private const string ToldFile = "told.json";
    private const string ReportFile = "report.html";

    // What a step refused for (a broken ci-steps.yaml, say); it must not keep the end of the chain from coming.
    private UsageException? unreadable;

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var chain = Gather();
        var plan = ClosePlan.For(chain);
        var verdict = plan.Verdict;
        context.Log.Info(verdict.Succeeded ? verdict.Text : $"{verdict.FailedStep} failed ({verdict.Reason}): {verdict.Text}");
        foreach (var owner in plan.Recipients) context.Log.Info($"to be told: {owner.Name}");
        if (context.DryRun) return Outcome.Done(plan.Sentence("nothing was given back, nobody was told"));

        var (back, failure) = await GiveBackAsync(plan, chain.Run, cancel).ConfigureAwait(false);
        Write(plan.Report);
        var (told, missed) = await TellAsync(plan, chain.Run, cancel).ConfigureAwait(false);
        if (failure is not null)
        {
            return Outcome.Unavailable("testbeds",
                $"the chain's testbeds could not be given back: {failure}; their leases end by themselves, or run close again");
        }
        if (unreadable is not null && verdict.Succeeded) return Outcome.Usage(unreadable.Message);
        var given = back.Count == 0 ? "no testbed was held" : $"gave back {string.Join(", ", back)}";
        return Outcome.Done(plan.Sentence($"{given}; {plan.Heard(told, missed)}"));
    }

    private EndedChain Gather()
    {
        PipelineDefinition? policy = null;
        IReadOnlyList<string> touched = [];
        try
        {
            using var chain = ChainRun.Open(context);
            policy = chain.Policy;
            touched = Touched(chain);
        }
        catch (UsageException broken) when (context.Run is not null)
        {
            unreadable = broken;
            context.Log.Warning($"owners are not known: {broken.Message}");
        }
        var run = context.Run!;
        var steps = context.Settings.Find(CloseCommand.Steps) is { } named
            ? named.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : run.IsDefaultBranch ? ChainVerdict.ReleaseSteps : ChainVerdict.BranchSteps;
        var evidence = new Dictionary<string, StepEvidence>(StringComparer.Ordinal);
        var missing = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var step in steps)
        {
            if (context.Evidence.TryRead(step, out var found, out var why)) evidence[step] = found;
            else missing[step] = why;
        }
        return new(run, steps, evidence, missing, policy, touched, HasTestbeds());
    }

    private bool HasTestbeds()
    {
        try
        {
            return context.Settings.Find(TestbedAccess.Management) is not null
                || context.Settings.Find(TestbedAccess.Kubeconfig) is not null
                || context.FindSecret(TestbedAccess.ContentVariable) is not null;
        }
        catch (UsageException)
        {
            // Given, and not to be read: giving back will say so.
            return true;
        }
    }

    private IReadOnlyList<string> Touched(ChainRun chain)
    {
        try
        {
            var paths = chain.Base is { } from ? chain.ChangedSince(from) : [];
            if (paths.Count == 0) return [];
            var changes = ChangedComponents.Decide(chain.Policy, paths, context.Settings.Get(StepCommand.Configuration));
            return [.. changes.Where(change => change.Changed).Select(change => change.Component.Name)];
        }
        catch (UsageException)
        {
            // A clone without the history: then all owners are meant.
            return [];
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
            using var testbeds = await TestbedAccess.OpenAsync(context, cancel).ConfigureAwait(false);
            return (await testbeds.ReleaseAllAsync(run, cancel).ConfigureAwait(false), null);
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
        if (context.Settings.Environment.GetValueOrDefault("BUILD_URL") is { Length: > 0 } build) links["build"] = build;
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
            if (AddressOf(owner) is not { } address
                || !await Webhook.PostAsync(notification, address, client, context.Log, context.Time, cancel).ConfigureAwait(false))
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
            if (!File.Exists(file) || JsonNode.Parse(File.ReadAllText(file)) is not JsonArray ids) return [];
            return [.. ids.Select(id => (string?)id ?? "")];
        }
        catch (Exception error) when (error is JsonException or IOException or InvalidOperationException)
        {
            return [];
        }
    }

    private void Remember(IEnumerable<string> known)
    {
        WholeFile.Write(Path.Combine(context.Evidence.FolderOf(context.Step), ToldFile), new JsonArray([.. known.Select(id => (JsonNode)id)]).ToJsonString());
    }
}
