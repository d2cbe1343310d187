using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Claims;

namespace CiSteps.ReserveTestbed.Tests;

/// <summary>
/// A service with two components and three suites, and a chain of a private branch that has run up to reserve-testbed.
/// </summary>
internal sealed class Chain : IDisposable
{
    private const string File = """
        registry: { push: localhost:5000 }
        components:
          - { name: app, paths: [app/**], image: { context: app }, workload: { manifests: [app/k8s] } }
          - { name: worker, paths: [worker/**], image: { context: worker }, workload: { manifests: [worker/k8s] } }
        integration:
          - { name: smoke, components: [app], class: small, tests: { run: x } }
          - { name: load, components: [app, worker], class: large, tests: { run: x } }
          - { name: jobs, components: [worker], class: small, manifests: [jobs/k8s], tests: { run: x } }
        """;

    private readonly GitRepositories git = new();
    private readonly GitClone clone;

    public Chain()
    {
        clone = git.Clone();
        clone.Write("app/a", "1");
        clone.Commit("ci-steps.yaml", File, "Begin");
        clone.Push();
        clone.Branch("ci/greeting");
        clone.Commit("app/a", "2");
        clone.Push();
    }

    public string Folder => clone.Folder;

    /// <summary>One more commit of the change.</summary>
    public void Change(string path)
    {
        clone.Commit(path, "3");
        clone.Push();
    }

    public string NameOf(string suite) => ClaimNames.Of(Run, suite);

    public HeldTestbed Held(string suite, string its = "small", string testbed = "bed-1", long lease = 3) =>
        new(suite, its, NameOf(suite), testbed, lease);

    private RunIdentity Run => new("file://" + git.Origin, "ci/greeting", false, clone.Head, "17", false);

    public Task BuiltAsync(params (string Component, bool Built)[] images) => clone.StateAsync("image-build", "17",
        Outcome.Done("built").HandingOver(new ImageBuildHandOver([.. images.Select(image =>
            new BuiltImage(image.Component, "r/" + image.Component, "1.17-x", "sha256:" + new string('1', 64), image.Built))]),
        HandOverJson.Default.ImageBuildHandOver));

    public async Task<(int Exit, string Output)> ReserveAsync(ITestbeds? testbeds, params string[] arguments)
    {
        var step = ReserveTestbedCommand.Create(testbeds is null ? null : (_, _) => Task.FromResult(testbeds));
        return await clone.RunAsync(step, "17", new Dictionary<string, string>(), arguments);
    }

    /// <summary>What the step handed over, as <c>suite:testbed</c>.</summary>
    public IReadOnlyList<string> HandedOver() =>
    [
        .. clone.HandedOver("reserve-testbed", HandOverJson.Default.ReserveHandOver).Testbeds
            .Select(held => $"{held.Suite}:{held.Testbed}"),
    ];

    public void Dispose() => git.Dispose();
}
