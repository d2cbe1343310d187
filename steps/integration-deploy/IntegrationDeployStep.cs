using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.IntegrationDeploy;

/// <summary>Deploys, rolls out, tests and cleans, suite by suite: gather, decide, act.</summary>
internal sealed class IntegrationDeployStep(World world, StepContext context)
{
    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var keep = context.Settings.Get(IntegrationDeployCommand.Keep);
        if (keep && context.IsOnServer) throw new UsageException("--keep leaves a testbed occupied and is for laptops only; take it out of the build's settings");
        using var run = ChainRun.Open(context);
        if (await run.SupersededAsync(cancel).ConfigureAwait(false) is { } superseded) return superseded;

        if (!context.Evidence.TryReadDone("image-build", out var built, out var why)) return Outcome.Refused("no-evidence", $"{why}; run image-build first");
        var images = built.HandOverAs(HandOverJson.Default.ImageBuildHandOver)?.Images ?? [];
        var concerned = IntegrationPlan.Concerned(run.Policy, images);
        IReadOnlyList<HeldTestbed> held = [];
        if (concerned.Count > 0)
        {
            if (!context.Evidence.TryReadDone("reserve-testbed", out var reserved, out why)) return Outcome.Refused("no-evidence", $"{why}; run reserve-testbed first");
            held = reserved.HandOverAs(HandOverJson.Default.ReserveHandOver)?.Testbeds ?? [];
        }
        using var registry = world.Images(context, run.Change);
        if (await UnknownAsync(registry, images, concerned, run.Change, cancel).ConfigureAwait(false) is { } unknown) return unknown;
        var production = await ProductionAsync(registry, concerned, run.Change, cancel).ConfigureAwait(false);

        var plan = IntegrationPlan.For(new IntegrationFacts(run.Change, run.Policy, images, production, held));
        foreach (var (suite, reason) in plan.Skipped) context.Log.Info($"suite \"{suite}\" is left out: {reason}");
        foreach (var suite in plan.Suites) context.Log.Info(suite.ToString());
        if (plan.Refusal is { } refusal) return Outcome.Refused(refusal.Reason, refusal.Text);
        if (plan.Suites.Count == 0)
            return Outcome.Done("nothing to test: " + (run.Policy.Suites.Count > 0 ? "no suite concerns what changed"
                    : run.Change.Suites.Count > 0 ? $"\"{run.Policy.Branches.Target}\" has no integration suites, and this change's count once they are there" : "there are no integration suites"))
                .HandingOver(new IntegrationHandOver([]), HandOverJson.Default.IntegrationHandOver);
        // Everything that can be wrong with the manifests shows before a testbed is touched.
        var deployments = plan.Suites.Select(suite => SuiteDeployment.Read(suite, run, context.WorkTree)).ToList();
        if (context.DryRun) return Outcome.Done($"would run {Count(plan.Suites.Count, "suite")}: {string.Join(", ", plan.Suites.Select(suite => suite.Suite.Name))}");
        Workplace.Require(context);

        using var pool = await world.Pool(context, cancel).ConfigureAwait(false);
        // All run to their own end, clean-up included, before the first failure is looked at.
        var running = plan.Suites.Zip(deployments, (suite, deployment) =>
            new SuiteRun(world, context, registry, pool, suite, deployment, keep, plan.Suites.Count > 1 ? context.Log.Part(suite.Suite.Name, "suite-" + suite.Suite.Name) : context.Log).RunAsync(cancel)).ToList();
        var ends = await Task.WhenAll(running).ConfigureAwait(false);
        return Conclude(run, ends);
    }

    // Same digest, really there: what image-build wrote down is not believed.
    private static async Task<Outcome?> UnknownAsync(IImages registry, IReadOnlyList<BuiltImage> images, IReadOnlyList<SuiteDefinition> suites, PipelineDefinition change, CancellationToken cancel)
    {
        var needed = suites.SelectMany(suite => IntegrationPlan.ComponentsOf(suite, change)).Select(component => component.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var image in images.Where(image => needed.Contains(image.Component)))
            if (await registry.FindDigestAsync($"{image.Repository}@{image.Digest}", cancel).ConfigureAwait(false) is null)
                return Outcome.Refused("image-missing", $"the image \"{image.Repository}@{image.Digest}\" that image-build handed over is not in the registry any more; run image-build again");
        return null;
    }

    private static async Task<IReadOnlyDictionary<string, string?>> ProductionAsync(IImages registry, IReadOnlyList<SuiteDefinition> suites, PipelineDefinition change, CancellationToken cancel)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var suite in suites)
        {
            foreach (var component in IntegrationPlan.ComponentsOf(suite, change)) names.Add(IntegrationPlan.ProductionName(IntegrationPlan.ReleaseRepository(change.Registry, component.Name), component.Major));
            foreach (var dependent in suite.Dependents)
            {
                names.Add(IntegrationPlan.ProductionName(dependent.Image, dependent.Major));
                if (dependent.Bootstrap is { } bootstrap) names.Add(bootstrap);
            }
        }
        var found = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var name in names) found[name] = await registry.FindDigestAsync(name, cancel).ConfigureAwait(false);
        return found;
    }

    private Outcome Conclude(ChainRun run, IReadOnlyList<SuiteEnd> ends)
    {
        var runs = ends.Where(end => end.Tests is not null).Select(end => end.Tests!).ToList();
        if (runs.Count > 0) ResultFiles.Write(context.Evidence.FolderOf(context.Step), runs);
        var results = ends.Select(end => end.Result).ToList();
        var failed = ends.Where(end => end.Failure is not null).ToList();
        var passed = results.Sum(result => result.Passed);
        var outcome = failed.Count == 0
            ? Outcome.Done($"{Count(results.Count, "suite")} passed: {string.Join("; ", ends.Select(end => $"{end.Result.Suite}, {end.Summary}"))}")
            : failed.FirstOrDefault(end => end.IsWorldsFault) is { } broken && failed.All(end => end.IsWorldsFault)
                ? Outcome.Unavailable(broken.Failure!.Reason, Sentence(failed))
                : Outcome.Refused(failed.First(end => !end.IsWorldsFault).Failure!.Reason, Sentence(failed));
        context.Log.Statistic("integrationTestsPassed", passed);
        var source = context.Settings.Get(StepCommand.Configuration);
        var predicate = TestResultPredicate.Of(runs, failed.Count == 0, source, run.Repository.ObjectId(run.TargetTip, source));
        var subjects = results.SelectMany(result => result.Images).DistinctBy(image => (image.Repository, image.Digest)).Select(image => Subject.Image(image.Repository, image.Digest)).ToList();
        return outcome.HandingOver(new IntegrationHandOver(results), HandOverJson.Default.IntegrationHandOver).Attesting(PredicateTypes.TestResult, predicate, subjects);
    }

    private static string Sentence(List<SuiteEnd> failed) => string.Join("; ", failed.Select(end => $"suite \"{end.Result.Suite}\": {end.Failure!.Text}"));

    private static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";
}
