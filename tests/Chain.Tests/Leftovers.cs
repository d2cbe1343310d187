using CiSteps.Images;

namespace CiSteps.Chain.Tests;

/// <summary>What a run may have left behind.</summary>
internal static class Leftovers
{
    /// <summary>Containers and networks of sandboxes, by name.</summary>
    public static async Task<IReadOnlyList<string>> OnEngineAsync()
    {
        using var engine = await ContainerEngine.ConnectAsync();
        var ours = new Dictionary<string, string?> { ["dev.cisteps.sandbox"] = null };
        return [.. (await engine.ListContainersAsync(ours)).Select(container => container.Name), .. (await engine.ListNetworksAsync(ours)).Select(network => network.Name)];
    }

    /// <summary>Command lines of the processes that have a folder on theirs.</summary>
    public static IReadOnlyList<string> Processes(string folder) =>
        [.. Directory.EnumerateDirectories("/proc").Where(process => int.TryParse(Path.GetFileName(process), out _)).Select(CommandLine).Where(line => line.Contains(folder, StringComparison.Ordinal))];

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
