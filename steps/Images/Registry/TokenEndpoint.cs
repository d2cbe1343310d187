using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Options;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>The Bearer flow: a token for one repository from the place that the registry names. Its 404 says nothing about images.</summary>
internal sealed class TokenEndpoint(HttpClient http, TimeProvider time, Func<HttpResponseHeaders, TimeSpan?> pauseOf, Func<string, bool> isPlainAllowed)
{
    private static readonly TimeSpan LongestAttempt = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(10);

    public async Task<(string Token, TimeSpan Life)> FetchAsync(RegistryRequest request, string challenge, CredentialLookUp found,
        Action count, CancellationToken cancel)
    {
        var parameters = Parse(challenge);
        if (!parameters.TryGetValue("realm", out var realm) || !Uri.TryCreate(realm, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw new UnavailableException("registry-protocol", $"the registry \"{request.Host}\" asks for a token and does not say where from");
        if (address.Scheme == "http" && found.Credential is not null && !isPlainAllowed(address.Authority))
            throw new UsageException($"the registry \"{request.Host}\" wants credentials sent to \"{address.Authority}\" by plain HTTP; that is not done");
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
            if (response.IsSuccessStatusCode) return Read(body, request.Host);
            var status = (int)response.StatusCode;
            if (status is 408 or 429 or 499 or >= 500) throw new TransientFailure($"the token endpoint {address.Authority} answers {TransientFailure.Describe(response.StatusCode)}", pauseOf(response.Headers));
            if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.BadRequest)
            {
                throw new UsageException($"the token endpoint {address.Authority} of the registry \"{request.Host}\" "
                    + (found.Credential is { } given
                        ? $"does not accept the credentials of \"{given.User}\" from {found.Source} (HTTP {status}); "
                            + "check user and password"
                        : $"wants credentials (HTTP {status}) and {found.WhyNone}"));
            }
            throw new UnavailableException("registry-protocol", $"the token endpoint {address.Authority} of the registry \"{request.Host}\" answers HTTP {status}; whether the image exists is not known");
        }
        catch (HttpRequestException failure)
        {
            throw new TransientFailure($"the token endpoint {address.Authority}: {failure.Message}", null, failure);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new TransientFailure($"the token endpoint {address.Authority} gave no answer within {Durations.Show(LongestAttempt)}", null);
        }
    }

    private static HttpRequestMessage ByPassword(Uri realm, string? service, string scope, RegistryCredential? credential)
    {
        var query = new StringBuilder(realm.Query.Length > 1 ? realm.Query + "&" : "?").Append("scope=").Append(Uri.EscapeDataString(scope));
        if (service is not null) query.Append("&service=").Append(Uri.EscapeDataString(service));
        if (credential is not null) query.Append("&account=").Append(Uri.EscapeDataString(credential.User));
        var message = new HttpRequestMessage(HttpMethod.Get, new UriBuilder(realm) { Query = query.ToString() }.Uri);
        if (credential is not null)
            message.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credential.User}:{credential.Password}")));
        return message;
    }

    private static HttpRequestMessage ByRefreshToken(Uri realm, string? service, string scope, string refresh) => new(HttpMethod.Post, realm)
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

    private static (string, TimeSpan) Read(byte[] body, string host)
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
            throw new UnavailableException("registry-protocol", $"the token endpoint of the registry \"{host}\" sent no token");
        // It goes into a header: a line break in it would begin another.
        if (token.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new UnavailableException("registry-protocol",
                $"the token endpoint of the registry \"{host}\" sent a token with characters that no token has");
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
