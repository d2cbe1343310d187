using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace CiSteps.Promote.Tests;

/// <summary>
/// Stands between promote and a server that it writes to: sees each write after the server has taken it, and before the answer
/// goes back; can be made to answer 503, or not at all.
/// </summary>
internal sealed class WritesProxy : IAsyncDisposable
{
    private static readonly string[] NotPassedOn = ["Host", "Connection", "Transfer-Encoding", "Content-Length", "Content-Type"];

    private readonly WebApplication app;
    private readonly HttpClient upstream;

    private WritesProxy(WebApplication app, HttpClient upstream) => (this.app, this.upstream) = (app, upstream);

    /// <summary><c>127.0.0.1:port</c>.</summary>
    public string Host { get; private set; } = "";

    /// <summary>Called with each write that the server took: method, path and body.</summary>
    public Action<string> Written { get; set; } = _ => { };

    /// <summary>Whether the server is away just now.</summary>
    public Func<HttpRequest, bool> IsAway { get; set; } = _ => false;

    public static async Task<WritesProxy> StartAsync(HttpClient upstream)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols =
            HttpProtocols.Http1));
        var app = builder.Build();
        var proxy = new WritesProxy(app, upstream);
        app.Run(proxy.AnswerAsync);
        await app.StartAsync();
        proxy.Host = "127.0.0.1:" + new Uri(app.Urls.First()).Port;
        return proxy;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        upstream.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var asked = context.Request;
        if (IsAway(asked))
        {
            context.Response.StatusCode = 503;
            await context.Response.WriteAsync("away");
            return;
        }
        using var body = new MemoryStream();
        await asked.Body.CopyToAsync(body, context.RequestAborted);
        var path = context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget;
        using var request = new HttpRequestMessage(new HttpMethod(asked.Method), path);
        if (body.Length > 0 || asked.ContentType is not null)
        {
            request.Content = new ByteArrayContent(body.ToArray());
            if (asked.ContentType is not null) request.Content.Headers.TryAddWithoutValidation("Content-Type", asked.ContentType);
        }
        foreach (var (name, value) in asked.Headers)
            if (!NotPassedOn.Contains(name, StringComparer.OrdinalIgnoreCase)) request.Headers.TryAddWithoutValidation(name,
                (IEnumerable<string?>)value!);
        try
        {
            using var answer = await upstream.SendAsync(request, HttpCompletionOption.ResponseHeadersRead,
                context.RequestAborted);
            if (!HttpMethods.IsGet(asked.Method) && !HttpMethods.IsHead(asked.Method) && answer.IsSuccessStatusCode)
                Written($"{asked.Method} {asked.Path} {System.Text.Encoding.UTF8.GetString(body.ToArray())}");
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.Concat(answer.Content.Headers))
                if (name is not ("Transfer-Encoding" or "Connection" or "Location")) context.Response.Headers[name] =
                    values.ToArray();
            if (answer.Headers.Location is { } location) context.Response.Headers.Location = location.IsAbsoluteUri
                ? location.PathAndQuery : location.ToString();
            await using var from = await answer.Content.ReadAsStreamAsync(context.RequestAborted);
            var buffer = new byte[16384];
            int read;
            // A watch is handed on as it comes.
            while ((read = await from.ReadAsync(buffer, context.RequestAborted)) > 0)
            {
                await context.Response.Body.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException or HttpRequestException)
        {
            context.Abort();
        }
    }
}
