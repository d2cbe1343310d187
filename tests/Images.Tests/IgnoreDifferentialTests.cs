using System.Globalization;
using System.Text;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace CiSteps.Images.Tests;

/// <summary>
/// Generated trees and ignore files, given to the engine's own client and to <see cref="BuildContext"/>: both must send the
/// same names with the same content, permissions, types, times and links. What the client sends is caught where it would
/// reach the engine.
/// </summary>
[Category("NeedsDocker")]
public sealed class IgnoreDifferentialTests
{
    private const int Cases = 80;
    private const string Capabilities = "SCHILY.xattr.security.capability";
    private static readonly string LongName = new('n', 120);
    private static readonly int[] Modes =
    [
        0b110_100_100, 0b111_101_101, 0b100_000_000, 0b110_110_110, 0b100_111_101_101, 0b010_111_101_101, 0b001_111_111_111,
    ];
    private static readonly string[] Targets = ["sub", "a", "../x", "/etc/passwd", "none", "ä/ö", new('t', 130)];
    private static readonly string[] Names =
    [
        "a", "b", "ab", "sub", "deep", "a.txt", "b.txt", "x.md", "a+b(c)", "a b", "ä", ".a", "{a,b}", "a$", "a\\b", "a\nb",
        LongName, "grüße", "😀", "ﬀ",
    ];
    private static readonly string[] Parts =
    [
        "a", "b", "ab", "sub", "deep", "a.txt", "b.txt", "a+b(c)", "a b", "ä", ".a", "{a,b}", "a$", "*", "*", "**", "**", "?",
        "??", "*.txt", "*.*", "a*", "*b", "a**", "**b", "***", "[ab]", "[^a]", "[!a]", "[a-c]*",
        "[]", "[", "[a", "[a-]", "[-a]", "[^]", "[]a]", "[a^]", "\\a", "\\*", "a\\", ".", "..", "", "Dockerfile", "Dockerfile*",
        ".dockerignore", ".docker*", "😀", "[😀]", "[^😀]", "[a😀]*", "*😀",
    ];

    private WebApplication engine = null!;
    private TestFolder home = null!;
    private byte[]? sent;
    private string? dockerfile;

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

    [TestCase(2)]
    [TestCase(101)]
    public async Task Sends_what_the_engines_own_client_sends(int seed)
    {
        var random = new Random(seed);
        var differences = new List<string>();
        var (much, refused) = (0, 0);
        for (var at = 0; at < Cases; at++)
        {
            using var folder = new TestFolder();
            await PlantAsync(folder, random);
            var ignore = Ignore(random);
            folder.Write(".dockerignore", ignore);
            var (theirs, why) = await TheirsAsync(folder);
            var ours = await OursAsync(folder);
            if (theirs is null) refused++;
            else if (theirs.Count < 4) much++;
            if (!(theirs ?? []).SequenceEqual(ours ?? []) || theirs is null != ours is null)
            {
                differences.Add($"""
                    case {at} of seed {seed}:
                    {ignore}---
                      client only: {string.Join(", ", (theirs ?? []).Except(ours ?? []))}
                      here only: {string.Join(", ", (ours ?? []).Except(theirs ?? []))}
                      client {(theirs is null ? "refuses: " + why : "sends")}, here {(ours is null ? "refused" : "sent")}
                    """);
            }
        }
        Assert.That(differences, Is.Empty, string.Join('\n', differences.Take(10)));
        Assert.That(Math.Min(much, refused), Is.Positive, "cases that ignore much, and cases that both refuse");
    }

    [Test]
    public async Task Sends_a_programs_capabilities_as_the_engines_own_client_does()
    {
        using var folder = new TestFolder();
        folder.Write("Dockerfile", "FROM scratch\n");
        foreach (var (name, capabilities) in new[] { ("ping", "cap_net_raw+ep"), ("su", "cap_setuid,cap_setgid+eip") })
            await RunAsync("/usr/sbin/setcap", capabilities, folder.Write(name, "#!/bin/sh\n"));
        var (theirs, why) = await TheirsAsync(folder);
        Assert.That(theirs, Is.Not.Null, why);
        Assert.That(await OursAsync(folder), Is.EqualTo(theirs).AsCollection);
        Assert.That(theirs!.Count(entry => entry.Capabilities.Length > 0), Is.EqualTo(2));
    }

