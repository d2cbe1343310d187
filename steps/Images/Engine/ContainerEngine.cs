using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Threading.Channels;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;
using Docker.DotNet;
using Docker.DotNet.Models;
using Polly;

namespace CiSteps.Images;

/// <summary>
/// The local container engine (Docker's API). The engine's refusals are <see cref="EngineRefusalException"/>, its silence is
/// <see cref="UnavailableException"/> "engine".
/// </summary>
public sealed partial class ContainerEngine : IDisposable
{
    // Docker 19.03's: what the steps ask for is in it, and engines of today refuse what is older themselves.
    private static readonly System.Version OldestApi = new(1, 40);
    private readonly DockerClient client;
    private readonly EngineTransport? transport;
    private readonly EngineGreeting greeting = new();
    private ResiliencePipeline reading = ResiliencePipeline.Empty;

    private ContainerEngine(EngineLocation location, IReadOnlyDictionary<string, string> environment)
    {
        Location = location;
        var builder = new DockerClientBuilder().WithAuthProvider(greeting).WithEndpoint(location.Where.AsUri());
        if (location.Where.Scheme == "npipe")
        {
            client = builder.Build();
            return;
        }
        transport = new EngineTransport(location, environment);
        client = builder.WithTransportOptions(transport, transport).Build();
    }

    /// <summary>
    /// Connects a step to the engine that its environment means, and says in its log which one that is and why.
    /// </summary>
    /// <exception cref="UsageException">
    /// The environment or docker's configuration does not name an engine, or what they name is not one, or its certificates do
    /// not fit.
    /// </exception>
    /// <exception cref="UnavailableException">No engine answers there.</exception>
    public static async Task<ContainerEngine> ConnectAsync(StepContext context, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        var engine = await ConnectToAsync(context.Options.Environment, cancel).ConfigureAwait(false);
        engine.reading = Retry.Transient(failure => failure is UnavailableException, context.Time, context.Log);
        context.Log.Info($"engine: {engine.Product} at {engine.Location}");
        return engine;
    }

    /// <summary>Finds the engine and asks whether it answers.</summary>
    /// <param name="host">Its address; null: the one that this process's environment means, see
    /// <see cref="EngineLocation"/>.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="UsageException">As of <see cref="ConnectAsync(StepContext, CancellationToken)"/>.</exception>
    /// <exception cref="UnavailableException">No engine answers there.</exception>
    public static Task<ContainerEngine> ConnectAsync(string? host = null, CancellationToken cancel = default)
    {
        var environment = StepHost.ProcessEnvironment();
        return host is { Length: > 0 }
            ? ConnectAsync(EngineLocation.At(host, environment), environment, cancel)
            : ConnectToAsync(environment, cancel);
    }

    /// <summary>Finds the engine that an environment means and asks whether it answers.</summary>
    /// <exception cref="UsageException">As of <see cref="ConnectAsync(StepContext, CancellationToken)"/>.</exception>
    /// <exception cref="UnavailableException">No engine answers there.</exception>
    public static Task<ContainerEngine> ConnectToAsync(
        IReadOnlyDictionary<string, string> environment, CancellationToken cancel = default) =>
        ConnectAsync(EngineLocation.Find(environment), environment, cancel);

    private static async Task<ContainerEngine> ConnectAsync(
        EngineLocation location, IReadOnlyDictionary<string, string> environment, CancellationToken cancel)
    {
        var engine = new ContainerEngine(location, environment);
        try
        {
            await engine.GreetAsync(cancel).ConfigureAwait(false);
            return engine;
        }
        catch
        {
            engine.Dispose();
            throw;
        }
    }

    /// <summary>Where it is, and why this one.</summary>
    public EngineLocation Location { get; }

    /// <summary>Name and version as it gives them, such as <c>docker 28.5.2</c> or <c>podman 4.3.1</c>.</summary>
    public string Product => greeting.Product;

    /// <summary>Whether it says that it builds with BuildKit where nobody says with what. Engines before 23 have it and do not
    /// say so.</summary>
    public bool PrefersBuildKit => greeting.PrefersBuildKit;

