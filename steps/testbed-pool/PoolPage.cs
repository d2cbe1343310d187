using System.Globalization;
using System.Net;
using System.Text.Json;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Testbeds.Pool;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace CiSteps.TestbedPool;

/// <summary>The pool's page and API: <c>/</c>, <c>/api/testbeds</c>, <c>/api/claims</c>, <c>/healthz</c>. Reading only.</summary>
internal sealed class PoolPage : IAsyncDisposable
{
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(3);

    private readonly WebApplication app;
    private readonly TimeProvider time;

    private PoolPage(WebApplication app, TimeProvider time) => (this.app, this.time) = (app, time);

    /// <summary>Where it listens, with the real port.</summary>
    public string Url => app.Urls.First();

    /// <summary>Reads <c>address:port</c>; null for <c>off</c>.</summary>
    /// <exception cref="UsageException">Anything else.</exception>
    public static IPEndPoint? Address(string text) => text == "off" ? null
        : IPEndPoint.TryParse(text, out var address) && text.Contains(':', StringComparison.Ordinal) ? address
        : throw new UsageException($"\"{text}\" is not an address to listen on; give one like 127.0.0.1:8087, or off");

    public static async Task<PoolPage> StartAsync(
        IPEndPoint address, Cluster management, string ns, BuildLog log, CancellationToken cancel)
    {
        // Nothing is read from files or variables of the folder that this happens to run in.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(address);
        });
        var app = builder.Build();
        app.Run(http => AnswerAsync(http, management, ns));
        try
        {
            await app.StartAsync(cancel);
        }
        catch (IOException taken)
        {
            await app.DisposeAsync();
            throw new UsageException($"cannot listen on {address}: {taken.Message}; give another --listen", taken);
        }
        var page = new PoolPage(app, management.Time);
        log.Info($"the pool's page is at {page.Url}");
        if (!IPAddress.IsLoopback(address.Address)) log.Warning($"anybody who reaches {address} can see who holds which testbed");
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(StopLimit, time);
        await app.StopAsync(limit.Token);
        await app.DisposeAsync();
    }

    private static async Task AnswerAsync(HttpContext http, Cluster management, string ns)
    {
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        if (http.Request.Method is not ("GET" or "HEAD"))
        {
            await WriteAsync(http, 405, "text/plain", "this page is for reading; claims are made with reserve-testbed\n");
            return;
        }
        try
        {
            switch (http.Request.Path.Value)
            {
                case "/":
                    await WriteAsync(http, 200, "text/html", Page(await ReadAsync(), ns));
                    break;
                case "/healthz":
                    await ReadAsync();
                    await WriteAsync(http, 200, "text/plain", "ok\n");
                    break;
                case "/api/testbeds":
                    await WriteAsync(
                        http,
                        200,
                        "application/json",
                        JsonSerializer.Serialize((await ReadAsync()).Testbeds, PoolJson.Default.IReadOnlyListTestbedStatus));
                    break;
                case "/api/claims":
                    await WriteAsync(
                        http,
                        200,
                        "application/json",
                        JsonSerializer.Serialize((await ReadAsync()).Claims, PoolJson.Default.IReadOnlyListClaimStatus));
                    break;
                default:
                    await WriteAsync(http, 404, "text/plain", "there are: / /api/testbeds /api/claims /healthz\n");
                    break;
            }
        }
        catch (Exception error) when (error is UnavailableException or ClusterApiException)
        {
            await WriteAsync(http, 503, "text/plain", $"the management cluster does not answer: {error.Message}\n");
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The reader has gone.
        }

        Task<PoolView> ReadAsync() => PoolView.ReadAsync(management, ns, http.RequestAborted);
    }

    private static async Task WriteAsync(HttpContext http, int status, string type, string text)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = type + "; charset=utf-8";
        if (http.Request.Method == "GET") await http.Response.WriteAsync(text, http.RequestAborted);
    }

    internal static string Page(PoolView view, string ns)
    {
        var phases = view.Testbeds.GroupBy(testbed => testbed.Phase, StringComparer.Ordinal)
            .Select(group => $"{group.Count()} {group.Key.ToLowerInvariant()}");
        var waiting = view.Claims.Count(claim => claim.Position > 0);
        var summary = $"{Count.Of(view.Testbeds.Count, "testbed")} in {ns}: {string.Join(", ", phases)}; "
            + $"{Count.Of(waiting, "claim waits", "claims wait")}.";
        return Html.Of($"""
            <!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
            <meta name="viewport" content="width=device-width"><title>Testbeds</title>
            {Html.Raw(Style)}</head><body><h1>Testbeds</h1>
            <p>{summary} <a href="/api/testbeds">testbeds</a> and <a href="/api/claims">claims</a> as JSON.</p>
            <table><thead><tr><th>Testbed<th>Class<th>Phase<th>Since<th>Lease<th>Held by<th>Claim<th>Last</tr></thead><tbody>
            {Html.Each(view.Testbeds, testbed => Row(testbed, view.At))}</tbody></table>
            <h2>Claims</h2>
            <table>
            <thead><tr><th>Claim<th>Class<th>Phase<th>Place<th>Testbed<th>Who<th>Priority<th>Age<th>Until<th></tr></thead><tbody>
            {Html.Each(view.Claims, claim => Row(claim, view.At))}</tbody></table></body></html>

            """).ToString();
    }

    private static Html Row(TestbedStatus testbed, DateTimeOffset now) => Html.Of($"""
        <tr><td>{testbed.Name}<td>{testbed.Class}
        <td class="{testbed.Phase}">{testbed.Phase}<td>{StatusTable.Ago(now, testbed.Since)}
        <td>{testbed.Lease}<td>{testbed.Who}<td>{testbed.Claim}<td>{testbed.Message}</tr>

        """);

    private static Html Row(ClaimStatus claim, DateTimeOffset now)
    {
        var place = claim.Position > 0 ? claim.Position.ToString(CultureInfo.InvariantCulture) : "";
        return Html.Of($"""
            <tr><td>{claim.Name}<td>{claim.Class}<td class="{claim.Phase}">{claim.Phase}{(claim.PickedUp
                ? ", in use"
                : "")}<td>{place}
            <td>{claim.Testbed}<td>{claim.Who}<td>{claim.Priority}<td>{StatusTable.Ago(now, claim.Created)}
            <td>{claim.Until?.ToLocalTime().ToString("HH:mm", CultureInfo.InvariantCulture)}<td>{claim.Message}</tr>

            """);
    }

    private const string Style = """
        <style>
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1f24; background: #fff; }
        table { border-collapse: collapse; margin: 0 0 2rem; }
        th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #d8dee4; vertical-align: top; }
        th { font-weight: 600; }
        .Free { color: #116329; }
        .Leased, .Bound { color: #0550ae; }
        .Quarantined, .Expired { color: #a40e26; font-weight: 600; }
        .Cleaning, .Revoking, .Provisioning, .Pending { color: #7d4e00; }
        @media (prefers-color-scheme: dark) {
          body { color: #e6edf3; background: #0d1117; }
          th, td { border-color: #30363d; }
          .Free { color: #56d364; }
          .Leased, .Bound { color: #79c0ff; }
          .Quarantined, .Expired { color: #ff7b72; }
          .Cleaning, .Revoking, .Provisioning, .Pending { color: #e3b341; }
          a { color: #79c0ff; }
        }
        </style>
        """;
}
