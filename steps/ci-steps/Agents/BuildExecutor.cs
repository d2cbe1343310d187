using System.Globalization;
using CiSteps.Cli.Chains;
using CiSteps.Cli.Records;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Agents;

/// <summary>What all builds of a run share.</summary>
/// <param name="ToolsFolder">What <c>teamcity.tool.*</c> stands for.</param>
/// <param name="OuterEnvironment">This process's environment; see <see cref="AgentEnvironment"/> for what of it is handed
/// on.</param>
/// <param name="Parameters">Parameters given from outside, by full name; with <c>configuration:</c> in front for one
/// configuration only.</param>
/// <param name="Urls">Repository address by VCS root id.</param>
/// <param name="Grace">How long a step may clean up when it is stopped.</param>
internal sealed record ExecutionOptions(
    string ToolsFolder,
    IReadOnlyDictionary<string, string> OuterEnvironment,
    IReadOnlyDictionary<string, string> Parameters,
    IReadOnlyDictionary<string, string> Urls,
    TimeSpan Grace);

/// <summary>Runs one build on one agent: checkout, artifacts of dependencies, steps, artifacts.</summary>
internal sealed class BuildExecutor(
    SettingsTree tree,
    ChainRecord chain,
    Workspace workspace,
    Checkout checkout,
    ExecutionOptions options,
    TimeProvider time,
    Func<string, BuildRun?> finished,
    Action<BuildRun> changed)
{
    /// <summary>Runs it; its end is in <see cref="BuildRun.State"/>. Never throws for a build's own failure.</summary>
    public async Task RunAsync(BuildRun run, CancellationToken stop)
    {
        Directory.CreateDirectory(run.Folder);
        using var log = new BuildLogFile(run.LogFile, time);
        using var limit = new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
        try
        {
            run.StartedAt ??= time.GetUtcNow();
            await RunOnAgentAsync(run, log, limit, either.Token);
            Conclude(run, stop.IsCancellationRequested, limit.IsCancellationRequested);
        }
        catch (UsageException failure)
        {
            run.Fail("start", failure.Message);
            log.Write(failure.Message);
            run.State = run.Steps.Count == 0 ? BuildState.FailedToStart : BuildState.Failed;
        }
        catch (UnavailableException failure)
        {
            run.Fail(failure.Reason, failure.Message);
            log.Write(failure.Message);
            run.State = run.Steps.Count == 0 ? BuildState.FailedToStart : BuildState.Failed;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            run.State = BuildState.Cancelled;
        }
        run.FinishedAt = time.GetUtcNow();
        log.Write($"finished: {run.State}" + (run.Summary.Length > 0 ? $": {run.Summary}" : ""));
        ChainRecord.Write(run);
        changed(run);
    }

    private async Task RunOnAgentAsync(BuildRun run, BuildLogFile log, CancellationTokenSource limit, CancellationToken stop)
    {
        var build = run.Build;
        var counter = run.Number.Length == 0 ? workspace.Next(build.Id) : 0;
        run.Id = workspace.Next("build-id").ToString(CultureInfo.InvariantCulture);
        var place = PlaceOf(run, counter);
        var parameters = new BuildParameters(tree, build, options.ToolsFolder);
        foreach (var (name, value) in options.Parameters)
        {
            var colon = name.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0) parameters.Set(name, value);
            else if (name[..colon] == build.Id) parameters.Set(name[(colon + 1)..], value);
        }
        // A variable that the settings declare takes its value from this process's, as a server would from its own store.
        foreach (var name in parameters.Names.Where(name => name.StartsWith("env.", StringComparison.Ordinal)).ToList())
            if (options.OuterEnvironment.TryGetValue(name["env.".Length..], out var value) && value.Length > 0)
                parameters.Set(name, value);
        foreach (var (id, upstream) in Upstream(build.Id))
            foreach (var (name, value) in upstream.Parameters) parameters.Set($"dep.{id}.{name}", value);
        AgentEnvironment.Predefine(parameters, tree, run, place);
        if (run.Number.Length == 0) run.Number = parameters.Resolve(build["buildNumberPattern"] ?? "%build.counter%", build.At);
        AgentEnvironment.Predefine(parameters, tree, run, place);
        foreach (var name in parameters.Names.Where(parameters.IsPassword))
            if (parameters.Find(name) is { Length: > 0 } secret) log.Mask.Add(secret);
        log.Write($"{build.Id} #{run.Number} on {run.Agent}: {chain.Branch.Name} at {chain.ShortCommit}");

        foreach (var requirement in build.Requirements)
            if (!ConditionCheck.Holds(
                requirement with
                {
                    Value = requirement.Value is null ? null : parameters.Resolve(requirement.Value, requirement.At)
                },
                parameters.Find))
                throw new UsageException($"{requirement.At}: no agent fits: required is {ConditionCheck.Show(requirement)}");
        if (Directory.Exists(place.Temp)) Directory.Delete(place.Temp, recursive: true);
        Directory.CreateDirectory(place.Temp);
        await PrepareCheckoutAsync(run, place, parameters.Find("teamcity.git.fetchAllHeads") == "true", log, stop);
        FetchArtifacts(run, place, log);
        if (build["executionTimeoutMin"] is { } minutes
            && int.TryParse(parameters.Resolve(minutes, build.At), CultureInfo.InvariantCulture, out var most)
            && most > 0)
        {
            using var timer = time.CreateTimer(_ => limit.Cancel(), null, TimeSpan.FromMinutes(most), Timeout.InfiniteTimeSpan);
            await new StepSequence(tree, run, parameters, place, options, time, log, changed).RunAsync(stop);
        }
        else await new StepSequence(tree, run, parameters, place, options, time, log, changed).RunAsync(stop);

        foreach (var (name, value) in run.SetParameters) parameters.Set(name, value);
        run.Parameters = parameters.ResolveAll()
            .Where(pair => !parameters.IsPassword(pair.Key) && !pair.Key.StartsWith("dep.", StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        // A build that was interrupted publishes nothing by rule; one that failed does.
        if (build["artifactRules"] is { Length: > 0 } rules && !stop.IsCancellationRequested)
            Artifacts.Publish(parameters.Resolve(rules, build.At), place.Checkout, run.ArtifactsFolder, log.Write);
    }

    private BuildPlace PlaceOf(BuildRun run, long counter)
    {
        var home = Path.Combine(workspace.Folder, "agents", run.Agent);
        var work = Path.Combine(home, "work");
        var url = run.Build.VcsEntries.Count > 0 && tree.VcsRoots.TryGetValue(run.Build.VcsEntries[0].RootId, out var root)
            ? UrlOf(root)
            : run.Build.Id;
        return new BuildPlace(
            home,
            work,
            Path.Combine(work, Checkout.FolderName(run.Build, url)),
            Path.Combine(home, "temp", "buildTmp"),
            chain.Branch,
            chain.Revisions,
            options.Urls, counter, "ci-steps", "file://" + chain.Folder, "file://" + run.Folder);
    }

    private string UrlOf(VcsRoot root) => options.Urls.GetValueOrDefault(root.Id) ?? root.Parameters["url"] ?? "";

    private async Task PrepareCheckoutAsync(BuildRun run, BuildPlace place, bool allHeads, BuildLogFile log,
        CancellationToken stop)
    {
        run.Doing = BuildRun.CheckingOut;
        changed(run);
        Directory.CreateDirectory(place.Checkout);
        if (run.Build["checkoutMode"] == "MANUAL") return;
        if (run.Build.VcsEntries.Count > 1)
            throw new UsageException(
                $"{run.Build.VcsEntries[1].At}: ci-steps checks out one VCS root per build; " +
                $"\"{run.Build.Id}\" has {run.Build.VcsEntries.Count}");
        foreach (var entry in run.Build.VcsEntries)
        {
            if (!tree.VcsRoots.TryGetValue(entry.RootId, out var root))
                throw new UsageException($"{entry.At}: there is no VCS root \"{entry.RootId}\"");
            if (root.Type != "jetbrains.git")
                throw new UsageException($"{root.At}: ci-steps knows git only; \"{root.Id}\" is of type {root.Type}");
            if (entry.CheckoutRules.Count > 0) throw new UsageException($"{entry.At}: ci-steps does not know checkout rules");
            var url = UrlOf(root);
            var mirror = await checkout.MirrorAsync(url, stop);
            await Checkout.PrepareAsync(place.Checkout, mirror, url, root, chain.Branch, chain.Revisions[root.Id],
                run.Build["cleanBuild"] == "true", allHeads, stop);
            log.Write($"checked out {chain.Revisions[root.Id]} of {url} in {place.Checkout}");
        }
    }

    private void FetchArtifacts(BuildRun run, BuildPlace place, BuildLogFile log)
    {
        foreach (var dependency in run.Build.ArtifactDependencies)
        {
            if (finished(dependency.SourceId) is not { } source)
            {
                if (dependency.Paths.Split('\n').All(line => line.StartsWith("?:", StringComparison.Ordinal))) continue;
                throw new UsageException(
                    $"{dependency.At}: \"{run.Build.Id}\" needs artifacts of \"{dependency.SourceId}\", " +
                    "and this chain has no build of it");
            }
            var count = Artifacts.Fetch(
                dependency.Paths,
                source.ArtifactsFolder,
                place.Checkout,
                dependency.CleanDestination,
                $"{source.Build.Id} #{source.Number}");
            log.Write($"{count} files from {source.Build.Id} #{source.Number}");
        }
    }

    private IEnumerable<(string Id, BuildRun Run)> Upstream(string id)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var queue = new Queue<string>([id]);
        while (queue.TryDequeue(out var at))
        {
            if (!tree.Builds.ContainsKey(at)) continue;
            foreach (var dependency in Inheritance.Effective(tree, at).SnapshotDependencies)
            {
                if (!seen.Add(dependency.SourceId)) continue;
                queue.Enqueue(dependency.SourceId);
                if (finished(dependency.SourceId) is { } run) yield return (dependency.SourceId, run);
            }
        }
    }

    private static void Conclude(BuildRun run, bool stopped, bool timedOut)
    {
        if (timedOut)
            run.Fail("execution-timeout",
                $"the build took longer than its {run.Build["executionTimeoutMin"]} minutes and was stopped");
        if (run.FailedTests.Count > 0 && run.Build["shouldFailBuildIfTestsFailed"] != "false")
            run.Fail("failed-tests",
                $"{Count.Of(run.FailedTests.Count, "test")} failed: " +
                $"{string.Join(", ", run.FailedTests.Take(5).Select(test => test.Name))}");
        run.State = stopped || (run.StopComment is not null && !timedOut)
            ? BuildState.Cancelled
            : run.Problems.Count > 0 ? BuildState.Failed : BuildState.Succeeded;
    }
}

/// <summary>A build's log on disk: each line with its time, secrets masked.</summary>
internal sealed class BuildLogFile(string path, TimeProvider time) : IDisposable
{
    private readonly StreamWriter writer = new(path, append: true) { AutoFlush = true };
    private readonly Lock gate = new();

    public SecretMask Mask { get; } = new();

    public void Write(string line)
    {
        lock (gate) writer.WriteLine($"[{time.GetLocalNow():HH:mm:ss}] {Mask.Apply(line)}");
    }

    public void Dispose() => writer.Dispose();
}
