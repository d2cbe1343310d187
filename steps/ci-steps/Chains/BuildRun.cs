using CiSteps.Reports;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Chains;

/// <summary>One step of a build as it ran.</summary>
/// <param name="Name">Its name in the settings.</param>
/// <param name="Outcome">success, failure, cancelled or skipped, as the server's step status says it.</param>
/// <param name="Exit">Exit code, if it ran.</param>
internal sealed record StepRun(string Name, string Outcome, int? Exit, TimeSpan Took);

/// <summary>One build while it runs and after. Written by its executor only; others read.</summary>
internal sealed class BuildRun(BuildConfiguration build, string folder)
{
    public const string Starting = "starting";
    public const string CheckingOut = "checking out";
    public const string DependencyProblem = "snapshot-dependency.";

    private readonly Lock gate = new();
    private readonly List<BuildProblem> problems = [];
    private readonly List<FailedTest> failedTests = [];
    private readonly Dictionary<string, string> setParameters = new(StringComparer.Ordinal);
    private readonly HashSet<string> openTests = new(StringComparer.Ordinal);
    private readonly HashSet<string> failing = new(StringComparer.Ordinal);

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
        get { lock (gate) return [.. failedTests]; }
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

    public void TestStarted(string name)
    {
        lock (gate) openTests.Add(name);
    }

    public void TestFailed(string name, string message)
    {
        lock (gate)
            if (failing.Add(name)) failedTests.Add(new(name, message));
    }

    /// <summary>Takes over the tests of a build that ended in an earlier run.</summary>
    public void RecallTests(int passed, int ignored, IEnumerable<FailedTest> failed)
    {
        lock (gate)
        {
            (PassedTests, IgnoredTests) = (passed, ignored);
            failedTests.AddRange(failed);
        }
    }

    public void TestIgnored(string name)
    {
        lock (gate)
        {
            openTests.Remove(name);
            IgnoredTests++;
        }
    }

    public void TestFinished(string name)
    {
        lock (gate)
        {
            if (openTests.Remove(name) && !failing.Contains(name)) PassedTests++;
            failing.Remove(name);
        }
    }

    /// <summary>For people, in one line: the status text, or the first problem, and the tests.</summary>
    public string Summary
    {
        get
        {
            // A terminal configuration's own word says more than that something before it failed.
            if (Problems.FirstOrDefault(problem => !problem.Identity.StartsWith(DependencyProblem, StringComparison.Ordinal)) is { } own) return own.Text;
            if (StatusText.Length > 0) return StatusText;
            if (Problems is [var before, ..]) return before.Text;
            var tests = PassedTests + FailedTests.Count + IgnoredTests;
            return tests == 0 ? "" : $"{PassedTests} tests passed" + (FailedTests.Count > 0 ? $", {FailedTests.Count} failed" : "") + (IgnoredTests > 0 ? $", {IgnoredTests} ignored" : "");
        }
    }
}
