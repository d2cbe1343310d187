using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>One test run of one component: clears old reports, runs, reads, runs failed tests again, judges, tells.</summary>
internal sealed class TestRunner(StepContext context, ChainRun run, ITestCommands commands, ComponentDefinition component, TestRunDefinition definition, ReportOwners owners)
{
    private readonly string title = component.UnitTests.Count == 1 ? component.Name : $"{component.Name} {definition.Name}";
    private readonly ReportFormat format = ReportFormats.Parse(definition.Format);
    private readonly ReportFiles files = new(context.WorkTree, definition.Reports);

    public async Task<FinishedRun> RunAsync(CancellationToken cancel)
    {
        var started = context.Time.GetTimestamp();
        using var limit = new CancellationTokenSource(definition.TimeLimit, context.Time);
        var attempt = await AttemptAsync(definition.Command, [], limit.Token, cancel);
        var report = TestReport.Join(title, Quarantine.Apply(attempt.Reports, definition.Quarantine, Today));
        var verdict = attempt.Stopped ?? TestVerdict.Of(attempt.Exit, attempt.Reports.Count == 0 ? [] : [report]);
        if (verdict.Reason == "tests-failed" && definition.Retry is { } retry)
        {
            if (RetryFilter.WhyNot(retry, report) is { } whyNot) context.Log.Info($"{title}: {whyNot}");
            else verdict = TestVerdict.Of(attempt.Exit, [report = await RetryAsync(retry, report, limit.Token, cancel)]);
        }
        if (verdict.Reason is "runner-crashed" or "no-report" && attempt.LastLines.Length > 0)
            verdict = verdict with { Text = $"{verdict.Text}; its last output: {attempt.LastLines}" };
        verdict = Quarantine.Explain(verdict, report, definition.Quarantine, Today);
        var finished = new FinishedRun(component.Name, component.UnitTests.Count == 1 ? "" : definition.Name, report, verdict, context.Time.GetElapsedTime(started));
        TestMessages.Send(context.Log, finished);
        if (!verdict.Succeeded) context.Log.Warning($"{title}: {verdict.Text}");
        foreach (var text in Quarantine.Remarks(report, definition.Quarantine, Today)) context.Log.Warning($"{title}: {text}");
        return finished;
    }

    private DateOnly Today => DateOnly.FromDateTime(context.Time.GetUtcNow().UtcDateTime);

    private async Task<TestReport> RetryAsync(RetryDefinition retry, TestReport report, CancellationToken limit, CancellationToken cancel)
    {
        for (var number = 2; number <= retry.Attempts; number++)
        {
            var failing = report.Failing;
            if (failing.Count == 0) break;
            context.Log.Info($"{title}: try {number} of {retry.Attempts} of {failing.Count} failed tests");
            var ran = new List<TestCase>();
            if (!await TryAsync(RetryFilter.Narrow(retry, definition.Command, failing), failing, number, ran, limit, cancel)) break;
            var missed = failing.ExceptBy(ran.Select(test => test.Identity), test => test.Identity).ToList();
            if (missed.Count > 0 && RetryFilter.Widen(retry, definition.Command, missed) is { } wider && !await TryAsync(wider, missed, number, ran, limit, cancel)) break;
            if (ran.Count == 0)
            {
                context.Log.Warning($"{title}: try {number} ran none of the failed tests; check \"retry\" of its unit tests in {run.Change.Source}");
                break;
            }
            var seen = ran.ToLookup(test => test.Identity);
            report = report.WithFailures(test => test.Fails ? After(test, seen[test.Identity], number) : test);
        }
        return report;
    }

    // Collects those of the wanted tests that ran again. A try is believed as a first run is: a runner that crashes, or ends with an error although all passed, is not.
    private async Task<bool> TryAsync(CommandDefinition command, IReadOnlyList<TestCase> wanted, int number, List<TestCase> ran, CancellationToken limit, CancellationToken cancel)
    {
        var again = await AttemptAsync(command, wanted, limit, cancel);
        var worth = again.Stopped ?? TestVerdict.Of(again.Exit, again.Reports);
        if (worth.Reason is not ("passed" or "tests-failed" or "no-tests" or "no-report"))
        {
            context.Log.Warning($"{title}: try {number} proves nothing: {worth.Text}");
            return false;
        }
        var names = wanted.Select(test => test.Identity).ToHashSet(StringComparer.Ordinal);
        ran.AddRange(again.Reports.SelectMany(report => report.Cases).Where(test => test.Outcome != TestOutcome.Skipped && names.Contains(test.Identity)));
        return true;
    }

