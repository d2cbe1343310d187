using System.Globalization;
using CiSteps.Images;

namespace CiSteps.Chain.Tests;

/// <summary>What a run may have left behind.</summary>
internal static class Leftovers
{
    /// <summary>
    /// Containers and networks of sandboxes, by name. What belongs to another living process is that one's: other tests use the
    /// engine, too.
    /// </summary>
    public static async Task<IReadOnlyList<string>> OnEngineAsync()
    {
        using var engine = await ContainerEngine.ConnectAsync();
        var ours = new Dictionary<string, string?> { ["dev.cisteps.sandbox"] = null };
        var containers = (await engine.ListContainersAsync(ours)).Where(container => !IsAnothers(container.Labels));
        var networks = (await engine.ListNetworksAsync(ours)).Where(network => !IsAnothers(network.Labels));
        return [.. containers.Select(container => container.Name), .. networks.Select(network => network.Name)];
    }

    // The owner is named by its namespace of process ids, its id and when it started, in ticks: the 20th field behind its
    // program's name.
    private static bool IsAnothers(IReadOnlyDictionary<string, string> labels)
    {
        if (labels.GetValueOrDefault("dev.cisteps.sandbox.owner")?.Split('/') is not [_, var process, var started]) return false;
        if (process == Environment.ProcessId.ToString(CultureInfo.InvariantCulture)) return false;
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ') is { } fields && fields[0] != "Z" && fields[19] == started;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Command lines of the processes that have a folder on theirs.</summary>
    public static IReadOnlyList<string> Processes(string folder) =>
        [.. Directory.EnumerateDirectories("/proc")
            .Where(process => int.TryParse(Path.GetFileName(process), out _))
            .Select(CommandLine)
            .Where(line => line.Contains(folder, StringComparison.Ordinal))];

    private static string CommandLine(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline")).Replace('\0', ' ');
        }
        catch (IOException)
        {
            // It ended meanwhile.
            return "";
        }
    }
}
