using System.Diagnostics;
using CiSteps.Cli.Agents;
using CiSteps.Cli.Records;
using CiSteps.Cli.Sandboxes;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Cli.Commands;

/// <summary><c>ci-steps sandbox</c>: clusters on this machine, for people and for the demo.</summary>
internal static class SandboxCommands
{
    private const string Ready = "ready";

    // Its pods get their termination grace.
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(90);

    internal static readonly StepOption<string> State = StepOption.Text("state",
        "folder of the sandbox's state; default: sandbox in this user's state folder");
    private static readonly StepOption<string> Clusters = StepOption.Text(
        "clusters", "names of the clusters, with commas", "sandbox");
    private static readonly StepOption<bool> Pool = StepOption.Switch("pool",
        "also run a testbed pool in the cluster management, over all others but production");
    private static readonly StepOption<string> PoolClass = StepOption.Text(
        "pool-class", "testbed class of the pool's clusters", "small");

    public static ProgramCommand Create() =>
        new("sandbox", "Clusters on this machine that behave, within their stated part, as small real ones.", [])
        {
            Commands =
            [
                new(
                    "up",
                    "Brings clusters up in the background and waits until they are ready.",
                    [Clusters, Pool, PoolClass, State],
                    UpAsync),
                new("down", "Stops them, and looks that nothing is left.", [State], DownAsync) { Grace = StopLimit },
                new("status", "Says which are up; exit code 1 when none is.", [State], StatusAsync),
                new("kubeconfig", "Prints the path of a cluster's kubeconfig.", [State], KubeconfigAsync)
                {
                    Argument = ("cluster", "the cluster's name; may be left out when there is only one")
                },
                new(
                    "serve",
                    "Hosts the clusters in this process.",
                    [Clusters, Pool, PoolClass, State],
                    ServeAsync) { Hidden = true, Grace = StopLimit },
            ],
        };

    /// <summary>The state's folder.</summary>
    internal static string Folder(OptionValues settings) =>
        Path.GetFullPath(settings.Find(State) ?? Path.Combine(Workspace.StateFolder(settings.Environment), "sandbox"));

    private static SandboxPlan Plan(ProgramContext context) => SandboxPlan.For(
        context.Options.Get(Clusters).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
        context.Options.Get(Pool),
        context.Options.Get(PoolClass));

    private static async Task<int> UpAsync(ProgramContext context, CancellationToken cancel)
    {
        var folder = Folder(context.Options);
        var plan = Plan(context);
        using var only = await SandboxState.LockAsync(folder, context.Time, cancel);
        if (SandboxState.Read(folder) is { IsAlive: true } running)
        {
            if (running.IsOf(plan))
            {
                await TellAsync(context, folder, running.Clusters, "is up already");
                return ExitCode.Done;
            }
            throw new UsageException(
                $"a sandbox with other clusters or another pool ({string.Join(", ", running.Clusters)}) is up in {folder}; " +
                "take it down first (ci-steps sandbox down), or give another --state");
        }
        await StartDetachedAsync(folder, plan, context.Options.Get(PoolClass), cancel);
        await TellAsync(context, folder, plan.Clusters, "is up");
        return ExitCode.Done;
    }

