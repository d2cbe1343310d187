namespace CiSteps.Reports;

/// <summary>Why a build or step failed.</summary>
/// <param name="Identity">Stable word for it.</param>
/// <param name="Text">For people.</param>
public sealed record BuildProblem(string Identity, string Text);

/// <summary>A failed test.</summary>
/// <param name="Name">Its name, as the test framework gives it.</param>
/// <param name="Message">What it said, in one text.</param>
public sealed record FailedTest(string Name, string Message);
