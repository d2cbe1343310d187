using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace CiSteps.Chain.Tests;

/// <summary>The product's main job, from a push to production, and a push that must not get there.</summary>
[TestFixture]
[NonParallelizable]
internal sealed class The_demo
{
    // A sandbox that somebody keeps on the same engine is none of the demo's.
    private IReadOnlyList<string> before = [];

    [SetUp]
    public async Task Look_at_the_engine() => before = await Leftovers.OnEngineAsync();

    [Test]
    public async Task Brings_a_push_to_production_and_stops_one_whose_integration_test_fails()
    {
        using var demo = Demo.Start();
        await demo.EndAsync();

        Assert.That(demo.ExitCode, Is.Zero, demo.Output);
        var summary = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Demo.Folder, "summary.json")))!;
        var chains = summary["first"]!["chains"]!.AsArray();
        Assert.Multiple(() =>
        {
            Assert.That(chains.Select(Outcomes), Is.EqualTo(new[]
            {
                "unit-test done, image-build done, reserve-testbed done, integration-deploy done, merge done, branch-result done",
                "unit-test done, image-build done, reserve-testbed done, integration-deploy done, certify done, promote done, " +
                "release-result done",
            }));
            Assert.That(Outcomes(summary["second"]!["chains"]![0]), Is.EqualTo(
                "unit-test done, image-build done, reserve-testbed done, integration-deploy failed, merge not started, " +
                "branch-result failed"));
            Assert.That(summary["notifications"]!.AsArray(), Has.Count.EqualTo(1));
            Assert.That(
                summary["notifications"]![0]!.ToJsonString(),
                Does.Contain("integration-deploy").And.Contain("the greeting comes with a quote"));
            Assert.That(File.ReadAllText(Path.Combine(Demo.Folder, "first.html")), Does.Contain("integration-deploy"));
            Assert.That(demo.LongestSilence, Is.LessThan(TimeSpan.FromSeconds(10)), "no sign of life for too long");
        });
        await NothingIsLeft();

        // What was certified in the release chain is what the summary says runs in production.
        var steps = chains[1]!["steps"]!.AsArray().ToDictionary(step => (string)step!["step"]!, step => step!["handOver"]);
        Assert.That(
            (string?)steps["promote"]!["workloads"]![0]!["digest"],
            Is.EqualTo((string?)steps["certify"]!["images"]![0]!["digest"]));
    }

    // By then registry, clusters, images and a lease are there: whatever could be left behind.
    [Test]
    public async Task Leaves_nothing_behind_when_it_is_interrupted()
    {
        using var demo = Demo.Start();
        await demo.UntilAsync("picking up testbed");
        demo.Interrupt();
        await demo.EndAsync();

        Assert.That(demo.ExitCode, Is.EqualTo(130), demo.Output);
        await NothingIsLeft();
    }

    [Test]
    public async Task Says_which_port_is_taken_and_starts_nothing()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port.ToString();
        using var demo = Demo.Start(new Dictionary<string, string> { ["CISTEPS_DEMO_REGISTRY_PORT"] = port });
        await demo.EndAsync();

        Assert.That(demo.ExitCode, Is.EqualTo(3));
        Assert.That(demo.Output, Does.Contain($"port {port} is taken").And.Contain("CISTEPS_DEMO_REGISTRY_PORT"));
        await NothingIsLeft();
    }

    [Test]
    public async Task Refuses_an_argument_that_it_does_not_know()
    {
        using var demo = Demo.Start(null, "--kept");
        await demo.EndAsync();

        Assert.That(demo.ExitCode, Is.EqualTo(2));
        Assert.That(demo.Output, Does.Contain("unknown argument \"--kept\""));
    }

    private static string Outcomes(JsonNode? chain) =>
        string.Join(", ", chain!["steps"]!.AsArray().Select(step => $"{step!["step"]} {step["outcome"]}"));

    private async Task NothingIsLeft()
    {
        Assert.That((await Leftovers.OnEngineAsync()).Except(before), Is.Empty);
        // Every process of a run has the run's folder on its command line.
        Assert.That(Leftovers.Processes(Demo.Folder), Is.Empty);
    }
}
