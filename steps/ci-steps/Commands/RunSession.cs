using System.Globalization;
using CiSteps.Cli.Agents;
using CiSteps.Cli.Chains;
using CiSteps.Cli.Displays;
using CiSteps.Cli.Records;
using CiSteps.Cli.Sandboxes;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary>What the chains of one <c>ci-steps run</c> share: settings, repository, workspace.</summary>
internal sealed class RunSession
{
    private readonly SettingsTree tree;
    private readonly string? repository;
    private readonly string? project;
    private ExecutionOptions options;
    private readonly int agents;
    private readonly TimeProvider time;

    private RunSession(
        SettingsTree tree,
        string? repository,
        string? project,
        Workspace workspace,
        ExecutionOptions options,
        int agents,
        string branch,
        TimeProvider time)
    {
        (
            this.tree,
            this.repository,
            this.project,
            this.options,
            this.agents,
            this.time) = (tree, repository, project, options, agents, time);
        (Workspace, BranchName) = (workspace, branch);
    }

    public Workspace Workspace { get; }

    /// <summary>The branch that was asked for, or the current one.</summary>
    public string BranchName { get; }

    /// <summary>Reads everything that was asked for.</summary>
    /// <exception cref="UsageException">Something of it is wrong.</exception>
    public static async Task<RunSession> OpenAsync(ProgramContext context, CancellationToken cancel)
    {
        var settings = context.Options;
        var tree = SettingsTree.Load(FindSettings(settings.Find(RunCommand.SettingsFolder)));
        var tools = Path.TrimEndingDirectorySeparator(Path.GetFullPath(
            settings.Find(RunCommand.Tools) ?? AppContext.BaseDirectory));
        if (!Directory.Exists(tools))
            throw new UsageException($"the folder of executables \"{tools}\" does not exist; give --tools");
        var repository = settings.Find(RunCommand.Repository);
        if (repository is not null && Directory.Exists(repository)) repository = Path.GetFullPath(repository);
        var branch = settings.Find(RunCommand.Branch) ?? await CurrentBranchAsync(cancel);
        var workspace = Workspace.Open(settings.Find(RunCommand.WorkspaceFolder) ?? DefaultWorkspace(settings, tree));
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        if (settings.Find(RunCommand.Parameters) is { } file) ReadParameters(file, given);
        foreach (var parameter in context.Repeated["param"]) Give(given, parameter, "--param");
        var urls = repository is null ? new Dictionary<string, string>()
            : tree.VcsRoots.Values
                .Where(root => IsBuilt(tree, root.Id))
                .ToDictionary(root => root.Id, _ => repository, StringComparer.Ordinal);
        var agents = settings.Find(RunCommand.Agents) is { } count
            ? int.Parse(count, CultureInfo.InvariantCulture)
            : Environment.ProcessorCount;
        return new RunSession(
            tree,
            repository,
            settings.Find(RunCommand.Project),
            workspace,
            new ExecutionOptions(tools, settings.Environment, given, urls, settings.Get(RunCommand.Grace)),
            agents,
            branch,
            context.Time);
    }

    /// <summary>The workspace folder of the repository that is asked for, or that the settings build.</summary>
    public static string DefaultWorkspace(OptionValues settings, SettingsTree tree)
    {
        var repository = settings.Find(RunCommand.Repository);
        if (repository is not null && Directory.Exists(repository)) repository = Path.GetFullPath(repository);
        var url = tree.VcsRoots.Values.Select(root => root.Parameters["url"]).FirstOrDefault(url => url is { Length: > 0 });
        return Workspace.DefaultFolder(settings.Environment, repository ?? url ?? tree.Folder);
    }

    // Not Java's properties: a colon belongs to the name here.
    private static void ReadParameters(string file, Dictionary<string, string> given)
    {
        try
        {
            var number = 0;
            foreach (var line in File.ReadLines(file).Select(line => line.Trim()))
            {
                number++;
                if (line.Length > 0 && line[0] != '#') Give(given, line, $"{file}:{number}");
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"cannot read the parameters in \"{file}\": {failure.Message}", failure);
        }
    }

    private static void Give(Dictionary<string, string> given, string parameter, string where)
    {
        var equals = parameter.IndexOf('=', StringComparison.Ordinal);
        // The value may be a secret: the message holds the place, not the text.
        if (equals <= 0) throw new UsageException($"\"{where}\" is not name=value");
        given[parameter[..equals].TrimEnd()] = parameter[(equals + 1)..].TrimStart();
    }

