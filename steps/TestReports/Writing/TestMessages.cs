using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;
using CiSteps.Hosting.Messages;
using CiSteps.Hosting.Options;

namespace CiSteps.TestReports;

/// <summary>Tells a finished run: to TeamCity as test messages, to a person as a few lines.</summary>
public static class TestMessages
{
    private const int MostShown = 20;

    /// <summary>Writes the totals and sends the run's tests; for people, writes what failed.</summary>
    public static void Send(BuildLog log, FinishedRun run)
    {
        ArgumentNullException.ThrowIfNull(log);
        ArgumentNullException.ThrowIfNull(run);
        log.Info($"{run.Title}: {run.Report.Totals} in {Durations.Show(run.Duration)}");
        if (log.IsForServer)
            foreach (var message in Of(run)) log.Send(message);
        else Show(log, run);
    }

    /// <summary>
    /// The test messages of a run, all with its flow id, suites opened and closed in order, names unique within their suite.
    /// </summary>
    public static IEnumerable<ServiceMessage> Of(FinishedRun run)
    {
        ArgumentNullException.ThrowIfNull(run);
        var flow = Flow(run.Title);
        var open = new Stack<string>();
        var used = new Dictionary<UInt128, int>();
        if (run.Report.Flaky > 0) yield return ServiceMessage.With("testRetrySupport", ("enabled", "true"), ("flowId", flow));
        foreach (var test in run.Report.Cases)
        {
            // TeamCity takes package and class from the test's own name, so a suite that only repeats the class is left out.
            string[] suites = [run.Title, .. test.Suites.Where(suite => suite != test.ClassName)];
            var current = open.Reverse().ToArray();
            var same = current.Zip(suites).TakeWhile(pair => pair.First == pair.Second).Count();
            for (var depth = current.Length; depth > same; depth--)
                yield return ServiceMessage.With("testSuiteFinished", ("name", open.Pop()), ("flowId", flow));
            foreach (var suite in suites.Skip(same))
            {
                open.Push(suite);
                yield return ServiceMessage.With("testSuiteStarted", ("name", suite), ("flowId", flow));
            }
            foreach (var message in Of(test, Unique(used, string.Join('\n', suites), test.FullName), flow)) yield return message;
        }
        while (open.Count > 0) yield return ServiceMessage.With("testSuiteFinished", ("name", open.Pop()), ("flowId", flow));
    }

    private static IEnumerable<ServiceMessage> Of(TestCase test, string name, string flow)
    {
        var duration = ((long)(test.Duration?.TotalMilliseconds ?? 0)).ToString(CultureInfo.InvariantCulture);
        if (test.Outcome == TestOutcome.Skipped || (test.IsFailure && !test.Fails))
        {
            yield return ServiceMessage.With("testIgnored", ("name", name),
                ("message", test.Tolerated is { } tolerated ? $"{tolerated}; it failed: {test.Message}" : test.SkipReason ?? ""),
                ("flowId", flow));
            yield break;
        }
        if (test.IsFlaky)
        {
            // With retry support on, the later success mutes this failure and both stay visible.
            yield return ServiceMessage.With("testStarted", ("name", name), ("captureStandardOutput", "false"), ("flowId", flow));
            yield return Failed(test, name, flow);
            yield return ServiceMessage.With("testFinished", ("name", name), ("duration", duration), ("flowId", flow));
        }
        yield return ServiceMessage.With("testStarted", ("name", name), ("captureStandardOutput", "false"), ("flowId", flow));
        if (test.IsFlaky)
            yield return ServiceMessage.With(
                "testMetadata",
                ("testName", name),
                ("name", "flaky"),
                ("value", $"passed on try {test.Attempts}"),
                ("flowId", flow));
        if (!string.IsNullOrEmpty(test.Output))
            yield return ServiceMessage.With("testStdOut", ("name", name), ("out", test.Output), ("flowId", flow));
        if (!string.IsNullOrEmpty(test.ErrorOutput))
            yield return ServiceMessage.With("testStdErr", ("name", name), ("out", test.ErrorOutput), ("flowId", flow));
        if (test.Fails) yield return Failed(test, name, flow);
        yield return ServiceMessage.With("testFinished", ("name", name), ("duration", duration), ("flowId", flow));
    }

    private static ServiceMessage Failed(TestCase test, string name, string flow) =>
        ServiceMessage.With(
            "testFailed",
            ("name", name),
            ("message", test.Message ?? "failed without a message"),
            ("details", test.Details ?? ""),
            ("flowId", flow));

    // A hash of each name, and not the name: a report may have millions.
    private static string Unique(Dictionary<UInt128, int> used, string suite, string name)
    {
        var key = Key(suite + "\n" + name);
        if (used.TryAdd(key, 1)) return name;
        string unique;
        // A test may really have the name that the second of a name would get.
        do unique = $"{name} ({(++used[key]).ToString(CultureInfo.InvariantCulture)})";
        while (!used.TryAdd(Key(suite + "\n" + unique), 1));
        return unique;
    }

    private static UInt128 Key(string text) =>
        BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string Flow(string title) =>
        "tests-" + string.Concat(title.Select(unit => char.IsAsciiLetterOrDigit(unit) ? unit : '-'));

    private static void Show(BuildLog log, FinishedRun run)
    {
        var notable = run.Report.Notable.ToList();
        var failing = notable.Where(test => test.Fails).ToList();
        foreach (var test in failing.Take(MostShown)) log.Info($"  failed: {test.Identity}{Indented(test.Message)}");
        if (failing.Count > MostShown) log.Info($"  … and {failing.Count - MostShown} more");
        foreach (var test in notable.Where(test => test.IsFlaky).Take(MostShown))
            log.Warning($"flaky: {test.Identity} passed on try {test.Attempts}{Indented(test.Message)}");
        foreach (var test in notable.Where(test => test.IsFailure && !test.Fails).Take(MostShown))
            log.Warning($"{test.Tolerated}: {test.Identity}{Indented(test.Message)}");
    }

    private static string Indented(string? text)
    {
        if (string.IsNullOrWhiteSpace(text)) return "";
        var lines = text.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return string.Concat(lines.Take(8).Select(line => "\n    " + line.TrimEnd())) + (lines.Length > 8 ? "\n    …" : "");
    }
}
