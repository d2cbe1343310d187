using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// The ends of a pod's containers: noted when they end by themselves, stopped in order, removed with what they leave.
/// </summary>
/// <param name="context">The node's own.</param>
/// <param name="launcher">What started them.</param>
/// <param name="runs">The containers; may grow.</param>
/// <param name="node">The node's name, for events.</param>
internal sealed class ContainerEnds(
    KubeletContext context, ContainerLauncher launcher, IReadOnlyList<ContainerRun> runs, string node)
{
    /// <summary>Notes how a container ended; one that runs stays as it is.</summary>
    public async Task NoteAsync(ContainerRun run, CancellationToken ct)
    {
        var facts = await context.Runtime.InspectAsync(run.Id!, ct).ConfigureAwait(false);
        if (facts is { Running: true })
            return;
        await StopProbesAsync(run).ConfigureAwait(false);
        await launcher.NoteEndAsync(run, facts, ct).ConfigureAwait(false);
    }

    /// <summary>Ends a container's probes.</summary>
    public static async Task StopProbesAsync(ContainerRun run)
    {
        if (run.Probes is { } probes)
        {
            run.Probes = null;
            await probes.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Stops all that run, sidecars last, and notes their ends.</summary>
    public async Task StopAllAsync(JsonObject pod, TimeSpan grace, CancellationToken ct)
    {
        // Sidecars outlive the containers they serve.
        var running = runs.Where(r => r.State == RunState.Running).GroupBy(r => r.Role == ContainerRole.Sidecar);
        foreach (var group in running.OrderBy(g => g.Key))
        {
            await Task.WhenAll(group.Select(async run =>
            {
                await StopProbesAsync(run).ConfigureAwait(false);
                context.Events.Normal(pod, "Killing", $"Stopping container {run.Name}", ContainerLauncher.FieldPath(run), node);
                await launcher.StopAsync(run, grace, ct).ConfigureAwait(false);
                await NoteAsync(run, ct).ConfigureAwait(false);
            })).ConfigureAwait(false);
        }
    }

    /// <summary>Removes all containers, the ended ones of before too.</summary>
    public async Task RemoveAllAsync(CancellationToken ct)
    {
        foreach (var run in runs)
        {
            await StopProbesAsync(run).ConfigureAwait(false);
            foreach (var id in (string?[])[run.Id, run.PreviousId])
            {
                if (id is not null)
                    await context.Runtime.RemoveAsync(id, ct).ConfigureAwait(false);
            }
        }
    }
}
