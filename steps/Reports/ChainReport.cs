using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Reports;

/// <summary>One line of a report: a step or a build.</summary>
/// <param name="Name">The step's name.</param>
/// <param name="Outcome">done, failed, not started, cancelled.</param>
/// <param name="From">When it began.</param>
/// <param name="To">When it ended.</param>
/// <param name="Text">What the step concluded, in one sentence.</param>
public sealed record ReportRow(string Name, string Outcome, DateTimeOffset? From, DateTimeOffset? To, string Text)
{
    /// <summary>Shown as what went wrong.</summary>
    public bool IsProblem { get; init; }

    public IReadOnlyList<string> HandedOver { get; init; } = [];

    /// <summary>Problems as identity and text.</summary>
    public IReadOnlyList<BuildProblem> Problems { get; init; } = [];

    public (int Passed, int Failed, int Ignored) Tests { get; init; }

    public IReadOnlyList<FailedTest> FailedTests { get; init; } = [];

    /// <summary>Relative address of its log.</summary>
    public string? Log { get; init; }

    /// <summary>Anything else in short: agent, build number.</summary>
    public string Detail { get; init; } = "";

    public static ReportRow Of(StepEvidence evidence) =>
        new(
            evidence.Step,
            evidence.Exit switch { ExitCode.Done => "done", ExitCode.Cancelled => "cancelled", _ => "failed" },
            evidence.StartedOn,
            evidence.FinishedOn,
            evidence.Text)
        {
            IsProblem = evidence.Exit != ExitCode.Done,
            HandedOver = HandOvers.Of(evidence),
            Problems = evidence.Exit == ExitCode.Done ? [] : [new($"{evidence.Step}.{evidence.Reason}", evidence.Text)],
        };
}

/// <summary>A chain's report: one HTML file that needs nothing beside it.</summary>
/// <param name="Title">What it is about.</param>
/// <param name="Succeeded">How it ended.</param>
/// <param name="Summary">One sentence.</param>
/// <param name="Rows">In the chain's order.</param>
public sealed record ChainReport(string Title, bool Succeeded, string Summary, IReadOnlyList<ReportRow> Rows)
{
    /// <summary>Names and values under the title.</summary>
    public IReadOnlyList<(string Name, string Value)> Facts { get; init; } = [];

    /// <summary>Writes the file.</summary>
    public void Write(string path) => WholeFile.Write(path, ReportPage.Of(this));
}