    /// <summary>Whether it is podman, by the name that it gives.</summary>
    public bool IsPodman => Product.StartsWith("podman", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether the engine runs on this machine, so that its containers see this machine's files.</summary>
    public bool IsLocal => Location.IsLocal;

    /// <summary>The engine's version; a much smaller question than <see cref="DescribeAsync"/>.</summary>
    public async Task<string> VersionAsync(CancellationToken cancel = default) =>
        (await ReadAsync(() => client.System.GetVersionAsync(cancel), cancel).ConfigureAwait(false)).Version ?? "";

    /// <summary>What the engine says of itself.</summary>
    public async Task<EngineDescription> DescribeAsync(CancellationToken cancel = default)
    {
        var version = await ReadAsync(() => client.System.GetVersionAsync(cancel), cancel).ConfigureAwait(false);
        var info = await ReadAsync(() => client.System.GetSystemInfoAsync(cancel), cancel).ConfigureAwait(false);
        return new EngineDescription(
            Location.Address,
            IsLocal,
            version.Version ?? "",
            version.APIVersion ?? "",
            info.OSType ?? version.Os ?? "",
            info.Architecture ?? version.Arch ?? "",
            (int)info.NCPU,
            info.MemTotal,
            [.. info.SecurityOptions ?? []])
        { DataFolder = info.DockerRootDir ?? "" };
    }

    /// <summary>What happens on the engine from now on (or from <paramref name="since"/>), until cancelled.</summary>
    /// <param name="label">Only of things with this label, <c>name</c> or <c>name=value</c>; null: of all.</param>
    /// <param name="since">Replays what happened from then on; so nothing between a listing and the stream is missed.</param>
    /// <param name="cancel">Ends the stream.</param>
    /// <exception cref="UnavailableException">The engine ended the stream.</exception>
    public async IAsyncEnumerable<EngineEvent> EventsAsync(
        string? label = null, DateTimeOffset? since = null, [EnumeratorCancellation] CancellationToken cancel = default)
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
                await CallAsync(
                    () => client.System.MonitorEventsAsync(
                        parameters, new Synchronous<Message>(message => events.Writer.TryWrite(ToEvent(message))), ending.Token),
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
    public void Dispose()
    {
        client.Dispose();
        transport?.Dispose();
    }

    private async Task GreetAsync(CancellationToken cancel)
    {
        try
        {
            await AttemptAsync(() => client.System.PingAsync(cancel), cancel).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is UnavailableException or EngineRefusalException && transport is not null)
        {
            if (await transport.SpeaksTheOtherAsync(cancel).ConfigureAwait(false)) throw WrongPort(failure);
            if (failure is EngineRefusalException refusal) throw NotGreeted(refusal);
            throw;
        }
        catch (EngineRefusalException refusal)
        {
            throw NotGreeted(refusal);
        }
        if (!greeting.IsEngine) throw NotAnEngine(null);
        if (greeting.Api is { } api && api < OldestApi)
        {
            throw new UsageException(
                $"the container engine at {Location} is too old: it speaks version {api} of the API, and {OldestApi} is needed; "
                    + "update it to Docker 19.03 or newer");
        }
    }

    private UsageException WrongPort(Exception failure)
    {
        var context = Location.Context is null
            ? null
            : $"make the context \"{Location.Context}\" again with docker context create";
        return new UsageException(transport is { IsTls: true }
            ? $"the container engine at {Location} does not speak TLS on this port: " + (context
                ?? $"take {EngineLocation.VerifyVariable}, {EngineLocation.TlsVariable} and " +
                    $"{EngineLocation.CertificatesVariable} away, or name its TLS port")
            : $"the container engine at {Location} speaks TLS: " + (context is null
                ? $"set {EngineLocation.VerifyVariable}=1, and {EngineLocation.CertificatesVariable} to the folder with " +
                    "ca.pem, cert.pem and key.pem"
                : context + ", with ca, cert and key"), failure);
    }

    private Exception NotGreeted(EngineRefusalException refusal)
    {
        if (refusal.Message.Contains("client version", StringComparison.OrdinalIgnoreCase))
            return new UsageException(
                $"the container engine at {Location} and these steps have no version of the API in common: {refusal.Message}",
                refusal);
        return refusal.Status switch
        {
            >= 500 =>
                new UnavailableException(
                    "engine",
                    $"the container engine at {Location} answers with an error: {greeting.Answer}; see its own log",
                    refusal),
            401 or 403 =>
                new UsageException($"the container engine at {Location} does not let this user in: {refusal.Message}", refusal),
            _ => NotAnEngine(refusal),
        };
    }

    private UsageException NotAnEngine(Exception? cause) => new(
        $"what answers at {Location} is not a container engine: it answered {greeting.Answer}; " +
        $"set {EngineLocation.HostVariable} to where one listens",
        cause);

    private static EngineEvent ToEvent(Message message) => new(message.Type ?? "", message.Action ?? "", message.Actor?.ID ?? "",
        message.Actor?.Attributes?.AsReadOnly() ?? new Dictionary<string, string>().AsReadOnly(),
        message.TimeNano is { } nanoseconds ? DateTimeOffset.UnixEpoch.AddTicks(nanoseconds / 100)
            : message.Time is { } seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds) : DateTimeOffset.UnixEpoch);

    private static Dictionary<string, IDictionary<string, bool>> Filter(string name, params IEnumerable<string> values) =>
        new() { [name] = values.ToDictionary(value => value, _ => true) };

    private static Dictionary<string, IDictionary<string, bool>> LabelFilter(IReadOnlyDictionary<string, string?> labels) =>
        labels.Count == 0
            ? []
            : Filter("label", labels.Select(label => label.Value is null ? label.Key : $"{label.Key}={label.Value}"));

    private static string Timestamp(DateTimeOffset time)
    {
        var ticks = (time - DateTimeOffset.UnixEpoch).Ticks;
        return $"{ticks / TimeSpan.TicksPerSecond}.{ticks % TimeSpan.TicksPerSecond * 100:000000000}";
    }

    private async Task CallAsync(Func<Task> call, CancellationToken cancel) =>
        await CallAsync(() => Valued(call), cancel).ConfigureAwait(false);

    private async Task AttemptAsync(Func<Task> call, CancellationToken cancel) =>
        await AttemptAsync(() => Valued(call), cancel).ConfigureAwait(false);

    // For most calls an error of the engine's own is an outage.
    private async Task<T> CallAsync<T>(Func<Task<T>> call, CancellationToken cancel)
    {
        try
        {
            return await AttemptAsync(call, cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal) when (refusal.IsEnginesError)
        {
            throw OwnError(refusal);
        }
    }

    private UnavailableException OwnError(EngineRefusalException refusal) =>
        new("engine", $"the container engine at {Location} answers with an error: {refusal.Message}; see its own log", refusal);

    // What only asks is asked again: an engine that is being restarted answers in a moment.
    private async Task<T> ReadAsync<T>(Func<Task<T>> call, CancellationToken cancel) =>
        await reading.ExecuteAsync(async _ => await CallAsync(call, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);

    // A null in the vendor's parameters (hence the "!" where they are filled) leaves the value out of the request.

    // The one place where the vendor's exceptions become ours. Called by itself where engines answer 500 for a mistake of who
    // asks, too, and the caller reads the text: greeting, pulling, building, pushing, making and running containers.
    private async Task<T> AttemptAsync<T>(Func<Task<T>> call, CancellationToken cancel)
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
        catch (Exception failure)
            when (failure is HttpRequestException or SocketException or IOException or TimeoutException
                or AuthenticationException or AggregateException { InnerException: SocketException }
                || (failure is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            throw EngineSilence.Of(Location, failure);
        }
    }

    private static async Task<bool> Valued(Func<Task> call)
    {
        await call().ConfigureAwait(false);
        return true;
    }

    // {"message":"…"} in an answer's body.
    private static string TextOf(DockerApiException refusal)
    {
        try
        {
            if (refusal.ResponseBody is not { Length: > 0 } body) return $"HTTP {(int)refusal.StatusCode}";
            return (OutsideJson.Read(body, "the engine's answer").Text("message") ?? body).Trim();
        }
        catch (OutsideJsonException)
        {
            // A proxy in between answers in its own way: its text is what there is.
            return refusal.ResponseBody!.Trim();
        }
    }

    // Progress<T> reports late and out of order; this one at once, on the reading thread.
    private sealed class Synchronous<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }
}
