using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.IntegrationDeploy;

/// <summary>How one suite ended.</summary>
/// <param name="Result">For the hand-over.</param>
/// <param name="Tests">Its tests; null when it did not come to that.</param>
/// <param name="Failure">Why it failed; null when it passed.</param>
internal sealed record SuiteEnd(SuiteResult Result, FinishedRun? Tests, StepFailure? Failure)
{
    public string Summary => Tests?.Verdict.Text ?? "no tests";
}

/// <summary>One suite from picking up its testbed to giving it back.</summary>
internal sealed class SuiteRun(
    Ports world,
    StepContext context,
    IImages registry,
    IPool pool,
    PlannedSuite plan,
    SuiteDeployment deployment,
    bool keep,
    BuildLog log)
{
    private static readonly TimeSpan CleanLimit = TimeSpan.FromMinutes(1);

    // After SIGTERM an agent does not wait long; the pool cleans what is left.
    private static readonly TimeSpan CleanLimitWhenCancelled = TimeSpan.FromSeconds(12);
    private static readonly TimeSpan DiagnosisLimit = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan DiagnosisLimitWhenCancelled = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ReleaseLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ReleaseLimitWhenCancelled = TimeSpan.FromSeconds(5);

    private readonly SuiteDefinition suite = plan.Suite;
    private readonly List<BuiltImage> served = [];

    public async Task<SuiteEnd> RunAsync(CancellationToken cancel)
    {
        try
        {
            using (log.Block($"suite {suite.Name}"))
                return await OnTestbedAsync(cancel);
        }
        catch (UnavailableException broken)
        {
            return Failed(new StepFailure(broken.Reason, broken.Message, Fault.World));
        }
    }

    private async Task<SuiteEnd> OnTestbedAsync(CancellationToken cancel)
    {
        log.Progress($"picking up testbed \"{plan.Testbed.Testbed}\"");
        var testbed = await pool.PickUpAsync(plan.Testbed, cancel);
        await using (testbed)
        {
            try
            {
                return await InClusterAsync(testbed, cancel);
            }
            finally
            {
                if (keep)
                    log.Warning(
                        $"testbed \"{testbed.Held.Testbed}\" stays claimed by \"{testbed.Held.Claim}\" until the lease ends; " +
                        $"its namespace is \"{Namespace(testbed)}\"");
                else await ReleaseAsync(testbed, cancel);
            }
        }
    }

    private async Task ReleaseAsync(ITestbed testbed, CancellationToken cancel)
    {
        using var limit = new FinishingTime(ReleaseLimit, ReleaseLimitWhenCancelled, context.Time, cancel);
        try
        {
            await testbed.ReleaseAsync(limit.Token);
            log.Info($"testbed \"{testbed.Held.Testbed}\" is given back");
        }
        catch (Exception error) when (error is UnavailableException or OperationCanceledException)
        {
            // The lease ends by itself; the verdict on the change stands.
            log.Warning(
                $"testbed \"{testbed.Held.Testbed}\" could not be given back ({error.Message}); " +
                "it comes free when its lease ends");
        }
    }

    private async Task<SuiteEnd> InClusterAsync(ITestbed testbed, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel, testbed.Lost);
        using var limit = new CancellationTokenSource(suite.TimeLimit, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, limit.Token);
        using var cluster = await world.Connect(testbed.Kubeconfig, log, context.Time, stop.Token);
        var ns = Namespace(testbed);
        var labels = Labels.Of(
            context.Run!, testbed.Held.Lease.ToString(System.Globalization.CultureInfo.InvariantCulture), suite.Name);
        SuiteEnd? end = null;
        try
        {
            try
            {
                end = await DeployAndTestAsync(testbed, cluster, ns, labels, either.Token);
            }
            catch (OperationCanceledException) when (testbed.Lost.IsCancellationRequested && !cancel.IsCancellationRequested)
            {
                throw new UnavailableException("lease-lost",
                    $"the lease of testbed \"{testbed.Held.Testbed}\" was lost while suite \"{suite.Name}\" ran; " +
                    "run integration-deploy again");
            }
            catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancel.IsCancellationRequested)
            {
                end = End(
                    null,
                    new StepFailure("suite-timeout",
                        $"the suite did not end within {Durations.Show(suite.TimeLimit)}; look at what it waited for, " +
                        "or raise its time-limit in ci-steps.yaml"));
            }
            return end;
        }
        finally
        {
            if (!testbed.Lost.IsCancellationRequested)
            {
                if (end is null or { Failure: not null }) await DiagnoseAsync(cluster, ns, cancel);
                if (!keep) await CleanAsync(cluster, ns, testbed.Scope, labels, cancel);
            }
        }
    }

    private async Task DiagnoseAsync(ITestCluster cluster, string ns, CancellationToken cancel)
    {
        using var limit = new FinishingTime(DiagnosisLimit, DiagnosisLimitWhenCancelled, context.Time, cancel);
        try
        {
            await cluster.DiagnoseAsync(
                ns, Path.Combine(context.Evidence.FolderOf(context.Step), "diagnosis", suite.Name), log, limit.Token);
        }
        catch (OperationCanceledException)
        {
            log.Warning("no time left for a diagnosis");
        }
    }

    private async Task CleanAsync(
        ITestCluster cluster, string ns, TestbedScope scope, IReadOnlyDictionary<string, string> labels, CancellationToken cancel)
    {
        var time = cancel.IsCancellationRequested ? CleanLimitWhenCancelled : CleanLimit;
        using var limit = new FinishingTime(CleanLimit + TimeSpan.FromSeconds(2), CleanLimitWhenCancelled
            + TimeSpan.FromSeconds(2),
            context.Time, cancel);
        try
        {
            log.Progress($"cleaning namespace \"{ns}\"");
            await cluster.CleanAsync(ns, scope, labels, time, limit.Token);
            log.Info($"namespace \"{ns}\" is clean");
        }
        catch (Exception error) when (error is UnavailableException or ClusterApiException or OperationCanceledException)
        {
            // The pool cleans and verifies before it hands the testbed on; the verdict on the change stands.
            log.Warning($"namespace \"{ns}\" is not clean yet: {error.Message}; the pool goes on with it");
        }
    }

    private async Task<SuiteEnd> DeployAndTestAsync(
        ITestbed testbed, ITestCluster cluster, string ns, IReadOnlyDictionary<string, string> labels, CancellationToken cancel)
    {
        ManifestSet Here(ManifestSet set) => set.Into(ns, testbed.Scope, labels);
        // Read through once with the real namespace: what reaches outside a fenced testbed is refused before anything is made.
        var everything = deployment.Dependents.Select(each => each.Manifests)
            .Concat(deployment.Services.Select(each => each.New))
            .Aggregate(deployment.First, (sum, next) => sum.And(next));
        WriteLocked(Here(everything));

        await cluster.PrepareAsync(
            ns, testbed.Scope, labels, context.Time.GetUtcNow() + suite.TimeLimit + TimeSpan.FromMinutes(10), cancel);
        if (deployment.First.Items.Count > 0 && await cluster.ApplyAsync(Here(deployment.First), cancel) is { } denied)
            return Failed(denied);
        if (await DependentsAsync(cluster, ns, Here, cancel) is { } unready) return Failed(unready);
        if (await ServicesAsync(cluster, ns, Here, cancel) is { } failure) return Failed(failure);
        return await TestAsync(testbed, cluster, ns, Here, cancel);
    }

    private async Task<StepFailure?> DependentsAsync(
        ITestCluster cluster, string ns, Func<ManifestSet, ManifestSet> here, CancellationToken cancel)
    {
        foreach (var (dependent, manifests) in deployment.Dependents)
        {
            log.Info($"deploying {dependent.Dependent.Name} at {dependent.Pinned.Digest} ({dependent.Pinned.Source})");
            if (await cluster.ApplyAsync(here(manifests), cancel) is { } denied) return denied;
        }
        var ends = await Task.WhenAll(deployment.Dependents.Select(async each =>
            await RollOutAsync(cluster, ns, each.Dependent.Dependent.Workload,
                ImageReference.Of(each.Dependent.Pinned.Image, each.Dependent.Pinned.Digest), cancel)));
        return ends.Select(end => end.Failure).FirstOrDefault(failure => failure is not null) is { } first
            ? first with { Reason = "dependent-" + first.Reason } : null;
    }

    private async Task<StepFailure?> ServicesAsync(
        ITestCluster cluster, string ns, Func<ManifestSet, ManifestSet> here, CancellationToken cancel)
    {
        foreach (var each in deployment.Services.Where(each => each.Start is not null))
        {
            log.Info($"deploying {each.Service.Component.Name} as production runs it, {each.Service.BaseDigest}");
            var failure = await cluster.ApplyAsync(here(each.Start!), cancel)
                ?? (await RollOutAsync(cluster, ns, each.Service.Workload,
                    IntegrationPlan
                        .ReleaseRepository(plan.Registry, each.Service.Component.Name)
                        .WithDigest(each.Service.BaseDigest!),
                    cancel)).Failure;
            // The old version may not live with what the change needs; the new one is what is judged.
            if (failure is not null)
                log.Warning(
                    $"{each.Service.Component.Name} does not come up as production runs it, so the roll-out begins from there: " +
                    $"{failure.Text}");
        }
        foreach (var each in deployment.Services)
        {
            var image = each.Service.Image;
            log.Info(
                $"{(each.Start is null ? "deploying" : "rolling")} {each.Service.Component.Name} " +
                $"{(each.Start is null ? "at" : "to")} {image.Digest} ({image.Tag})");
            if (await cluster.ApplyAsync(here(each.New), cancel) is { } denied) return denied;
            var end = await RollOutAsync(cluster, ns, each.Service.Workload, each.Service.Pushed, cancel);
            if (end.Failure is { } failure) return failure;
            served.Add(image);
        }
        return null;
    }

    private async Task<RolloutResult> RollOutAsync(
        ITestCluster cluster, string ns, WorkloadDefinition workload, ImageReference image, CancellationToken cancel)
    {
        var digests = await registry.DigestsOfAsync(image, cancel);
        return await cluster.RollOutAsync(
            new RolloutTarget(workload.Kind, ns, workload.Name, workload.Container, digests, workload.TimeLimit), log, cancel);
    }

    private async Task<SuiteEnd> TestAsync(
        ITestbed testbed, ITestCluster cluster, string ns, Func<ManifestSet, ManifestSet> here, CancellationToken cancel)
    {
        var started = context.Time.GetTimestamp();
        var tests = new SuiteTests(context, log, suite, plan.Registry, ns);
        var (exit, reports, failure) = deployment.Job is { } job
            ? await tests.RunJobAsync(cluster, here(ManifestSet.Of(job)).Items[0], cancel)
            : await tests.RunCommandAsync(testbed.Kubeconfig, cancel);
        if (exit is null && (reports.Count == 0 || failure is null))
            return Failed(failure ?? new StepFailure("tests-lost", "nobody says with which exit code the tests ended" +
                (reports.Count == 0 ? ", and they left no report" : ", and a report alone proves nothing")));
        if (exit == 0 && reports.Count > 0) reports = [TestReport.Join(suite.Name, reports).WithLaterPasses()];
        var verdict = TestVerdict.Of(exit ?? 1, reports);
        var finished = new FinishedRun(
            suite.Name, suite.Name, TestReport.Join(suite.Name, reports), verdict, context.Time.GetElapsedTime(started));
        TestMessages.Send(log, finished);
        // What the tests themselves say comes before how their pod ended.
        if (failure is not null && finished.Report.Failed == 0) return End(finished, failure);
        return End(finished, verdict.Succeeded ? null : new StepFailure(verdict.Reason, verdict.Text));
    }

    private void WriteLocked(ManifestSet manifests)
    {
        var folder = Path.Combine(context.Evidence.FolderOf(context.Step), "manifests");
        WholeFile.Write(Path.Combine(folder, suite.Name + ".yaml"), context.Log.Mask.Apply(manifests.InKindOrder().ToText()));
    }

    private string Namespace(ITestbed testbed) => testbed.Namespace ?? suite.Namespace;

    private SuiteEnd Failed(StepFailure failure) => End(null, failure);

    private SuiteEnd End(FinishedRun? tests, StepFailure? failure) => new(
        new SuiteResult(
            suite.Name,
            [.. plan.Services.Select(service => service.Component.Name)],
            [.. served],
            [.. plan.Dependents.Select(each => each.Pinned)],
            tests?.Report.Passed ?? 0,
            tests?.Report.Failed ?? 0,
            tests?.Report.Skipped ?? 0,
            failure is null),
        tests, failure);
}
