using System.Text.Encodings.Web;
using System.Text.Json;

namespace CiSteps.TestReports;

/// <summary>Writes runs in one normalised JSON form, whatever format they came from.</summary>
internal static class ResultsJson
{
    /// <summary>Writes to a stream, which is left open.</summary>
    public static void Write(Stream stream, IReadOnlyList<FinishedRun> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        using var json = new Utf8JsonWriter(
            stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteNumber("version", 1);
        json.WriteBoolean("succeeded", runs.All(run => run.Verdict.Succeeded));
        Totals(json, TestTotals.Sum(runs.Select(run => run.Report.Totals)));
        json.WriteStartArray("runs");
        foreach (var run in runs)
        {
            json.WriteStartObject();
            json.WriteString("subject", run.Subject);
            json.WriteString("name", run.Name);
            json.WriteBoolean("succeeded", run.Verdict.Succeeded);
            json.WriteString("reason", run.Verdict.Reason);
            json.WriteString("text", run.Verdict.Text);
            json.WriteNumber("durationMs", Math.Round(run.Duration.TotalMilliseconds));
            json.WriteString("format", run.Report.Format.Word());
            json.WriteString("source", run.Report.Source);
            Totals(json, run.Report.Totals);
            json.WriteStartArray("tests");
            foreach (var test in run.Report.Cases)
            {
                Case(json, test);
                // Memory stays flat however many tests there are.
                if (json.BytesPending > 1 << 20) json.Flush();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Totals(Utf8JsonWriter json, TestTotals totals)
    {
        json.WriteStartObject("totals");
        json.WriteNumber("passed", totals.Passed);
        json.WriteNumber("failed", totals.Failed);
        json.WriteNumber("skipped", totals.Skipped);
        json.WriteNumber("flaky", totals.Flaky);
        json.WriteNumber("tolerated", totals.Tolerated);
        json.WriteEndObject();
    }

    private static void Case(Utf8JsonWriter json, TestCase test)
    {
        json.WriteStartObject();
        json.WriteString("fullName", test.FullName);
        json.WriteString("name", test.Name);
        Text("class", test.ClassName);
        Text("method", test.Method);
        Text("file", test.File);
        if (test.Suites.Count > 0)
        {
            json.WriteStartArray("suites");
            foreach (var suite in test.Suites) json.WriteStringValue(suite);
            json.WriteEndArray();
        }
        json.WriteString("outcome", test.Outcome switch
        {
            TestOutcome.Passed => "passed",
            TestOutcome.Failed => "failed",
            TestOutcome.Error => "error",
            _ => "skipped",
        });
        if (test.Duration is { } duration) json.WriteNumber("durationMs", Math.Round(duration.TotalMilliseconds, 3));
        if (test.IsFlaky) json.WriteBoolean("flaky", true);
        if (test.Attempts > 1) json.WriteNumber("attempts", test.Attempts);
        Text("tolerated", test.Tolerated);
        Text("message", test.Message);
        Text("details", test.Details);
        Text("output", test.Output);
        Text("errorOutput", test.ErrorOutput);
        Text("skipReason", test.SkipReason);
        json.WriteEndObject();

        void Text(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value)) json.WriteString(name, value);
        }
    }
}
