using System.CommandLine;
using System.CommandLine.Parsing;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting;

/// <summary>
/// A command of a program with several (<c>ci-steps</c>, <c>testbed-pool</c>). A step has one and uses <see cref="StepCommand"/>.
/// </summary>
/// <param name="Name">Kebab-case word on the command line; the program's own name for the root.</param>
/// <param name="Description">One sentence for <c>--help</c>.</param>
/// <param name="Options">What can be told to it: option, <c>CISTEPS_</c> variable, build server property, default.</param>
/// <param name="Run">Does it and gives the exit code; null for a command that only has others below it.</param>
public sealed record ProgramCommand(
    string Name,
    string Description,
    IReadOnlyList<StepOption> Options,
    Func<ProgramContext, CancellationToken, Task<int>>? Run = null)
{
    /// <summary>Commands below this one.</summary>
    public IReadOnlyList<ProgramCommand> Commands { get; init; } = [];

    /// <summary>Name and meaning of the one positional argument, which may be left out; null: there is none.</summary>
    public (string Name, string Description)? Argument { get; init; }

    /// <summary>Options that may be given several times, by name; see <see cref="ProgramContext.Repeated"/>.</summary>
    public IReadOnlyList<(string Name, string Description)> Repeated { get; init; } = [];

    /// <summary>Left out of <c>--help</c>: the program starts it itself.</summary>
    public bool Hidden { get; init; }

    /// <summary>How long it may clean up after SIGTERM or Ctrl+C before the process ends; 30 s unless set.</summary>
    public TimeSpan? Grace { get; init; }
}

/// <summary>What one invocation of a program's command works with.</summary>
/// <param name="Options">The values, with their sources.</param>
/// <param name="Argument">The positional argument, if it was given.</param>
/// <param name="Log">Where it speaks.</param>
/// <param name="Output">Where plain answers go (tables, JSON, paths).</param>
/// <param name="Error">Where usage goes.</param>
/// <param name="Time">Clock that all waiting and all limits go by.</param>
/// <param name="Coloured">Whether a person at a terminal reads the output.</param>
public sealed record ProgramContext(
    OptionValues Options,
    string? Argument,
    BuildLog Log,
    TextWriter Output,
    TextWriter Error,
    TimeProvider Time,
    bool Coloured)
{
    /// <summary>Values of the repeated options, in the order given.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Repeated { get; init; } =
        new Dictionary<string, IReadOnlyList<string>>();
}

/// <summary>
/// Starts a program with several commands and ends it by the same rules as <see cref="StepHost"/>: exit codes, one message per
/// failure, cancellation as 130.
/// </summary>
public static class ProgramHost
{
    /// <summary>Runs the program as this process; the result is the exit code.</summary>
    public static Task<int> RunAsync(ProgramCommand program, string[] args)
    {
        ArgumentNullException.ThrowIfNull(program);
        var stop = StopSignals.TakeForThisProcess(program.Name);
        return RunAsync(program, args, Console.Out, Console.Error, StepHost.ProcessEnvironment(), TimeProvider.System,
            coloured: !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is null, stop);
    }

    /// <summary>Runs the program in this process with everything given, for tests.</summary>
    /// <param name="program">The root; its name is the program's.</param>
    /// <param name="args">The command line.</param>
    /// <param name="output">What the build server or a person reads.</param>
    /// <param name="error">Usage errors and bug traces.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="coloured">Terminal colours.</param>
    /// <param name="stop">Stops the program from outside.</param>
    public static async Task<int> RunAsync(ProgramCommand program, string[] args, TextWriter output, TextWriter error,
        IReadOnlyDictionary<string, string> environment,
        TimeProvider? time = null,
        bool coloured = false,
        CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(program);
        time ??= TimeProvider.System;
        var root = (RootCommand)Build(new RootCommand(program.Description), program, (command, parsed, inputs) =>
            RunParsedAsync(program.Name, command, parsed, inputs, output, error, environment, time, coloured, stop));
        // "@text" is a value here, never a response file.
        var result = root.Parse(
            Spelled(program, StepHost.WithoutEmpty(args)), new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (result.Errors.Count > 0)
        {
            foreach (var problem in result.Errors)
                await error.WriteLineAsync($"{program.Name}: {problem.Message}").ConfigureAwait(false);
            await error.WriteLineAsync(
                $"see {string.Join(' ', Path(result.CommandResult).Prepend(program.Name))} --help").ConfigureAwait(false);
            if (environment.ContainsKey("TEAMCITY_VERSION"))
                new BuildLog(output, forServer: true).Problem(
                    $"{program.Name}.usage", string.Join("; ", result.Errors.Select(problem => problem.Message)));
            return ExitCode.Usage;
        }
        return await result.InvokeAsync(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        }, CancellationToken.None).ConfigureAwait(false);
    }

    // The commands below the root that were asked for, outermost first.
    private static IEnumerable<string> Path(CommandResult result) =>
        result.Parent is CommandResult above ? Path(above).Append(result.Command.Name) : [];

    private sealed record Inputs(
        IReadOnlyDictionary<string, Option<string?>> Options,
        IReadOnlyDictionary<string, Option<string[]>> Repeated,
        Argument<string?>? Argument);

    private delegate Task<int> Invoke(ProgramCommand command, ParseResult parsed, Inputs inputs);

