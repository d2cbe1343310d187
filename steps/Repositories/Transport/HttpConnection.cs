using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories.Transport;

/// <summary>Requests to one server, and the rights that it has accepted. Rights are looked for where git looks: in the address,
/// else the step's token, else git's credential helpers.</summary>
internal sealed class HttpConnection : IDisposable
{
    // What a server says to a refused request is some lines of text; a page is not shown.
    private const int LongestWords = 2000;
    private const int MostRedirections = 5;

    private static readonly int[] Redirections = [301, 302, 303, 307, 308];

    private readonly RemotePeer remote;
    private readonly HttpClient client;
    private Uri repository;
    private RemoteAccess? rights;

    public HttpConnection(RemotePeer remote)
    {
        this.remote = remote;
        var address = new Uri(remote.Address.TrimEnd('/'));
        repository = new Uri(address.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped));
        var inAddress = Uri.UnescapeDataString(address.UserInfo).Split(':', 2);
        if (inAddress.Length == 2) rights = new RemoteAccess(inAddress[0], inAddress[1]);
        // The name in an address is git's way to say which of several; it goes before the step's own default.
        else if (remote.Access is { } access)
            rights = inAddress[0].Length > 0 ? access with { User = inAddress[0] } : access;
        client = new HttpClient(Handler(remote), disposeHandler: true) { Timeout = Timeout.InfiniteTimeSpan };
        client.DefaultRequestHeaders.UserAgent.ParseAdd("git/2.0 (CiSteps)");
    }

    /// <summary>Sends a request and gives the body of a good answer.</summary>
    /// <exception cref="UsageException">The rights do not suffice, or there is no such repository.</exception>
    /// <exception cref="UnavailableException">The server does not answer, or not as git's protocol says.</exception>
    public Stream Ask(Exchange exchange, GitSmartSubtransportAction action, ReadOnlyMemory<byte> body)
    {
        var isListing = action is GitSmartSubtransportAction.UploadPackList or GitSmartSubtransportAction.ReceivePackList;
        var service = action is GitSmartSubtransportAction.UploadPackList or GitSmartSubtransportAction.UploadPack
            ? "git-upload-pack" : "git-receive-pack";
        var answer = Send(exchange, service, isListing, body);
        for (var led = 0; isListing && led < MostRedirections && IsRedirection(answer); led++)
        {
            Follow(exchange, answer, service);
            answer.Dispose();
            answer = Send(exchange, service, isListing, body);
        }
        var helper = new GitCredentials(remote, repository);
        if (answer.StatusCode == HttpStatusCode.Unauthorized && rights is null && helper.Find(exchange) is { } found)
        {
            rights = found;
            answer.Dispose();
            answer = Send(exchange, service, isListing, body);
            helper.Tell(exchange, found, accepted: answer.StatusCode != HttpStatusCode.Unauthorized);
        }
        exchange.Opened(answer);
        if (!answer.IsSuccessStatusCode) throw Failure(exchange, answer);
        var wanted = $"application/x-{service}-{(isListing ? "advertisement" : "result")}";
        var type = answer.Content.Headers.ContentType?.MediaType;
        if (type != wanted && !(type is null && !isListing))
            throw exchange.Broken($"the answer is \"{type ?? "of no type"}\" and not \"{wanted}\", so that is not a git " +
                $"server; a proxy or a sign-in page may have answered");
        return exchange.Wait(token => answer.Content.ReadAsStreamAsync(token));
    }

    /// <inheritdoc/>
    public void Dispose() => client.Dispose();

    private static bool IsRedirection(HttpResponseMessage answer) =>
        answer.Headers.Location is not null && Redirections.Contains((int)answer.StatusCode);

    // As git follows: the first request of an exchange says where the repository is. Rights are for the host that they were given
    // for.
    private void Follow(Exchange exchange, HttpResponseMessage answer, string service)
    {
        var to = new Uri(answer.RequestMessage!.RequestUri!, answer.Headers.Location!);
        var ending = $"/info/refs?service={service}";
        if (!to.PathAndQuery.EndsWith(ending, StringComparison.Ordinal)
            || to.Scheme != repository.Scheme && to.Scheme != Uri.UriSchemeHttps)
            throw exchange.Broken($"the server leads to \"{to.GetLeftPart(UriPartial.Path)}\", which is not a place for " +
                $"this repository");
        if (to.Authority != repository.Authority) rights = null;
        repository = new Uri(to.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped)[..^ending.Length]);
    }

    private HttpResponseMessage Send(Exchange exchange, string service, bool isListing, ReadOnlyMemory<byte> body)
    {
        using var request = isListing
            ? new HttpRequestMessage(HttpMethod.Get, $"{repository}/info/refs?service={service}")
            : new HttpRequestMessage(HttpMethod.Post, $"{repository}/{service}");
        if (rights is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic",
                Convert.ToBase64String(Encoding.UTF8.GetBytes($"{rights.User}:{rights.Token}")));
        if (isListing) request.Headers.CacheControl = new CacheControlHeaderValue { NoCache = true };
        else
        {
            request.Content = new ReadOnlyMemoryContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue($"application/x-{service}-request");
            request.Headers.Accept.ParseAdd($"application/x-{service}-result");
        }
        try
        {
            return exchange.Wait(token => client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token));
        }
        catch (HttpRequestException error)
        {
            throw exchange.Broken(error.InnerException is AuthenticationException inner ? $"{error.Message} {inner.Message}"
                : error.Message, error);
        }
    }

    private Exception Failure(Exchange exchange, HttpResponseMessage answer)
    {
        var status = (int)answer.StatusCode;
        var words = Words(exchange, answer);
        var said = $"status {status}{(words.Length > 0 ? $", \"{words}\"" : "")}";
        return answer.StatusCode switch
        {
            HttpStatusCode.Unauthorized when rights is null => new UsageException(
                $"{exchange.Doing} at \"{remote.Url}\" needs other rights: authentication is required, and no token was " +
                $"given and no credential helper of git has one ({said}); give a token in {OriginRemote.TokenVariable}"),
            HttpStatusCode.Unauthorized => new UsageException(
                $"{exchange.Doing} at \"{remote.Url}\" needs other rights: the token of user \"{rights!.User}\" was not " +
                $"accepted ({said}); give another one in {OriginRemote.TokenVariable}, or another user in CISTEPS_GIT_USER"),
            HttpStatusCode.Forbidden => new UsageException(
                $"{exchange.Doing} at \"{remote.Url}\" needs other rights: {said}; " +
                $"give a token that may in {OriginRemote.TokenVariable}"),
            HttpStatusCode.NotFound => GitFailure.Missing(remote.Url, exchange.Doing, said),
            HttpStatusCode.ProxyAuthenticationRequired => new UsageException(
                $"{exchange.Doing} at \"{remote.Url}\": the proxy wants to know who asks ({said}); " +
                "give the proxy's user and password in HTTPS_PROXY"),
            _ => exchange.Broken(said),
        };
    }

    private static string Words(Exchange exchange, HttpResponseMessage answer)
    {
        if (answer.Content.Headers.ContentType?.MediaType is { } type && type != "text/plain") return "";
        var text = exchange.Wait(token => answer.Content.ReadAsStringAsync(token)).Trim();
        return text.Length > LongestWords || text.StartsWith('<') ? "" : text.ReplaceLineEndings("; ");
    }

    private static SocketsHttpHandler Handler(RemotePeer remote)
    {
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.All,
            UseCookies = false,
            AllowAutoRedirect = false,
        };
        if (remote.Configured("http.proxy") is { } proxy)
            handler.Proxy = new WebProxy(proxy.Contains("://", StringComparison.Ordinal) ? proxy : "http://" + proxy);
        var authorities = Environment.GetEnvironmentVariable("GIT_SSL_CAINFO") ?? remote.Configured("http.sslCAInfo");
        if (authorities is null) return handler;
        try
        {
            var trusted = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            trusted.CustomTrustStore.ImportFromPemFile(authorities);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = trusted };
            return handler;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new UsageException($"the certificates in \"{authorities}\" (git's http.sslCAInfo) cannot be read: " +
                $"{error.Message}", error);
        }
    }
}
