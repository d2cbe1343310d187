using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Options;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>A registry's answer, read whole.</summary>
internal sealed record RegistryAnswer(
    HttpStatusCode Status,
    string? MediaType,
    byte[] Body,
    HttpResponseHeaders Headers,
    Uri Address)
{
    public bool IsSuccess => (int)Status is >= 200 and < 300;

    public string? Header(string name) => Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;

    /// <summary>The registry's error codes; empty when the body is not the registry's own error form.</summary>
    public IReadOnlyList<(string Code, string Message)> Errors
    {
        get
        {
            try
            {
                return (RegistryJson.Parse(Body) as JsonObject)?["errors"] is JsonArray errors
                    ? [.. errors.OfType<JsonObject>().Select(error =>
                        (RegistryJson.Text(error["code"]) ?? "", RegistryJson.Text(error["message"]) ?? ""))] : [];
            }
            catch (OutsideJsonException)
            {
                return [];
            }
        }
    }

    /// <summary>What it said, for people.</summary>
    public string Text => Errors is [var first, ..] ? $"{(int)Status} {first.Code}: {first.Message}" : $"HTTP {(int)Status}";
}

/// <summary>One request: what it does to which repository.</summary>
internal sealed record RegistryRequest(HttpMethod Method, string Host, string Repository, string Path)
{
    /// <summary><c>pull</c>, <c>pull,push</c> or <c>pull,push,delete</c>; the right that is asked for.</summary>
    public string Actions { get; init; } = "pull";

    public byte[]? Content { get; init; }

    public string? ContentType { get; init; }

    public IReadOnlyList<string> Accept { get; init; } = [];

    /// <summary>Whether doing it twice is as good as once.</summary>
    public bool Repeatable { get; init; } = true;

    /// <summary>Whether registries that do not know the path answer it with a web page.</summary>
    public bool MayBeUnknown { get; init; }

    /// <summary>More than this of an answer is refused.</summary>
    public int LongestAnswer { get; init; } = 8 << 20;
}

/// <summary>HTTP to registries: which scheme, which credentials, which failures pass by themselves.</summary>
internal sealed class RegistryConnection : IDisposable
{
    private static readonly TimeSpan LongestAttempt = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly HttpClient http;
    private readonly RegistryCredentials credentials;
    private readonly IReadOnlySet<string> plainHosts;
    private readonly RegistryTrust trust;
    private readonly BuildLog log;
    private readonly TimeProvider time;
    private readonly ConcurrentDictionary<string, string> schemes = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<string, bool> basicHosts = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<(string Host, string Repository, string Actions), (string Token, DateTimeOffset Until)>
        tokens = new();
    private int requests;

