using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>One test run of one component: clears old reports, runs, reads, runs failed tests again, judges, tells.</summary>
internal sealed class TestRunner(
    StepContext context,
    ChainRun run,
    ITestCommands commands,
    ComponentDefinition component,
    TestRunDefinition definition,
    ReportOwners owners)
{
    private readonly string title = component.UnitTests.Count == 1 ? component.Name : $"{component.Name} {definition.Name}";
    private readonly ReportFormat format = ReportFormats.Parse(definition.Format);
    private readonly ReportFiles files = new(context.WorkTree, definition.Reports);
    private readonly bool isTolerant = definition.Retry is not null || definition.Quarantine.Count > 0;
    private readonly Runner runner = Runner.Of(definition);
    private CommandDefinition command = definition.Command;

    public async Task<FinishedRun> RunAsync(CancellationToken cancel)
    {
        var started = context.Time.GetTimestamp();
        using var limit = new CancellationTokenSource(definition.TimeLimit, context.Time);
        if (isTolerant) command = GoingOn();
        var first = await AttemptAsync(command, [], limit.Token, cancel);
        var report = TestReport.Join(title, first.Reports);
        var verdict = first.Stopped ?? TestVerdict.Of(first.Exit, first.Reports.Count == 0 ? [] : [report]);
        verdict = WithLastLines(verdict, first);
        if (runner.Name == "maven" && first.Exit == 0 && verdict.Reason is "passed" or "disagreement"
            && first.Notes.FailedBuild is { } line)
            verdict = Red(
                "disagreement",
                $"{(report.Failed > 0 ? verdict.Text + "; " : "")}the command ended with exit code 0, " +
                    $"although Maven's build failed: it says \"{line}\"; let it run without --fail-never");
        else if (CanBeExcused(first, verdict)) (report, verdict) = await ExcuseAsync(first, report, verdict, limit.Token, cancel);
        else if (verdict.Succeeded && report.Totals.Tolerated > 0)
            (report, verdict) = await ExcuseZeroAsync(first, report, verdict, limit.Token, cancel);
        verdict = Quarantine.Explain(verdict, report, definition.Quarantine, Today);
        var finished = new FinishedRun(
            component.Name,
            component.UnitTests.Count == 1 ? "" : definition.Name,
            report,
            verdict,
            context.Time.GetElapsedTime(started));
        TestMessages.Send(context.Log, finished);
        if (!verdict.Succeeded) context.Log.Warning($"{title}: {verdict.Text}");
        foreach (var text in Quarantine.Remarks(report, definition.Quarantine, Today)) context.Log.Warning($"{title}: {text}");
        return finished;
    }

    // Where failures may be excused the runner has to go on after one, or nobody knows how the rest would have ended.
    private CommandDefinition GoingOn()
    {
        // In the work tree, where a container sees it too.
        var script = Path.Combine(context.WorkTree, ".ci-steps", "gradle", "go-on.gradle");
        var changed = runner.GoingOn(definition.Command, script, isNamed: definition.Retry?.Framework is not null);
        const string flags = "GOFLAGS";
        // In a container the agent's own variables are not set.
        var given = changed.Environment.GetValueOrDefault(flags)
            ?? (changed.Image is null ? context.Options.Environment.GetValueOrDefault(flags) : null);
        if (given is not null && Runner.WithoutFailFast(given) is var kept && kept != given)
        {
            changed = changed with { Environment = new Dictionary<string, string>(changed.Environment) { [flags] = kept } };
            context.Log.Info($"{title}: runs with {flags}=\"{kept}\", so that all tests run although some may fail");
        }
        if (changed.Run.SequenceEqual(definition.Command.Run)) return changed;
        if (changed.Run.Any(word => word.Contains(script, StringComparison.Ordinal)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(script)!);
            File.WriteAllText(script, Runner.GradleScript);
        }
        context.Log.Info($"{title}: runs as {string.Join(' ', changed.Run)}, so that all tests run although some may fail");
        return changed;
    }

    // A report that is whole, of a command that ended by itself, with failures.
    private bool CanBeExcused(Attempt first, TestVerdict verdict) => isTolerant && first.Stopped is null &&
        (verdict.Reason is "tests-failed" || verdict.Reason is "disagreement"
            && first.Reports.Any(report => report.Notable.Any(test => test.IsFailure)));

    // An excused failure explains the one exit code that says "tests failed", and that only where everything else ran and nothing
    // else failed.
    private async Task<(TestReport Report, TestVerdict Verdict)> ExcuseAsync(Attempt first, TestReport report,
        TestVerdict verdict, CancellationToken limit, CancellationToken cancel)
    {
        var tolerated = report.Notable.Where(test => test.Tolerated is not null).ToList();
        var zero = runner.EndsWithZero(command);
        if (zero && first.Exit != 0)
            return (report, Red("disagreement", $"the command ended with exit code {first.Exit}, although it goes on after " +
                "failed tests and ends with 0 then: something besides tests " +
                $"failed{(first.Notes.OutsideTests is { } told ? $" ({told})" : "")}"));
        if (zero && report.Failed > 0) verdict = Red("tests-failed", TestVerdict.Of(1, [report]).Text);
        // Exit code 0 although failures count.
        if (verdict.Reason != "tests-failed" && report.Failed > 0) return (report, verdict);
        if (!zero && first.Exit != 0 && !runner.SaysTestsFailed(first.Exit, report))
            return (report, verdict with
            {
                Text = $"{verdict.Text}; exit code {first.Exit} says more than that tests failed, so nothing excuses it"
            });
        // What a program that is not known left out is seen in a whole run of it that is green.
        var wholeRunTells = runner.Name.Length == 0 && CommandLine.IsOne(command) && definition.Retry is not null;
        if (!zero && first.Exit != 0 && !wholeRunTells && runner.WhyNotItsOwn(command, context.WorkTree) is { } notOwn)
            return (report, verdict with
            {
                Text = $"{verdict.Text}; exit code {first.Exit} of this command explains no failed " +
                $"test: {notOwn}; let \"run\" start the test runner alone, and other programs in a run of their own"
            });
        if (report.Failed > 0 && definition.Retry is { } retry)
        {
            if (RetryFilter.WhyNot(retry, report) is { } whyNot) context.Log.Info($"{title}: {whyNot}");
            else report = await RetryAsync(retry, report, limit, cancel);
        }
        if (report.Failed > 0) return (report, Red("tests-failed", TestVerdict.Of(1, [report]).Text));
        if (first.Notes.OutsideTests is { } besides)
            return (report, Red("disagreement", $"the command ended with exit code {first.Exit}, and not for its failed tests " +
                $"alone; it says \"{besides}\""));
        if (Unreached(first) is { } unreached)
            return (report, Incomplete(unreached));
        var green = TestVerdict.Of(0, [report]);
        // That the tool itself called the failed tests green, in a run of their own, says that nothing else keeps it from that.
        if (!green.Succeeded || zero || runner.SaysOnlyThat(first.Exit, report)) return (report, green);
        if (tolerated.Count == 0) return runner.TryTellsAll ? (report, green) : await WholeAsync(report, green, limit, cancel);
        // A flaky test may hide the rest of its file as one in quarantine does.
        var excused = runner.TryTellsAll ? tolerated
            : [.. tolerated, .. report.Notable.Where(test => test.IsFlaky && test.Tolerated is null)];
        return await WithoutAsync(excused, $"exit code {first.Exit}", report, green, limit, cancel);
    }

    // The command says by itself that its failed tests fail nothing. That says that all tests ran only where it is the runner's
    // own
    // word: a script may have ended with 0 whatever it left out.
    private async Task<(TestReport Report, TestVerdict Verdict)> ExcuseZeroAsync(Attempt first, TestReport report,
        TestVerdict green, CancellationToken limit, CancellationToken cancel)
    {
        if (Unreached(first) is { } unreached) return (report, Incomplete(unreached));
        if (runner.WhyNotItsOwn(command, context.WorkTree) is not { } notOwn) return (report, green);
        var tolerated = report.Notable.Where(test => test.Tolerated is not null).ToList();
        if (RetryFilter.Exclude(runner, command, tolerated) is null)
            return (report, Red("incomplete", $"exit code 0 of this command does not say that all tests ran although " +
                $"\"{tolerated[0].FullName}\" failed: {notOwn}; let \"run\" start the test runner alone"));
        return await WithoutAsync(tolerated, "exit code 0 of a script", report, green, limit, cancel);
    }

    // A program that is not known, or a runner that hides that a test file ended early, may have left something out after its
    // failed
    // tests, and a run of just those does not show it.
    private async Task<(TestReport Report, TestVerdict Verdict)> WholeAsync(TestReport report, TestVerdict green,
        CancellationToken limit, CancellationToken cancel)
    {
        context.Log.Info($"{title}: once more as a whole, because what stands behind the failed tests may never have run");
        var whole = await AttemptAsync(command, [], limit, cancel);
        var worth = WithLastLines(whole.Stopped ?? TestVerdict.Of(whole.Exit, whole.Reports), whole);
        if (worth.Succeeded && Unreached(whole) is null) return (WithUnseen(report, whole.Reports), green);
        return (WithNewFailures(report, whole.Reports),
            Red(
                worth.Succeeded ? "incomplete" : worth.Reason,
                "the failed tests pass by themselves, but what stands behind them may " +
                    $"never have run, and a further run of everything was not green: {worth.Text}"));
    }

    private string? Unreached(Attempt first)
    {
        if (first.Notes.Left is { } left) return left;
        var all = first.Reports.Sum(report => report.Totals.All);
        if (runner.Name == "pytest" && first.Notes.Collected > all)
            return $"pytest collected {first.Notes.Collected} tests, and its report has {all}";
        // surefire's skipAfterFailureCount.
        return first.Reports.SelectMany(report => report.Cases).FirstOrDefault(test => test.SkipReason is { } reason
            && reason.Contains("StoppedByUserException", StringComparison.Ordinal)) is { } unrun
                ? $"surefire left out \"{unrun.FullName}\" after a failed test" : runner.Stops(command);
    }

    // Where the exit code could mean something else than the tolerated failures, the same command without them has to be green.
    private async Task<(TestReport Report, TestVerdict Verdict)> WithoutAsync(IReadOnlyList<TestCase> excused, string code,
        TestReport report, TestVerdict green, CancellationToken limit, CancellationToken cancel)
    {
        if (RetryFilter.Exclude(runner, command, excused) is not { } without)
            return (report, Red("disagreement", $"the command ended with {code}, which may mean more than that " +
                $"\"{excused[0].FullName}\" failed in quarantine, and nothing proves that it does not; " +
                $"let the command end with 0 when only tests failed, or give the framework under \"retry\" in " +
                    $"{run.Change.Source}"));
        context.Log.Info($"{title}: once more without the tests in quarantine, because {code} may mean more than " +
            "that they failed");
        var rest = await AttemptAsync(without, [], limit, cancel);
        var worth = WithLastLines(rest.Stopped ?? TestVerdict.Of(rest.Exit, rest.Reports), rest);
        var names = excused.Select(test => test.Identity).ToHashSet(StringComparer.Ordinal);
        // Were they run all the same, the run would say no more than the first.
        if (worth.Reason is "passed" or "disagreement" && rest.Reports.SelectMany(one => one.Cases).FirstOrDefault(test =>
            test.Outcome != TestOutcome.Skipped && names.Contains(test.Identity)) is { } ranAgain)
            return (WithNewFailures(report, rest.Reports), Red("incomplete", "the run without the tests in quarantine ran " +
                $"\"{ranAgain.FullName}\" all the same, so it proves nothing; let \"run\" start the test runner alone"));
        if (worth.Succeeded) return (WithUnseen(report, rest.Reports), green);
        return (WithNewFailures(report, rest.Reports),
            Red(worth.Reason, $"without the tests in quarantine the command fails too: {worth.Text}" +
                (runner.Name == "node" && rest.Exit == 9
                    ? "; Node has --test-skip-pattern, which this needs, from 22.1 on"
                    : "")));
    }

    // What a runner says last before it dies is mostly why.
    private static TestVerdict WithLastLines(TestVerdict verdict, Attempt of) =>
        verdict.Reason is "runner-crashed" or "no-report" && of.LastLines.Length > 0
            ? verdict with { Text = $"{verdict.Text}; its last output: {of.LastLines}" } : verdict;

    private static TestVerdict Incomplete(string unreached) =>
        Red("incomplete", $"what stands behind the failed tests may never have run: {unreached}; let the command run all " +
            "tests, so that what fails there is seen");

    private static TestVerdict Red(string reason, string text) => new(false, reason, text);

    // What passed before, or was not there, and fails now.
    private static TestReport WithNewFailures(TestReport report, IReadOnlyList<TestReport> later)
    {
        var known = report.Notable.Where(test => test.IsFailure).Select(test => test.Identity).ToHashSet(StringComparer.Ordinal);
        var added = later.SelectMany(one => one.Failing).Where(test => !known.Contains(test.Identity)).ToList();
        return added.Count == 0 ? report
            : TestReport.Join(report.Source, [report, new TestReport(report.Source, report.Format, added)]);
    }

    // What the first run did not come to, and a green run did.
    private static TestReport WithUnseen(TestReport report, IReadOnlyList<TestReport> later)
    {
        var known = report.Cases.Select(test => test.Identity).ToHashSet(StringComparer.Ordinal);
        var added = later.SelectMany(one => one.Cases)
            .Where(test => test.Outcome == TestOutcome.Passed && !known.Contains(test.Identity))
            .ToList();
        return added.Count == 0 ? report
            : TestReport.Join(report.Source, [report, new TestReport(report.Source, report.Format, added)]);
    }

    private DateOnly Today => DateOnly.FromDateTime(context.Time.GetUtcNow().UtcDateTime);

    private async Task<TestReport> RetryAsync(
        RetryDefinition retry, TestReport report, CancellationToken limit, CancellationToken cancel)
    {
        for (var number = 2; number <= retry.Attempts; number++)
        {
            var failing = report.Failing;
            if (failing.Count == 0) break;
            context.Log.Info($"{title}: try {number} of {retry.Attempts} of {failing.Count} failed tests");
            var ran = new List<TestCase>();
            var others = new List<TestReport>();
            var believed = await TryAsync(RetryFilter.Narrow(retry, command, failing), failing, number, ran, others, limit,
                cancel);
            var missed = failing.ExceptBy(ran.Select(test => test.Identity), test => test.Identity).ToList();
            if (believed && missed.Count > 0 && RetryFilter.Widen(retry, command, missed) is { } wider)
                believed = await TryAsync(wider, missed, number, ran, others, limit, cancel);
            // A test that passed at first and fails now, beside those that were asked for, is a failure like any other.
            var again = failing.Select(test => test.Identity).ToHashSet(StringComparer.Ordinal);
            report = WithNewFailures(report,
                [.. others.Select(one => one with { Cases = [.. one.Failing.Where(test => !again.Contains(test.Identity))] })]);
            if (!believed) break;
            if (ran.Count == 0)
            {
                context.Log.Warning(
                    $"{title}: try {number} ran none of the failed tests; check \"retry\" of its unit tests in " +
                    $"{run.Change.Source}");
                break;
            }
            var seen = ran.ToLookup(test => test.Identity);
            report = report.WithFailures(test => test.Fails ? After(test, seen[test.Identity], number) : test);
        }
        return report;
    }

    // Collects those of the wanted tests that ran again. A try is believed as a first run is: a runner that crashes, or ends with
    // an error although all passed, is not.
    private async Task<bool> TryAsync(CommandDefinition narrowed, IReadOnlyList<TestCase> wanted, int number, List<TestCase> ran,
        List<TestReport> all, CancellationToken limit, CancellationToken cancel)
    {
        var again = await AttemptAsync(narrowed, wanted, limit, cancel);
        all.AddRange(again.Reports);
        var worth = again.Stopped ?? TestVerdict.Of(again.Exit, again.Reports);
        var said = worth.Reason switch
        {
            "passed" or "no-tests" or "no-report" => true,
            "tests-failed" => !runner.EndsWithZero(narrowed)
                && runner.SaysTestsFailed(again.Exit, TestReport.Join(title, again.Reports)),
            "disagreement" => runner.EndsWithZero(narrowed) && again.Exit == 0,
            _ => false,
        };
        if (!said)
        {
            context.Log.Warning($"{title}: try {number} proves nothing: {worth.Text}{(worth.Reason == "tests-failed"
                ? $" (exit code {again.Exit})" : "")}");
            return false;
        }
        var names = wanted.Select(test => test.Identity).ToHashSet(StringComparer.Ordinal);
        ran.AddRange(again.Reports
            .SelectMany(report => report.Cases)
            .Where(test => test.Outcome != TestOutcome.Skipped && names.Contains(test.Identity)));
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

    private async Task<Attempt> AttemptAsync(CommandDefinition attempted, IReadOnlyList<TestCase> only, CancellationToken limit,
        CancellationToken cancel)
    {
        // What the run before, or the try before, of this component wrote.
        files.DeleteLeftovers(path => IsTracked(path) || owners.Other(component, path) is not null);
        var start = files.Begin();
        var output = new OutputReport(
            definition.Reports.Count == 0 ? format : ReportFormat.Auto, $"the output of {title}", context.WorkTree);
        var last = new LastLines();
        var notes = new RunnerNotes();
        using var silence = new CancellationTokenSource();
        using var timer = context.Time.CreateTimer(
            _ => silence.Cancel(), null, definition.SilenceLimit, Timeout.InfiniteTimeSpan);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit, silence.Token);
        var exit = 0;
        TestVerdict? stopped = null;
        string? running = null;
        try
        {
            exit = await commands.RunAsync(attempted, Environment(only), (line, _) =>
            {
                output.Add(line);
                if (OutputReport.Readable(line) is not { } text) return;
                last.Add(text);
                notes.Add(text);
                context.Log.ProcessOutput($"[{title}] {text}");
            }, () => timer.Change(definition.SilenceLimit, Timeout.InfiniteTimeSpan), stop.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            running = output.RunningTest;
            var culprit = running is not null ? $"; \"{running}\" was running"
                : output.EndedTest is { } ended ? $"; the last test that ended was \"{ended}\"" : "";
            stopped = limit.IsCancellationRequested
                ? new TestVerdict(false, "time-limit",
                    $"stopped after its time limit of {Durations.Show(definition.TimeLimit)}{culprit}")
                : new TestVerdict(false, "silent",
                    $"stopped after {Durations.Show(definition.SilenceLimit)} without output{culprit}");
        }
        IReadOnlyList<TestReport> reports = definition.Reports.Count > 0 ? [.. files.Read(format, start).Select(Owned)]
            : output.Finish() is { } inOutput ? [inOutput] : [];
        if (exit == 0 && stopped is null && reports.Count > 0) reports = [TestReport.Join(title, reports).WithLaterPasses()];
        // So that the test's own history shows it, and not only the build's problem.
        if (running is not null && !reports.Any(report => report.Notable.Any(test => test.Fails && test.FullName == running)))
            reports = [
                .. reports,
                new TestReport(title, format, [new TestCase([], null, running, TestOutcome.Error) { Message = stopped!.Text }])
            ];
        return new Attempt(exit, Quarantine.Apply(reports, definition.Quarantine, Today), stopped, last.ToString(), notes);
    }

    private TestReport Owned(TestReport report) => owners.Other(component, report.Source) is { } other
        ? TestReport.Broken(report.Source, format, ReportFaultKind.NotAReport,
            $"the report globs of \"{component.Name}\" and \"{other}\" both name \"{report.Source}\", " +
            $"so nobody can tell whose it is; make them narrower in {run.Change.Source}")
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
            variables["PYTEST_ADDOPTS"] =
                $"{context.Options.Environment.GetValueOrDefault("PYTEST_ADDOPTS")} -o \"cache_dir={Path.Combine(
                    context.WorkTree, ".ci-steps", "pytest", component.Name, definition.Name)}\"".TrimStart();
        // For commands that narrow themselves down on a further try.
        if (only.Count > 0) variables["CISTEPS_FAILED_TESTS"] = string.Join('\n', only.Select(test => test.FullName));
        return variables;
    }

    private sealed record Attempt(int Exit, IReadOnlyList<TestReport> Reports, TestVerdict? Stopped, string LastLines,
        RunnerNotes Notes);

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
