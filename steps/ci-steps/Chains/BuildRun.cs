using CiSteps.Hosting.Display;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Chains;

/// <summary>One step of a build as it ran.</summary>
/// <param name="Name">Its name in the settings.</param>
/// <param name="Outcome">success, failure, cancelled or skipped, as the server's step status says it.</param>
/// <param name="Exit">Exit code, if it ran.</param>
internal sealed record StepRun(string Name, string Outcome, int? Exit, TimeSpan Took);

/// <summary>Which test of a build: the same name in another suite or another flow is another test.</summary>
/// <param name="Flow">The flow that its messages belong to; empty for the build's own.</param>
/// <param name="Suite">The suites around it, from the outermost, each on a line of its own.</param>
/// <param name="Name">Its name, as the test framework gives it.</param>
internal readonly record struct TestIdentity(string Flow, string Suite, string Name);

/// <summary>One build while it runs and after. Written by its executor only; others read.</summary>
internal sealed class BuildRun(BuildConfiguration build, string folder)
{
    public const string Starting = "starting";
    public const string CheckingOut = "checking out";
    public const string DependencyProblem = "snapshot-dependency.";

    private readonly Lock gate = new();
    private readonly List<BuildProblem> problems = [];
    private readonly List<FailedTest> recalled = [];
    private readonly OrderedDictionary<TestIdentity, FailedTest> failedTests = [];
    private readonly Dictionary<string, string> setParameters = new(StringComparer.Ordinal);
    private readonly Dictionary<TestIdentity, bool> openTests = [];

    public BuildConfiguration Build { get; } = build;

    /// <summary>Where its record is.</summary>
    public string Folder { get; } = folder;

    public string ArtifactsFolder => Path.Combine(Folder, "artifacts");

    public string LogFile => Path.Combine(Folder, "log.txt");

    /// <summary>Whether it runs however those before it end: the end of a chain, which is not what went wrong.</summary>
    public bool Closes { get; init; } = DependencyVerdicts.RunsWhatever(build);

    public BuildState State { get; set; }

    public string Number { get; set; } = "";

    public string Id { get; set; } = "";

    public string Agent { get; set; } = "";

    public DateTimeOffset? StartedAt { get; set; }

    public DateTimeOffset? FinishedAt { get; set; }

    /// <summary>What it works on or waits for now.</summary>
    public string Doing { get; set; } = "";

    /// <summary>The status text that a step set.</summary>
    public string StatusText { get; set; } = "";

    public List<StepRun> Steps { get; } = [];

    public int PassedTests { get; private set; }

    public int IgnoredTests { get; private set; }

    /// <summary>Asked by a step to stop this build (buildStop).</summary>
    public string? StopComment { get; set; }

    /// <summary>Values for dependent builds (<c>dep.*</c>), resolved; passwords left out.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; set; } = new Dictionary<string, string>();

    public bool IsFinished => State is not (BuildState.Queued or BuildState.Running);

    public IReadOnlyList<BuildProblem> Problems
    {
        get { lock (gate) return [.. problems]; }
    }

    public IReadOnlyList<FailedTest> FailedTests
    {
        get { lock (gate) return [.. recalled, .. failedTests.Values]; }
    }

    public IReadOnlyDictionary<string, string> SetParameters
    {
        get { lock (gate) return new Dictionary<string, string>(setParameters); }
    }

    /// <summary>Adds a problem; the same identity counts once.</summary>
    public void Fail(string identity, string text)
    {
        lock (gate)
            if (!problems.Any(known => known.Identity == identity)) problems.Add(new(identity, text));
    }

    public void SetParameter(string name, string value)
    {
        lock (gate) setParameters[name] = value;
    }

    /// <summary>A test began; it has not failed in this try.</summary>
    public void TestStarted(TestIdentity test)
    {
        lock (gate) openTests[test] = false;
    }

    /// <summary>A test failed. However often it is tried, it is one failed test.</summary>
    public void TestFailed(TestIdentity test, string message)
    {
        lock (gate)
        {
            if (openTests.ContainsKey(test)) openTests[test] = true;
            failedTests.TryAdd(test, new(test.Name, message));
        }
    }

    /// <summary>Takes over the tests of a build that ended in an earlier run.</summary>
    public void RecallTests(int passed, int ignored, IEnumerable<FailedTest> failed)
    {
        lock (gate)
        {
            (PassedTests, IgnoredTests) = (passed, ignored);
            recalled.AddRange(failed);
        }
    }

    public void TestIgnored(TestIdentity test)
    {
        lock (gate)
        {
            openTests.Remove(test);
            IgnoredTests++;
        }
    }

    /// <summary>A test ended: it passed unless it failed in this try.</summary>
    /// <param name="test">Which.</param>
    /// <param name="forgivesEarlierTries">Whether passing now takes away the failure of an earlier try.</param>
    public void TestFinished(TestIdentity test, bool forgivesEarlierTries)
    {
        lock (gate)
        {
            if (!openTests.Remove(test, out var failed) || failed) return;
            if (forgivesEarlierTries) failedTests.Remove(test);
            if (!failedTests.ContainsKey(test)) PassedTests++;
        }
    }

    /// <summary>For people, in one line: the status text, or the first problem, and the tests.</summary>
    public string Summary
    {
        get
        {
            // A terminal configuration's own word says more than that something before it failed.
            if (Problems.FirstOrDefault(
                problem => !problem.Identity.StartsWith(DependencyProblem, StringComparison.Ordinal)) is { } own)
                return own.Text;
            if (StatusText.Length > 0) return StatusText;
            if (Problems is [var before, ..]) return before.Text;
            var tests = PassedTests + FailedTests.Count + IgnoredTests;
            return tests == 0
                ? ""
                : $"{Count.Of(PassedTests, "test")} passed" +
                    (FailedTests.Count > 0 ? $", {FailedTests.Count} failed" : "") +
                    (IgnoredTests > 0 ? $", {IgnoredTests} ignored" : "");
        }
    }
}
