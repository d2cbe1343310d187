namespace CiSteps.Sandbox.Pods;

/// <summary>The image of the waiting program, made on demand: another sandbox may remove it when it stops.</summary>
internal static class PauseImage
{
    public const string Reference = "ci-steps/sandbox-pause:1";

    /// <summary>Makes a container of it, and the image first where it is missing.</summary>
    public static async Task<string> CreateAsync(IContainerRuntime runtime, ContainerPlan plan, CancellationToken ct)
    {
        try
        {
            return await runtime.CreateAsync(plan, ct).ConfigureAwait(false);
        }
        catch (RuntimeRefusalException e) when (e.Message.Contains("No such image", StringComparison.OrdinalIgnoreCase))
        {
            using var tar = PauseProgram.Tar();
            await runtime.ImportAsync(tar, Reference, "/pause", ct).ConfigureAwait(false);
            return await runtime.CreateAsync(plan, ct).ConfigureAwait(false);
        }
    }
}
