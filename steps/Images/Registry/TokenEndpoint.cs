using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Options;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// The Bearer flow: a token for one repository from the place that the registry names. Its 404 says nothing about images.
/// </summary>
internal sealed class TokenEndpoint(
    HttpClient http,
    TimeProvider time,
    RegistryTrust trust,
    Func<HttpResponseHeaders, TimeSpan?> pauseOf,
    Func<string, bool> isPlainAllowed)
{
    private static readonly TimeSpan LongestAttempt = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(10);

    public async Task<(string Token, TimeSpan Life)> FetchAsync(RegistryRequest request, string challenge, CredentialLookUp found,
        Action count, CancellationToken cancel)
    {
        var parameters = Parse(challenge);
        var address = PlaceOf(parameters.GetValueOrDefault("realm"), request.Host);
        if (address.Scheme == "http" && found.Credential is not null && !isPlainAllowed(address.Authority))
            throw new UsageException(
                $"the registry \"{request.Host}\" wants credentials sent to \"{address.Authority}\" by plain HTTP; " +
                "that is not done");
        var service = parameters.GetValueOrDefault("service");
        var scope = parameters.GetValueOrDefault("scope") ?? $"repository:{request.Repository}:{request.Actions}";
        using var message = found is { Credential.IdentityToken: { } refresh }
            ? ByRefreshToken(address, service, scope, refresh) : ByPassword(address, service, scope, found.Credential);
        count();
        using var limit = new CancellationTokenSource(LongestAttempt, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            using var response = await http.SendAsync(message, either.Token).ConfigureAwait(false);
            var body = await response.Content.ReadAsByteArrayAsync(either.Token).ConfigureAwait(false);
            var endpoint = $"the token endpoint {address.Authority} of the registry \"{request.Host}\"";
            if (response.IsSuccessStatusCode) return Read(body, response.Content.Headers.ContentType?.MediaType, endpoint);
            var status = (int)response.StatusCode;
            var asked = response.RequestMessage?.RequestUri ?? address;
            if (ForeignAnswer.Redirect(response.StatusCode, asked, response.Headers.Location) is { } redirect)
                throw new UnavailableException("registry-protocol", $"{endpoint} answers {redirect}; {ForeignAnswer.Advice}");
            if (status is 408 or 429 or 499 or >= 500)
                throw new TransientFailure(
                    $"the token endpoint {address.Authority} answers {TransientFailure.Describe(response.StatusCode)}",
                    pauseOf(response.Headers));
            if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.BadRequest)
            {
                throw new UsageException($"{endpoint} "
                    + (found.Credential is { } given
                        ? $"does not accept the credentials of \"{given.User}\" from {found.Source} (HTTP {status}); "
                            + "check user and password"
                        : $"wants credentials (HTTP {status}) and {found.WhyNone}"));
            }
            throw new UnavailableException("registry-protocol",
                $"{endpoint} answers HTTP {status}; whether the image exists is not known");
        }
        catch (HttpRequestException failure)
        {
            var server = $"the token endpoint {address.Authority} of the registry \"{request.Host}\"";
            if (trust.Find(server, address, failure) is { } refusal) throw refusal;
            throw new TransientFailure(
                $"the token endpoint {address.Authority}: {RegistryConnection.Innermost(failure).Message}", null, failure);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new TransientFailure(
                $"the token endpoint {address.Authority} gave no answer within {Durations.Show(LongestAttempt)}", null);
        }
    }

    private static HttpRequestMessage ByPassword(Uri realm, string? service, string scope, RegistryCredential? credential)
    {
        var query = new StringBuilder(realm.Query.Length > 1 ? realm.Query + "&" : "?")
            .Append("scope=")
            .Append(Uri.EscapeDataString(scope));
        if (service is not null) query.Append("&service=").Append(Uri.EscapeDataString(service));
        if (credential is not null) query.Append("&account=").Append(Uri.EscapeDataString(credential.User));
        var message = new HttpRequestMessage(HttpMethod.Get, new UriBuilder(realm) { Query = query.ToString() }.Uri);
        if (credential is not null)
            message.Headers.Authorization = new AuthenticationHeaderValue(
                "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credential.User}:{credential.Password}")));
        return message;
    }

    private static HttpRequestMessage ByRefreshToken(Uri realm, string? service, string scope, string refresh) =>
        new(HttpMethod.Post, realm)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["grant_type"] = "refresh_token",
                ["refresh_token"] = refresh,
                ["client_id"] = "ci-steps",
                ["service"] = service ?? "",
                ["scope"] = scope,
            }),
        };

    private static Uri PlaceOf(string? realm, string host)
    {
        var why =
            $"the registry \"{host}\" wants a token and does not say where it is to be had: its challenge (WWW-Authenticate) ";
        if (string.IsNullOrEmpty(realm))
            throw new UnavailableException("registry-protocol", $"{why}has no realm; {ForeignAnswer.Advice}");
        return Uri.TryCreate(realm, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" ? address
            : throw new UnavailableException("registry-protocol",
                $"{why}has the realm \"{realm}\", which is not an http or https address; {ForeignAnswer.Advice}");
    }

    private static (string, TimeSpan) Read(byte[] body, string? mediaType, string endpoint)
    {
        JsonObject? answer = null;
        try
        {
            answer = RegistryJson.Parse(body) as JsonObject;
        }
        catch (OutsideJsonException)
        {
            // An answer without a token, whatever its form. It is not quoted: it may have one all the same.
        }
        var token = RegistryJson.Text(answer, "token") is { Length: > 0 } first ? first
            : RegistryJson.Text(answer, "access_token");
        if (string.IsNullOrEmpty(token))
        {
            var instead = ForeignAnswer.Page(mediaType, body)
                ?? (answer is null ? $"something that is not a JSON object ({body.Length} bytes)" : "JSON without one");
            throw new UnavailableException("registry-protocol",
                $"{endpoint} sent no token but {instead}; {ForeignAnswer.Advice}");
        }
        // It goes into a header: a line break in it would begin another.
        if (token.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new UnavailableException("registry-protocol",
                $"{endpoint} sent a token with characters that no token has");
        var life = answer?["expires_in"] is JsonValue seconds && seconds.TryGetValue(out int given) && given > 0
            ? TimeSpan.FromSeconds(given) : ShortestLife;
        return (token, life > Margin * 2 ? life - Margin : life);
    }

    // realm="…",service="…",scope="repository:a:pull,push": commas may stand within the quotes.
    internal static Dictionary<string, string> Parse(string challenge)
    {
        var found = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var at = 0;
        while (at < challenge.Length)
        {
            while (at < challenge.Length && challenge[at] is ' ' or ',') at++;
            var equals = challenge.IndexOf('=', at);
            if (equals < 0) break;
            var name = challenge[at..equals].Trim();
            at = equals + 1;
            var value = new StringBuilder();
            if (at < challenge.Length && challenge[at] == '"')
            {
                for (at++; at < challenge.Length && challenge[at] != '"'; at++)
                {
                    if (challenge[at] == '\\' && at + 1 < challenge.Length) at++;
                    value.Append(challenge[at]);
                }
                at++;
            }
            else
            {
                for (; at < challenge.Length && challenge[at] != ','; at++) value.Append(challenge[at]);
            }
            found[name] = value.ToString();
        }
        return found;
    }
}
