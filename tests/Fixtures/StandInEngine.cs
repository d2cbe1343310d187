using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CiSteps.Images;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CiSteps.Fixtures;

/// <summary>An engine as people have it: whose, which version, and how it keeps images.</summary>
/// <param name="Name">For test names.</param>
/// <param name="Version">Its version.</param>
/// <param name="Api">The newest API version that it serves.</param>
/// <param name="OldestApi">The oldest one.</param>
/// <param name="HasContainerdStore">Whether an image's id is the digest of its manifest, as in the containerd store, and not that
/// of its configuration.</param>
/// <param name="IsPodman">Whether it is podman.</param>
public sealed record EngineStyle(
    string Name,
    string Version,
    string Api,
    string OldestApi,
    bool HasContainerdStore,
    bool IsPodman = false)
{
    /// <summary>Those that are met.</summary>
    public static IReadOnlyList<EngineStyle> All { get; } =
    [
        new("Docker 28 overlay2", "28.5.2", "1.51", "1.24", HasContainerdStore: false),
        new("Docker 28 containerd", "28.5.2", "1.51", "1.24", HasContainerdStore: true),
        new("Docker 29 overlay2", "29.7.2", "1.55", "1.44", HasContainerdStore: false),
        new("Docker 29 containerd", "29.7.2", "1.55", "1.44", HasContainerdStore: true),
        new("podman 4.3", "4.3.1", "1.41", "1.24", HasContainerdStore: false, IsPodman: true),
    ];

    /// <summary>Whether it says that it builds with BuildKit where nobody says with what, as Docker does since 23.</summary>
    public bool OffersBuildKit => !IsPodman && int.Parse(Version.Split('.')[0], CultureInfo.InvariantCulture) >= 23;

    /// <inheritdoc />
    public override string ToString() => Name;
}

/// <summary>
/// Answers as a container engine does, with the streams of <see cref="EngineStyle"/>: it pulls from and pushes to a real
/// registry, and a build makes an
/// image of the context without running anything. For what a real engine cannot be made to do on demand.
/// </summary>
public sealed partial class StandInEngine : IAsyncDisposable
{
    private const string SocketPrefix = "http://unix:";
    private readonly WebApplication application;
    private readonly EngineStyle style;
    private readonly RegistryClient registry;
    private readonly ConcurrentDictionary<string, HeldImage> images = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> calls = new(StringComparer.Ordinal);
    private int builds;
    private int pushes;

    private StandInEngine(WebApplication application, EngineStyle style, RegistryClient registry) =>
        (this.application, this.style, this.registry) = (application, style, registry);

    /// <summary>For <c>DOCKER_HOST</c>.</summary>
    public string Address => application.Urls.First() is var url && url.StartsWith(SocketPrefix, StringComparison.Ordinal)
        ? "unix://" + url[SocketPrefix.Length..] : "tcp://" + new Uri(url).Authority;

    /// <summary>How many builds it was asked for.</summary>
    public int Builds => builds;

    /// <summary>How many pushes it was asked for.</summary>
    public int Pushes => pushes;

    /// <summary>Happens when an image has arrived in the registry, before the engine says so.</summary>
    public Func<ImageReference, Task>? Arrived { get; set; }

    /// <summary>The digest that it says instead of the right one; empty: it says none.</summary>
    public string? SaysDigest { get; set; }

    /// <summary>The error with which a push ends instead of anything else.</summary>
    public string? PushError { get; set; }

    /// <summary>The error with which a build ends after its first instruction.</summary>
    public string? BuildError { get; set; }

    /// <summary>Happens while it builds.</summary>
    public Action? Building { get; set; }

    /// <summary>The triggers (<c>ONBUILD</c>) of what it builds.</summary>
    public IReadOnlyList<string> Triggers { get; set; } = [];

    /// <summary>The error with which giving an image its labels ends.</summary>
    public string? LabelError { get; set; }