    public RegistryConnection(
        RegistryCredentials credentials,
        IEnumerable<string> plainHosts,
        string? certificateAuthority,
        BuildLog log,
        TimeProvider time)
    {
        (this.credentials, this.log, this.time) = (credentials, log, time);
        this.plainHosts = plainHosts.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var handler = new SocketsHttpHandler
        {
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            ConnectTimeout = TimeSpan.FromSeconds(20),
            UseCookies = false,
            Proxy = RegistryProxies.Of(credentials.Environment),
        };
        trust = new RegistryTrust(certificateAuthority);
        handler.SslOptions.RemoteCertificateValidationCallback = trust.Accepts;
        http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = 8 << 20 };
        http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("ci-steps", StepHost.Version.Split('+')[0]));
    }

    /// <summary>How many requests have been sent, token requests included.</summary>
    public int Requests => requests;

    /// <summary>
    /// How far the other side's clock was before ours at its last answer that told the time; null when none did.
    /// </summary>
    public TimeSpan? ClockDifference { get; private set; }

    /// <summary>
    /// Sends a request and reads the answer. Success, refusals and absence come back; silence and overload do not.
    /// </summary>
    /// <exception cref="UnavailableException">"registry-unreachable": no answer, or none but errors of the server's own, after
    /// retries.</exception>
    /// <exception cref="UsageException">The registry wants credentials, or other ones.</exception>
    public async Task<RegistryAnswer> SendAsync(RegistryRequest request, CancellationToken cancel)
    {
        var what = $"{request.Method} {request.Host}{request.Path}";
        try
        {
            if (!request.Repeatable) return await SendOnceAsync(request, cancel).ConfigureAwait(false);
            return await Retry
                .Transient(
                    failure => failure is TransientFailure, time, log, failure => (failure as TransientFailure)?.RetryAfter)
                .ExecuteAsync(
                    async token => await SendOnceAsync(request, token).ConfigureAwait(false), cancel).ConfigureAwait(false);
        }
        catch (TransientFailure failure)
        {
            throw new UnavailableException(
                "registry-unreachable",
                $"the registry \"{request.Host}\" does not answer as it should ({what}): {failure.Message}; " +
                "see whether it is up and reachable from here",
                failure);
        }
    }

    public void Dispose() => http.Dispose();

    private async Task<RegistryAnswer> SendOnceAsync(RegistryRequest request, CancellationToken cancel)
    {
        var key = (request.Host, request.Repository, request.Actions);
        var authorization = await KnownAuthorizationAsync(key, cancel).ConfigureAwait(false);
        var answer = await ExchangeAsync(request, authorization, cancel).ConfigureAwait(false);
        if (answer.Status == HttpStatusCode.Unauthorized)
        {
            tokens.TryRemove(key, out _);
            authorization = await AuthorizeAsync(request, answer, authorization, cancel).ConfigureAwait(false);
            answer = await ExchangeAsync(request, authorization, cancel).ConfigureAwait(false);
            if (answer.Status == HttpStatusCode.Unauthorized)
                throw await DeniedAsync(request, answer.Text, cancel).ConfigureAwait(false);
        }
        if (answer.Status == HttpStatusCode.Forbidden)
            throw await DeniedAsync(request, answer.Text, cancel).ConfigureAwait(false);
        if (IsTransient((int)answer.Status)) throw new TransientFailure(answer.Text, PauseOf(answer.Headers));
        ForeignAnswer.Require(request, answer);
        return answer;
    }

    private static bool IsTransient(int status) => status is 408 or 429 or 499 or >= 500 and not 501 and not 505;

    private async Task<AuthenticationHeaderValue?> KnownAuthorizationAsync(
        (string Host, string Repository, string Actions) key, CancellationToken cancel)
    {
        if (basicHosts.ContainsKey(key.Host)
            && await credentials.LookUpAsync(key.Host, cancel).ConfigureAwait(false) is { Credential: { } known })
            return Basic(known);
        return tokens.TryGetValue(key, out var token) && token.Until > time.GetUtcNow()
            ? new AuthenticationHeaderValue("Bearer", token.Token)
            : null;
    }

    private async Task<AuthenticationHeaderValue> AuthorizeAsync(
        RegistryRequest request, RegistryAnswer answer, AuthenticationHeaderValue? tried, CancellationToken cancel)
    {
        var found = await credentials.LookUpAsync(request.Host, cancel).ConfigureAwait(false);
        foreach (var challenge in answer.Headers.WwwAuthenticate)
        {
            if (challenge.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase))
            {
                var (token, life) = await new TokenEndpoint(http, time, trust, PauseOf, IsPlainAllowed)
                    .FetchAsync(request, challenge.Parameter ?? "", found, Count, cancel).ConfigureAwait(false);
                tokens[(request.Host, request.Repository, request.Actions)] = (token, time.GetUtcNow() + life);
                return new AuthenticationHeaderValue("Bearer", token);
            }
        }
        foreach (var challenge in answer.Headers.WwwAuthenticate)
        {
            if (!challenge.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase) || tried is not null) continue;
            if (found.Credential is not { IdentityToken: null } credential) continue;
            basicHosts[request.Host] = true;
            return Basic(credential);
        }
        throw await DeniedAsync(request, answer.Text, cancel).ConfigureAwait(false);
    }

    private async Task<UsageException> DeniedAsync(RegistryRequest request, string text, CancellationToken cancel)
    {
        var found = await credentials.LookUpAsync(request.Host, cancel).ConfigureAwait(false);
        var right = request.Actions[(request.Actions.LastIndexOf(',') + 1)..];
        return found.Credential is { } given
            ? new UsageException($"the registry \"{request.Host}\" refuses {right} on \"{request.Repository}\" to "
                + $"\"{given.User}\" "
                + $"(credentials from {found.Source}): {text}; give that user the right, or other credentials")
            : new UsageException($"the registry \"{request.Host}\" wants credentials to {right} \"{request.Repository}\" "
                + $"({text}) and {found.WhyNone}");
    }

    private async Task<RegistryAnswer> ExchangeAsync(
        RegistryRequest request, AuthenticationHeaderValue? authorization, CancellationToken cancel)
    {
        if (request.Path.Contains("://", StringComparison.Ordinal))
        {
            // An upload's place may be anywhere; only the registry itself gets its credentials, and in clear only where all else
            // is in clear.
            var place = new Uri(request.Path);
            var isOwn = IsAt(place, request.Host) && (place.Scheme == "https" || IsPlainAllowed(AddressOf(request.Host)));
            return await AttemptAsync(request, place, isOwn ? authorization : null, cancel).ConfigureAwait(false);
        }
        var host = AddressOf(request.Host);
        if (schemes.TryGetValue(host, out var known))
            return await AttemptAsync(
                request,
                new Uri($"{known}://{host}{request.Path}"),
                authorization,
                cancel).ConfigureAwait(false);
        try
        {
            var answer = await AttemptAsync(
                request,
                new Uri($"https://{host}{request.Path}"),
                authorization,
                cancel).ConfigureAwait(false);
            schemes[host] = "https";
            return answer;
        }
        catch (TransientFailure failure)
            when (failure.InnerException
                is HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } secure)
        {
            // What answered does not speak TLS. Engines do the same: plain HTTP on this very machine, elsewhere only when named.
            if (!IsPlainAllowed(host))
                throw new UsageException(
                    $"the registry \"{request.Host}\" does not speak HTTPS; when it is meant to be reached by plain HTTP, " +
                    "say \"plain-http: true\" under \"registry\" in ci-steps.yaml",
                    secure);
            var answer = await AttemptAsync(
                request,
                new Uri($"http://{host}{request.Path}"),
                authorization,
                cancel).ConfigureAwait(false);
            schemes[host] = "http";
            return answer;
        }
    }

    private static string AddressOf(string host) => host == ImageReference.DockerHub ? "registry-1.docker.io" : host;

    // By name and port, whichever way they are written.
    internal static bool IsAt(Uri place, string host)
    {
        var registry = new Uri($"{place.Scheme}://{AddressOf(host)}");
        return registry.Host == place.Host && registry.Port == place.Port;
    }

    private bool IsPlainAllowed(string host) => plainHosts.Contains(host) || IsLoopback(host);

    internal static bool IsLoopback(string host) =>
        Uri.TryCreate("http://" + host, UriKind.Absolute, out var address) && (address.IsLoopback || address.Host == "localhost");

    private async Task<RegistryAnswer> AttemptAsync(
        RegistryRequest request, Uri address, AuthenticationHeaderValue? authorization, CancellationToken cancel)
    {
        using var message = new HttpRequestMessage(request.Method, address);
        message.Headers.Authorization = authorization;
        foreach (var type in request.Accept) message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(type));
        if (request.Content is not null)
        {
            message.Content = new ByteArrayContent(request.Content);
            message.Content.Headers.ContentType = request.ContentType is null
                ? null
                : new MediaTypeHeaderValue(request.ContentType);
        }
        Count();
        using var limit = new CancellationTokenSource(LongestAttempt, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            using var response = await http.SendAsync(
                message, HttpCompletionOption.ResponseHeadersRead, either.Token).ConfigureAwait(false);
            if (response.Headers.Date is { } there) ClockDifference = there - time.GetUtcNow();
            var body = request.Method == HttpMethod.Head
                ? []
                : await ReadAsync(response, request.LongestAnswer, either.Token).ConfigureAwait(false);
            return new RegistryAnswer(
                response.StatusCode,
                response.Content.Headers.ContentType?.MediaType,
                body,
                response.Headers,
                response.RequestMessage?.RequestUri ?? address);
        }
        catch (HttpRequestException failure)
        {
            if (trust.Find(
                $"the registry \"{request.Host}\"" + (IsAt(address, request.Host) ? "" : $" at \"{address.Authority}\""),
                address,
                failure) is { } refusal)
                throw refusal;
            throw new TransientFailure(Innermost(failure).Message, null, failure);
        }
        catch (IOException failure)
        {
            throw new TransientFailure(failure.Message, null, failure);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new TransientFailure($"no answer within {Durations.Show(LongestAttempt)}", null);
        }
    }

    private void Count() => Interlocked.Increment(ref requests);

    private static async Task<byte[]> ReadAsync(HttpResponseMessage response, int longest, CancellationToken cancel)
    {
        if (response.Content.Headers.ContentLength > longest)
            throw new UnavailableException("registry-protocol",
                $"the registry's answer has {response.Content.Headers.ContentLength} bytes; not more than {longest} are read");
        await using var stream = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
        var memory = new MemoryStream();
        var buffer = new byte[65536];
        int count;
        while ((count = await stream.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
        {
            if (memory.Length + count > longest)
                throw new UnavailableException("registry-protocol", $"the registry's answer is longer than {longest} bytes");
            memory.Write(buffer, 0, count);
        }
        return memory.ToArray();
    }

    private TimeSpan? PauseOf(HttpResponseHeaders headers)
    {
        var pause = headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow(),
            _ => (TimeSpan?)null,
        };
        return pause is { } asked ? TimeSpan.FromTicks(Math.Clamp(asked.Ticks, 0, LongestPause.Ticks)) : null;
    }

    private static AuthenticationHeaderValue Basic(RegistryCredential credential) =>
        new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{credential.User}:{credential.Password}")));

    internal static Exception Innermost(Exception failure)
    {
        while (failure.InnerException is { } inner) failure = inner;
        return failure;
    }
}

/// <summary>A failure that may pass by itself.</summary>
internal sealed class TransientFailure(string message, TimeSpan? retryAfter, Exception? inner = null) : Exception(message, inner)
{
    public TimeSpan? RetryAfter { get; } = retryAfter;

    public static string Describe(HttpStatusCode status) => string.Create(CultureInfo.InvariantCulture, $"HTTP {(int)status}");
}
