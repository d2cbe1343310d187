using CiSteps.Cli.Chains;
using CiSteps.Hosting;
using CiSteps.TeamCity;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Agents;

/// <summary>Runs a build's steps one after the other, by their modes and conditions.</summary>
internal sealed class StepSequence(
    SettingsTree tree,
    BuildRun run,
    BuildParameters parameters,
    BuildPlace place,
    ExecutionOptions options,
    TimeProvider time,
    BuildLogFile log,
    Action<BuildRun> changed)
{
    private const string CommandLineRunner = "simpleRunner";

    /// <summary>Runs them all, as far as modes and conditions say.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var failedBefore = false;
        foreach (var (runner, scope, mode) in Unfold(run.Build.Runners, parameters, null))
        {
            foreach (var (name, value) in run.SetParameters) scope.Set(name, value);
            var interrupted = stop.IsCancellationRequested || run.StopComment is not null;
            var unmet = runner.Conditions.FirstOrDefault(condition => !ConditionCheck.Holds(condition, scope.Find));
            if (!ShouldRun(mode, failedBefore, interrupted) || unmet is not null)
            {
                run.Steps.Add(new(runner.Name, "skipped", null, TimeSpan.Zero));
                log.Write(
                    $"step {NameOf(runner)} is skipped" +
                        (unmet is not null ? $": {ConditionCheck.Show(unmet)} does not hold" : ""));
                continue;
            }
            // execute_always runs in spite of a stop; a second stop would end it, and there is none here but the grace.
            using var own = interrupted
                ? new CancellationTokenSource(options.Grace, time)
                : CancellationTokenSource.CreateLinkedTokenSource(stop);
            var step = await RunStepAsync(runner, scope, own.Token);
            run.Steps.Add(step);
            if (runner.Id.Length > 0) parameters.Set($"teamcity.build.step.status.{runner.Id}", step.Outcome);
            failedBefore |= step.Outcome != "success";
        }
    }

    private bool ShouldRun(string mode, bool failedBefore, bool interrupted) => mode switch
    {
        "execute_always" => true,
        _ when interrupted => false,
        "execute_if_failed" => true,
        "execute_if_success" => !failedBefore && run.Problems.Count == 0 && run.FailedTests.Count == 0,
        _ => !failedBefore,
    };

    private IEnumerable<(Runner Runner, BuildParameters Scope, string Mode)> Unfold(
        IEnumerable<Runner> runners, BuildParameters scope, string? modeAbove)
    {
        foreach (var runner in runners)
        {
            // The using step's policy holds for the whole recipe.
            var mode = modeAbove ?? runner.Parameters["teamcity.step.mode"] ?? "default";
            if (tree.FindRecipe(runner.Type, run.Build.ProjectId) is not { } recipe)
            {
                yield return (runner, scope, mode);
                continue;
            }
            var given = runner.Parameters.All.Where(
                parameter => parameter.Name != "teamcity.step.mode"
                    && !parameter.Name.StartsWith("plugin.", StringComparison.Ordinal));
            var inner = recipe.Runners.Select(
                step => step with
                {
                    Id = step.Id.Length > 0 ? step.Id : runner.Id,
                    Conditions = [.. runner.Conditions, .. step.Conditions]
                });
            foreach (var step in Unfold(
                inner, scope.With(recipe.Parameters.With(new(given)).All), mode == "default" ? null : mode))
                yield return step;
        }
    }

    private async Task<StepRun> RunStepAsync(Runner runner, BuildParameters scope, CancellationToken stop)
    {
        if (runner.Type != CommandLineRunner)
            throw new UsageException(
                $"{runner.At}: ci-steps cannot run a step of type \"{runner.Type}\" (\"{NameOf(runner)}\"); " +
                $"it knows command lines ({CommandLineRunner}) and recipes of them");
        if (runner.Parameters["plugin.docker.imageId"] is { Length: > 0 })
            throw new UsageException(
                $"{runner.At}: ci-steps does not run a step inside a container (\"{NameOf(runner)}\"); " +
                "run the command on the agent");
        var folder = runner.Parameters["teamcity.build.workingDir"] is { Length: > 0 } below
            ? Path.GetFullPath(Path.Combine(place.Checkout, scope.Resolve(below, runner.At)))
            : place.Checkout;
        Directory.CreateDirectory(folder);
        scope.Set("teamcity.build.workingDir", folder);
        scope.Set("system.teamcity.build.workingDir", folder);
        var (program, arguments) = Command(runner, scope);
        var environment = AgentEnvironment.For(scope, options.OuterEnvironment, place.Temp);
        log.Write($"step {NameOf(runner)}: {program}" + string.Concat(arguments.Select(argument => " " + argument)));
        run.Doing = NameOf(runner);
        changed(run);
        var reader = new MessageReader(run, log.Write, Publish, () => changed(run));
        var started = time.GetTimestamp();
        var command = new ChildCommand(program, arguments, folder)
        {
            Environment = environment.ToDictionary(pair => pair.Key, pair => (string?)pair.Value),
            InheritsEnvironment = false,
        };
        var (exit, stopped) = await RunAsync(command, reader, runner, stop);
        var took = time.GetElapsedTime(started);
        log.Write($"step {NameOf(runner)} ended with exit code {exit} after {Hosting.Options.Durations.Show(took)}");
        if (stopped) return new(NameOf(runner), "cancelled", exit, took);
        if (exit == 0 || run.Build["shouldFailBuildOnBadExitCode"] == "false") return new(NameOf(runner), "success", exit, took);
        run.Fail($"exit-code-{runner.Id}", $"{NameOf(runner)} ended with exit code {exit}");
        return new(NameOf(runner), "failure", exit, took);
    }

    // As an agent does: with an environment of its own; on stop it is asked first and given a grace to clean up. In a session of
    // its own, so that Ctrl+C at this terminal reaches it through us, once.
    private async Task<(int Exit, bool Stopped)> RunAsync(
        ChildCommand command, MessageReader reader, Runner runner, CancellationToken stop)
    {
        var gate = new Lock();
        try
        {
            var exit = await ChildProcess.RunAsync(command with
            {
                HasOwnSession = true,
                Grace = options.Grace,
                Time = time,
                OnLine = (line, isError) =>
                {
                    lock (gate) reader.Read(line, isError);
                },
            }, stop);
            return (exit, false);
        }
        catch (ChildStoppedException stopped)
        {
            return (stopped.Exit, true);
        }
        catch (UsageException failure)
        {
            throw new UsageException($"{runner.At}: {failure.Message}; is the folder of executables right (--tools)?", failure);
        }
    }

    private (string Program, IReadOnlyList<string> Arguments) Command(Runner runner, BuildParameters scope)
    {
        if (runner.Parameters["use.custom.script"] != "true")
        {
            var executable = scope.Resolve(runner.Parameters["command.executable"] ?? "", runner.At);
            if (executable.Length == 0) throw new UsageException($"{runner.At}: the step \"{NameOf(runner)}\" names no command");
            if (Path.IsPathRooted(executable) && !File.Exists(executable))
            {
                if (!File.Exists(executable + ".exe"))
                    throw new UsageException(
                        $"{runner.At}: \"{executable}\" does not exist; give the folder with the executables with --tools");
                executable += ".exe";
            }
            return (executable, CommandLine.Split(scope.Resolve(runner.Parameters["command.parameters"] ?? "", runner.At)));
        }
        var script = scope.Resolve(runner.Parameters["script.content"] ?? "", runner.At);
        Directory.CreateDirectory(place.Temp);
        if (OperatingSystem.IsWindows())
        {
            var batch = Path.Combine(place.Temp, $"custom_script{run.Steps.Count}.cmd");
            File.WriteAllText(batch, "@echo off\r\n" + script);
            return ("cmd.exe", ["/c", batch]);
        }
        var file = Path.Combine(place.Temp, $"custom_script{run.Steps.Count}");
        File.WriteAllText(file, script.ReplaceLineEndings("\n"));
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return script.StartsWith("#!", StringComparison.Ordinal) ? (file, []) : ("/bin/sh", [file]);
    }

    private void Publish(string rules)
    {
        try
        {
            Artifacts.Publish(rules, place.Checkout, run.ArtifactsFolder, log.Write);
        }
        catch (Exception failure) when (failure is UsageException or IOException or UnauthorizedAccessException)
        {
            log.Write($"publishing \"{rules}\" failed: {failure.Message}");
        }
    }

    private static string NameOf(Runner runner) =>
        runner.Name.Length > 0 ? runner.Name : runner.Id.Length > 0 ? runner.Id : runner.Type;
}
