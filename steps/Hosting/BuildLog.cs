using System.Globalization;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Messages;

namespace CiSteps.Hosting;

/// <summary>
/// Where a step speaks. On a build server it writes service messages, for a person plain or coloured lines. Registered secrets
/// never pass, and no child's output is read as a service message.
/// </summary>
public sealed class BuildLog
{
    private const int LongestProblem = 4000;
    private const int LongestIdentity = 60;

    private readonly TextWriter output;
    private readonly bool forServer;
    private readonly TimeProvider time;
    private readonly Terminal terminal;
    private readonly SecretMask mask;
    private readonly Lock gate = new();
    private readonly (BuildLog Whole, string Name, string Flow)? part;
    private int depth;
    private bool isUnwritable;

    /// <summary>A log over a writer.</summary>
    /// <param name="output">Where lines go; the build server reads it.</param>
    /// <param name="forServer">Write service messages (inside TeamCity) instead of text for people.</param>
    /// <param name="coloured">Use terminal colours; only for people.</param>
    /// <param name="time">The clock of the times in service messages, and of the elapsed times shown to people.</param>
    /// <param name="mask">Secrets to hide.</param>
    public BuildLog(TextWriter output, bool forServer, bool coloured = false, TimeProvider? time = null, SecretMask? mask = null)
    {
        (this.output, this.forServer) = (output, forServer);
        this.time = time ?? TimeProvider.System;
        this.mask = mask ?? new SecretMask();
        terminal = new Terminal(output, coloured, this.time);
    }

    private BuildLog(BuildLog whole, string name, string flow)
        : this(TextWriter.Null, whole.forServer, coloured: false, whole.time, whole.mask) => part = (whole, name, flow);

    /// <summary>A log that goes nowhere.</summary>
    public static BuildLog Silent { get; } = new(TextWriter.Null, forServer: false);

    /// <summary>Whether service messages are written.</summary>
    public bool IsForServer => forServer;

    /// <summary>The secrets hidden from this log.</summary>
    public SecretMask Mask => mask;

    /// <summary>A log for one of several things that go on at the same time: lines stay apart by a name before each, service
    /// messages by a flow.</summary>
    /// <param name="name">Shown to people.</param>
    /// <param name="flow">The flow's name; a message that has its own keeps it.</param>
    public BuildLog Part(string name, string flow) => new(this, name, flow);

    /// <summary>One line of what the step does.</summary>
    public void Info(string text) => Lines(text, Ink.Plain);

    /// <summary>Something that a person should know although the step goes on.</summary>
    public void Warning(string text)
    {
        if (forServer) Write(ServiceMessage.With("message", ("text", text), ("status", "WARNING")));
        else Lines("warning: " + text, Ink.Yellow);
    }

    /// <summary>What the step waits for or works on now; shown as the build's current state.</summary>
    public void Progress(string text)
    {
        if (forServer) Write(ServiceMessage.Of("progressMessage", text));
        else Lines(text, Ink.Cyan);
    }

    /// <summary>A foldable block; dispose it to close it.</summary>
    public IDisposable Block(string name)
    {
        if (forServer) Write(ServiceMessage.With("blockOpened", ("name", name)));
        else Lines(name, Ink.Bold);
        lock (gate) depth++;
        return new OpenBlock(this, name);
    }

    /// <summary>The one reason why the build fails. The text is cut at TeamCity's 4,000 characters, the identity at 60.</summary>
    public void Problem(string identity, string text)
    {
        if (forServer)
            Write(ServiceMessage.With("buildProblem",
                ("description", Cut(mask.Apply(text), LongestProblem)), ("identity", Cut(identity, LongestIdentity))));
        else Lines($"{identity}: {text}", Ink.Red);
    }

    /// <summary>The build's status text.</summary>
    public void Status(string text)
    {
        if (forServer) Write(ServiceMessage.With("buildStatus", ("text", text)));
        else Lines(text, Ink.Green);
    }

    /// <summary>Hands a value to dependent builds; the configuration must define the parameter.</summary>
    public void SetParameter(string name, string value)
    {
        if (forServer) Write(ServiceMessage.With("setParameter", ("name", name), ("value", value)));
    }