    /// <summary>Where the settings are when nothing is said.</summary>
    public static string FindSettings(string? given)
    {
        if (given is not null) return given;
        string[] places = ["teamcity-settings", ".", Path.Combine(AppContext.BaseDirectory, "teamcity-settings")];
        return places.FirstOrDefault(place => Directory.Exists(Path.Combine(place, ".teamcity")))
            ?? throw new UsageException("there is no .teamcity folder here; give the folder of the settings with --settings");
    }

    /// <summary>Brings clusters up when the settings ask for some and none are given; the caller disposes what it gets.</summary>
    public async Task<RunSandbox> EnsureClustersAsync(ProgramContext context, ChainDisplay display, CancellationToken cancel)
    {
        var missing = context.Options.Get(RunCommand.NoSandbox) ? [] : RunSandbox.Missing(tree, name =>
            options.Parameters.Keys.Any(given => given == name || given.EndsWith(":" + name, StringComparison.Ordinal))
            || options.OuterEnvironment.GetValueOrDefault(name["env.".Length..]) is { Length: > 0 });
        // Before anything is brought up: is there a chain to run at all?
        var plan = ChainPlanner.Triggered(tree, BranchName, project).Complete();
        RefuseMissingTools(plan);
        var log = new BuildLog(TextWriter.Null, forServer: false);
        var sandbox = await RunSandbox.EnsureAsync(
            missing,
            missing.Count == 0 ? null : await PipelineOfAsync(plan, cancel),
            SandboxCommands.Folder(context.Options),
            context.Options.Get(RunCommand.Keep),
            display.Say,
            log,
            time,
            cancel);
        var given = new Dictionary<string, string>(options.Parameters, StringComparer.Ordinal);
        foreach (var (name, value) in sandbox.Parameters) given[name] = value;
        options = options with { Parameters = given };
        return sandbox;
    }

    private async Task<PipelineDefinition?> PipelineOfAsync(ChainPlan plan, CancellationToken cancel)
    {
        var rootId = plan.Builds.SelectMany(build => build.VcsEntries).Select(entry => entry.RootId).FirstOrDefault();
        if (rootId is null || !tree.VcsRoots.TryGetValue(rootId, out var root)) return null;
        using var checkout = new Checkout(Workspace.MirrorsFolder);
        var mirror = await checkout.MirrorAsync(options.Urls.GetValueOrDefault(rootId) ?? root.Parameters["url"] ?? "", cancel);
        try
        {
            return PipelineFile.Parse(
                await Git.RunAsync(mirror, ["show", $"{plan.Branch.FullName}:ci-steps.yaml"], cancel), "ci-steps.yaml");
        }
        catch (Exception failure) when (failure is UsageException or UnavailableException)
        {
            // The steps will say what is wrong with it, in its place.
            return null;
        }
    }

    /// <summary>Runs what the triggers queue for the branch.</summary>
    public async Task<(ChainRecord Chain, IReadOnlyList<BuildRun> Builds, bool Succeeded, string Report)> RunBranchAsync(
        string branch, ChainDisplay display, CancellationToken cancel)
    {
        var plan = ChainPlanner.Triggered(tree, branch, project).Complete();
        var chain = await NewChainAsync(plan, cancel);
        return await ExecuteAsync(plan, chain, null, display, cancel);
    }

    /// <summary>Runs one configuration on what the branch's last chain handed over.</summary>
    public async Task<(ChainRecord Chain, IReadOnlyList<BuildRun> Builds, bool Succeeded, string Report)> RunStepAsync(
        string step, ChainDisplay display, CancellationToken cancel)
    {
        var whole = ChainPlanner.Triggered(tree, BranchName, project).Complete();
        var build = whole.Builds.FirstOrDefault(build => build.Id == step || build.Name == step)
            ?? throw new UsageException(
                $"the chain of \"{BranchName}\" has no step \"{step}\"; it has " +
                $"{string.Join(", ", whole.Builds.Select(build => build.Name))}");
        var chain = ChainRecord.Last(Workspace.ChainsFolder, whole.Branch.FullName)
            ?? throw new UsageException(
                $"no chain of \"{BranchName}\" has run in the workspace {Workspace.Folder}; run the whole chain first");
        var before = whole.Builds.Where(other => other.Id != build.Id).Select(chain.ReadBuild).Where(run => run is not null)
            .ToDictionary(run => run!.Build.Id, run => run!, StringComparer.Ordinal);
        return await ExecuteAsync(new ChainPlan(whole.Branch, [build.Id], [build]), chain, before, display, cancel);
    }

