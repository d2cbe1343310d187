using System.Threading.Channels;
using CiSteps.Cli.Agents;
using CiSteps.Cli.Records;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Chains;

/// <summary>
/// Runs a plan: each build as soon as those that it depends on have ended and an agent is free, by its dependency options.
/// </summary>
internal sealed class ChainExecution : IDisposable
{
    // After a stop, a terminal configuration gets this long to give back what the chain holds.
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(60);

    private readonly ChainPlan plan;
    private readonly BuildExecutor executor;
    private readonly Checkout checkout;
    private readonly Action<BuildRun> changed;
    private readonly TimeProvider time;
    private readonly Channel<string> agents = Channel.CreateUnbounded<string>();
    private readonly Dictionary<string, BuildRun> runs;
    private readonly Dictionary<string, Task> tasks = new(StringComparer.Ordinal);

    /// <summary>A chain ready to run.</summary>
    /// <param name="tree">All projects, configurations, templates and recipes, as they were read.</param>
    /// <param name="plan">What runs.</param>
    /// <param name="chain">Where builds, logs and artifacts of this run are written.</param>
    /// <param name="workspace">Where agents work.</param>
    /// <param name="agentCount">How many builds run at once.</param>
    /// <param name="options">What builds share.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="changed">Told of each change of a build; from any thread.</param>
    /// <param name="finishedBefore">Builds of this chain that ended in an earlier run, by configuration id.</param>
    public ChainExecution(
        SettingsTree tree,
        ChainPlan plan,
        ChainRecord chain,
        Workspace workspace,
        int agentCount,
        ExecutionOptions options,
        TimeProvider time,
        Action<BuildRun> changed,
        IReadOnlyDictionary<string, BuildRun>? finishedBefore = null)
    {
        (this.plan, this.changed, this.time) = (plan, changed, time);
        runs = plan.Builds.ToDictionary(
            build => build.Id, build => new BuildRun(build, chain.FolderOf(build.Id)), StringComparer.Ordinal);
        for (var agent = 1; agent <= agentCount; agent++) agents.Writer.TryWrite($"agent-{agent}");
        checkout = new Checkout(workspace.MirrorsFolder);
        executor = new BuildExecutor(tree, chain, workspace, checkout, options, time,
            id => runs.GetValueOrDefault(id) is { } now ? now.IsFinished ? now : null : finishedBefore?.GetValueOrDefault(id),
            changed);
    }

    /// <summary>The builds, in dependency order.</summary>
    public IReadOnlyList<BuildRun> Builds => [.. plan.Builds.Select(build => runs[build.Id])];

    /// <summary>Whether every triggered configuration succeeded.</summary>
    public bool Succeeded => plan.Tops.All(top => runs[top].State == BuildState.Succeeded);

    /// <summary>
    /// Runs all builds to their ends. On stop running builds are stopped, waiting ones cancelled, and only terminal
    /// configurations still run.
    /// </summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var closing = new CancellationTokenSource();
        await using var registration = stop.Register(() => closing.CancelAfter(ClosingTime));
        foreach (var build in plan.Builds) tasks[build.Id] = RunWhenReadyAsync(runs[build.Id], stop, closing.Token);
        await Task.WhenAll(tasks.Values);
    }

    public void Dispose() => checkout.Dispose();

    private async Task RunWhenReadyAsync(BuildRun run, CancellationToken stop, CancellationToken closing)
    {
        var upstream = run.Build.SnapshotDependencies.Where(dependency => runs.ContainsKey(dependency.SourceId)).ToList();
        run.Doing = upstream.Count == 0
            ? ""
            : "waits for " + string.Join(", ", upstream.Select(dependency => runs[dependency.SourceId].Build.Name));
        await Task.WhenAll(upstream.Select(dependency => tasks[dependency.SourceId]));
        var verdict = DependencyVerdicts.Of(upstream.Select(dependency => (dependency, runs[dependency.SourceId].State)));
        var isClosing = DependencyVerdicts.RunsWhatever(run.Build);
        foreach (var dependency in upstream)
        {
            var source = runs[dependency.SourceId];
            if (source.State == BuildState.Succeeded
                || DependencyVerdicts.Of(dependency, source.State) is DependencyVerdict.Run or DependencyVerdict.Cancel)
                continue;
            run.Fail(BuildRun.DependencyProblem + source.Build.Id, $"{source.Build.Name} {Word(source.State)}");
        }
        if (verdict is DependencyVerdict.FailToStart or DependencyVerdict.Cancel)
        {
            End(run, verdict == DependencyVerdict.Cancel ? BuildState.Cancelled : BuildState.FailedToStart);
            return;
        }
        var token = isClosing ? closing : stop;
        if (token.IsCancellationRequested)
        {
            run.Fail("stopped", "the chain was stopped");
            End(run, BuildState.Cancelled);
            return;
        }
        if (run.Build.IsComposite)
        {
            run.StartedAt = time.GetUtcNow();
            End(run, run.Problems.Count > 0 ? BuildState.Failed : BuildState.Succeeded);
            return;
        }
        await RunOnAgentAsync(run, token);
    }

    private async Task RunOnAgentAsync(BuildRun run, CancellationToken stop)
    {
        run.Doing = "waits for an agent";
        string agent;
        try
        {
            agent = await agents.Reader.ReadAsync(stop);
        }
        catch (OperationCanceledException)
        {
            run.Fail("stopped", "the chain was stopped");
            End(run, BuildState.Cancelled);
            return;
        }
        try
        {
            run.Agent = agent;
            run.StartedAt = time.GetUtcNow();
            run.State = BuildState.Running;
            run.Doing = BuildRun.Starting;
            changed(run);
            await executor.RunAsync(run, stop);
        }
        finally
        {
            agents.Writer.TryWrite(agent);
        }
    }

    private void End(BuildRun run, BuildState state)
    {
        run.State = state;
        run.FinishedAt = time.GetUtcNow();
        ChainRecord.Write(run);
        changed(run);
    }

    private static string Word(BuildState state) => state switch
    {
        BuildState.Failed => "failed",
        BuildState.FailedToStart => "failed to start",
        _ => "was cancelled",
    };
}
