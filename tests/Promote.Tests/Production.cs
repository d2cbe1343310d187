using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.Promote.Tests;

/// <summary>A service on <c>main</c> with production targets, and certify's evidence.</summary>
internal sealed class Production : IDisposable
{
    public const string KubeconfigVariable = "SHOP_KUBECONFIG";
    private readonly GitRepositories git = new();

    public Production(string registry, string? waves = null, string timeLimit = "1m", string freezes = "[]")
    {
        Registry = registry;
        Clone = git.Clone();
        Clone.Write("ci-steps.yaml", $$"""
            registry: { push: "{{registry}}" }
            components:
              - name: greeter
                major: 1
                paths: [greeter/**]
                image: { context: greeter }
                workload: { manifests: [greeter/k8s], kind: Deployment, name: greeter, container: greeter, time-limit: {{timeLimit}} }
            production:
              freezes: {{freezes}}
              waves:
            """ + "\n" + (waves ?? Wave("all", "shop")));
        Clone.Write("greeter/Dockerfile", "FROM scratch\n");
        Clone.Write("greeter/k8s/greeter.yaml", (waves?.Contains("namespace: shop,", StringComparison.Ordinal) != false
            ? "{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }\n---\n" : "") + PodCluster.Workload("greeter", 2));
        Clone.Commit("Begin");
        Clone.Push();
    }

    public string Registry { get; }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public Dictionary<string, string> Environment { get; } = new() { ["TEAMCITY_VERSION"] = "2025.11" };

    public static string Wave(string name, string target, string more = "", string ns = "shop",
        string gate = "http: service://greeter:80/healthz, for: 1s, time-limit: 10s",
        string settle = "1s") => $$"""
            - name: {{name}}
              targets:
                - { name: {{target}}, kubeconfig: {{KubeconfigVariable}}, namespace: {{ns}}, components: [greeter], gate: { {{gate}} }, settle: {{settle}} }
              {{more}}

        """;

    public CertifiedImage Image(string digest, string? previous = null) => new("greeter", $"{Registry}/greeter",
        $"{Registry}/greeter", digest, "1.7", "1-production", previous);

    public async Task CertifiedAsync(string build, params IReadOnlyList<CertifiedImage> images)
    {
        using var output = new StringWriter();
        var exit = await StepHost.RunAsync(new StepCommand("certify", "Certifies.", ChainRun.Options, async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel);
            return Outcome.Done("certified").HandingOver(new CertifyHandOver(images), HandOverJson.Default.CertifyHandOver);
        }), ["--work-tree", Clone.Folder, "--build-number", build], output, output, Environment);
        Assert.That(exit, Is.Zero, output.ToString());
    }

    public Task<int> RunAsync(StepCommand step, string build, params string[] more) =>
        RunAsync(step, build, default(CancellationToken), more);

    public async Task<int> RunAsync(StepCommand step, string build, CancellationToken stop, params string[] more)
    {
        var text = new StringWriter();
        var output = TextWriter.Synchronized(text);
        var exit = await StepHost.RunAsync(step, ["--work-tree", Clone.Folder, "--build-number", build, .. more], output, output,
            new Dictionary<string, string>(Environment) { ["HOME"] = git.Folder, ["PATH"] =
                System.Environment.GetEnvironmentVariable("PATH")! }, stop: stop);
        Output = text.ToString();
        return exit;
    }

    public JsonObject Predicate() =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(Clone.Folder,
        ".ci-steps/evidence/promote/statement.json")))!["predicate"]!["cisteps"]!;

    public string Reason() => (string)Predicate()["reason"]!;

    public string Text() => (string)Predicate()["text"]!;

    public PromoteHandOver HandOver() => System.Text.Json.JsonSerializer.Deserialize(Predicate()["handOver"],
        HandOverJson.Default.PromoteHandOver)!;

    public void Dispose() => git.Dispose();
}