    /// <summary>
    /// The default branch's name when it is elsewhere now than when the chain began; null when it is not, or was what the chain
    /// built.
    /// </summary>
    public async Task<string?> FindMovedDefaultAsync(ChainRecord chain, CancellationToken cancel)
    {
        if (chain.Branch.IsDefault || defaultBefore is null) return null;
        var tips = await Git.TipsAsync(chain.Repository, cancel);
        return tips.GetValueOrDefault(defaultBefore.Value.Ref) is { } now && now != defaultBefore.Value.Tip
            ? defaultBefore.Value.Ref["refs/heads/".Length..] : null;
    }

    private (string Ref, string Tip)? defaultBefore;

    private async Task<ChainRecord> NewChainAsync(ChainPlan plan, CancellationToken cancel)
    {
        var revisions = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var address = "";
        foreach (var id in plan.Builds.SelectMany(build => build.VcsEntries).Select(entry => entry.RootId).Distinct())
        {
            if (!tree.VcsRoots.TryGetValue(id, out var root))
                throw new UsageException($"there is no VCS root \"{id}\" in {tree.Folder}");
            address = options.Urls.GetValueOrDefault(id) ?? root.Parameters["url"] ?? "";
            var tips = await Git.TipsAsync(address, cancel);
            if (!tips.TryGetValue(plan.Branch.FullName, out var tip))
                throw new UsageException($"the repository \"{address}\" has no branch \"{plan.Branch.FullName}\"; push it first");
            revisions[id] = tip;
            var defaultRef = ChainPlanner.SpecOf(root).DefaultRef;
            if (tips.TryGetValue(defaultRef, out var defaultTip)) defaultBefore = (defaultRef, defaultTip);
        }
        var number = Workspace.Next("chain").ToString("0000", CultureInfo.InvariantCulture);
        var chain = new ChainRecord(
            Path.Combine(Workspace.ChainsFolder, number),
            number,
            plan.Branch,
            revisions,
            time.GetUtcNow(),
            plan.Tops,
            repository ?? address)
        {
            Builds = [.. plan.Builds.Select(build => (build.Id, build.Name, DependencyVerdicts.RunsWhatever(build)))],
        };
        chain.Write();
        return chain;
    }

    private async Task<(ChainRecord, IReadOnlyList<BuildRun>, bool, string)> ExecuteAsync(
        ChainPlan plan,
        ChainRecord chain,
        IReadOnlyDictionary<string, BuildRun>? before,
        ChainDisplay display,
        CancellationToken cancel)
    {
        using var execution = new ChainExecution(tree, plan, chain, Workspace, agents, options, time, display.Changed, before);
        display.Start(chain, execution.Builds);
        await execution.RunAsync(cancel);
        var report = chain.ReportFile;
        // Also the builds that an earlier run of this chain left: one step that ran again is still a part of the whole.
        BuildReport.Of(chain, chain.ReadBuilds()).Write(report);
        return (chain, execution.Builds, execution.Succeeded, report);
    }

    // One clear word before anything is started, rather than a chain that stops at its first step.
    private void RefuseMissingTools(ChainPlan plan)
    {
        var missing = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var build in plan.Builds)
        {
            var parameters = new BuildParameters(tree, build, options.ToolsFolder);
            foreach (var command in build.Runners
                .Select(runner => runner.Parameters.Find("command.executable"))
                .OfType<Parameter>())
            {
                if (!References
                    .In(command.Value)
                    .All(name => parameters.Names.Contains(name) || name.StartsWith("teamcity.tool.", StringComparison.Ordinal)))
                    continue;
                var path = parameters.Resolve(command.Value, command.At);
                if (path.StartsWith(options.ToolsFolder + "/", StringComparison.Ordinal)
                    && !File.Exists(path)
                    && !File.Exists(path + ".exe"))
                    missing.Add(Path.GetFileName(path));
            }
        }
        if (missing.Count > 0)
            throw new UsageException(
                $"the chain needs {string.Join(", ", missing)}, which {options.ToolsFolder} does not hold; " +
                "give the folder of the executables with --tools");
    }

    private static bool IsBuilt(SettingsTree tree, string rootId) =>
        tree.Builds.Values.Any(build => build.VcsEntries.Any(entry => entry.RootId == rootId));

    private static async Task<string> CurrentBranchAsync(CancellationToken cancel)
    {
        try
        {
            return (await Git.RunAsync(Directory.GetCurrentDirectory(), ["symbolic-ref", "--short", "HEAD"], cancel)).Trim();
        }
        catch (UnavailableException)
        {
            throw new UsageException("which branch? this folder is not a git work tree on a branch; give --branch");
        }
    }
}
