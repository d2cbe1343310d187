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
    private readonly List<string> suites = [];
    private string? besides;
    private string? failed;
    private int collected;
    private int ran;
    private bool hasStopped;
    private string? failedGoal;

    /// <summary>One line of the output.</summary>
    public void Add(string line)
    {
        lock (gate)
        {
            if (CollectedItems().Match(line) is { Success: true } items) collected =
                int.Parse(items.Groups[items.Groups[2].Success ? 2 : 1].ValueSpan, CultureInfo.InvariantCulture);
            if (Ended().Match(line) is { Success: true }) ran = Counts().Matches(line)
                .Sum(count => int.Parse(count.Groups[1].ValueSpan, CultureInfo.InvariantCulture));
            if (Failed().Match(line) is { Success: true } test) failed = test.Groups[1].Value;
            if (Suite().Match(line) is { Success: true } suite) suites.Add(suite.Groups[1].Value);
            if (Stopped().IsMatch(line)) hasStopped = true;
            else if (LeftOut().Match(line) is { Success: true } module) left.Add($"\"{module.Groups[1].Value}\" never ran");
            else if (Suites().Match(line) is { Success: true } some)
                left.Add($"{some.Groups[1].Value} of {some.Groups[2].Value} test suites ran" +
                    (suites.Count == 0 ? "" : $" ({string.Join(", ", suites.Distinct().Take(20))})"));
            if (failedGoal is null && FailedGoal().IsMatch(line)) failedGoal = line.Trim();
            if (besides is null && Besides().IsMatch(line)) besides = line.Trim();
        }
    }

    /// <summary>What never ran, as the runner says; null when it says nothing of the kind.</summary>
    public string? Left
    {
        get
        {
            lock (gate)
            {
                var all = left.Distinct().Take(20).ToList();
                // Its summary comes after it says that it stops. Which tests it had still before it pytest does not say.
                if (hasStopped) all.Insert(0, $"it stopped{(failed is null ? "" : $" at \"{failed}\"")} before all" +
                    (collected == 0 ? " tests ran" : $" of {collected} tests ran") + (ran == 0 ? "" : $", after {ran}"));
                return all.Count == 0 ? null : string.Join(", ", all);
            }
        }
    }

    /// <summary>How many tests pytest chose to run; 0 when it does not say.</summary>
    public int Collected
    {
        get
        {
            lock (gate) return collected;
        }
    }

    /// <summary>The first line with which Maven says that its build failed, whatever it ends with; null when there was
    /// none.</summary>
    public string? FailedBuild
    {
        get
        {
            lock (gate) return failedGoal;
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
    [GeneratedRegex(@"^(?:collecting \.\.\. )?collected (\d{1,9}) items?\b(?:.* / (\d{1,9}) selected)?")]
    private static partial Regex CollectedItems();

    // Maven, which ends with 0 in spite of it where it is told --fail-never
    [GeneratedRegex(@"^\[ERROR\] (COMPILATION ERROR|Failed to execute goal)|^\[INFO\] BUILD FAILURE")]
    private static partial Regex FailedGoal();

    // pytest and its plugins: too many failures, an interrupt, a limit of time, an exit that a test asked for
    [GeneratedRegex(@"^!{3,} \S.* !{3,}$")]
    private static partial Regex Stopped();

    // pytest's last line, and its counts; what it deselected was never asked for
    [GeneratedRegex(@"^=+ .*\bin [\d.]+s\b.*=+$|^\d+ (failed|passed|errors?)\b.* in [\d.]+s\b")]
    private static partial Regex Ended();

    [GeneratedRegex(@"\b(\d{1,9}) (?:failed|passed|errors?|skipped|xfailed|xpassed)\b")]
    private static partial Regex Counts();

    // pytest's summary: the last failed test is the one that it stopped at
    [GeneratedRegex(@"^(?:FAILED|ERROR) (\S+::\S.*?)(?: - .*)?$")]
    private static partial Regex Failed();

    // jest
    [GeneratedRegex(@"^(?:PASS|FAIL) +(?!.*::)(\S+)")]
    private static partial Regex Suite();

    // Maven's reactor
    [GeneratedRegex(@"^(?:\[INFO\] )?(\S.*?) \.{2,} SKIPPED\b")]
    private static partial Regex LeftOut();

    // jest
    [GeneratedRegex(@"^Test Suites: .*?\b(\d+) of (\d+) total")]
    private static partial Regex Suites();

    // pytest-cov, jest, vitest, node, Maven, Gradle, MSBuild
    [GeneratedRegex(
        @"Required test coverage of .* not reached|coverage threshold for .* not met" +
        @"|Coverage for .* does not meet|coverage does not meet threshold|Test suite failed to run" +
        @"|\bUnhandled (Errors?|Rejection)\b|^\[ERROR\] COMPILATION ERROR|Execution failed for task ':\S*[cC]ompile" +
        @"|: error (CS|FS|VBNC|MSB|NU)\d+:|Build FAILED\.")]
    private static partial Regex Besides();
}
