using System.Globalization;
using System.Text.RegularExpressions;

namespace CiSteps.UnitTest;

/// <summary>
/// What a runner prints that its report does not say: that it did not run everything, or that something besides tests failed. May
/// be fed from several threads.
/// </summary>
internal sealed partial class RunnerNotes
{
    private readonly Lock gate = new();
    private readonly List<string> left = [];
    private string? besides;
    private int collected;

    /// <summary>One line of the output.</summary>
    public void Add(string line)
    {
        lock (gate)
        {
            if (Collected().Match(line) is { Success: true } items) collected =
                int.Parse(items.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            if (Stopped().IsMatch(line)) left.Add(collected > 0 ? $"it stopped before all of {collected} tests ran"
                : "it stopped before all tests ran");
            else if (LeftOut().Match(line) is { Success: true } module) left.Add($"\"{module.Groups[1].Value}\" never ran");
            else if (Suites().Match(line)
                is { Success: true } suites) left.Add($"{suites.Groups[1].Value} of {suites.Groups[2].Value} test suites ran");
            if (besides is null && Besides().IsMatch(line)) besides = line.Trim();
        }
    }

    /// <summary>What never ran, as the runner says; null when it says nothing of the kind.</summary>
    public string? Left
    {
        get
        {
            lock (gate) return left.Count == 0 ? null : string.Join(", ", left.Distinct().Take(20));
        }
    }

    /// <summary>The first line that tells of a failure outside of tests; null when there was none.</summary>
    public string? OutsideTests
    {
        get
        {
            lock (gate) return besides;
        }
    }

    // pytest
    [GeneratedRegex(@"^collected (\d{1,9}) items?\b")]
    private static partial Regex Collected();

    // pytest and its xdist
    [GeneratedRegex(@"^!+ (.*: )?stopping after \d+ failures !+$")]
    private static partial Regex Stopped();

    // Maven's reactor
    [GeneratedRegex(@"^(?:\[INFO\] )?(\S.*?) \.{2,} SKIPPED\b")]
    private static partial Regex LeftOut();

    // jest
    [GeneratedRegex(@"^Test Suites: .*?\b(\d+) of (\d+) total")]
    private static partial Regex Suites();

    // pytest-cov, jest, vitest, node, Maven, Gradle, MSBuild
    [GeneratedRegex(@"Required test coverage of .* not reached|coverage threshold for .* not met|Coverage for .* does not meet|coverage does not meet threshold|Test suite failed to run|\bUnhandled (Errors?|Rejection)\b|^\[ERROR\] COMPILATION ERROR|Execution failed for task ':\S*[cC]ompile|: error (CS|FS|VBNC|MSB|NU)\d+:|Build FAILED\.")]
    private static partial Regex Besides();
}
