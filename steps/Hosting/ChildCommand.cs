namespace CiSteps.Hosting;

/// <summary>A program to start, and how it is to be run.</summary>
/// <param name="Program">Name on the child's path, or a path; a relative one is the folder's.</param>
/// <param name="Arguments">Arguments, unquoted.</param>
/// <param name="Folder">Working directory.</param>
public sealed record ChildCommand(string Program, IReadOnlyList<string> Arguments, string Folder)
{
    /// <summary>Variables to set (null value: remove); see <see cref="ChildEnvironment"/>.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>Whether the child has this process's environment beside those variables; else it has those alone.</summary>
    public bool InheritsEnvironment { get; init; } = true;

    /// <summary>Gets each line of output and whether it came from the error stream; called from two threads at once.</summary>
    public Action<string, bool>? OnLine { get; init; }

    /// <summary>Told of any output, also of a line that has not ended yet; called from two threads at once.</summary>
    public Action? OnOutput { get; init; }

    /// <summary>When given, what the child leaves running at its own end is ended too, and its names are told here; else it
    /// stays.</summary>
    public Action<IReadOnlyList<string>>? OnLeft { get; init; }

    /// <summary>Writes the child's standard input; null: there is none. A child that ends before it has read everything is no
    /// failure of this.</summary>
    public Func<Stream, CancellationToken, Task>? Input { get; init; }

    /// <summary>Whether the child and all that it started end when this process is killed (SIGKILL); not on Windows.</summary>
    public bool EndsWithThis { get; init; }

    /// <summary>Whether the child leads a session of its own, so that Ctrl+C at this terminal does not reach it; where there is a
    /// <c>setsid</c>.</summary>
    public bool HasOwnSession { get; init; }

    /// <summary>How long the child may clean up after it was asked to stop (SIGTERM); zero: it is ended at once, as on
    /// Windows.</summary>
    public TimeSpan Grace { get; init; }

    /// <summary>How long the child may run; null: as long as it likes.</summary>
    public TimeSpan? TimeLimit { get; init; }

    /// <summary>How many characters the child may write to both streams together; null: as many as it likes.</summary>
    public long? OutputLimit { get; init; }

    /// <summary>The clock of <see cref="Grace"/> and <see cref="TimeLimit"/>.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>A child went over a limit of its <see cref="ChildCommand"/> and was ended with all that it started.</summary>
/// <param name="message">Goes on from the program's name: "gave no answer within 60 s".</param>
public sealed class ChildLimitException(string message) : Exception(message);

/// <summary>A child was stopped because it was asked for.</summary>
/// <param name="exit">The exit code that it ended with.</param>
/// <param name="token">What asked for it.</param>
public sealed class ChildStoppedException(int exit, CancellationToken token) : OperationCanceledException(token)
{
    /// <summary>The exit code; 128 and the signal's number for a child that a signal ended.</summary>
    public int Exit { get; } = exit;
}
