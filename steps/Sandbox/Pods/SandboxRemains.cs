using CiSteps.Hosting;

namespace CiSteps.Sandbox.Pods;

/// <summary>Removes what a sandbox has on this machine: when it stops, or after its process was killed.</summary>
internal static class SandboxRemains
{
    public const string SessionLabel = "dev.cisteps.sandbox.session";
    public const string OwnerLabel = "dev.cisteps.sandbox.owner";
    public const string FolderLabel = "dev.cisteps.sandbox.folder";

    // Another process may remove the same at the same time; then it goes soon.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    // The clusters of one process start together, and one sweep is enough for all: the others find nothing.
    private static readonly SemaphoreSlim Sweeping = new(1);

    /// <summary>A session's folder on this host.</summary>
    public static string FolderOf(string session) => Path.Combine(Path.GetTempPath(), "ci-steps-sandbox", session);

    /// <summary>A session's folder in the host's memory; null where there is no such file system.</summary>
    public static string? MemoryFolderOf(string session) =>
        Directory.Exists("/dev/shm") ? Path.Combine("/dev/shm", $"ci-steps-{session}") : null;

    /// <summary>Makes a folder that only its owner can enter.</summary>
    public static void MakePrivate(string folder)
    {
        Directory.CreateDirectory(folder);
        HostFiles.SetMode(folder, 0x1c0);
    }

    /// <summary>Removes everything on the engine that sandboxes of dead processes left.</summary>
    /// <exception cref="UnavailableException">The engine does not remove some of it.</exception>
    public static async Task SweepAsync(IContainerRuntime runtime, CancellationToken ct)
    {
        await Sweeping.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            var left = (await runtime.ListAsync(OwnerLabel, ct).ConfigureAwait(false)).Select(c => c.Labels)
                .Concat((await runtime.ListNetworksAsync(OwnerLabel, ct).ConfigureAwait(false)).Select(n => n.Labels))
                .Where(l => SandboxOwner.IsGone(l[OwnerLabel]))
                .Select(l => (Session: l.GetValueOrDefault(SessionLabel) ?? "", Folder: l.GetValueOrDefault(FolderLabel) ?? ""))
                .Distinct().ToList();
            foreach (var (session, folder) in left)
                await RemoveAsync(runtime, session, folder).ConfigureAwait(false);
        }
        catch (Exception e) when (e is RuntimeRefusalException or IOException)
        {
            throw new UnavailableException("engine", $"what a killed sandbox left cannot be removed: {e.Message}", e);
        }
        finally
        {
            Sweeping.Release();
        }
    }

    /// <summary>
    /// Removes a session: its containers, its folders, its network. Without a token, because what is being stopped is removed to
    /// the end.
    /// </summary>
    public static async Task RemoveAsync(IContainerRuntime runtime, string session, string folder)
    {
        var label = $"{SessionLabel}={session}";
        var containers = await runtime.ListAsync(label, CancellationToken.None).ConfigureAwait(false);
        // Those that only lend their network go last.
        await Task.WhenAll(containers
            .Where(c => c.Labels.ContainsKey(KubeletContext.ContainerLabel))
            .Select(c => runtime.RemoveAsync(c.Id, CancellationToken.None))).ConfigureAwait(false);
        await Task.WhenAll(containers
            .Where(c => !c.Labels.ContainsKey(KubeletContext.ContainerLabel))
            .Select(c => runtime.RemoveAsync(c.Id, CancellationToken.None))).ConfigureAwait(false);
        // The label is text from the engine: nothing outside the two places is ever removed.
        if (Path.IsPathRooted(folder) && Path.GetDirectoryName(Path.GetFullPath(folder)) == FolderOf(""))
            await RemoveFolderAsync(folder).ConfigureAwait(false);
        if (session.Length > 0 && Path.GetFileName(session) == session && MemoryFolderOf(session) is { } memory)
            await RemoveFolderAsync(memory).ConfigureAwait(false);
        // Last, because its label is how the rest is found.
        foreach (var network in await runtime.ListNetworksAsync(label, CancellationToken.None).ConfigureAwait(false))
        {
            await UntilAsync(() => runtime.RemoveNetworkAsync(network.Id, CancellationToken.None),
                e => e is RuntimeRefusalException
                    && e.Message.Contains("has active endpoints", StringComparison.Ordinal)).ConfigureAwait(false);
        }
    }

    /// <summary>Removes a folder, though somebody else may be removing it too.</summary>
    internal static Task RemoveFolderAsync(string folder) => UntilAsync(() =>
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        return Task.CompletedTask;
    }, e => e is IOException);

    private static async Task UntilAsync(Func<Task> work, Func<Exception, bool> passes)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                await work().ConfigureAwait(false);
                return;
            }
            catch (Exception e) when (passes(e) && TimeProvider.System.GetElapsedTime(start) < Patience)
            {
                await Task.Delay(Look, TimeProvider.System, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }
}
