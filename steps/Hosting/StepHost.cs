using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Reflection;
using System.Security.Cryptography;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting;

/// <summary>
/// Starts a step, gives it what it needs, and ends it: the one place where exceptions become messages and exit codes.
/// </summary>
public static class StepHost
{
    // A lease is given back and a container stopped in this time after SIGTERM.
    internal static readonly TimeSpan GraceAfterSignal = TimeSpan.FromSeconds(30);

    // What is left of it for the evidence when a step does not end in time.
    private static readonly TimeSpan TimeForEvidence = TimeSpan.FromSeconds(3);

    /// <summary>Runs the step as this process; the result is the exit code.</summary>
    public static Task<int> RunAsync(StepCommand step, string[] args)
    {
        ArgumentNullException.ThrowIfNull(step);
        var stop = StopSignals.TakeForThisProcess(step.Name);
        return RunAsync(step, args, Console.Out, Console.Error, ProcessEnvironment(), TimeProvider.System,
            coloured: !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is null, stop);
    }

    // "--option=" is an option that is not given, as an empty variable or build parameter is: a recipe hands on every parameter
    // that it has.
    internal static string[] WithoutEmpty(string[] args) =>
        [.. args.Where(
            arg => !(arg.StartsWith("--", StringComparison.Ordinal)
                && arg.IndexOf('=', StringComparison.Ordinal) == arg.Length - 1))];

