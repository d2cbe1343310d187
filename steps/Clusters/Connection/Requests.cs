using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;
using Polly;

namespace CiSteps.Clusters;

/// <content>Single requests.</content>
public sealed partial class Cluster
{
    internal const string JsonType = "application/json";
    private const string MergePatchType = "application/merge-patch+json";
    private const string ApplyPatchType = "application/apply-patch+yaml";

    /// <summary>The field manager of all that is applied here.</summary>
    public const string FieldManager = "cisteps";

    // For one answer, not for watches: an API server that takes longer has hung.
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(60);

    // A health question that takes longer is not answered well.
    private static readonly TimeSpan ProxyLimit = TimeSpan.FromSeconds(10);

    // A page of 500 objects, each of which etcd holds to 1.5 MiB: a list as large as this has never been seen.
    private static readonly JsonLimits Answers = new(256L << 20);

    private readonly ResiliencePipeline retry;

    /// <summary>Reads one object, or any JSON that the server has under a path.</summary>
    /// <exception cref="ClusterApiException">Any answer but 2xx, 401 and missing rights.</exception>
    public Task<JsonObject> GetAsync(string path, CancellationToken cancel) =>
        SendJsonAsync(HttpMethod.Get, path, null, JsonType, repeat: true, cancel);

    /// <summary>Reads one object; null when there is none.</summary>
    public async Task<JsonObject?> FindAsync(string path, CancellationToken cancel)
    {
        try
        {
            return await GetAsync(path, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException none) when (none.Code == 404)
        {
            return null;
        }
    }

    /// <summary>
    /// Reads all objects of a list, page by page. Items get the <c>apiVersion</c> and <c>kind</c> that lists leave out.
    /// </summary>
    /// <param name="path">The collection's path.</param>
    /// <param name="labels">Label selector; null for all.</param>
    /// <param name="fields">Field selector; null for all.</param>
    /// <param name="cancel">Stops it.</param>
    public async Task<(IReadOnlyList<JsonObject> Items, string ResourceVersion)> ListAsync(
        string path, string? labels, string? fields, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(path);
        var items = new List<JsonObject>();
        string? more = null;
        while (true)
        {
            var page = await GetAsync(
                WithQuery(path, ("labelSelector", labels), ("fieldSelector", fields), ("limit", "500"), ("continue", more)),
                cancel).ConfigureAwait(false);
            var kind = (page.Text("kind") ?? "List") is { } list && list.EndsWith("List", StringComparison.Ordinal)
                ? list[..^4]
                : "";
            foreach (var item in page.Objects("items"))
            {
                item["apiVersion"] ??= page.Text("apiVersion");
                if (kind.Length > 0) item["kind"] ??= kind;
                items.Add(item);
            }
            more = page.Text("metadata", "continue");
            if (string.IsNullOrEmpty(more)) return (items, page.Text("metadata", "resourceVersion") ?? "0");
        }
    }

    /// <summary>Creates an object; never repeated, since a lost answer may mean success.</summary>
    /// <exception cref="ClusterApiException">409 when it exists, among others.</exception>
    public Task<JsonObject> CreateAsync(string path, JsonObject body, CancellationToken cancel) =>
        SendJsonAsync(HttpMethod.Post, path, body, JsonType, repeat: false, cancel);

    /// <summary>
    /// Replaces an object; with <c>metadata.resourceVersion</c> in it only if nobody changed it since (409 otherwise).
    /// </summary>
    public Task<JsonObject> ReplaceAsync(string path, JsonObject body, CancellationToken cancel) =>
        SendJsonAsync(HttpMethod.Put, path, body, JsonType, repeat: false, cancel);

    /// <summary>Changes members of an object by a JSON merge patch.</summary>
    public Task<JsonObject> MergeAsync(string path, JsonObject patch, CancellationToken cancel) =>
        SendJsonAsync(HttpMethod.Patch, path, patch, MergePatchType, repeat: true, cancel);

    /// <summary>Deletes an object. Its dependants go with it, in the background.</summary>
    /// <param name="path">The object's path.</param>
    /// <param name="uid">Only the object with this uid; null for whichever has the name.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>False when it was not there (or was another).</returns>
    public async Task<bool> DeleteAsync(string path, string? uid, CancellationToken cancel)
    {
        var options = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "DeleteOptions", ["propagationPolicy"] = "Background" };
        if (uid is not null) options["preconditions"] = new JsonObject { ["uid"] = uid };
        try
        {
            await SendJsonAsync(HttpMethod.Delete, path, options, JsonType, repeat: true, cancel).ConfigureAwait(false);
            return true;
        }
        catch (ClusterApiException none) when (none.Code == 404 || none.Code == 409 && uid is not null)
        {
            return false;
        }
    }

