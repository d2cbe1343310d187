using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Images;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CiSteps.Fixtures;

/// <summary>
/// A registry in memory whose one repository has thousands of tags, on a free loopback port: pages with links, manifests by tag
/// and by digest, configurations, deletion. It counts what it is asked, and holds the first question for a manifest until another
/// comes, so that who asks several at once is seen to.
/// </summary>
public sealed class CrowdedRegistry : IAsyncDisposable
{
    private const int LongestPage = 1000;
    private const string Absent = """{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}""";

    private readonly WebApplication application;
    private readonly string repository;
    private readonly SortedDictionary<string, string> tags = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, byte[]> content = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> deleted = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> asked = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource company = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int underWay;
    private int mostAtOnce;
    private readonly Lazy<Task> aloneLongEnough = new(() => Task.Delay(TimeSpan.FromSeconds(20)));

    private CrowdedRegistry(WebApplication application, string repository) =>
        (this.application, this.repository) = (application, repository);

    /// <summary><c>127.0.0.1:port</c>.</summary>
    public string Host => new Uri(application.Urls.First()).Authority;

    /// <summary>How often each kind of question was asked: method and <c>tags</c>, <c>manifest</c>, <c>blob</c> or
    /// <c>other</c>.</summary>
    public IReadOnlyDictionary<string, int> Asked => asked;

    /// <summary>The most requests that were under way at one time.</summary>
    public int MostAtOnce => mostAtOnce;

    /// <summary>Digests that were deleted.</summary>
    public IReadOnlyCollection<string> Deleted => [.. deleted.Keys];

    /// <summary>Starts an empty one.</summary>
    /// <param name="repository">Path of its repository.</param>
    public static async Task<CrowdedRegistry> StartAsync(string repository)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var registry = new CrowdedRegistry(builder.Build(), repository);
        registry.application.Run(registry.AnswerAsync);
        await registry.application.StartAsync();
        return registry;
    }

    /// <summary>Adds an image with tags; before the first question.</summary>
    /// <returns>Its digest.</returns>
    public string Add(string created, params string[] names)
    {
        var config = Store(
            $$"""{"os":"linux","architecture":"amd64","created":"{{created}}","config":{"Labels":{"tag":"{{names[0]}}"} } }""");
        var digest = Store($$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":
            {"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{config}}",
             "size":{{content[config].Length}}},"layers":[]}
            """);
        foreach (var name in names) tags[name] = digest;
        return digest;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => application.DisposeAsync();

    private string Store(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var digest = "sha256:" + Convert.ToHexStringLower(SHA256.HashData(bytes));
        content[digest] = bytes;
        return digest;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var now = Interlocked.Increment(ref underWay);
        for (var most = mostAtOnce; now > most; most = mostAtOnce) Interlocked.CompareExchange(ref mostAtOnce, now, most);
        try
        {
            var path = context.Request.Path.Value!;
            var kind = path.EndsWith("/tags/list", StringComparison.Ordinal) ? "tags"
                : path.Contains("/manifests/", StringComparison.Ordinal) ? "manifest"
                : path.Contains("/blobs/", StringComparison.Ordinal) ? "blob" : "other";
            asked.AddOrUpdate($"{context.Request.Method} {kind}", 1, (_, count) => count + 1);
            if (now > 1) company.TrySetResult();
            // Who asks one after another is answered late, and mostAtOnce tells of it.
            if (kind == "manifest") await Task.WhenAny(company.Task, aloneLongEnough.Value);
            if (kind == "other" || !path.StartsWith($"/v2/{repository}/", StringComparison.Ordinal))
                await WriteAsync(context, 404, Absent);
            else if (kind == "tags") await ListAsync(context);
            else await ContentAsync(context, path[(path.LastIndexOf('/') + 1)..]);
        }
        finally
        {
            Interlocked.Decrement(ref underWay);
        }
    }

    private async Task ListAsync(HttpContext context)
    {
        var last = context.Request.Query["last"].ToString();
        var count = Math.Min(int.Parse(context.Request.Query["n"]!, System.Globalization.CultureInfo.InvariantCulture),
            LongestPage);
        var page = tags.Keys.Where(tag => string.CompareOrdinal(tag, last) > 0).Take(count + 1).ToList();
        if (page.Count > count)
        {
            page.RemoveAt(count);
            context.Response.Headers.Link = $"</v2/{repository}/tags/list?last={page[^1]}&n={count}>; rel=\"next\"";
        }
        await WriteAsync(
            context,
            200,
            $$"""{"name":"{{repository}}","tags":[{{string.Join(',', page.Select(tag => $"\"{tag}\""))}}]}""");
    }

    private async Task ContentAsync(HttpContext context, string name)
    {
        var digest = tags.GetValueOrDefault(name, name);
        if (!content.TryGetValue(digest, out var bytes) || deleted.ContainsKey(digest))
        {
            await WriteAsync(context, 404, Absent);
            return;
        }
        if (HttpMethods.IsDelete(context.Request.Method))
        {
            deleted[digest] = true;
            context.Response.StatusCode = 202;
            return;
        }
        context.Response.Headers["Docker-Content-Digest"] = digest;
        context.Response.ContentType = MediaTypes.OciManifest;
        context.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await context.Response.Body.WriteAsync(bytes);
    }

    private static Task WriteAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.WriteAsync(text);
    }
}