    [TestCase("Dockerfile", "docker/Dockerfile", "")]
    [TestCase("Dockerfile", "docker/Dockerfile", "docker\nDockerfile\n")]
    [TestCase("linked/Dockerfile", "../docker/Dockerfile", "*\n")]
    public async Task Sends_a_linked_dockerfile_as_the_engines_own_client_does(string link, string target, string ignore)
    {
        using var folder = new TestFolder();
        folder.Write("docker/Dockerfile", "FROM scratch\n");
        folder.Write("a", "a");
        folder.Write(".dockerignore", ignore);
        Directory.CreateDirectory(Path.GetDirectoryName(folder.Of(link))!);
        File.CreateSymbolicLink(folder.Of(link), target);
        var (theirs, why) = await TheirsAsync(folder, link);
        Assert.That(theirs, Is.Not.Null, why);
        Assert.That(await OursAsync(folder, link), Is.EqualTo(theirs).AsCollection);
        Assert.That(BuildContext.Open(folder.Path, folder.Of(link)).Dockerfile, Is.EqualTo(dockerfile));
    }

    private static async Task PlantAsync(TestFolder folder, Random random)
    {
        folder.Write("Dockerfile", "FROM scratch\n");
        var files = new List<string>();
        for (var count = random.Next(4, 16); count > 0; count--)
        {
            var path = string.Join('/', Enumerable.Range(0, random.Next(1, 5)).Select(_ => Names[random.Next(Names.Length)]));
            var whole = folder.Of(path);
            if (Enumerable.Range(1, path.Length - 1).Any(length => path[length] == '/' && IsTaken(folder.Of(path[..length]))))
                continue;
            if (Path.Exists(whole) || IsTaken(whole)) continue;
            if (random.Next(5) == 0) Directory.CreateDirectory(whole);
            else if (random.Next(6) == 0)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(whole)!);
                File.CreateSymbolicLink(whole, Targets[random.Next(Targets.Length)]);
                continue;
            }
            else if (files.Count > 0 && random.Next(4) == 0)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(whole)!);
                await RunAsync("ln", files[random.Next(files.Count)], whole);
                continue;
            }
            else
            {
                var repeated = random.Next(4) switch { 0 => 0, 1 => 1, 2 => 60, _ => 20_000 };
                files.Add(folder.Write(path, string.Concat(Enumerable.Repeat(path, repeated))));
            }
            if (Directory.Exists(whole)) continue;
            File.SetLastWriteTimeUtc(whole, DateTime.UnixEpoch.AddSeconds(random.Next()).AddMilliseconds(random.Next(1000)));
            File.SetUnixFileMode(whole, (UnixFileMode)Modes[random.Next(Modes.Length)]);
        }
        File.CreateSymbolicLink(folder.Of("link"), "sub");
    }

    private static bool IsTaken(string path) => File.Exists(path) || new FileInfo(path).LinkTarget is not null;

    private static string Ignore(Random random)
    {
        var text = random.Next(20) == 0 ? "\uFEFF" : "";
        for (var count = random.Next(1, 6); count > 0; count--)
        {
            var line = string.Join('/', Enumerable.Range(0, random.Next(1, 4)).Select(_ => Parts[random.Next(Parts.Length)]));
            line = random.Next(12) switch
            {
                0 => "/" + line,
                1 => "./" + line,
                2 => line + "/",
                3 => " " + line,
                4 => line + " \t",
                5 => line + "/*",
                _ => line
            };
            line = random.Next(8) switch
            {
                0 or 1 or 2 => "!" + line,
                3 when random.Next(3) == 0 => "! " + line,
                4 when random.Next(3) == 0 => "#" + line,
                _ => line
            };
            text += line + (random.Next(10) == 0 ? "\r\n" : "\n");
        }
        return text;
    }

    private static async Task<List<Sent>?> OursAsync(TestFolder folder, string dockerfile = "Dockerfile")
    {
        try
        {
            return Read(await ArchiveAsync(folder, dockerfile));
        }
        catch (UsageException)
        {
            return null;
        }
    }

    private static async Task<byte[]> ArchiveAsync(TestFolder folder, string dockerfile = "Dockerfile")
    {
        var memory = new MemoryStream();
        await BuildContext.Open(folder.Path, folder.Of(dockerfile)).StreamAsync(stream => stream.CopyToAsync(memory));
        return memory.ToArray();
    }

    // .NET's own reader takes no line end in an extended record, and the values of attributes for text.
    private static List<Sent> Read(byte[] archive)
    {
        var (found, records) = (new List<Sent>(), new Dictionary<string, string>(StringComparer.Ordinal));
        for (var at = 0; archive[at + 257] != 0;)
        {
            var block = archive.AsSpan(at, 512);
            var size = (int)Octal(block[124..136]);
            var content = Encoding.UTF8.GetString(archive, at + 512, size);
            if (block[156] == 'x')
            {
                for (var from = at + 512; from < at + 512 + size;)
                {
                    var space = Array.IndexOf(archive, (byte)' ', from);
                    var end = from + int.Parse(archive.AsSpan(from, space - from), CultureInfo.InvariantCulture);
                    var equals = Array.IndexOf(archive, (byte)'=', space);
                    var key = Encoding.ASCII.GetString(archive, space + 1, equals - space - 1);
                    var value = archive.AsSpan(equals + 1, end - equals - 2);
                    records[key] = key == Capabilities ? Convert.ToHexString(value) : Encoding.UTF8.GetString(value);
                    from = end;
                }
            }
            else
            {
                var above = block[345] == 0 ? "" : Text(block[345..500]) + "/";
                found.Add(new Sent(
                    records.GetValueOrDefault("path") ?? above + Text(block[..100]),
                    (char)block[156],
                    Octal(block[100..108]),
                    Octal(block[108..116]),
                    Octal(block[116..124]),
                    records.GetValueOrDefault("mtime") ?? $"{Octal(block[136..148])}",
                    records.GetValueOrDefault("linkpath") ?? Text(block[157..257]),
                    records.GetValueOrDefault(Capabilities) ?? "",
                    content));
                records.Clear();
            }
            at += 512 + ((size + 511) / 512 * 512);
        }
        return found;
    }

    private static string Text(ReadOnlySpan<byte> field) =>
        Encoding.UTF8.GetString(field.IndexOf((byte)0) is var end and >= 0 ? field[..end] : field);

    private static long Octal(ReadOnlySpan<byte> field) => Convert.ToInt64(Text(field).Trim(), 8);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        var (exit, output, error) = await ChildProcess.CaptureAsync(new(program, arguments, "/"));
        Assert.That(exit, Is.Zero, output + error);
    }

    private async Task<(List<Sent>? Sent, string Text)> TheirsAsync(TestFolder folder, string name = "Dockerfile")
    {
        sent = null;
        string[] arguments = ["build", "--quiet", "--file", folder.Of(name), folder.Path];
        var (exit, output, error) = await ChildProcess.CaptureAsync(new("docker", arguments, "/")
        {
            Environment = new Dictionary<string, string?>
            {
                ["DOCKER_BUILDKIT"] = "0",
                ["DOCKER_HOST"] = engine.Urls.First().Replace("http://", "tcp://", StringComparison.Ordinal),
                ["DOCKER_CONFIG"] = home.Path,
            },
        });
        var text = string.Create(CultureInfo.InvariantCulture, $"{exit} {output.Trim()} {error.Trim()}");
        return (sent is null ? null : Read(sent), text);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        context.Response.Headers["Api-Version"] = "1.41";
        context.Response.Headers["Ostype"] = "linux";
        if (!context.Request.Path.Value!.EndsWith("/build", StringComparison.Ordinal)) return;
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        var memory = new MemoryStream();
        await context.Request.Body.CopyToAsync(memory);
        (sent, dockerfile) = (memory.ToArray(), context.Request.Query["dockerfile"]);
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync("{\"stream\":\"caught\\n\"}\n");
    }

    private sealed record Sent(
        string Name,
        char Type,
        long Mode,
        long User,
        long Group,
        string Modified,
        string Link,
        string Capabilities,
        string Content)
    {
        public override string ToString() =>
            $"{Name} ({Type}, {Convert.ToString(Mode, 8)}, {Modified}, \"{Link}\", {Content.Length} of content)";
    }
}
