using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.Promote.Tests;

/// <summary>A real registry and a cluster with its API and controllers; what a kubelet says of pods is said for it at
/// once.</summary>
internal sealed class RealWorld : IAsyncDisposable
{
    private readonly LocalRegistry registry;
    private readonly SandboxFixture sandbox;
    private readonly CancellationTokenSource end = new();
    private readonly Task kubelet;

    private RealWorld(LocalRegistry registry, SandboxFixture sandbox, WritesProxy toRegistry, WritesProxy toCluster,
        RegistryClient client)
    {
        (this.registry, this.sandbox, ToRegistry, ToCluster, Client) = (registry, sandbox, toRegistry, toCluster, client);
        Cluster = Cluster.Open(sandbox.Kubeconfig, BuildLog.Silent, TimeProvider.System);
        kubelet = RunPodsAsync(end.Token);
    }

    public WritesProxy ToRegistry { get; }

    public WritesProxy ToCluster { get; }

    public RegistryClient Client { get; }

    public Cluster Cluster { get; }

    public string RegistryHost => registry.Host;

    /// <summary>A kubeconfig that leads through the proxy.</summary>
    public string Kubeconfig => $"""
        apiVersion: v1
        kind: Config
        current-context: x
        clusters: [{Brace("name: x, cluster: " + Brace("server: \"http://" + ToCluster.Host + "\""))}]
        contexts: [{Brace("name: x, context: " + Brace("cluster: x, user: x"))}]
        users: [{Brace("name: x, user: " + Brace("token: through-the-proxy"))}]
        """;

    private static string Brace(string inner) => "{ " + inner + " }";

    /// <summary>Digests whose pods crash in a namespace.</summary>
    public HashSet<(string Namespace, string Digest)> Crashing { get; } = [];

    public static async Task<RealWorld> StartAsync()
    {
        var registry = await LocalRegistry.StartAsync();
        var sandbox = await SandboxFixture.StartAsync("production", controllers: true);
        var toRegistry = await WritesProxy.StartAsync(new HttpClient { BaseAddress = new Uri($"http://{registry.Host}") });
        var toCluster = await WritesProxy.StartAsync(Upstream(sandbox));
        return new RealWorld(registry, sandbox, toRegistry, toCluster, registry.Connect());
    }

