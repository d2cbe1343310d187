using System.Globalization;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// Names this process so that another one can tell whether it still lives: namespace of process ids, id and start time.
/// </summary>
internal static class SandboxOwner
{
    public static string Current { get; } = Of(Environment.ProcessId);

    /// <summary>The name of a living process of this process namespace.</summary>
    public static string Of(int process) => $"{ProcessNamespace()}/{process}/{StartTicks(process)}";

    /// <summary>
    /// Whether the owner is surely gone. One of another process namespace cannot be judged and counts as alive.
    /// </summary>
    public static bool IsGone(string owner) =>
        owner.Split('/') is [var space, var id, var ticks] && space == ProcessNamespace()
        && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var process)
        && StartTicks(process)?.ToString(CultureInfo.InvariantCulture) != ticks;

    private static string ProcessNamespace() =>
        new FileInfo("/proc/self/ns/pid").LinkTarget?.Replace("pid:[", "", StringComparison.Ordinal).TrimEnd(']') ?? "";

    private static long? StartTicks(int process)
    {
        try
        {
            // The program's name may hold anything; fields are counted from behind its bracket.
            var text = File.ReadAllText($"/proc/{process}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            // A zombie holds its number and nothing else.
            return fields[0] == "Z" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
