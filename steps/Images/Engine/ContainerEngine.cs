using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using CiSteps.Hosting;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace CiSteps.Images;

/// <summary>The local container engine (Docker's API). The engine's refusals are <see cref="EngineRefusalException"/>, its silence is <see cref="UnavailableException"/> "engine".</summary>
public sealed partial class ContainerEngine : IDisposable
{
    private readonly DockerClient client;
    private readonly Uri endpoint;

    private ContainerEngine(DockerClient client, Uri endpoint) => (this.client, this.endpoint) = (client, endpoint);

    /// <summary>Finds the engine and asks whether it answers.</summary>
    /// <param name="host"><c>unix://</c>, <c>tcp://</c> or <c>npipe://</c> address; null: <c>DOCKER_HOST</c>, else this machine's socket.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="UsageException">The address is none.</exception>
    /// <exception cref="UnavailableException">No engine answers there.</exception>
    public static Task<ContainerEngine> ConnectAsync(string? host = null, CancellationToken cancel = default) => ConnectAsync(host, StepHost.ProcessEnvironment(), cancel);

    /// <summary>Finds the engine that an environment names (<c>DOCKER_HOST</c>, <c>DOCKER_TLS_VERIFY</c>, <c>DOCKER_CERT_PATH</c>) and asks whether it answers.</summary>
    /// <exception cref="UsageException">The address is none, or the certificates cannot be read.</exception>
    /// <exception cref="UnavailableException">No engine answers there.</exception>
    public static Task<ContainerEngine> ConnectToAsync(IReadOnlyDictionary<string, string> environment, CancellationToken cancel = default) => ConnectAsync(null, environment, cancel);

