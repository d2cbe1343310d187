using System.Globalization;
using CiSteps.Cli.Agents;
using CiSteps.Cli.Commands;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Sandboxes;

/// <summary>Clusters for a run on a machine that has none: taken from a sandbox that is up, or brought up for the run.</summary>
internal sealed class RunSandbox : IAsyncDisposable
{
    private const string Testbeds = "env.CISTEPS_POOL_KUBECONFIG";
    private const string Production = "env.CISTEPS_PRODUCTION_KUBECONFIG";
    private const string UsualClass = "small";
    private const string FolderPrefix = "run-";

    private readonly SandboxHost? host;
    private readonly string folder;

    private RunSandbox(SandboxHost? host, string folder, IReadOnlyDictionary<string, string> parameters) =>
        (this.host, this.folder, Parameters) = (host, folder, parameters);

    /// <summary>Build parameters that name the clusters.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; }

    /// <summary>Which of the two kubeconfigs the settings ask for and nobody gave.</summary>
    /// <param name="tree">All projects, configurations, templates and recipes, as they were read.</param>
    /// <param name="given">Whether a parameter has a value from outside.</param>
    public static IReadOnlyList<string> Missing(SettingsTree tree, Func<string, bool> given)
    {
        // One cluster under a lock needs no pool.
        if (given("env.CISTEPS_KUBECONFIG") || given("env.CISTEPS_POOL_KUBECONFIG_CONTENT"))
            return [.. new[] { Production }.Where(Asked)];
        return [.. new[] { Testbeds, Production }.Where(Asked)];

        bool Asked(string name) => !given(name)
            && tree.Projects.Values.Select(project => project.Parameters)
                .Concat(tree.Builds.Values.Select(build => build.Parameters))
                .Any(parameters => parameters.Find(name) is not null)
            && !tree.Projects.Values.Select(project => project.Parameters)
                .Concat(tree.Builds.Values.Select(build => build.Parameters))
                .Any(parameters => parameters[name] is { Length: > 0 });
    }