    /// <summary>Runs the step in this process with everything given, for tests.</summary>
    /// <param name="step">Name, options and work.</param>
    /// <param name="args">The command line.</param>
    /// <param name="output">What the build server or a person reads.</param>
    /// <param name="error">Usage errors and bug traces.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="coloured">Terminal colours.</param>
    /// <param name="stop">Stops the step from outside.</param>
    public static async Task<int> RunAsync(StepCommand step, string[] args, TextWriter output, TextWriter error,
        IReadOnlyDictionary<string, string> environment,
        TimeProvider? time = null,
        bool coloured = false,
        CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(step);
        time ??= TimeProvider.System;
        var dryRun = new Option<bool>("--dry-run") { Description = "print what would be done and touch nothing" };
        var explain = new Option<bool>("--explain-options")
        {
            Description = "print each option's value and where it came from, and stop"
        };
        var options = StepCommand.Common
            .Concat(step.Options)
            .ToDictionary(setting => setting.Name, AsOption, StringComparer.Ordinal);
        var command = step.Program is null ? new RootCommand(step.Description) : new Command(step.Name, step.Description);
        var root = command as RootCommand ?? new RootCommand { command };
        foreach (var option in options.Values.Prepend<Option>(explain).Prepend(dryRun)) command.Add(option);

        var exit = ExitCode.Bug;
        command.SetAction(async (parsed, _) =>
        {
            exit = await RunParsedAsync(step, parsed, options, parsed.GetValue(dryRun), parsed.GetValue(explain),
                output, error, environment, time, coloured, stop).ConfigureAwait(false);
            return exit;
        });

        // "@text" is a value here, never a response file.
        var given = WithoutEmpty(args);
        var result = root.Parse(
            step.Program is null ? given : [step.Name, .. given], new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (result.Errors.Count > 0)
        {
            foreach (var problem in result.Errors)
                await error.WriteLineAsync($"{step.Name}: {problem.Message}").ConfigureAwait(false);
            await error.WriteLineAsync(
                $"see {(step.Program is null ? "" : step.Program + " ")}{step.Name} --help").ConfigureAwait(false);
            if (environment.ContainsKey("TEAMCITY_VERSION"))
                new BuildLog(output, forServer: true).Problem(
                    $"{step.Name}.usage", string.Join("; ", result.Errors.Select(problem => problem.Message)));
            return ExitCode.Usage;
        }
        return await result.InvokeAsync(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // The library's own handler would end the process in the midst of the evidence.
            ProcessTerminationTimeout = null,
        }, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>The version that <c>--version</c> prints.</summary>
    public static string Version { get; } =
        typeof(StepHost).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0";

    /// <summary>This process's environment as a dictionary.</summary>
    public static IReadOnlyDictionary<string, string> ProcessEnvironment()
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (System.Collections.DictionaryEntry entry in Environment.GetEnvironmentVariables())
            values[(string)entry.Key] = (string?)entry.Value ?? "";
        return values;
    }

    internal static Option<string?> AsOption(StepOption setting)
    {
        var description = setting.Description + $" [{setting.Variable}" +
            (setting.Properties.Count > 0 ? $", {setting.Properties[0]}" : "") +
                (setting.Fallback is { Length: > 0 } fallback && !setting.IsSwitch ? $"; default {fallback}" : "") +
                "]";
        return new Option<string?>("--" + setting.Name)
        {
            Description = description,
            HelpName = setting.IsSwitch ? "true|false" : setting.Name,
            Arity = setting.IsSwitch ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
            AllowMultipleArgumentsPerToken = false,
        };
    }

    private static async Task<int> RunParsedAsync(
        StepCommand step,
        ParseResult parsed,
        IReadOnlyDictionary<string, Option<string?>> options,
        bool dryRun,
        bool explain,
        TextWriter output,
        TextWriter error,
        IReadOnlyDictionary<string, string> environment,
        TimeProvider time,
        bool coloured,
        CancellationToken cancel)
    {
        var log = new BuildLog(output, environment.ContainsKey("TEAMCITY_VERSION"), coloured, time);
        StepContext? context = null;
        var started = time.GetUtcNow();
        Outcome outcome;
        try
        {
            Workplace.RequireWorkingDirectory();
            var settings = new OptionValues(parsed, options, environment, BuildServerProperties.Read(environment));
            var workTree = Path.GetFullPath(settings.Get(StepCommand.WorkTree));
            if (!Directory.Exists(workTree))
                throw new UsageException(
                    $"the work tree \"{workTree}\" is not a folder; give --work-tree")
                { Fault = Fault.Environment };
            context = new StepContext(step.Name, workTree, log, time, settings, dryRun);
            if (explain)
            {
                await ExplainAsync(step, settings, output).ConfigureAwait(false);
                return ExitCode.Done;
            }
            foreach (var setting in StepCommand.Common.Concat(step.Options)) Check(setting, settings);
            // A command for people states nothing; doctor has to come to the key itself.
            if (step.Program is null) Signing.CheckKeys(context);
            if (!dryRun) context.Evidence.Begin(step.Keeps);
            outcome = await RunInTimeAsync(step, context, cancel).ConfigureAwait(false);
        }
        catch (UsageException failure)
        {
            outcome = Outcome.Usage(failure.Message, failure.Fault);
        }
        catch (RefusedException failure)
        {
            outcome = Outcome.Refused(failure.Reason, failure.Message, Fault.Environment);
        }
        catch (UnavailableException failure)
        {
            outcome = Outcome.Unavailable(failure.Reason, failure.Message);
        }
        // Whoever reads a file says what its fault means. What is left is an outside system's answer with a value of another type
        // than its protocol says.
        catch (OutsideJsonException failure)
        {
            outcome = Outcome.Unavailable("unreadable-answer", UnreadableAnswer(failure));
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            outcome = Outcome.Cancelled($"{step.Name} was asked to stop and has cleaned up");
        }
        catch (Exception refusal) when (Workplace.Refuses(refusal))
        {
            outcome = Outcome.Usage(Workplace.Refusal(refusal), Fault.Environment);
        }
        // The one place where an unforeseen exception ends: as a bug, with its whole trace.
        catch (Exception bug) when (bug is not OutOfMemoryException)
        {
            await error.WriteLineAsync(log.Mask.Apply(bug.ToString())).ConfigureAwait(false);
            outcome = Outcome.Bug(
                $"unforeseen {bug.GetType().Name}: {bug.Message}; this is a bug in {step.Name} {Version}, " +
                "please report it with the trace above");
        }
        if (context is { Run: not null, DryRun: false })
        {
            outcome = WriteEvidence(context, outcome, started);
            // A cancelled build publishes no artifacts by rule: what it has to say goes out while it still runs. That holds for a
            // verdict
            // that was reached before the stop, too.
            if (outcome.Exit == ExitCode.Cancelled || cancel.IsCancellationRequested)
                log.Publish($".ci-steps/evidence/{step.Name}/** => .ci-steps/evidence/{step.Name}");
        }
        Close(step, log, outcome, dryRun);
        return outcome.Exit;
    }

    // A step that does not end in time is left behind: else the process would be gone without a word, as if it had been killed.
    private static async Task<Outcome> RunInTimeAsync(StepCommand step, StepContext context, CancellationToken cancel)
    {
        var limit = GraceAfterSignal - TimeForEvidence;
        using var late = new CancellationTokenSource(Timeout.InfiniteTimeSpan, context.Time);
        using var stopping = cancel.Register(() => late.CancelAfter(limit));
        try
        {
            return await step.Run(context, cancel).WaitAsync(late.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            return Outcome.Cancelled($"{step.Name} was asked to stop and did not end within {Durations.Show(limit)}; what it " +
                "was cleaning up may be there still");
        }
    }

    internal static string UnreadableAnswer(OutsideJsonException failure) =>
        $"{failure.Message}; this is not what the protocol says: check what stands between this machine and that system";

    private static Outcome WriteEvidence(StepContext context, Outcome outcome, DateTimeOffset started)
    {
        try
        {
            context.Evidence.Write(outcome, started);
            return outcome;
        }
        catch (Exception failure)
            when (failure is IOException or UnauthorizedAccessException or UsageException or CryptographicException)
        {
            var what = $"the evidence of {context.Step} could not be written: {failure.Message}";
            // A verdict that is not a stands. Without evidence a step was not done for whoever relies on it.
            if (outcome.Exit == ExitCode.Done)
                return Outcome.Usage($"{what}; what it did was: {outcome.Text}. Mend that and run {context.Step} again",
                    Fault.Environment);
            context.Log.Warning(what);
            return outcome;
        }
    }

    internal static void Check(StepOption setting, OptionValues settings)
    {
        if (settings.Find(setting) is not { } found) return;
        try
        {
            setting.Check(found.Text);
        }
        catch (FormatException failure)
        {
            throw new UsageException(
                $"\"{found.Text}\" is not right for {found.Source}: {failure.Message}", failure)
            { Fault = Fault.Environment };
        }
    }

    private static void Close(StepCommand step, BuildLog log, Outcome outcome, bool dryRun)
    {
        foreach (var (name, value) in outcome.Values)
        {
            log.SetParameter(name, value);
            log.Info($"{name}: {value}");
        }
        if (outcome.Exit == ExitCode.Done) log.Status((dryRun ? "dry run: " : "") + outcome.Text);
        else log.Problem($"{step.Name}.{outcome.Reason}", outcome.Text);
    }

    private static async Task ExplainAsync(StepCommand step, OptionValues settings, TextWriter output)
    {
        IEnumerable<string[]> rows = StepCommand.Common.Concat(step.Options).Select(setting => settings.Find(setting) is { } found
            ? (string[])[setting.Name, found.Text, found.Source] : [setting.Name, "", "not set"]);
        foreach (var line in Table.Lines(rows)) await output.WriteLineAsync(line).ConfigureAwait(false);
    }
}
