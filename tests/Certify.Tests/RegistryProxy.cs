using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace CiSteps.Certify.Tests;

/// <summary>
/// Stands between certify and a real registry: writes down each call, lets somebody else act between two of them, and can answer
/// in the registry's place.
/// </summary>
internal sealed class RegistryProxy : IAsyncDisposable
{
    private static readonly string[] NotPassedOn = ["Host", "Connection", "Transfer-Encoding", "Content-Length", "Content-Type"];

    private readonly WebApplication app;
    private readonly HttpClient upstream;
    private readonly List<string> calls = [];

    private RegistryProxy(WebApplication app, string registry) =>
        (this.app, upstream) = (app, new HttpClient { BaseAddress = new Uri("http://" + registry) });

    /// <summary><c>127.0.0.1:port</c>.</summary>
    public string Host => new Uri(app.Urls.First()).Authority;

    /// <summary>Method and path of each call.</summary>
    public IReadOnlyList<string> Calls
    {
        get
        {
            lock (calls) return [.. calls];
        }
    }

    /// <summary>Called with a call's method and path before the registry gets it; a status is answered in its place.</summary>
    public Func<string, Task<int?>> Before { get; set; } = _ => Task.FromResult<int?>(null);

    /// <summary>Called with a call's method and path when the registry has answered, before the answer goes back.</summary>
    public Func<string, Task> After { get; set; } = _ => Task.CompletedTask;

    public static async Task<RegistryProxy> StartAsync(string registry)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var proxy = new RegistryProxy(app, registry);
        app.Run(proxy.AnswerAsync);
        await app.StartAsync();
        return proxy;
    }

    public void Forget()
    {
        lock (calls) calls.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        upstream.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var asked = context.Request;
        var call = $"{asked.Method} {asked.Path}";
        lock (calls) calls.Add(call);
        if (await Before(call) is { } status)
        {
            context.Response.StatusCode = status;
            context.Response.Headers.RetryAfter = "1";
            return;
        }
        using var body = new MemoryStream();
        await asked.Body.CopyToAsync(body, context.RequestAborted);
        using var request = new HttpRequestMessage(
            new HttpMethod(asked.Method), context.Features.Get<IHttpRequestFeature>()!.RawTarget);
        if (!HttpMethods.IsGet(asked.Method) && !HttpMethods.IsHead(asked.Method))
        {
            request.Content = new ByteArrayContent(body.ToArray());
            if (asked.ContentType is not null) request.Content.Headers.TryAddWithoutValidation("Content-Type", asked.ContentType);
        }
        foreach (var (name, value) in asked.Headers)
            if (!NotPassedOn.Contains(name, StringComparer.OrdinalIgnoreCase))
                request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value!);
        using var answer = await upstream.SendAsync(request, context.RequestAborted);
        await After(call);
        context.Response.StatusCode = (int)answer.StatusCode;
        foreach (var (name, values) in answer.Headers.Concat(answer.Content.Headers))
            if (name is not ("Transfer-Encoding" or "Connection" or "Location"))
                context.Response.Headers[name] = values.ToArray();
        if (answer.Headers.Location is { } location)
            context.Response.Headers.Location = location.IsAbsoluteUri ? location.PathAndQuery : location.ToString();
        if (!HttpMethods.IsHead(asked.Method)) await answer.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }
}