    /// <summary>Takes or brings up what is missing.</summary>
    /// <param name="missing">Names from <see cref="Missing"/>; none: nothing happens.</param>
    /// <param name="pipeline">ci-steps.yaml of the branch, for the testbed classes; null when there is none.</param>
    /// <param name="stateFolder">Where a sandbox that is up has its state, and one that is kept will.</param>
    /// <param name="keep">Bring it up in the background, so that it outlives the run.</param>
    /// <param name="say">Told what happens.</param>
    /// <param name="log">Told of parts that fail.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="cancel">Gives up.</param>
    public static async Task<RunSandbox> EnsureAsync(
        IReadOnlyList<string> missing,
        PipelineDefinition? pipeline,
        string stateFolder,
        bool keep,
        Action<string> say,
        BuildLog log,
        TimeProvider time,
        CancellationToken cancel)
    {
        if (missing.Count == 0) return new(null, stateFolder, new Dictionary<string, string>());
        ForgetDead(stateFolder);
        using var only = keep ? await SandboxState.LockAsync(stateFolder, time, cancel) : null;
        if (SandboxState.Read(stateFolder) is { IsAlive: true } running)
        {
            say($"using the sandbox that is up ({string.Join(", ", running.Clusters)})");
            return new(null, stateFolder, Named(missing, stateFolder, running.Clusters));
        }
        var plan = PlanFor(missing, pipeline);
        say($"no cluster is given, so a sandbox is brought up: {string.Join(", ", plan.Clusters)}");
        if (keep)
        {
            if (plan.Pool.Count > 1)
                throw new UsageException(
                    "a sandbox that is kept has one testbed class, and ci-steps.yaml asks for several; " +
                    "bring it up yourself (ci-steps sandbox up), or leave --keep away");
            await SandboxCommands.StartDetachedAsync(stateFolder, plan, plan.Pool.Keys.FirstOrDefault() ?? UsualClass, cancel);
            await FurnishAsync(plan, pipeline, stateFolder, log, time, cancel);
            return new(null, stateFolder, Named(missing, stateFolder, plan.Clusters));
        }
        var folder = Path.Combine(stateFolder, FolderPrefix + Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        var host = await SandboxHost.StartAsync(plan, folder, log, time, cancel);
        try
        {
            await FurnishAsync(plan, pipeline, folder, log, time, cancel);
            return new(host, folder, Named(missing, folder, plan.Clusters));
        }
        catch
        {
            await host.DisposeAsync();
            Directory.Delete(folder, true);
            throw;
        }
    }

    /// <summary>Removes what killed runs left in the folder: their kubeconfigs.</summary>
    internal static void ForgetDead(string stateFolder)
    {
        if (!Directory.Exists(stateFolder)) return;
        foreach (var left in Directory.GetDirectories(stateFolder, FolderPrefix + "*"))
            if (int.TryParse(
                Path.GetFileName(left)[FolderPrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var process)
                && RunningProcess.StartOf(process) is null)
                Forget(left);
    }

    private static void Forget(string left)
    {
        while (Directory.Exists(left))
        {
            try
            {
                Directory.Delete(left, true);
            }
            catch (DirectoryNotFoundException)
            {
                // Another run removes it at the same time and was faster with a part of it; the rest still has to go.
            }
        }
    }

    // What an administrator does to a new production cluster: the namespaces that promote expects.
    private static async Task FurnishAsync(
        SandboxPlan plan, PipelineDefinition? pipeline, string folder, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        var namespaces = (pipeline?.Production?.Waves ?? [])
            .SelectMany(wave => wave.Targets)
            .Select(target => target.Namespace)
            .Distinct(StringComparer.Ordinal)
            .Where(name => name != "default")
            .ToList();
        if (!plan.Clusters.Contains(SandboxPlan.Production) || namespaces.Count == 0) return;
        using var production = await Cluster.ConnectAsync(
            SandboxHost.KubeconfigOf(folder, SandboxPlan.Production), log, time, cancel);
        var manifests = ManifestFiles.Parse(
            string.Join("---\n", namespaces.Select(name => $"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n")),
            "the sandbox's production namespaces");
        if (await production.ApplyAsync(manifests, dryRun: false, cancel) is { } failure)
            throw new UnavailableException("sandbox",
                $"the sandbox's production cluster does not take its namespaces: {failure.Text}");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (host is null) return;
        await host.DisposeAsync();
        Directory.Delete(folder, true);
    }

    internal static SandboxPlan PlanFor(IReadOnlyList<string> missing, PipelineDefinition? pipeline)
    {
        var clusters = new List<string>();
        var pool = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        if (missing.Contains(Testbeds))
        {
            clusters.Add(SandboxPlan.Management);
            var wanted = (pipeline?.Suites ?? [])
                .GroupBy(suite => suite.Class, StringComparer.Ordinal)
                .Select(group => (Class: group.Key, Count: Math.Max(2, group.Count())))
                .ToList();
            if (wanted.Count == 0) wanted.Add((UsualClass, 2));
            foreach (var (name, count) in wanted)
            {
                var members = Enumerable.Range(1, count)
                    .Select(number => wanted.Count == 1 ? $"testbed-{number}" : $"testbed-{name.ToLowerInvariant()}-{number}")
                    .ToList();
                pool[name] = members;
                clusters.AddRange(members);
            }
        }
        if (missing.Contains(Production)) clusters.Add(SandboxPlan.Production);
        return new(clusters, pool);
    }

    private static Dictionary<string, string> Named(IReadOnlyList<string> missing, string folder, IReadOnlyList<string> clusters)
    {
        var named = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (parameter, cluster) in new[] { (Testbeds, SandboxPlan.Management), (Production, SandboxPlan.Production) })
        {
            if (!missing.Contains(parameter)) continue;
            if (!clusters.Contains(cluster))
                throw new UsageException(
                    $"the sandbox that is up has no cluster \"{cluster}\", and {parameter["env.".Length..]} is not given; " +
                    "take it down (ci-steps sandbox down) or give the kubeconfig");
            named[parameter] = SandboxHost.KubeconfigOf(folder, cluster);
        }
        return named;
    }
}
