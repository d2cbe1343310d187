namespace CiSteps.Sandbox.Pods;

/// <summary>The image of the waiting program, made on demand: another sandbox may remove it when it stops.</summary>
internal static class PauseImage
{
    /// <summary>Marks all that were made: when two processes make it at once, the first one's loses its name.</summary>
    public const string Label = "dev.cisteps.sandbox.pause";

    /// <summary>Its name on the engine.</summary>
    public const string Reference = "ci-steps/sandbox-pause:2";

    private const int Attempts = 5;

    private static readonly SemaphoreSlim Making = new(1);

    /// <summary>Makes a container of it, and the image first where it is missing.</summary>
    public static async Task<string> CreateAsync(IContainerRuntime runtime, ContainerPlan plan, CancellationToken ct)
    {
        if (await TryAsync(last: false).ConfigureAwait(false) is { } made)
            return made;
        await Making.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                if (await TryAsync(last: attempt == Attempts).ConfigureAwait(false) is { } container)
                    return container;
                using var tar = PauseProgram.Tar();
                await runtime.ImportAsync(tar, Reference, "/pause", Label, ct).ConfigureAwait(false);
            }
        }
        finally
        {
            Making.Release();
        }

        async Task<string?> TryAsync(bool last)
        {
            try
            {
                return await runtime.CreateAsync(plan, ct).ConfigureAwait(false);
            }
            catch (RuntimeRefusalException e)
                when (!last && e.Message.Contains("No such image", StringComparison.OrdinalIgnoreCase))
            {
                return null;
            }
        }
    }
}
