using System.Collections.Concurrent;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>Works out what changed, runs its tests, and judges them.</summary>
internal sealed class UnitTestStep(StepContext context, ChainRun run, ITestCommands commands, ICertifiedCommits certified)
{

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        if (await run.SupersededAsync(cancel) is { } superseded) return superseded;

        var plan = await PlanAsync(cancel);
        if (context.IsOnServer && plan.LeftOut is { } leftOut)
            throw new UsageException(
                $"\"{leftOut}\" changed and --component leaves it out: on a build server all that changed is tested");
        foreach (var line in plan.Lines()) context.Log.Info(line);
        foreach (var warning in plan.Warnings) context.Log.Warning(warning);
        foreach (var (component, path) in NamedPaths.Uncovered(run.Change,
            run.Repository.Files(run.Identity.Commit).Select(file => file.Path)))
            context.Log.Warning($"{component}: what it names in {run.Change.Source} (commands, image, workload) has " +
                $"\"{path}\", which no component's paths cover; a change of it counts as a change of {component}: add it to " +
                $"its paths in {run.Change.Source}");
        if (context.DryRun) return Outcome.Done(Summary(plan));
        Workplace.Require(context);

        var folder = Directory.CreateDirectory(context.Evidence.FolderOf(context.Step)).FullName;
        foreach (var name in new[] { ResultFiles.Json, ResultFiles.JUnit }) File.Delete(Path.Combine(folder, name));
        var finished = new ConcurrentQueue<FinishedRun>();
        try
        {
            var results = await TestAsync(plan, finished, cancel);
            return UnitTestConclusion.Of(plan, results, run);
        }
        finally
        {
            // Also when the step is stopped: what was tested by then is told, and published while the build still runs.
            WriteResults(folder, [.. finished.OrderBy(one => one.Title, StringComparer.Ordinal)]);
        }
    }

    private async Task<UnitTestPlan> PlanAsync(CancellationToken cancel)
    {
        var settings = context.Options;
        var only = settings.TryGet(UnitTestCommand.Components, out var names) ? names : [];
        foreach (var name in only)
            if (!run.Change.Components.Any(component => component.Name == name))
                throw new UsageException(
                    $"there is no component \"{name}\" in {run.Change.Source}; there are " +
                    $"{string.Join(", ", run.Change.Components.Select(component => component.Name))}");
        var commits = new Dictionary<string, string?>(StringComparer.Ordinal);
        if (run.Identity.IsTargetBranch)
        {
            foreach (var component in run.Change.Components.Where(component => component.Image is not null))
            {
                var (commit, why) = await certified.FindAsync(component.Name, component.Major, cancel);
                context.Log.Info($"{component.Name}: {why}");
                commits[component.Name] = commit;
            }
        }
        var changes = await run.ChangesAsync(commits, cancel);
        var ancestors = await run.BasesAsync(cancel);
        if (ancestors is not null)
            context.Log.Info($"{run.ChangedSince(ancestors).Count} files changed since " +
                string.Join(" or ", ancestors.Select(ShortId.Of)));
        return UnitTestPlan.For(changes, run.Change, run.Policy, settings.Get(UnitTestCommand.All), only,
            ancestors?[0] ?? (commits.Values.Distinct().ToList() is [{ } one] ? one : ""));
    }

    private async Task<IReadOnlyList<TestedRuns>> TestAsync(
        UnitTestPlan plan, ConcurrentQueue<FinishedRun> finished, CancellationToken cancel)
    {
        using var places = new SemaphoreSlim(context.Options.Get(UnitTestCommand.Parallel));
        var done = 0;
        var tested = plan.Components.Where(planned => planned.Runs.Count > 0).ToList();
        var owners = new ReportOwners(context.WorkTree, tested);
        foreach (var file in owners.DeleteLeftovers(IsTracked)) context.Log.Info($"removed the report {file} of an earlier run");
        if (tested.Count > 0)
            context.Log.Progress($"testing {string.Join(", ", tested.Select(planned => planned.Component.Name))}");
        return await Task.WhenAll(tested.Select(async planned =>
        {
            await places.WaitAsync(cancel);
            try
            {
                // Runs of one component share its folders and reports: one after the other.
                var runs = new List<FinishedRun>();
                var broken = new List<Exception>();
                foreach (var definition in planned.Runs)
                {
                    try
                    {
                        runs.Add(await new TestRunner(
                            context, run, commands, planned.Component, definition, owners).RunAsync(cancel));
                        finished.Enqueue(runs[^1]);
                    }
                    catch (Exception failure) when (failure is UsageException or UnavailableException)
                    {
                        // One component that cannot be tested must not hide what the others' tests say.
                        broken.Add(failure);
                        context.Log.Warning($"{planned.Component.Name} {definition.Name}: {failure.Message}");
                    }
                }
                return new TestedRuns(planned, runs, broken);
            }
            finally
            {
                places.Release();
                if (Interlocked.Increment(ref done) < tested.Count)
                    context.Log.Progress($"{done} of {tested.Count} components tested");
            }
        }));
    }

    private bool IsTracked(string path) => run.Repository.ObjectId(run.Identity.Commit, path) is not null;

    private void WriteResults(string folder, List<FinishedRun> runs)
    {
        foreach (var path in ResultFiles.Write(folder, runs)) context.Log.Publish($"{path} => test-results");
    }

    private static string Summary(UnitTestPlan plan)
    {
        var count = plan.Components.Count(planned => planned.Runs.Count > 0);
        return count == 0
            ? "nothing to test: the change touches no component with unit tests"
            : $"would test {count} of {plan.Components.Count} components";
    }
}

/// <summary>A component's runs once they are over.</summary>
/// <param name="Planned">What was to be tested, and why.</param>
/// <param name="Runs">What could be run.</param>
/// <param name="Broken">Why runs could not be done: bad input, or something outside that did not answer.</param>
internal sealed record TestedRuns(PlannedComponent Planned, IReadOnlyList<FinishedRun> Runs, IReadOnlyList<Exception> Broken);
