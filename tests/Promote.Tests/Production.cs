using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

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
        var own = waves?.Contains("namespace: shop,", StringComparison.Ordinal) != false;
        GreeterService.Begin(Clone, registry, $"production:\n  freezes: {freezes}\n  waves:\n" + (waves ?? Wave("all", "shop")),
            (own ? "{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }\n---\n" : "")
                + PodCluster.Workload("greeter", 2));
        if (timeLimit == "1m") return;
        var file = Path.Combine(Clone.Folder, "ci-steps.yaml");
        Clone.Write(
            "ci-steps.yaml",
            File.ReadAllText(file).Replace("container: greeter, time-limit: 1m", $"container: greeter, time-limit: {timeLimit}"));
        Clone.Commit("Wait less");
        Clone.Push();
    }

    public string Registry { get; }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public Dictionary<string, string> Environment { get; } = new() { ["TEAMCITY_VERSION"] = "2025.11" };

    public static string Wave(
        string name,
        string target,
        string more = "",
        string ns = "shop",
        string gate = "http: service://greeter:80/healthz, for: 1s, time-limit: 10s",
        string settle = "1s") => $$"""
            - name: {{name}}
              targets:
                - { name: {{target}}, kubeconfig: {{KubeconfigVariable}}, namespace: {{ns}}, components: [greeter],
                    gate: { {{gate}} }, settle: {{settle}} }
              {{more}}

        """;

    public CertifiedImage Image(string digest, string? previous = null) =>
        new("greeter", $"{Registry}/greeter", digest, "1.7", "1-production", previous);

    public Task CertifiedAsync(string build, params IReadOnlyList<CertifiedImage> images) => Clone.StateAsync("certify", build,
        Outcome.Done("certified").HandingOver(new CertifyHandOver(images), HandOverJson.Default.CertifyHandOver), Environment);

    public Task<int> RunAsync(StepCommand step, string build, params string[] more) =>
        RunAsync(step, build, default(CancellationToken), more);

    public async Task<int> RunAsync(StepCommand step, string build, CancellationToken stop, params string[] more)
    {
        (var exit, Output) = await Clone.RunAsync(step, build, Environment, more, stop: stop);
        return exit;
    }

    public JsonObject Predicate() => Clone.Stated("promote");

    public string Reason() => (string)Predicate()["reason"]!;

    public string Text() => (string)Predicate()["text"]!;

    public PromoteHandOver HandOver() => Clone.HandedOver("promote", HandOverJson.Default.PromoteHandOver);

    public void Dispose() => git.Dispose();
}
