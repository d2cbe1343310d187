using CiSteps.Cli.Chains;
using CiSteps.Hosting.Messages;

namespace CiSteps.Cli.Agents;

/// <summary>
/// Reads a step's standard output as a server does: service messages change the build, everything else is its log.
/// </summary>
internal sealed class MessageReader(BuildRun build, Action<string> log, Action<string> publish, Action progressed)
{
    // What no flow is named for belongs to the build's own, and every other flow begins in it.
    private readonly Flow own = new("", null) { ForgivesEarlierTries = build.Build["supportTestRetry"] == "true" };
    private readonly Dictionary<string, Flow> flows = new(StringComparer.Ordinal);

    /// <summary>One line.</summary>
    /// <param name="line">Without its end.</param>
    /// <param name="isError">From the error stream: never a message.</param>
    public void Read(string line, bool isError)
    {
        if (isError || !line.Contains(ServiceMessage.Start, StringComparison.Ordinal))
        {
            log(own.Indent + line);
            return;
        }
        if (!ServiceMessage.TryParse(line, out var message))
        {
            log(own.Indent + line);
            log(own.Indent + "  (not a service message that a server could read)");
            return;
        }
        var flow = FlowOf(message);
        if (message.Name == "enableServiceMessages") flow.IsDisabled = false;
        else if (message.Name == "disableServiceMessages") flow.IsDisabled = true;
        else if (flow.IsDisabled ?? false) log(flow.Indent + line);
        else Apply(message, flow);
    }

    private Flow FlowOf(ServiceMessage message) => message["flowId"] is { Length: > 0 } id
        ? flows.TryGetValue(id, out var known) ? known : flows[id] = new Flow(id, FlowBefore(message))
        : own;

    private Flow FlowBefore(ServiceMessage message) =>
        message.Name == "flowStarted" && message["parent"] is { } parent && flows.TryGetValue(parent, out var known)
            ? known
            : own;

    private void Apply(ServiceMessage message, Flow flow)
    {
        var indent = flow.Indent;
        var name = message["name"] ?? "";
        switch (message.Name)
        {
            case "message":
                ApplyMessage(message, indent);
                break;
            case "blockOpened":
                log(indent + name);
                flow.Blocks.Push(name);
                break;
            case "blockClosed":
                Flow.Close(flow.Blocks, name);
                break;
            case "progressMessage" or "progressStart":
                build.Doing = message.Value ?? "";
                log(indent + build.Doing);
                progressed();
                break;
            case "buildProblem":
                build.Fail(message["identity"] ?? "problem", message["description"] ?? "");
                log($"{indent}problem {message["identity"]}: {message["description"]}");
                break;
            case "buildStatus":
                if (message["status"] == "FAILURE")
                    build.Fail("build-status", message["text"] ?? "the step set the status to failure");
                if (message["text"] is { } text)
                    build.StatusText = text.Replace("{build.status.text}", build.StatusText, StringComparison.Ordinal).Trim();
                log($"{indent}status: {build.StatusText}");
                break;
            case "buildNumber":
                build.Number = (message.Value ?? "").Replace("{build.number}", build.Number, StringComparison.Ordinal);
                break;
            case "setParameter":
                build.SetParameter(name, message["value"] ?? "");
                log($"{indent}parameter {name} = {message["value"]}");
                break;
            case "publishArtifacts":
                publish(message.Value ?? "");
                break;
            case "buildStop":
                build.StopComment = message["comment"] ?? "stopped by the step";
                log($"{indent}stop: {build.StopComment}");
                break;
            case "flowFinished":
                flows.Remove(flow.Id);
                break;
            case "testSuiteStarted":
                flow.Suites.Push(name);
                break;
            case "testSuiteFinished":
                Flow.Close(flow.Suites, name);
                break;
            case "testRetrySupport":
                flow.ForgivesEarlierTries = message["enabled"] == "true";
                break;
            case "testStarted":
                build.TestStarted(flow.Test(name));
                break;
            case "testFailed":
                build.TestFailed(flow.Test(name), message["message"] ?? "");
                log($"{indent}test failed: {name}: {message["message"]}");
                break;
            case "testIgnored":
                build.TestIgnored(flow.Test(name));
                break;
            case "testFinished":
                build.TestFinished(flow.Test(name), flow.ForgivesEarlierTries ?? false);
                break;
            case "testStdOut" or "testStdErr":
                log(indent + message["out"]);
                break;
            case "buildStatisticValue":
                log($"{indent}{message["key"]}: {message["value"]}");
                break;
            default:
                // Metadata, tags: nothing here depends on them.
                break;
        }
    }

    private void ApplyMessage(ServiceMessage message, string indent)
    {
        var status = message["status"];
        log(indent + (status is null or "NORMAL" ? "" : status.ToLowerInvariant() + ": ") + message["text"]);
        if (message["errorDetails"] is { Length: > 0 } details) log(indent + "  " + details);
        if (status == "ERROR" && build.Build["shouldFailBuildOnAnyErrorMessage"] == "true")
            build.Fail("error-message", message["text"] ?? "");
    }

    // What is open in one flow. Where nothing was said for a flow itself, what was said for the one around it counts.
    private sealed class Flow(string id, Flow? around)
    {
        private readonly string suitesAround = around is null ? "" : around.AllSuites;
        private bool? isDisabled;
        private bool? forgives;

        public string Id => id;

        public Stack<string> Blocks { get; } = new();

        public Stack<string> Suites { get; } = new();

        /// <summary>Whether messages are only text for now.</summary>
        public bool? IsDisabled
        {
            get => isDisabled ?? around?.IsDisabled;
            set => isDisabled = value;
        }

        /// <summary>Whether a test that passes is not a failure any more, although it failed in an earlier try.</summary>
        public bool? ForgivesEarlierTries
        {
            get => forgives ?? around?.ForgivesEarlierTries;
            set => forgives = value;
        }

        public string Indent => around?.Indent + new string(' ', 2 * Blocks.Count);

        public TestIdentity Test(string name) => new(id, AllSuites, name);

        // Closing an outer one closes those within.
        public static void Close(Stack<string> open, string name)
        {
            while (open.Contains(name) && open.Pop() != name)
            {
            }
        }

        private string AllSuites => suitesAround + string.Concat(Suites.Reverse().Select(suite => suite + "\n"));
    }
}
