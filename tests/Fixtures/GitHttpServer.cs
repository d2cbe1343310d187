using System.Diagnostics;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace CiSteps.Fixtures;

/// <summary>
/// Serves bare repositories over HTTP as a real server does, by git's own http-backend, with Basic authentication.
/// </summary>
public sealed class GitHttpServer : IAsyncDisposable
{
    private readonly WebApplication server;
    private readonly string folder;
    private readonly string? credentials;

    private GitHttpServer(WebApplication server, string folder, string? credentials) =>
        (this.server, this.folder, this.credentials) = (server, folder, credentials);

    /// <summary>Address without path, with a slash at its end.</summary>
    public string Url { get; private set; } = "";

    /// <summary>How many requests came without the right credentials.</summary>
    public int Unauthorized { get; private set; }

    /// <summary>Requests, by their path, that are answered as if there were no such repository (404).</summary>
    public Func<string, bool> Missing { get; set; } = _ => false;

    /// <summary>What a request without the right credentials is answered; a real server says something there, and not always of
    /// which type.</summary>
    public string? UnauthorizedBody { get; set; } = "HTTP Basic: Access denied\n";

    /// <summary>The type of that body; null for none.</summary>
    public string? UnauthorizedType { get; set; } = "text/plain";

    /// <summary>Called with each request first; it answers by itself when it gives true.</summary>
    public Func<HttpContext, Task<bool>>? Instead { get; set; }

    /// <summary>How many bytes of an answer to a push leave the server before the connection breaks; null for all.</summary>
    public int? CutAfter { get; set; }

    /// <summary>The requests that were served: method, path and query.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Serves the repositories below a folder on a free loopback port.</summary>
    /// <param name="folder">Where the bare repositories are.</param>
    /// <param name="credentials"><c>user:password</c> that every request needs; null for none, and then nobody may push.</param>
    public static async Task<GitHttpServer> StartAsync(string folder, string? credentials)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var started = new GitHttpServer(builder.Build(), folder, credentials);
        started.server.Run(started.ServeAsync);
        await started.server.StartAsync();
        started.Url = started.server.Services
            .GetRequiredService<IServer>().Features
            .Get<IServerAddressesFeature>()!.Addresses.Single() +
            "/";
        return started;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await server.DisposeAsync();

    private async Task ServeAsync(HttpContext context)
    {
        Requests.Enqueue($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}");
        if (Instead is { } instead && await instead(context)) return;
        var wanted = credentials is null ? null : "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials));
        if (wanted is not null && context.Request.Headers.Authorization != wanted)
        {
            Unauthorized++;
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"git\"";
            if (UnauthorizedBody is null) return;
            if (UnauthorizedType is not null) context.Response.ContentType = UnauthorizedType;
            await context.Response.WriteAsync(UnauthorizedBody);
            return;
        }
        if (Missing(context.Request.Path))
        {
            context.Response.StatusCode = 404;
            return;
        }
        var start = new ProcessStartInfo("git", ["http-backend"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false
        };
        start.Environment["GIT_PROJECT_ROOT"] = folder;
        start.Environment["GIT_HTTP_EXPORT_ALL"] = "1";
        start.Environment["PATH_INFO"] = context.Request.Path;
        start.Environment["REQUEST_METHOD"] = context.Request.Method;
        start.Environment["QUERY_STRING"] = context.Request.QueryString.Value?.TrimStart('?');
        start.Environment["CONTENT_TYPE"] = context.Request.ContentType;
        start.Environment["HTTP_CONTENT_ENCODING"] = context.Request.Headers.ContentEncoding;
        start.Environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
        if (credentials is not null) start.Environment["REMOTE_USER"] = credentials.Split(':')[0];
        using var git = Process.Start(start)!;
        var sending = SendAsync();
        using var output = git.StandardOutput.BaseStream;
        while (await HeaderAsync(output) is { Length: > 0 } header)
        {
            var (name, value) = (
                header[..header.IndexOf(':', StringComparison.Ordinal)],
                header[(header.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim());
            if (name == "Status") context.Response.StatusCode = int.Parse(value.Split(' ')[0]);
            else context.Response.Headers[name] = value;
        }
        if (CutAfter is { } most && context.Request.Method == "POST" && context.Request.Path.Value!.EndsWith("git-receive-pack"))
        {
            var all = new MemoryStream();
            await output.CopyToAsync(all);
            await context.Response.Body.WriteAsync(all.ToArray().AsMemory(0, (int)Math.Min(most, all.Length)));
            await context.Response.Body.FlushAsync();
            context.Abort();
            return;
        }
        await output.CopyToAsync(context.Response.Body, context.RequestAborted);
        await sending;
        await git.WaitForExitAsync(context.RequestAborted);

        async Task SendAsync()
        {
            await context.Request.Body.CopyToAsync(git.StandardInput.BaseStream, context.RequestAborted);
            git.StandardInput.Close();
        }
    }

    private static async Task<string> HeaderAsync(Stream stream)
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (await stream.ReadAsync(one) == 1 && one[0] != '\n')
            if (one[0] != '\r') line.Append((char)one[0]);
        return line.ToString();
    }
}
