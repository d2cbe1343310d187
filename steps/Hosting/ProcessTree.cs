using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace CiSteps.Hosting;

/// <summary>
/// Ends a child with all that it started. Parents alone do not tell that: who made a session of its own, or lost its parent, is
/// found by a mark in its environment.
/// </summary>
internal sealed class ProcessTree
{
    /// <summary>The variable with the mark.</summary>
    public const string Variable = "CISTEPS_PROCESS_TREE";

    // A process may start another while the list is read; after a few rounds nothing of it is left.
    private const int MostRounds = 20;

    private readonly string mark = Guid.NewGuid().ToString("N");

    /// <summary>What only this child and its descendants have in their environment.</summary>
    public string Own => mark;

    /// <summary>Marks a child before it starts; what it starts inherits the mark.</summary>
    public void Mark(ProcessStartInfo start)
    {
        KeepMark(start);
        start.Environment[Variable] = start.Environment.TryGetValue(Variable, out var outer) ? $"{outer}:{mark}" : mark;
    }

    /// <summary>Leaves the mark that this process has itself on a child, whose environment may be without it: whoever set it must
    /// find all below as well.</summary>
    public static void KeepMark(ProcessStartInfo start)
    {
        if (start.Environment.TryGetValue(Variable, out var given) && !string.IsNullOrEmpty(given)) return;
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } outer) start.Environment[Variable] = outer;
        else start.Environment.Remove(Variable);
    }

    /// <summary>Kills the child and everything that carries the mark.</summary>
    public void End(Process child)
    {
        Kill(child);
        for (var round = 0; round < MostRounds && Marked() is { Count: > 0 } left; round++)
            foreach (var id in left)
            {
                try
                {
                    using var process = Process.GetProcessById(id);
                    Kill(process);
                }
                catch (ArgumentException)
                {
                    // It has ended by itself meanwhile.
                }
            }
    }

    /// <summary>
    /// Ends what carries the mark although the child itself has ended; gives back what it was, by name and number.
    /// </summary>
    public IReadOnlyList<string> EndRest()
    {
        var names = new SortedSet<string>(StringComparer.Ordinal);
        for (var round = 0; round < MostRounds && Marked() is { Count: > 0 } left; round++)
            foreach (var id in left)
            {
                try
                {
                    using var process = Process.GetProcessById(id);
                    var name = process.ProcessName;
                    if (process.HasExited) continue;
                    names.Add($"{name} ({id})");
                    Kill(process);
                }
                catch (Exception error) when (error is ArgumentException or InvalidOperationException or Win32Exception)
                {
                    // It has ended by itself meanwhile.
                }
            }
        return [.. names];
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception error) when (error is Win32Exception or InvalidOperationException or AggregateException)
        {
            // Ended already, or somebody else's: the mark finds what can be ended.
        }
    }

    // Only Linux shows environments; elsewhere the parents have to do.
    private List<int> Marked()
    {
        var found = new List<int>();
        if (!OperatingSystem.IsLinux()) return found;
        var wanted = Encoding.ASCII.GetBytes(mark);
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id)) continue;
            try
            {
                if (File.ReadAllBytes(folder + "/environ").AsSpan().IndexOf(wanted) >= 0) found.Add(id);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // Ended meanwhile, or another user's.
            }
        }
        return found;
    }
}
