using CiSteps.Cli.Chains;
using CiSteps.Hosting.Messages;

namespace CiSteps.Cli.Agents;

/// <summary>Reads a step's standard output as a server does: service messages change the build, everything else is its log.</summary>
internal sealed class MessageReader(BuildRun build, Action<string> log, Action<string> publish, Action progressed)
{
    private readonly Stack<string> blocks = new();
    private bool disabled;

    /// <summary>One line.</summary>
    /// <param name="line">Without its end.</param>
    /// <param name="isError">From the error stream: never a message.</param>
    public void Read(string line, bool isError)
    {
        if (isError || !line.Contains(ServiceMessage.Start, StringComparison.Ordinal))
        {
            log(Indent + line);
            return;
        }
        if (!ServiceMessage.TryParse(line, out var message))
        {
            log(Indent + line);
            log(Indent + "  (not a service message that a server could read)");
            return;
        }
        if (message.Name == "enableServiceMessages") disabled = false;
        else if (message.Name == "disableServiceMessages") disabled = true;
        else if (disabled) log(Indent + line);
        else Apply(message);
    }

    private string Indent => new(' ', 2 * blocks.Count);

    private void Apply(ServiceMessage message)
    {
        var name = message["name"] ?? "";
        switch (message.Name)
        {
            case "message":
                ApplyMessage(message);
                break;
            case "blockOpened":
                log(Indent + name);
                blocks.Push(name);
                break;
            case "blockClosed":
                // Closing an outer block closes those within.
                while (blocks.Contains(name) && blocks.Pop() != name)
                {
                }
                break;
            case "progressMessage" or "progressStart":
                build.Doing = message.Value ?? "";
                log(Indent + build.Doing);
                progressed();
                break;
            case "buildProblem":
                build.Fail(message["identity"] ?? "problem", message["description"] ?? "");
                log($"{Indent}problem {message["identity"]}: {message["description"]}");
                break;
            case "buildStatus":
                if (message["status"] == "FAILURE") build.Fail("build-status", message["text"] ?? "the step set the status to failure");
                if (message["text"] is { } text) build.StatusText = text.Replace("{build.status.text}", build.StatusText, StringComparison.Ordinal).Trim();
                log($"{Indent}status: {build.StatusText}");
                break;
            case "buildNumber":
                build.Number = (message.Value ?? "").Replace("{build.number}", build.Number, StringComparison.Ordinal);
                break;
            case "setParameter":
                build.SetParameter(name, message["value"] ?? "");
                log($"{Indent}parameter {name} = {message["value"]}");
                break;
            case "publishArtifacts":
                publish(message.Value ?? "");
                break;
            case "buildStop":
                build.StopComment = message["comment"] ?? "stopped by the step";
                log($"{Indent}stop: {build.StopComment}");
                break;
            case "testStarted":
                build.TestStarted(name);
                break;
            case "testFailed":
                build.TestFailed(name, message["message"] ?? "");
                log($"{Indent}test failed: {name}: {message["message"]}");
                break;
            case "testIgnored":
                build.TestIgnored(name);
                break;
            case "testFinished":
                build.TestFinished(name);
                break;
            case "testStdOut" or "testStdErr":
                log(Indent + message["out"]);
                break;
            case "buildStatisticValue":
                log($"{Indent}{message["key"]}: {message["value"]}");
                break;
            default:
                // Suites, flows, metadata, tags: nothing here depends on them.
                break;
        }
    }

    private void ApplyMessage(ServiceMessage message)
    {
        var status = message["status"];
        log(Indent + (status is null or "NORMAL" ? "" : status.ToLowerInvariant() + ": ") + message["text"]);
        if (message["errorDetails"] is { Length: > 0 } details) log(Indent + "  " + details);
        if (status == "ERROR" && build.Build["shouldFailBuildOnAnyErrorMessage"] == "true") build.Fail("error-message", message["text"] ?? "");
    }
}
