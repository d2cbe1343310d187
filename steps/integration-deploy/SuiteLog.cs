using System.Text;
using CiSteps.Hosting;
using CiSteps.Hosting.Messages;

namespace CiSteps.IntegrationDeploy;

/// <summary>A log of one suite's own inside the step's: lines of suites that run at the same time stay apart by a prefix, service messages by a flow.</summary>
internal static class SuiteLog
{
    public static BuildLog For(StepContext context, string suite) =>
        new(new Lines(context.Log, suite), context.Log.IsForServer, coloured: false, context.Time, context.Log.Mask);

    private sealed class Lines(BuildLog outer, string suite) : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value)
        {
            var line = value ?? "";
            if (outer.IsForServer && ServiceMessage.TryParse(line, out var message))
            {
                // A message of the short form (progress, artifacts) has no place for a flow.
                if (message.Value is not null) outer.Send(message.Name == "progressMessage" ? message with { Value = $"[{suite}] {message.Value}" } : message);
                else outer.Send(message["flowId"] is not null ? message : message with { Attributes = [.. message.Attributes, new("flowId", "suite-" + suite)] });
                return;
            }
            // The outer log shows the elapsed time itself ("  12.3s ").
            var text = !outer.IsForServer && line.IndexOf("s ", StringComparison.Ordinal) is > 0 and < 12 and var at ? line[(at + 2)..] : line;
            outer.Info($"[{suite}] {text}");
        }

        public override void Write(char value)
        {
            // The log writes whole lines only.
        }
    }
}
