using System.Text.RegularExpressions;

namespace CiSteps.Images;

/// <summary>An image could not be built: which instruction failed and what it said last.</summary>
/// <param name="instruction">The failing instruction; empty when the build did not come so far.</param>
/// <param name="text">The engine's own text.</param>
/// <param name="lastLines">The instruction's last lines of output.</param>
public sealed class ImageBuildException(string instruction, string text, IReadOnlyList<string> lastLines)
    : Exception(instruction.Length == 0 ? text : $"\"{instruction}\": {text}")
{
    /// <summary>The failing instruction; empty when the build did not come so far.</summary>
    public string Instruction { get; } = instruction;

    /// <summary>The engine's own text.</summary>
    public string EngineText { get; } = text;

    /// <summary>The instruction's last lines of output.</summary>
    public IReadOnlyList<string> LastLines { get; } = lastLines;
}

/// <summary>What a build said: lines for the log, the running instruction, how much came from the cache.</summary>
/// <param name="onLine">Gets each line.</param>
/// <param name="labels">Labels that are added to the image; the engine makes an instruction of each, which is none of the
/// Dockerfile's.</param>
internal sealed partial class BuildProgress(Action<string> onLine, IReadOnlyCollection<string> labels)
{
    private const int KeptLines = 20;
    private readonly Queue<string> last = new();
    private string rest = "";
    private bool isCounted;
    private bool isTold = true;

    /// <summary>The instruction that runs.</summary>
    public string Instruction { get; private set; } = "";

    public int Steps { get; private set; }

    public int Cached { get; private set; }

    public IReadOnlyList<string> LastLines => [.. last];

    public void Add(string text)
    {
        // Output comes in pieces; a line is whole when its end has come.
        rest += text;
        while (rest.IndexOf('\n', StringComparison.Ordinal) is var end and >= 0)
        {
            Line(rest[..end].TrimEnd('\r'));
            rest = rest[(end + 1)..];
        }
    }

    public void End()
    {
        if (rest.Length > 0) Line(rest);
        rest = "";
    }

    private void Line(string line)
    {
        // The engine colours the error stream; colours are not content.
        line = Colour().Replace(line, "");
        if (line.Length == 0) return;
        if (StepLine().Match(line) is { Success: true } step)
        {
            Instruction = step.Groups[1].Value;
            var isOurs = labels.Any(label => Instruction.StartsWith($"LABEL {label}=", StringComparison.Ordinal));
            isCounted = !isOurs && !Instruction.StartsWith("FROM ", StringComparison.OrdinalIgnoreCase);
            if (isCounted) Steps++;
            last.Clear();
            // Six lines per label that nobody wrote tell nobody anything.
            isTold = !isOurs;
            if (isTold) onLine(line);
            return;
        }
        isTold |= line.StartsWith("Successfully", StringComparison.Ordinal);
        if (isTold) onLine(line);
        if ((line == " ---> Using cache" || line.StartsWith("--> Using cache ", StringComparison.Ordinal)) && isCounted) Cached++;
        if (line.StartsWith(" ---> ", StringComparison.Ordinal)
            || line.StartsWith("--> ", StringComparison.Ordinal)
            || line.StartsWith("Removing intermediate container", StringComparison.Ordinal))
            return;
        last.Enqueue(line);
        if (last.Count > KeptLines) last.Dequeue();
    }

    [GeneratedRegex(@"\e\[[0-9;]*m")]
    private static partial Regex Colour();

    // podman writes it in capitals.
    [GeneratedRegex(@"^(?:Step|STEP) \d+/\d+ ?: (.*)$")]
    private static partial Regex StepLine();
}