    /// <summary>The error with which a pull ends.</summary>
    public string? PullError { get; set; }

    /// <summary>The build arguments of the last build, as JSON.</summary>
    public string BuildArguments { get; private set; } = "";

    /// <summary>Whether it says that an image is pushed before the registry has it.</summary>
    public bool IsHasty { get; set; }

    /// <summary>Whether it ends the connection in the middle of a build.</summary>
    public bool VanishesInBuild { get; set; }

    /// <summary>How many pushes it goes away in, from the first.</summary>
    public int VanishesInPushes { get; set; }

    /// <summary>Whether a push in which it goes away arrives in the registry first.</summary>
    public bool ArrivesAndVanishes { get; set; }

    /// <summary>The status of an error of its own with which it answers a call; null: it has none. Gets method and path, and how
    /// often such a call came before.</summary>
    public Func<string, int, int?>? OwnError { get; set; }

    /// <summary>Starts one.</summary>
    /// <param name="style">Which.</param>
    /// <param name="registry">The registry that it pulls from and pushes to.</param>
    /// <param name="socket">Path of the socket that it listens on; null: a port of its own.</param>
    public static async Task<StandInEngine> StartAsync(EngineStyle style, LocalRegistry registry, string? socket = null)
    {
        ArgumentNullException.ThrowIfNull(registry);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(socket is null ? "http://127.0.0.1:0" : SocketPrefix + socket);
        builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = null);
        var engine = new StandInEngine(builder.Build(), style, registry.Connect());
        engine.application.Run(engine.AnswerAsync);
        await engine.application.StartAsync();
        return engine;
    }

    /// <summary>Has an image that no registry has.</summary>
    /// <returns>Its id.</returns>
    public string Hold(string reference, IReadOnlyList<string>? triggers = null) => Keep([reference], [], [], triggers ?? []).Id;

    /// <summary>Puts another image in the place of one that it has, or nothing.</summary>
    public void Replace(string reference, string? id)
    {
        if (id is null) images.TryRemove(reference, out _);
        else images[reference] = images[reference] with { Id = id };
    }

    /// <summary>Stops it.</summary>
    public async ValueTask DisposeAsync()
    {
        await application.DisposeAsync();
        registry.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (path.StartsWith("/v1.", StringComparison.Ordinal))
        {
            var end = path.IndexOf('/', 1);
            var asked = path[2..end];
            if (Version.Parse(asked) < Version.Parse(style.OldestApi))
            {
                await SayAsync(context, 400,
                    $"client version {asked} is too old. Minimum supported API version is {style.OldestApi}, " +
                    "please upgrade your client to a newer version");
                return;
            }
            path = path[end..];
        }
        var call = $"{context.Request.Method} {path}";
        if (OwnError?.Invoke(call, calls.AddOrUpdate(call, 0, (_, before) => before + 1)) is { } status)
        {
            await SayAsync(context, status, "the engine is being restarted");
            return;
        }
        var query = context.Request.Query;
        switch (context.Request.Method, path)
        {
            case (_, "/_ping"):
                context.Response.Headers["Api-Version"] = style.Api;
                if (style.OffersBuildKit) context.Response.Headers["Builder-Version"] = "2";
                await context.Response.WriteAsync("OK");
                break;
            case ("GET", "/version"):
                await WriteAsync(context, new JsonObject
                {
                    ["Version"] = style.Version,
                    ["ApiVersion"] = style.Api,
                    ["MinAPIVersion"] = style.OldestApi,
                    ["Os"] = "linux",
                    ["Arch"] = "amd64",
                    ["Components"] = new JsonArray((JsonNode)new JsonObject
                    {
                        ["Name"] = style.IsPodman ? "Podman Engine" : "Engine",
                        ["Version"] = style.Version
                    }),
                });
                break;
            case ("GET", "/info"):
                await WriteAsync(
                    context,
                    new JsonObject
                    {
                        ["OSType"] = "linux",
                        ["Architecture"] = style.IsPodman ? "amd64" : "x86_64",
                        ["NCPU"] = 2,
                        ["MemTotal"] = 1L << 32
                    });
                break;
            case ("GET", "/containers/json" or "/networks" or "/images/json"):
                await WriteAsync(context, new JsonArray());
                break;
            case ("POST", "/images/create"):
                await PullAsync(context, $"{query["fromImage"]}", $"{query["tag"]}");
                break;
            case ("POST", "/build"):
                await BuildAsync(context);
                break;
            case ("POST", _) when path.EndsWith("/push", StringComparison.Ordinal):
                await PushAsync(context, ImageReference.Of(path["/images/".Length..^"/push".Length], $"{query["tag"]}"));
                break;
            case ("GET", _)
                when path.StartsWith("/images/", StringComparison.Ordinal) && path.EndsWith("/json", StringComparison.Ordinal):
                await InspectAsync(context, path["/images/".Length..^"/json".Length]);
                break;
            default:
                await SayAsync(context, 404, "page not found");
                break;
        }
    }

    private async Task PullAsync(HttpContext context, string repository, string tag)
    {
        var name = tag.StartsWith("sha256:", StringComparison.Ordinal) ? $"{repository}@{tag}" : $"{repository}:{tag}";
        if (PullError is { } error)
        {
            await SayAsync(context, 500, error);
            return;
        }
        if (await registry.FindImageAsync(ImageReference.Parse(name)) is not { } found)
        {
            await SayAsync(
                context,
                404,
                style.HasContainerdStore
                    ? $"failed to resolve reference \"{name}\": {name}: not found"
                    : $"manifest for {name} not found: manifest unknown: manifest unknown");
            return;
        }
        var platform = found.Platforms[0];
        // podman knows what it pulled by the digest of a packing of its own, and says no other.
        var digest = style.IsPodman ? DigestOf(Encoding.UTF8.GetBytes(found.Digest)) : found.Digest;
        images[name] = new HeldImage(
            style.HasContainerdStore ? found.Digest : platform.ConfigDigest,
            [name],
            [$"{repository}@{digest}"],
            platform.Platform,
            [],
            [],
            [],
            []);
        if (style.IsPodman) await LinesAsync(context, new JsonObject { ["stream"] = "Writing manifest to image destination\n" });
        else
            await LinesAsync(
                context,
                new JsonObject { ["status"] = "Pulling from " + repository, ["id"] = tag },
                new JsonObject { ["status"] = "Digest: " + found.Digest },
                new JsonObject { ["status"] = "Status: Image is up to date for " + name });
    }

    private async Task BuildAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var labels = query["labels"].ToString() is { Length: > 0 } given ? (JsonObject)JsonNode.Parse(given)! : [];
        using var layer = new MemoryStream();
        await context.Request.Body.CopyToAsync(layer);
        if (LabelsOnly().Match(Encoding.UTF8.GetString(layer.ToArray())) is { Success: true } only)
        {
            await LabelAsync(context, only.Groups[1].Value, only.Groups[2].Value, query["t"].ToString());
            return;
        }
        Interlocked.Increment(ref builds);
        BuildArguments = query["buildargs"].ToString();
        Building?.Invoke();
        var step = style.IsPodman ? "STEP 1/2: FROM base" : "Step 1/2 : FROM base";
        if (VanishesInBuild)
        {
            await LinesAsync(context, new JsonObject { ["stream"] = step + "\n" });
            context.Abort();
            return;
        }
        if (BuildError is { } error)
        {
            await LinesAsync(context, new JsonObject { ["stream"] = step + "\n" }, Error(error));
            return;
        }
        var image = Keep(query["t"].ToString() is { Length: > 0 } tag ? [tag] : [], labels, layer.ToArray(), Triggers);
        await LinesAsync(
            context,
            new JsonObject { ["stream"] = step + "\n" },
            new JsonObject { ["stream"] = (style.IsPodman ? "STEP 2/2: COPY file /file" : "Step 2/2 : COPY file /file") + "\n" },
            new JsonObject { ["aux"] = new JsonObject { ["ID"] = image.Id } },
            new JsonObject { ["stream"] = $"Successfully built {image.Id[7..19]}\n" });
    }

    // What is built on an image that is here, of nothing but labels, is that image with them.
    private async Task LabelAsync(HttpContext context, string id, string written, string name)
    {
        if (LabelError is { } error)
        {
            await LinesAsync(context, Error(error));
            return;
        }
        var plain = images.Values.First(one => one.Id == id);
        var labels = new JsonObject();
        foreach (Match label in Label().Matches(written))
            labels[label.Groups[1].Value] = Escaped().Replace(label.Groups[2].Value, "$1");
        var image = Keep([name], labels, plain.Files, plain.Triggers);
        await LinesAsync(context, new JsonObject { ["stream"] = $"Step 2/2 : LABEL {written}\n" },
            new JsonObject { ["aux"] = new JsonObject { ["ID"] = image.Id } });
    }

    private async Task PushAsync(HttpContext context, ImageReference name)
    {
        var number = Interlocked.Increment(ref pushes);
        var vanishes = number <= VanishesInPushes;
        var first = new JsonObject
        {
            ["status"] = $"The push refers to repository [{name.Repository}{(style.IsPodman ? ":" + name.Tag : "")}]"
        };
        if (PushError is { } error)
        {
            await LinesAsync(context, first, Error(error));
            return;
        }
        if (!images.TryGetValue(name.ToString(), out var image))
        {
            await LinesAsync(
                context,
                first,
                Error(
                    style.HasContainerdStore
                        ? $"tag does not exist: {name}"
                        : $"An image does not exist locally with the tag: {name.Repository}"));
            return;
        }
        if (vanishes && !ArrivesAndVanishes)
        {
            await LinesAsync(context, first);
            context.Abort();
            return;
        }
        var digest = SaysDigest ?? RegistryManifest.Read(image.Manifest).Digest;
        var lines = new List<JsonObject> { first };
        if (digest.Length > 0)
        {
            lines.Add(new JsonObject { ["status"] = $"{name.Tag}: digest: {digest} size: {image.Manifest.Length}" });
            if (!style.HasContainerdStore && !style.IsPodman)
                lines.Add(new JsonObject
                {
                    ["progressDetail"] = new JsonObject(),
                    ["aux"] = new JsonObject { ["Tag"] = name.Tag, ["Digest"] = digest, ["Size"] = image.Manifest.Length }
                });
        }
        if (IsHasty)
        {
            await LinesAsync(context, [.. lines]);
            await context.Response.CompleteAsync();
        }
        await registry.UploadBlobAsync(name, image.Config, "application/vnd.oci.image.config.v1+json");
        await registry.UploadBlobAsync(name, image.Layer, "application/vnd.oci.image.layer.v1.tar+gzip");
        await registry.PutManifestAsync(name, RegistryManifest.Read(image.Manifest));
        if (Arrived is { } arrived) await arrived(name);
        if (vanishes)
        {
            await LinesAsync(context, first);
            context.Abort();
            return;
        }
        if (!IsHasty) await LinesAsync(context, [.. lines]);
    }

    private async Task InspectAsync(HttpContext context, string name)
    {
        name = Uri.UnescapeDataString(name);
        if ((images.GetValueOrDefault(name)
            ?? images.Values.FirstOrDefault(one => one.Id == name || one.Digests.Contains(name))) is not { } image)
        {
            await SayAsync(context, 404, $"No such image: {name}");
            return;
        }
        var platform = image.Platform.Split('/');
        await WriteAsync(context, new JsonObject
        {
            ["Id"] = image.Id,
            ["RepoTags"] = new JsonArray([.. image.Tags.Select(tag => (JsonNode?)tag)]),
            ["RepoDigests"] = new JsonArray([.. image.Digests.Select(digest => (JsonNode?)digest)]),
            ["Os"] = platform[0],
            ["Architecture"] = platform[1],
            ["Config"] = new JsonObject
            {
                ["OnBuild"] = new JsonArray([.. image.Triggers.Select(trigger => (JsonNode?)trigger)])
            },
        });
    }

    private HeldImage Keep(IReadOnlyList<string> tags, JsonObject labels, byte[] files, IReadOnlyList<string> triggers)
    {
        using var packed = new MemoryStream();
        using (var zip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) zip.Write(files);
        var layer = packed.ToArray();
        var config = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["os"] = "linux",
            ["architecture"] = "amd64",
            ["config"] = new JsonObject { ["Labels"] = labels.DeepClone() },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray((JsonNode?)DigestOf(files)) },
        }.ToJsonString());
        var isOld = !style.HasContainerdStore && !style.IsPodman;
        var manifest = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = isOld ? MediaTypes.DockerManifest : MediaTypes.OciManifest,
            ["config"] = Descriptor(
                isOld ? "application/vnd.docker.container.image.v1+json" : "application/vnd.oci.image.config.v1+json", config),
            ["layers"] = new JsonArray((JsonNode)Descriptor(
                isOld ? "application/vnd.docker.image.rootfs.diff.tar.gzip" : "application/vnd.oci.image.layer.v1.tar+gzip",
                layer)),
        }.ToJsonString());
        var id = DigestOf(style.HasContainerdStore ? manifest : config);
        var image = new HeldImage(
            id,
            tags,
            style.HasContainerdStore ? [.. tags.Select(tag => $"{ImageReference.Parse(tag).Repository}@{id}")] : [],
            "linux/amd64",
            config,
            layer,
            manifest,
            triggers)
        { Files = files };
        foreach (var tag in tags) images[tag] = image;
        if (tags.Count == 0) images[id] = image;
        return image;
    }

    private static JsonObject Descriptor(string mediaType, byte[] content) =>
        new() { ["mediaType"] = mediaType, ["digest"] = DigestOf(content), ["size"] = content.Length };

    private static string DigestOf(byte[] content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    private JsonObject Error(string text)
    {
        var said = style.IsPodman ? text + "\n" : text;
        return new() { ["errorDetail"] = new JsonObject { ["message"] = said }, ["error"] = said };
    }

    private static Task SayAsync(HttpContext context, int status, string message)
    {
        context.Response.StatusCode = status;
        return WriteAsync(context, new JsonObject { ["message"] = message });
    }

    private static Task WriteAsync(HttpContext context, JsonNode json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json.ToJsonString());
    }

    private static async Task LinesAsync(HttpContext context, params IReadOnlyList<JsonObject> lines)
    {
        context.Response.ContentType = "application/json";
        foreach (var line in lines) await context.Response.WriteAsync(line.ToJsonString() + "\r\n");
        await context.Response.Body.FlushAsync();
    }

    [GeneratedRegex(@"\0FROM (sha256:[0-9a-f]{64})\nLABEL ([^\n]*)\n\0")]
    private static partial Regex LabelsOnly();

    [GeneratedRegex("""
        "([^"]*)"="((?:[^"\\]|\\.)*)"
        """)]
    private static partial Regex Label();

    [GeneratedRegex(@"\\(.)")]
    private static partial Regex Escaped();

    private sealed record HeldImage(
        string Id,
        IReadOnlyList<string> Tags,
        IReadOnlyList<string> Digests,
        string Platform,
        byte[] Config,
        byte[] Layer,
        byte[] Manifest,
        IReadOnlyList<string> Triggers)
    {
        public byte[] Files { get; init; } = [];
    }
}
