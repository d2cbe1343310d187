namespace CiSteps.TestReports;

/// <summary>How one test ended.</summary>
public enum TestOutcome
{
    /// <summary>It ran and its assertions held.</summary>
    Passed,

    /// <summary>An assertion did not hold.</summary>
    Failed,

    /// <summary>It broke outside of an assertion: set-up, crash, time limit.</summary>
    Error,

    /// <summary>It did not run, or counts as not run (todo, inconclusive).</summary>
    Skipped,
}

/// <summary>One test as a report tells it.</summary>
/// <param name="Suites">Enclosing suites, outermost first; may be empty.</param>
/// <param name="ClassName">The class, module or package that the framework names; null when it names none.</param>
/// <param name="Name">The test's name with its parameters, as in the report.</param>
/// <param name="Outcome">How it ended.</param>
public sealed record TestCase(IReadOnlyList<string> Suites, string? ClassName, string Name, TestOutcome Outcome)
{
    /// <summary>The method without parameters where the format tells it apart from the name.</summary>
    public string? Method { get; init; }

    /// <summary>The source file that the report names, if it does.</summary>
    public string? File { get; init; }

    /// <summary>How long it ran; null when the report does not say.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>What failed, in a line or a few.</summary>
    public string? Message { get; init; }

    /// <summary>Stack traces, differences, the framework's own diagnostics.</summary>
    public string? Details { get; init; }

    /// <summary>What it wrote to standard output.</summary>
    public string? Output { get; init; }

    /// <summary>What it wrote to standard error.</summary>
    public string? ErrorOutput { get; init; }

    /// <summary>Why it was skipped.</summary>
    public string? SkipReason { get; init; }

    /// <summary>It failed first and passed when it ran again.</summary>
    public bool IsFlaky { get; init; }

    /// <summary>How often it ran.</summary>
    public int Attempts { get; init; } = 1;

    /// <summary>Why its failure does not count (an entry of the quarantine list); null when it counts.</summary>
    public string? Tolerated { get; init; }

    /// <summary>Whether it ended as failure or error.</summary>
    public bool IsFailure => Outcome is TestOutcome.Failed or TestOutcome.Error;

    /// <summary>Whether it fails the run: a failure that nothing tolerates.</summary>
    public bool Fails => IsFailure && Tolerated is null;

    /// <summary>
    /// The name by which people and filters know it: the class and the name, unless the name begins with the class already.
    /// </summary>
    public string FullName =>
        string.IsNullOrEmpty(ClassName) || Name == ClassName || Name.StartsWith(ClassName + ".", StringComparison.Ordinal) ||
        Name.StartsWith(ClassName + " ", StringComparison.Ordinal)
            ? Name : ClassName + "." + Name;

    /// <summary>Suites and full name: what makes the test one and the same from run to run.</summary>
    public string Identity => string.Join(" > ", Suites.Where(suite => suite != ClassName).Append(FullName));
}
