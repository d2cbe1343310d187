using System.Formats.Tar;
using System.Globalization;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace CiSteps.Images.Tests;

/// <summary>Generated trees and ignore files, given to the engine's own client and to <see cref="BuildContext"/>: both must send the same. What the client sends is caught where it would reach the engine.</summary>
[Category("NeedsDocker")]
public sealed class IgnoreDifferentialTests
{
    private const int Cases = 80;
    private static readonly string[] names = ["a", "b", "ab", "sub", "deep", "a.txt", "b.txt", "x.md", "a+b(c)", "a b", "ä", ".a", "{a,b}", "a$"];
    private static readonly string[] parts =
    [
        "a", "b", "ab", "sub", "deep", "a.txt", "b.txt", "a+b(c)", "a b", "ä", ".a", "{a,b}", "a$", "*", "*", "**", "**", "?", "??", "*.txt", "*.*", "a*", "*b", "a**", "**b", "***", "[ab]", "[^a]", "[!a]", "[a-c]*",
        "[]", "[", "[a", "[a-]", "[-a]", "[^]", "[]a]", "[a^]", "\\a", "\\*", "a\\", ".", "..", "", "Dockerfile", "Dockerfile*", ".dockerignore", ".docker*",
    ];

    private WebApplication engine = null!;
    private TestFolder home = null!;
    private List<string>? sent;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        home = new TestFolder();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = null);
        engine = builder.Build();
        engine.Run(AnswerAsync);
        await engine.StartAsync();
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await engine.DisposeAsync();
        home.Dispose();
    }

    [TestCase(1)]
    [TestCase(2)]
    public async Task Sends_what_the_engines_own_client_sends(int seed)
    {
        var random = new Random(seed);
        var differences = new List<string>();
        var (much, refused) = (0, 0);
        for (var at = 0; at < Cases; at++)
        {
            using var folder = new TestFolder();
            Plant(folder, random);
            var ignore = Ignore(random);
            folder.Write(".dockerignore", ignore);
            var (theirs, why) = await TheirsAsync(folder);
            var ours = Ours(folder);
            if (theirs is null) refused++;
            else if (theirs.Count < 4) much++;
            if (!(theirs ?? []).SequenceEqual(ours ?? []) || theirs is null != ours is null)
                differences.Add($"case {at} of seed {seed}:\n{ignore}---\n  client only: {string.Join(", ", (theirs ?? []).Except(ours ?? []))}\n  here only: {string.Join(", ", (ours ?? []).Except(theirs ?? []))}\n  client {(theirs is null ? "refuses: " + why : "sends")}, here {(ours is null ? "refused" : "sent")}");
        }
        Assert.That(differences, Is.Empty, string.Join('\n', differences.Take(10)));
        Assert.That(Math.Min(much, refused), Is.Positive, "cases that ignore much, and cases that both refuse");
    }

    private static void Plant(TestFolder folder, Random random)
    {
        folder.Write("Dockerfile", "FROM scratch\n");
        for (var count = random.Next(4, 16); count > 0; count--)
        {
            var path = string.Join('/', Enumerable.Range(0, random.Next(1, 5)).Select(_ => names[random.Next(names.Length)]));
            if (Enumerable.Range(1, path.Length - 1).Any(length => path[length] == '/' && File.Exists(folder.Of(path[..length]))) || Path.Exists(folder.Of(path))) continue;
            if (random.Next(5) == 0) Directory.CreateDirectory(folder.Of(path));
            else folder.Write(path, path);
        }
        File.CreateSymbolicLink(folder.Of("link"), "sub");
    }

    private static string Ignore(Random random)
    {
        var text = random.Next(20) == 0 ? "\uFEFF" : "";
        for (var count = random.Next(1, 6); count > 0; count--)
        {
            var line = string.Join('/', Enumerable.Range(0, random.Next(1, 4)).Select(_ => parts[random.Next(parts.Length)]));
            line = random.Next(12) switch { 0 => "/" + line, 1 => "./" + line, 2 => line + "/", 3 => " " + line, 4 => line + " \t", 5 => line + "/*", _ => line };
            line = random.Next(8) switch { 0 or 1 or 2 => "!" + line, 3 when random.Next(3) == 0 => "! " + line, 4 when random.Next(3) == 0 => "#" + line, _ => line };
            text += line + (random.Next(10) == 0 ? "\r\n" : "\n");
        }
        return text;
    }

    private static List<string>? Ours(TestFolder folder)
    {
        try
        {
            return [.. BuildContext.Open(folder.Path, folder.Of("Dockerfile")).List()];
        }
        catch (UsageException)
        {
            return null;
        }
    }

    private async Task<(List<string>? Sent, string Text)> TheirsAsync(TestFolder folder)
    {
        sent = null;
        var (exit, output, error) = await ChildProcess.CaptureAsync("docker", ["build", "--quiet", folder.Path], "/", new Dictionary<string, string?>
        {
            ["DOCKER_BUILDKIT"] = "0",
            ["DOCKER_HOST"] = engine.Urls.First().Replace("http://", "tcp://", StringComparison.Ordinal),
            ["DOCKER_CONFIG"] = home.Path,
        });
        return (sent, string.Create(CultureInfo.InvariantCulture, $"{exit} {output.Trim()} {error.Trim()}"));
    }

    private async Task AnswerAsync(HttpContext context)
    {
        context.Response.Headers["Api-Version"] = "1.41";
        context.Response.Headers["Ostype"] = "linux";
        if (!context.Request.Path.Value!.EndsWith("/build", StringComparison.Ordinal)) return;
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        var found = new List<string>();
        await using (var reader = new TarReader(context.Request.Body))
            while (await reader.GetNextEntryAsync() is { } entry) found.Add(entry.Name);
        await context.Request.Body.CopyToAsync(Stream.Null);
        sent = found;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync("{\"stream\":\"caught\\n\"}\n");
    }
}
