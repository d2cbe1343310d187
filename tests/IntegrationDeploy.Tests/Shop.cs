using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.IntegrationDeploy.Tests;

/// <summary>A repository with one service, one dependent and one suite, and the evidence of the steps before.</summary>
internal sealed class Shop : IDisposable
{
    public const string Build = "7";
    private readonly GitRepositories git = new();

    public Shop(string registry, string? suite = null, string? job = null, string? deployment = null)
    {
        Clone = git.Clone();
        Clone.Write("ci-steps.yaml", $$"""
            registry: { push: "{{registry}}" }
            components:
              - name: greeter
                major: 1
                paths: [greeter/**]
                image: { context: greeter }
                workload: { manifests: [greeter/k8s], kind: Deployment, name: greeter, container: greeter, time-limit: 1m }
            integration:
            """ + "\n" + (suite ?? Suite(registry)));
        Clone.Write("greeter/Dockerfile", "FROM scratch\n");
        Clone.Write("greeter/k8s/greeter.yaml", deployment ?? PodCluster.Workload("greeter", 2));
        Clone.Write("quotes/k8s/quotes.yaml", PodCluster.Workload("quotes"));
        Clone.Write("integration/k8s/settings.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {greeting: Hello}}");
        Clone.Write("integration/job.yaml", job ?? Job("echo 1..2; echo ok 1 - answers; v=$(timeout 5 wget -q -O - http://greeter/version); echo \"# $v\"; test \"$v\" = new && echo ok 2 - new || { echo not ok 2 - new; exit 1; }"));
        Clone.Commit("Begin");
        Clone.Push();
        Clone.Branch("ci/greeting");
        Clone.Commit("greeter/text", "new", "Greet anew");
        Clone.Push();
        Registry = registry;
    }

    public string Registry { get; }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public Dictionary<string, string> Environment { get; } = new(LocalEngine.Variables);

    public static string Suite(string registry, string more = "", string name = "smoke", string tests = "{ job: integration/job.yaml, format: tap }") => $$"""
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

    public BuiltImage Image(string digest, bool built = true) => new("greeter", $"{Registry}/ci/greeter", $"{Registry}/ci/greeter", $"1.{Build}-{Clone.Head[..12]}", digest, built);

    public Task BuiltAsync(params IReadOnlyList<BuiltImage> images) => StateAsync("image-build", Outcome.Done("built").HandingOver(new ImageBuildHandOver(images), HandOverJson.Default.ImageBuildHandOver));

    public Task ReservedAsync(params IReadOnlyList<HeldTestbed> testbeds) => StateAsync("reserve-testbed", Outcome.Done("reserved").HandingOver(new ReserveHandOver(testbeds), HandOverJson.Default.ReserveHandOver));

    /// <summary>The step's clock.</summary>
    public TimeProvider Time { get; set; } = TimeProvider.System;

    public async Task<int> RunAsync(StepCommand step, CancellationToken stop = default, params string[] more)
    {
        var text = new StringWriter();
        var output = TextWriter.Synchronized(text);
        var exit = await StepHost.RunAsync(step, ["--work-tree", Clone.Folder, "--build-number", Build, .. more], output, output,
            new Dictionary<string, string>(Environment) { ["HOME"] = git.Folder,
                ["PATH"] = System.Environment.GetEnvironmentVariable("PATH")! }, Time, stop: stop);
        Output = text.ToString();
        return exit;
    }

    public JsonObject Statement() => (JsonObject)JsonNode.Parse(File.ReadAllText(Evidence("statement.json")))!;

    public IntegrationHandOver HandOver() => System.Text.Json.JsonSerializer.Deserialize(Statement()["predicate"]!["cisteps"]!["handOver"], HandOverJson.Default.IntegrationHandOver)!;

    public string Reason() => (string)Statement()["predicate"]!["cisteps"]!["reason"]!;

    public string Evidence(string file) => Path.Combine(Clone.Folder, ".ci-steps/evidence/integration-deploy", file);

    public void Dispose() => git.Dispose();

    private async Task StateAsync(string step, Outcome outcome)
    {
        var exit = await StepHost.RunAsync(new StepCommand(step, "States.", ChainRun.Options, async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel);
            return outcome;
        }), ["--work-tree", Clone.Folder, "--build-number", Build], TextWriter.Null, TextWriter.Null, Environment);
        Assert.That(exit, Is.EqualTo(outcome.Exit));
    }
}