    /// <summary>
    /// Starts this program again in the background, hosting the clusters, and waits until it says that they are ready.
    /// </summary>
    internal static async Task StartDetachedAsync(string folder, SandboxPlan plan, string poolClass, CancellationToken cancel)
    {
        SandboxState.Remove(folder);
        var arguments = new List<string> { "sandbox", "serve", "--state", folder, "--clusters", string.Join(',', plan.Clusters) };
        if (plan.Pool.Count > 0) arguments.AddRange(["--pool", "--pool-class", poolClass]);
        var own = Environment.ProcessPath
            ?? throw new UsageException("this program's own path is not known, so it cannot start a sandbox in the background");
        // In development the program is started by the dotnet host, which needs its assembly's name first.
        if (Path.GetFileNameWithoutExtension(own) == "dotnet")
            arguments.Insert(0, Path.Combine(AppContext.BaseDirectory, "ci-steps.dll"));
        using var process = ChildProcess.Start(new(own, arguments, Environment.CurrentDirectory));
        process.StandardInput.Close();
        try
        {
            var line = await process.StandardOutput.ReadLineAsync(cancel);
            while (line is not null && line != Ready) line = await process.StandardOutput.ReadLineAsync(cancel);
            if (line == Ready) return;
            var error = await process.StandardError.ReadToEndAsync(cancel);
            await process.WaitForExitAsync(cancel);
            error = error.Trim();
            if (error.StartsWith("ci-steps: ", StringComparison.Ordinal)) error = error["ci-steps: ".Length..];
            throw process.ExitCode == ExitCode.Usage ? new UsageException(error)
                : new UnavailableException("sandbox", $"the sandbox did not come up: {error} (its log is {LogFile(folder)})");
        }
        catch (OperationCanceledException)
        {
            if (!await RunningProcess.AskAsync(process, StopLimit, TimeProvider.System, CancellationToken.None))
                process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static async Task<int> ServeAsync(ProgramContext context, CancellationToken cancel)
    {
        var folder = Folder(context.Options);
        var plan = Plan(context);
        SandboxState.MakeFolder(folder);
        Detached.LeaveSession();
        await using var writer = new StreamWriter(LogFile(folder), append: false) { AutoFlush = true };
        var log = new BuildLog(TextWriter.Synchronized(writer), forServer: false, time: context.Time);
        var host = await SandboxHost.StartAsync(plan, folder, log, context.Time, cancel);
        try
        {
            SandboxState.OfThisProcess(plan).Write(folder);
            await context.Output.WriteLineAsync(Ready);
            await context.Output.FlushAsync(cancel);
            Detached.LeaveStreams();
            var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var registration = cancel.Register(stopped.SetResult);
            await stopped.Task;
        }
        finally
        {
            await host.DisposeAsync();
            SandboxState.Remove(folder);
        }
        return ExitCode.Done;
    }

    private static async Task<int> DownAsync(ProgramContext context, CancellationToken cancel)
    {
        var folder = Folder(context.Options);
        var stopped = false;
        if (Directory.Exists(folder))
        {
            using var only = await SandboxState.LockAsync(folder, context.Time, cancel);
            stopped = await StopAsync(folder, context.Time, cancel);
            RunSandbox.ForgetDead(folder);
        }
        var swept = 0;
        try
        {
            // What a killed sandbox left: other people's living ones stay.
            swept = await PodHost.SweepAsync(cancel);
        }
        catch (UnavailableException failure) when (!stopped)
        {
            context.Log.Info($"the engine was not looked at: {failure.Message}");
        }
        await context.Output.WriteLineAsync(
            (stopped ? "the sandbox is down" : "no sandbox is up")
                + (swept > 0 ? $"; {swept} containers and networks that dead ones had left are removed" : ""));
        return ExitCode.Done;
    }

    /// <summary>Stops a background sandbox; a second time there is nothing to do.</summary>
    internal static async Task<bool> StopAsync(string folder, TimeProvider time, CancellationToken cancel)
    {
        var state = SandboxState.Read(folder);
        if (state is { IsAlive: true })
        {
            try
            {
                using var process = Process.GetProcessById(state.ProcessId);
                if (!await RunningProcess.AskAsync(process, StopLimit, time, cancel))
                    throw new UnavailableException("sandbox", $"the sandbox (process {state.ProcessId}) did not end within "
                        + $"{Durations.Show(StopLimit)}; see {LogFile(folder)}, then end the process and run sandbox down again");
            }
            catch (ArgumentException)
            {
                // It ended between the two looks.
            }
        }
        SandboxState.Remove(folder);
        return state is not null;
    }

    private static async Task<int> StatusAsync(ProgramContext context, CancellationToken cancel)
    {
        var folder = Folder(context.Options);
        if (SandboxState.Read(folder) is not { } state)
        {
            await context.Output.WriteLineAsync("no sandbox is up");
            return ExitCode.Refused;
        }
        if (!state.IsAlive)
        {
            await context.Output.WriteLineAsync(
                $"the sandbox's process {state.ProcessId} has ended without cleaning up; ci-steps sandbox down does that");
            return ExitCode.Refused;
        }
        await TellAsync(context, folder, state.Clusters, $"is up (process {state.ProcessId})");
        foreach (var (name, members) in state.Pool)
            await context.Output.WriteLineAsync($"testbed class {name}: {string.Join(", ", members)}");
        return ExitCode.Done;
    }

    private static async Task<int> KubeconfigAsync(ProgramContext context, CancellationToken cancel)
    {
        var folder = Folder(context.Options);
        if (SandboxState.Read(folder) is not { IsAlive: true } state)
            throw new UsageException($"no sandbox is up in {folder}; bring one up with ci-steps sandbox up");
        var name = context.Argument
            ?? (state.Clusters.Count == 1
                ? state.Clusters[0]
                : throw new UsageException($"which cluster? there are {string.Join(", ", state.Clusters)}"));
        if (!state.Clusters.Contains(name))
            throw new UsageException($"the sandbox has no cluster \"{name}\"; it has {string.Join(", ", state.Clusters)}");
        await context.Output.WriteLineAsync(SandboxHost.KubeconfigOf(folder, name));
        return ExitCode.Done;
    }

    private static async Task TellAsync(ProgramContext context, string folder, IReadOnlyList<string> clusters, string what)
    {
        string[] Row(string name) => [name, $"{what}: kubectl --kubeconfig {SandboxHost.KubeconfigOf(folder, name)}"];
        foreach (var line in Table.Lines(clusters.Select(Row))) await context.Output.WriteLineAsync(line);
    }

    private static string LogFile(string folder) => Path.Combine(folder, "sandbox.log");
}