    /// <summary>Puts an image into the registry: a configuration that says its commit, no layers.</summary>
    public async Task<string> PushAsync(string repository, string text, string commit, params string[] tags)
    {
        var name = ImageReference.Parse($"{registry.Host}/{repository}:new");
        var configuration = new JsonObject
        {
            ["architecture"] = "amd64",
            ["os"] = "linux",
            ["rootfs"] = new JsonObject
            {
                ["type"] = "layers",
                ["diff_ids"] = new JsonArray()
            },
            ["config"] = new JsonObject { ["Labels"] = new JsonObject { [ImageName.RevisionLabel] = commit, ["text"] = text } },
        };
        var blob = await Client.UploadBlobAsync(name, Encoding.UTF8.GetBytes(configuration.ToJsonString()),
            "application/vnd.oci.image.config.v1+json");
        var manifest = RegistryManifest.Read(Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = blob.MediaType, ["digest"] = blob.Digest, ["size"] = blob.Size },
            ["layers"] = new JsonArray(),
        }.ToJsonString()), MediaTypes.OciManifest);
        foreach (var tag in tags) await Client.PutManifestAsync(name.WithTag(tag), manifest);
        return manifest.Digest;
    }

    public async ValueTask DisposeAsync()
    {
        await end.CancelAsync();
        await kubelet;
        Cluster.Dispose();
        Client.Dispose();
        await ToCluster.DisposeAsync();
        await ToRegistry.DisposeAsync();
        await sandbox.DisposeAsync();
        await registry.DisposeAsync();
        end.Dispose();
    }

    private static HttpClient Upstream(SandboxFixture sandbox)
    {
        string Part(string name) => Encoding.ASCII.GetString(Convert.FromBase64String(sandbox.Kubeconfig.Split('\n')
            .First(line => line.Contains(name, StringComparison.Ordinal)).Split(": ")[1].Trim()));
        using var pem = X509Certificate2.CreateFromPem(Part("client-certificate-data"), Part("client-key-data"));
        var certificate = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
        var handler = new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificates = [certificate],
                // Loopback, to a server of the test's own.
                RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null,
            },
            AutomaticDecompression = DecompressionMethods.None,
        };
        return new HttpClient(new WithoutToken { InnerHandler = handler })
        {
            BaseAddress = new Uri(sandbox.Url),
            Timeout = Timeout.InfiniteTimeSpan
        };
    }

    // The proxy comes with its own certificate.
    private sealed class WithoutToken : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.Authorization = null;
            return base.SendAsync(request, cancellationToken);
        }
    }

    private async Task RunPodsAsync(CancellationToken stop)
    {
        try
        {
            await foreach (var change in Cluster.WatchAsync(Kinds.Pod.Collection(null), null, null, stop))
            {
                if (change.Kind != ChangeKind.Present || change.Item["status"]?["conditions"]?.AsArray()
                    .Any(one => (string?)one!["type"] == "Ready") == true) continue;
                await SayAsync(change.Item, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private async Task SayAsync(JsonObject pod, CancellationToken stop)
    {
        var (ns, name) = ((string)pod["metadata"]!["namespace"]!, (string)pod["metadata"]!["name"]!);
        var image = (string)pod["spec"]!["containers"]![0]!["image"]!;
        var crashes = Crashing.Contains((ns, image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..]));
        var state = crashes
            ? """{ "waiting": { "reason": "CrashLoopBackOff" } }"""
            : """{ "running": { "startedAt": "2026-01-01T00:00:00Z" } }""";
        var status = JsonNode.Parse($$"""
            { "status": { "phase": "Running", "podIP": "10.0.0.9", "podIPs": [{ "ip": "10.0.0.9" }],
              "conditions": [{ "type": "Ready", "status": "{{(crashes ? "False" : "True")}}",
                "lastTransitionTime": "2026-01-01T00:00:00Z" }],
              "containerStatuses": [{ "name": "greeter", "image": "{{image}}", "imageID": "{{image}}",
                "ready": {{(crashes ? "false" : "true")}}, "started": true,
                "restartCount": {{(crashes ? 3 : 0)}}, "state": {{state}},
                "lastState": {{(crashes ? """{ "terminated": { "exitCode": 4, "reason": "Error" } }""" : "{}")}} }] } }
            """)!.AsObject();
        try
        {
            await Cluster.MergeAsync(Kinds.Pod.Path(ns, name) + "/status", status, stop);
        }
        catch (ClusterApiException gone) when (gone.Code is 404 or 409)
        {
            // It was deleted meanwhile.
        }
    }
}

/// <summary>One service in two waves of its own namespaces, at its first version; the second is certified and has to be
/// promoted.</summary>
internal sealed class TwoWaves : IDisposable
{
    private readonly RealWorld world;
    private readonly string id;
    private readonly Production production;

    private TwoWaves(RealWorld world, string id, Production production) => (this.world, this.id, this.production) =
        (world, id, production);

    public string Old { get; private set; } = "";

    public string New { get; private set; } = "";

    public string Output => production.Output;

    public Production Production => production;

    public string First => "one-" + id;

    public string Second => "two-" + id;

    public static async Task<TwoWaves> BeginAsync(RealWorld world, string id, bool secondWaveFails, string gate)
    {
        var production = new Production($"{world.ToRegistry.Host}/{id}", Wave("first", "one") + Wave("second", "two"),
            timeLimit: "5s");
        var waves = new TwoWaves(world, id, production);
        production.Environment[Production.KubeconfigVariable] = world.Kubeconfig;
        foreach (var ns in new[] { waves.First, waves.Second })
            await world.Cluster.CreateAsync(Kinds.Namespace.Collection(null), new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "Namespace",
                ["metadata"] = new JsonObject { ["name"] = ns }
            }, default);
        waves.Old = await world.PushAsync($"{id}/greeter", "old", production.Clone.Head, "1-production", "latest");
        await production.CertifiedAsync("6", production.Image(waves.Old));
        Assert.That(await waves.RunAsync("6"), Is.EqualTo(ExitCode.Done), production.Output);
        production.Clone.Commit("greeter/text", "two", "Greet anew");
        production.Clone.Push();
        waves.New = await world.PushAsync($"{id}/greeter", "new", production.Clone.Head, "1-production", "latest");
        if (secondWaveFails) world.Crashing.Add((waves.Second, waves.New));
        await production.CertifiedAsync("7", production.Image(waves.New, waves.Old));
        return waves;

        string Wave(string name, string target) => Production.Wave(name, target, ns: $"{target}-{id}",
            gate: $"http: \"{gate}\", for: 1ms, time-limit: 2s", settle: "1ms");
    }

    public Task<int> RunAsync(string build = "7") => production.RunAsync(PromoteCommand.Create(), build, "--lease", "2s");

    /// <summary>Starts the executable, as an agent does.</summary>
    public System.Diagnostics.Process Start()
    {
        var start = new System.Diagnostics.ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "promote"),
            ["--work-tree", production.Clone.Folder, "--build-number", "7", "--lease", "2s"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        foreach (var (name, value) in production.Environment) start.Environment[name] = value;
        var process = System.Diagnostics.Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>Tags, what runs, and what is recorded, in words that are the same for each world.</summary>
    public async Task<string> StateAsync()
    {
        var lines = new List<string>();
        var repository = ImageReference.Parse($"{world.RegistryHost}/{id}/greeter:x");
        foreach (var tag in (await world.Client.ListTagsAsync(repository)).Order(StringComparer.Ordinal)
            .Where(tag => !tag.StartsWith("sha256-", StringComparison.Ordinal)))
            if (await world.Client.FindDigestAsync(repository.WithTag(tag)) is { } digest) lines.Add(
                $"{(tag.StartsWith("barred", StringComparison.Ordinal) ? "barred" : tag)}={Name(digest)}");
        foreach (var ns in new[] { First, Second })
        {
            var live = await world.Cluster.GetAsync(Kinds.Deployment.Path(ns, "greeter"), default);
            var map = await world.Cluster.GetAsync(Kinds.ConfigMap.Path(ns, "cisteps-history"), default);
            var lease = await world.Cluster.GetAsync(Kinds.Lease.Path(ns, "cisteps-promote-greeter"), default);
            lines.Add($"{ns[..3]} runs {Name((string)live["spec"]!["template"]!["spec"]!["containers"]![0]!["image"]!)}" +
                $": {string.Join(
                    ", ",
                    JsonNode.Parse((string)map["data"]!["greeter"]!)!
                        .AsArray()
                        .Select(entry => $"{entry!["result"]} {Name((string)entry["digest"]!)}"))}" +
                $"{((string?)lease["spec"]!["holderIdentity"] is { Length: > 0 } ? ", held" : "")}");
        }
        return string.Join("\n", lines);
    }

    public string Name(string? image) => image is null ? "nothing" : image.EndsWith(New, StringComparison.Ordinal) ? "new"
        : image.EndsWith(Old, StringComparison.Ordinal) ? "old" : image;

    public void Dispose() => production.Dispose();
}
