using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.IntegrationDeploy;

/// <summary>Deploys, rolls out, tests and cleans, suite by suite: gather, decide, act.</summary>
internal sealed class IntegrationDeployStep(Ports world, StepContext context)
{
    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var keep = context.Options.Get(IntegrationDeployCommand.Keep);
        if (keep && context.IsOnServer)
            throw new UsageException(
                "--keep leaves a testbed occupied and is for laptops only; take it out of the build's settings");
        using var run = await ChainRun.OpenAsync(context, cancel);
        if (await run.SupersededAsync(cancel) is { } superseded) return superseded;

        if (!context.Evidence.TryReadDone("image-build", out var built, out var why))
            return Outcome.Refused("no-evidence", $"{why}; run image-build first", Fault.Environment);
        var images = built.RequiredHandOverAs(HandOverJson.Default.ImageBuildHandOver).Images;
        var changed = await run.ChangedSuitesAsync(cancel);
        var concerned = run.Policy.Suites.Where(suite => IntegrationPlan.Concerns(suite, run.Change, images, changed)).ToList();
        IReadOnlyList<HeldTestbed> held = [];
        if (concerned.Count > 0)
        {
            if (!context.Evidence.TryReadDone("reserve-testbed", out var reserved, out why))
                return Outcome.Refused("no-evidence", $"{why}; run reserve-testbed first", Fault.Environment);
            held = reserved.RequiredHandOverAs(HandOverJson.Default.ReserveHandOver).Testbeds;
        }
        using var registry = world.Images(context, run.Policy);
        if (await UnknownAsync(registry, images, concerned, run.Change, cancel) is { } unknown) return unknown;
        var production = await ProductionAsync(registry, concerned, run.Change, run.Policy.Registry, cancel);

        var plan = IntegrationPlan.For(new IntegrationFacts(run.Change, run.Policy, images, production, held)
        { ChangedSuites = changed, Touched = await run.TouchedOfTargetAsync(cancel) });
        foreach (var (suite, reason) in plan.Skipped) context.Log.Info($"suite \"{suite}\" is left out: {reason}");
        foreach (var suite in plan.Suites) context.Log.Info(suite.ToString());
        if (plan.Refusal is { } refusal) return Outcome.Refused(refusal);
        if (plan.Suites.Count == 0)
            return Outcome.Done("nothing to test: " + (run.Policy.Suites.Count > 0 ? "no suite concerns what changed"
                    : run.Change.Suites.Count > 0
                        ? $"\"{run.Policy.Branches.Target}\" has no integration suites, " +
                            "and this change's count once they are there"
                        : "there are no integration suites"))
                .HandingOver(new IntegrationHandOver([]), HandOverJson.Default.IntegrationHandOver);
        // Everything that can be wrong with the manifests shows before a testbed is touched.
        var deployments = plan.Suites.Select(suite => SuiteDeployment.Read(suite, run, context.WorkTree)).ToList();
        if (context.DryRun)
            return Outcome.Done(
                $"would run {Count.Of(plan.Suites.Count, "suite")}: " +
                $"{string.Join(", ", plan.Suites.Select(suite => suite.Suite.Name))}");
        Workplace.Require(context);

        using var pool = await world.Pool(context, cancel);
        // All run to their own end, clean-up included, before the first failure is looked at.
        var running = plan.Suites.Zip(deployments, (suite, deployment) =>
            new SuiteRun(
                world,
                context,
                registry,
                pool,
                suite,
                deployment,
                keep,
                plan.Suites.Count > 1
                    ? context.Log.Part(suite.Suite.Name, "suite-" + suite.Suite.Name)
                    : context.Log).RunAsync(cancel))
                .ToList();
        var ends = await Task.WhenAll(running);
        return Conclude(run, ends);
    }

    // Same digest, really there: what image-build wrote down is not believed.
    private static async Task<Outcome?> UnknownAsync(
        IImages registry,
        IReadOnlyList<BuiltImage> images,
        IReadOnlyList<SuiteDefinition> suites,
        PipelineDefinition change,
        CancellationToken cancel)
    {
        var needed = suites.SelectMany(suite => IntegrationPlan.ComponentsOf(suite, change))
            .Select(component => component.Name)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var image in images.Where(image => needed.Contains(image.Component)))
            if (ImageReference.Of(image.Repository, image.Digest) is var reference
                && await registry.FindDigestAsync(reference, cancel) is null)
                return Outcome.Refused("image-missing", $"the image \"{reference}\" that image-build handed over is not in the "
                    + "registry any more; run image-build again", Fault.World);
        return null;
    }

    private async Task<IReadOnlyDictionary<ImageReference,
        string?>> ProductionAsync(IImages registry, List<SuiteDefinition> suites, PipelineDefinition change,
        RegistryDefinition where, CancellationToken cancel)
    {
        var names = new HashSet<ImageReference>();
        foreach (var suite in suites)
        {
            foreach (var component in IntegrationPlan.ComponentsOf(suite,
                change)) names.Add(IntegrationPlan.ProductionName(IntegrationPlan.ReleaseRepository(where, component.Name),
                    component.Major));
            foreach (var dependent in suite.Dependents)
            {
                names.Add(IntegrationPlan.ProductionName(ImageReference.Parse(dependent.Image), dependent.Major));
                if (dependent.Bootstrap is { } bootstrap) names.Add(ImageReference.Parse(bootstrap));
            }
        }
        var found = new Dictionary<ImageReference, string?>();
        foreach (var name in names)
        {
            var digest = await registry.FindDigestAsync(name, cancel);
            // What promote takes back it bars first and moves the tag then: in between nobody deploys it.
            var barred = digest is not null && name.Tag is not null
                && await registry.FindDigestAsync(name.WithTag(ImageName.BarredTag(digest)), cancel) == digest;
            if (barred)
                context.Log.Warning(
                    $"\"{name}\" points to {digest}, which is barred: it counts as absent until promote of its chain has moved " +
                    "the tag back");
            found[name] = barred ? null : digest;
        }
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
            ? Outcome.Done(
                $"{Count.Of(results.Count, "suite")} passed: " +
                $"{string.Join("; ", ends.Select(end => $"{end.Result.Suite}, {end.Summary}"))}")
            : failed.Select(end => end.Failure!).FirstOrDefault(failure => failure.Fault != Fault.World) is { } refusal
                ? Outcome.Refused(refusal.Reason, Sentence(failed), refusal.Fault)
                : Outcome.Unavailable(failed[0].Failure!.Reason, Sentence(failed));
        context.Log.Statistic("integrationTestsPassed", passed);
        var source = context.Options.Get(StepCommand.PipelineFile);
        var predicate = TestResultPredicate.Of(runs, failed.Count == 0, source, run.Repository.ObjectId(run.TargetTip, source));
        var subjects = results.SelectMany(result => result.Images)
            .DistinctBy(image => (image.Repository, image.Digest))
            .Select(image => Subject.Image(image.Repository, image.Digest))
            .ToList();
        return outcome
            .HandingOver(new IntegrationHandOver(results), HandOverJson.Default.IntegrationHandOver)
            .Attesting(PredicateTypes.TestResult, predicate, subjects);
    }

    private static string Sentence(List<SuiteEnd> failed) =>
        string.Join("; ", failed.Select(end => $"suite \"{end.Result.Suite}\": {end.Failure!.Text}"));
}
