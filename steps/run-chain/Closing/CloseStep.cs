using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.RunChain.Reports;
using CiSteps.Testbeds.Claims;

namespace CiSteps.RunChain.Closing;

/// <summary>Gathers the evidence there is, decides how the chain ended, releases, tells, reports. A second run tells nobody again.</summary>
internal sealed class CloseStep(StepContext context, HttpClient? given)
{
    internal const string ToldFile = "told.json";

    // In front of a webhook's address that stands in an environment variable.
    private const string Variable = "env:";

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        PipelineDefinition? policy = null;
        Exception? unreadable = null;
        IReadOnlyList<string> changedPaths = [];
        try
        {
            using var chain = await ChainRun.OpenAsync(context, cancel).ConfigureAwait(false);
            policy = chain.Policy;
            changedPaths = await ChangedPathsAsync(chain, cancel).ConfigureAwait(false);
        }
        // What a step refused for (a broken ci-steps.yaml, say) must not keep the end of the chain from coming.
        catch (Exception broken) when (context.Run is not null && broken is UsageException or UnavailableException)
        {
            unreadable = broken;
            context.Log.Warning($"owners are not known: {broken.Message}");
        }
        var run = context.Run!;
        var steps = context.Settings.Find(CloseCommand.Steps) is { } named
            ? named.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : run.IsDefaultBranch ? CloseVerdict.ReleaseSteps : CloseVerdict.BranchSteps;
        var evidence = new Dictionary<string, StepEvidence>(StringComparer.Ordinal);
        var why = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var step in steps)
        {
            var found = context.Evidence.Find(step);
            if (found.Evidence is { } stated) evidence[step] = stated;
            else why[step] = found.Why;
        }
        var verdict = CloseVerdict.For(steps, evidence, why);
        var changed = ClosePlan.ChangedBy(evidence.GetValueOrDefault("unit-test"));
        if (changed.Count == 0 && policy is not null && changedPaths.Count > 0)
            changed = [.. ChangedComponents.Decide(policy, changedPaths, context.Settings.Get(StepCommand.Configuration)).Where(change => change.Changed).Select(change => change.Component.Name)];
        var plan = ClosePlan.For(verdict, policy, changed);
        context.Log.Info(verdict.Succeeded ? verdict.Text : $"{verdict.FailedStep} failed ({verdict.Reason}): {verdict.Text}");
        foreach (var owner in plan.Recipients) context.Log.Info($"to be told: {owner.Name}");
        if (context.DryRun) return Outcome.Done(Sentence(verdict, "nothing was released, nobody was told"));

        var (released, failure) = await ReleaseAsync(run, cancel).ConfigureAwait(false);
        WriteReport(run, verdict, steps, evidence, why);
        var told = Told(plan, await TellAsync(plan, run, cancel).ConfigureAwait(false));
        if (failure is not null) return Outcome.Unavailable("release", $"the chain's testbeds could not be released: {failure}; their leases end by themselves, or run close again");
        if (verdict.Succeeded && unreadable is UnavailableException silent) return Outcome.Unavailable(silent.Reason,
            silent.Message);
        if (verdict.Succeeded && unreadable is not null) return Outcome.Usage(unreadable.Message);
        return Outcome.Done(Sentence(verdict, $"{(released.Count == 0 ? "no testbed was held" : $"released {string.Join(", ", released)}")}; {told}"));
    }

    private static string Sentence(CloseVerdict verdict, string rest) =>
        (verdict.Succeeded ? $"the chain is done: {verdict.Text}" : $"the chain failed at {verdict.FailedStep} ({verdict.Reason})") + "; " + rest;

    // Of a failure that nobody hears of the sentence has to say so.
    internal static string Told(ClosePlan plan, (IReadOnlyList<string> Told, IReadOnlyList<string> Missed) told)
    {
        if (plan.Verdict.Audience == Audience.Nobody) return "nobody had to be told";
        if (plan.Recipients.Count == 0) return "nobody was told: no owner of it is known";
        if (told is { Told.Count: 0, Missed.Count: 0 }) return "the owners were told before";
        var parts = new List<string>();
        if (told.Told.Count > 0) parts.Add($"told {string.Join(", ", told.Told)}");
        if (told.Missed.Count > 0) parts.Add($"could not tell {string.Join(", ", told.Missed)}");
        return string.Join("; ", parts);
    }

    private static async Task<IReadOnlyList<string>> ChangedPathsAsync(ChainRun chain, CancellationToken cancel)
    {
        try
        {
            return await chain.BaseAsync(cancel).ConfigureAwait(false) is { } from ? chain.ChangedSince(from) : [];
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException)
        {
            // A clone without the history: then all owners are meant.
            return [];
        }
    }

    private async Task<(IReadOnlyList<string> Released, string? Failure)> ReleaseAsync(RunIdentity run, CancellationToken cancel)
    {
        if (context.Settings.Find(TestbedAccess.Management) is null && context.Settings.Find(TestbedAccess.Kubeconfig) is null && context.FindSecret(TestbedAccess.ContentVariable) is null)
        {
            context.Log.Info("no testbed pool is configured here, so there is nothing to release");
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

    private async Task<(IReadOnlyList<string> Told, IReadOnlyList<string> Missed)> TellAsync(ClosePlan plan, RunIdentity run, CancellationToken cancel)
    {
        if (plan.Recipients.Count == 0) return ([], []);
        var links = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (context.Settings.Environment.GetValueOrDefault("BUILD_URL") is { Length: > 0 } build) links["build"] = build;
        var known = Known();
        var (told, missed) = (new List<string>(), new List<string>());
        var own = given is null ? new HttpClient() : null;
        try
        {
            foreach (var owner in plan.Recipients)
            {
                var notification = Notification.Of(owner, plan.Verdict, run, plan.Components, links);
                if (known.Contains(notification.Id))
                {
                    context.Log.Info($"{owner.Name} was told already");
                    continue;
                }
                if (Address(owner) is not { } address)
                {
                    context.Log.Warning((owner.Webhook is { } webhook ? $"the variable {webhook[Variable.Length..]}, which has the webhook of \"{owner.Name}\", is not set here" : $"\"{owner.Name}\" has no webhook")
                        + (owner.Email is null ? "" : $"; tell {owner.Email}"));
                    missed.Add(owner.Name);
                    continue;
                }
                if (!await notification.SendAsync(address, given ?? own!, context.Log, context.Time, cancel).ConfigureAwait(false))
                {
                    missed.Add(owner.Name);
                    continue;
                }
                told.Add(owner.Name);
                known.Add(notification.Id);
                Remember(known);
            }
        }
        finally
        {
            own?.Dispose();
        }
        return (told, missed);
    }

    private string? Address(OwnerDefinition owner) => owner.Webhook is { } webhook && webhook.StartsWith(Variable, StringComparison.Ordinal)
        ? context.FindSecret(webhook[Variable.Length..]) : owner.Webhook;

    private HashSet<string> Known()
    {
        var file = Path.Combine(context.Evidence.FolderOf(context.Step), ToldFile);
        try
        {
            return File.Exists(file) && JsonNode.Parse(File.ReadAllText(file)) is JsonArray ids ? [.. ids.Select(id => (string?)id ?? "")] : [];
        }
        catch (Exception error) when (error is System.Text.Json.JsonException or IOException or InvalidOperationException)
        {
            return [];
        }
    }

    private void Remember(IEnumerable<string> known)
    {
        var folder = context.Evidence.FolderOf(context.Step);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, ToldFile), new JsonArray([.. known.Select(id => (JsonNode)id)]).ToJsonString());
    }

    private void WriteReport(RunIdentity run, CloseVerdict verdict, IReadOnlyList<string> steps, IReadOnlyDictionary<string, StepEvidence> evidence, IReadOnlyDictionary<string, string> why)
    {
        var rows = steps.Select(step => evidence.TryGetValue(step, out var found) ? ReportRow.Of(found)
            : new ReportRow(step, "not started", null, null, why.GetValueOrDefault(step, "")) { IsProblem = step == verdict.FailedStep }).ToList();
        var report = new ChainReport($"{run.Branch} at {run.ShortCommit}", verdict.Succeeded, verdict.Succeeded ? verdict.Text : $"{verdict.FailedStep}: {verdict.Text}", rows)
        {
            Facts = [("branch", run.Branch), ("commit", run.Commit), ("build", run.BuildNumber), ("repository", run.Repository)],
        };
        var file = Path.Combine(context.Evidence.FolderOf(context.Step), "report.html");
        try
        {
            report.Write(file);
            context.Log.Publish(".ci-steps/evidence/close/report.html");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            context.Log.Warning($"the report could not be written: {error.Message}");
        }
    }
}