    private static async Task<ContainerEngine> ConnectAsync(string? host, IReadOnlyDictionary<string, string> environment, CancellationToken cancel)
    {
        var address = host is { Length: > 0 } ? host
            : environment.GetValueOrDefault("DOCKER_HOST") is { Length: > 0 } variable ? variable : DefaultAddress(environment);
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("unix" or "npipe" or "tcp" or "http" or "https"))
            throw new UsageException($"\"{address}\" is no address of a container engine; DOCKER_HOST takes unix:///var/run/docker.sock or tcp://host:port");
        var certificates = uri.Scheme is "tcp" or "https" ? EngineCertificates.Find(environment) : null;
        var engine = new ContainerEngine(certificates is null
            ? new DockerClientBuilder().WithEndpoint(uri).Build()
            : new DockerClientBuilder().WithEndpoint(new UriBuilder(uri) { Scheme = "https" }.Uri).WithAuthProvider(certificates)
                .WithTransportOptions(new Docker.DotNet.NativeHttp.NativeHttpTransportOptions { ConfigureHandler = certificates.Configure }).Build(), uri);
        try
        {
            await engine.CallAsync(() => engine.client.System.PingAsync(cancel), cancel).ConfigureAwait(false);
            return engine;
        }
        catch
        {
            engine.Dispose();
            throw;
        }
    }

    /// <summary>Whether the engine runs on this machine, so that its containers see this machine's files.</summary>
    public bool IsLocal => endpoint.Scheme is "unix" or "npipe" || endpoint.IsLoopback;

    /// <summary>The engine's version; a much smaller question than <see cref="DescribeAsync"/>.</summary>
    public async Task<string> VersionAsync(CancellationToken cancel = default) =>
        (await CallAsync(() => client.System.GetVersionAsync(cancel), cancel).ConfigureAwait(false)).Version ?? "";

    /// <summary>What the engine says of itself.</summary>
    public async Task<EngineDescription> DescribeAsync(CancellationToken cancel = default)
    {
        var version = await CallAsync(() => client.System.GetVersionAsync(cancel), cancel).ConfigureAwait(false);
        var info = await CallAsync(() => client.System.GetSystemInfoAsync(cancel), cancel).ConfigureAwait(false);
        return new EngineDescription(endpoint.ToString(), IsLocal, version.Version ?? "", version.APIVersion ?? "", info.OSType ?? version.Os ?? "",
            info.Architecture ?? version.Arch ?? "", (int)info.NCPU, info.MemTotal, [.. info.SecurityOptions ?? []]) { DataFolder = info.DockerRootDir ?? "" };
    }

    /// <summary>What happens on the engine from now on (or from <paramref name="since"/>), until cancelled.</summary>
    /// <param name="label">Only of things with this label, <c>name</c> or <c>name=value</c>; null: of all.</param>
    /// <param name="since">Replays what happened from then on; so nothing between a listing and the stream is missed.</param>
    /// <param name="cancel">Ends the stream.</param>
    /// <exception cref="UnavailableException">The engine ended the stream.</exception>
    public async IAsyncEnumerable<EngineEvent> EventsAsync(string? label = null, DateTimeOffset? since = null, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var events = Channel.CreateUnbounded<EngineEvent>(new UnboundedChannelOptions { SingleReader = true });
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var parameters = new ContainerEventsParameters { Filters = label is null ? [] : Filter("label", label) };
        if (since is { } from) parameters.Since = Timestamp(from);
        var reading = ReadAsync();
        try
        {
            await foreach (var happened in events.Reader.ReadAllAsync(cancel).ConfigureAwait(false)) yield return happened;
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
        }

        async Task ReadAsync()
        {
            Exception? end = null;
            try
            {
                await CallAsync(() => client.System.MonitorEventsAsync(parameters, new Synchronous<Message>(message => events.Writer.TryWrite(ToEvent(message))), ending.Token),
                    ending.Token).ConfigureAwait(false);
                end = new UnavailableException("engine", "the container engine ended its event stream; is it being restarted?");
            }
            catch (OperationCanceledException) when (ending.IsCancellationRequested)
            {
                // The reader has gone.
            }
            catch (Exception failure) when (failure is UnavailableException or EngineRefusalException)
            {
                end = failure;
            }
            events.Writer.TryComplete(end);
        }
    }

    /// <inheritdoc />
    public void Dispose() => client.Dispose();

    private static string DefaultAddress(IReadOnlyDictionary<string, string> environment)
    {
        if (OperatingSystem.IsWindows()) return "npipe://./pipe/docker_engine";
        const string usual = "/var/run/docker.sock";
        // A rootless engine listens in the user's own runtime folder.
        if (!File.Exists(usual) && environment.GetValueOrDefault("XDG_RUNTIME_DIR") is { Length: > 0 } folder && File.Exists(Path.Combine(folder, "docker.sock")))
            return "unix://" + Path.Combine(folder, "docker.sock");
        return "unix://" + usual;
    }

    private static EngineEvent ToEvent(Message message) => new(message.Type ?? "", message.Action ?? "", message.Actor?.ID ?? "",
        message.Actor?.Attributes?.AsReadOnly() ?? new Dictionary<string, string>().AsReadOnly(),
        message.TimeNano is { } nanoseconds ? DateTimeOffset.UnixEpoch.AddTicks(nanoseconds / 100)
            : message.Time is { } seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds) : DateTimeOffset.UnixEpoch);

    private static Dictionary<string, IDictionary<string, bool>> Filter(string name, params IEnumerable<string> values) =>
        new() { [name] = values.ToDictionary(value => value, _ => true) };

    private static Dictionary<string, IDictionary<string, bool>> LabelFilter(IReadOnlyDictionary<string, string?> labels) =>
        labels.Count == 0 ? [] : Filter("label", labels.Select(label => label.Value is null ? label.Key : $"{label.Key}={label.Value}"));

    private static string Timestamp(DateTimeOffset time)
    {
        var ticks = (time - DateTimeOffset.UnixEpoch).Ticks;
        return $"{ticks / TimeSpan.TicksPerSecond}.{ticks % TimeSpan.TicksPerSecond * 100:000000000}";
    }

    private async Task CallAsync(Func<Task> call, CancellationToken cancel) =>
        await CallAsync(async () =>
        {
            await call().ConfigureAwait(false);
            return true;
        }, cancel).ConfigureAwait(false);

    // A null in the vendor's parameters (hence the "!" where they are filled) leaves the value out of the request.

    // The one place where the vendor's exceptions become ours.
    private async Task<T> CallAsync<T>(Func<Task<T>> call, CancellationToken cancel)
    {
        try
        {
            return await call().ConfigureAwait(false);
        }
        catch (DockerApiException refusal)
        {
            throw new EngineRefusalException((int)refusal.StatusCode, TextOf(refusal), refusal);
        }
        // The vendor's socket opener gathers one failure for each address of a name.
        catch (Exception failure) when (failure is HttpRequestException or SocketException or IOException or TimeoutException or AggregateException { InnerException: SocketException }
            || (failure is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            throw Silence(failure);
        }
    }

    private UnavailableException Silence(Exception failure)
    {
        var cause = failure;
        while (cause.InnerException is { } inner) cause = inner;
        var todo = cause is SocketException { SocketErrorCode: SocketError.AccessDenied }
            ? "add this user to the group that owns the socket (docker), or run as root"
            : "start it (systemctl start docker), or set DOCKER_HOST to where one listens";
        return new UnavailableException("engine", $"no container engine answers at \"{endpoint}\": {cause.Message}; {todo}", failure);
    }

    // {"message":"…"} in an answer's body.
    private static string TextOf(DockerApiException refusal)
    {
        try
        {
            return refusal.ResponseBody is { Length: > 0 } body && System.Text.Json.Nodes.JsonNode.Parse(body)?["message"]?.GetValue<string>() is { } text
                ? text.Trim() : refusal.ResponseBody is { Length: > 0 } raw ? raw.Trim() : $"HTTP {(int)refusal.StatusCode}";
        }
        catch (Exception error) when (error is System.Text.Json.JsonException or InvalidOperationException)
        {
            return refusal.ResponseBody!.Trim();
        }
    }

    // Progress<T> reports late and out of order; this one at once, on the reading thread.
    private sealed class Synchronous<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }
}
