namespace CiSteps.TestReports;

/// <summary>A run of tests that is over.</summary>
/// <param name="Subject">What was tested: a component or an integration suite.</param>
/// <param name="Name">The run's name in the configuration; may be empty.</param>
/// <param name="Report">All that its reports tell.</param>
/// <param name="Verdict">What it is worth.</param>
/// <param name="Duration">How long it took.</param>
public sealed record FinishedRun(string Subject, string Name, TestReport Report, TestVerdict Verdict, TimeSpan Duration)
{
    /// <summary>Subject and name for people and for test suites' names.</summary>
    public string Title => Name.Length == 0 || Name == Subject ? Subject : $"{Subject} {Name}";
}