    // A switch may have a value ("--json=false"), so the parser would take the positional argument behind a bare one for it.
    private static string[] Spelled(ProgramCommand program, string[] args)
    {
        var switches = Switches(program).Select(name => "--" + name).ToHashSet(StringComparer.Ordinal);
        return [.. args.Select(
            (arg, at) => switches.Contains(arg) && at + 1 < args.Length && !bool.TryParse(args[at + 1], out _)
                ? arg + "=true"
                : arg)];
    }

    private static IEnumerable<string> Switches(ProgramCommand command) =>
        command.Options.Where(setting => setting.IsSwitch)
            .Select(setting => setting.Name)
            .Concat(command.Commands.SelectMany(Switches));

    private static Command Build(Command into, ProgramCommand command, Invoke invoke)
    {
        var options = command.Options.ToDictionary(setting => setting.Name, StepHost.AsOption, StringComparer.Ordinal);
        foreach (var option in options.Values) into.Add(option);
        var repeated = command.Repeated.ToDictionary(option => option.Name, option => new Option<string[]>("--" + option.Name)
        {
            Description = option.Description,
            HelpName = option.Name,
            AllowMultipleArgumentsPerToken = false,
        }, StringComparer.Ordinal);
        foreach (var option in repeated.Values) into.Add(option);
        Argument<string?>? argument = null;
        if (command.Argument is { } named)
        {
            argument = new Argument<string?>(named.Name) { Description = named.Description, Arity = ArgumentArity.ZeroOrOne };
            // The parser takes an unknown option for the argument's value; a mistyped option must not become a folder's name.
            argument.Validators.Add(given =>
            {
                foreach (var token in given.Tokens.Where(token => token.Value.StartsWith("--", StringComparison.Ordinal)))
                    given.AddError($"there is no option '{token.Value}'");
            });
            into.Add(argument);
        }
        foreach (var below in command.Commands)
            into.Add(Build(new Command(below.Name, below.Description) { Hidden = below.Hidden }, below, invoke));
        if (command.Run is not null)
            into.SetAction((parsed, _) => invoke(command, parsed, new Inputs(options, repeated, argument)));
        return into;
    }

    private static async Task<int> RunParsedAsync(
        string program,
        ProgramCommand command,
        ParseResult parsed,
        Inputs inputs,
        TextWriter output,
        TextWriter error,
        IReadOnlyDictionary<string, string> environment,
        TimeProvider time,
        bool coloured,
        CancellationToken cancel)
    {
        var log = new BuildLog(output, environment.ContainsKey("TEAMCITY_VERSION"), coloured, time);
        var grace = command.Grace ?? StepHost.GraceAfterSignal;
        using var late = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        using var stopping = cancel.Register(() => late.CancelAfter(grace));
        try
        {
            Workplace.RequireWorkingDirectory();
            var settings = new OptionValues(parsed, inputs.Options, environment, BuildServerProperties.Read(environment));
            foreach (var setting in command.Options) StepHost.Check(setting, settings);
            var context = new ProgramContext(
                settings, inputs.Argument is null ? null : parsed.GetValue(inputs.Argument), log, output, error, time, coloured)
            {
                Repeated = inputs.Repeated.ToDictionary(
                    pair => pair.Key, pair => (IReadOnlyList<string>)(parsed.GetValue(pair.Value) ?? []), StringComparer.Ordinal),
            };
            return await command.Run!(context, cancel).WaitAsync(late.Token).ConfigureAwait(false);
        }
        catch (UsageException failure)
        {
            return await EndAsync("usage", failure.Message, ExitCode.Usage).ConfigureAwait(false);
        }
        catch (UnavailableException failure)
        {
            return await EndAsync(failure.Reason, failure.Message, ExitCode.Unavailable).ConfigureAwait(false);
        }
        catch (OutsideJsonException failure)
        {
            return await EndAsync("unreadable-answer", StepHost.UnreadableAnswer(failure), ExitCode.Unavailable)
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            return await EndAsync(
                "cancelled", $"asked to stop, and did not end within {Durations.Show(grace)}", ExitCode.Cancelled)
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return await EndAsync("cancelled", "asked to stop, and cleaned up", ExitCode.Cancelled).ConfigureAwait(false);
        }
        catch (Exception refusal) when (Workplace.Refuses(refusal))
        {
            return await EndAsync("usage", Workplace.Refusal(refusal), ExitCode.Usage).ConfigureAwait(false);
        }
        // The one place where an unforeseen exception ends: as a bug, with its whole trace.
        catch (Exception bug) when (bug is not OutOfMemoryException)
        {
            await error.WriteLineAsync(log.Mask.Apply(bug.ToString())).ConfigureAwait(false);
            return await EndAsync(
                "bug",
                $"unforeseen {bug.GetType().Name}: {bug.Message}; this is a bug in {program} {StepHost.Version}, " +
                "please report it with the trace above",
                ExitCode.Bug)
                .ConfigureAwait(false);
        }

        async Task<int> EndAsync(string reason, string text, int exit)
        {
            if (log.IsForServer) log.Problem($"{program}.{reason}", text);
            else await error.WriteLineAsync($"{program}: {log.Mask.Apply(text)}").ConfigureAwait(false);
            return exit;
        }
    }
}