    /// <summary>Server-side apply of one object at its path.</summary>
    internal Task<JsonObject> ApplyAtAsync(string path, JsonObject body, bool dryRun, CancellationToken cancel) =>
        SendJsonAsync(
            HttpMethod.Patch,
            WithQuery(path, ("fieldManager", FieldManager), ("force", "true"), ("dryRun", dryRun ? "All" : null)),
            body,
            ApplyPatchType,
            repeat: true,
            cancel);

    /// <summary>What a service behind the API server answers to a GET, through the server's proxy.</summary>
    /// <param name="ns">Namespace.</param>
    /// <param name="service">Service and port, <c>name:port</c>.</param>
    /// <param name="path">Path and query.</param>
    /// <param name="cancel">Stops it.</param>
    /// <param name="headers">Headers to send along; null for none.</param>
    /// <returns>HTTP status code and the body's beginning. 503 when no pod is ready.</returns>
    /// <exception cref="UnavailableException">There was no answer within ten seconds, or it is not the service's: the API server
    /// is busy, or does not let this user through.</exception>
    public async Task<(int Code, string Body)> ProxyAsync(string ns, string service, string path, CancellationToken cancel,
        IReadOnlyDictionary<string, string>? headers = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        var full = $"/api/v1/namespaces/{ns}/services/{service}/proxy/{path.TrimStart('/')}";
        using var limit = new CancellationTokenSource(ProxyLimit, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            using var response = await SendAsync(
                HttpMethod.Get, full, null, JsonType, "*/*", either.Token, headers).ConfigureAwait(false);
            var body = await response.Content.ReadAsStringAsync(either.Token).ConfigureAwait(false);
            var code = (int)response.StatusCode;
            if (!response.IsSuccessStatusCode && IsOfTheServer(body) && Failure(response, body, "GET " + full) is var failure
                && failure is not ClusterApiException { Code: 400 or 404 })
                throw failure as UnavailableException
                    ?? new UnavailableException(
                        "cluster-unreachable",
                        $"the API server {Server} did not ask the service \"{ns}/{service}\": {failure.Message}",
                        failure);
            return (code, body.Length > 4096 ? body[..4096] : body);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw Unreachable(new HttpRequestException(
                $"no answer of the service \"{ns}/{service}\" within {Durations.Show(ProxyLimit)}", error));
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw Unreachable(error);
        }
    }

    // The API server's own no, not what the service or the way to its pods said.
    private static bool IsOfTheServer(string body)
    {
        try
        {
            var status = OutsideJson.ReadObject(body, "the answer");
            return status.Text("kind") == "Status"
                && status.Text("apiVersion") == "v1"
                && (status.Text("message") ?? "") is var said
                && !said.Contains("no endpoints available", StringComparison.Ordinal)
                && !said.Contains("error trying to reach service", StringComparison.Ordinal);
        }
        catch (OutsideJsonException)
        {
            return false;
        }
    }

    internal static string WithQuery(string path, params ReadOnlySpan<(string Name, string? Value)> query)
    {
        var text = new StringBuilder(path);
        var separator = path.Contains('?', StringComparison.Ordinal) ? '&' : '?';
        foreach (var (name, value) in query)
        {
            if (value is null) continue;
            text.Append(separator).Append(name).Append('=').Append(Uri.EscapeDataString(value));
            separator = '&';
        }
        return text.ToString();
    }

