using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;

namespace CiSteps.Chain.Tests;

/// <summary>
/// A service, a registry, a cluster and the published executables, run one by one as an agent runs them: evidence in a folder,
/// parameters in the environment.
/// </summary>
internal sealed class Agent : IAsyncDisposable
{
    private readonly GitRepositories git = new();
    private readonly PodCluster world;
    private readonly HttpClient http = new();

    private Agent(PodCluster world) => this.world = world;

    /// <summary>The work folder, as an agent makes it: the built branch alone, its commit checked out without a branch
    /// name.</summary>
    public GitClone Clone { get; private set; } = null!;

    /// <summary>The branch that is built.</summary>
    public string Branch { get; private set; } = "";

    /// <summary>The build number that the steps get.</summary>
    public string Number { get; set; } = "7";

    public static async Task<Agent> StartAsync()
    {
        var agent = new Agent(await PodCluster.StartAsync("again"));
        var host = agent.world.Registry.Host;
        await agent.world.PushAsync("base", "1", "true");
        var clone = agent.git.Clone("author");
        clone.Write("ci-steps.yaml", $$"""
            registry: { push: "{{host}}" }
            branches: { target: main, private: ci/* }
            components:
              - name: greeter
                major: 1
                paths: [greeter/**]
                unit-tests: [{ name: unit, run: [sh, greeter/unit.sh], format: tap, time-limit: 1m }]
                image: { dockerfile: greeter/Dockerfile, context: greeter }
                workload: { manifests: [greeter/k8s], kind: Deployment, name: greeter, container: greeter, time-limit: 2m }
            integration:
              - { name: smoke, components: [greeter], class: small, namespace: smoke,
                  tests: { job: integration/job.yaml, format: tap }, time-limit: 3m }
            production:
              waves:
                - name: all
                  targets: [{ name: shop, kubeconfig: SHOP_KUBECONFIG, namespace: shop, components: [greeter],
                      gate: { http: "service://greeter:80/healthz", for: 1s, time-limit: 1m } }]
            """);
        clone.Write("greeter/unit.sh", "echo 1..1; echo ok 1 - greets\n");
        clone.Write("greeter/Dockerfile", $"FROM {host}/base:1\nCOPY run.sh /run.sh\nCMD [\"sh\", \"/run.sh\"]\n");
        clone.Write("greeter/run.sh", PodCluster.WebServer("new") + "\n");
        clone.Write("greeter/k8s/greeter.yaml", PodCluster.Workload("greeter"));
        clone.Write("integration/job.yaml", PodCluster.Job("greeter", "echo 1..1; echo ok 1 - answers"));
        clone.Commit("Begin");
        clone.Push();
        clone.Branch("ci/greeting");
        clone.Commit("greeter/text", "new", "Greet anew");
        clone.Push();
        agent.Clone = new GitClone(Path.Combine(agent.git.Folder, "work"));
        Directory.CreateDirectory(agent.Clone.Folder);
        agent.Clone.Git("init", "--quiet");
        agent.Clone.Git("remote", "add", "origin", "file://" + agent.git.Origin);
        agent.CheckOut("ci/greeting");
        await agent.KubectlAsync("create", "namespace", "shop");
        return agent;
    }

    /// <summary>Runs a step; the result is its exit code and all that it said.</summary>
    public async Task<(int Exit, string Output)> RunAsync(string step, params string[] more)
    {
        var properties = Path.Combine(git.Folder, "build.properties");
        await File.WriteAllTextAsync(properties, $"build.number={Number}\nteamcity.build.branch={Branch}\n");
        var (exit, output) = await Executables.RunAsync(
            Path.Combine(Executables.Folder, step),
            more,
            Clone.Folder,
            git.Folder,
            new()
            {
                ["TEAMCITY_VERSION"] = "2025.11",
                ["TEAMCITY_BUILD_PROPERTIES_FILE"] = properties,
                ["CISTEPS_KUBECONFIG"] = world.Cluster.KubeconfigPath,
                ["SHOP_KUBECONFIG"] = world.Cluster.KubeconfigPath,
            });
        return (exit, $"{step} #{Number}:\n{output}");
    }

    /// <summary>
    /// Everything outside that steps change, as text: the origin's references, the registry's tags, production's workload.
    /// </summary>
    public async Task<string> OutsideAsync()
    {
        var lines = new List<string> { git.Git("for-each-ref") };
        foreach (var repository in new[] { "greeter", "ci/greeter" })
        {
            using var tags = await http.GetAsync(new Uri($"http://{world.Registry.Host}/v2/{repository}/tags/list"));
            if (!tags.IsSuccessStatusCode) continue;
            foreach (var tag in JsonNode.Parse(await tags.Content.ReadAsStringAsync())!["tags"]?.AsArray()
                .Select(tag => (string)tag!)
                .Order(StringComparer.Ordinal)
                ?? Enumerable.Empty<string>())
                lines.Add(
                    $"{repository}:{tag} {(await world.Registry
                        .Connect()
                        .FindDigestAsync(world.Registry.Reference(repository, tag)))}");
        }
        lines.Add(await KubectlAsync("get", "deployments", "-n", "shop", "-o",
            "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.generation} " +
            "{.spec.template.spec.containers[0].image}{end}"));
        return string.Join('\n', lines);
    }

    /// <summary>The lock's number and holder: the number rises with each time that it is taken.</summary>
    public async Task<(int Number, string Holder)> LeaseAsync()
    {
        var text = (await KubectlAsync("get", "lease", "cisteps-testbed", "-n", "cisteps-leases", "-o",
            "jsonpath={.spec.leaseTransitions} {.spec.holderIdentity}")).Split(' ');
        return (int.Parse(text[0], CultureInfo.InvariantCulture), text[^1]);
    }

    /// <summary>Lets the lease lapse: nobody has renewed it for a day.</summary>
    public Task LapseAsync()
    {
        var before = DateTimeOffset.UtcNow.AddDays(-1).ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
        var patch = new JsonObject { ["spec"] = new JsonObject { ["renewTime"] = before, ["acquireTime"] = before } };
        return KubectlAsync(
            "patch", "lease", "cisteps-testbed", "-n", "cisteps-leases", "--type", "merge", "-p", patch.ToJsonString());
    }

    /// <summary>Checks the target branch out as the release chain does.</summary>
    public void CheckOutTarget() => CheckOut("main");

    private void CheckOut(string branch)
    {
        Branch = branch;
        Clone.Git("fetch", "--quiet", "origin", $"+refs/heads/{branch}:refs/remotes/origin/{branch}");
        Clone.Git("checkout", "--quiet", "--force", "--detach", $"refs/remotes/origin/{branch}");
    }

    public string Evidence(string step) => Path.Combine(Clone.Folder, ".ci-steps", "evidence", step, "statement.json");

    public JsonNode? HandOver(string step) =>
        JsonNode.Parse(File.ReadAllText(Evidence(step)))!["predicate"]!["cisteps"]!["handOver"];

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await world.DisposeAsync();
        git.Dispose();
    }

    private async Task<string> KubectlAsync(params string[] arguments)
    {
        var (exit, output) = await Executables.RunAsync(
            "kubectl", ["--kubeconfig", world.Cluster.KubeconfigPath, .. arguments], git.Folder, git.Folder, []);
        Assert.That(exit, Is.Zero, $"kubectl {string.Join(' ', arguments)}: {output}");
        return output;
    }
}
