using System.Formats.Tar;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Images;
using CiSteps.Sandbox;

namespace CiSteps.Fixtures;

/// <summary>
/// A sandbox cluster whose pods really run, on the machine's engine, with a registry of its own: for tests of what deploys.
/// </summary>
public sealed class PodCluster : IAsyncDisposable
{
    private readonly LocalEngine engine;
    private readonly ImageReference basis;

    private PodCluster(LocalEngine engine, LocalRegistry registry, SandboxCluster cluster, ImageReference basis) =>
        (this.engine, Registry, Cluster, this.basis) = (engine, registry, cluster, basis);

    /// <summary>The registry that nodes and steps both reach.</summary>
    public LocalRegistry Registry { get; }

    /// <summary>The cluster.</summary>
    public SandboxCluster Cluster { get; }

    /// <summary>Brings engine, registry and cluster up.</summary>
    public static async Task<PodCluster> StartAsync(string name = "pods")
    {
        var engine = await LocalEngine.OpenAsync();
        var registry = await LocalRegistry.StartAsync();
        engine.OwnAllOf(registry);
        var basis = await engine.MakeBaseImageAsync();
        var cluster = await SandboxCluster.StartAsync(new SandboxOptions { Name = name, Log = Console.Error.WriteLine });
        return new PodCluster(engine, registry, cluster, basis);
    }

    /// <summary>Builds an image whose container runs a shell script, and pushes it.</summary>
    /// <param name="path">Path in the registry.</param>
    /// <param name="tag">Tag.</param>
    /// <param name="script">What <c>sh -c</c> runs.</param>
    /// <param name="commit">The commit that its label names.</param>
    /// <returns>The digest in the registry.</returns>
    public async Task<string> PushAsync(string path, string tag, string script, string? commit = null)
    {
        var name = Registry.Reference(path, tag);
        using var context = new MemoryStream();
        await using (var tar = new TarWriter(context, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var (file, text) in new[]
            {
                ("Dockerfile", $"FROM {basis}\nCOPY run.sh /run.sh\nCMD [\"sh\", \"/run.sh\"]\n"),
                ("run.sh", script + "\n")
            })
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, file)
                {
                    DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)),
                    ModificationTime = DateTimeOffset.UnixEpoch
                });
        }
        context.Position = 0;
        var labels = commit is null
            ? new Dictionary<string, string>()
            : new Dictionary<string, string> { [ImageName.RevisionLabel] = commit };
        await engine.Engine.BuildAsync(new EngineBuild("Dockerfile") { Name = name, Labels = labels }, context, _ => { });
        engine.Own(name.ToString());
        return await engine.PushAsync(name);
    }

    /// <summary>A web server that says its version at <c>/version</c> and is healthy at <c>/healthz</c>.</summary>
    public static string WebServer(string version) =>
        $"mkdir -p /www && echo {version} > /www/version && echo ok > /www/healthz && trap 'exit 0' TERM && (httpd -f -p 8080 " +
        "-h /www & wait)";

    /// <summary>
    /// Manifests of such a server: a Deployment, and a Service at port 80, both with its name. The image is for the step under
    /// test to set.
    /// </summary>
    /// <param name="name">Name of Deployment, container, image and Service.</param>
    /// <param name="replicas">Number of pods; one more while it is rolled.</param>
    public static string Workload(string name, int replicas = 1) => $$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: { name: {{name}} }
        spec:
          replicas: {{replicas}}
          selector: { matchLabels: { app: {{name}} } }
          strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
          template:
            metadata: { labels: { app: {{name}} } }
            spec:
              terminationGracePeriodSeconds: 1
              containers:
                - name: {{name}}
                  image: {{name}}
                  ports: [{ containerPort: 8080 }]
                  readinessProbe: { httpGet: { path: /healthz, port: 8080 }, periodSeconds: 1 }
        ---
        apiVersion: v1
        kind: Service
        metadata: { name: {{name}} }
        spec: { selector: { app: {{name}} }, ports: [{ port: 80, targetPort: 8080 }] }
        """;

    /// <summary>Manifest of a Job whose log is the report of an integration suite.</summary>
    /// <param name="image">Image with a shell.</param>
    /// <param name="script">What <c>sh -c</c> runs.</param>
    public static string Job(string image, string script) => $$"""
        apiVersion: batch/v1
        kind: Job
        metadata: { name: tests }
        spec:
          template:
            spec:
              restartPolicy: Never
              terminationGracePeriodSeconds: 1
              containers:
              - { name: tests, image: {{image}}, command: [sh, -c, {{JsonValue.Create(script).ToJsonString()}}] }
        """;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        await Registry.DisposeAsync();
        await engine.DisposeAsync();
    }
}