    private static TestCase After(TestCase failed, IEnumerable<TestCase> again, int number)
    {
        var ran = again.ToList();
        if (ran.Count == 0) return failed;
        // The first failure's message stays: it is what somebody has to look into.
        return ran.TrueForAll(test => test.Outcome == TestOutcome.Passed)
            ? failed with { Outcome = TestOutcome.Passed, IsFlaky = true, Attempts = number }
            : failed with { Attempts = number };
    }

    private async Task<Attempt> AttemptAsync(CommandDefinition command, IReadOnlyList<TestCase> only, CancellationToken limit, CancellationToken cancel)
    {
        // What the run before, or the try before, of this component wrote.
        files.DeleteLeftovers(path => IsTracked(path) || owners.Other(component, path) is not null);
        var began = context.Time.GetUtcNow();
        var output = new OutputReport(definition.Reports.Count == 0 ? format : ReportFormat.Auto, $"the output of {title}", context.WorkTree);
        var last = new LastLines();
        using var silence = new CancellationTokenSource();
        using var timer = context.Time.CreateTimer(_ => silence.Cancel(), null, definition.SilenceLimit, Timeout.InfiniteTimeSpan);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit, silence.Token);
        var exit = 0;
        TestVerdict? stopped = null;
        string? running = null;
        try
        {
            exit = await commands.RunAsync(command, Environment(only), (line, _) =>
            {
                output.Add(line);
                if (OutputReport.Readable(line) is not { } text) return;
                last.Add(text);
                context.Log.Child($"[{title}] {text}");
            }, () => timer.Change(definition.SilenceLimit, Timeout.InfiniteTimeSpan), stop.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            running = output.RunningTest;
            var culprit = running is not null ? $"; \"{running}\" was running"
                : output.EndedTest is { } ended ? $"; the last test that ended was \"{ended}\"" : "";
            stopped = limit.IsCancellationRequested
                ? new TestVerdict(false, "time-limit", $"stopped after its time limit of {Durations.Show(definition.TimeLimit)}{culprit}")
                : new TestVerdict(false, "silent", $"stopped after {Durations.Show(definition.SilenceLimit)} without output{culprit}");
        }
        IReadOnlyList<TestReport> reports = definition.Reports.Count > 0 ? [.. files.Read(format, began).Select(Owned)]
            : output.Finish() is { } inOutput ? [inOutput] : [];
        // So that the test's own history shows it, and not only the build's problem.
        if (running is not null && !reports.Any(report => report.Notable.Any(test => test.Fails && test.FullName == running)))
            reports = [.. reports, new TestReport(title, format, [new TestCase([], null, running, TestOutcome.Error) { Message = stopped!.Text }])];
        return new Attempt(exit, reports, stopped, last.ToString());
    }

    private TestReport Owned(TestReport report) => owners.Other(component, report.Source) is { } other
        ? TestReport.Broken(report.Source, format, ReportFaultKind.NotAReport, $"the report globs of \"{component.Name}\" and \"{other}\" both name \"{report.Source}\", so nobody can tell whose it is; make them narrower in {run.Change.Source}")
        : report;

    private bool IsTracked(string path) => run.Repository.ObjectId(run.Identity.Commit, path) is not null;

    private Dictionary<string, string> Environment(IReadOnlyList<TestCase> only)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["CISTEPS_COMPONENT"] = component.Name,
            ["CISTEPS_TEST_RUN"] = definition.Name,
            ["CISTEPS_BRANCH"] = run.Identity.Branch,
            ["CISTEPS_COMMIT"] = run.Identity.Commit,
            ["CISTEPS_BUILD_NUMBER"] = run.Identity.BuildNumber,
            ["CI"] = "true",
        };
        // Components may share pytest's root: each has a cache of its own, in which --last-failed looks.
        if (definition.Retry is { Framework: "pytest" })
            variables["PYTEST_ADDOPTS"] = $"{context.Settings.Environment.GetValueOrDefault("PYTEST_ADDOPTS")} -o \"cache_dir={Path.Combine(context.WorkTree, ".ci-steps", "pytest", component.Name, definition.Name)}\"".TrimStart();
        // For commands that narrow themselves down on a further try.
        if (only.Count > 0) variables["CISTEPS_FAILED_TESTS"] = string.Join('\n', only.Select(test => test.FullName));
        return variables;
    }

    private sealed record Attempt(int Exit, IReadOnlyList<TestReport> Reports, TestVerdict? Stopped, string LastLines);

    // What a runner says last before it dies is mostly why.
    private sealed class LastLines
    {
        private readonly Queue<string> lines = new();

        public void Add(string line)
        {
            if (string.IsNullOrWhiteSpace(line)) return;
            lock (lines)
            {
                lines.Enqueue(line.Trim() is { Length: > 200 } longLine ? longLine[..200] + "…" : line.Trim());
                if (lines.Count > 3) lines.Dequeue();
            }
        }

        public override string ToString()
        {
            lock (lines) return string.Join(" / ", lines);
        }
    }
}
