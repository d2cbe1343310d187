namespace CiSteps.Sandbox.Api;

/// <summary>Something that runs as long as the cluster does: a controller, a scheduler, a kubelet.</summary>
internal interface IClusterComponent
{
    /// <summary>
    /// Works until cancelled; may set <see cref="ClusterApi.Pods"/>. Returning early or throwing ends the component only.
    /// </summary>
    Task RunAsync(ClusterApi api, CancellationToken cancel);
}
