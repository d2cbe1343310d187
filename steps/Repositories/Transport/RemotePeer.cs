using LibGit2Sharp;

namespace CiSteps.Repositories.Transport;

/// <summary>The other side of all exchanges with one remote: where it is, by which rights, and how its silence is
/// borne.</summary>
internal sealed class RemotePeer : IDisposable
{
    private readonly Func<Configuration> configuration;
    private HttpConnection? http;

    /// <param name="address">The address as the clone reads from it, with what stands in it.</param>
    /// <param name="folder">The clone.</param>
    /// <param name="configuration">Git's configuration as it is now.</param>
    /// <param name="access">Rights for https; null for none.</param>
    /// <param name="silence">How long the other side may say nothing.</param>
    /// <param name="time">The clock of that.</param>
    public RemotePeer(
        string address, string folder, Func<Configuration> configuration, RemoteAccess? access, TimeSpan silence,
        TimeProvider time) =>
        (Address, Folder, this.configuration, Access, Silence, Time) = (address, folder, configuration, access, silence, time);

    public string Address { get; }

    public string Url => OriginRemote.WithoutCredentials(Address);

    public string Folder { get; }

    public RemoteAccess? Access { get; }

    public TimeSpan Silence { get; }

    public TimeProvider Time { get; }

    /// <summary>Connections that stay open between exchanges, and the rights that were accepted.</summary>
    public HttpConnection Http => http ??= new HttpConnection(this);

    /// <summary>A value of git's configuration; null when it is not set.</summary>
    public string? Configured(string key) => configuration().Get<string>(key)?.Value is { Length: > 0 } value ? value : null;

    /// <inheritdoc/>
    public void Dispose() => http?.Dispose();
}
