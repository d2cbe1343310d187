using System.Diagnostics;
using System.Globalization;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Labels of what a step puts on an engine, and the clean-up of what a killed step left there.</summary>
public static class EngineLabels
{
    /// <summary>The step's name.</summary>
    public const string Step = "dev.cisteps.step";

    /// <summary>The chain's run, see <see cref="RunIdentity.Chain"/>.</summary>
    public const string Chain = "dev.cisteps.chain";

    /// <summary>The process that owns the thing: machine, process id, start.</summary>
    public const string Owner = "dev.cisteps.owner";

    /// <summary>Labels for things of this step.</summary>
    public static IReadOnlyDictionary<string, string> Of(StepContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var labels = new Dictionary<string, string>(StringComparer.Ordinal) { [Step] = context.Step, [Owner] = ThisProcess() };
        if (context.Run is { } run) labels[Chain] = run.Chain;
        return labels;
    }

    /// <summary>
    /// Removes containers and networks on the engine whose owner, a process of this machine, has ended without doing it.
    /// </summary>
    /// <returns>How many things were removed.</returns>
    public static async Task<int> SweepAsync(ContainerEngine engine, BuildLog log, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(engine);
        ArgumentNullException.ThrowIfNull(log);
        var removed = 0;
        var owned = new Dictionary<string, string?> { [Owner] = null };
        foreach (var container in await engine.ListContainersAsync(owned, cancel: cancel).ConfigureAwait(false))
        {
            if (!IsOrphan(container.Labels[Owner])) continue;
            log.Info(
                $"removing the container {container.Name} that a killed {container.Labels.GetValueOrDefault(Step, "step")} " +
                "left behind");
            await engine.RemoveContainerAsync(container.Id, cancel: cancel).ConfigureAwait(false);
            removed++;
        }
        foreach (var network in await engine.ListNetworksAsync(owned, cancel).ConfigureAwait(false))
        {
            if (!IsOrphan(network.Labels[Owner])) continue;
            await engine.RemoveNetworkAsync(network.Id, cancel).ConfigureAwait(false);
            removed++;
        }
        return removed;
    }

    /// <summary>This process as an owner.</summary>
    public static string ThisProcess()
    {
        using var process = Process.GetCurrentProcess();
        return $"{Environment.MachineName}/{process.Id}/{StartOf(process)}";
    }

    // Another machine's things on a shared engine are none of ours; a process id may have been given to somebody else since.
    private static bool IsOrphan(string owner)
    {
        if (owner.Split('/') is not [var machine, var id, var start]
            || machine != Environment.MachineName
            || !int.TryParse(id, CultureInfo.InvariantCulture, out var pid))
            return false;
        try
        {
            using var process = Process.GetProcessById(pid);
            return StartOf(process) != start;
        }
        catch (ArgumentException)
        {
            return true;
        }
        catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static string StartOf(Process process) =>
        process.StartTime.ToUniversalTime().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
}