    /// <summary>A number for the build server's charts.</summary>
    public void Statistic(string key, double value)
    {
        if (forServer)
            Write(ServiceMessage.With(
                "buildStatisticValue", ("key", key), ("value", value.ToString("0.######", CultureInfo.InvariantCulture))));
    }

    /// <summary>Publishes files while the step still runs: a cancelled build publishes nothing later.</summary>
    /// <param name="rule">Artifact rule, <c>path =&gt; target</c>.</param>
    public void Publish(string rule)
    {
        if (forServer) Write(ServiceMessage.Of("publishArtifacts", rule));
    }

    /// <summary>Any other message; nothing is written for people.</summary>
    public void Send(ServiceMessage message)
    {
        if (forServer) Write(message);
    }

    /// <summary>One line of a child's output, as it is, but never a service message.</summary>
    public void ProcessOutput(string line)
    {
        if (!forServer) Lines(line, Ink.Grey, "| ");
        else if (line.Contains("##teamcity", StringComparison.OrdinalIgnoreCase))
            Write(ServiceMessage.With("message", ("text", line)));
        else if (part is not null) Lines(line, Ink.Plain);
        else WriteLine(mask.Apply(line));
    }

    private static string Cut(string text, int longest) => text.Length <= longest ? text : text[..(longest - 1)] + "…";

    private void Lines(string text, Ink ink, string prefix = "")
    {
        text = mask.Apply(text);
        if (!forServer)
        {
            if (part is { } whole) whole.Whole.Lines(text, ink, $"[{whole.Name}] {new string(' ', 2 * depth)}{prefix}");
            else Speak(() => terminal.Write(new string(' ', 2 * depth) + prefix, text, ink));
            return;
        }
        foreach (var line in text.ReplaceLineEndings("\n").Split('\n'))
        {
            if (part is { } own) own.Whole.Lines($"[{own.Name}] {line}", ink);
            // Our own text may quote a child's: the same rule holds for it.
            else WriteLine(line.Contains("##teamcity", StringComparison.OrdinalIgnoreCase)
                ? ServiceMessage.With("message", ("text", line)).ToString() : line);
        }
    }

    // What is passed on from a log in front of this one keeps the time at which it was said.
    private void Write(ServiceMessage message)
    {
        if (part is { } own)
        {
            // A message of the short form has no place for a flow; what is published is a path.
            own.Whole.Write(message.Value is not null
                ? message.Name == "progressMessage" ? message with { Value = $"[{own.Name}] {message.Value}" } : message
                : message["flowId"] is not null
                    ? message
                    : message with { Attributes = [.. message.Attributes, new("flowId", own.Flow)] });
            return;
        }
        var attributes = message.Attributes
            .Select(pair => new KeyValuePair<string, string>(pair.Key, mask.Apply(pair.Value)))
            .ToList();
        if (message.Value is null && message["timestamp"] is null)
            attributes.Add(new("timestamp", ServiceMessage.Timestamp(time.GetLocalNow())));
        WriteLine((message with
        {
            Value = message.Value is null ? null : mask.Apply(message.Value),
            Attributes = attributes
        }).ToString());
    }

    private void WriteLine(string line) => Speak(() =>
    {
        output.WriteLine(line);
        output.Flush();
    });

    private void Speak(Action write)
    {
        lock (gate)
        {
            try
            {
                write();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // A full disk or a closed output is not a verdict: exit code and evidence say how the step ended.
                SayUnwritable(failure.Message);
            }
        }
    }

    private void SayUnwritable(string why)
    {
        if (isUnwritable) return;
        isUnwritable = true;
        try
        {
            Console.Error.WriteLine($"warning: the log cannot be written, and lacks lines: {why}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Then nobody listens.
        }
    }

    private sealed class OpenBlock(BuildLog log, string name) : IDisposable
    {
        private bool closed;

        public void Dispose()
        {
            if (closed) return;
            closed = true;
            lock (log.gate) log.depth--;
            if (log.forServer) log.Write(ServiceMessage.With("blockClosed", ("name", name)));
        }
    }
}
