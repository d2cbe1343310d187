using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.IntegrationDeploy.Tests;

/// <summary>A repository with one service, one dependent and one suite, and the evidence of the steps before.</summary>
internal sealed class Shop : IDisposable
{
    public const string Build = "7";
    private readonly GitRepositories git = new();

    public Shop(string registry, string? suite = null, string? job = null, string? deployment = null)
    {
        Clone = git.Clone();
        GreeterService.Begin(
            Clone,
            registry,
            "integration:\n" + (suite ?? Suite(registry)),
            deployment ?? PodCluster.Workload("greeter", 2),
            ("quotes/k8s/quotes.yaml", PodCluster.Workload("quotes")),
            ("integration/k8s/settings.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {greeting: Hello}}"),
            (
                "integration/job.yaml",
                job ?? Job("echo 1..2; echo ok 1 - answers; v=$(timeout 5 wget -q -O - http://greeter/version); "
                    + "echo \"# $v\"; test \"$v\" = new && echo ok 2 - new || { echo not ok 2 - new; exit 1; }")));
        Clone.Branch("ci/greeting");
        Clone.Commit("greeter/text", "new", "Greet anew");
        Clone.Push();
        Registry = registry;
    }

    public string Registry { get; }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public Dictionary<string, string> Environment { get; } = new(LocalEngine.Variables);

    public static string Suite(
        string registry,
        string more = "",
        string name = "smoke",
        string tests = "{ job: integration/job.yaml, format: tap }") => $$"""
          - name: {{name}}
            components: [greeter]
            class: small
            namespace: {{name}}
            manifests: [integration/k8s]
            dependents:
              - name: quotes
                image: "{{registry}}/quotes"
                major: 1
                workload: { manifests: [quotes/k8s], kind: Deployment, name: quotes, container: quotes, time-limit: 1m }
            tests: {{tests}}
            time-limit: 2m
            {{more}}

        """;

    // The base image of the service has a shell: the job runs in it.
    public static string Job(string script) => PodCluster.Job("greeter", script);

    public BuiltImage Image(string digest, bool built = true) =>
        new("greeter", $"{Registry}/ci/greeter", $"1.{Build}-{Clone.Head[..12]}", digest, built);

    public Task BuiltAsync(params IReadOnlyList<BuiltImage> images) =>
        Clone.StateAsync(
            "image-build",
            Build,
            Outcome.Done("built").HandingOver(new ImageBuildHandOver(images), HandOverJson.Default.ImageBuildHandOver),
            Environment);

    public Task ReservedAsync(params IReadOnlyList<HeldTestbed> testbeds) =>
        Clone.StateAsync(
            "reserve-testbed",
            Build,
            Outcome.Done("reserved").HandingOver(new ReserveHandOver(testbeds), HandOverJson.Default.ReserveHandOver),
            Environment);

    /// <summary>The step's clock.</summary>
    public TimeProvider Time { get; set; } = TimeProvider.System;

    public async Task<int> RunAsync(StepCommand step, CancellationToken stop = default, params string[] more)
    {
        (var exit, Output) = await Clone.RunAsync(step, Build, Environment, more, Time, stop);
        return exit;
    }

    public JsonObject Statement() => (JsonObject)JsonNode.Parse(File.ReadAllText(Evidence("statement.json")))!;

    public IntegrationHandOver HandOver() => Clone.HandedOver("integration-deploy", HandOverJson.Default.IntegrationHandOver);

    public string Reason() => (string)Clone.Stated("integration-deploy")["reason"]!;

    public string Evidence(string file) => Clone.Evidence("integration-deploy", file);

    public void Dispose() => git.Dispose();
}
