namespace CiSteps.Images;

public sealed partial class RegistryClient
{
    /// <summary>How far the registry's clock was before ours at its last answer; null when no answer told the time.</summary>
    public TimeSpan? ClockDifference => connection.ClockDifference;

    /// <summary>Proves the right to push to a repository and leaves nothing there: an upload is begun and taken back.</summary>
    /// <exception cref="RegistryRefusalException">The registry does not take pushes there.</exception>
    /// <exception cref="Hosting.UsageException">The credentials do not suffice.</exception>
    public async Task TryPushAsync(ImageReference repository, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        RegistryRequest On(HttpMethod method, string path) =>
            new(method, repository.Host, repository.Path, path) { Actions = PushRights };
        var begun = await connection.SendAsync(
            On(HttpMethod.Post, $"/v2/{repository.Path}/blobs/uploads/") with { Content = [] }, cancel).ConfigureAwait(false);
        // A registry that cannot take it back forgets it by itself after a while.
        await connection.SendAsync(On(HttpMethod.Delete, UploadPlace(repository, begun).AbsoluteUri),
            cancel).ConfigureAwait(false);
    }
}
