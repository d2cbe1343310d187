using CiSteps.Fixtures;
using CiSteps.Sandbox;

namespace CiSteps.Benchmarks;

/// <summary>
/// A sandbox cluster from nothing to ready, against the least that anybody who tests in containers pays: a network and one
/// container.
/// </summary>
internal static class SandboxStart
{
    private const int Together = 4;

    public static async Task RunAsync(Table table)
    {
        await using var engine = await LocalEngine.OpenAsync();
        var image = (await engine.MakeBaseImageAsync()).ToString();
        var made = new List<SandboxCluster>();
        var number = 0;
        async Task RemoveAsync()
        {
            foreach (var cluster in made) await cluster.DisposeAsync();
            made.Clear();
            if (number > 0)
            {
                await engine.Engine.RemoveContainerAsync($"cisteps-benchmark-{number}");
                await engine.Engine.RemoveNetworkAsync($"cisteps-benchmark-{number}");
            }
        }
        table.Add(
            "the first sandbox cluster of a process",
            Table.Show(await Table.TimeAsync(async () => made.Add(await SandboxCluster.StartAsync(new() { Name = "first" })))));
        await table.CompareAsync(
            "a further sandbox cluster",
            9,
            async () => made.Add(await SandboxCluster.StartAsync(new() { Name = "further" })),
            "`docker network create`, `docker run`", async () =>
            {
                number++;
                await Programs.RunAsync(
                    "docker", "network", "create", "--label", $"{LocalEngine.Label}={engine.Id}", $"cisteps-benchmark-{number}");
                await Programs.RunAsync(
                    "docker",
                    "run",
                    "--detach",
                    "--label",
                    $"{LocalEngine.Label}={engine.Id}",
                    "--network",
                    $"cisteps-benchmark-{number}",
                    "--name",
                    $"cisteps-benchmark-{number}",
                    image,
                    "sleep",
                    "1000");
            }, RemoveAsync);
        await RemoveAsync();
        number = 0;
        var times = new List<TimeSpan>();
        for (var round = 0; round < 5; round++)
        {
            times.Add(await Table.TimeAsync(
                async () => made.AddRange(await Task.WhenAll(Enumerable
                    .Range(0, Together)
                    .Select(one => SandboxCluster.StartAsync(new() { Name = $"one-of-{Together}" }))))));
            await RemoveAsync();
        }
        table.Add($"{Together} sandbox clusters at once, all of them", Table.Show(Table.Median(times)));
        using var state = new TestFolder();
        var ciSteps = Programs.Published("ci-steps");
        times.Clear();
        for (var round = 0; round < 7; round++)
        {
            times.Add(await Table.TimeAsync(() => Programs.RunAsync(ciSteps, "sandbox", "up", "--state", state.Of("state"))));
            await Programs.RunAsync(ciSteps, "sandbox", "down", "--state", state.Of("state"));
        }
        table.Add("`ci-steps sandbox up`, as a person waits for it", Table.Show(Table.Median(times)));
    }
}
