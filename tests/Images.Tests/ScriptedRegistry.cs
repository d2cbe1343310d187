using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CiSteps.Images.Tests;

/// <summary>An HTTP server on a free loopback port that answers like a registry in trouble, as a test tells it to.</summary>
internal sealed class ScriptedRegistry : IAsyncDisposable
{
    private readonly WebApplication application;
    private readonly List<string> requests = [];

    private ScriptedRegistry(WebApplication application) => this.application = application;

    /// <summary><c>127.0.0.1:port</c>.</summary>
    public string Host => new Uri(application.Urls.First()).Authority;

    /// <summary>Method and path of each request, with the query.</summary>
    public IReadOnlyList<string> Requests
    {
        get
        {
            lock (requests) return [.. requests];
        }
    }

    public ImageReference Reference(string target = "1") => ImageReference.Of($"{Host}/a/b", target);

    public static async Task<ScriptedRegistry> StartAsync(Func<HttpContext, int, Task> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var registry = new ScriptedRegistry(builder.Build());
        registry.application.Run(async context =>
        {
            int number;
            lock (registry.requests)
            {
                registry.requests.Add($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}");
                number = registry.requests.Count;
            }
            await answer(context, number);
        });
        await registry.application.StartAsync();
        return registry;
    }

    /// <summary>Answers with a status, a body and headers.</summary>
    public static Task AnswerAsync(
        HttpContext context, int status, string body = "", params (string Name, string Value)[] headers)
    {
        context.Response.StatusCode = status;
        foreach (var (name, value) in headers) context.Response.Headers[name] = value;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.WriteAsync(body);
    }

    public ValueTask DisposeAsync() => application.DisposeAsync();
}