    internal async Task<JsonObject> SendJsonAsync(
        HttpMethod method, string path, JsonObject? body, string contentType, bool repeat, CancellationToken cancel)
    {
        async ValueTask<JsonObject> Once(CancellationToken token)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(token);
            limit.CancelAfter(AnswerLimit);
            try
            {
                using var response = await SendAsync(
                    method, path, body, contentType, JsonType, limit.Token).ConfigureAwait(false);
                if (!response.IsSuccessStatusCode)
                    throw Failure(
                        response,
                        await response.Content.ReadAsStringAsync(limit.Token).ConfigureAwait(false),
                        $"{method} {path}");
                var answer = await response.Content.ReadAsStreamAsync(limit.Token).ConfigureAwait(false);
                return await OutsideJson.ReadObjectAsync(answer, $"the answer to {method} {path}", Answers, limit.Token)
                    .ConfigureAwait(false);
            }
            catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
            {
                throw new HttpRequestException($"no answer within {Durations.Show(AnswerLimit)}", error);
            }
            catch (OutsideJsonException error)
            {
                throw new HttpRequestException(error.Message, error);
            }
        }
        try
        {
            return repeat
                ? await retry.ExecuteAsync(Once, cancel).ConfigureAwait(false)
                : await Once(cancel).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw Unreachable(error);
        }
        catch (BusyException busy)
        {
            throw new UnavailableException(
                "cluster-unreachable",
                $"the API server {Server} did not do \"{method} {path}\": {busy.Message}; try again when the cluster is well",
                busy);
        }
    }

    internal async Task<HttpResponseMessage> SendAsync(
        HttpMethod method,
        string path,
        JsonObject? body,
        string contentType,
        string accept,
        CancellationToken cancel,
        IReadOnlyDictionary<string, string>? headers = null)
    {
        using var request = new HttpRequestMessage(
            method, new Uri(Server.AbsoluteUri.TrimEnd('/') + path))
        { Version = HttpVersion.Version11 };
        request.Headers.Accept.ParseAdd(accept);
        request.Headers.UserAgent.ParseAdd("cisteps/" + StepHost.Version.Split('+')[0]);
        foreach (var (name, value) in headers ?? new Dictionary<string, string>())
            request.Headers.TryAddWithoutValidation(name, value);
        if (body is not null)
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body.ToJsonString()))
            {
                Headers = { ContentType = new MediaTypeHeaderValue(contentType) }
            };
        if (client.Credentials is { } credentials)
            await credentials.ProcessHttpRequestAsync(request, cancel).ConfigureAwait(false);
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
    }

    internal Exception Failure(HttpResponseMessage response, string body, string asked)
    {
        var code = (int)response.StatusCode;
        var answer = ClusterApiException.Read(code, body, asked);
        return code switch
        {
            401 =>
                new UnavailableException(
                    "cluster-unauthorized",
                    $"the API server {Server} does not take the credentials of context \"{Context}\" ({answer.Said}); " +
                    "they may have expired or been revoked: fetch a fresh kubeconfig",
                    answer),
            // Quota and admission say 403 too; those are about the object, not about who asks.
            403 when !IsDenial(answer.Said) =>
                new UnavailableException(
                    "cluster-forbidden",
                    $"context \"{Context}\" may not do \"{asked}\" on {Server}: {answer.Said}; give its user that right, " +
                    "or use another kubeconfig",
                    answer),
            408 or 429 or 502 or 503 or 504 => new BusyException(answer.Message, response.Headers.RetryAfter?.Delta),
            500 when IsManifestFault(answer.Said) => answer,
            500 when answer.Reason is "" or "InternalError" or "ServerTimeout" or "Timeout" =>
                new BusyException(answer.Message, response.Headers.RetryAfter?.Delta),
            _ => answer,
        };
    }

    internal UnavailableException Unreachable(Exception error)
    {
        if (error.InnerException is System.Security.Authentication.AuthenticationException { Message: var text }
            && text.Contains("certificate", StringComparison.OrdinalIgnoreCase))
            return new UnavailableException(
                "cluster-unreachable",
                $"the API server {Server} shows a certificate that the kubeconfig's authority did not sign, " +
                "or for another name; check that the address leads to this cluster, and fetch a fresh kubeconfig",
                error);
        var inner = error is HttpRequestException { InnerException: { } cause } ? cause.Message : error.Message;
        return new UnavailableException(
            "cluster-unreachable",
            $"the API server {Server} does not answer: {inner}; check that the cluster runs and that this machine reaches it",
            error);
    }

    private static bool IsDenial(string said) =>
        said.Contains("exceeded quota", StringComparison.Ordinal) || said.Contains("failed quota", StringComparison.Ordinal)
        || said.Contains("admission webhook", StringComparison.Ordinal)
            || said.Contains("violates PodSecurity", StringComparison.Ordinal)
        || said.Contains("is being terminated", StringComparison.Ordinal)
            || said.Contains("ValidatingAdmissionPolicy", StringComparison.Ordinal);

    // Server-side apply answers a field that the kind does not have with 500 and no reason: asking again never helps.
    private static bool IsManifestFault(string said) =>
        said.Contains("failed to create typed patch object", StringComparison.Ordinal)
        || said.Contains("field not declared in schema", StringComparison.Ordinal);

    private static bool IsTransient(Exception error) => error is BusyException or IOException
        || error is HttpRequestException
        {
            HttpRequestError: not (HttpRequestError.SecureConnectionError or HttpRequestError.NameResolutionError)
        };

    private static TimeSpan? DelayOf(Exception error) => (error as BusyException)?.After;

    internal sealed class BusyException(string message, TimeSpan? after) : Exception(message)
    {
        public TimeSpan? After { get; } = after;
    }
}
